"""The three layouts: what is read of a copy, and every way in which one can be wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from merbench.data import load
from merbench.data.manifest import DATABASES
from merbench.data.sources import samm
from merbench.errors import UserError
from merbench.sample import Clip
from tests.conftest import Rendered
from tests.data.made_sheets import Cell, xlsx

SHEETS = {"casme2": "CASME2-coding-20140508.xlsx", "samm": "SAMM_Micro_FACS_Codes_v2.xlsx"}


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
    found = samm.read(rendered.root / "samm", rendered.clips("samm"))
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
    return copies("casme2")


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


def test_no_sheet_two_sheets_and_a_sheet_without_header(rendered: Rendered, casme2: Path) -> None:
    sheet = casme2 / SHEETS["casme2"]
    (casme2 / f"~${sheet.name}").touch()  # of a sheet that is open
    load.read("casme2", casme2, rendered.clips("casme2"))
    shutil.copy(sheet, casme2 / "CASME2-copy.xlsx")
    assert "2 annotation sheets: CASME2-coding-20140508.xlsx, CASME2-copy.xlsx" in refusal(rendered, casme2).what
    (casme2 / "CASME2-copy.xlsx").unlink()
    rewritten(sheet, lambda rows: rows.pop(0))
    assert "no cell says 'Subject'" in refusal(rendered, casme2).what
    sheet.unlink()
    assert "CASME2*.xlsx is missing" in refusal(rendered, casme2).what


def row_number(rows: list[list[Cell]], name: str) -> int:
    return next(index for index, row in enumerate(rows) if name in row)


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("ApexFrame", "/", "'/' in column ApexFrame is no frame number"),
        ("OnsetFrame", None, "in column OnsetFrame is no frame number"),
        ("OnsetFrame", 99999, "not in order"),
        ("OffsetFrame", 1, "not in order"),
        ("Filename", "EP99_99", "clip sub06 EP02_31 has no row"),
        ("Subject", 5, "clip sub06 EP02_31 has no row"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(rendered: Rendered, casme2: Path, column: str, cell: Cell, told: str) -> None:
    places = []

    def change(rows: list[list[Cell]]) -> None:
        place = row_number(rows, "EP02_31")
        rows[place][rows[0].index(column)] = cell
        places.append(place + 1)

    rewritten(casme2 / SHEETS["casme2"], change)
    error = refusal(rendered, casme2)
    assert told in error.what
    assert error.where.endswith(SHEETS["casme2"] if "no row" in told else f"{SHEETS['casme2']}, row {places[0]}")


def test_an_apex_at_the_onset_has_no_motion_and_is_refused(rendered: Rendered, casme2: Path) -> None:
    def change(rows: list[list[Cell]]) -> None:
        row = rows[row_number(rows, "EP02_31")]
        row[rows[0].index("ApexFrame")] = row[rows[0].index("OnsetFrame")]

    rewritten(casme2 / SHEETS["casme2"], change)
    assert "not in order" in refusal(rendered, casme2).what


@pytest.mark.parametrize("which", ["onset", "apex"])
def test_a_lost_frame_is_named(rendered: Rendered, casme2: Path, which: str) -> None:
    clip = load.read("casme2", casme2, rendered.clips("casme2"))[1]
    number = {"onset": clip.clip.onset, "apex": clip.clip.apex}[which]
    (clip.onset.parent / f"img{number}.jpg").unlink()
    error = refusal(rendered, casme2)
    assert f"the {which} frame {number} of casme2/sub02/EP09_01 is missing" in error.what
    assert error.where == str(clip.onset.parent)


def test_every_clip_that_cannot_be_used_is_named_in_one_message(rendered: Rendered, casme2: Path) -> None:
    shutil.rmtree(casme2 / "CASME2_RAW_selected/sub02/EP09_01")
    next((casme2 / "CASME2_RAW_selected/sub06/EP16_05").glob("*.jpg")).rename(casme2 / "away.jpg")
    for path in (casme2 / "CASME2_RAW_selected/sub06/EP16_05").iterdir():
        path.unlink()
    rewritten(casme2 / SHEETS["casme2"], lambda rows: rows.pop(row_number(rows, "EP02_31")))
    error = refusal(rendered, casme2)
    assert error.what.startswith("3 of 4 clips cannot be used:")
    assert "the folder of a clip is not there" in error.what
    assert "sub02/EP09_01" in error.what
    assert "clip sub06 EP02_31 has no row" in error.what
    assert "holds no frame" in error.what
    assert "sub06/EP16_05" in error.what
    assert error.where == str(casme2)


def test_a_clip_of_smic_without_folder_or_with_two(rendered: Rendered, copies: Callable[[str], Path]) -> None:
    root = copies("smic")
    micro = root / "SMIC_all_raw/HS/s4/micro"
    shutil.copytree(micro / "negative/s4_ne_01", micro / "surprise/s4_ne_01")
    shutil.rmtree(micro / "negative/s4_ne_09")
    error = refusal(rendered, root)
    assert error.what.startswith("2 of 4 clips cannot be used:")
    assert "smic/s04/s04_ne_01 has 2 folders: negative, surprise" in error.what
    assert "smic/s04/s04_ne_09 has no folder" in error.what
