"""Two runs, paired over subjects."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench import scores
from merbench.board.rows import Table, predictions
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import Run, runs_in


def find(root: Path, named: str) -> Run:
    """Return the run with this folder, beginning of a key, or name.

    Raises:
        UserError: none or several have it.
    """
    for folder in (Path(named), root / named):
        if named and (folder / "request.yaml").is_file():
            return Run(folder)
    runs = runs_in(root)
    requests = {}
    for run in runs:
        with contextlib.suppress(UserError):  # one bad run does not hide the others; by its key it is found, and its fault told
            requests[run.path] = run.request
    names = {path: request.name for path, request in requests.items()}
    found = [run for run in runs if named and (run.path.name.startswith(named) or names.get(run.path) == named)]
    if len(found) == 1:
        return found[0]
    told = [(run.path.name, requests[run.path]) for run in (found or runs) if run.path in requests]
    known = "\n".join(f"  {key[:8]}  {request.name} on {request.data.on}, {request.protocol}, {request.preset}" for key, request in told)
    raise UserError(
        f"{len(found)} runs are called or begin with '{named}'" if found else f"there is no run '{named}'",
        where=root.absolute(),
        remedy=f"name one of:\n{known}" if known else "merbench bench makes runs",
    )


SCORES = {"UF1": scores.uf1, "UAR": scores.uar}


@dataclass(frozen=True)
class Pair:
    """Two runs' last epochs on the same clips.

    Attributes:
        table: of the clips.
        seeds: how many complete ones each run has; the first of both are paired.
        means: by score, of each run over these seeds.
        tests: by score, of the difference, first less second.
    """

    table: Table
    seeds: tuple[int, int]
    means: dict[str, tuple[float, float]]
    tests: dict[str, scores.Paired]


def paired(a: Run, b: Run) -> Pair:
    """Return the difference of two runs' pooled scores, paired over subjects.

    Raises:
        UserError: they have other clips or labels, or no seed is complete.
    """
    (table, first), (other, second) = _last(a), _last(b)
    if not np.array_equal(table.clips, other.clips) or not np.array_equal(table.truth, other.truth):
        raise UserError(
            "the two runs have other clips or labels; there is nothing to pair",
            where=f"{a.path} and {b.path}",
            remedy="compare runs of one table",
        )
    seeds, classes = min(len(first), len(second)), len(a.provenance.classes)
    pair = (first[:seeds], second[:seeds])
    means, tests = {}, {}
    for name, score in SCORES.items():
        ones = [float(score(scores.confusion(table.truth, each, classes)).mean()) for each in pair]
        means[name] = (ones[0], ones[1])
        tests[name] = scores.paired_test(table.truth, *pair, table.subjects, table.databases, classes, score)
    return Pair(table, (len(first), len(second)), means, tests)


def compare_runs(a: Run, b: Run) -> str:
    """Return the difference of two runs' pooled UF1 and UAR in words, with interval and p.

    Raises:
        UserError: they have other clips or labels, or no seed is complete.
    """
    pair = paired(a, b)
    seeds, subjects = min(pair.seeds), len(set(pair.table.subjects.tolist()))
    lines = [
        f"{a.request.name} against {b.request.name} on {a.request.data.on}: {len(pair.table.clips)} clips, {subjects} subjects",
        f"last epoch, {seeds} seed{'s' if seeds > 1 else ''}, predictions swapped by subject {scores.REPLICATES:,} times",
    ]
    if pair.seeds[0] != pair.seeds[1]:
        lines.append(f"one has {pair.seeds[0]} seeds, the other {pair.seeds[1]}: the first {seeds} of each are compared")
    if a.request.protocol != b.request.protocol:
        lines.append(f"protocols differ: {a.request.protocol} against {b.request.protocol}; they learnt from other clips")
    if a.request.preset != b.request.preset:
        lines.append(f"presets differ: {a.request.preset} against {b.request.preset}")
    for name, test in pair.tests.items():
        lines.append(
            f"{name}  {pair.means[name][0]:.4f} - {pair.means[name][1]:.4f} = {test.difference:+.4f}"
            f"  95 % interval {test.interval.low:+.3f} to {test.interval.high:+.3f}  p {'<' if test.p * scores.REPLICATES < 1.5 else '='} {max(test.p, 1 / scores.REPLICATES):.4f}"
        )
    return "\n".join(lines)


def _last(run: Run) -> tuple[Table, NDArray[np.int64]]:
    """Return a run's table and its last epoch's predictions by seed, (seeds, N)."""
    finished, held_out = run.finished(), run.described()[1].folds
    seeds = sorted({int(name.rsplit("--s", 1)[1]) for name in finished})
    names = {seed: [fold_name(each, seed) for each in held_out] for seed in seeds}
    tables = [predictions(run, run.results(names[seed])) for seed in seeds if finished.issuperset(names[seed])]
    if not tables:
        raise UserError("no seed of this run has all its folds", where=run.path, remedy="run its command again to finish it")
    return tables[0], np.stack([table.predicted[-1] for table in tables])
