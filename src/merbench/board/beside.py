"""Measured beside published: what a paper prints, what merbench measures, the gap, and what is known of why. Never mixed, never ranked.

Every reason is a fact of the two rows: how the epoch was chosen, what was learnt from, how far the method is the paper's, what
arithmetic says of the printed cells.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from merbench.board.columns import interval, number
from merbench.board.flags import Flagged, flagged
from merbench.board.published import MEASURED, Ours, Published, ours
from merbench.board.readings import Score
from merbench.board.render import escaped, heading, line, of_archives
from merbench.board.rows import Row
from merbench.card import shipped

COLUMNS = ("part", "score", "paper", "ours", "95 % interval", "gap", "oracle-subject", "remark")

SCORES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}

FIDELITY = {
    "port": "from public code",
    "reconstruction": "reconstructed",
}

FIELDS = ("run", "method", "published", "source", "status", "selection", *COLUMNS, "reasons", "archive")

FOOT = (
    "paper: as printed; ours: the last epoch, pooled over all folds; gap: ours less the paper's. oracle-subject: ours by the epoch that is best for each "
    "held-out subject, as many papers choose it. Intervals are of whole rows; parts have none. merbench published: every printed score, with its source."
)


@dataclass(frozen=True)
class Cell:
    """One printed score beside the same of ours.

    Attributes:
        one: the published row.
        part: the databases whose clips are scored.
        score: of `SCORES`.
        paper, ours: the two.
        interval: of ours; None for a part.
        oracle: ours by the reading ``oracle-subject``; None where it was not run.
        remark: what speaks against the printed one, and whether it lies in the interval.
    """

    one: Published
    part: str
    score: str
    paper: str
    ours: float
    interval: tuple[float, float] | None
    oracle: float | None
    remark: str

    @property
    def gap(self) -> float:
        """Return ours less the paper's."""
        return self.ours - float(self.paper)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return one text per entry of `COLUMNS`."""
        return (
            self.part,
            SCORES[self.score],
            self.paper,
            number(self.ours),
            interval(self.interval) if self.interval else "",
            f"{self.gap:+.4f}",
            number(self.oracle) if self.oracle is not None else "",
            self.remark,
        )


@dataclass(frozen=True)
class Beside:
    """A row beside what one source prints of its method.

    Attributes:
        row: ours.
        method, source: as published.
        reasons: what is known of why the two differ.
        cells: each printed score that ours has too.
    """

    row: Row
    method: str
    source: str
    reasons: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        """Return ``ststnet (run 1a2b3c4d) beside STSTNet, HTNet paper, Table 2``."""
        return f"{self.row.method} (run {self.row.key[:8]}) beside {self.method}, {self.source}"


def beside(rows: Iterable[Row]) -> tuple[list[Beside], list[str]]:
    """Return each measured row with what is published of its method, and in words which rows have nothing beside them, and why.

    Rows on rendered faces are never compared: a paper's number says nothing of them.
    """
    known = ours()
    found, alone, rendered = [], [], 0
    for row in rows:
        if not row.readings:
            continue
        if row.source == "synthetic":
            rendered += 1
            continue
        theirs = [each for each in flagged() if each.one.method in known and known[each.one.method].method == _method(row)]
        matched = [each for each in theirs if _same(row, each.one)]
        if not theirs:
            whose = "merbench's own, of no paper" if _own(row) else "no printed score of this method could be verified"
            alone.append(f"{row.method} on {row.on}: {whose}")
        elif not matched:
            alone.append(f"{row.method} on {row.on}: no published score of this method is of {row.scheme}, {row.protocol}, these databases")
        for name, source in dict.fromkeys((each.one.method, each.one.source) for each in matched):
            of_source = [each for each in matched if (each.one.method, each.one.source) == (name, source)]
            found += [Beside(row, name, source, _reasons(row, of_source, known[name]), _cells(row, of_source))]
    if rendered:
        alone.append(f"{rendered} row{'s' if rendered > 1 else ''} on rendered faces; there is no published number of those")
    return found, list(dict.fromkeys(alone))


def _method(row: Row) -> str:
    return row.path.split("/")[-2]


def _same(row: Row, one: Published) -> bool:
    """Return whether a row has clips, classes and folds of a published one: also where it learnt from fewer databases."""
    scheme, protocol, _ = MEASURED[one.protocol]
    return (row.scheme, row.protocol) == (scheme, protocol) and _scored(row, one) is not None


def _scored(row: Row, one: Published) -> str | None:
    """Return what of a row is scored: empty for all of it, a part's name, or None where it has no such part."""
    if row.on == one.part:
        return ""
    on = MEASURED[one.protocol][2] or one.part
    shares = row.on == on or one.protocol.endswith("-cde")  # a composite of fewer databases has the part too; what it learnt from is told
    return one.part if shares and one.part in row.readings["last"].parts else None


