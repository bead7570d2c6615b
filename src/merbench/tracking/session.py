"""Who tells wandb: a thread that turns what happens into records, and a process of its own that hands them on. Neither is waited for."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from merbench.board.rows import Row
from merbench.config import Request
from merbench.errors import UserError, told, visible
from merbench.foldfile import FoldResult
from merbench.results import Provenance, Run
from merbench.tracking import records
from merbench.tracking.child import INTERRUPTED

Settled = Literal["off", "offline", "online"]
Mode = Settled | Literal["auto"]
Records = Callable[[], Iterable[records.Record]]

PROJECT = "merbench"

PATIENCE, HURRY, SYNC = 30.0, 10.0, 600.0
"""Seconds that a finished run, an interrupted one and ``merbench wandb sync`` wait for what is still to be told."""

KEPT = {
    *("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_APP_URL", "WANDB_INSECURE_DISABLE_SSL"),
    *("WANDB_IDENTITY_TOKEN_FILE", "WANDB_CREDENTIALS_FILE", "WANDB_CONFIG_DIR", "WANDB_HTTP_TIMEOUT", "WANDB_FILE_PUSHER_TIMEOUT"),
}
"""Variables that say where the server is and who asks; every other one of wandb's would change what is recorded."""


def settled(mode: Mode, environ: Mapping[str, str]) -> Settled:
    """Return what is done where nothing was asked for: what WANDB_MODE says, else records are kept beside the run.

    That is so with a key and without: what is told names licensed clips, so a key that is there for other work invites nobody.

    Raises:
        UserError: WANDB_MODE says what wandb does not know.
    """
    if mode != "auto":
        return mode
    said = environ.get("WANDB_MODE", "")
    known: dict[str, Settled] = {
        "": "offline",
        "disabled": "off",
        "offline": "offline",
        "dryrun": "offline",
        "online": "online",
        "run": "online",
        "shared": "online",
    }
    if said not in known:
        raise UserError(f"'{said[:40]}' is no mode of wandb", where="WANDB_MODE", remedy="set online, offline or disabled, or unset it")
    return known[said]


def project_of(name: str | None, environ: Mapping[str, str]) -> str:
    """Return the project: the one that is named, else that of WANDB_PROJECT, else ``merbench``.

    Raises:
        UserError: wandb takes no such name.
    """
    project = name if name is not None else environ.get("WANDB_PROJECT") or PROJECT
    if not project.strip() or len(project) > 128 or not project.isprintable() or any(sign in project for sign in "/\\#?%:"):
        raise UserError(
            f"'{project[:60]}' is no name of a wandb project",
            where="WANDB_PROJECT" if name is None else "--wandb-project",
            remedy="take up to 128 characters without / \\ # ? % :",
        )
    return project


