"""A whole and its parts: are their printed scores those of one judgement of every clip, and is what is called UAR the mean precision?

Parts are the same predictions read on a database's clips, so hits and false alarms of the whole are sums over its parts. Each part with
four places leaves a handful of hits and false alarms, and all of their sums are tried: often one fits, and where none does, the
table's cells are not of one matrix, though each by itself may be. Pure numpy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from merbench.board.feasible import Printed, false_alarms, hits
from merbench.scores import Floats, Ints

WAYS = 20_000_000
"""So many sums of parts are tried."""

Solve = Callable[[Ints, Printed, Printed], Ints | None]
"""From true clips (C,), UF1 and the other score to hits and false alarms that have both, (K, 2C); None where they are too many."""


def as_uar(n: Ints, uf1: Printed, uar: Printed) -> Ints | None:
    """Return all hits and false alarms, (K, 2C), that have this UF1 and this UAR."""
    found, complete = hits(n, uar)
    if not complete or len(found) > 5000:
        return None
    solved = []
    for h in found:
        x, all_of_it = false_alarms(n, h, uf1)
        if not all_of_it:
            return None
        solved.append(np.concatenate([np.broadcast_to(h, x.shape), x], axis=1))
    return np.concatenate([np.empty((0, 2 * len(n)), np.int64), *solved])


def as_precision(n: Ints, uf1: Printed, precision: Printed) -> Ints | None:
    """Return all hits and false alarms, (K, 6), that have this UF1 and this mean of TP / predicted, 0 for a class that is never predicted.

    With q = h + x clips predicted of each class, UF1 is the mean of 2h / (n + q) and precision that of h / q. q and the hits of two
    classes are run through; the hits of the third lie in a short interval. Three classes only.
    """
    if len(n) != 3 or n.sum() > 200:
        return None
    a, b, last = np.argsort(n).tolist()
    total, solved = int(n.sum()), [np.empty((0, 6), np.int64)]
    for first in range(total + 1):
        q_b = np.arange(total - first + 1)[:, None, None]
        q_last = total - first - q_b
        h_a = np.arange(min(int(n[a]), first) + 1)[None, :, None]
        h_b = np.arange(int(n[b]) + 1)[None, None, :]
        mean = h_a / max(first, 1) + h_b / np.maximum(q_b, 1)
        low = np.maximum(0, np.ceil((3 * precision.low - mean) * q_last - 1e-9))
        high = np.minimum(np.minimum(n[last], q_last), np.floor((3 * precision.high - mean) * q_last + 1e-9))
        where = np.nonzero((low <= high) & (h_b <= q_b))
        for more in range(int((high - low)[where].max(initial=-1)) + 1):
            h, q = np.empty((len(where[0]), 3), np.int64), np.empty((len(where[0]), 3), np.int64)
            h[:, a], h[:, b], h[:, last] = where[1], where[2], low[where].astype(np.int64) + more
            q[:, a], q[:, b], q[:, last] = first, where[0], total - first - where[0]
            x, misses = q - h, n - h
            whole = (h[:, last] <= high[where]) & (x >= 0).all(1) & (x <= misses.sum(1)[:, None] - misses).all(1)
            whole &= uf1.holds(_uf1(n, h, x)) & precision.holds(_precision(n, h, x))
            solved.append(np.concatenate([h, x], axis=1)[whole])
    return np.concatenate(solved)


def _uf1(n: Ints, h: Ints, x: Ints) -> Floats:
    mean: Floats = (2 * h / (n + h + x)).mean(-1)
    return mean


def _uar(n: Ints, h: Ints, x: Ints) -> Floats:  # noqa: ARG001  # as _precision is called
    mean: Floats = (h / n).mean(-1)
    return mean


def _precision(n: Ints, h: Ints, x: Ints) -> Floats:  # noqa: ARG001  # as _uar is called
    mean: Floats = (h / np.maximum(h + x, 1)).mean(-1)
    return mean


SECOND: dict[Solve, Callable[[Ints, Ints, Ints], Floats]] = {as_uar: _uar, as_precision: _precision}
Cell = tuple[Printed, Printed]
"""UF1, and what is printed beside it."""


def wholes(parts: Mapping[str, tuple[Sequence[int], Cell]], whole: Cell, solve: Solve = as_uar) -> Ints | None:
    """Return hits and false alarms of the whole that have its two scores and are sums of parts that have theirs, (K, 2C), each once.

    Args:
        parts: by name, true clips of each class, UF1 and the other score.
        whole: of all of them pooled.
        solve: what the other score is: `as_uar` or `as_precision`.

    Returns:
        None where there are too many ways to try.
    """
    solved = [solve(np.array(counts, dtype=np.int64), *cell) for counts, cell in parts.values()]
    ways = [each for each in solved if each is not None]
    if len(ways) < len(solved) or np.prod([float(len(each)) for each in ways]) > WAYS:
        return None
    n = np.sum([counts for counts, _ in parts.values()], axis=0)
    sums = functools.reduce(lambda one, other: (one[:, None] + other[None]).reshape(-1, one.shape[1]), ways)
    h, x = np.split(sums, 2, axis=1)
    fits = whole[0].holds(_uf1(n, h, x)) & whole[1].holds(SECOND[solve](n, h, x))
    return np.unique(sums[fits], axis=0)