def _cells(row: Row, theirs: Sequence[Flagged]) -> tuple[Cell, ...]:
    last, oracle = row.readings["last"], row.readings.get("oracle-subject")
    cells = []
    for each in theirs:
        part = _scored(row, each.one)
        for score in SCORES:
            if score not in each.one.printed or part is None:
                continue
            bounds = None if part else {"uf1": last.uf1_interval, "uar": last.uar_interval}.get(score)
            cells.append(
                Cell(
                    one=each.one,
                    part=part or row.on,
                    score=score,
                    paper=each.one.printed[score],
                    ours=_value(last, part, score),
                    interval=bounds,
                    oracle=_value(oracle, part, score) if oracle else None,
                    remark=_remark(each, score, bounds),
                )
            )
    return tuple(cells)


def _value(score: Score, part: str, name: str) -> float:
    if part:
        return score.parts[part][list(SCORES).index(name)]
    return {"uf1": score.uf1, "uar": score.uar, "accuracy": score.accuracy}[name]


def _whole(one: Published) -> Flagged | None:
    """Return the row of the same table for all databases together, where what is said of all its cells stands."""
    same = (one.method, one.source, "3db")
    return next((each for each in flagged() if (each.one.method, each.one.source, each.one.part) == same), None)


def _remark(each: Flagged, score: str, bounds: tuple[float, float] | None) -> str:
    """Return what is to be known of one cell: second-hand, impossible, within our interval."""
    told = []
    if each.one.status == "second-hand":
        told.append("second-hand" + (f": {each.one.note}" if each.one.note else ""))
    elif each.one.part != "3db":  # what is said of that is said of all cells, among the reasons
        told += [text for text in (each.one.note, *each.flags) if text]
    if bounds and bounds[0] <= float(each.one.printed[score]) <= bounds[1]:
        told.append("within our interval")
    return "; ".join(told)


def _reasons(row: Row, theirs: Sequence[Flagged], method: Ours) -> tuple[str, ...]:
    first = theirs[0].one
    on = MEASURED[first.protocol][2] or first.part
    selection = {
        "oracle": "the paper's epoch was chosen on the held-out subjects: beside it belongs our oracle-subject, not ours",
        "unknown": "how the paper chose its epoch is not told; most public codes choose it on the held-out subjects (oracle-subject)",
        "last": "both take the last epoch",
    }
    reasons = [selection[first.selection]]
    if row.source == "published-flow":
        reasons.append(
            "ours reads public flow images of 28 pixels in relative units, whose frames and flow settings are not known, and no frames"
        )
    if row.on != on:
        reasons.append(f"ours learnt from {row.on}, the paper's from {on}")
    if row.preset == "quick":
        reasons.append("ours is preset quick: fewer epochs, smaller images and networks")
    if row.superseded:
        reasons.append(f"ours is of version {'.'.join(map(str, row.versions))}, which a later one supersedes")
    if "[" in row.method:
        reasons.append(f"ours has changed settings: {row.method}")
    for fidelity, told in FIDELITY.items():
        ours_so = [what for what in ("network", "training") if getattr(method, what) == fidelity]
        if ours_so:
            reasons.append(f"our {' and '.join(ours_so)}: {told}; merbench methods {method.method} tells more")
    whole = _whole(first)
    if whole and whole.one.status == "published":
        reasons += [f"of the paper's cells: {told}" for told in (whole.one.note, *whole.flags) if told]
    return tuple(reasons)


def _own(row: Row) -> bool:
    """Return whether a row's method is merbench's own: it stands for no paper."""
    card = shipped().get(_method(row))
    return card is not None and card.network == "own"


def records(rows: Iterable[Row]) -> list[dict[str, str]]:
    """Return one record a printed score that has ours beside it, by `FIELDS`."""
    found, _ = beside(rows)
    return [
        dict(
            zip(
                FIELDS,
                (
                    each.row.key,
                    each.row.method,
                    each.method,
                    each.source,
                    cell.one.status,
                    cell.one.selection,
                    *cell.texts,
                    "; ".join(each.reasons),
                    each.row.archive,
                ),
                strict=True,
            )
        )
        for each in found
        for cell in each.cells
    ]


def as_json(rows: Sequence[Row]) -> str:
    """Return the records as JSON."""
    return json.dumps(records(rows), indent=1) + "\n"


def as_csv(rows: Sequence[Row]) -> str:
    """Return the records as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(rows))
    return out.getvalue()


def markdown(rows: Sequence[Row]) -> str:
    """Return it all as Markdown."""
    found, alone = beside(rows)
    parts = ["# Measured beside published"]
    for each in found:
        table = "\n".join(map(line, [COLUMNS, ("---",) * len(COLUMNS), *(cell.texts for cell in each.cells)]))
        reasons = "\n".join(f"- {escaped(reason)}" for reason in each.reasons)
        parts.append(f"## {escaped(each.title)}\n\n{escaped(heading(each.row))}\n\n{table}\n\nWhy they may differ:\n\n{reasons}")
    if alone:
        parts.append("Nothing beside:\n\n" + "\n".join(f"- {escaped(each)}" for each in alone))
    return "\n\n".join(filter(None, [*parts, FOOT, escaped(of_archives(rows))])) + "\n"


FORMATS = {"md": markdown, "csv": as_csv, "json": as_json}
