"""merbench report: one run as a page. And how pages and other texts are written to files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.board.pages.report import Images, Report


def report(
    run: Annotated[str, typer.Argument(help="A run: its key on the board, its folder, or its name where that leaves one.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    runs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
    images: Annotated[
        bool, typer.Option("--images", help="Show the hardest clips, and where the method looks: the page then shows faces.")
    ] = False,
) -> None:
    """Write one run as a page: scores, subjects, epochs, calibration, hardest clips, losses, cost, provenance."""
    check(out)
    from merbench.board.naming import find
    from merbench.board.pages import report as pages

    found = pages.read(find(runs, run))
    keep(out, pages.page(found, _images(found) if images else None))
    typer.echo(f"{found.row.method} ({found.row.key[:8]}) is written to {out}{': it shows faces' if images else ''}")


def _images(found: Report) -> Images:
    """Return pictures of the hardest clips, and of where the method looks if it kept its weights.

    Raises:
        UserError: the clips are not prepared here.
    """
    from merbench.board.pages.pictures import picture, pictures
    from merbench.board.pages.report import Images

    clips = pictures(found.run, [hard.clip for hard in found.hardest])
    if not (found.run.path / "weights").is_dir():
        return Images(clips, lacking="the run kept no weights (merbench bench --save-weights)")
    from merbench.cli.progress import watching
    from merbench.data.overlays import over
    from merbench.engine import maps

    try:
        with watching() as watch:
            rows = maps.overlays(found.run, MAPS, watch=watch)
    except UserError as error:  # most methods have none: that spoils no report
        return Images(clips, lacking=error.what)
    drawn = [
        (
            ", ".join(row.caption),
            [picture("apex", row.apex.transpose(1, 2, 0)), *(picture(name, over(row.apex, each)) for name, each in row.maps.items())],
        )
        for row in rows
    ]
    return Images(clips, drawn)


MAPS = 12
"""Clips over which maps are drawn."""


def check(out: Path) -> None:
    """Refuse what cannot be written, before work is done for it.

    Raises:
        UserError: it is a folder or a pipe, or in a folder that is not there.
    """
    if out.is_dir():
        raise _refused(out, os.strerror(errno.EISDIR))
    if out.is_fifo():
        raise _refused(out, "it is a pipe, and nobody may be reading")
    if not out.absolute().parent.is_dir():
        raise _refused(out, "its folder is not there")


def keep(out: Path, text: str) -> None:
    """Write a text whole: what was there stays until all of it is written.

    Raises:
        UserError: it cannot be written.
    """
    from merbench.foldfile import write

    check(out)
    try:
        if _is_special(out):
            out.write_text(text, encoding="utf-8")
        else:
            write(out.resolve(), text.encode())
    except OSError as error:
        raise _refused(out, error.strerror or str(error)) from error


def _is_special(out: Path) -> bool:
    """Return whether something is there that is written to and not replaced, as /dev/stdout.

    Raises:
        OSError: it cannot be told, as of a link in a circle.
    """
    try:
        return not stat.S_ISREG(out.stat().st_mode)
    except FileNotFoundError:
        return False


def _refused(out: Path, why: str) -> UserError:
    return UserError(f"a file cannot be written: {why}", where=out.absolute(), remedy="name a file in a folder that is there: --out")
