"""UF1, UAR and what surrounds them: other averages, readings, intervals, paired tests, chance. Pure numpy.

Every confusion matrix here has TRUE classes as rows and PREDICTED classes as columns. Scores are those of MEGC2019: the matrix is
pooled over all folds first, and only then read. Functions of a matrix take (..., C, C) and return (...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Reading = Literal["last", "inner", "oracle-subject", "oracle-epoch"]
READINGS: tuple[Reading, ...] = ("last", "inner", "oracle-subject", "oracle-epoch")
RANKED: tuple[Reading, ...] = ("last", "inner")
"""Readings whose choice has not seen the held-out subject. Each is ranked by itself, never with the other."""

REPLICATES = 10_000

DRAWS = 100
"""Draws a replicate, on average, after which no interval is looked for: hardly any draw of these subjects has every class."""


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """Count clips by true class (rows) and predicted class (columns).

    Args:
        truth: (N,) class indices.
        predicted: (..., N) class indices; leading dimensions (seeds, epochs) are kept.
        classes: C.

    Returns:
        (..., C, C) counts.

    Raises:
        ValueError: lengths differ, or an index is not in [0, C).
    """
    true, pred = _indices(truth, classes), _indices(predicted, classes)
    if true.ndim != 1 or pred.shape[-1:] != true.shape:
        raise ValueError(f"{pred.shape[-1:]} predictions for {true.shape} clips")
    rows = pred.reshape(-1, true.size)
    cells = np.arange(len(rows))[:, None] * classes**2 + true * classes + rows
    counts = np.bincount(cells.ravel(), minlength=len(rows) * classes**2)
    return counts.reshape(*pred.shape[:-1], classes, classes)


def f1(matrix: ArrayLike, absent: float = np.nan) -> Floats:
    """Return F1 per class, (..., C): 2TP / (2TP + FP + FN); ``absent`` where a class is neither true nor predicted anywhere."""
    m = np.asarray(matrix, dtype=np.float64)
    return _ratio(2 * _hits(m), m.sum(-1) + m.sum(-2), absent)


def recall(matrix: ArrayLike, absent: float = np.nan) -> Floats:
    """Return recall per class, (..., C): TP / true clips of the class; ``absent`` where it has none."""
    m = np.asarray(matrix, dtype=np.float64)
    return _ratio(_hits(m), m.sum(-1), absent)


def uf1(matrix: ArrayLike) -> Floats:
    """Return the unweighted F1, (...): the mean of `f1` over classes (MEGC2019). NaN where a class never occurs."""
    mean: Floats = f1(matrix).mean(-1)
    return mean


def uar(matrix: ArrayLike) -> Floats:
    """Return the unweighted average recall, (...): the mean of `recall` over classes. NaN where a class has no clip."""
    mean: Floats = recall(matrix).mean(-1)
    return mean


def accuracy(matrix: ArrayLike) -> Floats:
    """Return the share of clips judged right, (...)."""
    m = np.asarray(matrix, dtype=np.float64)
    return _ratio(_hits(m).sum(-1), m.sum((-2, -1)), np.nan)


def averages(truth: ArrayLike, predicted: ArrayLike, subjects: ArrayLike, databases: ArrayLike, classes: int) -> dict[str, float]:
    """Return the five averages that papers call UF1, by name. Only ``pooled`` can be compared between papers.

    23 of the 68 subjects of 3DB show one class only: what an absent class counts decides a mean over subjects.
    """
    by_subject = _by_group(truth, predicted, subjects, classes)
    by_database = _by_group(truth, predicted, databases, classes)
    return {
        "pooled": float(uf1(by_subject.sum(0))),
        "mean over databases": float(uf1(by_database).mean()),
        "mean over subjects, absent class 1": float(f1(by_subject, absent=1.0).mean()),
        "mean over subjects, present classes": float(np.nanmean(f1(by_subject), axis=-1).mean()),
        "mean over subjects, absent class 0": float(f1(by_subject, absent=0.0).mean()),
    }


# Readings: which recorded epoch's predictions count. Truth is looked at by both oracles, which is why neither is ranked.


def inner_epoch(matrices: ArrayLike) -> int:
    """Return the position of the epoch that inner trainings choose: the one with their best pooled UF1, ties to the earliest.

    A class of which the training subjects have no clip counts in no epoch; else an epoch would win by mistaking clips for it.

    Args:
        matrices: (E, C, C) by recorded epoch, summed over the inner trainings, each judging the training subjects that it left out.
    """
    counts = np.asarray(matrices, dtype=np.float64)
    pooled = f1(counts)[:, counts[0].sum(-1) > 0].mean(-1)
    return int((pooled >= pooled.max() - TIE).argmax())


TIE = 1e-12
"""Scores that differ by less are one score, rounded otherwise."""


def read(
    reading: Reading, predicted: ArrayLike, truth: ArrayLike, subjects: ArrayLike, classes: int, chosen: ArrayLike | None = None
) -> Ints:
    """Choose the predictions that a reading takes.

    Args:
        reading: ``last``: the last epoch. ``inner``: for each clip the epoch that is given. ``oracle-subject``: for each held-out subject the epoch with its highest accuracy, ties to
            the latest (what 10 of 16 public training codes report). ``oracle-epoch``: one epoch for all, the one with the best
            pooled UF1, ties to the earliest.
        predicted: (E, N) class indices by epoch, in order of training.
        truth, subjects: (N,).
        classes: C.
        chosen: (N,) positions of epochs, for ``inner``: what `inner_epoch` says for each clip's fold.

    Returns:
        (N,) class indices.

    Raises:
        ValueError: ``inner`` is asked for, and nothing was chosen.
    """
    pred, true = np.asarray(predicted, dtype=np.int64), np.asarray(truth, dtype=np.int64)
    if reading == "last":
        return _at(pred, np.full(true.size, len(pred) - 1))
    if reading == "inner":
        if chosen is None:
            raise ValueError("no inner training has chosen an epoch")
        return _at(pred, np.asarray(chosen, dtype=np.int64))
    if reading == "oracle-epoch":
        best = np.nan_to_num(uf1(confusion(true, pred, classes))).argmax()
        return _at(pred, np.full(true.size, best))
    names, group = np.unique(np.asarray(subjects), return_inverse=True)
    hits = (pred == true).astype(np.float64) @ np.eye(len(names))[group]  # (E, subjects)
    latest_best = len(pred) - 1 - hits[::-1].argmax(0)
    return _at(pred, latest_best[group])


@dataclass(frozen=True, slots=True)
class Chance:
    """What guessing scores under one reading: means and standard deviations over repeats."""

    uf1: float
    uf1_sd: float
    uar: float
    uar_sd: float


def chance(reading: Reading, truth: ArrayLike, subjects: ArrayLike, classes: int, epochs: int, repeats: int = 20, seed: int = 0) -> Chance:
    """Score guesses drawn from the class prior, a fresh draw an epoch, by a reading: what the rule alone is worth.

    No image and no network is involved. With 800 epochs ``oracle-subject`` gives guesses UF1 0.83 on 3DB. What chooses nothing has one
    chance for any number of epochs: ``last``, and ``inner``, since guesses at the training subjects choose an epoch that is as good as any.
    """
    true = _indices(truth, classes)
    edges = np.cumsum(np.bincount(true, minlength=classes) / true.size)[:-1]
    among = 1 if reading in RANKED else epochs
    rng = np.random.default_rng([seed, among])
    taken = []
    for _ in range(repeats):
        drawn = np.searchsorted(edges, rng.random((among, true.size)), side="right")
        taken.append(read("last" if reading in RANKED else reading, drawn, true, subjects, classes))
    matrices = confusion(true, np.stack(taken), classes)
    f, r = uf1(matrices), uar(matrices)
    return Chance(float(f.mean()), float(f.std(ddof=1)), float(r.mean()), float(r.std(ddof=1)))


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval."""

    low: float
    high: float


