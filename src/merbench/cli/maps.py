"""merbench maps: where a trained method looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merbench.cli.progress import watching
from merbench.errors import UserError


def maps(
    run: Annotated[
        str, typer.Argument(help="A run with --save-weights: its key on the board, its folder, or its name where that leaves one.")
    ],
    sheet: Annotated[Path, typer.Option(help="The PNG to draw; it shows faces.")],
    clips: Annotated[int, typer.Option(min=1, max=200, help="So many held-out clips, of as many people as there are.")] = 12,
    method: Annotated[Path | None, typer.Option(help="The method's own file, where it is none of merbench's.")] = None,
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
) -> None:
    """Draw where RUN's method looks, over the apex of held-out clips: each by the weights that had not seen it."""
    if sheet.is_dir() or not sheet.absolute().parent.is_dir():
        raise UserError(
            "a sheet cannot be drawn there", where=sheet.absolute(), remedy="name a PNG file in a folder that is there: --sheet"
        )

    from merbench.board.naming import find
    from merbench.data import overlays
    from merbench.engine import maps as looking

    found = find(runs, run)
    with watching() as watch:
        rows = looking.overlays(found, clips, method, watch)
    overlays.sheet(rows, sheet)
    people = len({row.caption[0].rpartition("/")[0] for row in rows})
    typer.echo(f"{len(rows)} held-out clips of {people} people are drawn in {sheet}: it shows faces")
