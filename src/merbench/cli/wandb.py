"""merbench wandb: tell wandb of a run afterwards, and lay out a project's dashboard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from merbench.cli.progress import console, interruptible
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.tracking.session import Mode, Tracker

app = typer.Typer(help="Tell wandb of runs afterwards, and lay out its dashboard.", no_args_is_help=True)

ProjectOption = Annotated[str | None, typer.Option(help="The wandb project. Left out: WANDB_PROJECT, else merbench.")]


def tracker_of(mode: Mode, project: str | None, patience: float | None = None) -> Tracker:
    """Return who tells wandb; where nobody asked for it, quietly, and it is not waited for longer than after Ctrl-C.

    Raises:
        UserError: WANDB_MODE or the project's name is not what it should be.
    """
    from merbench.tracking import session

    screen = console()
    settled = session.settled(mode, os.environ)
    name = session.project_of(project, os.environ) if settled != "off" or project is not None else session.PROJECT
    unasked = mode == "auto" and not os.environ.get("WANDB_MODE")
    patience = patience or (session.HURRY if unasked else session.PATIENCE)
    return session.Tracker(settled, name, lambda text: screen.print(text, markup=False), patience, quiet=unasked)


@app.command("sync")
def sync(
    run: Annotated[str, typer.Argument(help="A run: its key on the board, its folder, or its name where that leaves one.")],
    mode: Annotated[
        Literal["online", "offline"], typer.Option(help="offline keeps the records beside the run, for wandb sync.")
    ] = "online",
    project: ProjectOption = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
) -> None:
    """Tell wandb of a run from its fold files: what bench tells as it goes. What wandb has already is not told again."""
    from merbench.board.naming import find
    from merbench.board.rows import row_of
    from merbench.tracking import session

    found = find(runs, run)
    request, provenance = found.described()
    row = row_of(found)
    tracker = tracker_of(mode, project, session.SYNC)
    with interruptible(lambda: "what was told is kept; the same command goes on"), tracker.telling(found, request, provenance) as told:
        told.row(found, row)
    raise typer.Exit(0 if tracker.whole else 1)


@app.command("dashboard")
def dashboard(
    entity: Annotated[str | None, typer.Option(help="The user or team that the project belongs to. Left out: WANDB_ENTITY.")] = None,
    project: ProjectOption = None,
    out: Annotated[Path | None, typer.Option(help="Write its specification there, as JSON, and ask no server.")] = None,
) -> None:
    """Lay out a project's workspace so that its table is the board: a new view, every time."""
    from merbench.tracking import dashboard as built
    from merbench.tracking import session

    name = session.project_of(project, os.environ)
    owner = entity or os.environ.get("WANDB_ENTITY") or ""
    if not owner and out is None:
        raise UserError(
            "whose project is it?", where="--entity", remedy="name your user or team at wandb: --entity NAME, or set WANDB_ENTITY"
        )
    if out is None:
        typer.echo(built.save(owner, name))
        return
    text = built.specification(owner, name)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the dashboard cannot be written: {error.strerror}", where=out.absolute(), remedy="name another file: --out"
        ) from error
    typer.echo(f"the dashboard of {name} is written to {out}; without --out it is made at wandb")
