"""Copies in the state in which people hold them: each of these was once answered with a wrong number, or not at all."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from merbench.config import Data
from merbench.data import copies, doctor, load, macro, places, schemes, trees
from merbench.errors import UserError
from tests.conftest import Cli
from tests.data.made_sheets import xlsx
from tests.phantom import phantom

Phantoms = Callable[[str], Path]
Given = Callable[..., Path]


@pytest.fixture
def given(phantoms: Phantoms, tmp_path: Path) -> Given:
    """Return a database of a variant as a copy that may be spoilt: other files are links, so that it is written at once."""

    def make(database: str, variant: str = "main", name: str = "") -> Path:
        root = tmp_path / (name or database)
        shutil.copytree(phantoms(variant) / database, root, copy_function=lambda one, two: Path(two).hardlink_to(one))
        return root

    return make


def rewritten(path: Path, change: Callable[[list[list[object]]], object], to: Path | None = None) -> None:
    """Write a sheet with other rows, as a file of its own: the original may be linked."""
    rows: list[list[object]] = [list(row) for row in load_workbook(path).worksheets[0].iter_rows(values_only=True)]
    change(rows)
    if to is None:
        path.unlink()
    (to or path).write_bytes(xlsx(rows))  # type: ignore[arg-type]


# what is rendered, whatever is named


def test_a_rendered_database_deeper_in_the_folder_is_no_recorded_one(
    tmp_path: Path, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder above its mark it ranked as real."""
    root = phantom(tmp_path / "faces", size="mini", parts=("casme2", "macro"), marked=True)
    for place in (root, root / "casme2", root / "casme2/CASME2_RAW_selected"):
        answer = cli("data", "set", "casme2", str(place))
        assert (answer.code, "this casme2 is rendered, not recorded" in answer.err) == (2, True), answer.err
    monkeypatch.setenv("MERBENCH_CASME2", str(root))
    assert "rendered, not recorded" in cli("doctor", "casme2", "--no-read").err
    with pytest.raises(UserError, match="rendered, not recorded"):
        load.ready(Data("casme2", source="frames"), "megc3-mini")
    with pytest.raises(UserError, match="rendered, not recorded"):
        macro.real(root)


# which frames


def test_part_b_of_casme3_is_not_part_a(given: Given) -> None:
    """Its people are numbered from 1 too."""
    root = given("casme3", "nested")
    tree = root / "part_A/data/part_A_split/part_A"
    shutil.copytree(tree / "spNO.1", root / "part_B/part_B/spNo.1") if (tree / "spNO.1").is_dir() else shutil.copytree(
        tree / "spNo.1", root / "part_B/part_B/spNo.1"
    )
    copy = places.survey("casme3", root)[0]
    assert copy.tree == tree
    assert not any("part_B" in str(entry.folder) for entry in copy.entries)


def test_recorded_clips_of_casme3_are_not_mixed_with_cropped_ones(given: Given, phantoms: Phantoms) -> None:
    root = given("casme3")
    crops = root / "a cropped copy/Part_A_ME_clip/frame"
    picture = next((phantoms("cropped") / "samm/SAMM_CROP").glob("*/*/*.jpg"))
    for clip in sorted((root / "Part_A_ME_clip/frame").iterdir())[:5]:
        (crops / clip.name).mkdir(parents=True)
        for frame in clip.iterdir():
            shutil.copy(picture, crops / clip.name / frame.name)
    copy = places.survey("casme3", root)[0]
    assert not copy.crop
    assert not any("a cropped copy" in str(entry.folder) for entry in copy.entries)


@pytest.mark.parametrize("name", ["thumb1.bmp", "IMG_20240101.bmp"])
def test_a_stray_picture_is_no_onset_of_smic(given: Given, name: str) -> None:
    root = given("smic")
    clip = next((root / "SMIC_all_raw/HS/s3/micro").glob("*/s3_ne_01"))
    before = places.survey("smic", root)[0].by_key["smic/s03/s03_ne_01"].clip
    shutil.copy(next(clip.iterdir()), clip / name)
    assert places.survey("smic", root)[0].by_key["smic/s03/s03_ne_01"].clip == before


def test_a_clip_of_smic_that_was_cut_is_told(given: Given) -> None:
    """Onset and offset are the first and the last file: of half a clip, others."""
    root = given("smic")
    clip = next((root / "SMIC_all_raw/HS/s3/micro").glob("*/s3_ne_01"))
    numbers = sorted(clip.iterdir())
    for path in numbers[2:]:
        path.unlink()
    found = doctor.examine("smic", root, read=False)
    assert [line.partition(":")[0] for line in found.unusable] == ["smic/s03/s03_ne_01"]
    assert "clips of SMIC-HS have 11 to 58 frames" in found.unusable[0]
    assert not found.well
    shutil.copy(numbers[0], clip / "image999999.bmp")
    assert "no frame lies between" in doctor.examine("smic", root, read=False).unusable[0]


