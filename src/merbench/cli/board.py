"""merbench leaderboard and compare: what was measured, read anew from the fold files. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from merbench.cli import pages
from merbench.errors import UserError

WIDE = 125
Runs = Annotated[Path, typer.Option(help="The folder of all runs.")]


def leaderboard(
    format: Annotated[
        Literal["md", "csv", "json", "html"] | None, typer.Option(help="Text for a file, or a page; left out: a table to read.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to the screen.")] = None,
    runs: Runs = Path("runs"),
) -> None:
    """Show every run, ranked by UF1 of the last epoch, apart by data, scheme, protocol and preset."""
    from merbench.board.rows import row_of
    from merbench.results import runs_in

    if runs.exists() and not runs.is_dir():
        raise UserError("this is no folder of runs", where=runs.absolute(), remedy="name another: --runs")
    rows, unreadable = [], []
    for run in runs_in(runs):
        try:
            rows.append(row_of(run))
        except UserError as error:  # one bad run does not hide the others
            unreadable.append(error)
    for fault in unreadable:
        typer.echo(f"left out: {fault}", err=True)
    if unreadable and not rows:
        raise typer.Exit(2)
    if not rows:
        raise UserError("there is no run yet", where=runs.absolute(), remedy="merbench bench svm_flow, or name another folder: --runs")
    if format is None and out is None:
        _show(rows)
        return
    text = _text(format or "md", rows)
    if out is None:
        typer.echo(text, nl=False)
        return
    pages.keep(out, text)


def _text(format: str, rows: list) -> str:  # type: ignore[type-arg]  # of Row, which is not imported here
    from merbench.board import render

    if format != "html":
        return render.FORMATS[format](rows)
    from merbench.board.pages import html

    return html.page(rows)


def _show(rows: list) -> None:  # type: ignore[type-arg]  # of Row, which is not imported here
    from rich.console import Console
    from rich.table import Table

    from merbench.board import render

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    left_out = {"accuracy", "oracle-subject", "chance by oracle", "seeds", "parameters", "a fold"} if console.width < WIDE else set()
    kept = [index for index, name in enumerate(render.COLUMNS) if name not in left_out]
    for title, members in render.tables(rows):
        table = Table(
            title=title.replace("[", "\\["), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
        )
        for index in kept:
            name = render.COLUMNS[index]
            table.add_column(name, justify="left" if name == "method" else "right", no_wrap=name != "method", overflow="fold")
        for rank, row in enumerate(members, 1):
            cells = render.cells(rank, row)
            table.add_row(*(cells[index].replace("[", "\\[") for index in kept))
        chance = render.chance_cells(members[0])
        table.add_row(*(chance[index] for index in kept), style="dim")
        console.print(table, "")
    for line in render.incomplete(rows):
        console.print(f"not finished: {line}", markup=False)
    if left_out:
        console.print(
            f"ranked by UF1 of the last epoch; with {WIDE} columns or --format md: oracles beside their chance, costs", style="dim"
        )
    else:
        console.print(render.FOOT, style="dim", soft_wrap=True)


def compare(
    first: Annotated[str, typer.Argument(help="A run: its key on the board, its folder, or its name where it is the only one.")],
    second: Annotated[str, typer.Argument(help="Another run on the same clips.")],
    runs: Runs = Path("runs"),
) -> None:
    """Test whether two runs differ, paired over subjects, by their last epoch."""
    from merbench.board.compare import compare_runs, find

    typer.echo(compare_runs(find(runs, first), find(runs, second)))
