"""Progress of what is done before a run, and how it is interrupted."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from merbench.data.prepare import Watch


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Draw a bar for each piece of preparation that takes its time; an interruption says what is kept and ends with 130.

    Where there is no terminal, each begin and each tenth is a line.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} clips"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bars: dict[str, TaskID] = {}
    kept = "nothing was begun"
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with Progress(*columns, console=console) as progress:

            def watch(what: str, done: int, total: int) -> None:
                nonlocal kept
                kept = f"{done} of {total} clips are kept; the same command goes on from there"
                if what not in bars:
                    bars[what] = progress.add_task(what, total=total)
                progress.update(bars[what], completed=done)
                if not console.is_terminal and (done == total or done * 10 // total > (done - 1) * 10 // total):
                    console.print(f"{what}: {done} of {total} clips", markup=False)

            yield watch
    except KeyboardInterrupt:
        console.print(f"interrupted: {kept}", markup=False)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt(_number: int, _frame: object) -> None:
    """Take a request to end as Ctrl-C."""
    raise KeyboardInterrupt
