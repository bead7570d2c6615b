"""Real commands in sessions of their own: watched, killed, and asked what they left."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from merbench.cli import main

MERBENCH = (sys.executable, "-c", "from merbench.cli import main; main()")
FEW = (sys.executable, str(Path(__file__).with_name("few.py")))
"""The same command, for which the scheme of a first look has a dozen clips."""

ENDED = 30.0
"""Seconds of grace that schedulers give."""


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Return whether a condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Command:
    """A merbench command as a session of its own, so that all that it starts can be found, whoever its parent is by then."""

    def __init__(self, *words: str, merbench: Sequence[str] = MERBENCH, **environment: str) -> None:
        with tempfile.NamedTemporaryFile(prefix="said-", dir=Path.cwd(), delete=False) as said:  # no pipe: an orphan would hold it open
            self._said = Path(said.name)
            self.process = subprocess.Popen(
                [*merbench, *words], stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **environment}, start_new_session=True
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def session(self) -> dict[int, tuple[int, bytes]]:
        """Return parent and command line of each living process of the session."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state not in "ZX":
                    found[int(stat.parent.name)] = (int(parent), stat.with_name("cmdline").read_bytes())
            except OSError:
                continue
        return found

    def servers(self) -> list[int]:
        """Return the fork server, where it runs."""
        return [pid for pid, (parent, line) in self.session().items() if parent == self.process.pid and b"forkserver" in line]

    def workers(self) -> list[int]:
        servers = set(self.servers())
        return [pid for pid, (parent, _) in self.session().items() if parent in servers]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, or the command has ended."""
        assert wait_for(lambda: condition() or not self.running), f"it did not come to that: {self.said()}"

    def kill(self, whom: str, chance: random.Random) -> None:
        """SIGKILL the main process, the whole group, a worker or the fork server; whoever is gone already is not missed."""
        targets = {"main": [self.process.pid], "worker": self.workers(), "server": self.servers(), "group": []}[whom]
        try:
            if whom == "group":
                os.killpg(self.process.pid, signal.SIGKILL)
            elif targets:
                os.kill(chance.choice(targets), signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self, seconds: float = 240) -> int:
        """Return the exit code, once the command and all that it started are gone."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"it did not end within {seconds} s: {self.said()}") from None
        assert wait_for(lambda: not self.session(), 10), f"these live on: {self.session()}"
        return code

    def said(self) -> str:
        return self._said.read_text(errors="replace")


def at_home(*words: str, root: Path, **environment: str) -> tuple[int, str]:
    """Run a command in this process, where everything is imported already; return its exit code and what it said."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.chdir(root)
        patch.setattr(sys, "argv", ["merbench", *words])
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None), said.getvalue()
    return 0, said.getvalue()


def files(root: Path, pattern: str = "*.parquet") -> dict[str, bytes]:
    """Return what is there, by name: each file has one of its own."""
    return {path.name: path.read_bytes() for path in root.rglob(pattern)}


def stamps(root: Path, pattern: str = "*.parquet") -> dict[Path, tuple[int, int]]:
    """Return what changes when a file is written again, even with the same bytes."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in root.rglob(pattern)}
