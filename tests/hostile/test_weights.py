"""Weights: read without running anything, bounded, and known by their hash."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from merbench import methods, weights
from merbench.config import Data, Request
from merbench.engine.fold import build, weights_digest
from merbench.method import METHODS, Method
from merbench.results import Run
from tests.conftest import Cli
from tests.hostile import refusal

Spoil = Callable[[Path], object]


class Program:
    """What a pickle runs when it is read without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch owned",))


@pytest.fixture
def method() -> Method:
    methods.load("ststnet")
    torch.manual_seed(0)
    return METHODS["ststnet"](3)


def saved(value: object) -> Spoil:
    return lambda path: torch.save(value, path)


def changed(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)

    return spoil


def packed(path: Path) -> None:
    """The same archive, compressed: what would be unpacked is larger than the file."""
    old, made = zipfile.ZipFile(io.BytesIO(path.read_bytes())), io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    path.write_bytes(made.getvalue())


def lying(path: Path) -> None:
    """A tensor of a million million numbers in four bytes."""
    torch.save({"head.weight": torch.zeros(1).expand(10**6, 10**6)}, path)


CASES: dict[str, tuple[Spoil, str]] = {
    "a pickle that runs a program": (lambda path: path.write_bytes(pickle.dumps(Program())), "no file of weights"),
    "a program in an archive": (saved({"head.weight": Program()}), "holds a program or objects"),
    "a program beside weights": (changed(lambda s: s.update(extra=Program())), "holds a program or objects"),
    "a whole module": (lambda path: torch.save(torch.nn.Linear(2, 2), path), "holds a program or objects"),
    "nothing": (lambda path: path.write_bytes(b""), "no file of weights"),
    "cut off": (lambda path: os.truncate(path, 700), "cut off"),
    "compressed": (packed, "is compressed"),
    "larger than its file": (lying, "larger than the file"),
    "a list": (saved([torch.zeros(2)]), "holds a list"),
    "one tensor": (saved(torch.zeros(2)), "holds a Tensor"),
    "an empty table": (saved({}), "holds a dict"),
    "numbers for names": (saved({3: torch.zeros(2)}), "tables within tables"),
    "tables without end": (saved({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": 1}}}}}}}}}}), "tables within tables"),
    "a set": (saved({"a": {1, 2}}), "'a' is a set"),
    "not finite": (changed(lambda s: s["head.bias"].fill_(float("nan"))), "'head.bias' is not finite"),
    "one number changed": (changed(lambda s: s["head.bias"].add_(1e-6)), "not the weights that the fold was judged with"),
    "a tensor renamed": (changed(lambda s: s.update(head=s.pop("head.bias"))), "not the weights that the fold was judged with"),
    "a tensor left out": (changed(lambda s: s.pop("head.bias")), "not the weights that the fold was judged with"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no file"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "no file"),
    "gone": (Path.unlink, "No such file"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_weights(here: Path, method: Method, name: str) -> None:
    spoil, place = CASES[name]
    path = here / "weights" / "fold.pt"
    weights.save(method, path)
    spoil(path)
    refusal(lambda: weights.load(path, weights_digest(method)), file=path, place=place, remedy="--save-weights")
    assert not Path("owned").exists()


def test_weights_go_round(here: Path, method: Method) -> None:
    weights.save(method, here / "a.pt")
    state = weights.load(here / "a.pt", weights_digest(method))
    again = METHODS["ststnet"](3)
    weights.put_into(again, state, here / "a.pt")
    assert weights_digest(again) == weights_digest(method)


@pytest.mark.parametrize("widths", [(3, 5), (3, 5, 9)])
def test_weights_of_other_shapes(here: Path, method: Method, widths: tuple[int, ...]) -> None:
    weights.save(build(Request("ststnet", {"widths": list(widths)}, Data()), 3), here / "a.pt")
    refusal(
        lambda: weights.put_into(method, weights.load(here / "a.pt"), here / "a.pt"),
        file="a.pt",
        place="size mismatch",
        remedy="request.yaml",
    )


def test_a_run_keeps_weights_where_asked(with_flow: Path, cli: Cli) -> None:
    words = ("bench", "ststnet", "--on", "smic", "training.epochs=1", "--workers", "2")
    assert cli(*words).code == 0
    (run,) = (Run(path.parent) for path in Path("runs").rglob("request.yaml"))
    assert not (run.path / "weights").exists()
    before = {path.name: path.read_bytes() for path in (run.path / "folds").iterdir()}
    said = cli(*words, "--save-weights")
    assert (said.code, "16 folds were finished before without weights" in " ".join(said.err.split())) == (0, True)
    for name in ("smic--s01--s0", "smic--s02--s0"):
        run.fold_path(name).unlink()
    refusal(lambda: weights.of_fold(run, "smic--s03--s0"), file="smic--s03--s0.pt", place="no weights", remedy="--save-weights")
    said = cli(*words, "--save-weights")
    assert "14 folds were finished before without weights" in " ".join(said.err.split())
    assert {path.name: path.read_bytes() for path in (run.path / "folds").iterdir()} == before, "an option of output moves no bit"
    state = weights.of_fold(run, "smic--s01--s0")
    assert isinstance(state["head.weight"], Tensor)
    run.weights_path("smic--s01--s0").write_bytes(run.weights_path("smic--s02--s0").read_bytes())
    refusal(lambda: weights.of_fold(run, "smic--s01--s0"), file="smic--s01--s0.pt", place="not the weights", remedy="--save-weights")
