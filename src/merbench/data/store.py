"""Prepared data on disk: memory-mapped arrays in a folder that exists whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.sample import Clip

ROOT = Path("prepared")


def folder(root: Path, source: str, on: str, scheme: str, fingerprint: str) -> Path:
    """Return where a set lies: ``prepared/published-flow/smic+casme2-megc3-<fingerprint>``."""
    return root / source / f"{on}-{scheme}-{fingerprint}"


def save(prepared: Prepared, root: Path = ROOT) -> Path:
    """Write a set where it is not there yet, and return its folder. Two writers at once, or a kill, leave no half of it.

    Raises:
        UserError: the folder cannot be written.
    """
    target = folder(root, prepared.source, prepared.on, prepared.scheme, prepared.fingerprint)
    if target.is_dir():
        return target
    index = {
        "on": prepared.on,
        "source": prepared.source,
        "scheme": prepared.scheme,
        "clips": [dataclasses.asdict(clip) for clip in prepared.clips],
        "classes": prepared.classes,
        "labels": prepared.labels.tolist(),
        "units": prepared.units,
        "arrays": sorted(prepared.arrays),
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
        try:
            for name, array in prepared.arrays.items():
                np.save(unfinished / f"{name}.npy", array)
            (unfinished / "index.json").write_text(json.dumps(index), encoding="utf-8")
            unfinished.chmod(0o755)
            unfinished.rename(target)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            if not target.is_dir():  # another process finished the same set first: its bytes are these
                raise
    except OSError as error:
        raise UserError(
            f"prepared data cannot be written: {error.strerror}", where=target, remedy="free some space, or make the folder writable"
        ) from error
    return target


def load(path: Path) -> Prepared:
    """Open a set; arrays are memory-mapped, so that processes share them.

    Raises:
        UserError: it is not there or damaged.
    """
    try:
        index: dict[str, Any] = json.loads((path / "index.json").read_text(encoding="utf-8"))
        prepared = Prepared(
            on=index["on"],
            source=index["source"],
            scheme=index["scheme"],
            clips=tuple(Clip(**{**clip, "flags": tuple(clip["flags"])}) for clip in index["clips"]),
            classes=tuple(index["classes"]),
            labels=np.array(index["labels"], dtype=np.int64),
            arrays={name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in index["arrays"]},
            units=index["units"],
        )
        lengths = {len(prepared.clips), len(prepared.labels), *(len(array) for array in prepared.arrays.values())}
        if len(lengths) > 1:
            raise ValueError(f"clips, labels and arrays have unlike lengths {sorted(lengths)}")
        return prepared
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"prepared data cannot be read: {error}", where=path, remedy="delete this folder; it is made again") from error


def find(root: Path, source: str, scheme: str, on: str = "*") -> list[Path]:
    """Return the finished sets of a source and scheme, for a machine that has no copy of the database."""
    return sorted(path for path in (root / source).glob(f"{on}-{scheme}-*") if (path / "index.json").is_file())
