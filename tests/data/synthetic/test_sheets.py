"""Workbooks of rendered databases, without the clips."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter

import pytest
from openpyxl import load_workbook

from merbench.data.synthetic import sheets
from merbench.data.synthetic.objective import objective_class
from merbench.data.synthetic.script import scenes


def test_casme3_has_its_own_words_for_two_emotions() -> None:
    script = [scene for scene in scenes("full", 0) if scene.part == "casme3"]
    ((_, made),) = sheets.books(script, lambda _: ("12",))["casme3"].items()
    rows = list(load_workbook(io.BytesIO(made()))["label"].iter_rows(values_only=True))
    assert len(rows) == 861
    assert {row[7] for row in rows[1:]} == {"disgust", "surprise", "others", "fear", "anger", "sad", "happy"}
    assert len({row[:3] for row in rows[1:]}) == 860


def test_a_workbook_holds_no_date_of_today() -> None:
    made = sheets.books(scenes("mini", 0), lambda _: ("4", "L14"))["casme2"]["casme2/CASME2-coding-20140508.xlsx"]()
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
    assert objective_class(units) == name


def test_the_two_editions_of_casme2_differ_in_three_clips_and_a_column() -> None:
    made = sheets.tables(scenes("full", 0), lambda _: ("12",))
    (old_head, *old), (new_head, *new) = (made[f"CASME2-coding-{edition}.xlsx"][1] for edition in ("20140508", "20190701"))
    assert [*old_head, "Objective Classes"] == list(new_head)
    assert Counter(row[-1] for row in new) == {1: 25, 2: 15, 3: 99, 4: 26, 5: 20, 6: 1, 7: 69}
    changed = {
        (row[0], row[1], row[-1], other[-2]) for row, other in zip(old, new, strict=True) if row[:-1] != other[:-2] or row[-1] != other[-2]
    }
    assert changed == {("24", name, "sadness", "surprise") for name in ("EP07_01", "EP07_04f", "EP10_03")}
    assert [row[4] for row in old if row[1] == "EP12_01f" and row[0] == "04"] == ["/"]
    assert [row[4] == row[3] for row in old if row[1] == "EP09_05f" and row[0] == "05"] == [True]


def test_samm_calls_the_rest_other() -> None:
    rows = sheets.tables(scenes("full", 0), lambda _: ("12",))["SAMM_Micro_FACS_Codes_v2.xlsx"][1][14:]
    assert Counter(row[9] for row in rows)["Other"] == 26
    assert Counter(row[10] for row in rows) == {"I": 24, "II": 13, "III": 20, "IV": 8, "V": 3, "VI": 7, "VII": 84}
