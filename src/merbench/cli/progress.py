"""Progress of what is done, how it is interrupted, and a console that nobody needs to be listening to."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO, cast

import typer

from merbench.processes import ENDINGS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from merbench.data.prepare import Watch

AT_ONCE = 5.0
"""Seconds within which further signals mean the same request to end: a scheduler sends two, an impatient hand many."""

_asked: float | None = None
"""When an end was first asked for, on the monotonic clock."""


class _Unneeded:
    """A stream that goes silent when it cannot be written: a closed terminal or a full disk under a log ends no run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._silence()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._silence()

    def _silence(self) -> None:
        """Send what else is written to nowhere: even what is buffered, or Python would fail on it when it ends."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def console() -> Console:
    """Return the console for whatever is said beside a command's result: on the error stream."""
    from rich.console import Console

    stream = _Unneeded(sys.stderr)
    return Console(
        file=cast("TextIO", stream), highlight=False, soft_wrap=not sys.stderr.isatty()
    )  # a log's lines are not cut at column 80


@contextlib.contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Take a request to end (`processes.ENDINGS`) as Ctrl-C; say what is kept, and end with 130.

    A signal that is ignored already, as nohup does with that of a closed terminal, stays ignored. Only the outermost of nested ones installs anything.

    Args:
        kept: returns what is kept, asked when everything inside has ended.
    """
    global _asked
    before = {number: signal.getsignal(number) for number in ENDINGS}
    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, interrupt)]
    if ours:
        _asked = None
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console().print(f"interrupted: {kept()}", markup=False)
        raise typer.Exit(130) from None
    finally:
        for number in ours:
            signal.signal(number, before[number])


def interrupt(_number: int, _frame: object) -> None:
    """Take a request to end as Ctrl-C, once: its copies must not disturb the ending."""
    global _asked
    now = time.monotonic()
    if _asked is None or now - _asked > AT_ONCE:
        _asked = now
        raise KeyboardInterrupt


def heed() -> None:
    """Take a request to end that came where Python could only ignore the exception, as in the finaliser of an object.

    Raises:
        KeyboardInterrupt: an end was asked for.
    """
    if _asked is not None and signal.getsignal(signal.SIGTERM) is interrupt:
        raise KeyboardInterrupt


@contextlib.contextmanager
def watching(units: Mapping[str, str] = MappingProxyType({})) -> Iterator[Watch]:
    """Draw a bar for each piece of work that takes its time; an interruption says what is kept and ends with 130.

    Where there is no terminal, each begin and each tenth is a line.

    Args:
        units: what the pieces of a work are called, by its name, where they are not clips.
    """
    progress: Progress | None = None
    bars: dict[str, TaskID] = {}
    kept = "nothing was begun; run the same command again"
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruptible(lambda: kept))

        def watch(what: str, done: int, total: int) -> None:
            nonlocal kept, progress
            unit = units.get(what, "clips")
            kept = f"{done} of {total} {unit} are kept; the same command goes on from there"
            heed()
            if progress is None:  # where everything is there already, nothing is drawn, nor imported for it
                progress = stack.enter_context(_bars(console()))
            if what not in bars:
                bars[what] = progress.add_task(what, total=total, unit=unit)
            progress.update(bars[what], completed=done)
            if not progress.console.is_terminal and (done == total or done * 10 // total > (done - 1) * 10 // total):
                progress.console.print(f"{what}: {done} of {total} {unit}", markup=False)

        yield watch


def _bars(screen: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} {task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=screen)
