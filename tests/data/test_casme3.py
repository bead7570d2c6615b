"""Macro-expressions of CAS(ME)^3: what is read of sheet and folders, every way in which a copy can be wrong, and how they are made ready."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from openpyxl import load_workbook

from merbench.data import flow, macro, manifest, places, store
from merbench.data.sources import casme3
from merbench.data.synthetic.script import scenes
from merbench.errors import UserError
from merbench.sample import EMOTIONS
from merbench.settings import variable
from tests.conftest import FEW_MACRO, Cli
from tests.data.made_sheets import xls
from tests.data.test_prepare import difference

SHEET = "CAS(ME)3_part_A_v2.xlsx"
FRAMES = "Part_A_MaE_clip/frame"
Cell = str | int | None


@pytest.fixture
def copied(rendered_macro: Path, tmp_path: Path) -> Path:
    """A copy of the database that may be damaged, as its owners would deliver it."""
    root = Path(shutil.copytree(rendered_macro / "casme3", tmp_path / "copy"))
    (root / "synthetic.json").unlink()
    return root


def edit(root: Path, change: Callable[[list[Cell]], list[Cell] | None]) -> None:
    """Rewrite the sheet's rows below its header; None takes a row out."""
    book = load_workbook(root / SHEET)
    sheet = book.active
    assert sheet is not None
    rows = [list(cells) for cells in sheet.iter_rows(values_only=True)]
    sheet.delete_rows(1, sheet.max_row)
    for row in [rows[0], *(changed for row in rows[1:] if (changed := change(row)) is not None)]:
        sheet.append(row)
    book.save(root / SHEET)


def cell(column: int, value: Cell, of: str = "m_741") -> Callable[[list[Cell]], list[Cell]]:
    """Change one cell of one macro clip: Subject, Filename, Expression type, Onset, Apex, Offset, AU, Objective class, emotion."""

    def change(row: list[Cell]) -> list[Cell]:
        if f"{row[1]}_{row[3]}" == of and row[2] == "Macro-expression":
            row[column] = value
        return row

    return change


