"""The board as a page: every run by every reading; ranked where the text tables rank."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from merbench.board import beside, columns, render
from merbench.board.pages import charts, words
from merbench.board.pages.page import rendered
from merbench.board.rows import Row
from merbench.data import databases
from merbench.scores import RANKED, READINGS


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Attributes:
        text: what is read first; where it has commas or brackets it may be broken.
        under: a second, smaller line.
        order: what the column is sorted by; empty: nothing is there, and it stays last.
        chart: drawn in the place of the text.
        link: to a place of the page.
    """

    text: str = ""
    under: str = ""
    order: float | str = ""
    chart: Markup = field(default_factory=Markup)
    link: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: its heading.
        told: what it holds.
        cell: of a row by a reading.
        words: whether it is sorted from a to z, and stands left.
    """

    name: str
    told: str
    cell: Callable[[Row, str], Cell]
    words: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table: of a run, or of guesses where ``row`` is None.

    Attributes:
        rank: as the text tables have it; a dash where nothing is ranked.
        place: by which the rank is sorted.
        cells: one a column.
    """

    row: Row | None
    rank: str
    place: int
    cells: list[Cell]


@dataclass(frozen=True)
class Body:
    """The rows of one reading in one table; below them what guesses score by it, and which methods have no such reading."""

    reading: str
    lines: list[Line]
    chance: list[Line]
    lacking: list[str]


@dataclass(frozen=True)
class Table:
    """Rows that may be ranked with one another, by every reading.

    Attributes:
        anchor: its place in the page.
        title: as the text tables have it; ``heading`` is its first part.
        facts: by which tables are filtered.
        columns: of every body, after the rank.
        bodies: by reading, the ranked one first.
        members: its rows, as they are ranked.
    """

    anchor: str
    title: str
    facts: dict[str, str]
    columns: list[Column]
    bodies: list[Body]
    members: list[Row]

    @property
    def heading(self) -> str:
        """Return data, source, scheme and protocol."""
        return self.title.partition(": ")[0]


def page(rows: Sequence[Row]) -> str:
    """Return the board as one HTML file."""
    number = itertools.count(1)
    sources = [(source, [_table(next(number), title, members) for title, members in found]) for source, found in render.by_source(rows)]
    tables = [table for _, found in sources for table in found]
    every = [row for table in tables for row in table.members]
    return rendered(
        "board.html",
        sources=sources,
        tables=tables,
        every=every,
        choices={name: _unlike(table.facts[name] for table in tables) for name in ("data", "scheme", "protocol", "preset")},
        readings=_readings(every),
        incomplete=render.incomplete(rows),
        beside=beside.beside(rows),
        beside_columns=beside.COLUMNS,
        beside_foot=beside.FOOT,
        charts=charts,
        render=render,
        words=words,
    )


def _table(index: int, title: str, members: list[Row]) -> Table:
    first = members[0]
    costs = (
        column for column in COSTS if any(column.cell(row, words.FIRST).text != "-" for row in members)
    )  # what nobody measured has none
    shown = [*SCORES, *_parts(members), *costs]
    shown += _others(members, shown)
    facts = {
        "data": f"{first.on}, {first.source.replace('-', ' ')}",
        "scheme": first.scheme,
        "protocol": first.protocol,
        "preset": first.preset,
    }
    return Table(f"table-{index}", title, facts, shown, [_body(name, members, shown) for name in _readings(members)], members)


def _readings(rows: Iterable[Row]) -> list[str]:
    """Return every reading that some row has, the ranked one first, the oracles last."""
    found = _unlike(name for row in rows for name in row.readings)
    return sorted(found, key=lambda name: (name != words.FIRST, words.is_oracle(name)))


