"""An ablation that cannot be run, among others that can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from merbench.ablations import Ablation
from merbench.cli import ablate
from merbench.config import Data
from merbench.errors import UserError
from merbench.methods.msjfn import MSJFN
from merbench.presets import resolve

if TYPE_CHECKING:
    from merbench.engine.run import Plan

SLIP = Ablation("narrow", "half of the channels", ("method.widht=8",))


def refused(overrides: Sequence[str]) -> Plan:
    raise UserError(f"there is no setting '{overrides[0].partition('=')[0]}'")


def test_why_one_of_all_is_not_run_is_told_before_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate.planned(SLIP, "tiny_net.py", "all", refused) == "there is no setting 'method.widht'"
    assert capsys.readouterr().err == "the ablation narrow will not be run: there is no setting 'method.widht'\n"


def test_a_reason_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def slipped(overrides: Sequence[str]) -> Plan:
        raise UserError("'[red]' is no number")

    ablate.planned(SLIP, "tiny_net.py", "all", slipped)
    assert "'[red]' is no number" in capsys.readouterr().err


def test_the_only_one_asked_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no setting"):
        ablate.planned(SLIP, "tiny_net.py", "narrow", refused)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("where", ["the command line: method.widht=8", "method.width", "training.epochs"])
def test_a_slip_is_told_of_the_file_where_it_is_written(where: str) -> None:
    def slipped(overrides: Sequence[str]) -> Plan:
        raise UserError("there is no such setting", where=where, remedy="correct it")

    with pytest.raises(UserError) as refusal:
        ablate.planned(SLIP, "mine/tiny_net.py", "narrow", slipped)
    assert (refusal.value.where, refusal.value.remedy) == ("narrow in mine/tiny_net.ablations.yaml", "correct it")


def test_what_the_data_lack_is_told_of_the_data() -> None:
    def lacking(overrides: Sequence[str]) -> Plan:
        raise UserError("no macro clips are set up", where="merbench.yaml")

    with pytest.raises(UserError) as refusal:
        ablate.planned(SLIP, "tiny_net.py", "narrow", lacking)
    assert refusal.value.where == "merbench.yaml"


def test_what_presets_say_of_an_override_is_recognised(tmp_path: Path) -> None:
    file = tmp_path / "tiny_net.ablations.yaml"

    def resolved(overrides: Sequence[str]) -> Plan:
        resolve("msjfn", MSJFN, data=Data(), overrides=overrides)
        raise AssertionError("there is no setting widht")

    with pytest.raises(UserError) as refusal:
        ablate.planned(SLIP, str(tmp_path / "tiny_net.py"), "narrow", resolved)
    assert refusal.value.where == f"narrow in {file}"
