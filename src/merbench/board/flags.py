"""What arithmetic says of published scores: cell by cell, and of a whole with its parts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from merbench.board.feasible import Printed, Verdict, judge, printed
from merbench.board.published import MEASURED, Published, published
from merbench.board.together import Cell, Solve, as_precision, as_uar, wholes
from merbench.data import databases, schemes
from merbench.errors import UserError
from merbench.scores import Ints

WHOLE = "3db"
PARTS = ("smic", "casme2", "samm")


@dataclass(frozen=True)
class Group:
    """The cells of a method in one table of a paper: a whole and its parts.

    Attributes:
        ways: hits and false alarms of the whole that all cells together leave, (K, 2C); None where it could not be told.
        read_as: how else the cells were read, in words, to the ways that this leaves, (K, 2C).
    """

    cells: Mapping[str, Published]
    ways: Ints | None
    read_as: Mapping[str, Ints] = field(default_factory=dict)


@dataclass(frozen=True)
class Flagged:
    """A published row and what was found.

    Attributes:
        one: the row.
        verdict: of its scores alone.
        flags: what cannot be, in words; empty where nothing was found.
        remarks: what follows from its numbers, and is no fault.
    """

    one: Published
    verdict: Verdict
    flags: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def class_counts(scheme: str, on: str) -> dict[str, int]:
    """Return how many clips of each class a scheme has in some databases, as it is pinned.

    Args:
        scheme: by name.
        on: ``smic``, ``smic+casme2`` or ``3db``.

    Raises:
        UserError: unknown names, a database that is not of the scheme, or a scheme of which no counts are pinned.
    """
    wanted = databases.databases_of(on)
    schemes.check(scheme)
    if not set(wanted) <= set(schemes.databases(scheme)):
        raise UserError(
            f"scheme {scheme} is of {' and '.join(schemes.databases(scheme))}",
            where=f"--on {on} --scheme {scheme}",
            remedy=f"for {wanted[0]} one of {', '.join(schemes.whole_of(wanted[0])) or 'none'}",
        )
    counts: Counter[str] = Counter()
    for database in wanted:
        if schemes.is_listed(scheme):
            part = schemes.listed_part(scheme, database)
            counts.update(part.classes[part.labels[clip.key]] for clip in part.clips)
        elif schemes.is_mini(scheme):
            raise UserError(f"no class counts of {scheme} are pinned", where="--scheme", remedy="name a whole scheme, or --counts")
        else:
            counts.update(schemes.derived()[scheme][database].clips)
    return {name: counts[name] for name in schemes.classes(scheme)}


def counts_of(one: Published) -> tuple[int, ...]:
    """Return the clips of each class that a published row judges."""
    return _counts(MEASURED[one.protocol][0], one.part)


@functools.cache
def _counts(scheme: str, part: str) -> tuple[int, ...]:
    return tuple(class_counts(scheme, part).values())


@functools.cache
def flagged(closely: tuple[str, ...] = ()) -> tuple[Flagged, ...]:
    """Return every published row that may be shown, with what was found.

    Args:
        closely: published methods whose cells, where they cannot be true together, are read otherwise too: cut off, exchanged, as precision.
            Takes some seconds each.
    """
    shown = [one for one in published() if one.shown]
    groups = _groups(shown, closely)
    return tuple(_flag(one, groups.get((one.method, one.protocol, one.source))) for one in shown)


def _groups(shown: Sequence[Published], closely: Sequence[str]) -> dict[tuple[str, str, str], Group]:
    cells: dict[tuple[str, str, str], dict[str, Published]] = {}
    for one in shown:
        if one.protocol == "megc2019-cde" and {"uf1", "uar"} <= set(one.printed):
            cells.setdefault((one.method, one.protocol, one.source), {})[one.part] = one
    return {name: _group(found, name[0] in closely) for name, found in cells.items() if set(found) == {WHOLE, *PARTS}}


def _group(cells: Mapping[str, Published], closely: bool) -> Group:
    ways = _ways(cells, _plain, as_uar)
    if not closely or ways is None or len(ways):
        return Group(cells, ways)
    read_as = {}
    for words, read, solve in (
        ("every score is cut off, not rounded", _cut, as_uar),
        ("UF1 and UAR have changed places", _exchanged, as_uar),
        ("what is called UAR is the mean precision", _plain, as_precision),
    ):
        found = _ways(cells, read, solve)
        if found is not None:
            read_as[words] = found
    return Group(cells, ways, read_as)


def _ways(cells: Mapping[str, Published], read: Callable[[Published], Cell], solve: Solve) -> Ints | None:
    return wholes({part: (counts_of(cells[part]), read(cells[part])) for part in PARTS}, read(cells[WHOLE]), solve)


def _plain(one: Published) -> Cell:
    return printed(one.printed["uf1"]), printed(one.printed["uar"])


def _cut(one: Published) -> Cell:
    return printed(one.printed["uf1"], cut=True), printed(one.printed["uar"], cut=True)


def _exchanged(one: Published) -> Cell:
    uf1, uar = _plain(one)
    return uar, uf1


def _flag(one: Published, group: Group | None) -> Flagged:
    scores = {name: _printed(one, name) for name in ("uf1", "uar", "accuracy")}
    counts = counts_of(one)
    verdict = judge(counts, **scores)
    flags = [verdict.why] if verdict.possible is False else []
    remarks = []
    if not flags and (f1 := _printed(one, "f1")):
        as_uf1 = judge(counts, f1, scores["uar"], scores["accuracy"])
        if as_uf1.possible is False:
            flags.append(f"F1 is no UF1 of these clips: {as_uf1.why}")
    if group is not None and one.part == WHOLE:
        flags += _of_group(group)
        if group.ways is not None and len(group.ways) == 1:
            hits = group.ways[0, : len(counts)]
            remarks.append(
                f"all eight cells leave one way: {'/'.join(map(str, hits))} of {'/'.join(map(str, counts))} clips right, "
                f"accuracy {np.sum(hits) / sum(counts):.4f}"
            )
    return Flagged(one, verdict, tuple(flags), tuple(remarks))


def _of_group(group: Group) -> list[str]:
    if group.ways is None or len(group.ways):
        return []
    told = ["its eight cells are not of one judgement of the 442 clips"]
    counts = np.array(counts_of(group.cells[WHOLE]))
    for words, ways in group.read_as.items():
        if len(ways):
            uar = (ways[:, : len(counts)] / counts).mean(1)
            range_of = f"{uar[0]:.4f}" if len(ways) == 1 else f"{uar.min():.4f} to {uar.max():.4f}"
            told.append(f"they are, in {'one way' if len(ways) == 1 else f'{len(ways)} ways'}, if {words}; the UAR is {range_of} then")
    if group.read_as and not any(map(len, group.read_as.values())):
        told.append(f"nor if {', or if '.join(group.read_as)}")
    return told


def _printed(one: Published, name: str) -> Printed | None:
    return printed(one.printed[name]) if name in one.printed else None