def _unlike(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _body(reading: str, members: list[Row], shown: list[Column]) -> Body:
    """Return the rows that have a reading, by its UF1, with their places where that reading is ranked."""
    ranked = next((each for each in RANKED if each == reading), None)
    there = [row for row in members if reading in row.readings]
    if reading != words.FIRST:  # by which they are in order already
        there.sort(key=lambda row: (row.superseded, _order(-row.readings[reading].uf1)))
    lines = []
    for place, row in enumerate(there, 1):
        rank = columns.place(row, ranked) if ranked else "-"
        lines.append(Line(row, rank, place, [column.cell(row, reading) for column in shown]))
    guesses = {0 if ranked else row.epochs: row for row in reversed(there)}  # what is ranked has one chance for any number of epochs
    chance = [_chance(row, reading, epochs, shown) for epochs, row in sorted(guesses.items())]
    return Body(reading, lines, chance, [row.method for row in members if row not in there])


def _order(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _chance(row: Row, reading: str, epochs: int, shown: list[Column]) -> Line:
    """Return the row that guesses would have by a reading."""
    score = row.readings[reading]
    low, high = (score.chance_uf1 + side * score.chance_uf1_sd for side in (-2, 2))
    said = f"chance: UF1 {render.number(score.chance_uf1)}, {low:.3f} to {high:.3f} in 95 of 100 draws"
    filled = {
        "method": Cell("chance (guesses)", under=f"same rule, {epochs} epochs" if epochs else ""),
        "UF1": Cell(render.number(score.chance_uf1), under=f"± {score.chance_uf1_sd:.3f}"),
        "95 % interval": Cell(chart=charts.bar(score.chance_uf1, (low, high), math.nan, said)),
    }
    return Line(None, "", 0, [filled.get(column.name, Cell()) for column in shown])


def _value(value: float, under: str = "") -> Cell:
    """Return a score's cell."""
    return Cell(render.number(value), under, "" if math.isnan(value) else value)


def _method(row: Row, reading: str) -> Cell:
    return Cell(row.method, "" if reading == words.FIRST else words.named(reading).lower(), row.method.lower(), link=f"#run-{row.key}")


def _bar(row: Row, reading: str) -> Cell:
    score = row.readings[reading]
    said = f"UF1 {render.number(score.uf1)}, 95 % interval {render.interval(score.uf1_interval)}, chance {render.number(score.chance_uf1)}"
    return Cell(
        render.interval(score.uf1_interval),
        order=_known(score.uf1_interval[0]),
        chart=charts.bar(score.uf1, score.uf1_interval, score.chance_uf1, said),
    )


def _known(value: float | None) -> float | str:
    """Return what a number is sorted by."""
    return "" if value is None or math.isnan(value) else value


def _optimism(row: Row, reading: str) -> Cell:
    """Return by how much an oracle flatters: the row's own where it is one, else the one per subject, beside its chance."""
    oracle = reading if words.is_oracle(reading) else "oracle-subject"
    if oracle not in row.readings or "last" not in row.readings:
        return Cell("not run")
    gap = row.readings[oracle].uf1 - row.readings["last"].uf1
    if math.isnan(gap):
        return Cell("-")
    under = f"{row.readings[oracle].uf1:.3f}, chance {row.readings[oracle].chance_uf1:.2f}"
    return Cell(f"{gap:+.4f}", under, gap)


def _seeds(row: Row, _reading: str) -> Cell:
    return Cell(str(len(row.seeds)), f"{row.epochs} epochs" if row.epochs > 1 else "", len(row.seeds))


def _time(row: Row, _reading: str) -> Cell:
    under = "" if row.total_seconds is None else f"all {render.duration(row.total_seconds)}"
    return Cell(render.duration(row.seconds), under, _known(row.seconds))


def _memory(row: Row, _reading: str) -> Cell:
    return Cell(f"{row.peak_mib:,.0f} MiB" if row.peak_mib else "-", order=_known(row.peak_mib))


def _run(row: Row, _reading: str) -> Cell:
    return Cell(row.key[:8], "of an archive" if row.archive else f"data {row.data[:6]}", row.key, link=f"#run-{row.key}")


SCORES = (
    Column("method", "with what was changed in brackets; its name leads to its run below", _method, words=True),
    Column("UF1", "mean over classes of F1, pooled over all folds", lambda row, reading: _value(row.readings[reading].uf1)),
    Column("95 % interval", "of UF1 from 0 to 1, subjects drawn with replacement; the upright stroke is chance", _bar),
    Column("UAR", "mean over classes of recall, pooled over all folds", lambda row, reading: _value(row.readings[reading].uar)),
    Column("accuracy", "share of clips judged right", lambda row, reading: _value(row.readings[reading].accuracy)),
)

COSTS = (
    Column("optimism gap", "UF1 of the oracle less that of the last epoch; beside it that oracle, and guesses by its rule", _optimism),
    Column("seeds", "trainings with all their folds; scores are means over them", _seeds),
    Column(
        "parameters",
        "trained, of one fold's network",
        lambda row, _: Cell(f"{row.parameters:,}" if row.parameters else "none", order=row.parameters),
    ),
    Column("a fold", "training time of one fold, a mean; below it of all folds and seeds together", _time),
    Column("memory", "most that a worker took", _memory),
    Column(
        "a clip",
        "time to judge one clip, its flow or frames at hand",
        lambda row, _: Cell(columns.milliseconds(row.clip_seconds), order=_known(row.clip_seconds)),
    ),
    Column("run", "what merbench compare and report take; below it the beginning of its data's hash", _run, words=True),
)

ELSEWHERE = {"#", "all folds", "annotations", *READINGS, *(f"chance by {name}" for name in ("oracle", *READINGS))}
"""Columns of the text tables that stand here in another form; any other of theirs is taken over as it is."""


def _parts(members: Sequence[Row]) -> list[Column]:
    """Return a column a database of a composite."""
    names = _unlike(name for row in members for score in row.readings.values() for name in score.parts)
    titles = {name: known.title for name, known in databases.known().items()}
    told = "UF1 and UAR of the same predictions on the clips of {}"
    return [Column(titles.get(name, name), told.format(name), _part(name)) for name in names] if len(names) > 1 else []


def _part(name: str) -> Callable[[Row, str], Cell]:
    def cell(row: Row, reading: str) -> Cell:
        part = row.readings[reading].parts.get(name)
        return _value(part[0], f"UAR {render.number(part[1])}") if part else Cell()

    return cell


def _others(members: Sequence[Row], shown: Sequence[Column]) -> list[Column]:
    """Return columns that the text tables have and this page does not know, as words."""
    here = ELSEWHERE | {column.name for column in (*shown, *COSTS)}
    return [Column(each.name, "", _taken_over(each), words=True) for each in columns.columns(members) if each.name not in here]


def _taken_over(column: columns.Column) -> Callable[[Row, str], Cell]:
    return lambda row, reading: Cell(text := column.of(row), order=text) if reading == words.FIRST else Cell()
