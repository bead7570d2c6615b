"""Workbooks of rendered databases, without the clips."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from openpyxl import load_workbook

from merbench.data.synthetic import sheets
from merbench.data.synthetic.script import scenes


def test_casme3_has_its_own_words_for_two_emotions() -> None:
    script = [scene for scene in scenes("full", 0) if scene.part == "casme3"]
    rows = list(load_workbook(io.BytesIO(sheets.books(script, lambda _: ("12",))["casme3"][1]()))["label"].iter_rows(values_only=True))
    assert len(rows) == 861
    assert {row[7] for row in rows[1:]} == {"disgust", "surprise", "others", "fear", "anger", "sad", "happy"}
    assert len({row[:3] for row in rows[1:]}) == 860


def test_a_workbook_holds_no_date_of_today() -> None:
    made = sheets.books(scenes("mini", 0), lambda _: ("4", "L14"))["casme2"][1]()
    with zipfile.ZipFile(io.BytesIO(made)) as book:
        assert {info.date_time for info in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        dates = re.findall(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", book.read("docProps/core.xml"))
    assert dates == [b"2014-05-08T00:00:00Z"] * 2


@pytest.mark.parametrize(
    ("units", "name"),
    [
        (("6", "12"), "I"),
        (("L12",), "I"),
        (("1", "2", "5"), "II"),
        (("4", "7"), "III"),
        (("4", "9"), "IV"),
        (("15", "17"), "V"),
        (("1", "4"), "V"),
        (("1", "2", "4", "20"), "VI"),
        (("R14",), "VII"),
    ],
)
def test_objective_classes(units: tuple[str, ...], name: str) -> None:
    assert sheets.objective_class(units) == name
