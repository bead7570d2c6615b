"""Tables of rows as text."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import pytest

from merbench.board import ranking, render, rows
from merbench.results import runs_in
from tests.board.test_ranking import made
from tests.board.test_rows import make_run
from tests.conftest import Cli


def test_rows_are_ranked_within_their_table_only(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "good", quality=0.9),
        make_run(tmp_path, "better", quality=1.0),
        make_run(tmp_path, "hasty", quality=0.95, preset="quick"),
        make_run(tmp_path, "better", quality=1.0, key="k1"),
    ]
    tables = render.tables(rows.row_of(run) for run in runs)
    assert [[row.method for row in members] for _, members in tables] == [["better", "good"], ["better"], ["hasty"]]
    assert "quick" in tables[2][0]
    assert tables[0][0] != tables[1][0], "other arrays under the same name are another table, and say so"
    assert "partial composite" in tables[0][0]
    assert "published flow" in tables[0][0]
    assert len(runs_in(tmp_path)) == 4


def test_a_table_by_inner_ranks_who_has_it(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "chooses", inner=3, quality=0.2),
        make_run(tmp_path, "chooses_too", inner=3, quality=0.5),
        make_run(tmp_path, "good", quality=1.0),
        make_run(tmp_path, "closed", epochs=1, quality=0.9),
    ]
    found = ranking.placed(rows.row_of(run) for run in runs)
    ((_, last),) = render.tables(found)
    ((_, by_inner),) = render.tables(found, "inner")
    assert [row.method for row in last][:2] == ["good", "closed"]
    assert (by_inner[0].method, by_inner[-1].method) == ("closed", "good")
    of = [row.readings["inner"].uf1 for row in by_inner[:-1]]
    assert of == sorted(of, reverse=True)
    assert [row.method for row in last if "inner" in row.readings] != [row.method for row in by_inner[:-1]], "these data could not show it"
    lines = [line.split(" | ") for line in render.markdown(found, "inner").splitlines() if line.startswith("|")]
    assert lines[0][6] == "last"
    assert [line[0] for line in lines[2:]] == ["| 1", "| 2-3", "| 2-3", "| ", "| "]
    assert lines[5][1:4] == ["good", "not run", ""]
    assert [line[6] for line in lines[2:6]] == [f"{row.readings['last'].uf1:.4f}" for row in by_inner]
    plain = [line.split(" | ") for line in render.markdown(found).splitlines() if line.startswith("|")]
    assert (plain[0][6], plain[2][1], plain[2][6]) == ("inner", "good", "not run")
    listed = list(csv.DictReader(io.StringIO(render.as_csv(found))))
    assert [(line["method"], line["rankable"]) for line in listed if line["reading"] == "inner"] == [
        (name, "True") for name in ("chooses", "chooses_too", "closed")
    ]


def test_the_commands_read_by_inner(here: Path, cli: Cli) -> None:
    make_run(Path("runs"), "chooses", inner=3)
    make_run(Path("runs"), "good", quality=1.0)
    board = cli("leaderboard", "--reading", "inner")
    assert board.code == 0
    assert board.out.index("chooses") < board.out.index("good")
    assert cli("leaderboard").out.index("chooses") > cli("leaderboard").out.index("good")
    refused = cli("compare", "chooses", "good", "--reading", "inner")
    assert (refused.code, "run it with training.inner=3" in refused.err) == (2, True)
    assert cli("leaderboard", "--reading", "oracle-epoch").code == 2, "it is never ranked"


def test_an_override_is_in_the_rows_name(tmp_path: Path) -> None:
    row = rows.row_of(make_run(tmp_path, changes=("c=3.0",)))
    assert row.method == "example[c=3.0]"
    assert "example[c=3.0]" in render.markdown([row])


def test_texts(tmp_path: Path) -> None:
    row = rows.row_of(make_run(tmp_path, "a|b"))
    text = render.markdown([row])
    assert "a\\|b" in text, "a bar in a name does not break the table"
    assert "chance (guesses)" in text
    found = list(csv.DictReader(io.StringIO(render.as_csv([row]))))
    assert [(line["reading"], line["rankable"]) for line in found] == [
        ("last", "True"),
        ("oracle-subject", "False"),
        ("oracle-epoch", "False"),
    ]
    assert float(found[0]["uf1"]) == pytest.approx(row.readings["last"].uf1, abs=1e-6)
    assert json.loads(render.as_json([row]))[0]["readings"]["last"]["uf1"] == row.readings["last"].uf1


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0.21, "0.2 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")])
def test_durations(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


def test_what_was_measured_on_people_stands_apart_from_what_was_rendered() -> None:
    """Sources in one order, the whole sets of each before its small ones; no table of one below the heading of another."""
    asked = [
        ("synthetic", "3db", "megc3-mini", "quick", "loso"),
        ("synthetic", "casme2", "casme2-5", "full", "loso"),
        ("published-flow", "smic+casme2", "megc3", "full", "loso"),
        ("frames", "casme3", "casme3-4", "full", "loso"),
        ("frames", "casme2+samm", "objective-5", "full", "lodo"),
        ("frames", "3db", "megc3", "quick", "loso"),
        ("frames", "smic", "megc3", "full", "loso"),
        ("frames", "3db", "megc3", "full", "loso"),
        ("elsewhere", "3db", "megc3", "full", "loso"),
    ]
    found = [
        dataclasses.replace(
            made(f"m{index}", 0.8), source=source, on=on, scheme=scheme, preset=preset, protocol=protocol, clips=100 * len(on)
        )
        for index, (source, on, scheme, preset, protocol) in enumerate(asked)
    ]
    text = render.markdown(found)
    stands = [
        line.split("| ")[2].strip(" |") if line[0] == "|" else line[3:9] for line in text.splitlines() if line.startswith(("## ", "|  | m"))
    ]
    assert stands == ["Frames", "m6", "m7", "m3", "m4", "m5", "Publis", "m2", "Render", "m1", "m0", "elsewh", "m8"]
    assert [len(tables) for _, tables in render.by_source(found)] == [5, 1, 2, 1]


def test_what_has_no_value_is_null_and_an_empty_cell() -> None:
    """JSON has no NaN; most readers of it stop there."""
    row = made("m", 0.8)
    none = dataclasses.replace(row.readings["last"], uf1=math.nan, uf1_interval=(math.nan, math.nan), parts={"smic": (math.nan, 0.5, 0.5)})
    (told,) = json.loads(render.as_json([dataclasses.replace(row, readings={"last": none}, seconds=math.inf)]), parse_constant=pytest.fail)
    assert (told["readings"]["last"]["uf1"], told["readings"]["last"]["uf1_interval"], told["seconds"]) == (None, [None, None], None)
    (line,) = csv.DictReader(io.StringIO(render.as_csv([dataclasses.replace(row, readings={"last": none})])))
    assert (line["uf1"], line["uf1_low"], line["part_smic_uf1"], line["part_smic_uar"]) == ("", "", "", "0.500000")


def test_markdown_shows_names_as_they_are() -> None:
    """A name ends no cell and makes no tag, wherever it stands: in a heading, in a table, among what is not finished."""
    row = dataclasses.replace(made("m", 0.8), method="a|b\\|<img src=x>&amp;", on="smic<b>", missing=1)
    text = render.markdown([row])
    assert text.count("a\\|b\\\\\\|&lt;img src=x>&amp;amp;") == 2
    assert "<img" not in text
    assert "<b>" not in text
