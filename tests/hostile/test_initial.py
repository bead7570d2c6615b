"""Weights to start from: a file of anybody's, read within bounds, known by its hash, named in the row and nowhere by its place."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from merbench.config import Data, load_request, run_key
from merbench.engine import initial
from merbench.errors import UserError
from merbench.method import METHODS
from merbench.presets import resolve
from tests.conftest import Cli
from tests.hostile import refusal, refused
from tests.hostile.test_weights import Program, lying, packed, saved

METHOD = '''
import torch

from merbench.batch import Flow, Inputs
from merbench.errors import UserError
from merbench.method import METHODS, Card, Method, Stage


@METHODS.add("starts")
class Starts(Method):
    """One linear layer that may begin somewhere."""

    card = Card("Starts", 2026, "none", "reconstruction", "reconstruction", ("all of it",))
    inputs = Inputs(flow=Flow(size=28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = torch.nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch):
        return self.head(batch["flow"].flatten(1))

    def initialise(self, state):
        if set(state) != {"head.weight", "head.bias"}:
            raise UserError("the weights are not those of one layer", where="--initial", remedy="give head.weight and head.bias")
        self.load_state_dict(dict(state))
'''


def safetensors(tensors: dict[str, Tensor], **lies: Any) -> bytes:
    """Return a file as its format's page describes it; ``lies`` replace entries of the header."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers = b""
    for name, tensor in tensors.items():
        part = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(numbers), len(numbers) + len(part)]}
        numbers += part
    text = json.dumps({**header, **lies}).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def entry(**parts: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **parts}


GOOD = {"head.weight": torch.arange(6.0).view(2, 3) / 7, "head.bias": torch.tensor([1.0, -2.0])}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    import sys

    path = tmp_path / "starts.py"
    path.write_text(METHOD)
    yield path
    if sys.modules.pop("merbench_own_starts", None):
        METHODS.remove("starts")


def start(classes: int = 3, value: float = 0.01) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {"head.weight": value * torch.randn(classes, 2 * 28 * 28, generator=generator), "head.bias": torch.zeros(classes)}


def test_both_forms_hold_the_same_tensors(here: Path) -> None:
    Path("a.safetensors").write_bytes(safetensors(GOOD))
    torch.save(GOOD, "a.pt")
    torch.save({"epoch": 3, "state_dict": GOOD}, "b.pt")
    for name in ("a.safetensors", "a.pt", "b.pt"):
        state, hashed = initial.read(Path(name))
        assert set(state) == set(GOOD)
        assert all(torch.equal(state[key], GOOD[key]) for key in GOOD)
        assert hashed == hashlib.sha256(Path(name).read_bytes()).hexdigest()
        initial.read(Path(name), hashed)
    assert initial.read(Path("a.safetensors"))[0]["head.bias"].add_(1) is not None, "it may be written to"


Spoil = Callable[[Path], object]


def written(content: bytes) -> Spoil:
    return lambda path: path.write_bytes(content)


