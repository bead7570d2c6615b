"""``merbench score`` as somebody types it who never adopts the suite."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.board.foreign import delimited, rows
from tests.board.test_rows import make_run
from tests.cli.test_cli import imported
from tests.conftest import Cli


@pytest.fixture
def log(here: Path) -> Path:
    path = here / "log.csv"
    path.write_text(delimited(rows(1)))
    return path


def test_it_answers_without_anything_heavy(log: Path) -> None:
    assert imported("score", "log.csv") == (0, set())


def test_words_json_and_a_file(log: Path, cli: Cli) -> None:
    said = cli("score", "log.csv", "--claimed-uar", "76.05")
    assert (said.code, said.err) == (0, "")
    for part in (
        "log.csv (CSV, separated by commas)",
        "442 clips, 68 subjects: smic 164, casme2 145, samm 133",
        "guesses, best of 800 epochs",
        "warning: UAR 76.05",
    ):
        assert part in said.out
    whole = json.loads(cli("score", "log.csv", "--json").out)
    assert (whole["clips"], whole["named"], whole["classes"]) == (442, True, ["negative", "positive", "surprise"])
    assert cli("score", "log.csv", "--out", "scores.txt", "--claimed-uar", "76.05").out == ""
    assert Path("scores.txt").read_text() == said.out


def test_standard_input(log: Path) -> None:
    words = [sys.executable, "-c", "from merbench.cli import main; main()", "score", "-", "--json"]
    done = subprocess.run(words, input=log.read_bytes(), capture_output=True, timeout=120, check=True)
    assert json.loads(done.stdout)["clips"] == 442


def test_one_database_with_plain_numbers(here: Path, cli: Cli) -> None:
    Path("x.csv").write_text("subject,truth,pred\n1,0,0\n2,1,1\n3,2,1\n4,1,1\n5,0,1\n")
    refused = cli("score", "x.csv")
    assert refused.code == 2
    assert "--database NAME" in refused.err
    said = cli("score", "x.csv", "--database", "CASME II", "--classes", "neg,pos,sur")
    assert said.code == 0
    assert "5 clips, 5 subjects: casme2 5" in said.out


def test_against_a_run_of_the_board(here: Path, cli: Cli) -> None:
    run = make_run(Path("runs"))
    said = cli("score", str(run.path), "--against", run.path.name[:6])
    assert said.code == 0, said.err
    assert "= +0.0000" in said.out
    assert "paired over subjects (clip by clip)" in said.out
    missing = cli("score", str(run.path), "--against", "nobody")
    assert missing.code == 2
    assert "there is no run 'nobody'" in missing.err


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("--database", "a/b"), "--database"),
        (("--classes", "negative"), "--classes"),
        (("--classes", "a,a,b"), "--classes"),
        (("--classes", "0,1,2"), "--classes"),
        (("--classes", "a,$(rm)"), "--classes"),
        (("--claimed-uf1", "high"), "--claimed-uf1"),
        (("--claimed-uar", "120"), "--claimed-uar"),
        (("--out", "."), "name another file"),
        (("--out", "no/such/folder"), "name another file"),
    ],
)
def test_wrong_words_are_one_message(log: Path, cli: Cli, words: tuple[str, ...], place: str) -> None:
    said = cli("score", "log.csv", *words)
    assert said.code == 2
    assert place in said.err
    assert said.err.count("merbench: ") == 1
    assert said.out == ""
