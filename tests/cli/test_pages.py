"""merbench leaderboard --format html and report, as they are typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from merbench import foldfile
from tests.board.pages.conftest import ATTACK, make_run
from tests.cli.test_cli import imported
from tests.conftest import Cli


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs", ATTACK, epochs=2)
    return tmp_path / "runs"


def test_the_board_is_written_whole(runs: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "board.html"
    out.write_text("what was there")
    said = cli("leaderboard", "--format", "html", "--runs", str(runs), "--out", str(out))
    assert (said.code, said.out) == (0, "")
    assert said.err.startswith("1 run written to ")
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.endswith("</html>\n")
    assert cli("leaderboard", "--format", "html", "--runs", str(runs)).out == page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["board.html", "runs"]


def test_a_report_is_written_and_says_where(runs: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("report", ATTACK)
    assert said.code == 0
    assert "is written to report.html" in said.out
    assert Path("report.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "nobody"), "there is no run 'nobody'"),
        (("report", ATTACK, "--out", "nowhere/x.html"), "its folder is not there"),
        (("report", ATTACK, "--out", "runs"), "Is a directory"),
        (("report", ATTACK, "--out", "pipe"), "it is a pipe"),
        (("report", ATTACK, "--images"), "the clips of this run are not prepared here"),
        (("leaderboard", "--format", "html", "--out", "nowhere/x.html"), "its folder is not there"),
        (("leaderboard", "--format", "html", "--runs", "none"), "there is no run yet"),
    ],
)
def test_a_mistake_is_one_message(
    words: tuple[str, ...], told: str, runs: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    said = cli(*words)
    assert said.code == 2
    assert told in said.err
    assert "do: " in said.err
    assert "Traceback" not in said.err
    assert not Path("report.html").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
def test_a_full_disk_and_what_is_no_file(runs: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foldfile, "write", lambda *_: pytest.fail("a device is replaced by a file"))  # and by root it can be
    said = cli("leaderboard", "--format", "html", "--runs", str(runs), "--out", "/dev/full")
    assert said.code == 2
    assert "No space left" in said.err


def test_a_page_is_made_without_what_is_heavy(runs: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.html")
    assert imported("leaderboard", "--format", "html", "--runs", str(runs), "--out", out) == (0, set())
    assert imported("report", ATTACK, "--runs", str(runs), "--out", out) == (0, set())
