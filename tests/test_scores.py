"""Scores against golden numbers, an independent implementation, and properties."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from merbench import scores
from merbench.scores import READINGS

MATRIX = [[195, 39, 16], [36, 68, 5], [12, 7, 64]]
PARTS = {
    "smic": ([[47, 15, 8], [15, 33, 3], [7, 4, 32]], 0.6871, 0.6876),
    "casme2": ([[77, 11, 0], [10, 21, 1], [1, 0, 24]], 0.8304, 0.8304),
    "samm": ([[71, 13, 8], [11, 14, 1], [4, 3, 8]], 0.5993, 0.6145),
}
Log = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]


@pytest.fixture(scope="module")
def log() -> Log:
    """The public STSTNet port's predictions: truth, predicted, subjects, databases."""
    rows = []
    with (Path(__file__).parent / "golden" / "ststnet_port.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            rows += [(int(row["truth"]), int(row["predicted"]), row["subject"])] * int(row["clips"])
    truth, predicted, subjects = (np.array(column) for column in zip(*rows, strict=True))
    return truth, predicted, subjects, np.array([subject.split("/")[0] for subject in subjects])


def test_golden_matrix(log: Log) -> None:
    truth, predicted, _, _ = log
    matrix = scores.confusion(truth, predicted, 3)
    assert matrix.tolist() == MATRIX
    assert scores.uf1(matrix) == pytest.approx(0.7209, abs=5e-5)
    assert scores.uar(matrix) == pytest.approx(0.7250, abs=5e-5)


@pytest.mark.parametrize("database", PARTS)
def test_golden_parts(log: Log, database: str) -> None:
    truth, predicted, _, databases = log
    here = databases == database
    matrix, uf1, uar = PARTS[database]
    assert scores.confusion(truth[here], predicted[here], 3).tolist() == matrix
    assert scores.uf1(matrix) == pytest.approx(uf1, abs=5e-5)
    assert scores.uar(matrix) == pytest.approx(uar, abs=5e-5)


def test_five_averages_called_uf1(log: Log) -> None:
    """One log, five numbers under one name (traps.md, section 2)."""
    truth, predicted, subjects, databases = log
    found = scores.averages(truth, predicted, subjects, databases, 3)
    assert {name: round(value, 3) for name, value in found.items()} == {
        "pooled": 0.721,
        "mean over databases": 0.706,
        "mean over subjects, absent class 1": 0.667,
        "mean over subjects, present classes": 0.618,
        "mean over subjects, absent class 0": 0.422,
    }


def test_interval_of_the_golden_log(log: Log) -> None:
    truth, predicted, subjects, databases = log
    whole = scores.bootstrap(truth, predicted, subjects, np.zeros(442), 3)
    assert (whole.low, whole.high) == pytest.approx((0.655, 0.777), abs=0.004)
    stratified = scores.bootstrap(truth, predicted, subjects, databases, 3)
    assert (stratified.low, stratified.high) == pytest.approx((0.659, 0.775), abs=0.004)
    assert stratified == scores.bootstrap(truth, predicted, subjects, databases, 3), "the seed is fixed"


@pytest.mark.parametrize(("epochs", "uf1", "uar"), [(50, 0.711, 0.696), (200, 0.778, 0.764), (800, 0.829, 0.815)])
def test_chance_by_the_rule_of_ten_public_codes(log: Log, epochs: int, uf1: float, uar: float) -> None:
    """Guesses score above published methods once the epoch is chosen on the test subject (traps.md, section 1)."""
    truth, _, subjects, _ = log
    found = scores.chance("oracle-subject", truth, subjects, 3, epochs)
    assert (found.uf1, found.uar) == pytest.approx((uf1, uar), abs=0.02)


def test_chance_without_choice(log: Log) -> None:
    truth, _, subjects, _ = log
    assert scores.chance("last", truth, subjects, 3, 800).uf1 == pytest.approx(0.339, abs=0.02)
    assert scores.chance("oracle-epoch", truth, subjects, 3, 800).uf1 == pytest.approx(0.41, abs=0.02)
    one = [scores.chance(reading, truth, subjects, 3, 1).uf1 for reading in READINGS]
    assert len(set(one)) == 1, "with one epoch there is nothing to choose"
    last = [scores.chance(reading, truth, subjects, 3, epochs) for reading in scores.RANKED for epochs in (1, 25, 800)]
    assert last == last[:1] * 6, "what chooses nothing has one chance for any number of epochs"


def test_rows_are_true_and_columns_predicted() -> None:
    """An author swapped them and printed recall as precision: an asymmetric case tells (traps.md, section 4)."""
    matrix = scores.confusion([0, 0, 0, 1], [1, 1, 0, 1], 2)
    assert matrix.tolist() == [[1, 2], [0, 1]]
    assert scores.recall(matrix).tolist() == pytest.approx([1 / 3, 1.0])


def test_confusion_keeps_leading_dimensions() -> None:
    predicted = np.array([[[0, 1], [1, 1]], [[0, 0], [1, 0]]])
    matrices = scores.confusion([0, 1], predicted, 2)
    assert matrices.shape == (2, 2, 2, 2)
    assert matrices[1, 1].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(("truth", "predicted"), [([0, 3], [0, 1]), ([0, 1], [0, -1]), ([0.0, 1.0], [0, 1]), ([], []), ([0, 1], [0])])
def test_confusion_refuses_what_is_no_class(truth: list[float], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match=r"classes must|predictions for"):
        scores.confusion(truth, predicted, 3)


labelled = st.integers(2, 5).flatmap(
    lambda c: st.tuples(st.just(c), st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=60))
)


