"""What is said of predictions, as text for a terminal or a file."""

from __future__ import annotations

from collections.abc import Sequence

from merbench import scores
from merbench.board.compare import difference_told, seeds_told
from merbench.board.readings import Score
from merbench.board.render import interval, number
from merbench.board.scored import Scored, Versus
from merbench.errors import visible

READINGS = {"inner": "inner choice", "oracle-subject": "oracle, per subject", "oracle-epoch": "oracle, one epoch"}


def text(found: Scored, name: str) -> str:
    """Return everything in words and tables.

    Args:
        found: what is said.
        name: of the file.
    """
    legend = (
        "\noracle: the epoch was chosen on the held-out subjects; never ranked"
        if found.readings.keys() & {"oracle-subject", "oracle-epoch"}
        else ""
    )
    blocks = [_heading(found, name), _table(_score_rows(found)) + legend, _averages(found), _confusion(found)]
    if found.against is not None:
        blocks.append(_versus(found.against, found.seeds))
    if found.claims:
        blocks.append("\n".join(_claimed(found)))
    told = [*(f"note: {note}" for note in found.notes), *(f"warning: {warning}" for warning in found.warnings)]
    blocks.append("\n".join(told))
    return visible("\n\n".join(block for block in blocks if block)) + "\n"


def _heading(found: Scored, name: str) -> str:
    parts = ", ".join(f"{database} {count}" for database, count in found.databases.items())
    seeds = f", {found.seeds} seeds" if found.seeds > 1 else ""
    epochs = f", {len(found.epochs)} epochs" if len(found.epochs) > 1 else ""
    return f"{name} ({found.form})\n{found.clips} clips, {found.subjects} subjects: {parts}{seeds}{epochs}"


def _score_rows(found: Scored) -> list[tuple[str, ...]]:
    last = found.readings["last"]
    first = "last epoch" if len(found.epochs) > 1 else "best epochs, as the log says" if found.best else "pooled"
    rows = [("", "UF1", "95 % interval", "UAR", "95 % interval", "accuracy"), _row(first, last)]
    if len(last.parts) > 1:
        rows += [(f"  {database}", number(part[0]), "", number(part[1]), "", number(part[2])) for database, part in last.parts.items()]
    rows += [_row(READINGS[name], score) for name, score in found.readings.items() if name != "last"]
    for name, chance in found.chance.items():
        words = "guesses by class prior" if name == "last" else f"guesses, {name}"
        rows.append((words, *_guess(chance.uf1, chance.uf1_sd), *_guess(chance.uar, chance.uar_sd), ""))
    return rows


def _row(name: str, score: Score) -> tuple[str, ...]:
    return (name, number(score.uf1), interval(score.uf1_interval), number(score.uar), interval(score.uar_interval), number(score.accuracy))


def _guess(mean: float, deviation: float) -> tuple[str, str]:
    return (number(mean), "" if mean != mean else f"± {deviation:.3f}")


def _averages(found: Scored) -> str:
    rows = [("called UF1 in papers (only the pooled one can be compared):", "")]
    rows += [(f"  {name}", number(value)) for name, value in found.averages.items()]
    return rows[0][0] + "\n" + _table(rows[1:])


def _confusion(found: Scored) -> str:
    matrix = found.readings["last"].confusion
    rows = [("", *found.classes), *((name, *map(str, row)) for name, row in zip(found.classes, matrix, strict=True))]
    seeds = f", summed over {found.seeds} seeds" if found.seeds > 1 else ""
    return f"confusion, rows true, columns predicted{seeds}:\n" + _table(rows)


def _versus(against: Versus, own: int) -> str:
    by = "clip by clip" if against.paired_by == "clip" else "clips are not named: subjects have as many clips of each class in both"
    seeds = f", {seeds_told(own, against.seeds)}" if max(own, against.seeds) > 1 else ""
    lines = [f"against {against.run}{seeds}, last epoch, paired over subjects ({by}), swapped {scores.REPLICATES:,} times:"]
    return "\n".join([*lines, *(f"  {difference_told(name, against.means[name], test)}" for name, test in against.tests.items())])


def _claimed(found: Scored) -> list[str]:
    """Return a line for each claim that holds; the others are warnings."""
    return [f"{one.score} {one.printed} ({one.source}): it is {' = '.join(one.equals)}" for one in found.claims if one.holds]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows with their columns under each other, the first to the left."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        (row[0].ljust(widths[0]) + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))).rstrip()
        for row in rows
    )
