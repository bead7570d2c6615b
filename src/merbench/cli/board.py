"""merbench leaderboard and compare: what was measured, read anew from the fold files. No torch."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated, Literal

import typer

from merbench.errors import UserError

WIDE = 155
ReadingOption = Annotated[
    Literal["last", "inner"],
    typer.Option(help="By the last epoch, or by the one that each fold chose by inner trainings, of runs with training.inner=3."),
]
Runs = Annotated[Path, typer.Option(help="The folder of all runs.")]


def leaderboard(
    format: Annotated[Literal["md", "csv", "json"] | None, typer.Option(help="Text for a file; left out: a table to read.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to the screen.")] = None,
    reading: ReadingOption = "last",
    runs: Runs = Path("runs"),
) -> None:
    """Show every run, ranked by UF1 of the last epoch (or --reading inner; csv and json hold every reading), apart by data, scheme, protocol and preset."""
    from merbench.board import render
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
        _show(rows, reading)
        return
    text = render.markdown(rows, reading) if format in (None, "md") else render.FORMATS[format](rows)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        if out.is_fifo():
            raise OSError(errno.EINVAL, "it is a pipe, and nobody may be reading; leave --out away")
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the board cannot be written: {error.strerror}", where=out.absolute(), remedy="name another file: --out"
        ) from error


def _show(rows: list, reading: Literal["last", "inner"]) -> None:  # type: ignore[type-arg]  # of Row, which is not imported here
    from rich.console import Console
    from rich.table import Table

    from merbench.board import render

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    left_out = (
        {"accuracy", "inner", "last", "oracle-subject", "chance by oracle", "seeds", "parameters", "a fold"}
        if console.width < WIDE
        else set()
    )
    names = render.columns(reading)
    kept = [index for index, name in enumerate(names) if name not in left_out]
    for title, members in render.tables(rows, reading):
        table = Table(
            title=title.replace("[", "\\["), title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
        )
        for index in kept:
            name = names[index]
            table.add_column(name, justify="left" if name == "method" else "right", no_wrap=name != "method", overflow="fold")
        for rank, row in enumerate(members, 1):
            cells = render.cells(rank, row, reading)
            table.add_row(*(cells[index].replace("[", "\\[") for index in kept))
        chance = render.chance_cells(members[0])
        table.add_row(*(chance[index] for index in kept), style="dim")
        console.print(table, "")
    for line in render.incomplete(rows):
        console.print(f"not finished: {line}", markup=False)
    if left_out:
        console.print(f"ranked by UF1 of the {reading} epoch; with {WIDE} columns or --format md: other readings, costs", style="dim")
    else:
        console.print(render.foot(reading), style="dim", soft_wrap=True)


def compare(
    first: Annotated[str, typer.Argument(help="A run: its key on the board, its folder, or its name where it is the only one.")],
    second: Annotated[str, typer.Argument(help="Another run on the same clips.")],
    reading: ReadingOption = "last",
    runs: Runs = Path("runs"),
) -> None:
    """Test whether two runs differ, paired over subjects, by their last epoch or (--reading inner) by the one that each fold chose."""
    from merbench.board.compare import compare_runs, find

    typer.echo(compare_runs(find(runs, first), find(runs, second), reading))
