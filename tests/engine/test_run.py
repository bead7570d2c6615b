"""Whole runs with real processes: resume, workers, kills, interrupts, failures."""

from __future__ import annotations

import dataclasses
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from merbench import methods
from merbench.engine import run as engine
from merbench.foldfile import read_fold, read_metadata
from merbench.hardware import processor
from merbench.method import METHODS
from merbench.results import Run, environment
from tests.conftest import Answer, Cli, once

MERBENCH = (str(Path(sys.executable).with_name("merbench")),)
QUICK = ("bench", "ststnet", "--on", "smic", "training.epochs=12", "--workers", "2")
PRIOR = ("bench", "prior", "--on", "smic", "--workers", "1")


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*MERBENCH, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def the_run(root: Path) -> Run:
    (request,) = root.glob("*/*/*/*/request.yaml")
    return Run(request.parent)


def folds(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.rglob("*.parquet"))}


def until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """Return the process's descendants."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found + [grandchild for child in found for grandchild in children(child)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def whole(flat_flow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The fold files of a run that was never disturbed, by one worker in another process."""

    def train(root: Path) -> None:
        root.mkdir()
        here = dict(os.environ, MERBENCH_PUBLISHED_FLOW=str(flat_flow))
        subprocess.run([*MERBENCH, *QUICK[:-1], "1"], cwd=root, env=here, check=True, capture_output=True, timeout=300)

    return folds(once(tmp_path_factory, "whole", train))


def test_one_and_two_workers_give_the_same_bytes(whole: dict[str, bytes], with_flow: Path, cli: Cli) -> None:
    assert cli(*QUICK).code == 0
    assert folds(Path()) == whole
    assert len(whole) == 16


def test_a_second_call_trains_nothing_and_says_the_same(with_flow: Path, cli: Cli) -> None:
    first = cli(*PRIOR)
    times = {path: path.stat().st_mtime_ns for path in Path().rglob("*.parquet")}
    second = cli(*PRIOR)
    assert first.out == second.out
    assert "16 finished before, 0 to do" in second.err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*.parquet")} == times


def count() -> int:
    return len(list(Path("runs").rglob("*.parquet")))


