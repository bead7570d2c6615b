"""Two runs, paired over subjects."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from merbench import scores
from merbench.board import compare, naming, rows
from merbench.errors import UserError
from tests.board.test_rows import make_run


def test_compare_pairs_by_clip(tmp_path: Path) -> None:
    a, b = make_run(tmp_path, "good", quality=1.0), make_run(tmp_path, "poor", quality=0.2)
    said = compare.compare_runs(naming.find(tmp_path, a.path.name), naming.find(tmp_path, b.path.name[:8]))
    gap = rows.row_of(a).readings["last"].uf1 - rows.row_of(b).readings["last"].uf1
    assert f"{gap:+.4f}" in said
    assert "p = 0.00" in said
    assert "60 clips, 10 subjects" in said
    assert naming.find(tmp_path, "good").path == naming.find(tmp_path, "/".join(a.path.parts[-4:])).path == a.path
    with pytest.raises(UserError, match="there is no run 'zz'"):
        naming.find(tmp_path, "zz")
    keys = [make_run(tmp_path, f"other{index}", epochs=1).path.name for index in range(17)]
    twice = next(key[0] for key in keys if sum(other[0] == key[0] for other in keys) > 1)
    with pytest.raises(UserError, match=rf"runs are called or begin with '{twice}'"):
        naming.find(tmp_path, twice)


def test_compare_by_inner(tmp_path: Path) -> None:
    a, b, without = make_run(tmp_path, "a", inner=3), make_run(tmp_path, "b", inner=2, epochs=5), make_run(tmp_path, "without")
    said = compare.compare_runs(a, b, "inner")
    gap = rows.row_of(a).readings["inner"].uf1 - rows.row_of(b).readings["inner"].uf1
    assert "inner epoch, 1 seed" in said
    assert f"{gap:+.4f}" in said
    assert said != compare.compare_runs(a, b)
    with pytest.raises(UserError, match="has no inner trainings"):
        compare.compare_runs(a, without, "inner")
    closed = make_run(tmp_path, "closed", epochs=1)
    gap = rows.row_of(a).readings["inner"].uf1 - rows.row_of(closed).readings["last"].uf1
    assert f"{gap:+.4f}" in compare.compare_runs(a, closed, "inner")


def test_all_seeds_of_both_are_compared(tmp_path: Path) -> None:
    """It was the first of each, whose difference stood nowhere on the board."""
    few, more = make_run(tmp_path, "few", quality=0.7), make_run(tmp_path, "more", quality=0.3, seeds=3)
    pair = compare.paired(few, more)
    last = [rows.row_of(run).readings["last"] for run in (few, more)]
    assert pair.seeds == (1, 3)
    assert pair.means["UF1"] == pytest.approx((last[0].uf1, last[1].uf1))
    assert pair.means["UAR"] == pytest.approx((last[0].uar, last[1].uar))
    assert pair.tests["UF1"].difference == pytest.approx(last[0].uf1 - last[1].uf1)
    said = compare.compare_runs(few, more)
    assert "last epoch, means over 1 seed against 3, predictions swapped by subject 10,000 times" in said
    assert f"UF1  {last[0].uf1:.4f} - {last[1].uf1:.4f} = {last[0].uf1 - last[1].uf1:+.4f}" in said
    assert compare.seeds_told(3, 3) == "means over 3 seeds each"
    assert compare.seeds_told(2, 1) == "means over 2 seeds against 1"


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (scores.Paired(0.12345, scores.Interval(-0.01, 0.2), 0.0421), "= +0.1235  95 % interval -0.010 to +0.200  p = 0.0421"),
        (scores.Paired(0.5, scores.Interval(0.4, 0.6), 1 / 10_001), "p < 0.0001"),
        (scores.Paired(0.5, scores.Interval(math.nan, math.nan), 0.5), "95 % interval -  p = 0.5000"),
        (scores.Paired(math.nan, scores.Interval(math.nan, math.nan), 1), "UF1  0.7000 against -: no difference can be told"),
    ],
)
def test_a_difference_in_words(test: scores.Paired, told: str) -> None:
    means = (0.7, math.nan if math.isnan(test.difference) else 0.7 - test.difference)
    assert told in compare.difference_told("UF1", means, test)


@pytest.mark.parametrize("named", ["a" * 300, "a/" * 3000, "a\0b", "", ".", "\udcff"])
def test_no_name_is_too_odd_to_be_told_unknown(tmp_path: Path, named: str) -> None:
    make_run(tmp_path)
    with pytest.raises(UserError, match="there is no run"):
        naming.find(tmp_path, named)


def test_other_classes_or_labels_are_not_paired(tmp_path: Path) -> None:
    one = compare.side(make_run(tmp_path, "one"))
    compare.paired_sides(one, one)
    relabelled = replace(one, table=replace(one.table, truth=(one.table.truth + 1) % 3))
    renamed = replace(one, classes=("happiness", "sadness", "anger"))
    for other in (relabelled, renamed):
        for sides in ((one, other), (other, one)):
            with pytest.raises(UserError, match="nothing to pair"):
                compare.paired_sides(*sides)


def test_other_presets_are_told(tmp_path: Path) -> None:
    one = compare.side(make_run(tmp_path, "one"))
    assert "presets differ: full against quick" in compare.compared(one, replace(one, preset="quick"))
    assert "differ" not in compare.compared(one, one)
