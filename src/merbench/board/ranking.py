"""Places within noise: who is better than whom in a table, by tests of every pair.

Every two rows of a table are compared by `scores.paired_test`, by the last epoch or apart from that by the inner choice, and the p values corrected by Holm's rule for the number of
pairs, so that with probability 0.95 no pair of the table is called different by luck. As many rows as are significantly better stand
before a row for certain, and as many as are significantly worse after it; it may have any place between, and that is what the board
shows. Such sets of places are right for all rows at once, again with probability 0.95 (Mogstad, Romano, Shaikh and Wilhelm, Review of
Economic Studies 91, 2024).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench import guard, scores
from merbench.board.rows import Row
from merbench.board.versions import Version, superseded
from merbench.foldfile import write
from merbench.scores import RANKED, Floats, Ints, Reading

ALPHA = 0.05

FILE = "ranking.json"
"""In the folder of all runs: p by pair. A view; it may be deleted at any time."""

FORMAT = 2
"""Of that file; raised when p is computed in another way."""

LARGEST = 2**24
"""Bytes of that file: 100,000 pairs."""

CHUNK = 10_000
"""Replicates that are held at once."""

Known = dict[str, float]
"""p by pair, as `_name` calls it."""


@dataclass(frozen=True)
class Judged:
    """One row by subject, by one reading: all that UF1 depends on.

    Attributes:
        subjects: sorted.
        truth: (subjects, C) true clips by class.
        hits, predicted: (seeds, subjects, C) clips judged right, and clips judged to be of the class.
    """

    subjects: tuple[str, ...]
    truth: Ints
    hits: Ints
    predicted: Ints


def placed(rows: Iterable[Row], root: Path | None = None) -> list[Row]:
    """Return the rows, each with the places that it may have in its table, by every reading that is ranked.

    A row without a reading, or whose UF1 has no value because a class never occurs, has none by it. Nor has one that is superseded: of two
    versions of one method one is corrected, and to test them against each other would only cost all others power.

    Args:
        rows: of any tables.
        root: folder of all runs, where p is kept from one time to the next; None keeps nothing.
    """
    found = _superseded(rows)
    kept = _read(root) if root else {}
    known: Known = {}
    tables: dict[tuple[Reading, tuple[str, ...]], list[int]] = {}
    for reading, (index, row) in itertools.product(RANKED, enumerate(found)):
        if reading in row.by_subject and not row.superseded and not math.isnan(row.readings[reading].uf1):
            tables.setdefault((reading, row.table), []).append(index)
    for (reading, _), members in tables.items():
        for index, place in zip(members, places([found[each] for each in members], reading, kept, known), strict=True):
            found[index] = replace(found[index], places={**found[index].places, reading: place})
    if root and known != kept:
        _write(root, known)
    return found


def _superseded(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, each marked where its table has the same name with all folds of a later version of method or engine.

    What an archive says of its version replaces other archives alone: nobody loses a row of their own by what a file claims.
    """
    found = list(rows)
    told = [Version((row.method, *row.asked), row.versions, row.sources, bool(row.readings)) for row in found]
    own = superseded([replace(each, whole=each.whole and not row.archive) for each, row in zip(told, found, strict=True)])
    marked = [any_of if row.archive else mine for row, any_of, mine in zip(found, superseded(told), own, strict=True)]
    return [replace(row, superseded=one) for row, one in zip(found, marked, strict=True)]


def places(rows: Sequence[Row], reading: Reading = "last", kept: Known | None = None, known: Known | None = None) -> list[tuple[int, int]]:
    """Return first and last place of each row of one table.

    Args:
        rows: which have the reading.
        reading: by which they are ranked.
        kept: p of pairs that were tested before.
        known: takes p of all pairs of these rows.
    """
    pairs = list(itertools.combinations(range(len(rows)), 2))
    replicates = replicates_for(len(pairs))
    names = [_name(rows[a], rows[b], reading, replicates) for a, b in pairs]
    found = {pair: kept[name] for pair, name in zip(pairs, names, strict=True) if kept and name in kept}
    judged = [_judged(row, reading) for row in rows]
    found |= compared(judged, [pair for pair in pairs if pair not in found], replicates)
    if known is not None:
        known |= {name: found[pair] for pair, name in zip(pairs, names, strict=True)}
    better, worse = [0] * len(rows), [0] * len(rows)
    for (a, b), p in zip(pairs, scores.holm([found[pair] for pair in pairs]), strict=True):
        if p < ALPHA:
            first, second = (a, b) if _difference(judged[a], judged[b]) > 0 else (b, a)
            better[second] += 1
            worse[first] += 1
    return [(1 + better[index], len(rows) - worse[index]) for index in range(len(rows))]


def replicates_for(pairs: int) -> int:
    """Return how many swaps are made where so many pairs are tested: with too few, Holm's smallest p could never be below `ALPHA`.

    They are doubled, so that a further row of a long table hardly ever makes every pair be tested again.
    """
    replicates = scores.REPLICATES
    while replicates * ALPHA < 2 * pairs:
        replicates *= 2
    return replicates


