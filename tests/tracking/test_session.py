"""A run at wandb, read back from what its process wrote; and that nothing of wandb can fail, hold up or betray a run."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from merbench.board.rows import row_of
from merbench.errors import UserError
from merbench.results import Run, runs_in
from merbench.tracking import records, session
from merbench.tracking.session import Line, Tracker
from tests.board.test_rows import make_run
from tests.conftest import Cli
from tests.tracking.recorded import sessions
from tests.tracking.server import Kept, Server
from tests.tracking.test_records import with_curves


class Trap:
    """A port that counts who connects to it, and answers nobody."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                self._server.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Trap]:
    """Every way out leads into the trap: wandb's server, and proxies for all others. Nobody is logged in."""
    set_up = Trap()
    monkeypatch.setenv("WANDB_BASE_URL", set_up.url)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, set_up.url)
    for name in ("NO_PROXY", "no_proxy", "WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield set_up
    set_up.close()


def told_of(run: Run, mode: session.Settled, project: str = "p") -> tuple[Tracker, list[str]]:
    """Tell wandb of a run; return who did, and what was said."""
    said: list[str] = []
    tracker = Tracker(mode, project, said.append)
    with tracker.telling(run, *run.described()) as told:
        told.row(run, row_of(run))
    return tracker, said


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_offline_run_read_back(tmp_path: Path, trap: Trap, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told offline, then again with another seed and a server asked for that nobody may enter: each fold stands there once."""
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_NAME", "not this one")
    run = with_curves(tmp_path)
    row = row_of(run)
    tracker, said = told_of(run, "offline")
    (first,) = sessions(run.path)
    assert (tracker.whole, said) == (True, [f"wandb: kept; to send it: wandb sync {shlex.quote(str(first.folder))}"])
    assert (first.run.display_name, first.run.project, first.exit_code) == ("example", "p", 0)
    assert first.run.run_group == "smic+casme2, published-flow, megc3, loso, full, data k0"
    assert list(first.run.tags) == ["smic", "casme2", "published flow", "megc3", "loso", "full", "partial composite"]
    assert (first.config["training"]["epochs"], first.config["fingerprint"], first.config["key"]) == (4, "k0", run.path.name)
    assert len(first.rows("fold")) == 10
    assert [line["folds"] for line in first.rows("folds")] == list(range(1, 11))
    assert first.rows("so far/seed 0/uf1")[-1]["so far/seed 0/uf1"] == pytest.approx(row.readings["last"].uf1)
    assert [line["epoch"] for line in first.rows("loss/fit/total/smic--s1--s0")] == [1, 2, 3, 4]
    assert [line["epoch"] for line in first.rows("all folds/seed 0/uf1")] == [1, 2, 3, 4]
    assert first.summary["uf1"] == row.readings["last"].uf1
    assert (first.summary["uf1 low"], first.summary["uf1 high"]) == row.readings["last"].uf1_interval
    lines = first.table("predictions")
    assert len(lines) == 60
    assert set(lines[0]) == {"clip", "held out", "seed", "truth", "predicted", "right", "p negative", "p positive", "p surprise"}
    assert sum(line["nPredictions"] for line in first.table("confusion_table")) == 60
    assert {line["reading"] for line in first.table("readings")} == set(row.readings)

    monkeypatch.delenv("WANDB_API_KEY")
    before = trap.connections
    assert before == 0, "offline asks nobody"
    run = with_curves(tmp_path, seeds=2)
    answer = cli("wandb", "sync", run.path.name, "--runs", str(tmp_path), "--project", "p")
    assert answer.code == 1
    assert answer.err.count("wandb: it cannot be reached") == 1
    assert "No API key" in answer.err
    _, second = sessions(run.path)
    assert second.run.run_id == first.run.run_id
    assert {line["fold"][-4:] for line in second.rows("fold")} == {"--s1"}
    assert second.rows("all folds/seed 0/uf1") == []
    steps = [line["_step"] for found in (first, second) for line in found.history]
    assert steps == list(range(len(steps))), "the second session goes on where the first one stopped"
    assert second.summary["seeds"] == 2
    assert trap.connections == before, "without a key nobody is asked either"
    nothing_of_this_machine(run.path / "wandb", tmp_path)
    assert "wandb" not in sys.modules, "its own process alone imports it"


def of_this_machine(root: Path) -> list[str]:
    """Return what would tell where something was run, and by whom."""
    names = [socket.gethostname()] if len(socket.gethostname()) > 6 else []  # a short one stands in other words
    return [str(root), str(Path.home()), str(Path(sys.prefix)), sys.executable, str(Path.cwd()), f"{getpass.getuser()}@", *names]


def nothing_of_this_machine(folder: Path, root: Path) -> None:
    """Look for the machine's name, its user, its paths and pictures in everything that was kept, and for what wandb notes of a machine."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".wandb", ".json", ".lock", ""}
    words = of_this_machine(root)
    for path in files:
        content = path.read_bytes()
        assert not [word for word in words if word.encode() in content], path
    for found in sessions(folder):
        assert found.kinds <= {"header", "run", "config", "telemetry", "metric", "history", "summary", "files", "exit"}
        assert (found.run.host, found.run.git.commit) == ("", "")


def test_online_a_run_that_goes_on_is_told_once(tmp_path: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server has of a run's folds is not sent again; here it has four of them, and twenty rows."""
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        run, so_far = with_curves(tmp_path), records.SoFar()
        first = records.begin(run, *run.described(), "p")
        folds = [fold.name for fold, _ in records.finished_before(run)][:4]
        before = [row for fold in run.results(folds) for block in so_far.fold(fold, 1.0) for row in block["rows"]]
        server.runs[first["id"]] = Kept(
            [json.dumps({**row, "_step": step}) for step, row in enumerate(before)],
            json.dumps({"told": folds, "uf1": 0.1, "_step": len(before) - 1}),
            {"config": "{}", "project": "p", "displayName": "example"},
        )
        tracker, said = told_of(run, "online")
        server.shutdown()
    assert (tracker.whole, said) == (True, [f"wandb: {server.url}/me/p/runs/{first['id']}"])
    kept = server.runs[first["id"]]
    assert len(kept.rows("fold")) == len({row["fold"] for row in kept.rows("fold")}) == 10
    assert [row["_step"] for row in kept.rows("_step")] == list(range(len(kept.history)))
    assert [row["epoch"] for row in kept.rows("all folds/seed 0/uf1")] == [1, 2, 3, 4]
    assert json.loads(kept.summary)["uf1"] == row_of(run).readings["last"].uf1
    assert (kept.exit_code, kept.upsert["groupName"], kept.upsert["tags"][-1]) == (0, first["group"], "partial composite")
    assert any(name.startswith("media/table/predictions") for name in kept.files)
    assert {Path(name).suffix for name in kept.files} <= {".json", ".yaml"}, "no picture, no code, no list of packages"
    sent = json.dumps([kept.upsert, kept.summary, kept.history])
    assert not [word for word in of_this_machine(tmp_path) if word in sent]
    assert trap.connections == 0, "nobody else is asked"


def test_off_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said = make_run(tmp_path), list[str]()
    monkeypatch.setattr(session, "Line", lambda *_: pytest.fail("a process was started"))
    with Tracker("off", "p", said.append).telling(run, *run.described()) as told:
        told.fold(run.results(["smic--s1--s0"])[0], 1.0)
        told.row(run, row_of(run))
    assert said == []
    assert not (run.path / "wandb").exists()


class Listener(Line):
    """Keeps records in the place of a process."""

    def __init__(self, mode: str) -> None:
        self.mode, self.told = mode, list[records.Record]()
        lines.append(self)

    def put(self, made: session.Records) -> None:
        self.told += made()

    def heard(self) -> list[tuple[str, bool]]:
        return [("kept", False)]

    def close(self, _patience: float) -> bool:
        return True

    def kill(self) -> None: ...


lines: list[Listener] = []


def test_a_bench_is_told_as_it_goes(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    lines.clear()
    monkeypatch.setattr(session, "Line", Listener)
    answer = cli("bench", "majority", "--on", "smic", "--wandb", "offline", "--wandb-project", "mine")
    assert answer.code == 0, answer.err
    (run,), (line,) = runs_in(Path("runs")), lines
    assert (line.told[0]["project"], line.told[0]["name"], line.told[-1]) == ("mine", "majority", {"do": "end", "code": 0})
    blocks = [record for record in line.told if record["do"] == "block"]
    assert sorted(block["name"] for block in blocks[:-1]) == sorted(run.finished())
    assert {block["name"]: block["rows"][0].get("fold/seconds") for block in blocks[:-1]} == {
        name: cost["seconds"] for name, cost in run.provenance.costs.items()
    }
    assert line.told[-2] == {"do": "summary", "values": records.summary(row_of(run))}


def test_unasked_records_are_kept_beside_the_run_and_nothing_is_said(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "Line", Listener)
    for said, mode in ((None, "offline"), ("online", "online")):
        lines.clear()
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        monkeypatch.setenv("WANDB_MODE", said or "")
        answer = cli("bench", "majority", "--on", "smic")
        assert (answer.code, [line.mode for line in lines]) == (0, [mode])
        assert ("wandb" in answer.err) is (said is not None)


def test_what_one_project_was_told_is_not_taken_for_anothers(tmp_path: Path, trap: Trap) -> None:
    run = make_run(tmp_path)
    for project in ("one", "two"):
        assert told_of(run, "offline", project)[0].whole
    first, second = sessions(run.path)
    assert [found.run.project for found in (first, second)] == ["one", "two"]
    assert [len(found.rows("fold")) for found in (first, second)] == [10, 10]
    assert told_of(run, "offline", "one")[1] == [f"wandb: nothing is new; to send it: wandb sync {shlex.quote(str(first.folder))}"]
    run = make_run(tmp_path, seeds=2)
    ((_, said), third) = told_of(run, "offline", "one"), sessions(run.path)[-1]
    assert said == [f"wandb: kept; to send it: wandb sync {shlex.quote(str(first.folder))} {shlex.quote(str(third.folder))}"]
    assert len(third.rows("fold")) == 10, "the other seed alone"
    assert trap.connections == 0


@pytest.mark.parametrize(("ending", "code"), [(KeyboardInterrupt, 255), (ValueError, 1), (None, 3)])
def test_how_a_run_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException] | None, code: int) -> None:
    """A run that nothing was heard of, such as one that is refused since another process is at it, is not told at all."""
    lines.clear()
    monkeypatch.setattr(session, "Line", Listener)
    run = make_run(tmp_path)
    for begun in (False, True):
        with (
            pytest.raises(ending) if ending else contextlib.nullcontext(),
            Tracker("offline", "p", print).telling(run, *run.described()) as told,
        ):
            if begun:
                told.begin()
            told.code = 3
            if ending is not None:
                raise ending
        assert len(lines) == begun
    assert lines[0].told[-1] == {"do": "end", "code": code}


@pytest.mark.parametrize("how", ["killed", "stopped", "not installed", "no python"])
def test_a_failure_is_said_once_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    run = make_run(tmp_path)
    if how == "not installed":
        (tmp_path / "wandb").mkdir()
        (tmp_path / "wandb" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'wandb'\")")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    if how == "no python":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    begun: list[Line] = []

    def line_of(mode: str) -> Line:
        begun.append(Line(mode))
        return begun[-1]

    monkeypatch.setattr(session, "Line", line_of)
    said: list[str] = []
    tracker = Tracker("offline", "p", said.append, patience=0.5 if how == "stopped" else 60)
    with tracker.telling(run, *run.described()) as told:
        told.begin()
        if how in ("killed", "stopped"):
            until(lambda: begun[0].process is not None)
            assert begun[0].process is not None
            os.kill(begun[0].process.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        start = time.monotonic()
        for _ in range(100):
            told.row(run, row_of(run))
        assert time.monotonic() - start < 5
        start = time.monotonic()
    assert how != "stopped" or time.monotonic() - start < 7, "half a second's patience, and one for what was to be killed"
    assert len(said) == 1
    expected = {
        "killed": "ended with -9",
        "stopped": "not taken everything",
        "not installed": "No module named 'wandb'",
        "no python": "no-python",
    }
    assert expected[how] in said[0]
    assert not tracker.whole
    assert sessions(run.path) == []
    with tracker.telling(run, *run.described()) as told:
        told.row(run, row_of(run))
    assert len(said) == 1, "and is not tried again by this command"


@pytest.mark.parametrize(
    ("asked", "said", "done"),
    [
        *(("auto", None, "offline"), ("auto", "", "offline"), ("auto", "online", "online"), ("auto", "run", "online")),
        *(("auto", "dryrun", "offline"), ("auto", "offline", "offline"), ("auto", "disabled", "off"), ("auto", "shared", "online")),
        *(("off", "online", "off"), ("online", "offline", "online"), ("offline", None, "offline")),
    ],
)
def test_what_is_done_where_nothing_is_asked_for(asked: session.Mode, said: str | None, done: str) -> None:
    for environ in ({}, {"WANDB_API_KEY": "k" * 40}):  # a key alone sends nothing
        assert session.settled(asked, environ | ({} if said is None else {"WANDB_MODE": said})) == done


def test_wrong_words_are_answered(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in ("", "a/b", "x" * 129, "a\nb", "100%"):
        answer = cli("bench", "majority", "--on", "smic", "--wandb", "offline", "--wandb-project", project)
        assert answer.code == 2
        assert "is no name of a wandb project" in answer.err
    monkeypatch.setenv("WANDB_MODE", "onlin")
    answer = cli("bench", "majority", "--on", "smic")
    assert answer.code == 2
    assert "WANDB_MODE" in answer.err
    assert not Path("runs").exists()
    assert cli("wandb", "sync", "nothing").code == 2
    with pytest.raises(UserError, match="WANDB_PROJECT"):
        session.project_of(None, {"WANDB_PROJECT": "a:b"})


def test_what_is_in_the_environment_changes_nothing_that_is_recorded() -> None:
    outside = {
        "WANDB_RUN_ID": "x",
        "WANDB_TAGS": "t",
        "WANDB_API_KEY": "k",
        "WANDB_HOST": "h",
        "WANDB_ENTITY": "e",
        "PATH": "p",
        "_WANDB_X": "y",
    }
    inside = session.environment("offline", outside, "folder")
    assert {name for name in inside if "WANDB" in name} == {
        *("WANDB_ENTITY", "WANDB_MODE", "WANDB_ERROR_REPORTING", "WANDB_SILENT", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"),
    }
    assert (inside["WANDB_MODE"], inside["WANDB_ERROR_REPORTING"], inside["PATH"]) == ("offline", "false", "p")
    assert session.environment("online", outside, "folder")["WANDB_API_KEY"] == "k"
