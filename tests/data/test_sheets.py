"""Owners' sheets: what is read of them, in every format, however they are dressed."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merbench.data import cells, copies, sheets, workbooks
from merbench.data.copies import Cells
from merbench.errors import UserError
from tests.data.made_sheets import Cell, Rows, text, xls, xlsx

COLUMNS = ("Subject", "Filename", "OnsetFrame", "Estimated Emotion")
TABLE: Rows = (
    COLUMNS,
    ("01", "EP02_01f", 46, "happiness"),
    ("01", "EP03_02", 131, "others"),
    ("17", "EP01_09", 6, "disgust"),
)
EXPECTED = [tuple(str(cell) for cell in row) for row in TABLE[1:]]
FORMATS: dict[str, Callable[[Rows], bytes]] = {
    "xlsx": xlsx,
    "xls": xls,
    "csv": text,
    "semicolons": lambda rows: text(rows, ";"),
    "tabs in UTF-16": lambda rows: text(rows, "\t", "utf-16"),
    "csv of Chinese Windows": lambda rows: text(rows, code="gb18030"),
}


def plain(rows: Sequence[sheets.Row]) -> list[tuple[str, ...]]:
    return [tuple(row[column] for column in COLUMNS) for row in rows]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


WORD = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters='=\ufeff"'), min_size=1, max_size=8)
NUMBER = st.none() | st.integers(0, 10**6)
BLANK = st.sampled_from(["", " ", "  ", "\xa0", "\u3000", "\t", "\n"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_read_is_what_was_meant(tmp_path: Path, form: str, data: st.DataObject) -> None:
    """Columns in any order and width, others between them, notes and empty rows, numbers as text, ``/`` for none."""
    draw = data.draw
    clips = draw(st.lists(st.tuples(WORD, WORD, NUMBER, NUMBER, WORD), min_size=1, max_size=4))
    names = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "Estimated Emotion")
    order = draw(st.permutations([*range(len(names)), None, None]))
    cases: list[Callable[[str], str]] = [str.strip, str.upper, str.lower, full_width]
    case = draw(st.sampled_from(cases))

    def padded(cell: str) -> str:
        return draw(BLANK) + cell + draw(BLANK)

    def number(meant: int | None) -> Cell:
        if meant is None:
            return draw(st.sampled_from([None, "/", "-", " / ", "n/a", "?", "\uff0f"]))
        as_text = st.sampled_from([str(meant), f"{meant}.0", full_width(str(meant))]).map(padded)
        return draw(st.sampled_from([meant, float(meant)]) | as_text)

    table: list[list[Cell]] = [[draw(st.sampled_from([None, "Subject: below", "Notes", 7])), "x"] for _ in range(draw(st.integers(0, 3)))]
    table.append([None if i is None else padded(case(names[i])) for i in order])
    meant = []
    for clip in clips:
        cells = [*(padded(cell) for cell in clip[:2]), *(number(cell) for cell in clip[2:4]), padded(clip[4])]
        row = [draw(st.sampled_from(["whatever", None, 3])) if i is None else cells[i] for i in order]
        while row and row[-1] is None and draw(st.booleans()):
            row.pop()
        table.append(row)
        meant.append((len(table), clip))
        table += [[None, None]] * draw(st.integers(0, 1))
    found = sheets.read(written(tmp_path / "a", FORMATS[form](table)), names)
    assert [(int(row["row"]), told(row)) for row in found] == meant


def told(row: sheets.Row) -> tuple[object, ...]:
    return row["Subject"], row["Filename"], cells.frame(row["OnsetFrame"]), cells.frame(row["ApexFrame"]), row["Estimated Emotion"]


def full_width(word: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in word)


@pytest.mark.parametrize("form", [xlsx, xls])
def test_the_sheet_with_all_columns_is_read_wherever_it_stands(tmp_path: Path, form: Callable[..., bytes]) -> None:
    """CAS(ME)^3's workbooks have lists of wrong rows and eye blinks beside the labels."""
    lists: Rows = [("Subject", "Filename"), ("01", "EP02_01f")]
    labels: Rows = [("the labels", None, None, None), *TABLE]
    assert plain(sheets.read(written(tmp_path / "a", form(lists, [], labels, merged="A1:D1")), COLUMNS)) == EXPECTED