def test_the_fullest_folder_is_read(given: Given) -> None:
    """A backup of three subjects came first by its name."""
    root = given("casme2")
    for subject in ("sub01", "sub02"):
        shutil.copytree(root / "CASME2_RAW_selected" / subject, root / "Backup" / subject)
    assert places.survey("casme2", root)[0].tree.name == "CASME2_RAW_selected"


# which sheet


def test_two_sheets_of_smic_e_that_disagree_are_refused(given: Given) -> None:
    root = given("smic", "long")
    sheet = next(root.rglob("SMIC-HS-E_annotation*.xlsx"))

    def later(rows: list[list[object]]) -> None:
        for row in rows[1:]:
            row[3] = int(str(row[3])) + 5

    rewritten(sheet, later, sheet.with_name("A.xlsx"))
    with pytest.raises(UserError, match="two annotation sheets say different things of 157 clips"):
        places.survey("smic-e", root)


def test_a_sheet_of_another_database_is_none(given: Given, tmp_path: Path) -> None:
    """All databases in one folder: SAMM was read by CASME II's sheet, with no clip, and found to be well."""
    given("casme2", name="all/casme2")
    given("samm", name="all/samm")
    for database, name in (("samm", "SAMM_Micro_FACS_Codes_v2.xlsx"), ("casme2", "CASME2-coding-20140508.xlsx")):
        found = places.survey(database, tmp_path / "all")
        assert found[0].sheet is not None
        assert found[0].sheet.name == name
        assert all(database in str(copy.sheet) for copy in found)


def test_a_shorter_sheet_beside_the_owners_comes_second(given: Given) -> None:
    root = given("casme2")
    rewritten(root / "CASME2-coding-20140508.xlsx", lambda rows: rows.__delitem__(slice(51, None)), root / "AA_mysubset.xlsx")
    found = places.survey("casme2", root)
    assert [(copy.sheet.name, copy.edition) for copy in found if copy.sheet] == [
        ("CASME2-coding-20140508.xlsx", "2014"),
        ("AA_mysubset.xlsx", "2014"),
        ("CASME2-coding-20190701.xlsx", "2019"),
    ]


def test_a_sheet_that_lies_as_deep_as_its_frames_is_found(given: Given, tmp_path: Path) -> None:
    given("smic", "long", name="a/b/c")
    assert len(places.survey("smic-e", tmp_path / "a")[0].entries) == 157


@pytest.mark.parametrize("written", ["S01", "sub 01", "Subject 1", "1.0", "01", 1])
def test_a_subject_however_it_is_written(given: Given, written: object) -> None:
    root = given("casme2")

    def change(rows: list[list[object]]) -> None:
        for row in rows[1:]:
            row[0] = written if str(row[0]) == "01" else row[0]

    rewritten(root / "CASME2-coding-20140508.xlsx", change)
    copy = places.survey("casme2", root)[0]
    assert (len(copy.entries), copy.strays) == (255, ())


def test_rows_whose_clip_cannot_be_read_are_told(given: Given) -> None:
    """Subjects in cells that were merged: 229 rows were passed over, and all was well."""
    root = given("casme2")
    (root / "CASME2-coding-20190701.xlsx").unlink()

    def merge(rows: list[list[object]]) -> None:
        above = None
        for row in rows[1:]:
            row[0], above = (None if row[0] == above else row[0]), row[0]

    rewritten(root / "CASME2-coding-20140508.xlsx", merge)
    found = doctor.examine("casme2", root, read=False)
    assert (found.found, len(found.unusable), found.well) == (26, 229, False)
    assert "no subject and clip can be read in" in found.unusable[0]
    assert found.fits["megc3"][0].startswith("1")


# what is not there


