"""A method beside its ablations, as bench runs and shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from merbench.cli import pages
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.ablations import Ablation
    from merbench.board.ablations import Line
    from merbench.engine.run import Plan
    from merbench.results import Run


def asked(method: str, name: str | None, overrides: Sequence[str]) -> tuple[Ablation, ...]:
    """Return the ablations that are asked for, before anything heavy is imported.

    Raises:
        UserError: an unknown method or ablation, or an override of what an ablation sets.
    """
    if name is None:
        return ()
    from merbench import ablations, methods

    methods.check(method)
    return ablations.asked(method, name, overrides)


def planned(ablation: Ablation, method: str, name: str, plan: Callable[[Sequence[str]], Plan]) -> Plan | str:
    """Return an ablation's plan; where all are asked for and the data cannot bear this one, why not, so that the others are run.

    Why not is told at once, not only hours later in the table: it may be a slip in a file of one's own.

    Args:
        ablation: whose settings are planned.
        method: a method's name, or the path of its own file.
        name: what is asked for: an ablation, or ``all``.
        plan: makes a plan of overrides; the whole method's could be made.

    Raises:
        UserError: it alone is asked for, and cannot be run; a slip in its settings is told of the file where they are written.
    """
    try:
        return plan(ablation.overrides)
    except UserError as error:
        from merbench import ablations
        from merbench.cli.progress import console
        from merbench.presets import COMMAND_LINE

        if name != ablations.ALL:
            if not error.where.startswith((COMMAND_LINE, "method.", "training.")):
                raise
            where = f"{ablation.name} in {ablations.place(method)}"
            raise UserError(error.what, where=where, remedy=error.remedy) from error
        console().print(f"the ablation {ablation.name} will not be run: {error.what}", markup=False)
        return error.what


def show(whole: Run, ablated: Sequence[tuple[Ablation, Run | str]]) -> list[Line]:
    """Print one table of a method and its ablations; return its lines."""
    from rich.console import Console
    from rich.table import Table

    from merbench.board import ablations as board

    found = board.lines(whole, ablated)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    first = found[0].row
    assert first is not None, "the whole method has a run"
    title = board.title(found)
    if not first.readings:
        console.print(f"{title}: not every fold of the whole method is there; the same command goes on", markup=False)
        return found
    narrow = console.width < WIDE
    rows = [board.cells(line) for line in found]
    told = any(row[-1] for row in rows)
    kept = [index for index, name in enumerate(board.COLUMNS) if not (narrow and name in COSTS) and (told or name != board.COLUMNS[-1])]
    table = Table(title=_safe(title), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for index in kept:
        name = board.COLUMNS[index]
        table.add_column(name, justify="left" if index in (0, len(board.COLUMNS) - 1) else "right", no_wrap=index > 0, overflow="fold")
    for cells in (*rows, board.chance(found)):
        table.add_row(*(_safe(cells[index]) for index in kept))
    console.print("", table)
    for ablation, _ in ablated:
        console.print(board.told(ablation), style="dim", markup=False, soft_wrap=True)
    console.print(board.FOOT, style="dim", soft_wrap=True, markup=False)
    return found


def check(out: Path | None, name: str | None) -> None:
    """Refuse, before anything is trained for it, a file that no table can be written to.

    Raises:
        UserError: no ablation is asked for, its ending names no form of a table, or it cannot be written.
    """
    if out is None:
        return
    if name is None:
        raise UserError(
            "what --out writes is the table of ablations, and none is asked for",
            where="--out",
            remedy="--ablation all; of rows: leaderboard",
        )
    from merbench.board import ablations as board

    if out.suffix not in board.FORMATS:
        raise UserError("its ending says no form of a table", where=f"--out {out}", remedy=f"one of {', '.join(board.FORMATS)}")
    pages.check(out)


def keep(out: Path, tables: Sequence[Sequence[Line]]) -> None:
    """Write tables to a file, in the form that its ending says.

    Raises:
        UserError: it cannot be written.
    """
    from merbench.board import ablations as board

    pages.keep(out, board.FORMATS[out.suffix](tables))


WIDE = 140
COSTS = ("UAR", "parameters", "a fold", "memory")
"""What a narrow terminal does not show."""


def _safe(text: str) -> str:
    return text.replace("[", "\\[")