def test_a_header_with_a_mark_and_broken_lines(tmp_path: Path) -> None:
    rows = [("\ufeffSubject", "File\nname", "Onset\r\nFrame", "\u200bEstimated  Emotion"), *TABLE[1:]]
    assert plain(sheets.read(written(tmp_path / "a.xlsx", xlsx(rows)), COLUMNS)) == EXPECTED


def test_other_names_of_columns_and_columns_that_may_lack(tmp_path: Path) -> None:
    """4DME writes ``sub_ID`` and ``fold_name``."""
    path = written(tmp_path / "a.xlsx", xlsx([("sub_ID", "fold_name", "Onset"), ("s1", "a", 3)]))
    aliases = {"Subject": ("sub", "sub_ID"), "Filename": ("fold_name",), "OnsetFrame": ("OnsetF", "Onset")}
    found = sheets.read(path, COLUMNS[:3], ("ApexFrame",), aliases)
    assert found == [{"Subject": "s1", "Filename": "a", "OnsetFrame": "3", "ApexFrame": "", "row": "2"}]
    with pytest.raises(UserError, match="no cell says 'Subject'"):
        sheets.read(path, COLUMNS[:3])


def test_a_columns_own_name_counts_before_its_others(tmp_path: Path) -> None:
    header: list[Cell] = ["ApexF2", "Subject", "ApexF1"]
    row: list[Cell] = [9, "1", 8]
    path = written(tmp_path / "a.xlsx", xlsx([header, row]))
    assert sheets.read(path, ("Apex",), aliases={"Apex": ("ApexF1", "ApexF2")})[0]["Apex"] == "8"
    path.write_bytes(xlsx([[*header, "apex"], [*row, 7]]))
    assert sheets.read(path, ("Apex",), aliases={"Apex": ("ApexF1", "ApexF2")})[0]["Apex"] == "7"
    path.write_bytes(xlsx([[*header, "APEX F1"], [*row, 7]]))
    with pytest.raises(UserError, match="the column Apex stands in an annotation sheet twice"):
        sheets.read(path, ("Subject",), ("Apex",), aliases={"Apex": ("ApexF1", "ApexF2")})


@pytest.mark.parametrize("form", [xlsx, xls])
@pytest.mark.parametrize("cell", [True, dt.datetime(2014, 5, 8), 46.5, -3, "1,234", "1 234", "#N/A", "4.6E+01"])
def test_a_cell_that_is_no_number_is_named_with_its_row(tmp_path: Path, form: Callable[..., bytes], cell: Cell) -> None:
    path = written(tmp_path / "a", form([("notes",), ("Subject", "Apex"), ("1", 7), ("1", cell)]))
    row = sheets.read(path, ("Subject", "Apex"))[1]
    with pytest.raises(ValueError, match=r"'.+' is no frame number"):
        cells.frame(row["Apex"])
    told = copies.entry("casme2", "sub01", "x", Cells("1", row["Apex"], "9", ""), None, f"{path}, row {row['row']}")
    assert "is no frame number" in told.wrong
    assert told.where == f"{path}, row 4"


def test_a_formula_that_was_never_computed_is_no_empty_cell(tmp_path: Path) -> None:
    """It read as an apex that the owners do not give."""
    path = written(tmp_path / "a.xlsx", xlsx([("Subject", "Apex"), ("1", "=A1+10"), ("1", 7), ("1", None)]))
    rows = sheets.read(path, ("Subject", "Apex"))
    assert [row["Apex"] for row in rows] == ["=A1+10", "7", ""]
    told = copies.entry("casme2", "sub01", "x", Cells("1", rows[0]["Apex"], "9", ""), None, "")
    assert told.wrong == "apex: '=A1+10' (a formula that was never computed) is no frame number"


