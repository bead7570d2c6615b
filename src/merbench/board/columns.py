"""The columns of a table of rows: what each is called and says, and which are left out where there is no room for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from merbench.board.rows import Row, Score
from merbench.data import databases
from merbench.scores import READINGS


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: in the head of the table.
        of: from a row to its cell.
        chance: from a row to the cell of the line that tells what guessing scores by the last epoch.
        rank: the greater, the sooner it is left out; 0 always stays.
    """

    name: str
    of: Callable[[Row], str]
    rank: int
    chance: Callable[[Row], str] = lambda _: ""


def columns(rows: Sequence[Row]) -> list[Column]:
    """Return all columns of one table, in order; those of parts and of other readings where a row has them."""
    return [
        Column("#", place, 0),
        Column("method", lambda row: row.method, 0, lambda _: "chance (guesses)"),
        Column("UF1", lambda row: number(_last(row).uf1), 0, lambda row: number(_last(row).chance_uf1)),
        Column("95 % interval", lambda row: interval(_last(row).uf1_interval), 1),
        Column("UAR", lambda row: number(_last(row).uar), 2),
        Column("accuracy", lambda row: number(_last(row).accuracy), 5),
        *_parts(rows),
        *(column for reading in READINGS if reading != "last" for column in _reading(reading, rows)),
        Column("seeds", lambda row: str(len(row.seeds)), 3),
        Column("parameters", lambda row: f"{row.parameters:,}" if row.parameters else "none", 8),
        Column("a fold", lambda row: duration(row.seconds), 9),
        Column("all folds", lambda row: duration(row.total_seconds), 11),
        Column("memory", lambda row: f"{row.peak_mib:,.0f} MiB" if row.peak_mib else "-", 12),
        Column("a clip", lambda row: milliseconds(row.clip_seconds), 10),
        Column("annotations", lambda row: row.annotations[:6], 15),
        Column("run", lambda row: row.key[:8], 0),
    ]


def _parts(rows: Sequence[Row]) -> list[Column]:
    present = {name for row in rows for name in _last(row).parts}
    known = databases.known()
    ordered = [*(name for name in known if name in present), *sorted(present - set(known))]
    return [Column(known[name].title if name in known else name, _part(name), 7) for name in ordered] if len(ordered) > 1 else []


def _part(database: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        part = _last(row).parts.get(database)
        return f"{number(part[0])} / {number(part[1])}" if part else "-"

    return cell


def _reading(reading: str, rows: Sequence[Row]) -> list[Column]:
    """Return the columns of another reading: its UF1 and what guesses score by it, and of the oracle by which papers choose how much it flatters."""

    def cell(of: Callable[[Row, Score], float]) -> Callable[[Row], str]:
        return lambda row: number(of(row, row.readings[reading])) if reading in row.readings else ""

    if reading != "oracle-subject" and not any(reading in row.readings for row in rows):
        return []
    first = reading == "oracle-subject"
    found = [
        Column(reading, lambda row: number(row.readings[reading].uf1) if reading in row.readings else "not run", 4 if first else 13),
        Column(f"chance by {'oracle' if first else reading}", cell(lambda _, score: score.chance_uf1), 6 if first else 14),
    ]
    gap = Column("optimism gap", lambda row: f"{gap:+.4f}" if (gap := optimism(row)) is not None else "", 6)
    return [found[0], gap, found[1]] if first else found


def optimism(row: Row) -> float | None:
    """Return by how much the epoch that is best for each held-out subject flatters: UF1 of ``oracle-subject`` less that of ``last``."""
    oracle = row.readings.get("oracle-subject")
    return None if oracle is None else oracle.uf1 - _last(row).uf1


def fitting(found: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """Return the columns that fit side by side, two blanks between; those of the highest rank are left out first.

    Args:
        found: of one table.
        rows: of that table.
        width: characters.
    """
    widths = {column.name: max(map(len, (column.name, column.chance(rows[0]), *(column.of(row) for row in rows)))) for column in found}
    kept = list(found)
    for rank in sorted({column.rank for column in found} - {0}, reverse=True):
        if sum(widths[column.name] + 2 for column in kept) - 2 <= width:
            break
        kept = [column for column in kept if column.rank < rank]
    return kept


def place(row: Row) -> str:
    """Return ``1``, or ``2-5`` where noise leaves it open; a dash where a row has no place."""
    if row.place is None:
        return "-"
    return str(row.place[0]) if row.place[0] == row.place[1] else f"{row.place[0]}-{row.place[1]}"


def number(value: float) -> str:
    """Return a score with four places, as the field prints them; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.4f}"


def interval(pair: tuple[float, float]) -> str:
    """Return ``.655 to .777``."""
    return "-" if math.isnan(pair[0]) else f"{pair[0]:.3f} to {pair[1]:.3f}"


def duration(seconds: float | None) -> str:
    """Return ``12.3 s``, ``4 min 10 s`` or ``2 h 5 min``."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def milliseconds(seconds: float | None) -> str:
    """Return ``0.41 ms``, ``12 ms`` or ``1.3 s``."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _last(row: Row) -> Score:
    return row.readings["last"]
