"""merbench methods, of a file of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merbench.config import Data, Preset, Training
from merbench.method import METHODS
from merbench.presets import resolve
from tests.conftest import Cli

PRESETS: tuple[Preset, ...] = ("full", "quick")
OWN = """
from torch import Tensor, nn
from merbench.batch import Batch, Flow, Inputs
from merbench.method import METHODS, Card, Method

@METHODS.add("own_card")
class Own(Method):
    card = Card(title="Title [/b] of [bold]mine", year=2020, paper="none", network="own", training="own")
    inputs = Inputs(flow=Flow(size=28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))
"""


@pytest.fixture
def own(here: Path) -> Iterator[Path]:
    yield here / "own_card.py"
    sys.modules.pop("merbench_own_own_card", None)
    METHODS.remove("own_card")


def test_brackets_in_a_card_are_shown(own: Path, cli: Cli) -> None:
    own.write_text(OWN)
    found = cli("methods", "own_card.py")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("own_card  Title [/b] of [bold]mine (2020)")


def test_what_cannot_be_built_is_told_with_its_line(own: Path, cli: Cli) -> None:
    own.write_text(OWN.replace("self.head = ", "raise ValueError('no head') #"))
    found = cli("methods", "own_card.py")
    assert (found.code, found.out) == (2, "")
    assert "the method cannot be built: ValueError: no head" in found.err
    assert "own_card.py:13" in found.err


def test_presets_beside_a_file_are_its_settings(own: Path, cli: Cli) -> None:
    """As `experiments/<method>` holds those of merbench's own methods, so a file of one's own has them beside it."""
    own.write_text(OWN.replace("classes: int) ->", "classes: int, width: int = 8) ->"))
    own.with_suffix(".full.yaml").write_text("training: {epochs: 7, mirror: true}\nmethod: {width: 24}\n")
    own.with_suffix(".quick.yaml").write_text("training: {epochs: 3}\n")
    found = cli("methods", "own_card.py")
    assert (found.code, found.err) == (0, "")
    assert {"setting     method.width=24", "setting     training.epochs=7", "setting     training.mirror=True"} <= set(
        found.out.splitlines()
    )
    full, quick = (resolve("own_card", METHODS["own_card"], data=Data(), preset=each, own=own) for each in PRESETS)
    assert (full.training.epochs, full.training.mirror, full.arguments, full.name) == (7, True, {"width": 24}, "own_card")
    assert (quick.training.epochs, quick.training.mirror, quick.name) == (3, True, "own_card"), "its quick lies over its full"
    assert resolve("own_card", METHODS["own_card"], data=Data()).training.epochs == Training().epochs


@pytest.mark.parametrize(("text", "told"), [("training: {epoch: 3}\n", "training.epoch"), ("training: [\n", "a preset cannot be read")])
def test_a_damaged_preset_beside_a_file_is_named(own: Path, cli: Cli, text: str, told: str) -> None:
    own.write_text(OWN)
    own.with_suffix(".full.yaml").write_text(text)
    found = cli("methods", "own_card.py")
    assert (found.code, found.out.count("setting")) == (2, 0)
    assert told in found.err
    assert "own_card.full.yaml" in found.err
    assert "git checkout" not in found.err
