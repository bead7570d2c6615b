"""Cards read from the methods' files, without running them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from merbench import card, methods
from merbench.card import Card, shipped, written
from merbench.errors import UserError
from merbench.method import METHODS


def test_every_card_is_the_one_that_is_registered() -> None:
    for name in methods.NAMES:
        methods.load(name)
    assert shipped() == {name: METHODS[name].card for name in methods.NAMES}


def test_the_list_of_methods_imports_no_torch() -> None:
    code = "import sys; from merbench.cli import main; sys.argv[1:] = ['methods']\ntry: main()\nfinally: print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout
    assert "micro_attention" in said
    assert said.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("a = 1", "0 cards"),
        ("c = Card(title=1)\nd = Card(title=2)", "2 cards"),
        ("c = Card(title=f())", "malformed"),
        ("c = Card('a', year=1)", "has no name"),
        ("c = Card(**{'title': 1})", "has no name"),
        ("c = Card(title=1)", "lacks an argument"),
    ],
)
def test_what_is_no_plain_card_is_refused(source: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        written(source)


def test_a_card_is_read() -> None:
    text = "class A:\n    card = Card(title='a', year=2020, paper='p', network='own', training='port', parameters={3: 5})"
    assert written(text.replace("card =", "card: ClassVar[Card] =")) == written(text)
    assert written(text) == Card("a", 2020, "p", "own", "port", parameters={3: 5})


@pytest.mark.parametrize("text", ["card = Card(title=f())", "class"])
def test_a_file_without_a_plain_card_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=r"mine\.py"):
        card.of_file(tmp_path / "mine.py")
