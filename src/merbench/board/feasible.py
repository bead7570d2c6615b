"""Can these printed scores be true? Arithmetic on whole clips. Pure numpy.

UF1, UAR and accuracy see of a confusion matrix (rows true, columns predicted) with n_i clips of class i only its hits h_i on the diagonal
and its false alarms x_i, all else in column i, since TP + FN = n_i and TP + FP = h_i + x_i:

    UAR = mean of h_i / n_i        accuracy = sum h_i / sum n_i        UF1 = mean of 2 h_i / (n_i + h_i + x_i)

Which h and x are those of a matrix of whole clips? Row i has m_i = n_i - h_i misses to lay into other columns, M = sum m_i in all. So
0 <= h_i <= n_i, sum x_i = M, and 0 <= x_j <= M - m_j, for column j takes misses of other rows only. This is enough. By Gale's theorem
(Pacific Journal of Mathematics 7, 1957) rows can be laid into columns as wanted where no set of columns wants more than the rows that may
lay something there have; every row may lay something into one of two columns, so for two or more that is sum x <= M, which holds.

A printed score is an interval: half a unit of its last place to either side. UAR and accuracy leave few h: all are found by running
through the classes but the largest, whose hits then lie in a short interval. With h fixed, UF1 is a sum of convex functions that fall
with x_i: it is greatest at a corner of the region of x (all x_i but one are 0 or M - m_i), and never less than with
x_i = t sqrt(h_i) - n_i - h_i, cut to its bounds, and t such that they sum to M (Lagrange: each clip more costs every class the same).
If no h has the printed UF1 between the two, no matrix has all scores. Where some do, x is run through, or a matrix is looked for
along a way from one end to the other: what is called possible is shown by a matrix.

All this is true of one judgement of every clip, pooled over folds. Means over several runs need not be of whole clips.
"""

from __future__ import annotations

import decimal
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merbench.scores import Floats, Ints

SLACK = 1e-12
"""Added to both ends of an interval, so that the last bit of a float never makes a true score impossible."""

MOST = 2_000_000
"""So many combinations of hits, or of false alarms, are run through; of more, a sample, which can show a matrix and exclude none."""

FEW = 50_000
"""So many first: where many ways are open, one is soon found."""

MANY = "there are too many ways to run through, and none of those tried has these scores"

CORNERS = 20_000_000
"""So many corners are looked at for the bounds of UF1: seconds."""

TRIED = 400
"""So many combinations of hits are tried first, evenly spread, where there are many."""

WRITTEN = re.compile(r"(?:[01])?\.[0-9]{1,6}|[0-9]{1,3}(?:\.[0-9]{1,4})?\s?%", re.ASCII)


@dataclass(frozen=True)
class Printed:
    """A score as printed, and the interval of what rounds to it."""

    text: str
    low: float
    high: float

    def holds(self, values: Floats) -> NDArray[np.bool_]:
        """Return which values round to it."""
        return (values >= self.low) & (values <= self.high)


def printed(text: str, cut: bool = False) -> Printed:
    """Return a score as printed, ``.8603``, ``0.8603`` or ``86.03%``: its last place says how it was rounded.

    Args:
        text: of the score.
        cut: the further places were cut off, not rounded.

    Raises:
        ValueError: it is no such number.
    """
    if not WRITTEN.fullmatch(text):
        raise ValueError(f"'{text[:20]}' is no score as papers print it: write it with all its places, .8603 or 86.03%")
    value = decimal.Decimal(text.rstrip("% "))
    if text.endswith("%"):
        value = value.scaleb(-2)
    if value > 1:
        raise ValueError(f"'{text[:20]}' is more than 1")
    unit = decimal.Decimal(1).scaleb(int(value.as_tuple().exponent))
    low, high = (value, value + unit) if cut else (value - unit / 2, value + unit / 2)
    return Printed(text, float(low) - SLACK, float(high) + SLACK)


