"""What nobody foresaw, in every verb: a short report with a file to attach, never a bare traceback."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Answer, Cli
from tests.hostile import refused
from tests.hostile.conftest import Runs


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Coloured(Exception):
    def __str__(self) -> str:
        return "\x1b[2J" + "long " * 1000


def recursion() -> None:
    recursion()


def raises(error: BaseException) -> Callable[..., None]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


VERBS: dict[str, tuple[tuple[str, ...], str]] = {
    "bench": (("bench", "prior", "--on", "smic", "--source", "published-flow"), "merbench.engine.run.plan"),
    "methods": (("methods",), "merbench.card.shipped"),
    "datasets": (("datasets",), "merbench.settings.data_path"),
    "data list": (("data", "list"), "merbench.settings.data_path"),
    "data set": (("data", "set", "casme2", "."), "merbench.data.places.survey"),
    "prepare": (("prepare", "smic", "--source", "published-flow"), "merbench.data.load.ready"),
    "synth": (("synth", "x", "--size", "mini"), "merbench.data.synthetic.write.write"),
    "leaderboard": (("leaderboard",), "merbench.results.runs_in"),
    "compare": (("compare", "example", "other"), "merbench.board.naming.find_two"),
}
ERRORS: dict[str, Exception] = {
    "ZeroDivisionError": ZeroDivisionError("a\nb"),
    "MemoryError": MemoryError(),
    "Mute": Mute(),
    "Coloured": Coloured(),
    "FileNotFoundError": FileNotFoundError(2, "No such file", "/nowhere"),
    "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
}


def report(answer: Answer) -> str:
    """Return the file's text, and take it away."""
    assert answer.code == 1, answer.err
    assert "Traceback" not in answer.out + answer.err
    said = answer.err[answer.err.index("merbench: something went wrong") :]
    assert len(said.splitlines()) <= 5
    assert "\x1b" not in said
    path = Path(re.search(r"^do: .* report it with this file: (\S+)$", said, re.MULTILINE)[1])  # type: ignore[index]
    text = path.read_text(encoding="utf-8")
    path.unlink()
    return text


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ERRORS)
def test_every_verb_and_every_error(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: str, kind: str) -> None:
    words, inner = VERBS[verb]
    monkeypatch.setattr(inner, raises(ERRORS[kind]))
    text = report(cli(*words))
    assert kind in text
    assert f"merbench {' '.join(words)}" in text
    assert "test_boundary.py" in text, "the trace says where"


def test_a_recursion(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merbench.results.runs_in", lambda _: recursion())
    text = report(cli("leaderboard"))
    assert "RecursionError" in text
    assert len(text) < 100_000


def test_the_report_names_nobody(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("/home/somebody")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("merbench.results.runs_in", raises(ValueError(f"{home}/secret/data")))
    text = report(cli("leaderboard", "--runs", f"{home}/runs"))
    assert "somebody" not in text
    assert "~/secret/data" in text


def test_a_report_that_cannot_be_written(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merbench.results.runs_in", raises(ValueError("x")))
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", raises(FileNotFoundError(2, "No usable temporary directory")))
    found = cli("leaderboard")
    assert (found.code, "no file could be written" in found.err, "TMPDIR" in found.err) == (1, True, True)
    assert "Traceback" not in found.err


@pytest.mark.parametrize("verb", VERBS)
def test_an_interruption_ends_with_130(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    words, inner = VERBS[verb]
    monkeypatch.setattr(inner, raises(KeyboardInterrupt()))
    found = cli(*words)
    assert found.code == 130, found.err
    assert "Traceback" not in found.err


def test_what_the_disk_refuses_is_no_riddle(runs: Runs, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merbench.results.runs_in", raises(PermissionError(13, "Permission denied", "/locked")))
    refused(cli("leaderboard"), file="/locked", place="Permission denied", remedy="its permissions")


def test_a_reader_that_has_seen_enough(runs: Runs) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -c 'from merbench.cli import main; main()' leaderboard --format json | head -c 10; exit 0",
        shell=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert len(done.stdout) == 10
    assert done.stderr == ""


def test_an_interrupted_process(runs: Runs) -> None:
    program = "import os, signal\nimport merbench.results as r\nr.runs_in = lambda _: os.kill(os.getpid(), signal.SIGINT)\nfrom merbench.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program, "leaderboard"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (130, False)


OWN = """
from merbench.method import METHODS, Card, Method
from merbench.batch import Flow, Inputs
from torch import nn

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def recursion():
    recursion()

@METHODS.add("{name}")
class Own(Method):
    card = Card(title="", year=2026, paper="", network="paper", training="paper")
    inputs = Inputs(flow=Flow(size=28, strain=True))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(3 * 28 * 28, classes)

    def logits(self, batch):
        if len(batch["flow"]) > 2:
            {fault}
        return self.head(batch["flow"].flatten(1))
"""
FAULTS = {
    "mute": ("raise Mute()", "Mute"),
    "recursive": ("recursion()", "RecursionError"),
    "greedy": ("raise MemoryError", "MemoryError"),
    "leaving": ("raise SystemExit(0)", "SystemExit"),
    "coloured": ("raise ValueError(chr(27) + '[2J')", "ValueError"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_method_that_fails_in_a_worker(with_flow: Path, cli: Cli, name: str) -> None:
    fault, kind = FAULTS[name]
    Path(f"{name}.py").write_text(OWN.format(name=name, fault=fault))
    found = cli("bench", f"./{name}.py", "--on", "smic", "training.epochs=1", "--workers", "1")
    assert found.code == 1, found.err
    assert f"has failed: {kind}" in " ".join(found.err.split())
    assert "Traceback" not in found.err
    assert "\x1b[2J" not in found.err
    assert "what went wrong, fold by fold" in " ".join(found.err.split())
    assert kind in next(Path("runs").rglob("failures/*.txt")).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "raise SystemExit(0)",
        "def f(): f()\nf()",
        "class M(Exception):\n    def __str__(self): raise ValueError\nraise M",
        "\0",
        "x" * 5_000_000,
    ],
)
def test_a_method_that_fails_when_it_is_read(with_flow: Path, cli: Cli, text: str) -> None:
    Path("mine.py").write_text(text)
    refused(cli("bench", "./mine.py", "--on", "smic"), file="mine.py", place="method's file cannot be", remedy="")
