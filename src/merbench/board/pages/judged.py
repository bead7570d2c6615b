"""A run's held-out clips as arrays, and what a report counts on them: by subject, by epoch, by certainty, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.joined import predictions
from merbench.errors import UserError
from merbench.foldfile import FoldResult, fold_name
from merbench.results import Run

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 10
"""Of the reliability diagram, of equal width."""


@dataclass(frozen=True)
class Judged:
    """Every seed that has all its folds; clips sorted by key, which all seeds share.

    Attributes:
        seeds: indices.
        folds: by seed, as they were read.
        classes: names.
        clips, subjects, databases, truth: (N,).
        epochs: (E,) recorded.
        probabilities: (S, E, N, C) float32.
    """

    seeds: tuple[int, ...]
    folds: tuple[tuple[FoldResult, ...], ...]
    classes: tuple[str, ...]
    clips: NDArray[np.str_]
    subjects: NDArray[np.str_]
    databases: NDArray[np.str_]
    truth: Ints
    epochs: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    @property
    def last(self) -> NDArray[np.float32]:
        """Return the last epoch's probabilities, (S, N, C)."""
        return self.probabilities[:, -1]

    @property
    def predicted(self) -> Ints:
        """Return the last epoch's predictions, (S, N)."""
        found: Ints = self.last.argmax(-1).astype(np.int64)
        return found


def judged(run: Run, seeds: Sequence[int]) -> Judged:
    """Read these seeds of a run.

    Raises:
        UserError: no seed is named, or folds cannot be read or do not fit together.
    """
    held_out, classes = run.described()[1].folds, run.described()[1].classes
    if not seeds:
        raise UserError("no seed of this run has all its folds", where=run.path, remedy="run its command again to finish it")
    folds = tuple(tuple(run.results([fold_name(each, seed) for each in held_out])) for seed in seeds)
    tables = [predictions(run, each) for each in folds]
    first = tables[0]
    return Judged(
        seeds=tuple(seeds),
        folds=folds,
        classes=tuple(classes),
        clips=first.clips,
        subjects=first.subjects,
        databases=first.databases,
        truth=first.truth,
        epochs=folds[0][0].epochs,
        probabilities=np.stack([_joined(each) for each in folds]),
    )


def _joined(folds: Sequence[FoldResult]) -> NDArray[np.float32]:
    """Return a seed's probabilities, (E, N, C), in the order of `predictions`."""
    clips = np.array([clip for fold in folds for clip in fold.clips])
    return np.concatenate([fold.probabilities for fold in folds], axis=1)[:, np.argsort(clips)]


def by_epoch(found: Judged) -> Floats:
    """Return the pooled UF1 at every recorded epoch, (S, E)."""
    classes = len(found.classes)
    return np.stack([scores.uf1(scores.confusion(found.truth, each.argmax(-1), classes)) for each in found.probabilities])


@dataclass(frozen=True)
class Subject:
    """How many of a subject's clips were judged right; a mean over seeds."""

    name: str
    database: str
    clips: int
    right: float


def by_subject(found: Judged) -> list[Subject]:
    """Return every subject, by database, the best judged first."""
    right = (found.predicted == found.truth).mean(0)  # (N,)
    rows = []
    for name in dict.fromkeys(found.subjects.tolist()):
        mine = found.subjects == name
        rows.append(Subject(name.partition("/")[2], name.partition("/")[0], int(mine.sum()), float(right[mine].sum())))
    return sorted(rows, key=lambda row: (row.database, -row.right / row.clips, -row.clips, row.name))


@dataclass(frozen=True)
class Calibration:
    """Whether a clip that is judged with certainty p is judged right p of the time (Guo et al., ICML 2017).

    Attributes:
        clips: (B,) of a bin, all seeds together; bins are ((b - 1) / B, b / B].
        certainty, accuracy: (B,) means; NaN where a bin is empty.
        error: expected calibration error, the mean distance of both over clips.
        sure, right: means over all clips.
    """

    clips: Ints
    certainty: Floats
    accuracy: Floats
    error: float
    sure: float
    right: float