# sheets found in a folder


def test_a_sheet_is_known_by_its_columns(tmp_path: Path) -> None:
    """People rename it, keep it with the crops, and leave other tables and open files beside it."""
    (tmp_path / "SAMM_CROP" / "xlsx" / "deep").mkdir(parents=True)
    good = TABLE
    for name in ("~$codes.xlsx", "._codes.xlsx", ".~lock.codes.xlsx", "SAMM_CROP/xlsx/deep/codes.xlsx"):
        written(tmp_path / name, xlsx(good) if "deep" in name else b"not a workbook")
    written(tmp_path / "counts.csv", b"a,b\n1,2\n")
    written(tmp_path / "codes (1).txt", xlsx(good))
    here = written(tmp_path / "SAMM_CROP" / "xlsx" / "my.CSV", text(good))
    above = written(tmp_path / "SAMM_CROP" / "zz.XLS", xls(good))
    written(tmp_path / "damaged.xlsx", xlsx(good)[:500])
    found = sheets.candidates(tmp_path, COLUMNS)
    assert [path for path, _ in found] == [above, here]
    assert all(plain(rows) == EXPECTED for _, rows in found)


def test_what_is_wrong_with_a_sheet_is_told_where_there_is_no_other(tmp_path: Path) -> None:
    assert sheets.candidates(tmp_path, COLUMNS) == []
    assert sheets.candidates(tmp_path / "nowhere", COLUMNS) == []
    written(tmp_path / "openface.csv", b"a,b\n1,2\n")
    assert sheets.candidates(tmp_path, COLUMNS, named="CASME2*") == []
    damaged = written(tmp_path / "casme2-coding.xlsx", xlsx(TABLE)[:2000])
    with pytest.raises(UserError, match="cannot be read") as caught:
        sheets.candidates(tmp_path, COLUMNS, named="CASME2*")
    assert caught.value.where == str(damaged)
    written(damaged, xlsx([("Subject", "Filename"), ("1", "a")]))
    with pytest.raises(UserError, match="lacks the columns OnsetFrame, Estimated Emotion"):
        sheets.candidates(tmp_path, COLUMNS, named="CASME2*")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    outside, root = written(tmp_path / "private.xlsx", xlsx(TABLE)), tmp_path / "root"
    root.mkdir()
    (root / "CASME2.xlsx").symlink_to(outside)
    (root / "round").symlink_to(root)
    (root / "away").symlink_to(tmp_path)
    (root / "gone.xlsx").symlink_to(root / "nothing")
    with pytest.raises(UserError, match="a link that leads out"):
        sheets.candidates(root, COLUMNS, named="CASME2*")
    inside = written(root / "real.xlsx", xlsx(TABLE))
    assert [path for path, _ in sheets.candidates(root, COLUMNS)] == [inside]


def test_folders_of_frames_are_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    read: list[Path] = []
    scan = os.scandir

    def scandir(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        listed.append(folder)
        return scan(folder)

    def cells(path: Path) -> list[workbooks.Cells]:
        read.append(path)
        return []

    monkeypatch.setattr(os, "scandir", scandir)
    frames = tmp_path / "CASME2-RAW" / "sub01" / "EP02_01f"
    frames.mkdir(parents=True)
    written(frames / "codes.xlsx", xlsx(TABLE))
    assert sheets.candidates(tmp_path, COLUMNS) == []
    assert listed == [tmp_path, tmp_path / "CASME2-RAW", tmp_path / "CASME2-RAW" / "sub01"]
    for number in range(sheets.FILES + 5):
        written(tmp_path / f"{number:03}.csv", b"a,b\n")
    monkeypatch.setattr(workbooks, "read", cells)
    assert sheets.candidates(tmp_path, COLUMNS, named="codes") == []
    assert len(read) == sheets.FILES
