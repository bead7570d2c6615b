"""The board in a terminal, what papers print, and whether it can be true: as a user types it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from merbench.board import ranking
from merbench.results import Cost, Provenance
from tests.board.test_rows import make_run
from tests.conftest import Cli

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def several(bare: Path) -> Path:
    """Two runs on clips of published flow, one far better, and one of another table."""
    make_run(bare / "runs", "good", quality=1.0)
    make_run(bare / "runs", "poor", quality=0.2)
    make_run(bare / "runs", "hasty", quality=0.9, preset="quick")
    return bare


def at(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Let rich believe that it writes to a terminal of this width."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))


def test_the_table_fits_the_terminal(several: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for width, seen, unseen in ((80, "95 % interval", "optimism gap"), (140, "optimism gap", "memory"), (270, "memory", "--wide")):
        at(monkeypatch, width)
        lines = COLOURS.sub("", cli("leaderboard").out).splitlines()
        heads = [line for line in lines if line.startswith("#") and "method" in line]
        assert [(seen in head, unseen in head) for head in heads] == [(True, False)] * 2
        assert max(len(line.rstrip()) for line in lines if not line.startswith(("Ranked", "not finished"))) <= width
        told = [line.split()[:2] for line in lines if line.startswith(("1 ", "2 "))]
        assert told == [["1", "good"], ["2", "poor"], ["1", "hasty"]]
    at(monkeypatch, 80)
    wide = COLOURS.sub("", cli("leaderboard", "--wide").out)
    assert all(name in wide for name in ("memory", "a clip", "all folds", "annotations", "oracle-epoch"))


def test_a_name_is_shown_as_it_is(bare: Path, cli: Cli) -> None:
    make_run(bare / "runs", "good", changes=("[/b]", "\\[/b]", "[red]"))
    found = cli("leaderboard")
    assert (found.code, "good[[/b],\\[/b],[red]]" in found.out) == (0, True)


def test_places_are_kept_from_one_board_to_the_next(several: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cli("leaderboard").out
    assert (several / "runs" / ranking.FILE).is_file()
    monkeypatch.setattr("merbench.scores.swaps_of", lambda *_: pytest.fail("a pair is tested again"))
    assert cli("leaderboard").out == first
    rows = {row["method"]: row["places"]["last"] for row in json.loads(cli("leaderboard", "--format", "json").out)}
    assert rows == {"good": [1, 1], "poor": [2, 2], "hasty": [1, 1]}


def test_archives_stand_beside_runs(bare: Path, cli: Cli) -> None:
    for name, quality, preset in (("good", 1.0, "full"), ("poor", 0.2, "full"), ("hasty", 0.9, "quick")):
        make_run(bare / "runs", name, quality=quality, preset=preset, scheme="objective-5")
    expected = cli("leaderboard", "--format", "md").out
    for name in ("good", "poor", "hasty"):
        assert cli("archive", name, "--out", f"{name}.parquet").code == 0
    shutil.move("runs/smic+casme2@published-flow/loso-objective-5/good", "elsewhere")
    beside = cli("leaderboard", "--archives", ".", "--format", "md")
    assert (beside.code, beside.err) == (0, "")
    assert beside.out.startswith(expected.rstrip("\n")), "the same places and cells"
    assert "Of archives, not of runs in this folder, are 1: good." in beside.out
    alone = cli("leaderboard", "--archives", "good.parquet", "--archives", "poor.parquet", "--runs", "nowhere")
    assert alone.out.count("| ") == 0
    assert "are 2: good, poor" in alone.out
    assert not Path("nowhere").exists()
    assert "UF1  1.0000 - " in cli("compare", "good.parquet", "poor").out
    Path("good.parquet").write_bytes(b"PAR1")
    hurt = cli("leaderboard", "--archives", ".")
    assert (hurt.code, "left out: an archive cannot be read" in hurt.err, "poor" in hurt.out) == (0, True, True)
    assert cli("compare", "good.parquet", "poor").code == 2
    assert cli("leaderboard", "--archives", "nothing").code == 2
    assert cli("leaderboard", "--archives", "good.parquet", "--runs", "nowhere").code == 2, "nothing is left to show"
    missing = cli("compare", "missing.parquet", "poor")
    assert (missing.code, "there is no such archive" in missing.err) == (2, True)


def test_measured_beside_published(bare: Path, cli: Cli) -> None:
    make_run(bare / "runs", "ststnet", quality=0.9)
    make_run(bare / "runs", "good", quality=0.9)
    plain = cli("leaderboard", "--published")
    assert plain.code == 0
    assert "beside STSTNet, HTNet paper" in plain.out
    assert "- ours learnt from smic+casme2, the paper's from 3db" in plain.out
    assert "nothing beside good on smic+casme2: no printed score" in plain.out
    assert "0.8382" not in cli("leaderboard").out, "a paper's number never stands among measured ones"
    text = cli("leaderboard", "--published", "--format", "md").out
    assert "| casme2 | UF1 | 0.8382 |" in text
    lines = list(csv.DictReader(io.StringIO(cli("leaderboard", "--published", "--format", "csv").out)))
    assert json.loads(cli("leaderboard", "--published", "--format", "json").out) == lines
    assert [line["part"] for line in lines] == ["smic", "smic", "casme2", "casme2"]
    assert cli("leaderboard", "--published", "--out", "beside.md").code == 0
    assert Path("beside.md").read_text() == text


def test_published_scores_and_what_arithmetic_says(bare: Path, cli: Cli) -> None:
    everything = cli("published").out
    assert "22 of 85 rows cannot be what they are called" in everything
    assert "FRL-DGT on 3db: second-hand, Zhai et al., CVPR 2023" in everything
    assert "0.919" not in everything, "what nobody has verified is not shown"
    for name in ("RCN-A", "rcn_a"):
        found = cli("published", name).out
        assert "with UAR 0.8123 UF1 lies between 0.7050 and 0.8395" in found
        assert "3 of 4 rows" in found
        assert "STSTNet" not in found
    refused = cli("published", "ststnett")
    assert (refused.code, "ststnet" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ("--on", "smic", "--uf1", "0.2000", "--uar", "0.5280"),
            1,
            "impossible for one judgement of every clip; with UAR 0.5280 UF1 lies between 0.3983",
        ),
        (("--uf1", "86.03%", "--uar", ".8475"), 0, "possible together"),
        (("--on", "casme2", "--scheme", "casme2-5", "--accuracy", "0.6001"), 1, "no whole number of the 246 clips"),
        (("--on", "casme3", "--accuracy", "0.60"), 0, "casme3, casme3-3: 699 clips, 457 of negative, 55 of positive, 187 of surprise"),
        (("--counts", "2/2", "--uar", "0.75"), 0, "your classes: 4 clips, 2 of class 1, 2 of class 2"),
        (("--counts", "2/2", "--uar", "0.75"), 0, "for instance (rows true, columns predicted):"),
        ((), 2, "no score was given"),
        (("--uf1", "86.03"), 2, "write it with all its places"),
        (("--uf1", "[red]"), 2, "'[red]' is no score"),
        (("--uf1", "0.5", "--counts", "4"), 2, "no numbers of clips"),
        (("--uf1", "0.5", "--counts", "4/0"), 2, "no numbers of clips"),
        (("--uf1", "0.5", "--counts", "9999999/3"), 2, "no numbers of clips"),
        (("--uf1", "0.5", "--on", "smicc"), 2, "there is no database 'smicc'"),
        (("--uf1", "0.5", "--on", "smic", "--scheme", "casme3-4"), 2, "scheme casme3-4 is of casme3"),
    ],
)
def test_whether_scores_are_possible(bare: Path, cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    found = cli("possible", *words)
    assert found.code == code
    assert told in found.out + found.err
    assert "Traceback" not in found.err


def test_the_cost_of_a_clip_is_shown_and_runs_without_it_are_read(bare: Path, cli: Cli) -> None:
    run = make_run(bare / "runs", "good")
    (row,) = json.loads(cli("leaderboard", "--format", "json").out)
    assert (row["clip_seconds"], row["total_seconds"]) == (None, 20.0)
    kept: Provenance = run.provenance
    for index, cost in enumerate(kept.costs.values()):
        cost["clip_seconds"] = 0.001 * (1 + index)
    kept.costs[next(iter(kept.costs))] = Cost(2.0, 100.0).known  # it could not be measured there
    run.save(kept)
    (row,) = json.loads(cli("leaderboard", "--format", "json").out)
    assert row["clip_seconds"] == pytest.approx(0.006)
    assert "| 6.00 ms |" in cli("leaderboard", "--format", "md").out
    del kept.costs[next(iter(kept.costs))]
    run.save(kept)
    (row,) = json.loads(cli("leaderboard", "--format", "json").out)
    assert row["total_seconds"] is None, "a fold whose cost is not known is not counted as free"
    next(iter(kept.costs.values()))["joules"] = 3.0
    run.save(kept)
    assert "costs or failed folds are not what they should be" in cli("leaderboard").err
