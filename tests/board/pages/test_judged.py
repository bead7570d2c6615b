"""What a report counts, against independent counts on the same numbers."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from merbench.board.pages import judged
from merbench.board.pages.judged import Judged
from merbench.errors import UserError
from tests.board.pages.conftest import CLIPS, SUBJECTS, Made, make_run


@pytest.fixture(scope="module")
def found(made: Made) -> Judged:
    return judged.judged(made.best, (0, 1))


def test_probabilities_stand_beside_their_clips(found: Judged, made: Made) -> None:
    assert np.array_equal(found.last, found.probabilities[:, 4])
    assert np.array_equal(found.predicted, found.probabilities[:, 4].argmax(-1))
    assert found.clips.tolist() == sorted(found.clips.tolist())
    for seed in (0, 1):
        for subject in SUBJECTS:
            fold = made.best.results([f"{subject.replace('/', '--')}--s{seed}"])[0]
            for index, clip in enumerate(fold.clips):
                place = found.clips.tolist().index(clip)
                assert np.array_equal(found.probabilities[seed, :, place], fold.probabilities[:, index])
                assert (found.truth[place], found.subjects[place]) == (fold.labels[index], subject)


def test_by_epoch_is_the_pooled_f1(found: Judged) -> None:
    scored = judged.by_epoch(found)
    for seed, epoch in np.ndindex(scored.shape):
        predicted = found.probabilities[seed, epoch].argmax(-1)
        assert scored[seed, epoch] == pytest.approx(f1_score(found.truth, predicted, average="macro"))


def test_by_subject_every_clip_is_counted_once(found: Judged) -> None:
    rows = judged.by_subject(found)
    assert {f"{row.database}/{row.name}" for row in rows} == set(SUBJECTS)
    assert all(row.clips == CLIPS for row in rows)
    assert sum(row.right for row in rows) == pytest.approx((found.predicted == found.truth).sum() / 2)
    order = [(row.database, -row.right) for row in rows]
    assert order == sorted(order)


def test_calibration_is_that_of_torchmetrics(found: Judged) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    sure = judged.calibration(found)
    likely = torch.from_numpy(found.last.reshape(-1, 3).astype(np.float64))
    truth = torch.from_numpy(np.tile(found.truth, 2))
    assert sure.error == pytest.approx(float(multiclass_calibration_error(likely, truth, 3, judged.BINS, "l1")), abs=1e-6)
    assert sure.clips.sum() == found.truth.size * 2
    there = sure.clips > 0
    assert np.isnan(sure.accuracy[~there]).all()
    assert (sure.accuracy[there] * sure.clips[there]).sum() / sure.clips.sum() == pytest.approx(sure.right)
    assert (sure.certainty[there] * sure.clips[there]).sum() / sure.clips.sum() == pytest.approx(sure.sure)
    edges = np.arange(1, judged.BINS + 1) / judged.BINS
    assert (sure.certainty[there] <= edges[there] + 1e-7).all()
    assert (sure.certainty[there] > edges[there] - 1 / judged.BINS - 1e-7).all()


def test_certainty_of_one_and_of_an_edge_have_their_bins(found: Judged) -> None:
    one = np.zeros_like(found.probabilities)
    one[..., 0] = 1
    sure = judged.calibration(dataclasses.replace(found, probabilities=one))
    assert (sure.clips[-1], sure.sure) == (found.truth.size * 2, 1.0)
    assert sure.error == pytest.approx(1 - (found.truth == 0).mean())


def test_the_hardest_clips_are_those_of_least_probability(found: Judged) -> None:
    rows = judged.hardest(found, 7)
    every = {
        str(clip): float(np.mean([found.last[seed, index, found.truth[index]] for seed in (0, 1)]))
        for index, clip in enumerate(found.clips)
    }
    expected = sorted(every, key=lambda clip: (every[clip], clip))[:7]
    assert [row.clip for row in rows] == expected
    for row in rows:
        index = found.clips.tolist().index(row.clip)
        assert row.probability == pytest.approx(every[row.clip])
        assert row.truth == found.classes[found.truth[index]]
        assert [name for name, _ in row.predicted] == [found.classes[found.last[seed, index].argmax()] for seed in (0, 1)]
        assert [likely for _, likely in row.predicted] == pytest.approx(found.last[:, index].max(-1).tolist())
    assert len(judged.hardest(found, 1000)) == found.truth.size


def test_measures_are_split_by_whether_the_clip_was_judged_right(found: Judged) -> None:
    (row,) = judged.measures(found)
    right: list[float] = []
    wrong: list[float] = []
    for folds in found.folds:
        for fold in folds:
            for index, value in enumerate(fold.measures[row.name]):
                if not math.isnan(value):
                    (right if fold.probabilities[-1, index].argmax() == fold.labels[index] else wrong).append(value)
    assert row.right == pytest.approx(np.median(right))
    assert row.wrong == pytest.approx(np.median(wrong)) if wrong else math.isnan(row.wrong)
    assert row.taken == len(right) + len(wrong) == 2 * len(SUBJECTS) * (CLIPS - 1)
    assert (row.least, row.largest) == (min(right + wrong), max(right + wrong))
    assert row.median == pytest.approx(np.median(right + wrong))


def test_curves_are_medians_over_folds(found: Judged) -> None:
    rows = judged.curves(found)
    assert [(row.stage, row.part == "total") for row in rows] == [("warm-up", True), ("recognition", True), ("recognition", False)]
    every = np.array([fold.curve["recognition"]["total"] for folds in found.folds for fold in folds])
    assert rows[1].middle == pytest.approx(np.median(every, axis=0))
    assert (rows[1].low <= rows[1].middle).all()
    assert (rows[1].middle <= rows[1].high).all()


def test_a_run_without_a_whole_seed_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(UserError, match="no seed of this run has all its folds"):
        judged.judged(run, ())
