"""Folds joined by clip: nothing is taken by its place, and what does not fit is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from merbench.board import compare, joined, rows
from merbench.errors import UserError
from merbench.foldfile import write_fold
from tests.board.test_rows import SUBJECTS, make_run


def test_the_choice_does_not_look_at_the_held_out_subject(tmp_path: Path) -> None:
    """Other labels and predictions of the held-out clips move scores, never the epoch."""
    run = make_run(tmp_path, epochs=7, inner=3)
    folds = run.results([f"{subject.replace('/', '--')}--s0" for subject in SUBJECTS])
    before = joined.predictions(run, folds).chosen
    assert before is not None
    assert len(set(before.tolist())) > 1
    assert np.array_equal(joined.predictions(run, folds[::-1]).chosen, before), "by clip, in whatever order folds are read"  # type: ignore[arg-type]
    assert joined.predictions(run, [*folds[:-1], dataclasses.replace(folds[-1], inner=None)]).chosen is None, "all folds choose, or none"
    rng = np.random.default_rng(0)
    other = [
        dataclasses.replace(fold, labels=rng.permutation(fold.labels), probabilities=rng.permuted(fold.probabilities, axis=2))
        for fold in folds
    ]
    after = joined.predictions(run, other).chosen
    assert np.array_equal(before, after)  # type: ignore[arg-type]


def test_a_fold_without_the_inner_trainings_that_were_asked_for_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, inner=3)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, inner=None))
    with pytest.raises(UserError, match="was changed after this fold was trained"):
        rows.row_of(run)


def test_clips_in_the_wrong_fold_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, clips=tuple(c.replace("s2", "s1") for c in fold.clips)))
    with pytest.raises(UserError, match="stands in it twice, or is not of smic/s2"):
        rows.row_of(run)


def test_folds_of_other_lengths_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, epochs=fold.epochs[1:], probabilities=fold.probabilities[1:]))
    with pytest.raises(UserError, match="other epochs"):
        rows.row_of(run)


@pytest.mark.parametrize("changed", ["clips", "labels"])
def test_seeds_that_judge_other_clips_are_refused(tmp_path: Path, changed: str) -> None:
    """By the board and where two runs are compared: nothing is paired by its place."""
    run = make_run(tmp_path, seeds=2)
    (fold,) = run.results(["smic--s2--s1"])
    other = {"clips": tuple(f"{clip}x" for clip in fold.clips), "labels": (fold.labels + 1) % 3}[changed]
    write_fold(run.fold_path(fold.name), dataclasses.replace(fold, **{changed: other}))  # type: ignore[arg-type]
    for read in (rows.row_of, compare.complete):
        with pytest.raises(UserError, match="the seeds of a run have other clips or labels"):
            read(run)


def test_fewer_clips_than_the_run_has_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (fold,) = run.results(["smic--s2--s0"])
    short = dataclasses.replace(fold, clips=fold.clips[1:], labels=fold.labels[1:], probabilities=fold.probabilities[:, 1:])
    write_fold(run.fold_path(fold.name), short)
    with pytest.raises(UserError, match="the folds hold 59 clips, not 60"):
        rows.row_of(run)