def test_a_killed_worker_costs_nothing_but_time(whole: dict[str, bytes], with_flow: Path) -> None:
    process = start(*QUICK)
    until(lambda: count() >= 2, process)
    leaves = [pid for pid in children(process.pid) if not children(pid)]
    worker = max(pid for pid in leaves if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "is tried once more: its worker was killed by SIGKILL" in said
    assert folds(Path()) == whole


@pytest.mark.torture
def test_a_worker_killed_while_idle_or_answering_loses_nothing(with_flow: Path, cli: Cli) -> None:
    """The parent sleeps while a worker answers and is killed; waking up, it finds a dead pipe, not a full disk."""
    process = start("bench", "prior", "--on", "smic", "--workers", "2")
    until(lambda: len(children(process.pid)) >= 4, process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    leaves = [pid for pid in children(process.pid) if not children(pid)]
    workers = [pid for pid in leaves if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert count() == 16
    killed = folds(Path())
    shutil.rmtree("runs")
    assert cli(*PRIOR).code == 0
    assert folds(Path()) == killed


def test_two_identical_commands_at_once(with_flow: Path, cli: Cli) -> None:
    first = start(*QUICK)
    until(lambda: count() >= 1, first)
    second = cli(*QUICK)
    first.kill()
    first.communicate()
    assert second.code == 2
    assert "another process is at this very run" in second.err


def test_a_machine_without_opencv_trains_from_the_prepared_store(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """cv2, wandb, dlib and ray are imported where they are used only; a cluster node needs none of them."""
    assert cli(*PRIOR).code == 0
    before = folds(Path())
    shutil.rmtree("runs")
    bare = with_flow / "bare"
    for name in ("cv2", "wandb", "dlib", "ray"):
        (bare / name).mkdir(parents=True)
        (bare / name / "__init__.py").write_text("raise ImportError('not on this machine')")
    monkeypatch.setenv("PYTHONPATH", str(bare))
    monkeypatch.delenv("MERBENCH_PUBLISHED_FLOW")
    done = subprocess.run([*MERBENCH, *PRIOR], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert folds(Path()) == before


def test_more_seeds_add_folds(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    before = folds(Path())
    found = cli(*PRIOR, "--seeds", "2")
    assert found.code == 0
    after = folds(Path())
    assert len(after) == 32
    assert before.items() <= after.items()
    assert "2 seeds" in found.out
    weights = {read_fold(path).weights for path in Path().rglob("*s01--s?.parquet")}
    assert len(weights) == 2


def test_folds_of_unlike_environments_are_not_mixed(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli(*PRIOR).code == 0
    here = environment("local", "cpu")
    path = next(Path().rglob("*s03--s0.parquet"))
    assert read_metadata(path)["environment"] == here
    path.unlink()
    monkeypatch.setattr(engine, "environment", lambda *_: {**here, "torch": "9.9"})
    found = cli(*PRIOR)
    assert found.code == 2
    assert f"torch {here['torch']} there, 9.9 here" in found.err
    assert "--runs" in found.err
    assert len(folds(Path())) == 15


def test_a_damaged_fold_is_named_and_made_again(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    good = folds(Path())
    path = next(Path().rglob("*s03--s0.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    found = cli(*PRIOR)
    assert found.code == 2
    assert "a fold file cannot be read" in found.err
    assert str(path) in found.err
    path.unlink()
    assert cli(*PRIOR).code == 0
    assert folds(Path()) == good


def test_results_that_cannot_be_written(with_flow: Path, cli: Cli) -> None:
    Path("runs").write_text("a file where the folder should be")
    found = cli(*PRIOR)
    assert found.code == 2
    assert "results cannot be written" in found.err


def test_no_path_user_or_host_in_what_is_kept(with_flow: Path, flat_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    secrets = [str(flat_flow), str(with_flow), socket.gethostname(), f'"{getpass.getuser()}"']
    for path in Path("runs").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path


@pytest.fixture(autouse=True)
def forget_own_methods() -> Iterator[None]:
    """Methods that tests write must not stay registered for other tests."""
    yield
    for name, entry in list(METHODS._entries.items()):
        if entry.__module__.startswith("merbench_own_"):
            METHODS.remove(name)
    for name in [name for name in sys.modules if name.startswith("merbench_own_")]:
        del sys.modules[name]


OWN = """
from merbench.method import METHODS, Card, ClosedForm
import os, signal, torch

@METHODS.add("{name}")
class Own(ClosedForm):
    card = Card("Own", 2026, "none", "reconstruction", "reconstruction", ("all",))

    def fit(self, batch):
        {fit}

    def logits(self, batch):
        return torch.zeros(len(batch["clip"]), self.classes)
"""
ONE_FOLD = "if len(batch['clip']) == 125: "  # of the 16 subjects only s03 leaves so few


def own(name: str, fit: str = "pass") -> str:
    Path(f"{name}.py").write_text(OWN.format(name=name, fit=fit))
    return f"./{name}.py"


def bench_own(cli: Cli, name: str, fit: str) -> Answer:
    return cli("bench", own(name, fit), "--on", "smic", "--workers", "1")


def test_a_method_in_a_file_of_ones_own(with_flow: Path, cli: Cli) -> None:
    """Nothing of merbench is edited, and an edited file is another run."""
    found = bench_own(cli, "mine", "pass")
    assert found.code == 0
    assert "mine on smic" in found.out
    assert len(folds(Path())) == 16
    sys.modules.pop("merbench_own_mine")
    METHODS._entries.pop("mine")
    assert bench_own(cli, "mine", "'edited'").code == 0
    assert len(list(Path("runs").glob("*/*/mine/*"))) == 2


NETWORK = """
from torch import nn
from merbench.batch import Flow, Inputs
from merbench.method import METHODS, Card, Method

@METHODS.add("net")
class Net(Method):
    card = Card("Net", 2026, "none", "reconstruction", "reconstruction", ("all",))
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int, width: int = 3) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, {width})
        self.drop = nn.{drop}

    def logits(self, batch):
        return self.head(self.drop(batch["flow"].flatten(1)))

    def loss(self, outputs, batch):
        return {loss}
"""
SOUND = {"width": "3", "drop": "Identity()", "loss": "super().loss(outputs, batch)"}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"width": "4"}, "the logits of 2 clips have shape (2, 4), not (2, 3)"),
        ({"width": "nonsense"}, "net.py:13"),
        ({"drop": "Dropout(0.5)"}, "use merbench.layers.KeyedDropout"),
        ({"loss": "{'mine': outputs['logits'].sum()}"}, "one of them 'total'"),
        ({"loss": "{'total': outputs['logits']}"}, "must be scalars"),
        ({"loss": "{'total': outputs['nothing'].sum()}"}, "net.py:20"),
    ],
)
def test_a_fault_of_a_network_is_told_before_anything_is_trained(with_flow: Path, cli: Cli, fault: dict[str, str], message: str) -> None:
    Path("net.py").write_text(NETWORK.format(**{**SOUND, **fault}))
    found = cli("bench", "./net.py", "--on", "smic")
    assert found.code == 2
    assert message in found.err
    assert not Path("runs").exists()


def test_a_sound_network_of_ones_own(with_flow: Path, cli: Cli) -> None:
    Path("net.py").write_text(NETWORK.format(**SOUND))
    found = cli("bench", "./net.py", "--on", "smic", "training.epochs=2", "training.lr=0.01")
    assert found.code == 0
    assert "net[training.epochs=2,training.lr=0.01] on smic" in found.out
    assert "oracle, per subject" in found.out
    assert "training.epochs=60" in cli("methods", "./net.py").out


def test_an_edited_file_does_not_change_a_run_that_is_under_way(with_flow: Path, cli: Cli) -> None:
    """The file is read once; its text goes to the workers, so a fold is trained by what its key says."""
    path = Path(own("edited", "Path('edited.py').write_text('raise ValueError')"))
    path.write_text("from pathlib import Path\n" + path.read_text())
    found = cli("bench", str(path), "--on", "smic,casme2", "--workers", "2")
    assert found.code == 0, found.err
    assert path.read_text() == "raise ValueError"
    assert count() == 40


def test_a_finished_run_is_shown_though_nothing_can_be_written(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cli(*PRIOR)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("merbench.foldfile.os.fsync", refuse)
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    second = cli(*PRIOR)
    assert (second.code, second.out) == (0, first.out)
    third = cli(*PRIOR, "--seeds", "2")
    assert third.code == 2
    assert "results cannot be written: Read-only file system" in third.err


def test_changed_prepared_data_are_refused(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    (index,) = Path("prepared").rglob("index.json")
    index.write_text(index.read_text().replace('"labels": [0', '"labels": [1', 1))
    found = cli(*PRIOR)
    assert found.code == 2
    assert "prepared data are not those of their name" in found.err


def test_provenance_of_a_run_without_folds_is_made_anew(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    run = the_run(Path("runs"))
    for path in Path("runs").rglob("*.parquet"):
        path.unlink()
    old = run.provenance
    old.environment["torch"], old.commit = "0.1", "old"
    run.save(old)
    assert cli(*PRIOR).code == 0
    assert run.provenance.environment == environment("local", "cpu")
    assert run.provenance.commit != "old"


def test_a_run_tells_on_what_its_folds_were_trained(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    run, here = the_run(Path("runs")), " ".join(processor()).strip()
    assert run.provenance.hardware == [here]
    assert set(run.provenance.results_versions) == {"method", "engine"}, "published flow is served as it is"
    run.save(dataclasses.replace(run.provenance, hardware=["another"]))
    next(Path("runs").rglob("*.parquet")).unlink()
    assert cli(*PRIOR).code == 0
    assert run.provenance.hardware == sorted(["another", here])


def test_a_run_of_an_earlier_version_does_not_say_on_what_it_was_trained(with_flow: Path, cli: Cli) -> None:
    assert cli(*PRIOR).code == 0
    path = the_run(Path("runs")).path / "provenance.json"
    told = json.loads(path.read_bytes())
    del told["hardware"]
    path.write_text(json.dumps(told))
    run = the_run(Path("runs"))
    assert run.provenance.hardware == []
    assert cli("leaderboard").code == 0
    next(Path("runs").rglob("*.parquet")).unlink()
    assert cli(*PRIOR).code == 0
    assert run.provenance.hardware == ["not written down", " ".join(processor()).strip()], (
        "the other folds were not trained here, for all we know"
    )


def test_a_method_that_fails_in_some_folds_keeps_the_others(with_flow: Path, cli: Cli) -> None:
    found = bench_own(cli, "sometimes", ONE_FOLD + "raise ZeroDivisionError('the mistake')")
    assert found.code == 1
    assert count() == 15
    assert "fold smic--s03--s0 has failed: ZeroDivisionError: the mistake" in found.err
    assert "1 fold failed, 15 of 16 are kept" in found.err
    assert "sometimes.py" in next(Path("runs").rglob("failures/smic--s03--s0.txt")).read_text()
    assert the_run(Path("runs")).provenance.failed == {"smic--s03--s0": "ZeroDivisionError: the mistake"}
    assert "1 fold missing, 1 of them failed" in cli("leaderboard").out


def test_a_method_that_fails_everywhere_is_given_up_early(with_flow: Path, cli: Cli) -> None:
    found = bench_own(cli, "never", "1 / 0")
    assert found.code == 1
    assert found.err.count("has failed") == 3
    assert "given up" in found.err


def test_a_few_hopeless_folds_do_not_starve_another_seed(with_flow: Path, cli: Cli) -> None:
    """Three folds that always fail come first when a run goes on; the others must have their turn."""
    path = own("three", "if len(batch['clip']) < 150: raise ValueError('few')")
    assert cli("bench", path, "--on", "smic", "--workers", "1").code == 1
    before = count()
    assert 0 < before < 16 - 2
    found = cli("bench", path, "--on", "smic", "--workers", "1", "--seeds", "2")
    assert found.code == 1
    assert "given up" not in found.err
    assert count() == 2 * before


def test_a_fold_whose_worker_is_always_killed_is_tried_twice(with_flow: Path, cli: Cli) -> None:
    found = bench_own(cli, "killed", ONE_FOLD + "os.kill(os.getpid(), signal.SIGKILL)")
    assert found.code == 1
    assert found.err.count("is tried once more") == 1
    assert found.err.count("has failed") == 1
    assert count() == 15


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("syntax", "def (", "SyntaxError"),
        ("crash", "1 / 0", "crash.py:1"),
        ("other", OWN.format(name="another", fit="pass"), "registers no method 'other'"),
        ("ststnet", OWN.format(name="ststnet", fit="pass"), "cannot be called 'ststnet'"),
        ("not-a-name", "", "cannot be called 'not-a-name'"),
        ("leaves", "import sys; sys.exit(0)", "leaves.py:1"),
        ("function", "from merbench.method import METHODS\n@METHODS.add('function')\ndef f(): ...", "no subclass of"),
        ("nocard", OWN.format(name="nocard", fit="pass").replace("card =", "kard ="), "has no card"),
        (
            "untyped",
            OWN.format(name="untyped", fit="pass") + "    def __init__(self, classes, k=3): super().__init__(classes)",
            "needs a type and a default",
        ),
        (
            "odd",
            OWN.format(name="odd", fit="pass") + "    def __init__(self, classes: int, k: set[int] = {1}): ...",
            "cannot be configuration",
        ),
        ("sealed", OWN.format(name="sealed", fit="pass") + "    def forward(self, batch): ...", "replaces forward, which is sealed"),
        ("taken", OWN.format(name="svm_flow", fit="pass"), "two methods are called 'svm_flow'"),
    ],
)
def test_a_file_that_is_no_method_is_one_message(with_flow: Path, cli: Cli, name: str, text: str, message: str) -> None:
    methods.load("svm_flow")
    Path(f"{name}.py").write_text(text)
    found = cli("bench", f"./{name}.py", "--on", "smic")
    assert found.code == 2
    assert message in found.err
    assert "Traceback" not in found.err
