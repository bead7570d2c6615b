"""Which columns a table has, what they say, and which stay where there is little room."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merbench.board import render
from merbench.board.columns import Column, columns, fitting, guessed, milliseconds, optimism
from merbench.board.readings import Score
from merbench.board.rows import Row
from tests.board.test_ranking import made


def row(method: str = "method", **changes: object) -> Row:
    """Return a row with parts, an oracle and all costs."""
    last = Score(0.61, 0.62, 0.63, (0.5, 0.7), (0.5, 0.7), {"smic": (0.51, 0.52, 0.53), "casme2": (0.71, 0.72, 0.73)}, 0.33, 0.04, [])
    readings = {"last": last, "oracle-subject": dataclasses.replace(last, uf1=0.75, chance_uf1=0.66)}
    costs = {
        "places": {"last": (1, 2)},
        "parameters": 1683,
        "seconds": 12.0,
        "total_seconds": 480.0,
        "peak_mib": 512.0,
        "clip_seconds": 0.00123,
    }
    return dataclasses.replace(made(method, 0.8), readings=readings, **{**costs, **changes})  # type: ignore[arg-type]


def told(one: Row, *others: Row) -> dict[str, str]:
    return {column.name: column.of(one) for column in columns([one, *others])}


def test_every_column_says_what_the_row_has() -> None:
    assert told(row()) == {
        "#": "1-2",
        "method": "method",
        "UF1": "0.6100",
        "95 % interval": "0.500 to 0.700",
        "UAR": "0.6200",
        "accuracy": "0.6300",
        "inner": "not run",
        "SMIC-HS": "0.5100 / 0.5200",
        "CASME II": "0.7100 / 0.7200",
        "oracle-subject": "0.7500",
        "optimism gap": "+0.1400",
        "chance by oracle": "0.66 ± 0.04",
        "seeds": "1",
        "parameters": "1,683",
        "a fold": "12.0 s",
        "all folds": "8 min 0 s",
        "memory": "512 MiB",
        "a clip": "1.23 ms",
        "annotations": "a",
        "run": "method",
    }


def test_what_is_not_known_is_a_dash_and_what_was_not_run_says_so() -> None:
    bare = row("bare", places={}, parameters=0, seconds=None, total_seconds=None, peak_mib=None, clip_seconds=None)
    bare = dataclasses.replace(bare, readings={"last": dataclasses.replace(bare.readings["last"], parts={"smic": (0.5, 0.5, 0.5)})})
    cells = told(bare, row())
    assert [cells[name] for name in ("a fold", "all folds", "memory", "a clip", "CASME II")] == ["-"] * 5
    assert (cells["#"], cells["oracle-subject"], cells["optimism gap"], cells["parameters"]) == ("", "not run", "", "none")
    assert "SMIC-HS" not in told(bare), "one part is the whole"
    assert optimism(bare) is None


def test_a_column_in_which_nobody_has_anything_is_left_out() -> None:
    last = row().readings["last"]
    closed = row("closed", parameters=0, clip_seconds=None, peak_mib=None, total_seconds=None)
    closed = dataclasses.replace(closed, readings={"last": last, "inner": last})
    assert not {"optimism gap", "chance by oracle", "memory", "a clip", "all folds"} & told(closed).keys()
    assert told(closed)["oracle-subject"] == "not run", "but a reading that was not run says so"
    assert told(closed, row())["optimism gap"] == ""
    assert told(closed, row())["memory"] == "-"
    assert {"#", "method", "UF1", "run"} <= told(dataclasses.replace(closed, places={})).keys()


def test_chance_without_a_value_is_a_dash() -> None:
    none = dataclasses.replace(row().readings["last"], chance_uf1=math.nan, chance_uf1_sd=math.nan)
    assert guessed(none) == "-"


def test_the_line_of_chance_is_of_the_last_epoch() -> None:
    found = columns([row()])
    assert [column.chance(row()) for column in found if column.chance(row())] == ["chance (guesses)", "0.33 ± 0.04"]


def test_another_reading_has_its_columns_where_a_row_has_it() -> None:
    one = row()
    more = dataclasses.replace(one, readings={**one.readings, "oracle-epoch": dataclasses.replace(one.readings["last"], uf1=0.64)})
    assert told(more)["oracle-epoch"] == "0.6400"
    assert told(more)["chance by oracle-epoch"] == "0.33 ± 0.04"
    assert told(one, more)["oracle-epoch"] == "not run"


@given(st.integers(20, 400))
def test_columns_are_left_out_until_they_fit(width: int) -> None:
    rows = [row(), row("a-rather-long-name[changed=1]")]
    whole = columns(rows)
    kept = fitting(whole, rows, width)
    assert [column for column in whole if column in kept] == kept, "in the same order"
    assert {column.rank for column in kept}.isdisjoint({column.rank for column in whole if column not in kept})
    assert {column.name for column in kept} >= {"#", "method", "UF1", "run"}
    assert wide(kept, rows) <= width or all(column.rank == 0 for column in kept)
    if len(kept) < len(whole):
        sooner = max(column.rank for column in kept)
        later = min(column.rank for column in whole if column not in kept)
        assert sooner < later
        assert wide([column for column in whole if column.rank <= later], rows) > width, "no column is left out for nothing"


def wide(found: list[Column], rows: list[Row]) -> int:
    return (
        sum(max(len(text) for text in (column.name, *(column.of(each) for each in rows), column.chance(rows[0]))) + 2 for column in found)
        - 2
    )


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0.00041, "0.41 ms"), (0.0123, "12 ms"), (1.26, "1.3 s")])
def test_milliseconds(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text


def test_all_columns_stand_in_every_text() -> None:
    rows = [row(), dataclasses.replace(row("other"), data="e", readings={"last": row().readings["last"]})]
    text = render.markdown(rows)
    for name in told(row()):
        assert f"| {name} |" in text
    lines = list(csv.DictReader(io.StringIO(render.as_csv(rows))))
    assert [line["optimism_gap"] for line in lines] == ["0.140000", "", ""]
    assert (lines[0]["part_casme2_uar"], lines[0]["clip_seconds"], lines[0]["total_seconds"]) == ("0.720000", "0.00123", "480.0")
    assert (lines[0]["first_place"], lines[0]["last_place"], lines[1]["first_place"]) == ("1", "2", "")
    first, second = json.loads(render.as_json(rows))
    assert (first["optimism_gap"], second["optimism_gap"]) == (pytest.approx(0.14), None)
    assert first["readings"]["last"]["parts"]["smic"] == [0.51, 0.52, 0.53]