@dataclass(frozen=True)
class Verdict:
    """Whether scores can be true together.

    Attributes:
        possible: None where there are too many ways to run through and none was found.
        why: it is impossible, or could not be told; empty where it is possible.
        uf1: least and greatest UF1 that the other scores allow; None where it was not asked for or has no bounds to speak of.
        matrix: (C, C) one that has these scores.
    """

    possible: bool | None
    why: str = ""
    uf1: tuple[float, float] | None = None
    matrix: Ints | None = None


def judge(counts: Sequence[int], uf1: Printed | None = None, uar: Printed | None = None, accuracy: Printed | None = None) -> Verdict:
    """Say whether one confusion matrix of whole clips has all these scores.

    Args:
        counts: true clips of each class, all above 0.
        uf1, uar, accuracy: as printed; None where they are not.
    """
    n = np.array(counts, dtype=np.int64)
    if accuracy and not len(_whole(accuracy, n.sum())):
        return Verdict(False, f"no whole number of the {n.sum()} clips gives accuracy {accuracy.text}")
    quick = _judge(n, uf1, uar, accuracy, FEW)
    return _judge(n, uf1, uar, accuracy, MOST) if quick.possible is None else quick


def _judge(n: Ints, uf1: Printed | None, uar: Printed | None, accuracy: Printed | None, most: int) -> Verdict:
    """Say so by no more than so many combinations of hits."""
    found, complete = hits(n, uar, accuracy, most)
    if not len(found):
        return Verdict(False, _blame(n, uar, accuracy)) if complete else Verdict(None, MANY)
    if uf1 is None:
        h = found[len(found) // 2]
        return Verdict(True, matrix=matrix_of(n, h, _highest(n, h[None])[1][0]))
    first = found[np.unique(np.linspace(0, len(found) - 1, TRIED).astype(np.int64))]
    matrix, exact, bounds = _search(n, first, uf1)
    corners = len(n) * 2 ** (len(n) - 1)
    if matrix is None and len(first) < len(found) and (not complete or len(found) * corners > CORNERS):
        return Verdict(None, MANY)
    if matrix is None and len(first) < len(found):
        matrix, exact, bounds = _search(n, found, uf1)
    told = bounds if complete and (len(first) == len(found) or matrix is None) else None
    if matrix is not None:
        return Verdict(True, uf1=told if uar or accuracy else None, matrix=matrix)
    beside = " and ".join(f"{name} {each.text}" for name, each in (("UAR", uar), ("accuracy", accuracy)) if each)
    if not (exact and complete):
        return Verdict(None, MANY, bounds)
    if bounds[0] > uf1.high or bounds[1] < uf1.low:
        return Verdict(False, f"with {beside} UF1 lies between {bounds[0]:.4f} and {bounds[1]:.4f}", bounds)
    have = "one set of hits has" if len(found) == 1 else f"{len(found):,} sets of hits have"
    return Verdict(False, f"{have} {beside}, none of them UF1 {uf1.text} too" if beside else f"nothing has UF1 {uf1.text}", bounds)


def _blame(n: Ints, uar: Printed | None, accuracy: Printed | None) -> str:
    """Return why no hits have this UAR, or have it with this accuracy."""
    if uar and accuracy and len(hits(n, uar, None)[0]):
        return f"UAR {uar.text} and accuracy {accuracy.text} exclude each other"
    return f"no hits of {'/'.join(map(str, n))} clips give UAR {uar.text if uar else ''}"


def _whole(score: Printed, clips: int) -> Ints:
    """Return which whole numbers of clips give this share."""
    return np.arange(max(0, int(np.ceil(score.low * clips))), min(clips, int(np.floor(score.high * clips))) + 1)


def hits(n: Ints, uar: Printed | None = None, accuracy: Printed | None = None, most: int = MOST) -> tuple[Ints, bool]:
    """Return all hits (K, C) that have these scores, and whether they are all; of too many, a sample is looked at.

    Args:
        n: (C,) true clips by class.
        uar, accuracy: as printed; None allows any.
        most: so many combinations are looked at.
    """
    classes, last = len(n), int(n.argmax())
    others = [index for index in range(classes) if index != last]
    shape = tuple(int(n[index]) + 1 for index in others)
    size = math.prod(shape)
    if size <= most:
        grid = np.indices(shape).reshape(len(shape), -1).T
    else:
        grid = np.random.default_rng(0).integers(0, shape, (most // 4, len(shape)))
    low, high = np.zeros(len(grid)), np.full(len(grid), float(n[last]))
    if uar is not None:
        recalls = (grid / n[others]).sum(1)
        low = np.maximum(low, np.ceil((classes * uar.low - recalls) * n[last] - SLACK * n[last]))
        high = np.minimum(high, np.floor((classes * uar.high - recalls) * n[last] + SLACK * n[last]))
    if accuracy is not None:
        taken = grid.sum(1)
        low = np.maximum(low, np.ceil(accuracy.low * n.sum()) - taken)
        high = np.minimum(high, np.floor(accuracy.high * n.sum()) - taken)
    ways = np.maximum(0, high - low + 1).astype(np.int64)
    total = int(ways.sum())
    ends = np.cumsum(ways)
    kept = np.arange(total) if total <= most else np.linspace(0, total - 1, most // 4).astype(np.int64)
    row = np.searchsorted(ends, kept, side="right")
    found = np.empty((len(kept), classes), np.int64)
    found[:, others] = grid[row]
    found[:, last] = low[row].astype(np.int64) + kept - (ends - ways)[row]
    return found, size <= most and total <= most


def _caps(n: Ints, h: Ints) -> tuple[Ints, Ints]:
    """Return M, (K,), and the most false alarms of each class, (K, C)."""
    misses = n - h
    missed = misses.sum(-1)
    return missed, missed[:, None] - misses


def _uf1(n: Ints, h: Ints, x: Ints | Floats) -> Floats:
    mean: Floats = (2 * h / (n + h + x)).mean(-1)
    return mean


def _highest(n: Ints, h: Ints) -> tuple[Floats, Ints]:
    """Return the greatest UF1 of each row of hits, (K,), and the false alarms that give it, (K, C): a corner of their region."""
    missed, caps = _caps(n, h)
    best, where = np.full(len(h), -1.0), np.zeros_like(h)
    for free, full in itertools.product(range(len(n)), itertools.product((0, 1), repeat=len(n) - 1)):
        x = caps * np.insert(np.array(full, dtype=np.int64), free, 0)
        x[:, free] = missed - x.sum(1)
        score = np.where((x[:, free] >= 0) & (x[:, free] <= caps[:, free]), _uf1(n, h, np.maximum(x, 0)), -1.0)
        better = score > best
        best[better], where[better] = score[better], x[better]
    return best, where


def _lowest(n: Ints, h: Ints) -> tuple[Floats, Floats]:
    """Return what UF1 is never less than, (K,), and the false alarms that give it, (K, C), which need not be whole."""
    missed, caps = _caps(n, h)
    root = np.sqrt(h)
    low, high = np.zeros(len(h)), np.full(len(h), 4.0 * n.sum())  # at the upper end every x with hits is at its cap
    for _ in range(60):
        middle = (low + high) / 2
        x = np.clip(root * middle[:, None] - n - h, 0, caps)
        over = x.sum(1) > missed
        high, low = np.where(over, middle, high), np.where(over, low, middle)
    x = np.clip(root * high[:, None] - n - h, 0, caps)  # at least M clips: no more UF1 than with M
    return _uf1(n, h, x), x


def _search(n: Ints, found: Ints, uf1: Printed) -> tuple[Ints | None, bool, tuple[float, float]]:
    """Return a matrix with this UF1, if one is found; whether all were run through if none is; and the bounds of UF1 over all hits."""
    low, high = np.empty(len(found)), np.empty(len(found))
    for part in range(0, len(found), 50_000):
        here = slice(part, part + 50_000)
        low[here], high[here] = _lowest(n, found[here])[0], _highest(n, found[here])[0]
    fits = np.flatnonzero((low <= uf1.high) & (high >= uf1.low))
    exact = True
    for h in found[fits]:
        x, all_of_it = false_alarms(n, h, uf1)
        exact &= all_of_it
        if len(x):
            return matrix_of(n, h, x[0]), True, (float(low.min()), float(high.max()))
    return None, exact, (float(low.min()), float(high.max()))


def false_alarms(n: Ints, h: Ints, uf1: Printed) -> tuple[Ints, bool]:
    """Return false alarms (K, C) that give this UF1 with these hits, and whether they are all."""
    missed, caps = (each[0] for each in _caps(n, h[None]))
    last = int(caps.argmax())
    others = [index for index in range(len(n)) if index != last]
    if np.prod(caps[others] + 1.0) > MOST / 10:
        return _along(n, h, uf1), False
    x = np.empty((int(np.prod(caps[others] + 1)), len(n)), np.int64)
    x[:, others] = np.indices(tuple(caps[others] + 1)).reshape(len(n) - 1, -1).T
    x[:, last] = missed - x[:, others].sum(1)
    x = x[(x[:, last] >= 0) & (x[:, last] <= caps[last])]
    held: Ints = x[uf1.holds(_uf1(n, h, x))]
    return held, True


def _along(n: Ints, h: Ints, uf1: Printed) -> Ints:
    """Look for this UF1 on the way from its greatest value to its least, and beside it: false alarms moved from one class to another."""
    missed, caps = (each[0] for each in _caps(n, h[None]))
    x = _highest(n, h[None])[1][0]
    goal = np.minimum(np.floor(_lowest(n, h[None])[1][0]).astype(np.int64), caps)
    way = [x]
    for _ in range(int(missed)):
        gap = goal - way[-1]
        if gap.max() <= 0 or gap.min() >= 0:
            break
        step = way[-1].copy()
        step[gap.argmax()] += 1
        step[gap.argmin()] -= 1
        way.append(step)
    points = np.array(way)
    near = points[np.argsort(np.abs(_uf1(n, h, points) - (uf1.low + uf1.high) / 2), kind="stable")[:20]]
    amounts = np.arange(-int(missed), int(missed) + 1)[:, None]
    for point, (a, b) in itertools.product(near, itertools.combinations(range(len(n)), 2)):
        moved = point + amounts * (np.eye(len(n), dtype=np.int64)[a] - np.eye(len(n), dtype=np.int64)[b])
        moved = moved[((moved >= 0) & (moved <= caps)).all(1)]
        held: Ints = moved[uf1.holds(_uf1(n, h, moved))]
        if len(held):
            return held[:1]
    return np.empty((0, len(n)), np.int64)


def matrix_of(n: Ints, h: Ints, x: Ints) -> Ints:
    """Return a confusion matrix with these true clips, hits and false alarms, (C, C).

    Misses are laid one by one. What is left to lay, m and x, keeps m_j + x_j <= M for all j: a class for which that is an equation must
    give or take the next clip. There are two at most, as all m and x sum to 2M.
    """
    found: Ints = np.diag(h)
    left, wanted = n - h, x.copy()
    for _ in range(int(left.sum())):
        pairs = [(i, j) for i in range(len(n)) for j in range(len(n)) if i != j and left[i] and wanted[j]]
        tight = left + wanted == left.sum()
        i, j = max(pairs, key=lambda pair: int(tight[pair[0]]) + int(tight[pair[1]]))
        found[i, j] += 1
        left[i] -= 1
        wanted[j] -= 1
    return found
