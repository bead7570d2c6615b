"""Two runs, paired over subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.columns import number
from merbench.board.joined import Table, joined
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import Run
from merbench.scores import Reading

SCORES = {"UF1": scores.uf1, "UAR": scores.uar}


@dataclass(frozen=True)
class Side:
    """What is compared with another, by one reading.

    Attributes:
        name, key: as the board calls them.
        on, protocol, preset: as in `Request`.
        where: the folder or file.
        classes: class names.
        table: of the clips.
        predicted: (seeds, N) class indices of every complete seed.
    """

    name: str
    key: str
    on: str
    protocol: str
    preset: str
    where: Path
    classes: tuple[str, ...]
    table: Table
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two runs on the same clips, both by one reading.

    Attributes:
        table: of the clips.
        seeds: how many complete ones each run has; all are taken.
        means: by score, of each run over its seeds.
        tests: by score, of the difference, first less second.
    """

    table: Table
    seeds: tuple[int, int]
    means: dict[str, tuple[float, float]]
    tests: dict[str, scores.Paired]


def side(run: Run, reading: Reading = "last") -> Side:
    """Return a run as one side of a comparison.

    Raises:
        UserError: no seed is complete, or it lacks the reading.
    """
    table, predicted = taken(run, reading)
    request, classes = run.request, tuple(run.provenance.classes)
    return Side(request.name, run.path.name, request.data.on, request.protocol, request.preset, run.path, classes, table, predicted)


def paired(a: Run, b: Run, reading: Reading = "last") -> Pair:
    """Return the difference of two runs' pooled scores, paired over subjects.

    Raises:
        UserError: they have other clips or labels, no seed is complete, or one lacks the reading.
    """
    return paired_sides(side(a, reading), side(b, reading))


def paired_sides(a: Side, b: Side) -> Pair:
    """Return the difference of the pooled scores of two sides by the same reading, paired over subjects.

    Raises:
        UserError: they have other clips or labels.
    """
    table = a.table
    if a.classes != b.classes or not np.array_equal(table.clips, b.table.clips) or not np.array_equal(table.truth, b.table.truth):
        raise UserError(
            "the two runs have other clips or labels; there is nothing to pair",
            where=f"{a.where} and {b.where}",
            remedy="compare runs of one table",
        )
    means, tests = tested(table.truth, a.predicted, b.predicted, table.subjects, table.databases, len(a.classes))
    return Pair(table, (len(a.predicted), len(b.predicted)), means, tests)


def tested(
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    subjects: NDArray[np.str_],
    databases: NDArray[np.str_],
    classes: int,
) -> tuple[dict[str, tuple[float, float]], dict[str, scores.Paired]]:
    """Return by score the means over seeds of two sets of predictions, and the paired test of their difference.

    Args:
        truth, subjects, databases: (N,), of both.
        first, second: (seeds, N), of any two numbers of seeds.
        classes: C.
    """
    means, tests = {}, {}
    for name, score in SCORES.items():
        one, two = (float(score(scores.confusion(truth, each, classes)).mean()) for each in (first, second))
        means[name] = (one, two)
        tests[name] = scores.paired_test(truth, first, second, subjects, databases, classes, score)
    return means, tests


def compare_runs(a: Run, b: Run, reading: Reading = "last") -> str:
    """Return the difference of two runs' pooled UF1 and UAR in words, with interval and p.

    Raises:
        UserError: they have other clips or labels, no seed is complete, or one lacks the reading.
    """
    return compared(side(a, reading), side(b, reading), reading)


def compared(a: Side, b: Side, reading: Reading = "last") -> str:
    """Return the difference of pooled UF1 and UAR in words, with interval and p.

    Args:
        a, b: both by this reading.
        reading: named in the words.

    Raises:
        UserError: they have other clips or labels.
    """
    pair = paired_sides(a, b)
    subjects = len(set(pair.table.subjects.tolist()))
    lines = [
        f"{a.name} ({a.key[:8]}) against {b.name} ({b.key[:8]}) on {a.on}: {len(pair.table.clips)} clips, {subjects} subjects",
        f"{reading} epoch, {seeds_told(*pair.seeds)}, predictions swapped by subject {scores.REPLICATES:,} times",
    ]
    if a.protocol != b.protocol:
        lines.append(f"protocols differ: {a.protocol} against {b.protocol}; they learnt from other clips")
    if a.preset != b.preset:
        lines.append(f"presets differ: {a.preset} against {b.preset}")
    return "\n".join([*lines, *(difference_told(name, pair.means[name], test) for name, test in pair.tests.items())])


def seeds_told(first: int, second: int) -> str:
    """Return ``1 seed`` or ``means over 3 seeds against 1``."""
    if first == second:
        return "1 seed" if first == 1 else f"means over {first} seeds each"
    return f"means over {first} seed{'s' if first > 1 else ''} against {second}"


def difference_told(name: str, means: tuple[float, float], test: scores.Paired) -> str:
    """Return a score of two, their difference, its interval and p; dashes where the score has no value."""
    if math.isnan(test.difference):
        return f"{name}  {number(means[0])} against {number(means[1])}: no difference can be told, a class never occurs"
    interval = "-" if math.isnan(test.interval.low) else f"{test.interval.low:+.3f} to {test.interval.high:+.3f}"
    least = test.p * scores.REPLICATES < 1.5
    p = f"< {1 / scores.REPLICATES:.4f}" if least else f"= {test.p:.4f}"
    return f"{name}  {means[0]:.4f} - {means[1]:.4f} = {test.difference:+.4f}  95 % interval {interval}  p {p}"


def taken(run: Run, reading: Reading) -> tuple[Table, NDArray[np.int64]]:
    """Return a run's table and the predictions that a reading takes by seed, (seeds, N)."""
    tables = complete(run)
    if reading == "inner" and any(table.chosen is None for table in tables):
        raise UserError("this run has no inner trainings", where=run.path, remedy="run it with training.inner=3, or leave --reading out")
    classes = len(run.provenance.classes)
    return tables[0], np.stack([scores.read(reading, t.predicted, t.truth, t.subjects, classes, t.chosen) for t in tables])


def complete(run: Run) -> list[Table]:
    """Return the predictions of each seed that has all its folds; clips and truth are the same in all.

    Raises:
        UserError: none has, or they do not fit together.
    """
    finished, provenance = run.finished(), run.described()[1]
    seeds = sorted({int(name.rsplit("--s", 1)[1]) for name in finished})
    names = {seed: [fold_name(each, seed) for each in provenance.folds] for seed in seeds}
    tables = joined(run, [run.results(names[seed]) for seed in seeds if finished.issuperset(names[seed])], provenance.clips)
    if not tables:
        raise UserError("no seed of this run has all its folds", where=run.path, remedy="run its command again to finish it")
    return tables