def bootstrap(
    truth: ArrayLike,
    predicted: ArrayLike,
    subjects: ArrayLike,
    strata: ArrayLike,
    classes: int,
    score: Callable[[Ints], Floats] = uf1,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """Return the 95 % interval of a pooled score, subjects drawn with replacement within each stratum (database).

    Args:
        truth: (N,).
        predicted: (N,), or (seeds, N): the score is averaged over seeds within a replicate.
        subjects, strata: (N,).
        classes: C. A replicate that misses a class is drawn again; where a class has no clip at all, or less than about one draw in
            `DRAWS` has them all, the interval is NaN.
        score: a function of (..., C, C).
    """
    tables, strata_of = _tables(truth, predicted, subjects, strata, classes)
    weights = _draw(tables[0].sum(-1), strata_of, replicates, seed)
    if weights is None:
        return Interval(np.nan, np.nan)
    return _interval(_weighted(weights, tables, score))


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference a - b of two methods on the same clips, its interval, and how often chance does as much."""

    difference: float
    interval: Interval
    p: float


def paired_test(
    truth: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    subjects: ArrayLike,
    strata: ArrayLike,
    classes: int,
    score: Callable[[Ints], Floats] = uf1,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Paired:
    """Test whether two methods differ, paired over subjects.

    The two methods' predictions are swapped for random subjects (the subject is the unit: its clips stand or fall together);
    p is the two-sided share of swaps whose difference is at least as large. The interval comes from `bootstrap` draws that
    both methods share.

    With several seeds a subject is swapped in all of them at once, and the difference is that of the two means over seeds. Seeds are no
    further sample of subjects: to swap them one by one would make p small for methods that differ by nothing but their luck with these
    people. `paired_seeds` says which seed is swapped with which.

    A swap that leaves the score without a value counts as one that does as much: p is 1 where the difference itself has none.

    Args:
        truth, subjects, strata: (N,).
        a, b: (N,), or (seeds, N); they may have unlike numbers of seeds.
        classes, score, replicates, seed: as in `bootstrap`.

    Raises:
        ValueError: a and b are of other numbers of clips.
    """
    if np.shape(a)[-1:] != np.shape(b)[-1:]:
        raise ValueError(f"a paired test needs predictions of the same clips, not of {np.shape(a)[-1:]} and {np.shape(b)[-1:]}")
    first, strata_of = _tables(truth, a, subjects, strata, classes)
    second, _ = _tables(truth, b, subjects, strata, classes)
    one, two = paired_seeds(len(first), len(second))
    first, second = first[one], second[two]

    def gap(x: Any, y: Any) -> Any:
        return score(x).mean(0) - score(y).mean(0)

    seen = float(gap(first.sum(1), second.sum(1)))
    swaps = swaps_of(np.random.default_rng([seed, 1]), replicates, first.shape[1])
    swapped = _weighted(1 - swaps, first, score, plus=(swaps, second)) - _weighted(swaps, first, score, plus=(1 - swaps, second))
    extreme = replicates - int((np.abs(swapped) < abs(seen) - TIE).sum())
    weights = _draw(first[0].sum(-1), strata_of, replicates, seed)
    if weights is None:
        interval = Interval(np.nan, np.nan)
    else:
        interval = _interval(_weighted(weights, first, score) - _weighted(weights, second, score))
    return Paired(seen, interval, (1 + extreme) / (1 + replicates))


def paired_seeds(first: int, second: int) -> tuple[Ints, Ints]:
    """Return which seeds of two methods are swapped with one another, positions of the first's and of the second's.

    Of equal numbers each with its like: seeds of a fold are independent, so any pairing is as good. Of unlike numbers each is repeated up to
    their least common multiple, so that every seed counts as often as the others of its method and the difference stays that of the means.
    """
    both = np.arange(math.lcm(first, second))
    return both % first, both % second


def swaps_of(rng: np.random.Generator, replicates: int, subjects: int) -> Floats:
    """Return whose predictions a paired test swaps, (replicates, subjects), 1 where they are."""
    return rng.integers(0, 2, (replicates, subjects)).astype(np.float64)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down rule (Scandinavian Journal of Statistics 6, 1979), in the order given."""
    corrected, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda each: p[each])):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = largest
    return corrected


