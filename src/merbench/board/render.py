"""Rows as text: Markdown, CSV, JSON; and the words that the terminal shows too."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from merbench.board.columns import columns, optimism
from merbench.board.columns import duration as duration  # these three under their old name too
from merbench.board.columns import interval as interval
from merbench.board.columns import number as number
from merbench.board.rows import Row
from merbench.data import schemes
from merbench.scores import RANKED, Reading

SOURCES = {
    "frames": "Frames of the databases",
    "published-flow": "Published flow images: 28 pixels, made by others of frames that are not known",
    "synthetic": "Rendered faces: they show that a method learns, and nothing of how good it is on people",
}
"""What each source of data is, in the order in which its tables stand."""


def by_source(rows: Iterable[Row], reading: Reading = "last") -> list[tuple[str, list[tuple[str, list[Row]]]]]:
    """Return the tables of each source of data with what that source is, as `tables` orders them."""
    found: dict[str, list[tuple[str, list[Row]]]] = {}
    for title, members in tables(rows, reading):
        source = members[0].source
        found.setdefault(SOURCES.get(source, source.replace("-", " ")), []).append((title, members))
    return list(found.items())


def tables(rows: Iterable[Row], reading: Reading = "last") -> list[tuple[str, list[Row]]]:
    """Group rows that may be ranked with one another, each group by UF1 of a reading, with its heading; rows without the reading come last.

    What a later version of the same method supersedes stands below what it is ranked with, and says so. Frames of the databases come first, rendered faces last; of one source whole sets before small and quick ones, leaving a subject out
    before any other protocol, ``megc3`` before other schemes, and composites before their parts.
    """
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.readings:
            grouped.setdefault(row.table, []).append(row)
    ordered = []
    for members in sorted(grouped.values(), key=_standing):
        members.sort(key=lambda row: (row.superseded, _worst_first(row, reading), row.method))
        names = Counter(row.method for row in members if not row.superseded)
        members[:] = [replace(row, method=_told(row, names[row.method])) for row in members]
        ordered.append((heading(members[0]), members))
    return ordered


def _told(row: Row, same: int) -> str:
    """Return what a row is called where so many of its table that are not superseded have its name."""
    if row.superseded:
        return f"{row.method} (superseded: version {'.'.join(map(str, row.versions))})"
    return f"{row.method} ({row.key[:6]})" if same > 1 else row.method


def _standing(members: Sequence[Row]) -> tuple[int | str, ...]:
    """Return what tables are sorted by."""
    row, sources = members[0], list(SOURCES)
    place = sources.index(row.source) if row.source in sources else len(sources)
    small, usual = int(schemes.is_mini(row.scheme)), int(not row.scheme.startswith("megc3"))
    return (place, row.source, small, row.preset, int(row.protocol != "loso"), usual, row.scheme, -row.clips, *row.table)


def _worst_first(row: Row, reading: Reading) -> float:
    """Return what rows are sorted by: UF1 downwards; a row without the reading, or whose UF1 has no value, is the last."""
    uf1 = row.readings[reading].uf1 if reading in row.readings else math.nan
    return 1.0 if math.isnan(uf1) else -uf1


def heading(row: Row) -> str:
    """Return ``smic+casme2, published flow, megc3, loso: 309 clips, 40 subjects (partial composite)``."""
    source = row.source.replace("-", " ")
    marks = [mark for mark in row.marks if mark != source]
    tail = f" ({', '.join(marks)})" if marks else ""
    return f"{row.on}, {source}, {row.scheme}, {row.protocol}: {row.clips} clips, {row.subjects} subjects, data {row.data[:6]}{tail}"


RANKED_BY = {
    "last": "Ranked by UF1 of the last epoch, pooled over all folds. inner takes each fold's epoch by trainings that left out training subjects "
    "(training.inner=3), and is ranked apart: --reading inner.",
    "inner": "Ranked by UF1 of the epoch that each fold has chosen by trainings that left out training subjects, pooled over all folds; what has "
    "one epoch has no other to choose. Rows without such trainings (training.inner=3) are not ranked.",
}

PLACES = (
    "# is the place, as far as it can be told: 2-5 says that one row is better for certain, "
    "that what is worse for certain begins at place 6, and that the order between is no more than luck (every pair of the table tested over "
    "subjects, corrected by Holm's rule, 5 % for the whole table). Superseded are runs that a later version of the method, or of how merbench trains, "
    "has replaced: they have no place."
)

NAMES = "run is what merbench compare takes; annotations is a hash of clips, classes and frame numbers: another version of a sheet gives another."

FOOT = (
    f"{PLACES} Databases: UF1 / UAR of the same predictions. oracle-subject picks each held-out "
    "subject's best epoch on its own test clips and is never ranked; the optimism gap is what that adds, and beside it stands what guesses "
    f"score by that rule. a fold, all folds: training, seeds together; a clip: judging one, its flow or frames at hand. {NAMES}"
)

SHORT = "# place by UF1 of the {reading} epoch, as far as noise lets it be told: 2-5 is anywhere between; --wide has every column, --format md tells what they are"


def incomplete(rows: Iterable[Row]) -> list[str]:
    """Return a line for each run that lacks folds."""
    return [
        f"{row.method} on {row.on}: {row.missing} fold{'s' if row.missing > 1 else ''} missing"
        f"{f', {row.failed} of them failed' if row.failed else ''} ({row.path})"
        for row in rows
        if row.missing or row.failed
    ]


def of_archives(rows: Iterable[Row]) -> str:
    """Return which rows are of archives, and what that means; nothing where none is."""
    named = [row.method for row in rows if row.archive]
    if not named:
        return ""
    return (
        f"Of archives, not of runs in this folder, are {len(named)}: {', '.join(dict.fromkeys(named))}. What they score was counted again from "
        "their predictions of the last epoch; how they were made, oracles, measures and costs are as their files tell."
    )


def foot(reading: Reading = "last") -> str:
    """Return what the columns mean."""
    return f"{RANKED_BY[reading]} {FOOT}"


def markdown(rows: Sequence[Row], reading: Reading = "last") -> str:
    """Return the board as Markdown, ranked by a reading."""
    parts = ["# merbench leaderboard" + (", by the inner epoch" if reading == "inner" else "")]
    for source, found in by_source(rows, reading):
        parts.append(f"## {escaped(source)}")
        parts += [f"### {escaped(title)}\n\n{_table(members, reading)}" for title, members in found]
    lacking = incomplete(rows)
    if lacking:
        parts.append("Not finished:\n\n" + "\n".join(f"- {escaped(each)}" for each in lacking))
    return "\n\n".join(filter(None, [*parts, foot(reading), escaped(of_archives(rows))])) + "\n"


def _table(members: Sequence[Row], reading: Reading) -> str:
    """Return the lines of one table, that of chance at its end."""
    found = columns(members, reading)
    lines = [line(column.name for column in found), line("---" for _ in found)]
    lines += [line(column.of(row) for column in found) for row in members]
    return "\n".join([*lines, line(column.chance(members[0]) for column in found)])


def as_csv(rows: Sequence[Row]) -> str:
    """Return one line per run and reading; ``rankable`` with rows of the same reading, on, source, scheme, protocol, preset and data only."""
    records = [_record(row, name) for row in rows for name in row.readings]
    parts = list(dict.fromkeys(name for record in records for name in record if name.startswith("part_")))
    names = [name for name in records[0] if name not in parts] if records else ["on"]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=[*names, *parts], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _record(row: Row, reading: str) -> dict[str, object]:
    score = row.readings[reading]
    numbers = {
        "uf1": score.uf1,
        "uf1_low": score.uf1_interval[0],
        "uf1_high": score.uf1_interval[1],
        "uar": score.uar,
        "accuracy": score.accuracy,
        "chance_uf1": score.chance_uf1,
        "chance_uf1_sd": score.chance_uf1_sd,
    }
    gap = optimism(row) if reading == "last" else None
    place = row.places.get(reading, ("", ""))
    same = ("on", "source", "scheme", "protocol", "preset", "method")
    cost = ("epochs", "parameters", "seconds", "total_seconds", "peak_mib", "clip_seconds", "annotations", "data", "path", "archive")
    return {
        **{name: getattr(row, name) for name in same},
        "reading": reading,
        "rankable": reading in RANKED and not row.superseded,
        "first_place": place[0],
        "last_place": place[1],
        **{name: _cell(value) for name, value in numbers.items()},
        "optimism_gap": _cell(gap),
        "seeds": len(row.seeds),
        **{name: getattr(row, name) for name in cost},
        "marks": "; ".join((*row.marks, *(["superseded"] if row.superseded else []))),
        **{
            f"part_{database}_{name}": _cell(value)
            for database, part in score.parts.items()
            for name, value in zip(("uf1", "uar", "accuracy"), part, strict=True)
        },
    }


def _cell(value: float | None) -> str:
    """Return a number with six places; nothing where it has no value."""
    return "" if value is None or math.isnan(value) else f"{value:.6f}"


def as_json(rows: Sequence[Row]) -> str:
    """Return everything but the confusions by subject, as JSON; ``places`` are the first and the last that a row may have.

    What has no value, as UF1 where a class never occurs, is null: JSON has no NaN.
    """
    told = []
    for row in rows:
        whole = {name: value for name, value in asdict(row).items() if name != "by_subject"}
        told.append(finite({**whole, "optimism_gap": optimism(row) if row.readings else None}))
    return json.dumps(told, indent=1, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """Return the same with None for each number that has no value, which neither JSON nor CSV has a word for."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


FORMATS = {"md": markdown, "csv": as_csv, "json": as_json}


def line(parts: Iterable[str]) -> str:
    """Return one line of a Markdown table; what names hold is shown as it is."""
    return "| " + " | ".join(map(escaped, parts)) + " |"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: a bar ends no cell, and nothing becomes a tag of HTML."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")
