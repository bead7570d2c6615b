"""What a sheet's row becomes: corrections, frames that cannot be, rows that contradict each other, folders under any name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from merbench.data import copies, databases, places, trees
from merbench.data.copies import Cells
from merbench.errors import UserError
from tests.data.made_sheets import xlsx

Phantoms = Callable[[str], Path]


def entry(onset: str, apex: str, offset: str) -> copies.Entry:
    return copies.entry("casme2", "sub01", "EP02_01f", Cells(onset, apex, offset, "happiness"), None, "sheet.xlsx, row 2")


@pytest.mark.parametrize(
    ("cells", "apex", "flags"),
    [
        (("46", "59", "86"), 59, ()),
        (("46", "86", "86"), 86, ()),
        (("46", "/", "86"), None, ()),
        (("46", "", "86"), None, ()),
        (("46", "46", "86"), None, ("apex: the onset in the sheet",)),
        (("46", "90", "86"), None, ("apex: not between onset and offset in the sheet",)),
        (("46", "5", "86"), None, ("apex: not between onset and offset in the sheet",)),
        (("46", "59", "/"), 59, ("offset: the apex, since the sheet gives none",)),
    ],
)
def test_an_apex_that_cannot_be_is_none_and_flagged(cells: tuple[str, str, str], apex: int | None, flags: tuple[str, ...]) -> None:
    found = entry(*cells)
    assert (found.wrong, found.clip.apex, found.clip.flags) == ("", apex, flags)


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (("/", "59", "86"), "the sheet gives no onset"),
        (("46", "/", ""), "the sheet gives no offset"),
        (("86", "59", "46"), "onset 86 is not before offset 46"),
        (("46", "46", "46"), "onset 46 is not before offset 46"),
        (("4.6", "59", "86"), "onset: '4.6' is no frame number"),
        (("46", "fifty", "86"), "apex: 'fifty' is no frame number"),
    ],
)
def test_a_row_of_which_no_clip_can_be_made_says_why(cells: tuple[str, str, str], wrong: str) -> None:
    found = entry(*cells)
    assert (found.wrong, found.where) == (wrong, "sheet.xlsx, row 2")


def test_known_errors_are_corrected_and_told(phantoms: Phantoms) -> None:
    copy = places.survey("samm", phantoms("odd") / "samm")[0]
    assert {(each.clip, each.field, each.found, each.value) for each in copy.corrections} == {
        ("028/028_4_1", "apex", "1143", copies.NONE),
        ("032/032_3_1", "apex", "1930", "4930"),
    }
    assert all(each.reason and each.source for each in copy.corrections)
    clip = copy.by_key["samm/032/032_3_1"].clip
    assert (clip.apex, clip.flags) == (4930, ("sheet: apex corrected",))
    [found] = copies.footage(copy, [copy.by_key["samm/028/028_4_1"].clip])
    assert found.clip.flags == ("sheet: apex corrected", "apex: middle frame")


def test_a_copy_that_says_otherwise_is_not_corrected() -> None:
    """Somebody mended it before us: his figure stays."""
    mended = copies.entry("samm", "032", "032_3_1", Cells("4896", "4920", "5000", "Disgust"), None, "")
    assert (mended.clip.apex, mended.corrected, mended.clip.flags) == (4920, (), ())


def test_a_corrected_onset_names_the_clip_and_its_folder_is_found(phantoms: Phantoms) -> None:
    """The folder is called after the wrong onset, as the owners cut it."""
    copy = places.survey("casme3", phantoms("odd") / "casme3")[0]
    found = copy.by_key["casme3/spNO.216/d_2647"]
    assert (found.clip.onset, found.folder.name if found.folder else "") == (2647, "spNO.216_d_3647")
    assert "casme3/spNO.216/d_3647" not in copy.by_key
    assert copy.strays == ()


def test_a_row_that_stands_there_twice() -> None:
    one, same, other = (
        entry("46", "59", "86"),
        replace(entry("46", "59", "86"), where="row 9"),
        replace(entry("46", "60", "86"), where="row 9"),
    )
    assert copies.unique([one, same]) == (one,)
    [found] = copies.unique([one, other])
    assert found.wrong == "it stands there twice: sheet.xlsx, row 2 and row 9"


def test_two_sheets_of_one_edition_that_disagree_are_refused(phantoms: Phantoms, tmp_path: Path) -> None:
    """Which of them counts would be decided by the alphabet."""
    root = tmp_path / "samm"
    shutil.copytree(phantoms("nested") / "samm/SAMM/SAMM/006", root / "SAMM/006")
    head = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")
    (root / "a.xlsx").write_bytes(xlsx([head, ("006", "006_1_2", 5562, 5588, 5632, "Anger")]))
    (root / "b.xlsx").write_bytes(xlsx([head, ("006", "006_1_2", 5562, 5589, 5632, "Anger")]))
    with pytest.raises(UserError, match="two annotation sheets say different things of 1 clip: samm/006/006_1_2") as caught:
        places.survey("samm", root)
    assert "a.xlsx and" in caught.value.where
    (root / "b.xlsx").write_bytes((root / "a.xlsx").read_bytes())
    assert len(places.survey("samm", root)) == 2


@pytest.mark.parametrize("variant", ["main", "odd", "cropped", "nested", "long"])
def test_every_clip_of_every_layout_is_found(phantoms: Phantoms, variant: str) -> None:
    """Only the footage: that frames are those of the sheet is seen on rendered faces."""
    root = phantoms(variant)
    for name in ("smic", "casme2", "samm", "casme3"):
        name = "smic-e" if (variant, name) == ("long", "smic") else name
        if (root / databases.known()[name].place).is_dir():
            for copy in places.survey(name, root / databases.known()[name].place)[:1]:
                found = copies.footage(copy, [entry.clip for entry in copy.entries])
                assert all(each.clip.onset < each.clip.apex <= each.clip.offset for each in found)  # type: ignore[operator]
                assert len(found) == len(copy.entries) >= 157


def test_a_database_is_known_by_what_is_in_it(phantoms: Phantoms, tmp_path: Path) -> None:
    """Folders under other names, two levels deeper, between others."""
    (tmp_path / "my data/backup of 2015").mkdir(parents=True)
    (tmp_path / "my data/papers").mkdir()
    shutil.copytree(phantoms("main") / "casme2/CASME2_RAW_selected", tmp_path / "my data/backup of 2015/x")
    shutil.copy(phantoms("main") / "casme2/CASME2-coding-20190701.xlsx", tmp_path / "my data/labels.xlsx")
    copy = places.survey("casme2", tmp_path / "my data")[0]
    assert (copy.tree.name, copy.sheet.name if copy.sheet else "", copy.edition, len(copy.entries)) == ("x", "labels.xlsx", "2019", 255)
    with pytest.raises(UserError, match="holds my data: no folder 006/006_1_2 of SAMM in it"):
        places.survey("samm", tmp_path)


def test_crops_are_read_where_they_are_asked_for_or_alone(phantoms: Phantoms, tmp_path: Path) -> None:
    root = tmp_path / "casme2"
    shutil.copytree(phantoms("main") / "casme2", root)
    assert not places.survey("casme2", root)[0].crop
    with pytest.raises(UserError, match="the copy has no frames that its owners cropped"):
        places.survey("casme2", root, face="owner")
    shutil.copytree(phantoms("cropped") / "casme2/Cropped-updated", root / "A cropped one")
    assert [places.survey("casme2", root, face=face)[0].crop for face in ("aligned", "owner")] == [False, True]
    shutil.rmtree(root / "CASME2_RAW_selected")
    assert places.survey("casme2", root)[0].crop, "a copy that has nothing else"
    samm = places.survey("samm", phantoms("cropped") / "samm")[0]
    assert samm.crop, "its names are those of whole frames: known by the size"


def test_a_home_directory_is_not_searched_for_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST", 20)
    for number in range(30):
        (tmp_path / f"folder{number}/papers").mkdir(parents=True)
    with pytest.raises(UserError, match="holds more than 20 folders without a database"):
        databases.known()["casme2"].survey(tmp_path, False)


def test_casme3_alone_is_run_with_its_own_scheme(phantoms: Phantoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MERBENCH_CASME3", str(phantoms("main") / "casme3"))
    assert (places.set_up(), places.scheme_for("frames")) == ("frames", "casme3-3")
    assert places.complete("frames", "casme3-3") == "casme3"
    monkeypatch.setenv("MERBENCH_CASME2", str(phantoms("main") / "casme2"))
    assert places.scheme_for("frames") == "megc3"


def test_macro_expressions_alone_are_no_frames_to_bench_on(rendered_macro: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    unmarked = tmp_path / "casme3"
    shutil.copytree(rendered_macro / "casme3", unmarked)
    for mark in unmarked.rglob("synthetic.json"):
        mark.unlink()
    for book in unmarked.rglob("*ME_label*"):
        book.unlink()
    monkeypatch.setenv("MERBENCH_CASME3", str(unmarked))
    assert places.set_up() is None
