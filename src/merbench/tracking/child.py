"""The process that tells wandb. It reads records as lines of JSON, and answers on its standard output with what a person should know.

It stands apart so that nothing of wandb can fail, slow or change a run: neither its hooks nor its threads, nor a network that does not
answer. It is the only process that imports wandb, and no fold is trained in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from merbench.errors import told as words_of

if TYPE_CHECKING:
    from wandb import Run, Settings

Record = dict[str, Any]
Say = Callable[[str, bool], None]
"""Told a sentence, and whether it is of a fault: something is not where it was asked for."""

INTERRUPTED = 255
"""The exit code that wandb itself gives a run that Ctrl-C ended."""

LONG = 500
"""So many names of blocks are noted each time one is added; more of them once a second."""

INIT, FINISH = 10, 20
"""Seconds that are waited for the server: when a run begins, and for what is still to be sent when it ends."""

TOLD = "told.json"
"""Beside an offline run: its project, names of the blocks that stand in it and in no earlier one, its next step and how it ended.
Not there: its session was killed, and what it has may not be whole."""


def settings(mode: Literal["offline", "online"]) -> Settings:
    """Return wandb's settings: nothing about the machine, its user, its programs or what they print is recorded."""
    import wandb

    return wandb.Settings(
        mode=mode,
        init_timeout=INIT,
        finish_timeout=FINISH,
        finish_timeout_raises=True,
        console="off",
        silent=True,
        symlink=False,
        host="",
        username="",
        email="",
        program="merbench",
        program_abspath="",
        program_relpath="",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        label_disable=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_disable_viewer=True,
        x_save_requirements=False,
    )


def serve(records: Iterator[Record], mode: Literal["offline", "online"], say: Say) -> None:
    """Tell one run from its ``begin`` on; where no ``end`` comes, the run was interrupted.

    Raises:
        Exception: whatever wandb raises; nobody but this process is the worse for it.
    """
    first = next(records, None)
    if first is None:
        return
    folder = Path(first["folder"]) / "wandb"
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / ".lock", timeout=0))
        except Timeout:
            say("another process is telling it of this very run, and this one leaves it to that", True)
            return
        except OSError as error:
            if mode == "offline":
                say(f"its records cannot be kept beside the run: {error.strerror}", True)
                return
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="merbench-"))) / "wandb"
            folder.mkdir()
        Telling(first, folder, mode, say).tell(records)


