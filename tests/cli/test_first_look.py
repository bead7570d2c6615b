"""With nothing set up: faces are rendered, found, aligned, and a method is trained on them, by one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench.data import schemes
from tests.conftest import Cli

FEW = {"smic": ("s05", "s15"), "casme2": ("sub01", "sub15"), "samm": ("019", "028")}
"""Six subjects and 16 clips instead of fifteen and 124."""


@pytest.fixture
def few(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(schemes, "MINI", FEW)
    monkeypatch.setattr(schemes, "check_counts", lambda _: None)
    return here


def test_from_nothing_to_a_row_on_frames(few: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cli("bench", "svm_flow")
    assert found.code == 0, found.err
    assert "faces are rendered into synthetic/: a first look, not a result" in found.err
    assert "svm_flow on 3db, synthetic, megc3-mini, loso: 16 clips, 6 subjects" in found.out
    assert "(few subjects, quick)" in found.out
    assert "assumed: apex: middle frame (6 clips)" in found.out
    rendered = sorted((few / "synthetic").rglob("*.*"))

    found = cli("bench", "frl_dgt", "method.warm_up=1", "training.epochs=1")
    assert found.code == 0, found.err
    assert "frl_dgt[warm_up=1,training.epochs=1] on 3db, synthetic" in found.out
    assert "correlation with the truth" in found.out
    assert "faces and flow: 0 of" not in found.err, "what is prepared is prepared"
    assert sorted((few / "synthetic").rglob("*.*")) == rendered

    told = cli("datasets").out
    assert "synthetic: synthetic\n  smic mini, casme2 mini, samm mini" in told
    assert cli("prepare", "casme2").out.startswith("casme2: 6 clips: prepared/synthetic/casme2-megc3-mini-")

    board = cli("leaderboard", "--format", "md").out
    assert "## 3db, synthetic, megc3-mini, loso" in board

    monkeypatch.setenv("MERBENCH_CASME2", str(few / "synthetic" / "casme2"))
    refused = cli("bench", "svm_flow", "--source", "frames", "--on", "casme2")
    assert refused.code == 2
    assert "this casme2 is rendered, not recorded" in refused.err