@given(labelled)
def test_agrees_with_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    labels = list(range(classes))
    matrix = scores.confusion(truth, predicted, classes)
    assert (matrix == confusion_matrix(truth, predicted, labels=labels)).all()
    assert scores.accuracy(matrix) == pytest.approx(accuracy_score(truth, predicted))
    for absent in (0.0, 1.0):
        theirs = f1_score(truth, predicted, labels=labels, average=None, zero_division=absent)
        assert scores.f1(matrix, absent=absent) == pytest.approx(theirs)
        theirs = recall_score(truth, predicted, labels=labels, average=None, zero_division=absent)
        assert scores.recall(matrix, absent=absent) == pytest.approx(theirs)


@given(labelled, st.randoms(use_true_random=False))
def test_neither_row_order_nor_class_names_matter(case: tuple[int, list[tuple[int, int]]], random: object) -> None:
    """A library that compared in table order scored perfect predictions 0.30 (traps.md, section 3)."""
    classes, pairs = case
    shuffled, names = list(pairs), list(range(classes))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(names)  # type: ignore[attr-defined]
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    renamed = scores.confusion([names[t] for t, _ in shuffled], [names[p] for _, p in shuffled], classes)
    ours, theirs = scores.confusion(truth, predicted, classes), renamed
    for score in (scores.uf1, scores.uar, scores.accuracy):
        assert score(ours) == pytest.approx(score(theirs), nan_ok=True)


@given(labelled)
def test_a_class_without_clips_gives_no_score(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = scores.confusion(truth, predicted, classes + 1)
    assert math.isnan(scores.uar(matrix))
    assert math.isnan(scores.uf1(matrix)), "it is neither true nor predicted"
    interval = scores.bootstrap(truth, predicted, np.arange(len(truth)), np.zeros(len(truth)), classes + 1, replicates=10)
    assert math.isnan(interval.low)


def test_a_replicate_that_misses_a_class_is_drawn_again() -> None:
    truth = np.array([0] * 9 + [1])
    found = scores.bootstrap(truth, truth, np.arange(10), np.zeros(10), 2, replicates=500)
    assert (found.low, found.high) == (1.0, 1.0), "with class 1 missing UF1 would be NaN"


def test_seeds_are_averaged_within_a_replicate() -> None:
    rng = np.random.default_rng(0)
    truth, subjects = rng.integers(0, 3, 90), np.repeat(np.arange(30), 3)
    right, wrong = truth, (truth + 1) % 3
    found = scores.bootstrap(truth, np.stack([right, wrong]), subjects, np.zeros(90), 3, replicates=200)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5)), "one seed always 1, the other always 0"


def test_strata_keep_their_sizes() -> None:
    """A database whose clips are all right and one whose clips are all wrong: stratified draws always take half of each."""
    truth = np.tile([0, 1], 20)
    predicted = np.concatenate([truth[:20], 1 - truth[20:]])
    subjects, strata = np.repeat(np.arange(20), 2), np.repeat([0, 1], 20)
    stratified = scores.bootstrap(truth, predicted, subjects, strata, 2, scores.accuracy, replicates=300)
    assert (stratified.low, stratified.high) == (0.5, 0.5)
    free = scores.bootstrap(truth, predicted, subjects, np.zeros(40), 2, scores.accuracy, replicates=300)
    assert free.high - free.low > 0.2


def test_readings_on_four_clips() -> None:
    """Epoch 1 is best for subject a, epoch 0 and 2 tie for subject b; by pooled UF1 epoch 1 is best."""
    truth, subjects = np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    predicted = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]])
    assert scores.read("last", predicted, truth, subjects, 2).tolist() == [1, 1, 1, 1]
    assert scores.read("oracle-subject", predicted, truth, subjects, 2).tolist() == [0, 1, 1, 1], "b: ties go to the latest epoch"
    assert scores.read("oracle-epoch", predicted, truth, subjects, 2).tolist() == [0, 1, 1, 0]