def compared(judged: Sequence[Judged], pairs: Sequence[tuple[int, int]], replicates: int) -> dict[tuple[int, int], float]:
    """Return p of `scores.paired_test` for pairs of rows: the same swaps, drawn once for all of them.

    Swapping a subject between two rows adds to one what it takes from the other, and every sum is of whole clips, so what a swap moves is
    summed once a row, and a pair costs a subtraction. Rows that do not judge the same clips of the same subjects cannot be told apart: p is 1.

    Args:
        judged: rows.
        pairs: positions of two rows each.
        replicates: swaps.
    """
    comparable = [pair for pair in pairs if _comparable(judged[pair[0]], judged[pair[1]])]
    extreme = dict.fromkeys(comparable, 0)
    seen = {(a, b): abs(_difference(judged[a], judged[b])) for a, b in comparable}
    rngs = {len(judged[a].subjects): np.random.default_rng([0, 1]) for a, _ in comparable}
    for begin in range(0, replicates if comparable else 0, CHUNK):
        many = min(CHUNK, replicates - begin)
        swaps = {subjects: scores.swaps_of(rng, many, subjects) for subjects, rng in rngs.items()}
        moved = {index: _moved(judged[index], swaps[len(judged[index].subjects)]) for index in {i for pair in comparable for i in pair}}
        for a, b in comparable:
            pairs_of_seeds = np.transpose(scores.paired_seeds(len(judged[a].hits), len(judged[b].hits)))
            gap = np.zeros(many)
            for one, two in pairs_of_seeds:
                change = moved[b][two] - moved[a][one]
                gap += _uf1(judged[a], one, change) - _uf1(judged[b], two, -change)
            extreme[a, b] += many - int((np.abs(gap / len(pairs_of_seeds)) < seen[a, b] - scores.TIE).sum())
    return {pair: (1 + extreme[pair]) / (1 + replicates) if pair in extreme else 1.0 for pair in pairs}


def _judged(row: Row, reading: Reading) -> Judged:
    by_subject = row.by_subject[reading]
    subjects = tuple(sorted(by_subject))
    classes = len(row.classes)
    tables = np.array([by_subject[subject] for subject in subjects], dtype=np.int64).reshape(len(subjects), -1, classes, classes)
    tables = tables.swapaxes(0, 1)  # (seeds, subjects, C, C)
    return Judged(subjects, tables[0].sum(-1), np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(-2))


def _comparable(a: Judged, b: Judged) -> bool:
    return a.subjects == b.subjects and np.array_equal(a.truth, b.truth) and not math.isnan(_difference(a, b))


def _moved(judged: Judged, swaps: Floats) -> NDArray[np.float64]:
    """Return hits and predicted clips of the swapped subjects, (seeds, 2C, replicates)."""
    counts = np.concatenate([judged.hits, judged.predicted], axis=-1).astype(np.float64)
    return np.ascontiguousarray((swaps @ counts).swapaxes(1, 2))


def _uf1(judged: Judged, seed: int, change: Floats) -> Floats:
    """Return UF1 of one seed after a change of its pooled hits and predicted clips, (2C, ...)."""
    hits, predicted = np.split(change + _column(judged.hits[seed], judged.predicted[seed]), 2)
    clips = predicted + _column(judged.truth)
    f1 = np.divide(2 * hits, clips, out=np.full(clips.shape, np.nan), where=clips > 0)
    mean: Floats = f1.mean(0)
    return mean


def _column(*counts: Ints) -> Ints:
    """Return counts by subject and class, pooled over subjects, (classes, 1)."""
    return np.concatenate([each.sum(0) for each in counts])[:, None]


def _difference(a: Judged, b: Judged) -> float:
    """Return by how much the UF1 of one exceeds that of the other, means over the seeds of each."""
    still = np.zeros((2 * a.truth.shape[1], 1))
    one, two = (float(np.mean([_uf1(each, seed, still)[0] for seed in range(len(each.hits))])) for each in (a, b))
    return one - two


def _name(a: Row, b: Row, reading: Reading, replicates: int) -> str:
    return f"{' '.join(sorted((a.digest, b.digest)))} {reading} {replicates}"


def _seal(pairs: Known) -> str:
    return hashlib.sha256(json.dumps([FORMAT, pairs], sort_keys=True).encode()).hexdigest()


def _read(root: Path) -> Known:
    """Return what was tested before; nothing where the file is missing, damaged, edited or of another version."""
    try:
        found = json.loads(guard.read(root / FILE, LARGEST))
        pairs: Known = found["pairs"]
        return pairs if found["seal"] == _seal(pairs) and all(0 < p <= 1 for p in pairs.values()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _write(root: Path, pairs: Known) -> None:
    with contextlib.suppress(OSError):  # a view only: on a read-only disk pairs are tested anew each time
        write(root / FILE, json.dumps({"seal": _seal(pairs), "pairs": pairs}, indent=1).encode())