class Telling:
    """One session of a run at wandb.

    Args:
        first: the ``begin`` record.
        folder: where wandb keeps its records.
        mode: ``online`` or ``offline``. Where no server answers, online becomes offline, and that is said.
        say: told what a person should know.
    """

    def __init__(self, first: Record, folder: Path, mode: Literal["offline", "online"], say: Say) -> None:
        import wandb

        self._mode, self._folder, self._say, self._noted = mode, folder, say, 0.0
        before = set(folder.iterdir())
        try:
            self._run = self._begin(first, mode)
        except (wandb.Error, ValueError, OSError, TimeoutError) as error:
            if mode == "offline":
                raise
            say(f"it cannot be reached ({_short(error)}); its records are kept beside the run, to be sent later (docs/wandb.md)", True)
            self._mode = os.environ["WANDB_MODE"] = "offline"
            wandb.teardown()
            for left in set(folder.iterdir()) - before:
                shutil.rmtree(left, ignore_errors=True)
            self._run = self._begin(first, "offline")
        self._here, self._project = Path(self._run.dir).parent, f"{os.environ.get('WANDB_ENTITY', '')}/{first['project']}"
        self._told, self._step = self._before()
        self._known, self._ending = len(self._told), list[Record]()
        for pattern, step in (("so far/*", "folds"), ("fold/*", "folds"), ("loss/*", "epoch"), ("all folds/*", "epoch")):
            self._run.define_metric(pattern, step_metric=step, summary="none")
        for name in ("fold", "folds", "epoch"):
            self._run.define_metric(name, hidden=True, summary="none")
        if self._mode == "online":
            say(str(self._run.url), False)

    def _begin(self, first: Record, mode: Literal["offline", "online"]) -> Run:
        import wandb

        names = ("id", "project", "name", "group", "tags", "config")
        root = str(self._folder.parent)
        return wandb.init(**{name: first[name] for name in names}, dir=root, mode=mode, resume="allow", settings=settings(mode))

    def _before(self) -> tuple[list[str], int]:
        """Return the blocks that were told before, and the next step: what the server has of this run, or what lies here of it."""
        if self._mode == "online":
            summary: Any = self._run.summary
            return list(map(str, summary.get("told", []))), self._run.starting_step
        told, step = list[str](), 0
        for folder in self._sessions():
            try:
                kept = json.loads((folder / TOLD).read_bytes())
                if kept["project"] == self._project:
                    told, step = [*told, *map(str, kept["told"])], max(step, int(kept["step"]))
            except (OSError, ValueError, KeyError, TypeError):  # its session was killed: all that it may have is told anew
                shutil.rmtree(folder, ignore_errors=True)
        return told, step

    def _sessions(self) -> list[Path]:
        """Return the folders of earlier offline sessions of this run, in whichever project, oldest first."""
        return sorted(set(self._folder.glob(f"offline-run-*-{self._run.id}")) - {self._here})

    def tell(self, records: Iterable[Record]) -> None:
        """Tell what comes, and leave the run in order."""
        import wandb

        code = INTERRUPTED
        for record in records:
            if record["do"] in ("tags", "summary", "end"):
                self._ending.append(record)
            match record["do"]:
                case "block" if self._new(record["name"]):
                    for row in record["rows"]:
                        self._log(row)
                case "tables" if self._new(record["name"]):
                    self._log(self._media(record))
                case "tags":
                    self._run.tags = tuple(record["tags"])
                case "summary":
                    self._run.summary.update(record["values"])
                case "end":
                    code = record["code"]
        self._note()
        if code == INTERRUPTED:
            self._run.summary["state"] = "interrupted"
        try:
            self._run.finish(exit_code=code)
        except (wandb.Error, TimeoutError) as error:
            self._say(f"not all of it was sent ({_short(error)}): merbench wandb sync sends the rest", True)
            return
        wandb.teardown()
        self._keep()

    def _new(self, name: str) -> bool:
        """Return whether a block was not told before; from now on it was, also where this process is killed while it is told."""
        if name in self._told:
            return False
        self._told.append(name)
        if len(self._told) < LONG or time.monotonic() - self._noted > 1:  # thousands of names, each time one is added, would fill a disk
            self._note()
        return True

    def _note(self) -> None:
        self._run.summary["told"] = list(self._told)
        self._noted = time.monotonic()

    def _log(self, row: Record) -> None:
        self._run.log(row, step=self._step)
        self._step += 1

    def _media(self, record: Record) -> Record:
        """Return tables and charts that are bound to the run: an unbound one is staged as an artifact too, under a path of this machine."""
        import wandb

        media: Record = {}
        table: Any
        for key, made in record["tables"].items():
            media[key] = table = wandb.Table(columns=made["columns"], data=made["data"], allow_mixed_types=True)
            table.bind_to_run(self._run, key, self._step)
        for key, matrix in record["confusion"].items():
            classes, counts = matrix["classes"], matrix["counts"]
            cells = [[true, said, counts[i][j]] for i, true in enumerate(classes) for j, said in enumerate(classes)]
            names = ("Actual", "Predicted", "nPredictions")
            table = wandb.Table(columns=list(names), data=cells)
            table.bind_to_run(self._run, f"{key}_table", self._step)
            media[key] = wandb.plot_table("wandb/confusion_matrix/v1", table, {name: name for name in names}, {"title": "rows true"})
        return media

    def _keep(self) -> None:
        """Note what was told, and remove wandb's own logs, which name paths of this machine."""
        shutil.rmtree(self._here / "logs", ignore_errors=True)
        if self._mode == "offline":
            earlier = [folder for folder in self._sessions() if _kept(folder).get("project") == self._project]
            if (
                earlier and len(self._told) == self._known and _kept(earlier[-1]).get("ending") == self._ending
            ):  # all of it lies there already
                shutil.rmtree(self._here, ignore_errors=True)
                self._say(f"nothing is new; {_sending(earlier)}", False)
                return
            kept = {"project": self._project, "told": self._told[self._known :], "step": self._step, "ending": self._ending}
            (self._here / TOLD).write_text(json.dumps(kept), encoding="utf-8")
            self._say(f"kept; {_sending([*earlier, self._here])}", False)
            return
        for folder in self._sessions():  # this project has it all now: wandb sync leaves these alone
            with contextlib.suppress(OSError):
                if _kept(folder).get("project") == self._project:
                    (folder / f"run-{self._run.id}.wandb.synced").touch()


def _kept(folder: Path) -> Record:
    """Return what stands beside an earlier session; nothing where that is damaged or missing."""
    try:
        kept = json.loads((folder / TOLD).read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _sending(folders: Iterable[Path]) -> str:
    """Return which command sends offline sessions, oldest first, but for those that were sent."""
    waiting = [folder for folder in folders if not list(folder.glob("*.synced"))]
    return f"to send it: {shlex.join(['wandb', 'sync', *map(str, waiting)])}" if waiting else "all of it was sent"


def _short(error: BaseException) -> str:
    return " ".join(words_of(error).split())[:200]


def main() -> None:
    """Read records from standard input until it ends; answer on what was standard output, where no library prints any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    for number in (0, 1, 2):
        os.dup2(nowhere, number)

    def say(text: str, fault: bool) -> None:
        with contextlib.suppress(OSError):  # nobody is listening any more
            answers.write(json.dumps([text, fault]) + "\n")
            answers.flush()

    try:
        serve((json.loads(line) for line in lines), "online" if sys.argv[1] == "online" else "offline", say)
    except Exception as error:  # noqa: BLE001  # whatever it is, it ends here: the run knows nothing of it
        say(f"it failed ({_short(error)}); the run goes on without it", True)
    os._exit(0)  # wandb's own hooks might wait for a server


if __name__ == "__main__":
    main()
