"""An ablation that cannot be run, among others that can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from merbench.ablations import Ablation
from merbench.cli import ablate
from merbench.errors import UserError

if TYPE_CHECKING:
    from merbench.engine.run import Plan

SLIP = Ablation("narrow", "half of the channels", ("method.widht=8",))


def refused(overrides: Sequence[str]) -> Plan:
    raise UserError(f"there is no setting '{overrides[0].partition('=')[0]}'")


def test_why_one_of_all_is_not_run_is_told_before_the_others_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate.planned(SLIP, "all", refused) == "there is no setting 'method.widht'"
    assert capsys.readouterr().err == "the ablation narrow will not be run: there is no setting 'method.widht'\n"


def test_the_only_one_asked_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no setting"):
        ablate.planned(SLIP, "narrow", refused)
    assert not capsys.readouterr().err
