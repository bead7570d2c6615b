"""Requests to end, to the command alone or to its whole group as schedulers send them: what is finished is kept, and nothing is called a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from merbench.processes import ENDINGS
from tests.conftest import Rendered
from tests.faults.commands import ENDED, FEW, MERBENCH, Command, at_home, files, stamps

TRAIN = ("bench", "ststnet", "--on", "smic", "training.epochs=15", "--workers", "2")


def send(command: Command, number: signal.Signals, group: bool) -> str:
    """Send a signal; the command must be gone within the time that schedulers give, with 130, and say so in one line."""
    (os.killpg if group else os.kill)(command.process.pid, number)
    os.killpg(command.process.pid, signal.SIGCONT)  # where the test has stopped it
    assert command.end(ENDED) == 130, command.said()
    said = command.said()
    assert said.count("interrupted: ") == 1, said
    for word in ("Traceback", "has failed", "is tried once more", "was killed", "Error"):
        assert word not in said, said
    return said


def count(pattern: str = "*.parquet") -> int:
    return sum(1 for path in Path().rglob(pattern) if not path.name.startswith("."))


@pytest.mark.torture
def test_training_is_interrupted_again_and_again(with_flow: Path) -> None:
    """By a scheduler, a closed terminal and Ctrl-C; a second command at the same time is told, and disturbs nothing."""
    for turn, (number, group) in enumerate([(signal.SIGTERM, True), (signal.SIGHUP, False), (signal.SIGINT, True)]):
        before = stamps(Path("runs"))
        command = Command(*TRAIN)
        wanted = len(before) + 2
        command.until(lambda wanted=wanted: count() >= wanted)  # type: ignore[misc]
        if turn == 0:
            for words in (TRAIN, (*TRAIN, "--seeds", "2")):
                code, said = at_home(*words, root=with_flow)
                assert code == 2, said
                assert said.count("another process is at this very run") == 1
                assert "Traceback" not in said
        assert command.running, command.said()
        said = send(command, number, group)
        assert f"interrupted: {count()} of 16 folds are kept; the same command goes on from there" in said
        assert before.items() <= stamps(Path("runs")).items(), "a finished fold was trained again"
    code, said = at_home(*TRAIN, root=with_flow)
    assert code == 0, said
    disturbed = files(Path("runs"))
    code, said = at_home(*TRAIN, "--runs", "undisturbed", root=with_flow)
    assert code == 0, said
    assert files(Path("undisturbed")) == disturbed


SLOW = pytest.mark.torture  # the others differ by the signal alone, which training is interrupted by too


@pytest.mark.parametrize("number", [pytest.param(each, marks=[SLOW] if each != signal.SIGTERM else []) for each in ENDINGS])
def test_planning_is_interrupted(with_flow: Path, number: signal.Signals) -> None:
    """While torch is imported there is nothing to lose, and nothing to complain of either."""
    command = Command("bench", "prior", "--on", "smic")
    command.until(lambda: bool(command.servers()))
    assert command.running, command.said()
    assert "run the same command again" in send(command, number, group=True)
    assert count() == 0


def test_preparation_is_interrupted(rendered: Rendered, here: Path) -> None:
    prepare = ("prepare", "smic", "--source", "synthetic", "--workers", "2")
    command = Command(*prepare, merbench=FEW, MERBENCH_SYNTHETIC=str(rendered.root))
    command.until(lambda: count("*.npz") >= 1)
    assert command.running, command.said()
    os.killpg(command.process.pid, signal.SIGSTOP)
    second = Command(*prepare, merbench=FEW, MERBENCH_SYNTHETIC=str(rendered.root))
    assert second.end() == 2, second.said()
    assert "another process is preparing smic" in second.said()
    kept = stamps(here, "[!.]*.npz")
    said = send(command, signal.SIGTERM, group=True)
    assert "of 4 clips are kept; the same command goes on from there" in said
    after = stamps(here, "[!.]*.npz")
    assert kept.items() <= after.items()
    assert not list(here.rglob("*.npy"))
    third = Command(*prepare, merbench=FEW, MERBENCH_SYNTHETIC=str(rendered.root))
    assert third.end() == 0, third.said()
    assert f"faces and flow: {len(after)} of 4 clips" in third.said()


@pytest.mark.torture
def test_rendering_is_interrupted(here: Path) -> None:
    synth = ("synth", "synthetic", "--size", "mini", "--on", "smic", "--workers", "2")
    command = Command(*synth, merbench=FEW)
    command.until(lambda: count("truth/**/*.npz") >= 1)
    assert command.running, command.said()
    os.killpg(command.process.pid, signal.SIGSTOP)
    second = Command(*synth, merbench=FEW)
    assert second.end() == 2, second.said()
    assert "another merbench synth is writing here" in second.said()
    said = send(command, signal.SIGTERM, group=True)
    assert "of 4 clips are kept; the same command goes on from there" in said
    finished = stamps(here, "*.npz")
    third = Command(*synth, merbench=FEW)
    assert third.end() == 0, third.said()
    assert f"{len(finished)} clip" in third.said()
    assert "finished before" in third.said()
    assert finished.items() <= stamps(here, "*.npz").items()


@SLOW
def test_a_signal_that_nohup_ignores_stays_ignored(with_flow: Path) -> None:
    """And a log on a full disk, or a terminal that is gone, ends no run."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Path("/dev/full").open("w") as full:
        try:
            words = [*MERBENCH, "bench", "prior", "--on", "smic", "--workers", "2"]
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=full)
        finally:
            signal.signal(signal.SIGHUP, before)
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
    assert process.returncode == 0
    assert count() == 16
