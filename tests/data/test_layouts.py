"""The three layouts: what is read of a copy, and every way in which one can be wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from merbench.data import frames, load, places
from merbench.data.manifest import DATABASES
from merbench.errors import UserError
from merbench.sample import Clip
from tests.conftest import Rendered
from tests.data.made_sheets import Cell, xlsx

SHEETS = {"casme2": "CASME2-coding-20140508.xlsx", "samm": "SAMM_Micro_FACS_Codes_v2.xlsx"}
OTHER_SHEET = "CASME2-coding-20190701.xlsx"


def scene_numbers(rendered: Rendered) -> dict[str, Clip]:
    from merbench.data.synthetic.script import scenes

    return {scene.clip.key: scene.clip for scene in scenes("mini", 0)}


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_is_read_from_its_own_layout(rendered: Rendered, database: str) -> None:
    played = scene_numbers(rendered)
    found = load.read(database, rendered.root / database, rendered.clips(database))
    assert [each.clip.key for each in found] == [clip.key for clip in rendered.clips(database)]
    for each in found:
        scene, clip = played[each.clip.key], each.clip
        assert (clip.onset, clip.offset) == (scene.onset, scene.offset)
        assert each.times[0] == 0
        assert all(path.is_file() for path in each.files)
        assert int(re.sub(r"^(006_|007_|image|img)", "", each.onset.stem)) == clip.onset
        if database == "smic":
            assert scene.onset is not None
            assert scene.offset is not None
            assert clip.apex == (scene.onset + scene.offset) // 2
            assert clip.flags == ("apex: middle frame",)
        else:
            assert clip.apex == scene.apex
            assert (clip.emotion or "").lower() == scene.emotion
            assert clip.flags == ()


def test_samm_pads_some_clips_to_four_digits_and_some_to_five(rendered: Rendered) -> None:
    found = load.read("samm", rendered.root / "samm", rendered.clips("samm"))
    digits = {each.clip.name: len(each.onset.stem.split("_")[-1]) for each in found}
    assert digits == {"006_1_2": 4, "006_2_4": 5, "007_5_3": 5, "007_7_1": 4}


@pytest.fixture
def copies(rendered: Rendered, tmp_path: Path) -> Callable[[str], Path]:
    """Copy a database to damage it."""

    def copy(database: str) -> Path:
        return Path(shutil.copytree(rendered.root / database, tmp_path / database))

    return copy


@pytest.fixture
def casme2(copies: Callable[[str], Path]) -> Path:
    """With one sheet alone, that of 2014."""
    root = copies("casme2")
    (root / OTHER_SHEET).unlink()
    return root


def refusal(rendered: Rendered, root: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load.read(root.name, root, rendered.clips(root.name))
    assert caught.value.where
    assert caught.value.remedy
    return caught.value


def rewritten(path: Path, change: Callable[[list[list[Cell]]], object]) -> None:
    """Change the rows of a sheet."""
    sheet = load_workbook(path).worksheets[0]
    rows: list[list[Cell]] = [
        [str(cell) if cell is not None and not isinstance(cell, int) else cell for cell in row] for row in sheet.iter_rows(values_only=True)
    ]
    change(rows)
    path.write_bytes(xlsx(rows))


@pytest.mark.parametrize("nested", ["CASME2_RAW_selected/CASME2_RAW_selected", "CASME2-RAW", "."])
def test_other_nestings_of_casme2(rendered: Rendered, casme2: Path, nested: str) -> None:
    (casme2 / "CASME2_RAW_selected").rename(casme2 / "away")
    (casme2 / nested).parent.mkdir(exist_ok=True)
    if nested == ".":
        for folder in (casme2 / "away").iterdir():
            folder.rename(casme2 / folder.name)
    else:
        (casme2 / "away").rename(casme2 / nested)
    found = load.read("casme2", casme2, rendered.clips("casme2"))
    assert found[0].onset.parent == casme2 / nested / "sub02" / "EP01_11f"


def test_a_folder_that_is_absent_empty_or_something_else(rendered: Rendered, tmp_path: Path) -> None:
    for database in DATABASES:
        root = tmp_path / database
        assert "is not there" in refusal(rendered, root).what
        root.mkdir()
        assert "is empty" in refusal(rendered, root).what
        (root / "holiday").mkdir()
        assert "holds holiday" in refusal(rendered, root).what


def test_a_sheet_with_columns_missing(rendered: Rendered, casme2: Path) -> None:
    def change(rows: list[list[Cell]]) -> None:
        rows[0] = [{"ApexFrame": "Peak", "Subject": "Subject", "OffsetFrame": None}.get(str(cell), cell) for cell in rows[0]]

    rewritten(casme2 / SHEETS["casme2"], change)
    error = refusal(rendered, casme2)
    assert "lacks the columns ApexFrame, OffsetFrame; it has Subject, Filename, OnsetFrame, Peak" in error.what
    assert error.where.endswith(SHEETS["casme2"] + ", row 1")


def test_no_sheet_and_a_sheet_without_header(rendered: Rendered, casme2: Path) -> None:
    sheet = casme2 / SHEETS["casme2"]
    (casme2 / f"~${sheet.name}").touch()  # of a sheet that is open
    load.read("casme2", casme2, rendered.clips("casme2"))
    rewritten(sheet, lambda rows: rows.pop(0))
    assert "no cell says 'Subject'" in refusal(rendered, casme2).what
    sheet.unlink()
    error = refusal(rendered, casme2)
    assert "no annotation sheet is there: none has the columns Subject, Filename, OnsetFrame" in error.what
    assert SHEETS["casme2"] in error.remedy


def test_several_sheets_are_several_readings_of_one_copy(rendered: Rendered, copies: Callable[[str], Path]) -> None:
    """The sheet of 2014 goes first, whatever the files are called; a file that is no sheet is passed over."""
    root = copies("casme2")
    (root / SHEETS["casme2"]).rename(root / "z.xlsx")
    (root / OTHER_SHEET).rename(root / "a.xlsx")
    (root / "notes.xlsx").write_bytes(xlsx([["Subject", "Remarks"], ["01", "wore glasses"]]))
    (root / "broken.xlsx").write_bytes(b"PK no workbook")
    surveyed = places.survey("casme2", root)
    assert [copy.sheet and copy.sheet.name for copy in surveyed] == ["z.xlsx", "a.xlsx"]
    assert [[entry.clip.key for entry in copy.entries] for copy in surveyed] == [[clip.key for clip in rendered.clips("casme2")]] * 2


def row_number(rows: list[list[Cell]], name: str) -> int:
    return next(index for index, row in enumerate(rows) if name in row)


def spoilt(root: Path, column: str, cell: Cell | Callable[[dict[str, Cell]], Cell]) -> int:
    """Change a cell of sub06/EP02_31; returns the number of its row."""
    places = []

    def change(rows: list[list[Cell]]) -> None:
        place = row_number(rows, "EP02_31")
        here = {str(name): value for name, value in zip(rows[0], rows[place], strict=False)}
        rows[place][rows[0].index(column)] = cell(here) if callable(cell) else cell
        places.append(place + 1)

    rewritten(root / SHEETS["casme2"], change)
    return places[0]


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("ApexFrame", "twenty", "'twenty' is no frame number"),
        ("ApexFrame", "20.5", "'20.5' is no frame number"),
        ("OnsetFrame", None, "the sheet gives no onset"),
        ("OnsetFrame", "/", "the sheet gives no onset"),
        ("OnsetFrame", 99999, "onset 99999 is not before offset"),
        ("OffsetFrame", 1, "is not before offset 1"),
        ("Filename", "EP99_99", "clip casme2/sub06/EP02_31 has no row"),
        ("Subject", 5, "clip casme2/sub06/EP02_31 has no row"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(rendered: Rendered, casme2: Path, column: str, cell: Cell, told: str) -> None:
    row = spoilt(casme2, column, cell)
    error = refusal(rendered, casme2)
    assert told in error.what
    assert "casme2/sub06/EP02_31" in error.what
    assert error.where.endswith(SHEETS["casme2"] if "no row" in told else f"{SHEETS['casme2']}, row {row}")


@pytest.mark.parametrize(
    ("cell", "flags"),
    [
        ("/", ("apex: middle frame",)),
        (None, ("apex: middle frame",)),
        ("-", ("apex: middle frame",)),
        (lambda row: row["OnsetFrame"], ("apex: the onset in the sheet", "apex: middle frame")),
        (1, ("apex: not between onset and offset in the sheet", "apex: middle frame")),
        (0, ("apex: not between onset and offset in the sheet", "apex: middle frame")),
        (99999, ("apex: not between onset and offset in the sheet", "apex: middle frame")),
    ],
)
def test_an_apex_that_cannot_be_is_replaced_and_told(
    rendered: Rendered, casme2: Path, cell: Cell | Callable[[dict[str, Cell]], Cell], flags: tuple[str, ...]
) -> None:
    """An apex at the onset gave flow of nothing but zeros; a fall back on the middle frame that is not told would be a made-up number."""
    before = load.read("casme2", casme2, rendered.clips("casme2"))
    spoilt(casme2, "ApexFrame", cell)
    found = load.read("casme2", casme2, rendered.clips("casme2"))
    (place,) = (index for index, each in enumerate(found) if each.clip.name == "EP02_31")
    clip = found[place].clip
    assert clip.flags == flags
    assert (clip.onset, clip.offset) == (before[place].clip.onset, before[place].clip.offset)
    assert clip.onset is not None
    assert clip.offset is not None
    assert clip.apex == frames.nearest(frames.numbered(found[place].onset.parent), frames.middle(clip.onset, clip.offset))
    assert int(found[place].apex.stem.removeprefix("img")) == clip.apex
    assert found[:place] + found[place + 1 :] == before[:place] + before[place + 1 :], "nobody else's changes"


def test_an_offset_that_is_not_given_is_the_apex_and_told(rendered: Rendered, casme2: Path) -> None:
    spoilt(casme2, "OffsetFrame", "/")
    (clip,) = (each.clip for each in load.read("casme2", casme2, rendered.clips("casme2")) if each.clip.name == "EP02_31")
    assert clip.offset == clip.apex
    assert clip.flags[0] == "offset: the apex, since the sheet gives none"
    spoilt(casme2, "ApexFrame", "/")
    assert "the sheet gives no offset" in refusal(rendered, casme2).what


@pytest.mark.parametrize("which", ["onset", "apex"])
def test_where_a_frame_was_lost_the_nearest_is_taken_or_the_clip_named(rendered: Rendered, casme2: Path, which: str) -> None:
    clip = load.read("casme2", casme2, rendered.clips("casme2"))[1]
    number = {"onset": clip.clip.onset, "apex": clip.clip.apex}[which]
    assert number is not None
    folder = clip.onset.parent
    lost = folder / f"img{number}.jpg"
    for path in folder.iterdir():
        if path != lost and abs(int(path.stem.removeprefix("img")) - number) <= frames.NEAR:
            path.unlink()
    lost.rename(folder / f"img{number + 3}.jpg")
    found = load.read("casme2", casme2, rendered.clips("casme2"))[1]
    assert {"onset": found.clip.onset, "apex": found.clip.apex}[which] == number + 3
    assert f"{which}: nearest frame for a missing one" in found.clip.flags
    (folder / f"img{number + 3}.jpg").unlink()
    error = refusal(rendered, casme2)
    assert f"the {which} frame {number} of casme2/sub02/EP09_01 is missing" in error.what
    assert error.where == str(folder)


def test_every_clip_that_cannot_be_used_is_named_in_one_message(rendered: Rendered, casme2: Path) -> None:
    shutil.rmtree(casme2 / "CASME2_RAW_selected/sub02/EP09_01")
    for path in (casme2 / "CASME2_RAW_selected/sub06/EP16_05").iterdir():
        path.unlink()
    rewritten(casme2 / SHEETS["casme2"], lambda rows: rows.pop(row_number(rows, "EP02_31")))
    error = refusal(rendered, casme2)
    assert error.what.startswith("3 of 4 clips cannot be used:")
    assert "the folder of casme2/sub02/EP09_01 is not there" in error.what
    assert "clip casme2/sub06/EP02_31 has no row" in error.what
    assert "holds no frame" in error.what
    assert "sub06/EP16_05" in error.what
    assert error.where == str(casme2)


def test_two_rows_of_one_clip_are_both_named(rendered: Rendered, casme2: Path) -> None:
    def again(rows: list[list[Cell]], more: int) -> None:
        row = list(rows[row_number(rows, "EP02_31")])
        row[5] = int(str(row[5])) + more
        rows.append(row)

    rewritten(casme2 / SHEETS["casme2"], lambda rows: again(rows, 0))
    assert len(load.read("casme2", casme2, rendered.clips("casme2"))) == 4, "word for word the same: nothing new"
    rewritten(casme2 / SHEETS["casme2"], lambda rows: again(rows, -1))
    error = refusal(rendered, casme2)
    assert "casme2/sub06/EP02_31 cannot be used: it stands there twice" in error.what
    assert all(f"{SHEETS['casme2']}, row {row}" in error.what for row in (4, 7)), error.what
    others = [clip for clip in rendered.clips("casme2") if clip.name != "EP02_31"]
    assert len(load.read("casme2", casme2, others)) == 3


def test_a_clip_of_smic_without_folder_or_with_two(rendered: Rendered, copies: Callable[[str], Path]) -> None:
    root = copies("smic")
    micro = root / "SMIC_all_raw/HS/s4/micro"
    shutil.copytree(micro / "negative/s4_ne_01", micro / "surprise/s4_ne_01")
    shutil.rmtree(micro / "negative/s4_ne_09")
    error = refusal(rendered, root)
    assert error.what.startswith("2 of 4 clips cannot be used:")
    twice = f"it stands there twice: {micro / 'negative/s4_ne_01'} and {micro / 'surprise/s4_ne_01'}"
    assert f"smic/s04/s04_ne_01 cannot be used: {twice}" in error.what
    assert "clip smic/s04/s04_ne_09 has no folder" in error.what
