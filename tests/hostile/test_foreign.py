"""Predictions of somewhere else: what ``compare`` and ``leaderboard`` read of runs that do not belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from merbench.config import Data
from merbench.foldfile import FoldResult, write_fold
from merbench.results import Run
from tests.board.test_rows import SUBJECTS, make_run
from tests.conftest import Cli
from tests.hostile import refused
from tests.hostile.conftest import Runs

Change = Callable[[FoldResult], FoldResult]


def every(run: Run, change: Change) -> None:
    for name in run.finished():
        write_fold(run.fold_path(name), change(run.results([name])[0]))


def one(run: Run, change: Change) -> None:
    write_fold(run.fold_path("smic--s2--s0"), change(run.results(["smic--s2--s0"])[0]))


def clips(change: Callable[[str], str]) -> Change:
    return lambda fold: dataclasses.replace(fold, clips=tuple(change(clip) for clip in fold.clips))


def shorter(fold: FoldResult) -> FoldResult:
    return dataclasses.replace(fold, epochs=fold.epochs[:1], probabilities=fold.probabilities[:1])


def fewer(fold: FoldResult) -> FoldResult:
    return dataclasses.replace(fold, clips=fold.clips[1:], labels=fold.labels[1:], probabilities=fold.probabilities[:, 1:])


def unseeded(run: Run) -> None:
    for name in run.finished():
        run.fold_path(name).unlink()


CASES: dict[str, tuple[Callable[[Run], object], str, str, bool]] = {
    "other clips": (lambda run: every(run, clips(lambda clip: clip + "x")), "other clips or labels", "runs of one table", True),
    "other labels": (
        lambda run: every(run, lambda fold: dataclasses.replace(fold, labels=(fold.labels + 1) % 3)),
        "other clips or labels",
        "runs of one table",
        True,
    ),
    "labels of one subject": (
        lambda run: one(run, lambda fold: dataclasses.replace(fold, labels=fold.labels[::-1].copy())),
        "other clips or labels",
        "runs of one table",
        True,
    ),
    "a clip too few": (lambda run: one(run, fewer), "hold 59 clips, not 60", "not this run's", False),
    "epochs too few": (lambda run: one(run, shorter), "other epochs", "not this run's", False),
    "no folds": (unseeded, "no seed of this run", "run its command again", True),
    "a fold too few": (lambda run: run.fold_path("smic--s2--s0").unlink(), "no seed of this run", "run its command again", True),
    "folds under names of no subject": (
        lambda run: [path.rename(path.with_name("x" + path.name)) for path in (run.path / "folds").iterdir()],
        "no seed",
        "run its command again",
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_runs_that_do_not_belong_together(runs: Runs, cli: Cli, name: str) -> None:
    spoil, place, remedy, whole = CASES[name]
    spoil(runs.run)
    if whole:
        refused(cli("compare", "example", "other"), file=runs.run.path, place=place, remedy=remedy)
    else:
        refused(cli("leaderboard"), code=0, file=runs.run.path, place=place, remedy=remedy)


def test_seeds_of_one_run_have_the_same_clips_and_labels(bare: Path, cli: Cli) -> None:
    run = make_run(Path("runs"), epochs=2, seeds=2)
    fold = run.results(["smic--s2--s1"])[0]
    for changed in (clips(lambda clip: clip + "x")(fold), dataclasses.replace(fold, labels=(fold.labels + 1) % 3)):
        write_fold(run.fold_path("smic--s2--s1"), changed)
        refused(cli("leaderboard"), file=run.path, place="seeds of a run have other clips or labels", remedy="not this run's")


@pytest.mark.parametrize(
    ("keys", "labels"),
    [(("EP01_11f", "EP09_01"), (0, 0)), (("EP01_11f", "EP09_99"), (0, 0)), (("EP01_11f",), (0,))],
    ids=["a label of another class", "a clip that the scheme does not have", "a clip too few"],
)
def test_labels_are_those_of_the_scheme(
    bare: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, keys: tuple[str, ...], labels: tuple[int, ...]
) -> None:
    """Where a subject stands in the scheme, its clips and labels are known without the folds."""
    run = make_run(Path("runs"), epochs=2)
    about = run.provenance
    about.folds, about.clips = ["casme2/sub02", *SUBJECTS[1:]], 54 + len(keys)
    run.save(about)
    plain = run.path / "folds" / "casme2--s0--s0.parquet"
    first = make_run(Path("other"), epochs=2).results(["casme2--s0--s0"])[0]
    plain.unlink()
    for path in (run.path / "folds").iterdir():
        run.keep(make_run(Path("other"), epochs=2).results([path.stem])[0], run.request, about)
    probabilities = first.probabilities[:, : len(keys)]
    made = dataclasses.replace(
        first,
        held_out="casme2/sub02",
        clips=tuple(f"casme2/sub02/{key}" for key in keys),
        labels=np.array(labels),
        probabilities=probabilities,
    )
    run.keep(made, run.request, about)
    refused(cli("leaderboard"), file="casme2--sub02--s0.parquet", place="are not those of megc3", remedy="run the same command again")


def test_a_scheme_that_is_not_known(bare: Path, cli: Cli) -> None:
    make_run(Path("runs"), epochs=2, scheme="megc4", data=Data("smic+casme2"))
    found = cli("leaderboard")
    assert (found.code, "there is no scheme 'megc4'" in found.err, "did you mean 'megc3'?" in found.err) == (2, True, True)