def refusal(root: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        casme3.macro(root)
    assert caught.value.where
    assert caught.value.remedy
    return caught.value


def test_every_macro_row_is_read_and_no_micro_row(rendered_macro: Path) -> None:
    expected = {
        scene.clip.key.replace("casme3/", "casme3-macro/"): scene
        for scene in scenes("mini", 0)
        if scene.part == "macro" and scene.clip.key in FEW_MACRO
    }
    found = casme3.macro(rendered_macro / "casme3")
    assert len(found) == len(expected) == 4
    assert {each.clip.key for each in found} == set(expected)
    labels = casme3.seven(tuple(each.clip for each in found)).labels
    for each in found:
        scene = expected[each.clip.key]
        assert (each.clip.onset, each.clip.apex, each.clip.offset) == (scene.onset, scene.apex, scene.offset)
        assert (
            each.onset == rendered_macro / "casme3" / FRAMES / f"{each.clip.subject.split('/')[1]}_{each.clip.name}" / f"{scene.onset}.jpg"
        )
        assert (each.apex.name, each.sequence[-1].name) == (f"{scene.apex}.jpg", f"{scene.offset}.jpg")
        assert EMOTIONS[labels[each.clip.key]] == scene.emotion
        assert each.clip.database == "casme3-macro"
        assert each.clip.flags == ()


def test_a_macro_clip_is_of_the_person_of_the_micro_clips(rendered_macro: Path) -> None:
    people = {manifest.person_of(each.clip.subject) for each in casme3.macro(rendered_macro / "casme3")}
    assert people == {"casme3/spNO.11", "casme3/spNO.18"}


@pytest.mark.parametrize("spelling", ["spNo.11", "SPNO.11", "spNO.011", "spNO 11", " spno.11 "])
def test_a_person_has_one_name_however_the_sheet_spells_it(copied: Path, spelling: str) -> None:
    """Under a second spelling a held-out person's clips would be learnt from."""
    before = [each.clip.key for each in casme3.macro(copied)]
    edit(copied, cell(0, spelling))
    assert [each.clip.key for each in casme3.macro(copied)] == before


def test_case_of_folders_and_videos_does_not_matter(copied: Path) -> None:
    before = [each.clip for each in casme3.macro(copied)]
    for folder in sorted((copied / FRAMES).iterdir()):
        folder.rename(folder.with_name(folder.name.replace("spNO", "spNo").upper()))
    edit(copied, cell(1, "M"))
    edit(copied, cell(2, "macro-expression", of="M_741"))
    assert [each.clip for each in casme3.macro(copied)] == before


def test_several_expressions_of_one_video_are_several_clips(copied: Path) -> None:
    edit(copied, cell(1, "d"))  # m_741 is now d_741, beside d_497
    (copied / FRAMES / "spNO.11_m_741").rename(copied / FRAMES / "spNO.11_d_741")
    assert {"casme3-macro/spNO.11/d_741", "casme3-macro/spNO.11/d_497"} <= {each.clip.key for each in casme3.macro(copied)}


def test_an_apex_that_is_the_onset_is_the_middle_frame_and_told(copied: Path) -> None:
    edit(copied, cell(4, 741))
    (found,) = (each.clip for each in casme3.macro(copied) if each.clip.name == "m_741")
    assert (found.onset, found.apex, found.offset) == (741, 766, 792)
    assert found.flags == ("apex: the onset in the sheet", "apex: middle frame")


def lose(root: Path, clip: str, first: int, last: int) -> None:
    for path in (root / FRAMES / clip).iterdir():
        if first <= int(path.stem) <= last:
            path.unlink()


def test_where_the_camera_dropped_a_frame_the_nearest_is_taken_and_told(copied: Path) -> None:
    assert [path.stem for path in sorted((copied / FRAMES / "spNO.18_k_277").iterdir())][:3] == ["277", "284", "290"]
    lose(copied, "spNO.18_k_277", 277, 277)
    (found,) = (each for each in casme3.macro(copied) if each.clip.name == "k_277")
    assert (found.clip.key, found.clip.onset, found.clip.apex) == ("casme3-macro/spNO.18/k_277", 284, 294)
    assert found.onset.name == "284.jpg"
    assert "onset: nearest frame for a missing one" in found.clip.flags
    lose(copied, "spNO.18_k_277", 284, 284)
    assert "the onset frame 277 of casme3-macro/spNO.18/k_277 is missing" in refusal(copied).what, "13 frames are more than were dropped"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cell(0, "sub11"), "'sub11' is no subject: they are called spNO.1"),
        (cell(3, "/"), "casme3-macro/spNO.11/m_/ cannot be used: the sheet gives no onset"),
        (cell(3, "741-792"), "'741-792' is no frame number"),
        (cell(4, "=C3+10"), "is no frame number"),
        (cell(5, 0), "casme3-macro/spNO.11/m_741 cannot be used: onset 741 is not before offset 0"),
        (cell(8, "joy"), "'joy' is no emotion"),
        (cell(8, None), "'' is no emotion"),
        (cell(1, "b"), "the folder of casme3-macro/spNO.11/b_741 is not there"),
    ],
)
def test_a_wrong_cell_is_named(copied: Path, change: Callable[[list[Cell]], list[Cell]], message: str) -> None:
    edit(copied, change)
    found = refusal(copied)
    assert message in found.what
    assert re.search(r"xlsx, row [0-9]+$", found.where) or found.where == str(copied / FRAMES)


@pytest.mark.parametrize("apex", [0, 740, 793, None, "/"])
def test_an_apex_that_cannot_be_is_the_middle_frame_and_told(copied: Path, apex: Cell) -> None:
    edit(copied, cell(4, apex))
    (found,) = (each.clip for each in casme3.macro(copied) if each.clip.name == "m_741")
    assert (found.onset, found.apex, found.offset) == (741, 766, 792)
    told = () if apex in (None, "/") else ("apex: not between onset and offset in the sheet",)
    assert found.flags == (*told, "apex: middle frame")


def test_all_clips_that_cannot_be_used_are_told_at_once(copied: Path) -> None:
    edit(copied, cell(8, "joy"))
    shutil.rmtree(copied / FRAMES / "spNO.18_l_132")
    lose(copied, "spNO.18_k_277", 277, 289)
    found = refusal(copied)
    assert "3 of 4 clips cannot be used" in found.what
    for part in (
        "'joy'",
        "the folder of casme3-macro/spNO.18/l_132 is not there",
        "the onset frame 277 of casme3-macro/spNO.18/k_277 is missing",
    ):
        assert part in found.what


def test_a_doubled_row_is_named(copied: Path) -> None:
    edit(copied, cell(1, "m", of="d_497"))
    edit(copied, cell(3, 741, of="m_497"))
    found = refusal(copied)
    assert "casme3-macro/spNO.11/m_741 cannot be used: it stands there twice" in found.what
    assert len(set(re.findall("row [0-9]+", found.what))) == 2


