"""Trainings of an audit that was interrupted: kept until it ends, so that the same command goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

import merbench
from merbench.engine.run import Plan
from merbench.engine.witness import Change, Trained
from merbench.foldfile import write


class Kept:
    """Trainings by fold and change, in a folder beside the runs.

    They are those of this request, these data, this text of merbench and these versions; of others nothing is taken.

    Args:
        planned: the run that is audited.
    """

    def __init__(self, planned: Plan) -> None:
        whole = hashlib.sha256(json.dumps(planned.provenance.environment, sort_keys=True).encode())
        for path in sorted(Path(merbench.__file__).parent.rglob("*.py")):
            whole.update(path.read_bytes())
        self.folder = planned.run.path.parents[3] / ".audit" / f"{planned.provenance.request_key}-{whole.hexdigest()[:16]}"

    def path(self, fold: int, change: Change) -> Path:
        """Return the file of a training."""
        return self.folder / f"{fold}-{change.replace(' ', '-')}.json"

    def get(self, fold: int, change: Change) -> Trained | None:
        """Return a training that was finished before; None where there is none, or none that can be read."""
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            known = json.loads(self.path(fold, change).read_text(encoding="utf-8"))
            arrays = {name: np.array(values, dtype=np.float32) for name, values in known.items() if name in ARRAYS}
            return Trained(**{**known, **arrays, "opened": tuple(known["opened"]), "served": tuple(known["served"])})
        return None

    def put(self, fold: int, change: Change, trained: Trained) -> None:
        """Keep a training that was finished; where the disk refuses, it is only not kept."""
        if trained.failed:
            return  # what failed may pass
        known = {field.name: getattr(trained, field.name) for field in dataclasses.fields(trained)}
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write(self.path(fold, change), json.dumps(known, default=lambda array: array.tolist()).encode())

    def drop(self) -> None:
        """Forget all of it: the next audit looks anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another audit's trainings are there
            self.folder.parent.rmdir()
            self.folder.parent.parent.rmdir()


ARRAYS = ("together", "alone", "strangers", "renumbered", "probed", "inner")