CASES: dict[str, tuple[str, Spoil, str]] = {
    "a pickle that runs a program": (".pt", lambda path: path.write_bytes(pickle.dumps(Program())), "no file of weights"),
    "a program in an archive": (".pt", saved({"head.weight": Program()}), "holds a program or objects"),
    "compressed": (".pt", lambda path: (saved(GOOD)(path), packed(path)), "is compressed"),
    "larger than its file": (".pt", lying, "larger than the file"),
    "a list": (".pt", saved([torch.zeros(2)]), "holds a list"),
    "numbers beside tensors": (".pt", saved({**GOOD, "epoch": 3}), "no table of names and tensors"),
    "tables in it": (".pt", saved({"model": GOOD}), "no table of names and tensors"),
    "not finite": (".pt", saved({"a": torch.tensor([float("inf")])}), "'a' is not finite"),
    "nothing": (".pt", written(b""), "no file of weights"),
    "a folder": (".pt", lambda path: path.mkdir(), "no file"),
    "a pipe": (".pt", lambda path: os.mkfifo(path), "no file"),
    "gone": (".pt", lambda path: None, "No such file"),
    "nothing in the other form": (".safetensors", written(b""), "no safetensors file"),
    "a header beyond the end": (".safetensors", written((10**12).to_bytes(8, "little") + b"{}"), "no safetensors file"),
    "no JSON": (".safetensors", written((4).to_bytes(8, "little") + b"{{{{"), "no safetensors file"),
    "JSON without end": (".safetensors", written((90_000).to_bytes(8, "little") + b"[" * 90_000), "no safetensors file"),
    "a list for a header": (".safetensors", written((2).to_bytes(8, "little") + b"[]"), "no safetensors file"),
    "no tensor": (".safetensors", written(safetensors({})), "no tensor in it"),
    "an unknown type": (".safetensors", written(safetensors(GOOD, x=entry(dtype="F4"))), "no safetensors file"),
    "a negative length": (".safetensors", written(safetensors(GOOD, x=entry(shape=[-2]))), "no safetensors file"),
    "a million million numbers": (".safetensors", written(safetensors(GOOD, x=entry(shape=[10**6, 10**6]))), "no safetensors file"),
    "numbers beyond the end": (".safetensors", written(safetensors(GOOD, x=entry(data_offsets=[10**9, 10**9 + 8]))), "no safetensors file"),
    "numbers backwards": (".safetensors", written(safetensors(GOOD, x=entry(data_offsets=[8, 0]))), "no safetensors file"),
    "the same numbers many times": (
        ".safetensors",
        written(safetensors({"a": torch.zeros(1000)}, **{f"x{index}": entry(shape=[1000], data_offsets=[0, 4000]) for index in range(40)})),
        "no safetensors file",
    ),
    "a type of eight bits": (
        ".safetensors",
        written(safetensors({}, x=entry(dtype="F8_E4M3", data_offsets=[0, 2])) + b"ab"),
        "no method has",
    ),
    "not finite in the other form": (".safetensors", written(safetensors({"a": torch.tensor([float("nan")])})), "'a' is not finite"),
    "cut off": (".safetensors", written(safetensors(GOOD)[:-4]), "no safetensors file"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_files(here: Path, name: str) -> None:
    ending, spoil, place = CASES[name]
    path = here / f"start{ending}"
    spoil(path)
    refusal(lambda: initial.read(path), file=path, place=place, remedy="state dict")
    assert not Path("owned").exists()


def test_a_file_that_was_changed_is_not_started_from(here: Path) -> None:
    torch.save(GOOD, "a.pt")
    _, hashed = initial.read(Path("a.pt"))
    torch.save({**GOOD, "head.bias": torch.zeros(2)}, "a.pt")
    refusal(lambda: initial.read(Path("a.pt"), hashed), file="a.pt", place="was changed", remedy="state dict")


def bench(cli: Cli, *words: str) -> Any:
    return cli("bench", *words, "--on", "smic", "--source", "published-flow", "--workers", "2", "training.epochs=1", "training.lr=1e-6")


def test_a_run_starts_from_the_file_and_names_its_hash(with_flow: Path, cli: Cli, file: Path) -> None:
    torch.save(start(), "begin.pt")
    secret = Path("a_telling_name.safetensors")
    secret.write_bytes(safetensors(start()))
    assert bench(cli, str(file)).code == 0
    answer = bench(cli, str(file), "--initial", str(secret), "--save-weights")
    assert answer.code == 0, answer.err
    hashed = hashlib.sha256(secret.read_bytes()).hexdigest()
    runs = {load_request(path).initial: path.parent for path in Path("runs").rglob("request.yaml")}
    assert set(runs) == {"", hashed}, "another run, by the hash"
    assert f"initial weights {hashed[:8]}" in answer.out + cli("leaderboard").out
    for path in runs[hashed].rglob("*"):
        assert not path.is_file() or b"a_telling_name" not in path.read_bytes(), path
    kept = torch.load(next((runs[hashed] / "weights").iterdir()), weights_only=True)
    assert torch.allclose(kept["head.weight"], start()["head.weight"], atol=1e-4), "one epoch at this rate moves nothing"
    again = bench(cli, str(file), "--initial", "begin.pt")
    assert again.code == 0
    assert len(list(Path("runs").rglob("request.yaml"))) == 3, "other bytes, another run"


def test_what_cannot_start_is_one_message(with_flow: Path, cli: Cli, file: Path) -> None:
    torch.save(start(), "begin.pt")
    torch.save({"other": torch.zeros(2)}, "other.pt")
    torch.save(start(5), "five.pt")
    refused(
        bench(cli, "ststnet", "--initial", "begin.pt"), file="--initial", place="takes no initial weights", remedy="leave --initial out"
    )
    refused(bench(cli, str(file), "--initial", "other.pt"), file="--initial", place="not those of one layer", remedy="head.weight")
    refused(bench(cli, str(file), "--initial", "five.pt"), file="starts.py", place="size mismatch", remedy="merbench methods")
    refused(bench(cli, str(file), "--initial", "nothing.pt"), file="nothing.pt", place="No such file", remedy="state dict")
    assert not Path("runs").exists()


def test_a_request_without_initial_weights_is_the_one_of_before(tmp_path: Path) -> None:
    class Example:
        def __init__(self, classes: int) -> None: ...

    plain, begun = (resolve("example", Example, data=Data(), initial=each) for each in ("", "ab" * 32))
    assert (plain.name, begun.name) == ("example", "example[initial weights abababab]")
    assert run_key(plain, "f", {}) != run_key(begun, "f", {})
    path = tmp_path / "request.yaml"
    from merbench.presets import dump_request

    assert "initial" not in dump_request(plain)
    for request in (plain, begun):
        path.write_text(dump_request(request))
        assert load_request(path) == request
    path.write_text(dump_request(begun).replace("abab", "../a"))
    with pytest.raises(UserError, match="'initial' is no SHA-256"):
        load_request(path)