def test_a_copy_without_what_is_needed(copied: Path, tmp_path: Path) -> None:
    assert "a database's folder is not there" in refusal(tmp_path / "nowhere").what
    (copied / SHEET).rename(copied / "CAS(ME)3_part_A_v2.xls")
    assert len(casme3.macro(copied)) == 4, "what a sheet is, its content says"
    sheet = (copied / "CAS(ME)3_part_A_v2.xls").read_bytes()
    (copied / "CAS(ME)3_part_A_v2.xls").unlink()
    found = refusal(copied)
    assert "no annotation sheet is there: none has the columns Subject, Filename, Onset" in found.what
    assert "CAS(ME)3_part_A_v2.xls" in found.remedy
    (copied / SHEET).write_bytes(sheet)
    shutil.rmtree(copied / "Part_A_MaE_clip")
    micro = copied / "Part_A_ME_clip/frame/spNO.11_a_1"
    micro.mkdir(parents=True)
    assert "no folder spNO.1_a_355 or spNO.1/a/color of CAS(ME)^3 part A in it" in refusal(copied).what
    (micro / "1.jpg").touch()
    found = refusal(copied)
    assert "4 of 4 clips cannot be used" in found.what, "micro-expressions are not taken for them"


def test_the_sheet_of_excel_97_is_read(copied: Path) -> None:
    """The owners hand out ``CAS(ME)3_part_A_v2.xls``."""
    before = casme3.macro(copied)
    rows = [list(cells) for cells in load_workbook(copied / SHEET).worksheets[0].iter_rows(values_only=True)]
    (copied / SHEET).unlink()
    (copied / "CAS(ME)3_part_A_v2.xls").write_bytes(xls(rows))
    assert casme3.macro(copied) == before


def test_a_sheet_without_macro_rows(copied: Path) -> None:
    edit(copied, lambda row: None if row[2] == "Macro-expression" else row)
    assert "no macro-expression in the column Expression type" in refusal(copied).what


# made ready


def test_they_are_prepared_apart_from_what_is_judged(rendered_macro: Path, bare: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line, then from the store alone; a set to pre-train on is nobody's first choice to be judged on."""
    assert cli("data", "set", "synthetic", str(rendered_macro)).code == 2, "it holds nothing to be judged on"
    monkeypatch.setenv(variable("synthetic"), str(rendered_macro))
    monkeypatch.setattr(flow, "tvl1", difference)
    found = cli("prepare", "macro", "--workers", "1")
    assert found.code == 0, found.err
    assert found.out.startswith("casme3-macro: 4 clips: prepared/macro/synthetic/casme3-macro-seven-emotions-")
    folder = macro.ready("synthetic")
    assert str(folder) in found.out
    store.check_unchanged([folder])
    prepared = store.load(folder)
    assert (prepared.classes, prepared.units, prepared.source) == (EMOTIONS, "pixels", "synthetic")
    assert Counter(prepared.labels.tolist()) == {0: 2, 1: 1, 5: 1}
    assert np.abs(prepared.arrays["flow"].astype(np.float32)).max(axis=(1, 2, 3)).min() > 10, "in each of them something changes"
    monkeypatch.delenv(variable("synthetic"))
    assert macro.ready("synthetic") == folder, "a machine without frames finds them in the store"
    assert places.set_up() is None
    assert places.scheme_for("synthetic") == "megc3"


def test_a_source_without_macro_clips_is_refused_with_the_reason(bare: Path, rendered_macro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="published-flow has no macro-expression clips"):
        macro.ready("published-flow")
    with pytest.raises(UserError, match="casme3 has no folder yet") as caught:
        macro.ready("frames")
    assert "merbench data set casme3 PATH" in caught.value.remedy
    with pytest.raises(UserError, match="no rendered macro-expression clips") as caught:
        macro.ready("synthetic")
    assert caught.value.remedy == "merbench synth synthetic --size mini --on macro"
    monkeypatch.setenv(variable("casme3"), str(rendered_macro / "casme3"))
    with pytest.raises(UserError, match="this casme3 is rendered, not recorded"):
        macro.ready("frames")


def test_a_recorded_copy_is_remembered_and_shown(copied: Path, bare: Path, rendered_macro: Path, cli: Cli) -> None:
    found = cli("data", "set", "casme3", str(copied))
    assert found.code == 0, found.err
    assert "4 macro-expression clips to pre-train on" in found.out
    assert "next: merbench prepare macro" in found.out
    assert re.search(rf"casme3: {re.escape(str(copied))}\n.*4 macro-expression clips", cli("datasets").out)
    assert macro.set_up() == "frames"
    refused = cli("data", "set", "casme3", str(rendered_macro / "casme3"))
    assert refused.code == 2
    assert "rendered, not recorded" in refused.err
    assert "leave it out" in cli("prepare", "macro", "--scheme", "megc3").err
