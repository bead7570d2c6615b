"""A method beside its ablations: what each change costs, paired over subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from merbench import scores
from merbench.ablations import Ablation
from merbench.board.columns import duration, interval, number
from merbench.board.compare import Pair, paired
from merbench.board.render import line
from merbench.board.rows import Row, row_of
from merbench.results import Run

COLUMNS = ("ablation", "UF1", "95 % interval", "UAR", "difference", "its 95 % interval", "p", "parameters", "a fold", "memory", "the paper")
WHOLE = "the whole method"

FOOT = (
    "Last epoch, pooled over all folds, means over seeds. difference: UF1 of the ablation less that of the whole method, with interval and p of the "
    "test paired over subjects; p is corrected (Holm) for the number of ablations beside it. Above 0.05 it may be no more than luck."
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
        why = line.why or (f"{line.row.missing} fold{'s' if line.row.missing > 1 else ''} missing" if line.row else "")
        return (name, f"not run: {why}", *("",) * (len(COLUMNS) - 3), paper)
    last = line.row.readings["last"]
    against = ("", "", "")
    if line.pair is not None and line.p is not None:
        test = line.pair.tests["UF1"]
        against = (f"{test.difference:+.4f}", f"{test.interval.low:+.3f} to {test.interval.high:+.3f}", f"{line.p:.4f}")
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


def markdown(found: Sequence[Line]) -> str:
    """Return the table as Markdown."""
    body = [COLUMNS, ("---",) * len(COLUMNS), *(cells(each) for each in found)]
    return "\n".join(map(line, body)) + f"\n\n{FOOT}\n"
