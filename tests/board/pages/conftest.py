"""Runs to draw pages of, made here without training: names that attack, several seeds, losses, measures, a run that is not finished."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from merbench import scores
from merbench.board import ranking
from merbench.board.rows import Row, row_of
from merbench.config import Data, Request, Training, run_key
from merbench.foldfile import FoldResult
from merbench.results import Provenance, Run, folder_of
from tests.browser import Browser, browser

ATTACK = "<img src=x onerror=alert(1)>"
CLASSES = ("negative", "</script><script>alert(2)</script>", "\"'&`surprise")
SUBJECTS = ("smic/s1", "smic/s2", "smic/<b>s3", "casme2/s1", "casme2/s2")
CLIPS = 6


def make_run(
    root: Path,
    method: str = "example",
    epochs: int = 5,
    seeds: int = 1,
    quality: float = 0.6,
    classes: tuple[str, ...] = CLASSES,
    subjects: tuple[str, ...] = SUBJECTS,
    **request: object,
) -> Run:
    """Write a run; ``quality`` is the share of clips judged right in the last epoch. One epoch is that of a closed form, without losses."""
    asked = Request(method=method, arguments={"widths": (3, 5)}, data=Data("smic+casme2"), training=Training(epochs=epochs))
    asked = dataclasses.replace(asked, **request)  # type: ignore[arg-type]
    key = run_key(asked, "fingerprint0", {"method": 1}, "")
    run = Run(folder_of(root, asked, key))
    provenance = Provenance(
        request_key=key,
        folds=list(subjects),
        clips=len(subjects) * CLIPS,
        classes=list(classes),
        data={"annotations": "annotations0", "fingerprint": "fingerprint0", "assumed": f"apex: {ATTACK}"},
        manifests={"persons.csv": "0" * 64},
        results_versions={"method": 1},
        method_file="",
        parameters=1683 if epochs > 1 else 0,
        environment={"engine": "local", "torch": ATTACK},
        commit="0" * 40 + "+",
    )
    run.create(asked, provenance)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, int(quality * 1000)])
        for subject in subjects:
            result = _fold(rng, subject, seed, epochs, quality, classes)
            run.keep(result, run.request, provenance)
            provenance.costs[result.name] = {"seconds": float(rng.uniform(1, 3)), "peak_mib": 100.0 + seed}
    run.save(provenance)
    return run


def _fold(rng: np.random.Generator, subject: str, seed: int, epochs: int, quality: float, classes: tuple[str, ...]) -> FoldResult:
    labels = np.arange(CLIPS) % len(classes)
    probabilities = rng.dirichlet(np.ones(len(classes)), (epochs, CLIPS)).astype(np.float32)
    right = rng.random(CLIPS) < quality
    probabilities[-1][right] = (0.9 * np.eye(len(classes)) + 0.1 / len(classes))[labels[right]]
    curve = {
        "warm-up": {"total": [2.0, 1.5]},
        "recognition": {"total": rng.uniform(0, 1, epochs).tolist(), ATTACK: rng.uniform(0, 1, epochs).tolist()},
    }
    return FoldResult(
        held_out=subject,
        seed=seed,
        clips=tuple(f"{subject}/c\"'<{index}>&" for index in range(CLIPS)),
        labels=labels.astype(np.int64),
        classes=classes,
        epochs=np.arange(1, epochs + 1, dtype=np.int32),
        probabilities=probabilities,
        curve=curve if epochs > 1 else {},
        weights="w",
        environment={},
        measures={f"correlation {ATTACK}": [float("nan"), *rng.uniform(-1, 1, CLIPS - 1).tolist()]} if epochs > 1 else {},
    )


@dataclasses.dataclass(frozen=True)
class Made:
    """Runs, and the rows of the board."""

    root: Path
    best: Run
    closed: Run
    rows: list[Row]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Seven runs in four tables: a best one with an attack for a name and two seeds, a closed form, one that lacks a fold."""
    root = tmp_path_factory.mktemp("pages") / "runs"
    best = make_run(root, ATTACK, seeds=2, quality=0.9)
    closed = make_run(root, "closed", epochs=1, quality=0.7)
    runs = [
        best,
        closed,
        make_run(root, "middling", quality=0.5),
        make_run(root, "middling", quality=0.4, changes=("width=3",), arguments={"widths": (3,)}),
        make_run(root, "hasty", preset="quick"),
        make_run(root, "apart", protocol="lodo", subjects=("smic/s1", "smic/s2", "casme2/s1")),
        make_run(root, "begun", quality=0.2),
    ]
    runs[-1].fold_path("smic--s2--s0").unlink()
    with pytest.MonkeyPatch.context() as patched:  # how wide an interval is does not matter here
        patched.setattr(scores, "bootstrap", functools.partial(scores.bootstrap, replicates=100))
        return Made(root, best, closed, ranking.placed([row_of(run) for run in runs]))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests of a process."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started