def _indices(values: ArrayLike, classes: int) -> Ints:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() >= classes:
        raise ValueError(f"classes must be whole numbers from 0 to {classes - 1}, and at least one")
    return array.astype(np.int64)


def _at(predicted: Ints, epoch_of: Ints) -> Ints:
    chosen: Ints = predicted[epoch_of, np.arange(epoch_of.size)]
    return chosen


def _hits(matrix: Floats) -> Floats:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(top: Floats, bottom: Floats, otherwise: float) -> Floats:
    return np.divide(top, bottom, out=np.full(np.shape(bottom), otherwise, dtype=np.float64), where=np.asarray(bottom) > 0)


def _by_group(truth: ArrayLike, predicted: ArrayLike, groups: ArrayLike, classes: int) -> Ints:
    """Return one matrix a group, (groups, C, C), in the groups' sorted order."""
    true, pred = _indices(truth, classes), _indices(predicted, classes)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    cells = (group * classes + true) * classes + pred
    return np.bincount(cells, minlength=len(names) * classes**2).reshape(len(names), classes, classes)


def _tables(truth: ArrayLike, predicted: ArrayLike, subjects: ArrayLike, strata: ArrayLike, classes: int) -> tuple[Ints, NDArray[Any]]:
    """Return matrices (seeds, subjects, C, C) and the stratum of each subject (subjects,)."""
    _, first = np.unique(np.asarray(subjects), return_index=True)
    tables = np.stack([_by_group(truth, row, subjects, classes) for row in np.atleast_2d(np.asarray(predicted))])
    return tables, np.asarray(strata)[first]


def _draw(class_counts: Ints, strata: NDArray[Any], replicates: int, seed: int) -> Floats | None:
    """Return how often each subject is drawn, (replicates, subjects), every class present in each; None where that cannot be, or hardly."""
    if (class_counts.sum(0) == 0).any():
        return None
    rng = np.random.default_rng(seed)
    weights = np.zeros((replicates, len(strata)))
    missing, left = np.arange(replicates), DRAWS * replicates
    while missing.size:
        left -= missing.size
        if left < 0:
            return None
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            drawn = rng.multinomial(members.size, np.full(members.size, 1 / members.size), size=missing.size)
            weights[np.ix_(missing, members)] = drawn
        missing = missing[((weights[missing] @ class_counts) == 0).any(-1)]
    return weights


def _weighted(weights: Floats, tables: Ints, score: Callable[[Any], Floats], plus: tuple[Floats, Ints] | None = None) -> Floats:
    """Return the score of each weighted sum of subjects, averaged over seeds, (replicates,)."""
    total = np.zeros(len(weights))
    for seed, table in enumerate(tables):
        pooled = weights @ table.reshape(len(table), -1)
        if plus is not None:
            pooled = pooled + plus[0] @ plus[1][seed].reshape(len(table), -1)
        total += score(pooled.reshape(-1, *table.shape[1:]))
    return total / len(tables)


def _interval(values: Floats) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
