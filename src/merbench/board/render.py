"""Rows as text: Markdown, CSV, JSON; and the words that the terminal shows too."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from merbench.board.rows import Row
from merbench.scores import RANKED, Reading

COLUMNS = (
    "#",
    "method",
    "UF1",
    "95 % interval",
    "UAR",
    "accuracy",
    "inner",
    "oracle-subject",
    "chance by oracle",
    "seeds",
    "parameters",
    "a fold",
    "annotations",
    "run",
)


NOT_RUN = "not run"


def columns(reading: Reading = "last") -> tuple[str, ...]:
    """Return the columns of a table that is ranked by a reading; the other reading that is ranked has one of its own."""
    return tuple("last" if name == reading == "inner" else name for name in COLUMNS)


def tables(rows: Iterable[Row], reading: Reading = "last") -> list[tuple[str, list[Row]]]:
    """Group rows that may be ranked with one another, each group by UF1 of a reading, with its heading; rows without the reading come last."""
    grouped: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.readings:
            grouped.setdefault(row.table, []).append(row)
    ordered = []
    for _, members in sorted(grouped.items()):
        members.sort(key=lambda row: (-row.readings[reading].uf1 if reading in row.readings else 1.0, row.method))
        names = Counter(row.method for row in members)
        members[:] = [replace(row, method=f"{row.method} ({row.key[:6]})") if names[row.method] > 1 else row for row in members]
        ordered.append((heading(members[0]), members))
    return ordered


def heading(row: Row) -> str:
    """Return ``smic+casme2, published flow, megc3, loso: 309 clips, 40 subjects (partial composite)``."""
    source = row.source.replace("-", " ")
    marks = [mark for mark in row.marks if mark != source]
    tail = f" ({', '.join(marks)})" if marks else ""
    return f"{row.on}, {source}, {row.scheme}, {row.protocol}: {row.clips} clips, {row.subjects} subjects, data {row.data[:6]}{tail}"


def cells(rank: int, row: Row, reading: Reading = "last") -> tuple[str, ...]:
    """Return a row's cells, one per entry of `columns`; a row without the reading has no rank."""
    score, oracle = row.readings.get(reading), row.readings.get("oracle-subject")
    other = row.readings.get("last" if reading == "inner" else "inner")
    return (
        str(rank) if score else "",
        row.method,
        number(score.uf1) if score else NOT_RUN,
        interval(score.uf1_interval) if score else "",
        number(score.uar) if score else "",
        number(score.accuracy) if score else "",
        number(other.uf1) if other else NOT_RUN,
        number(oracle.uf1) if oracle else NOT_RUN,
        number(oracle.chance_uf1) if oracle else "",
        str(len(row.seeds)),
        f"{row.parameters:,}" if row.parameters else "none",
        duration(row.seconds),
        row.annotations[:6],
        row.key[:8],
    )


def chance_cells(row: Row) -> tuple[str, ...]:
    """Return the cells of the row that guessing would have: in ``last`` and in ``inner`` it is the same."""
    return ("", "chance (guesses)", number(row.readings["last"].chance_uf1), *("",) * (len(COLUMNS) - 3))


RANKED_BY = {
    "last": "Ranked by UF1 of the last epoch, pooled over all folds. inner takes each fold's epoch by trainings that left out training subjects "
    "(training.inner=3), and is ranked apart: --reading inner.",
    "inner": "Ranked by UF1 of the epoch that each fold has chosen by trainings that left out training subjects, pooled over all folds; what has "
    "one epoch has no other to choose. Rows without such trainings (training.inner=3) are not ranked.",
}

FOOT = (
    "oracle-subject picks each held-out subject's best epoch on its own test clips "
    "and is never ranked; beside it stands what guesses score by that rule. run is what merbench compare takes; "
    "annotations is a hash of clips, classes and frame numbers: another version of a sheet gives another."
)


def incomplete(rows: Iterable[Row]) -> list[str]:
    """Return a line for each run that lacks folds."""
    return [
        f"{row.method} on {row.on}: {row.missing} fold{'s' if row.missing > 1 else ''} missing"
        f"{f', {row.failed} of them failed' if row.failed else ''} ({row.path})"
        for row in rows
        if row.missing or row.failed
    ]


def foot(reading: Reading = "last") -> str:
    """Return what the columns mean."""
    return f"{RANKED_BY[reading]} {FOOT}"


def markdown(rows: Sequence[Row], reading: Reading = "last") -> str:
    """Return the board as Markdown, ranked by a reading."""
    parts = ["# merbench leaderboard" + (", by the inner epoch" if reading == "inner" else "")]
    for title, members in tables(rows, reading):
        lines = [_line(columns(reading)), _line("---" for _ in COLUMNS)]
        lines += [_line(cells(rank, row, reading)) for rank, row in enumerate(members, 1)]
        lines.append(_line(chance_cells(members[0])))
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    lacking = incomplete(rows)
    if lacking:
        parts.append("Not finished:\n\n" + "\n".join(f"- {line}" for line in lacking))
    return "\n\n".join([*parts, foot(reading)]) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Return one line per run and reading; ``rankable`` with rows of the same reading, on, source, scheme, protocol, preset and data only."""
    records = [_record(row, name) for row in rows for name in row.readings]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(records[0]) if records else ["on"], lineterminator="\n")
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
    }
    same = ("on", "source", "scheme", "protocol", "preset", "method")
    cost = ("epochs", "parameters", "seconds", "peak_mib", "annotations", "data", "path")
    return {
        **{name: getattr(row, name) for name in same},
        "reading": reading,
        "rankable": reading in RANKED,
        **{name: f"{value:.6f}" for name, value in numbers.items()},
        "seeds": len(row.seeds),
        **{name: getattr(row, name) for name in cost},
        "marks": "; ".join(row.marks),
    }


def as_json(rows: Sequence[Row]) -> str:
    """Return everything, as JSON."""
    return json.dumps([asdict(row) for row in rows], indent=1) + "\n"


FORMATS = {"md": markdown, "csv": as_csv, "json": as_json}


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


def _line(parts: Iterable[str]) -> str:
    return "| " + " | ".join(part.replace("|", "\\|") for part in parts) + " |"
