"""A method beside its ablations: what each change costs, paired over subjects."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from merbench import scores
from merbench.ablations import Ablation
from merbench.board.columns import NOT_KNOWN, duration, guessed, interval, number
from merbench.board.compare import Pair, paired
from merbench.board.render import escaped, finite, heading, line
from merbench.board.rows import Row, row_of
from merbench.results import Run

COLUMNS = ("ablation", "UF1", "95 % interval", "UAR", "difference", "its 95 % interval", "p", "parameters", "a fold", "memory", "the paper")
WHOLE = "the whole method"

FOOT = (
    "Last epoch, pooled over all folds, means over seeds. difference: UF1 of the ablation less that of the whole method, with interval and p of the "
    "test paired over subjects; p is corrected (Holm) for the number of ablations beside it. Above 0.05 it may be "
    "no more than luck; and p knows of subjects alone: that another seed would say the same is told by more seeds."
)


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Attributes:
        ablation: None for the whole method.
        row: its run; None where it could not be run.
        pair: its UF1 against the whole method's; None for the whole itself, and where not every fold of a common seed is there.
        p: of the pair, corrected for all pairs of the table.
        why: it could not be run; empty where it was.
    """

    ablation: Ablation | None
    row: Row | None
    pair: Pair | None = None
    p: float | None = None
    why: str = ""


def lines(whole: Run, ablated: Sequence[tuple[Ablation, Run | str]]) -> list[Line]:
    """Return the whole method and then its ablations, in their order.

    Args:
        whole: the run of the method as it is.
        ablated: each ablation with its run, or with why there is none.
    """
    first = row_of(whole)
    found, known = [], {whole.path: WHOLE}
    for ablation, run in ablated:
        if isinstance(run, str):
            found.append(Line(ablation, None, why=run))
        elif run.path in known:  # a line of zeros would be no finding, and one more pair to correct the others for
            found.append(Line(ablation, None, why=f"its settings are those of {known[run.path]}"))
        else:
            row, known[run.path] = row_of(run), ablation.name
            found.append(Line(ablation, row, paired(run, whole) if row.readings and first.readings else None))
    tested = [line for line in found if line.pair is not None]
    corrected = iter(scores.holm([line.pair.tests["UF1"].p for line in tested if line.pair is not None]))
    return [
        Line(None, first),
        *(Line(line.ablation, line.row, line.pair, None if line.pair is None else next(corrected), line.why) for line in found),
    ]


def cells(line: Line) -> tuple[str, ...]:
    """Return a line's cells, one per entry of COLUMNS."""
    name, paper = (line.ablation.name, line.ablation.paper) if line.ablation else (WHOLE, "")
    if line.row is None or not line.row.readings:
        return (name, f"not run: {_lacking(line)}", *("",) * (len(COLUMNS) - 3), paper)
    last = line.row.readings["last"]
    against = ("", "", "")
    if line.pair is not None and line.p is not None:
        against = _told(line.pair.tests["UF1"], line.p)
    return (
        name,
        number(last.uf1),
        interval(last.uf1_interval),
        number(last.uar),
        *against,
        f"{line.row.parameters:,}" if line.row.parameters else "none",
        duration(line.row.seconds),
        f"{line.row.peak_mib:,.0f} MiB" if line.row.peak_mib else "-",
        paper,
    )


def _told(test: scores.Paired, p: float) -> tuple[str, str, str]:
    """Return a difference, its interval and p; dashes where one has no value, since a class never occurs or hardly any draw has them all."""
    if math.isnan(test.difference):
        return (NOT_KNOWN,) * 3
    low, high = test.interval.low, test.interval.high
    return f"{test.difference:+.4f}", NOT_KNOWN if math.isnan(low) else f"{low:+.3f} to {high:+.3f}", f"{p:.4f}"


def _lacking(line: Line) -> str:
    return line.why or (f"{line.row.missing} fold{'s' if line.row.missing > 1 else ''} missing" if line.row else "")


def chance(found: Sequence[Line]) -> tuple[str, ...]:
    """Return the cells of the line that tells what guessing scores, one per entry of COLUMNS."""
    (whole, *_) = found
    told = guessed(whole.row.readings["last"]) if whole.row is not None and whole.row.readings else ""
    return ("chance (guesses)", told, *("",) * (len(COLUMNS) - 2))


def title(found: Sequence[Line]) -> str:
    """Return what stands above a table: the method, and on what it was run."""
    first = found[0].row
    assert first is not None, "the whole method has a run"
    return f"{first.method} and its ablations on {heading(first)}"


def told(ablation: Ablation) -> str:
    """Return what an ablation changes, and by which settings."""
    return f"{ablation.name}: {ablation.about} ({', '.join(ablation.overrides)})"


def markdown(tables: Sequence[Sequence[Line]]) -> str:
    """Return tables as Markdown, each with what its ablations change; that of chance is the last line."""
    parts = []
    for found in tables:
        body = [cells(each) for each in found]
        shown = len(COLUMNS) - (not any(row[-1] for row in body))  # where no paper says anything, there is no column for it
        body = [COLUMNS, ("---",) * shown, *body, chance(found)]
        parts += [f"## {escaped(title(found))}", "\n".join(line(row[:shown]) for row in body)]
        parts.append("\n".join(f"- {escaped(told(each.ablation))}" for each in found if each.ablation))
    return "\n\n".join([*parts, FOOT]) + "\n"


def as_csv(tables: Sequence[Sequence[Line]]) -> str:
    """Return one line for each line of each table; what has no value is empty."""
    records = [_record(each, found) for found in tables for each in found]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6f}" if isinstance(value, float) else value for name, value in each.items()} for each in map(finite, records)
    )
    return out.getvalue()


def as_json(tables: Sequence[Sequence[Line]]) -> str:
    """Return the same records as a list; what has no value is null."""
    return json.dumps([finite(_record(each, found)) for found in tables for each in found], indent=1, allow_nan=False) + "\n"


def _record(each: Line, found: Sequence[Line]) -> dict[str, object]:
    """Return one line with nothing rounded; p before and after Holm's correction."""
    first, row = found[0].row, each.row
    assert first is not None, "the whole method has a run"
    last = row.readings.get("last") if row else None
    test = each.pair.tests["UF1"] if each.pair else None
    return {
        **{name: getattr(first, name) for name in ("on", "source", "scheme", "protocol", "preset", "data")},
        "method": first.method,
        "ablation": each.ablation.name if each.ablation else "",
        "about": each.ablation.about if each.ablation else "",
        "settings": " ".join(each.ablation.overrides) if each.ablation else "",
        "paper": each.ablation.paper if each.ablation else "",
        "uf1": last.uf1 if last else None,
        "uf1_low": last.uf1_interval[0] if last else None,
        "uf1_high": last.uf1_interval[1] if last else None,
        "uar": last.uar if last else None,
        "accuracy": last.accuracy if last else None,
        "chance_uf1": last.chance_uf1 if last else None,
        "chance_uf1_sd": last.chance_uf1_sd if last else None,
        "difference": test.difference if test else None,
        "difference_low": test.interval.low if test else None,
        "difference_high": test.interval.high if test else None,
        "p": test.p if test else None,
        "p_corrected": each.p,
        **{name: getattr(row, name) if row else None for name in ("parameters", "seconds", "peak_mib")},
        "seeds": len(row.seeds) if row else 0,
        "run": row.path if row else None,
        "not_run": "" if last else _lacking(each),
    }


FORMATS: dict[str, Callable[[Sequence[Sequence[Line]]], str]] = {".md": markdown, ".csv": as_csv, ".json": as_json}
"""By the ending of the file."""
