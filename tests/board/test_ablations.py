"""A method beside its ablations: the differences and what stands where one is missing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import pytest

from merbench import scores
from merbench.ablations import Ablation
from merbench.board import ablations, compare
from merbench.board.rows import row_of
from tests.board.test_rows import make_run

WITHOUT = Ablation("without", "less of it", ("method.it=false",), "lower | by .1")
OTHER = Ablation("other", "another one", ("method.it=3",))
ABSENT = Ablation("absent", "what the data cannot bear", ("method.it=4",))


def test_differences_are_those_of_the_paired_test(tmp_path: Path) -> None:
    whole = make_run(tmp_path, quality=0.9, seeds=2)
    less = make_run(tmp_path, quality=0.4, seeds=2, changes=("it=false",), arguments={"it": False})
    same = make_run(tmp_path, quality=0.9, seeds=2, changes=("it=3",), arguments={"it": 3})
    found = ablations.lines(whole, [(WITHOUT, less), (OTHER, same), (ABSENT, "no macro clips are set up")])
    raw = [compare.paired(run, whole).tests["UF1"] for run in (less, same)]
    assert [line.ablation for line in found] == [None, WITHOUT, OTHER, ABSENT]
    assert raw[0].difference < -0.2
    assert raw[1].difference == 0
    assert [line.p for line in found] == [None, *scores.holm([each.p for each in raw]), None]
    cells = [ablations.cells(line) for line in found]
    assert all(len(row) == len(ablations.COLUMNS) for row in cells)
    assert cells[0][0] == "the whole method"
    assert cells[0][4:7] == ("", "", "")
    assert cells[1][4] == f"{raw[0].difference:+.4f}"
    assert cells[2][4] == "+0.0000"
    assert cells[3][1] == "not run: no macro clips are set up"


def test_a_table_is_written_in_three_forms(tmp_path: Path) -> None:
    """What a person reads and what a program reads are the same lines; what could not be run has no numbers, and says why."""
    whole = make_run(tmp_path, quality=0.9, seeds=2)
    less = make_run(tmp_path, quality=0.4, seeds=2, changes=("it=false",), arguments={"it": False})
    found = ablations.lines(whole, [(WITHOUT, less), (ABSENT, "no macro clips are set up")])
    text = ablations.FORMATS[".md"]([found, found])
    assert text.count("## example and its ablations on ") == 2
    assert "lower \\| by .1" in text
    assert "- without: less of it (method.it=false)" in text
    assert text.count("| chance (guesses) | 0.3") == 2
    read = json.loads(ablations.FORMATS[".json"]([found]))
    assert [each["ablation"] for each in read] == ["", "without", "absent"]
    pair = compare.paired(less, whole).tests["UF1"]
    assert read[1]["difference"] == pair.difference
    assert (read[1]["p"], read[1]["p_corrected"]) == (pair.p, pair.p)
    assert [each["uf1"] for each in read] == [row.readings["last"].uf1 if (row := line.row) else None for line in found]
    assert read[2]["not_run"] == "no macro clips are set up"
    lines = list(csv.DictReader(io.StringIO(ablations.FORMATS[".csv"]([found]))))
    assert [line["uf1"] for line in lines] == ["" if each["uf1"] is None else f"{each['uf1']:.6f}" for each in read]
    assert [line["settings"] for line in lines] == ["", "method.it=false", "method.it=4"]


def test_settings_that_change_nothing_are_told_as_such_and_correct_nobody(tmp_path: Path) -> None:
    """``training: {mirror: false}`` of a method that mirrors nothing: the run of it is the whole method's own."""
    whole, less = make_run(tmp_path), make_run(tmp_path, quality=0.2, changes=("it=false",), arguments={"it": False})
    found = ablations.lines(whole, [(WITHOUT, less), (OTHER, whole), (ABSENT, less)])
    assert [line.p for line in found] == [None, compare.paired(less, whole).tests["UF1"].p, None, None]
    told = [ablations.cells(line)[1] for line in found[2:]]
    assert told == ["not run: its settings are those of the whole method", "not run: its settings are those of without"]


@pytest.mark.parametrize(
    ("difference", "low", "told"), [(math.nan, math.nan, ("-", "-", "-")), (-0.25, math.nan, ("-0.2500", "-", "0.5000"))]
)
def test_what_has_no_value_is_a_dash(tmp_path: Path, difference: float, low: float, told: tuple[str, ...]) -> None:
    """A class that never occurs leaves no difference, and one that hardly any draw of the subjects has no interval."""
    run = make_run(tmp_path)
    pair = dataclasses.replace(compare.paired(run, run), tests={"UF1": scores.Paired(difference, scores.Interval(low, low), 0.5)})
    assert ablations.cells(ablations.Line(WITHOUT, row_of(run), pair, 0.5))[4:7] == told


def test_an_unfinished_ablation_says_what_is_missing(tmp_path: Path) -> None:
    whole = make_run(tmp_path)
    less = make_run(tmp_path, changes=("it=false",), arguments={"it": False})
    next(less.path.glob("folds/*s0.parquet")).unlink()
    (_, line) = ablations.lines(whole, [(WITHOUT, less)])
    assert line.pair is None
    assert ablations.cells(line)[1] == "not run: 1 fold missing"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # as R's p.adjust(method = "holm") has them
        ([0.6, 0.7], [1.0, 1.0]),
    ],
)
def test_holm(given: list[float], expected: list[float]) -> None:
    assert scores.holm(given) == pytest.approx(expected)
