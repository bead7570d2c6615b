"""merbench methods, of a file of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merbench.method import METHODS
from tests.conftest import Cli

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