def test_inner_takes_the_epoch_that_is_given_for_each_clip() -> None:
    predicted = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]])
    truth, subjects = np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"])
    assert scores.read("inner", predicted, truth, subjects, 2, np.array([1, 1, 2, 2])).tolist() == [0, 1, 1, 1]
    assert scores.read("inner", predicted, 1 - truth, subjects, 2, np.array([1, 1, 2, 2])).tolist() == [0, 1, 1, 1], (
        "truth is not looked at"
    )
    with pytest.raises(ValueError, match="no inner training"):
        scores.read("inner", predicted, truth, subjects, 2)


MATRICES = {
    "poor": [[4, 2, 0], [2, 4, 0], [1, 1, 4]],
    "good": [[6, 0, 0], [1, 5, 0], [0, 0, 6]],
    "as good, other classes": [[6, 0, 0], [0, 6, 0], [0, 1, 5]],
    "accurate, one class never": [[6, 0, 0], [0, 6, 0], [6, 0, 0]],
}


def test_inner_trainings_choose_by_uf1_and_the_earliest_of_equals() -> None:
    poor, good, equal, lost = MATRICES.values()
    assert scores.inner_epoch([poor, good, equal, lost]) == 1
    assert scores.inner_epoch([poor, equal, good]) == scores.inner_epoch([poor, good, equal]) == 1
    first, renamed = [[3, 2, 4], [1, 4, 4], [2, 4, 3]], [[4, 4, 1], [4, 3, 2], [2, 4, 3]]
    assert scores.uf1(renamed) > scores.uf1(first), "by its last bit, though the classes are only renamed"
    assert scores.inner_epoch([first, renamed]) == 0
    assert scores.inner_epoch([lost, poor]) == 1, "by UF1, not by accuracy"
    assert scores.inner_epoch([poor]) == scores.inner_epoch([poor, poor]) == 0


def test_a_class_that_no_training_subject_has_chooses_nothing() -> None:
    """Were it counted, an epoch that takes a clip for it would have a UF1 where the others have none."""
    right, mistaken = [[5, 0, 0], [0, 5, 0], [0, 0, 0]], [[4, 1, 0], [0, 4, 1], [0, 0, 0]]
    assert scores.inner_epoch([right, mistaken]) == 0
    assert scores.inner_epoch([mistaken, right]) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 1000))
def test_inner_epoch_agrees_with_scikit_learn(epochs: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, classes, 30), rng.integers(0, classes, (epochs, 30))
    there = sorted(set(truth.tolist()))
    theirs = [round(f1_score(truth, row, labels=there, average="macro", zero_division=0.0), 10) for row in predicted]
    assert scores.inner_epoch(scores.confusion(truth, predicted, classes)) == theirs.index(max(theirs))


def test_oracle_epoch_ties_go_to_the_earliest() -> None:
    predicted = np.array([[0, 0], [1, 1], [0, 0]])
    assert scores.read("oracle-epoch", predicted, np.array([0, 1]), np.array(["a", "b"]), 2).tolist() == [0, 0]


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_no_reading_beats_the_oracle_per_subject_in_accuracy(epochs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, subjects, predicted = rng.integers(0, 3, 40), rng.integers(0, 9, 40), rng.integers(0, 3, (epochs, 40))
    chosen = rng.integers(0, epochs, 40)[subjects]
    right = {r: (scores.read(r, predicted, truth, subjects, 3, chosen) == truth).sum() for r in READINGS}
    assert right["oracle-subject"] >= max(right["last"], right["oracle-epoch"])


def test_paired_test_sees_a_difference_and_none(log: Log) -> None:
    truth, predicted, subjects, databases = log
    worse = predicted.copy()
    worse[::3] = (worse[::3] + 1) % 3
    found = scores.paired_test(truth, predicted, worse, subjects, databases, 3)
    assert found.difference > 0.1
    assert found.p < 0.001
    assert found.interval.low > 0
    back = scores.paired_test(truth, worse, predicted, subjects, databases, 3)
    assert back.difference == pytest.approx(-found.difference)
    same = scores.paired_test(truth, predicted, predicted, subjects, databases, 3)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_the_paired_interval_keeps_strata_too() -> None:
    """In one database a is always right and b never, in the other both are right: half of each, whatever is drawn."""
    truth = np.tile([0, 1], 20)
    b = np.concatenate([1 - truth[:20], truth[20:]])
    subjects, strata = np.repeat(np.arange(20), 2), np.repeat([0, 1], 20)
    found = scores.paired_test(truth, truth, b, subjects, strata, 2, scores.accuracy, replicates=300)
    assert (found.difference, found.interval.low, found.interval.high) == (0.5, 0.5, 0.5)


def test_paired_test_is_level() -> None:
    """Where two methods differ by luck alone, p is below 0.1 about one time in ten."""
    rng = np.random.default_rng(3)
    truth, subjects = rng.integers(0, 3, 120), np.repeat(np.arange(40), 3)
    low = 0
    for _ in range(200):
        a, b = (np.where(rng.random(120) < 0.6, truth, rng.integers(0, 3, 120)) for _ in range(2))
        low += scores.paired_test(truth, a, b, subjects, np.zeros(120), 3, replicates=200).p < 0.1
    assert 8 <= low <= 34  # 20 expected; outside by less than one in a thousand


def test_paired_test_refuses_other_clips() -> None:
    with pytest.raises(ValueError, match="the same clips"):
        scores.paired_test([0, 1], [0, 1], [[0, 1, 0], [0, 1, 1]], [0, 1], [0, 0], 2)


def noisy(seed: int, first: int, second: int, share: float = 0.6) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return truth of 90 clips, and predictions of two methods that are right by luck equally often, (seeds, 90)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 90)
    a, b = (np.where(rng.random((seeds, 90)) < share, truth, rng.integers(0, 3, (seeds, 90))) for seeds in (first, second))
    return truth, a, b