def environment(mode: str, environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the environment of the process that tells: nothing from outside changes what is recorded, offline has no key.

    Without WANDB_ERROR_REPORTING=false wandb reports to its makers, and without WANDB_MODE in the environment, before it is imported,
    a thread of it asks the server even where nothing is to be sent.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(("WANDB_", "_WANDB_")) or name in KEPT}
    if mode == "offline":
        kept.pop("WANDB_API_KEY", None)
    ours = {"WANDB_MODE": mode, "WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
    return kept | ours | {"TMPDIR": folder, "WANDB_CACHE_DIR": folder, "WANDB_DATA_DIR": folder, "OMP_NUM_THREADS": "1"}


class Tracker:
    """Tells wandb of the runs of one command, or nobody of anything.

    Args:
        mode: ``off`` starts and imports nothing.
        project: of wandb.
        say: told what a person should know, from the thread that calls.
        patience: seconds that the end of a run waits for what is still to be told.
        quiet: of what is well nothing is said, since nobody asked.

    Attributes:
        whole: nothing has gone wrong so far.
    """

    def __init__(self, mode: Settled, project: str, say: Callable[[str], None], patience: float = PATIENCE, quiet: bool = False):
        self._mode, self._project, self._say, self._patience, self._quiet = mode, project, say, patience, quiet
        self.whole = True

    @contextlib.contextmanager
    def telling(self, run: Run, request: Request, provenance: Provenance) -> Iterator[Telling]:
        """Make ready to tell of a run; leaving tells how it ended, waits for no longer than is told above, and never fails.

        Ctrl-C closes it as interrupted; a second one while it closes leaves it as it is.
        """

        def opening() -> Iterator[records.Record]:
            yield records.begin(run, request, provenance, self._project)
            for result, seconds in records.finished_before(run):
                yield from telling.so_far.fold(result, seconds)

        telling = Telling(None if self._mode == "off" else lambda: Line(self._mode), opening, self._hear)
        patience = HURRY
        try:
            yield telling
            patience = self._patience
        except KeyboardInterrupt:
            telling.code = INTERRUPTED
            raise
        except BaseException:
            telling.code = 1
            raise
        finally:
            self._end(telling, patience)

    def _end(self, telling: Telling, patience: float) -> None:
        line = telling.line
        if line is None:
            return
        line.put(lambda: [{"do": "end", "code": telling.code}])
        try:
            whole = line.close(patience)
        finally:
            line.kill()
        self._hear(line)
        if not whole:
            self.whole, self._mode = False, "off"
            self._say(f"wandb: it has not taken everything within {patience:.0f} s and was left; merbench wandb sync tells it the rest")

    def _hear(self, line: Line) -> None:
        for text, fault in line.heard():
            if fault:  # said once: the next run of this command is not told where this one could not be
                self.whole, self._mode = False, "offline" if self._mode == "online" else "off"
            if fault or not self._quiet:
                self._say(f"wandb: {visible(text, keep='')}")


class Telling:
    """What the command says of one run. Every call returns at once.

    Attributes:
        code: the exit code of the run.
        line: to the process that tells, once there was something to tell.
        so_far: the folds that were told; used by the line's thread alone.
    """

    def __init__(self, line_of: Callable[[], Line] | None, opening: Records, hear: Callable[[Line], None]) -> None:
        self._line_of, self._opening, self._hear = line_of, opening, hear
        self.so_far = records.SoFar()
        self.line: Line | None = None
        self.code = 0

    def begin(self) -> None:
        """Tell who the run is and which folds are there, once; and say what was heard since. A run that another process is at is not begun."""
        if self.line is None and self._line_of is not None:
            self.line = self._line_of()
            self.line.put(self._opening)
        if self.line is not None:
            self._hear(self.line)

    def fold(self, result: FoldResult, seconds: float | None) -> None:
        """Tell of a finished fold."""
        self._put(lambda: self.so_far.fold(result, seconds))

    def row(self, run: Run, row: Row) -> None:
        """Tell of a run as the board has it."""
        self._put(lambda: records.closing(run, row))

    def _put(self, made: Records) -> None:
        self.begin()
        if self.line is not None:
            self.line.put(made)


class Line:
    """A process that tells wandb, fed by a thread, so that whoever has something to tell never waits.

    Args:
        mode: ``offline`` or ``online``.

    Attributes:
        process: as soon as it runs.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._waiting: queue.SimpleQueue[Records | None] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self.process: subprocess.Popen[str] | None = None
        self._left = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, made: Records) -> None:
        """Tell these records, which the thread makes when it comes to them."""
        self._waiting.put(made)

    def heard(self) -> list[tuple[str, bool]]:
        """Return what was said since this was last asked, and whether each tells of a fault."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._said.get_nowait())
        return found

    def close(self, patience: float) -> bool:
        """Wait until everything is told, so many seconds at most; return whether it was, or cannot be."""
        self._waiting.put(None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """End the process, whatever it does. wandb's own ends when this one does."""
        self._left = True
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.kill()
        self._thread.join(1.0)

    def _work(self) -> None:
        """Start the process and feed it. What goes wrong is said once, and nothing else comes of it."""
        try:
            with tempfile.TemporaryDirectory(prefix="merbench-wandb-", ignore_cleanup_errors=True) as folder:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "merbench.tracking.child", self._mode],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment(self._mode, os.environ, folder),
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C in the terminal is not for it: the run that hears it closes it
                )
                listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
                listener.start()
                fault = self._feed(self.process)
                code = self.process.wait()
                listener.join(1.0)
            if not self._left and (fault or code):
                lost = f"its process ended with {code}; the run goes on without it, and merbench wandb sync tells it later"
                self._said.put((fault or lost, True))
        except Exception as error:  # noqa: BLE001  # nothing that concerns wandb may cost a fold
            self._said.put((f"it failed ({told(error)[:200]}); the run goes on without it", True))

    def _feed(self, process: subprocess.Popen[str]) -> str:
        """Write records until there are no more; return what went wrong with making one."""
        assert process.stdin is not None
        fault = ""
        with contextlib.suppress(OSError), process.stdin as pipe:  # a process that is gone has said why, or its exit code does
            for made in iter(self._waiting.get, None):
                try:
                    for record in made():
                        pipe.write(json.dumps(record, allow_nan=False) + "\n")
                    pipe.flush()
                except (UserError, ValueError, KeyError, TypeError) as error:  # the command itself tells of a run that cannot be read
                    fault = f"not everything was told ({told(error).splitlines()[0][:200]})"
        return fault

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            for line in pipe:
                with contextlib.suppress(ValueError):  # it was killed in the middle of a line
                    text, fault = json.loads(line)
                    self._said.put((str(text), bool(fault)))
