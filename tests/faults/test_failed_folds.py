"""Folds that lose their memory or their numbers: tried once more, then marked failed; the others are kept, and the next command tries them again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merbench.method import METHODS
from merbench.results import Run
from tests.faults.commands import Command, at_home, files, stamps

METHOD = '''
import json, os, resource, signal
from pathlib import Path

import numpy as np
import torch
from torch import nn
from merbench.batch import Flow, Inputs
from merbench.method import METHODS, Card, Method, Stage

FAULTS = Path("faults.json")


@METHODS.add("faulty")
class Faulty(Method):
    """Does in a fold what a file says; a fold is known by its number of training clips."""

    card = Card("Faulty", 2026, "none", "reconstruction", "reconstruction", ("all",))
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)
        self.clips, self.steps = 0, 0

    def stages(self):
        return (Stage("first", epochs=2), Stage("second", epochs=3))

    def fault(self):
        if self.clips < 20:  # two clips are tried out before anything is trained
            return ""
        faults = json.loads(FAULTS.read_text()) if FAULTS.is_file() else {}
        return faults.get(str(self.clips), "")

    def logits(self, batch):
        found = self.head(batch["flow"].flatten(1) / 100)
        return found * float("nan") if not self.training and self.fault() == "held-out" else found

    def loss(self, outputs, batch):
        self.clips, self.steps = len(batch["clip"]), self.steps + 1
        total = super().loss(outputs, batch)["total"]
        fault, once, _ = self.fault().partition("-once")
        if once:
            happened = Path(f"happened-{self.clips}")
            if self.steps < 2 or happened.exists():
                fault = ""
            else:
                happened.touch()
        if self.steps == 2 and fault == "nan":
            total = total * float("nan")
        if self.steps == 4 and fault == "inf":
            total = total + float("inf")
        if self.steps == 2 and fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps == 2 and fault == "limit":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**26,) * 2)
            torch.zeros(2**28)
        if self.steps == 2 and fault == "numpy":
            np.ones(2**50)
        if self.steps == 2 and fault == "mistake":
            raise TypeError("the mistake")
        return {"total": total}
'''
BENCH = ("bench", "./faulty.py", "--on", "smic", "training.batch=200")
"""In one batch there are all training clips of a fold."""

FAULTS = {
    125: ("killed", ("s03",), "its worker was killed by SIGKILL (out of memory? fewer --workers need less)"),
    145: ("nan", ("s04",), "NotFiniteError: the loss 'total' is nan in epoch 2 of stage 'first'"),
    162: ("inf", ("s05", "s19"), "NotFiniteError: the loss 'total' is inf in epoch 2 of stage 'second'"),
    157: ("held-out", ("s11", "s18"), "NotFiniteError: the held-out probabilities of epoch 1 are not finite"),
    154: ("limit", ("s13", "s14"), "allocate memory"),
    160: ("numpy", ("s06", "s09", "s15"), "MemoryError: Unable to allocate"),
    151: ("mistake", ("s08",), "TypeError: the mistake"),
    142: ("killed-once", ("s20",), ""),
    155: ("nan-once", ("s12",), ""),
}
"""By number of training clips: what happens, in which folds, and the reason that is told when it happens twice."""
FAILING = {subject: (fault, reason) for fault, subjects, reason in FAULTS.values() if reason for subject in subjects}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """The method of these tests must not stay registered for others."""
    yield
    if "faulty" in METHODS:
        METHODS.remove("faulty")
    sys.modules.pop("merbench_own_faulty", None)


@pytest.fixture
def undisturbed(with_flow: Path) -> dict[str, bytes]:
    Path("faulty.py").write_text(METHOD)
    code, said = at_home(*BENCH, "--runs", "undisturbed", root=with_flow)
    assert code == 0, said
    found = files(Path("undisturbed"))
    assert len(found) == 16
    return found


def the_run() -> Run:
    (request,) = Path("runs").rglob("request.yaml")
    return Run(request.parent)


def name(subject: str) -> str:
    return f"smic--{subject}--s0"


def test_a_fold_without_memory_or_numbers_is_tried_twice_and_the_others_are_kept(undisturbed: dict[str, bytes], with_flow: Path) -> None:
    Path("faults.json").write_text(json.dumps({clips: fault for clips, (fault, _, _) in FAULTS.items()}))
    command = Command(*BENCH, "--workers", "2")
    assert command.end() == 1, command.said()
    said = command.said()
    assert "Traceback" not in said
    for subject, (fault, reason) in FAILING.items():
        assert said.count(f"fold {name(subject)} is tried once more: ") == (fault != "mistake"), said
        (told,) = [line for line in said.splitlines() if line.startswith(f"fold {name(subject)} has failed: ")]
        assert reason in told
    for subject in ("s12", "s20"):
        assert said.count(f"fold {name(subject)} is tried once more: ") == 1
        assert f"fold {name(subject)} has failed" not in said
    assert said.count("has failed: ") == len(FAILING)
    assert f"{len(FAILING)} folds failed, {16 - len(FAILING)} of 16 are kept" in said
    kept = files(Path("runs"))
    assert kept == {file: content for file, content in undisturbed.items() if file.split("--")[1] not in FAILING}
    failed = the_run().provenance.failed
    assert sorted(failed) == sorted(map(name, FAILING))
    assert all(reason in failed[name(subject)] for subject, (_, reason) in FAILING.items())
    traces = {path.stem for path in Path("runs").rglob("failures/*.txt")}
    assert traces == {name(subject) for subject, (fault, _) in FAILING.items() if fault != "killed"}

    Path("faults.json").unlink()
    before = stamps(Path("runs"))
    code, said = at_home(*BENCH, "--workers", "2", root=with_flow)
    assert code == 0, said
    assert f"{16 - len(FAILING)} finished before, {len(FAILING)} to do" in said
    assert files(Path("runs")) == undisturbed
    assert before.items() <= stamps(Path("runs")).items(), "a finished fold was trained again"
    assert the_run().provenance.failed == {}
    assert not list(Path("runs").rglob("failures/*.txt")), "what has been mended is no failure any more"


def test_numbers_that_are_never_finite_are_given_up_early(with_flow: Path) -> None:
    Path("faulty.py").write_text(
        METHOD.replace("self.clips < 20", "self.clips < 20 or not FAULTS.is_file()").replace('faults.get(str(self.clips), "")', '"nan"')
    )
    Path("faults.json").write_text("{}")
    code, said = at_home(*BENCH, "--workers", "2", root=with_flow)
    assert code == 1, said
    assert said.count("has failed") == 3
    assert 3 <= said.count("is tried once more") <= 4, "one more may have been under way"
    assert "given up" in said
    assert sorted(the_run().provenance.failed) == sorted({line.split()[1] for line in said.splitlines() if "has failed" in line})