SUBJECTS = np.repeat(np.arange(15), 6)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 3), (2, 3), (3, 3)])
def test_the_paired_difference_is_that_of_the_means_over_all_seeds(first: int, second: int) -> None:
    truth, a, b = noisy(0, first, second)
    found = scores.paired_test(truth, a, b, SUBJECTS, np.zeros(90), 3, replicates=200)
    means = [scores.uf1(scores.confusion(truth, each, 3)).mean() for each in (a, b)]
    assert found.difference == pytest.approx(means[0] - means[1], abs=1e-12)
    back = scores.paired_test(truth, b, a, SUBJECTS, np.zeros(90), 3, replicates=200)
    assert (back.difference, back.interval.low) == pytest.approx((-found.difference, -found.interval.high), abs=1e-12)
    repeated = scores.paired_test(truth, np.tile(a, (2, 1)), np.tile(b, (2, 1)), SUBJECTS, np.zeros(90), 3, replicates=200)
    assert repeated.p == found.p, "the same seed twice tells nothing new"


@pytest.mark.parametrize(("first", "second"), [(3, 2)])
def test_a_swap_takes_a_subject_in_all_seeds(first: int, second: int) -> None:
    """Counted out, swap by swap, on what is one prediction after another."""
    truth, a, b = noisy(1, first, second)
    found = scores.paired_test(truth, a, b, SUBJECTS, np.zeros(90), 3, replicates=20, seed=4)
    both = [(one, two) for one, two in zip(range(6), range(6), strict=True)][: math.lcm(first, second)]
    extreme = 0
    for swapped in scores.swaps_of(np.random.default_rng([4, 1]), 20, 15):
        here = swapped[SUBJECTS] == 1
        gaps = []
        for one, two in both:
            x, y = a[one % first], b[two % second]
            mine, theirs = np.where(here, y, x), np.where(here, x, y)
            gaps.append(f1_score(truth, mine, average="macro") - f1_score(truth, theirs, average="macro"))
        extreme += abs(np.mean(gaps)) >= abs(found.difference) - 1e-9
    assert found.p == (1 + extreme) / 21


def test_paired_test_is_level_with_unlike_numbers_of_seeds() -> None:
    low = 0
    for seed in range(200):
        truth, a, b = noisy(seed, 1, 3)
        low += scores.paired_test(truth, a, b, SUBJECTS, np.zeros(90), 3, replicates=200).p < 0.1
    assert 8 <= low <= 34  # 20 expected; outside by less than one in a thousand


def test_what_has_no_value_is_no_difference() -> None:
    """A class that no clip has: it was p = 0.0001 where UF1 has no value for one of the two, for nothing is as large as NaN."""
    truth, subjects = np.array([0, 1] * 10), np.repeat(np.arange(10), 2)
    wrong = 1 - truth
    wrong[0] = 2
    found = scores.paired_test(truth, truth, wrong, subjects, np.zeros(20), 3, replicates=50)
    assert math.isnan(found.difference)
    assert found.p == 1
    both = truth.copy()
    both[4] = 2
    swapped = scores.paired_test(truth, both, wrong, subjects, np.zeros(20), 3, replicates=400)
    assert swapped.difference > 0.3
    assert swapped.p > 0.4, "half of the swaps leave one of them without a value"


def test_an_interval_that_is_hardly_ever_drawn_is_none() -> None:
    """Twenty classes of one subject each: two draws in a hundred million have them all. It was looked for without end."""
    truth = np.arange(20)
    found = scores.bootstrap(truth, truth, truth, np.zeros(20), 20, replicates=20)
    assert math.isnan(found.low)
    few = scores.bootstrap(np.arange(4), np.arange(4), np.arange(4), np.zeros(4), 4, replicates=50)
    assert few == scores.Interval(1, 1), "a tenth of all draws"
