"""Predictions read by each rule: the score with its interval, its parts and what guesses score by the same rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merbench import scores
from merbench.board.joined import Table
from merbench.data import databases
from merbench.scores import READINGS, Reading


@dataclass(frozen=True)
class Score:
    """Pooled scores of one reading, means over seeds.

    Attributes:
        uf1, uar, accuracy: pooled over all folds.
        uf1_interval, uar_interval: 95 %, subjects drawn with replacement within each database.
        parts: database to UF1, UAR and accuracy, the same predictions read on that database's clips.
        chance_uf1, chance_uf1_sd: what guesses from the class prior score by this reading with as many epochs.
        confusion: summed over seeds; rows true, columns predicted.
    """

    uf1: float
    uar: float
    accuracy: float
    uf1_interval: tuple[float, float]
    uar_interval: tuple[float, float]
    parts: dict[str, tuple[float, float, float]]
    chance_uf1: float
    chance_uf1_sd: float
    confusion: list[list[int]]


def readings_of(tables: Sequence[Table], classes: int, epochs: int) -> dict[str, Score]:
    """Return every reading that there is, by name: the oracles where each epoch was recorded, ``inner`` where it was chosen or is the only one.

    Args:
        tables: one a seed; none at all has no readings.
        classes: C.
        epochs: the last one that was recorded.
    """
    if not tables:
        return {}
    recorded = len(tables[0].predicted)
    readings: dict[str, Score] = {}
    there = {"last": True, "inner": all(table.chosen is not None for table in tables)}
    for name in (each for each in READINGS if there.get(each, 1 < recorded == epochs)):
        only = name == "inner" and recorded == 1  # there is no other epoch: it need not be computed again
        readings[name] = readings["last"] if only else score_of(name, tables, classes)
    return readings


def averages_of(tables: Sequence[Table], classes: int) -> dict[str, float]:
    """Return the five averages that papers call UF1, of the last epoch, means over seeds."""
    each = [scores.averages(t.truth, t.predicted[-1], t.subjects, t.databases, classes) for t in tables]
    return {name: float(np.mean([one[name] for one in each])) for name in (each[0] if each else ())}


def score_of(reading: Reading, tables: Sequence[Table], classes: int) -> Score:
    """Return the score of one reading of predictions, a table a seed, of a run or of any origin; rows are the same in all tables."""
    first = tables[0]
    taken = np.stack([scores.read(reading, t.predicted, t.truth, t.subjects, classes, t.chosen) for t in tables])
    matrices = scores.confusion(first.truth, taken, classes)
    chance = scores.chance(reading, first.truth, first.subjects, classes, len(first.predicted))
    parts = {}
    present = set(first.databases.tolist())
    for database in (*(name for name in databases.known() if name in present), *sorted(present - set(databases.known()))):
        here = first.databases == database
        part = scores.confusion(first.truth[here], taken[:, here], classes)
        parts[database] = (float(scores.uf1(part).mean()), float(scores.uar(part).mean()), float(scores.accuracy(part).mean()))
    intervals = [
        scores.bootstrap(first.truth, taken, first.subjects, first.databases, classes, score) for score in (scores.uf1, scores.uar)
    ]
    return Score(
        uf1=float(scores.uf1(matrices).mean()),
        uar=float(scores.uar(matrices).mean()),
        accuracy=float(scores.accuracy(matrices).mean()),
        uf1_interval=(intervals[0].low, intervals[0].high),
        uar_interval=(intervals[1].low, intervals[1].high),
        parts=parts,
        chance_uf1=chance.uf1,
        chance_uf1_sd=chance.uf1_sd,
        confusion=matrices.sum(0).tolist(),
    )


def by_subject(reading: Reading, tables: Sequence[Table], classes: int) -> dict[str, list[list[int]]]:
    """Return the confusion of a reading by subject and seed, rows one after another."""
    found: dict[str, list[list[int]]] = {}
    for table in tables:
        taken = scores.read(reading, table.predicted, table.truth, table.subjects, classes, table.chosen)
        for subject in sorted(set(table.subjects.tolist())):
            here = table.subjects == subject
            matrix = scores.confusion(table.truth[here], taken[here], classes)
            found.setdefault(subject, []).append([int(count) for count in matrix.ravel()])
    return found