def calibration(found: Judged, bins: int = BINS) -> Calibration:
    """Return the calibration of the last epoch: of the highest probability of each clip, over all seeds."""
    certainty = found.last.max(-1).astype(np.float64).ravel()
    right = (found.predicted == found.truth).astype(np.float64).ravel()
    place = np.clip(np.ceil(certainty * bins).astype(int) - 1, 0, bins - 1)
    clips = np.bincount(place, minlength=bins)
    sums = np.stack([np.bincount(place, weights=values, minlength=bins) for values in (certainty, right)])
    means = np.divide(sums, clips, out=np.full(sums.shape, np.nan), where=clips > 0)
    error = float(np.abs(sums[0] - sums[1]).sum() / clips.sum())
    return Calibration(clips, means[0], means[1], error, float(certainty.mean()), float(right.mean()))


@dataclass(frozen=True)
class Hard:
    """A clip that was judged badly.

    Attributes:
        clip: its key.
        truth: class name.
        probability: of the truth, a mean over seeds.
        predicted: by seed, class name and its probability.
    """

    clip: str
    truth: str
    probability: float
    predicted: tuple[tuple[str, float], ...]


def hardest(found: Judged, count: int = 20) -> list[Hard]:
    """Return the clips whose true class was given the least probability in the last epoch, hardest first, ties by key."""
    of_truth = found.last[:, np.arange(found.truth.size), found.truth].astype(np.float64).mean(0)
    rows = []
    for index in np.argsort(of_truth, kind="stable")[:count].tolist():
        named = [(found.classes[each.argmax()], float(each.max())) for each in found.last[:, index]]
        rows.append(Hard(str(found.clips[index]), found.classes[found.truth[index]], float(of_truth[index]), tuple(named)))
    return rows


@dataclass(frozen=True)
class Measure:
    """What a method tells of its held-out clips beside their class (``Method.measures``).

    Attributes:
        name: the method's.
        values: one a clip and seed, NaN where it was not taken.
        right, wrong: medians over clips that were judged right and wrong in the last epoch; NaN where there is none.
    """

    name: str
    values: Floats
    right: float
    wrong: float

    @property
    def taken(self) -> int:
        """Return of how many judgements it was taken."""
        return int(np.isfinite(self.values).sum())

    @property
    def least(self) -> float:
        """Return the smallest value; NaN where none was taken."""
        return float(np.fmin.reduce(self.values))

    @property
    def median(self) -> float:
        """Return the median; NaN where none was taken."""
        return _median(self.values)

    @property
    def largest(self) -> float:
        """Return the largest value; NaN where none was taken."""
        return float(np.fmax.reduce(self.values))


def measures(found: Judged) -> list[Measure]:
    """Return every measure that some fold has."""
    names = dict.fromkeys(name for folds in found.folds for fold in folds for name in fold.measures)
    rows = []
    for name in names:
        taken, hits = [], []
        for folds in found.folds:
            for fold in folds:
                taken += fold.measures.get(name, [np.nan] * len(fold.clips))
                hits += (fold.probabilities[-1].argmax(-1) == fold.labels).tolist()
        values, hit = np.array(taken, dtype=np.float64), np.array(hits, dtype=bool)
        rows.append(Measure(name, values, _median(values[hit]), _median(values[~hit])))
    return rows


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


@dataclass(frozen=True)
class Curve:
    """A part of the loss in one stage, over all folds and seeds.

    Attributes:
        stage, part: names.
        low, middle, high: (E,) the tenth percentile, the median and the ninetieth.
    """

    stage: str
    part: str
    low: Floats
    middle: Floats
    high: Floats


def curves(found: Judged) -> list[Curve]:
    """Return every part of every stage, by stage, ``total`` first; the stage whose epochs are recorded stands last.

    A fold file has its stages by name, not in their order.
    """
    every: dict[tuple[str, str], list[list[float]]] = {}
    for folds in found.folds:
        for fold in folds:
            for stage, parts in fold.curve.items():
                for part, values in parts.items():
                    every.setdefault((stage, part), []).append(list(values))
    rows = []
    for (stage, part), lists in every.items():
        length = min(map(len, lists))
        if length:
            low, middle, high = np.percentile(np.array([each[:length] for each in lists]), [10, 50, 90], axis=0)
            rows.append(Curve(stage, part, low, middle, high))
    return sorted(rows, key=lambda row: (len(row.middle) == found.epochs[-1], row.stage, row.part != "total", row.part))
