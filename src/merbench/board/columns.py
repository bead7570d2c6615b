"""The columns of a table of rows: what each is called and says, and which are left out where there is no room for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from merbench.board.readings import Score
from merbench.board.rows import Row
from merbench.data import databases
from merbench.scores import RANKED, Reading

NOT_RUN, NOT_KNOWN = "not run", "-"


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


def columns(rows: Sequence[Row], reading: Reading = "last") -> list[Column]:
    """Return all columns of one table, in order; those in which no row has anything are left out.

    Args:
        rows: of the table.
        reading: by which it is ranked; a row without it has no cells of it. Guessing scores the same by each that is ranked.
    """

    def cell(of: Callable[[Score], str], otherwise: str = "") -> Callable[[Row], str]:
        return lambda row: of(row.readings[reading]) if reading in row.readings else otherwise

    found = [
        Column("#", lambda row: place(row, reading), 0),
        Column("method", lambda row: row.method, 0, lambda _: "chance (guesses)"),
        Column("UF1", cell(lambda score: number(score.uf1), NOT_RUN), 0, lambda row: guessed(row.readings["last"])),
        Column("95 % interval", cell(lambda score: interval(score.uf1_interval)), 1),
        Column("UAR", cell(lambda score: number(score.uar)), 2),
        Column("accuracy", cell(lambda score: number(score.accuracy)), 5),
        *(Column(other, _other(other), 4) for other in RANKED if other != reading),
        *_parts(rows, reading),
        *_oracle_subject(),
        *_oracle_epoch(rows),
        Column("seeds", lambda row: str(len(row.seeds)), 3),
        Column("parameters", lambda row: f"{row.parameters:,}" if row.parameters else "none", 8),
        Column("a fold", lambda row: duration(row.seconds), 9),
        Column("all folds", lambda row: duration(row.total_seconds), 11),
        Column("memory", lambda row: f"{row.peak_mib:,.0f} MiB" if row.peak_mib else NOT_KNOWN, 12),
        Column("a clip", lambda row: milliseconds(row.clip_seconds), 10),
        Column("annotations", lambda row: row.annotations[:6], 15),
        Column("run", lambda row: row.key[:8], 0),
    ]
    return [column for column in found if column.rank == 0 or any(column.of(row) not in ("", NOT_KNOWN) for row in rows)]


def _parts(rows: Sequence[Row], reading: Reading) -> list[Column]:
    present = {name for row in rows if reading in row.readings for name in row.readings[reading].parts}
    known = databases.known()
    ordered = [*(name for name in known if name in present), *sorted(present - set(known))]
    return [Column(known[name].title if name in known else name, _part(name, reading), 7) for name in ordered] if len(ordered) > 1 else []


def _part(database: str, reading: Reading) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        part = row.readings[reading].parts.get(database) if reading in row.readings else None
        return f"{number(part[0])} / {number(part[1])}" if part else NOT_KNOWN

    return cell


def _other(reading: Reading) -> Callable[[Row], str]:
    return lambda row: number(row.readings[reading].uf1) if reading in row.readings else NOT_RUN


def _chance(reading: Reading) -> Callable[[Row], str]:
    return lambda row: guessed(row.readings[reading]) if reading in row.readings else ""


def _oracle_subject() -> list[Column]:
    """Return the oracle by which papers choose, how much it flatters, and what guesses score by it."""
    return [
        Column("oracle-subject", _other("oracle-subject"), 4),
        Column("optimism gap", lambda row: f"{gap:+.4f}" if (gap := optimism(row)) is not None else "", 6),
        Column("chance by oracle", _chance("oracle-subject"), 6),
    ]


def _oracle_epoch(rows: Sequence[Row]) -> list[Column]:
    if not any("oracle-epoch" in row.readings for row in rows):
        return []
    return [Column("oracle-epoch", _other("oracle-epoch"), 13), Column("chance by oracle-epoch", _chance("oracle-epoch"), 14)]


def optimism(row: Row) -> float | None:
    """Return by how much the epoch that is best for each held-out subject flatters: UF1 of ``oracle-subject`` less that of ``last``."""
    oracle = row.readings.get("oracle-subject")
    return None if oracle is None else oracle.uf1 - row.readings["last"].uf1


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


def place(row: Row, reading: Reading = "last") -> str:
    """Return ``1``, or ``2-5`` where noise leaves it open; empty where a row has no place."""
    first, last = row.places.get(reading, (0, 0))
    return ("" if first == 0 else str(first)) if first == last else f"{first}-{last}"


def number(value: float) -> str:
    """Return a score with four places, as the field prints them; a dash where there is none."""
    return NOT_KNOWN if math.isnan(value) else f"{value:.4f}"


def guessed(score: Score) -> str:
    """Return ``0.34 ± 0.03``: what guesses score by a reading, and how far one guess lies from another; dashes where there is none."""
    return NOT_KNOWN if math.isnan(score.chance_uf1) else f"{score.chance_uf1:.2f} ± {score.chance_uf1_sd:.2f}"


def interval(pair: tuple[float, float]) -> str:
    """Return ``.655 to .777``."""
    return NOT_KNOWN if math.isnan(pair[0]) else f"{pair[0]:.3f} to {pair[1]:.3f}"


def duration(seconds: float | None) -> str:
    """Return ``12.3 s``, ``4 min 10 s`` or ``2 h 5 min``."""
    if seconds is None:
        return NOT_KNOWN
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def milliseconds(seconds: float | None) -> str:
    """Return ``0.41 ms``, ``12 ms`` or ``1.3 s``."""
    if seconds is None:
        return NOT_KNOWN
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
