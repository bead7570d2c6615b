"""What is written down of ablations, and how a bad file is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench import ablations
from merbench.errors import UserError

GOOD = """
without-attention:
  about: the network without its attention
  paper: lower
  settings:
    method: {attention: false, widths: [3, 5], fusion: sum, name: "off"}
    training: {lr: 1.0e-3}
shorter:
  about: half of the epochs
  settings: {training: {epochs: 10}}
"""


def own(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text("")
    (folder / "mine.ablations.yaml").write_text(text)
    return str(folder / "mine.py")


def test_ablations_are_overrides_in_the_order_of_their_file(tmp_path: Path) -> None:
    first, second = ablations.listed(own(tmp_path, GOOD))
    assert (first.name, first.about, first.paper) == ("without-attention", "the network without its attention", "lower")
    assert first.overrides == (
        "method.attention=false",
        "method.widths=[3, 5]",
        'method.fusion="sum"',
        'method.name="off"',
        "training.lr=0.001",
    )
    assert (second.name, second.overrides, second.paper) == ("shorter", ("training.epochs=10",), "")


def test_nothing_is_known_of_the_paper_where_nothing_is_written(tmp_path: Path) -> None:
    """What follows an empty ``paper:`` is YAML's null, not the word None; and what is written moves no cursor."""
    (one,) = ablations.listed(own(tmp_path, 'one: {about: "half\\e[2J\\nof it", paper: , settings: {method: {c: 1}}}'))
    assert (one.about, one.paper) == (r"half\x1b[2J\nof it", "")


def test_one_or_all_are_asked_for(tmp_path: Path) -> None:
    mine = own(tmp_path, GOOD)
    assert [each.name for each in ablations.asked(mine, "all")] == ["without-attention", "shorter"]
    assert [each.name for each in ablations.asked(mine, "shorter", ["method.c=1"])] == ["shorter"]


def test_an_unknown_ablation_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no ablation 'without-atention'") as error:
        ablations.asked(own(tmp_path, GOOD), "without-atention")
    assert "did you mean 'without-attention'" in error.value.remedy


def test_a_method_without_ablations_says_where_they_would_be(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(UserError, match="no ablations") as error:
        ablations.asked(str(tmp_path / "mine.py"), "all")
    assert error.value.where.endswith("mine.ablations.yaml")


def test_an_override_of_what_an_ablation_sets_is_refused(tmp_path: Path) -> None:
    """The row would be called by the one and made by the other."""
    with pytest.raises(UserError, match=r"without-attention sets method.fusion itself"):
        ablations.asked(own(tmp_path, GOOD), "all", ["method.fusion=mean"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n- b", "no table"),
        ("all: {about: x, settings: {method: {c: 1}}}", "no name of an ablation"),
        ("a b: {about: x, settings: {method: {c: 1}}}", "no name of an ablation"),
        ("one: {settings: {method: {c: 1}}}", "it has about, settings"),
        ("one: {about: x, settings: {method: {c: 1}}, papper: y}", "it has about, settings"),
        ("one: {about: x, settings: {data: {on: smic}}}", "of method and training"),
        ("one: {about: x, settings: {}}", "changes nothing"),
        ("one: {about: x, settings: {method: 3}}", "changes nothing of method"),
        ("one: {about: x, settings: {method: {c: 1}, training: 3}}", "changes nothing of training"),
        ("one: {about: [x], settings: {method: {c: 1}}}", "about and paper are words"),
        ("one: {about: x, paper: .732, settings: {method: {c: 1}}}", "a number stands in quotes"),
        ("one: twice", "it has about, settings"),
        ("one: {about: *x}", "alias"),
        ("one: {about: x, settings: {method: {c: 1}", "line"),
    ],
)
def test_a_damaged_file_is_one_message(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=r"the ablations of .* cannot be read") as error:
        ablations.listed(own(tmp_path, text))
    assert reason in error.value.what
    assert error.value.where.endswith("mine.ablations.yaml")
