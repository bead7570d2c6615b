"""Charts: numbers stand where they should, and what they are called is text."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from merbench.board.pages import charts
from merbench.board.pages.charts import Dot, Line, Plot, Rule
from tests.board.pages.seen import number, of_class, parsed, seen

ATTACK = "</text><script>alert(1)</script>\"'&\u202e"


@example(low=0.0, span=3e-15, most=5)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-6, 1e6), most=st.integers(2, 8))
def test_ticks_are_few_round_and_within(low: float, span: float, most: int) -> None:
    high = low + span
    if high == low or span < abs(low) * 1e-9:
        return
    found = charts.ticks(low, high, most)
    assert 1 <= len(set(found)) == len(found) <= most + 1
    slack = span * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)
    if len(found) > 1:
        step = found[1] - found[0]
        assert np.allclose(np.diff(found), step, rtol=1e-3)
        digit = step / 10.0 ** math.floor(math.log10(step * 1.0001))
        assert min(abs(digit - good) for good in (1, 2, 5, 10)) < 0.01


def test_what_is_counted_has_no_halves() -> None:
    assert charts.ticks(0, 2.08, 6) == [0, 0.5, 1, 1.5, 2]
    assert charts.ticks(0, 2.08, 6, least=1) == [0, 1, 2]
    assert charts.ticks(0.5, 1.5, 6, least=1) == [1]
    assert charts.ticks(0, 208, 6, least=1) == charts.ticks(0, 208, 6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (1.0, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_no_ticks_where_there_is_no_axis(low: float, high: float) -> None:
    assert charts.ticks(low, high) == []


def test_a_bar_shows_score_interval_and_chance_on_one_scale() -> None:
    root = parsed(charts.bar(0.75, (0.5, 1.0), 0.25, ATTACK))
    dot = next(each for each in root.iter("circle"))
    lines = {each.get("class"): each for each in root.iter("line")}
    marks = sorted(
        float(each.get("x1", "")) for each in root.iter("line") if each.get("class") is None and each.get("x1") == each.get("x2")
    )
    assert len(set(marks)) == 5
    assert marks[3] == float(dot.get("cx", ""))
    assert (float(lines["interval"].get("x1", "")), float(lines["interval"].get("x2", ""))) == (marks[2], marks[4])
    assert float(lines["chance"].get("x1", "")) == marks[1]
    assert root.get("aria-label") == ATTACK.replace("\u202e", "\\u202e")
    assert charts.bar(math.nan, (math.nan, math.nan), 0.3, "") == ""
    assert "interval" not in charts.bar(0.5, (math.nan, math.nan), math.nan, "")
    assert 'cx="nan"' not in charts.bar(0.5, (math.nan, math.nan), math.nan, "")
    for value, end in ((-0.2, marks[0]), (1.2, marks[4])):
        assert number(next(parsed(charts.bar(value, (math.nan, math.nan), math.nan, "")).iter("circle")), "cx") == end


def test_clips_right_and_wrong_fill_their_share() -> None:
    right, wrong = list(parsed(charts.split(3, 1, 8, "")))
    assert float(right.get("width", "")) == pytest.approx(3 * float(wrong.get("width", "")))
    assert float(wrong.get("x", "")) == float(right.get("width", "")) == pytest.approx(charts.WIDE * 3 / 8)
    assert (right.get("class"), wrong.get("class")) == ("right", "wrong")
    assert parsed(charts.split(0, 0, 0, "")) is not None


def test_a_histogram_counts_what_is_there() -> None:
    values = np.array([0.0, 0.0, 0.0, 1.0, math.nan, math.inf])
    bars = list(parsed(charts.histogram(values, "")).iter("rect"))
    assert len(bars) == 2
    assert float(bars[0].get("height", "")) == pytest.approx(3 * float(bars[1].get("height", "")), abs=0.02)
    assert [number(each, "y") + number(each, "height") for each in bars] == pytest.approx([26, 26]), "bars stand on their axis"
    assert number(bars[0], "y") == 0
    assert number(bars[0], "x") == 0, "the least is at the left"
    assert number(bars[1], "x") + number(bars[1], "width") == pytest.approx(charts.WIDE - 0.8)
    stroke = of_class(parsed(charts.histogram([0.0, 1.0, 10.0], "")), "line", "chance")[0]
    assert number(stroke, "x1") == number(stroke, "x2") == pytest.approx(charts.WIDE / 10), "the median, and not the mean"
    assert charts.histogram([math.nan], "") == ""
    assert "nan" not in charts.histogram([2.0, 2.0], "")


def plot(**changes: object) -> Plot:
    told = {
        "label": ATTACK,
        "x_name": ATTACK,
        "y_name": "y",
        "lines": [Line([(1, 0.25), (2, math.nan), (3, 0.75)], band=[(1, 0.2, 0.3), (3, 0.7, 0.8)])],
        "rules": [Rule(0.5, ATTACK), Rule(0.5, "the same")],
        "dots": [Dot(3, 0.75, ATTACK)],
        "x": (1, 3),
        "y": (0, 1),
    }
    return Plot(**{**told, **changes})  # type: ignore[arg-type]


def test_a_plot_puts_values_where_its_axes_say() -> None:
    root = parsed(plot().drawn())
    level = {
        float(each.text or ""): float(each.get("y", "")) - 3.5
        for each in root.iter("text")
        if each.get("text-anchor") == "end" and re.fullmatch(r"[\d.]+", each.text or "")
    }
    across = {float(each.text or ""): float(each.get("x", "")) for each in root.iter("text") if each.get("text-anchor") == "middle"}
    assert set(level) == {0, 0.2, 0.4, 0.6, 0.8, 1}
    assert level[1] < level[0], "up is more"
    assert across[1] < across[3]
    pieces = [each.get("points", "") for each in root.iter("polyline")]
    assert len(pieces) == 2, "a gap where there is no number"
    x, y = map(float, pieces[0].split(","))
    assert x == pytest.approx(across[1], abs=0.1)
    assert y == pytest.approx(level[0] + 0.25 * (level[1] - level[0]), abs=0.1)
    dot = next(root.iter("circle"))
    assert float(dot.get("cx", "")) == pytest.approx(across[3], abs=0.1)
    names = [
        float(each.get("y", ""))
        for each in root.iter("text")
        if each.text in (ATTACK.replace("\u202e", "\\u202e"), "the same") and each.get("text-anchor") is None
    ]
    assert abs(names[-1] - names[-2]) >= 12, "names of one level do not lie on one another"


def test_a_plot_is_read_back_by_its_axes() -> None:
    """What is drawn is where the numbers say: mutants of every coordinate were planted against this."""
    drawn = Plot(
        "all of it",
        "across",
        "up",
        lines=[Line([(1, 0.25), (2, 0.5), (4, 0.75)], band=[(1, 0.2, 0.4), (4, 0.7, 0.9)])],
        rules=[Rule(0.6, "lower", "low"), Rule(0.61, "upper")],
        dots=[Dot(3, 0.9, kind="oracle")],
        bars={1.0: (0.5, 0.3), 3.0: (1.0, 0.8)},
        x=(0, 5),
        y=(0, 1),
        margin=60,
    ).drawn()
    told = seen(drawn)
    assert (told.x_name, told.y_name) == ("across", "up")
    assert np.array(told.lines["one"]) == pytest.approx(np.array([[(1, 0.25), (2, 0.5), (4, 0.75)]]), abs=1e-3)
    assert np.array(told.bands[0]) == pytest.approx(np.array([(1, 0.2), (4, 0.7), (4, 0.9), (1, 0.4)]), abs=1e-3), "once around"
    assert np.array(told.columns) == pytest.approx(np.array([(1, 1.5, 0, 0.3), (3, 4, 0, 0.8)]), abs=2e-3)
    assert np.array([level for level, _ in told.rules]) == pytest.approx(np.array([0.6, 0.61]), abs=1e-3), "their names move, they do not"
    assert [kind for _, kind in told.rules] == ["low", ""]
    assert told.named == ["lower", "upper"]
    assert told.dots[0][:2] == pytest.approx((3, 0.9), abs=1e-2)
    assert told.dots[0][2] == "oracle"


def test_ends_of_axes() -> None:
    for low, high, foot in ((0.2, 0.8, 0.0), (0.7, 0.8, 0.696)):
        told = Plot("", "x", "y", lines=[Line([(0, low), (1, high)])])
        assert charts._Area(told).y == pytest.approx((foot, 0.832 if foot == 0 else 0.804)), "from nought where the data come near it"
    flat = charts._Area(Plot("", "x", "y", lines=[Line([(0, 2.0), (1, 2.0)])])).y
    assert flat == pytest.approx((1.8, 2.2)), "what never changes runs through the middle"


@pytest.mark.parametrize(
    "changes", [{"lines": [], "rules": [], "dots": []}, {"x": None, "y": None}, {"lines": [Line([(1, 2.0)])], "x": None, "y": None}]
)
def test_a_plot_of_little_is_whole(changes: dict[str, object]) -> None:
    drawn = plot(**changes).drawn()
    assert parsed(drawn).tag == "svg"
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "<script" not in drawn
