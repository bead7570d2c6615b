"""Two runs, paired over subjects."""

from __future__ import annotations

import contextlib
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


def compare_runs(a: Run, b: Run) -> str:
    """Return the difference of two runs' pooled UF1 and UAR in words, with interval and p.

    Raises:
        UserError: they have other clips or labels, or no seed is complete.
    """
    first, second = _last(a), _last(b)
    if not np.array_equal(first[0].clips, second[0].clips) or not np.array_equal(first[0].truth, second[0].truth):
        raise UserError(
            "the two runs have other clips or labels; there is nothing to pair",
            where=f"{a.path} and {b.path}",
            remedy="compare runs of one table",
        )
    table, seeds = first[0], min(len(first[1]), len(second[1]))
    subjects = len(set(table.subjects.tolist()))
    lines = [
        f"{a.request.name} against {b.request.name} on {a.request.data.on}: {len(table.clips)} clips, {subjects} subjects",
        f"last epoch, {seeds} seed{'s' if seeds > 1 else ''}, predictions swapped by subject {scores.REPLICATES:,} times",
    ]
    if len(first[1]) != len(second[1]):
        lines.append(f"one has {len(first[1])} seeds, the other {len(second[1])}: the first {seeds} of each are compared")
    if a.request.protocol != b.request.protocol:
        lines.append(f"protocols differ: {a.request.protocol} against {b.request.protocol}; they learnt from other clips")
    if a.request.preset != b.request.preset:
        lines.append(f"presets differ: {a.request.preset} against {b.request.preset}")
    for name, score in (("UF1", scores.uf1), ("UAR", scores.uar)):
        pair = (first[1][:seeds], second[1][:seeds])
        classes = len(a.provenance.classes)
        ones = [float(score(scores.confusion(table.truth, each, classes)).mean()) for each in pair]
        test = scores.paired_test(table.truth, *pair, table.subjects, table.databases, classes, score)
        lines.append(
            f"{name}  {ones[0]:.4f} - {ones[1]:.4f} = {test.difference:+.4f}"
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
