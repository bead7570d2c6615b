"""merbench leaderboard and compare: what was measured, read anew from the fold files. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from merbench.cli import pages
from merbench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from merbench.board.rows import Row

T = TypeVar("T")

ReadingOption = Annotated[
    Literal["last", "inner"],
    typer.Option(help="By the last epoch, or by the one that each fold chose by inner trainings, of runs with training.inner=3."),
]
Runs = Annotated[Path, typer.Option(help="The folder of all runs.")]


def leaderboard(
    format: Annotated[
        Literal["md", "csv", "json", "html"] | None, typer.Option(help="Text for a file, or a page; left out: a table to read.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to the screen.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="All columns, however narrow the terminal.")] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Instead: what papers print beside what was measured, and why they differ.")
    ] = False,
    reading: ReadingOption = "last",
    archives: Annotated[
        list[Path] | None,
        typer.Option(
            help="Beside the runs, what merbench archive has written: a file, or a folder of them, such as merbench's own experiments/results; may be said again."
        ),
    ] = None,
    runs: Runs = Path("runs"),
) -> None:
    """Show every run, ranked by UF1 of the last epoch (or --reading inner; csv and json hold every reading), apart by data, scheme, protocol and preset."""
    from merbench.board import archived, ranking
    from merbench.board.rows import row_of
    from merbench.results import runs_in

    if runs.exists() and not runs.is_dir():
        raise UserError("this is no folder of runs", where=runs.absolute(), remedy="name another: --runs")
    unreadable: list[UserError] = []
    others = _read(archived.row_of, archived.files(archives or []), unreadable)
    rows = archived.joined(_read(row_of, runs_in(runs), unreadable), others)
    for fault in unreadable:
        typer.echo(f"left out: {fault}", err=True)
    if unreadable and not rows:
        raise typer.Exit(2)
    if not rows:
        raise UserError("there is no run yet", where=runs.absolute(), remedy="merbench bench svm_flow, or name another folder: --runs")
    rows = ranking.placed(rows, runs)
    if format is None and out is None:
        if published:
            _show_beside(rows, wide)
        else:
            _show(rows, wide, reading)
        return
    text = _text(format or "md", published, reading, rows)
    if out is None:
        typer.echo(text, nl=False)
        return
    pages.keep(out, text)
    typer.echo(f"{len(rows)} run{'s' if len(rows) > 1 else ''} written to {out}", err=True)


def _read(row_of: Callable[[T], Row], places: Iterable[T], unreadable: list[UserError]) -> list[Row]:
    """Return a row of each place; one that cannot be read does not hide the others."""
    rows = []
    for each in places:
        try:
            rows.append(row_of(each))
        except UserError as error:
            unreadable.append(error)
    return rows


def _text(format: str, published: bool, reading: Literal["last", "inner"], rows: list[Row]) -> str:
    from merbench.board import render

    if format == "html":
        from merbench.board.pages import html

        return html.page(rows)  # which has all readings, and what is published
    if published:
        from merbench.board import beside

        return beside.FORMATS[format](rows)
    return render.markdown(rows, reading) if format == "md" else render.FORMATS[format](rows)


def _show(rows: list[Row], wide: bool, reading: Literal["last", "inner"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from merbench.board import render
    from merbench.board.columns import columns, fitting

    console = Console(highlight=False)
    if wide or not console.is_terminal:
        console.width = 1000  # nothing is cut in a file or a pipe
    short, grouped = False, render.by_source(rows, reading)
    for source, tables in grouped:
        if len(grouped) > 1:
            console.print(source, "", markup=False, style="bold underline")
        for title, members in tables:
            found = columns(members, reading)
            kept = fitting(found, members, console.width)
            short |= len(kept) < len(found)
            console.print(title, markup=False, style="bold")
            table = Table(box=None, pad_edge=False, header_style="dim")
            for column in kept:
                left = column.name == "method"
                table.add_column(Text(column.name), justify="left" if left else "right", no_wrap=not left, overflow="fold")
            for row in members:
                table.add_row(*(Text(column.of(row)) for column in kept))
            table.add_row(*(column.chance(members[0]) for column in kept), style="dim")
            console.print(table, "")
    for line in render.incomplete(rows):
        console.print(f"not finished: {line}", markup=False)
    console.print(render.SHORT.format(reading=reading) if short else render.foot(reading), style="dim", soft_wrap=not short)
    _tell_of_archives(console, rows)


def _tell_of_archives(console: Console, rows: list[Row]) -> None:
    from merbench.board import render

    if told := render.of_archives(rows):
        console.print(told, style="dim", markup=False, soft_wrap=True)


def _show_beside(rows: list[Row], wide: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from merbench.board import beside, render

    console = Console(highlight=False)
    if wide or not console.is_terminal:
        console.width = 1000
    found, alone = beside.beside(rows)
    for each in found:
        console.print(each.title, style="bold", markup=False, soft_wrap=True)
        console.print(render.heading(each.row), style="dim", markup=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in beside.COLUMNS:
            table.add_column(name, justify="left" if name in ("part", "score", "remark") else "right", no_wrap=name != "remark")
        for cell in each.cells:
            table.add_row(*map(Text, cell.texts))
        console.print(table)
        for reason in each.reasons:
            console.print(f"- {reason}", markup=False, soft_wrap=True)
        console.print()
    for line in alone:
        console.print(f"nothing beside {line}", markup=False, soft_wrap=True)
    console.print(beside.FOOT, style="dim", soft_wrap=True)
    _tell_of_archives(console, rows)


def compare(
    first: Annotated[
        str,
        typer.Argument(
            help="A run: its key on the board, its folder, its name (of several with a name, what is on the same clips), or a file of merbench archive."
        ),
    ],
    second: Annotated[str, typer.Argument(help="Another run on the same clips.")],
    reading: ReadingOption = "last",
    runs: Runs = Path("runs"),
) -> None:
    """Test whether two runs differ, paired over subjects, by their last epoch or (--reading inner) by the one that each fold chose."""
    from merbench.board.compare import compare_runs, compared
    from merbench.board.naming import find_two

    one, other = _file(first), _file(second)
    if isinstance(one, str) and isinstance(other, str):
        typer.echo(compare_runs(*find_two(runs, one, other), reading))
        return
    from merbench.board import archived

    typer.echo(compared(*archived.sides(runs, one, other, reading), reading))


def _file(named: str) -> Path | str:
    """Return the path of what may be an archive, and else what a run is called.

    Raises:
        UserError: it can be nothing but an archive, and is not there.
    """
    if not named.endswith(".parquet") or Path(named).is_dir():
        return named
    if not Path(named).exists():
        raise UserError("there is no such archive", where=named, remedy="name what merbench archive has written, or a run")
    return Path(named)