def test_an_incomplete_copy_of_smic_is_not_well(given: Given, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are its folders: what is gone was not missed."""
    root = given("smic")
    shutil.rmtree(root / "SMIC_all_raw/HS/s20")
    shutil.rmtree(next((root / "SMIC_all_raw/HS/s1/micro").glob("*/s1_ne_01")))
    found = doctor.examine("smic", root, read=False)
    assert "smic/s01/s01_ne_01" in found.missing
    assert len(found.missing) == 164 - found.rows > 1
    assert found.fits["megc3"][0].startswith(f"{len(found.missing)} of 164 clips are not there")
    monkeypatch.setenv("MERBENCH_SMIC", str(root))
    assert cli("doctor", "smic", "--no-read").code == 1


def test_a_scheme_does_not_fit_where_its_clips_cannot_be_prepared(given: Given) -> None:
    root = given("casme2")
    shutil.rmtree(root / "CASME2_RAW_selected/sub17")
    found = doctor.examine("casme2", root, read=False)
    assert len(found.missing) > 30
    assert re.match(r"\d+ of 246 clips cannot be prepared: casme2/sub17/", found.fits["casme2-5"][-1])
    assert all(wrong for wrong in found.fits.values())


def test_the_first_look_of_a_scheme_that_the_sheet_does_not_give_is_refused(given: Given) -> None:
    """There were no clips, and nobody had foreseen that."""
    root = given("casme2")
    (root / "CASME2-coding-20190701.xlsx").unlink()
    copy = places.survey("casme2", root)
    with pytest.raises(UserError, match="has no objective classes"):
        schemes.of("objective-5-mini", "casme2", copy)
    with pytest.raises(UserError, match="the sheet is that of 2014, not of 2019"):
        schemes.of("casme2-5-2019-mini", "casme2", copy)
    assert schemes.of("casme2-5-mini", "casme2", copy)[0].clips


def test_a_copy_larger_than_the_search_is_found(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole CAS(ME)^3 has more folders of clips than a home directory has folders; they are none to look into."""
    monkeypatch.setattr(trees, "MOST", 60)
    assert len(places.survey("casme3", given("casme3"))[0].entries) == 860


def test_macro_expressions_without_frames_do_not_keep_the_others_from_being_set(given: Given, here: Path, cli: Cli) -> None:
    root = given("casme3")
    shutil.rmtree(root / "Part_A_MaE_clip")
    answer = cli("data", "set", "casme3", str(root))
    assert (answer.code, "860 of 860 clips" in answer.out) == (0, True), answer.err
    assert "no macro-expression clips to pre-train on" in answer.out


def test_files_and_dead_links_that_are_called_like_subjects_are_none(given: Given) -> None:
    casme2, samm, smic = given("casme2"), given("samm"), given("smic")
    (casme2 / "CASME2_RAW_selected/sub27").touch()
    (casme2 / "CASME2_RAW_selected/sub28").symlink_to(casme2 / "nowhere")
    (samm / "SAMM/040").touch()
    (smic / "SMIC_all_raw/HS/s21").touch()
    assert [len(places.survey(root.name, root)[0].entries) for root in (casme2, samm, smic)] == [255, 159, 164]


def test_one_folder_that_is_gone_does_not_hide_the_others(given: Given, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_CASME2", str(here / "nowhere"))
    monkeypatch.setenv("MERBENCH_SAMM", str(given("samm")))
    answer = cli("doctor", "--no-read")
    assert answer.code == 2
    assert "all clips can be prepared" in answer.out
    assert "the folder of casme2 is not there" in answer.err
    assert "MERBENCH_CASME2" in answer.err


def test_all_databases_are_looked_at_before_one_is_prepared(given: Given, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second copy's fault was found after an hour with the first."""
    monkeypatch.setenv("MERBENCH_CASME2", str(given("casme2")))
    monkeypatch.setenv("MERBENCH_SAMM", str(here / "nowhere"))
    monkeypatch.setattr(load, "prepare", lambda *_, **__: pytest.fail("work was begun"))
    with pytest.raises(UserError, match="the folder of samm is not there"):
        load.ready(Data("casme2+samm", source="frames"), "objective-5")


# a table of apexes


def test_a_table_of_apexes_that_names_no_clip_of_the_copy_is_refused(
    given: Given, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was passed over, and the row said table."""
    table = here / "apex.csv"
    table.write_text("subject,clip,apex\ncasme2/sub1,EP02_01f,60\n")
    assert cli("data", "set", "apex", str(table)).code == 0
    monkeypatch.setenv("MERBENCH_CASME2", str(given("casme2")))
    with pytest.raises(UserError, match="names 1 clip that this casme2 has not: casme2/sub1/EP02_01f") as caught:
        load.ready(Data("casme2", source="frames", apex="table"), "megc3")
    assert "casme2/sub01/EP02_01f" in caught.value.remedy
    for text in ("subject,clip,apex\ncasmeii/sub01,EP02_01f,60\n", "subject,clip,apex\n", "subject,clip,apex\ncasme2/sub01,EP02_01f,/\n"):
        table.write_text(text)
        assert cli("data", "set", "apex", str(table)).code == 2, text


def test_a_table_of_apexes_is_used_and_told(given: Given, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    root = given("casme2")
    copy = places.survey("casme2", root)[0]
    clip = copy.by_key["casme2/sub01/EP02_01f"].clip
    assert clip.onset is not None
    (here / "apex.csv").write_text(f"subject,clip,apex\ncasme2/sub01,EP02_01f,{clip.offset}.0\n")
    assert cli("data", "set", "apex", "apex.csv").code == 0
    [found] = copies.footage(copy, [clip], load.own_apexes(copy))
    assert (found.clip.apex, found.clip.flags) == (clip.offset, ("apex: from the user's table",))
    monkeypatch.setenv("MERBENCH_CASME2", str(root))
    told = json.loads(cli("doctor", "casme2", "--no-read", "--json", "--apex", "table").out)["copies"][0]["repaired"]
    assert "casme2/sub01/EP02_01f: from the user's table" in told
