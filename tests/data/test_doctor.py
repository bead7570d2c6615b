"""The doctor tells everything that is known to be odd about a copy, names it, and says what is not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from merbench.data import databases, doctor
from merbench.errors import UserError
from tests.conftest import Cli, Rendered

Phantoms = Callable[[str], Path]


def told(phantoms: Phantoms, variant: str, database: str) -> doctor.Report:
    """Only names are looked at: the frames of these copies are all one picture."""
    return doctor.examine(database, phantoms(variant) / databases.known()[database].place, read=False)


def keys(lines: tuple[str, ...]) -> set[str]:
    return {line.partition(":")[0] for line in lines}


CLEAN = [("smic", 164, 16), ("casme2", 255, 26), ("samm", 159, 29), ("casme3", 860, 94)]


@pytest.mark.parametrize(("database", "clips", "people"), CLEAN)
def test_a_clean_copy(phantoms: Phantoms, database: str, clips: int, people: int) -> None:
    found = told(phantoms, "main", database)
    assert (found.rows, found.expected, found.found) == (clips, clips, clips)
    assert (found.subjects, found.people) == (people, people)
    assert not (
        *found.missing,
        *found.unusable,
        *found.absent,
        *found.outside,
        *found.duplicates,
        *found.strays,
        *found.unlike,
        *found.corrections,
    )
    assert found.well
    assert sum(found.classes.values()) == clips
    assert found.read == 0


def test_an_odd_casme2(phantoms: Phantoms) -> None:
    found = told(phantoms, "odd", "casme2")
    assert keys(found.absent) == {"casme2/sub02/EP01_11f", "casme2/sub06/EP16_05", "casme2/sub16/EP01_08"}
    assert dict(line.split(": ", 1) for line in found.repaired) == {
        "casme2/sub04/EP12_01f": "middle frame",
        "casme2/sub05/EP09_05f": "middle frame, the onset in the sheet",
    }
    assert found.strays == ("CASME2_RAW_selected/sub09/EP02_02f", "CASME2_RAW_selected/sub24/EP02_07")
    assert found.fits == {
        "megc3": [],
        "casme2-5": [],
        "casme2-5-2019": ["surprise: 25 clips, not 28", *found.fits["casme2-5-2019"][1:]],
        "objective-5": ["CASME2-coding-20140508.xlsx has no objective classes"],
    }
    assert found.well


def test_a_sheet_of_2019_alone(phantoms: Phantoms) -> None:
    found = told(phantoms, "nested", "casme2")
    assert found.sheets == ("CASME2-coding-20190701.xlsx (2019)",)
    assert {line.split(" ")[0] for line in found.unlike} == {f"casme2/sub24/{name}" for name in ("EP07_01", "EP07_04f", "EP10_03")}
    assert found.fits["casme2-5"][0] == "surprise: 28 clips, not 25"
    assert "casme2/sub24/EP07_01" in found.fits["casme2-5"][1]
    assert found.fits["casme2-5-2019"] == found.fits["megc3"] == []


def test_an_odd_samm(phantoms: Phantoms) -> None:
    found = told(phantoms, "odd", "samm")
    assert [line.split(": ")[:2] for line in found.corrections] == [
        ["samm/028/028_4_1", "apex 1143 -> not given"],
        ["samm/032/032_3_1", "apex 1930 -> 4930"],
    ]
    assert found.repaired == ("samm/028/028_4_1: middle frame",)


def test_an_odd_casme3(phantoms: Phantoms) -> None:
    found = told(phantoms, "odd", "casme3")
    assert keys(found.corrections) == {
        *("casme3/spNO.40/e_1812", "casme3/spNO.40/e_2327", "casme3/spNO.149/d_112"),
        *("casme3/spNO.216/d_3647", "casme3/spNO.216/e_0"),
    }
    assert sum("the onset in the sheet" in line for line in found.repaired) == 55
    assert found.strays == ()
    assert [name for name, wrong in found.fits.items() if not wrong] == ["casme3-3", "casme3-4", "casme3-7"]


def test_videos_of_casme3_with_the_sheet_v1(phantoms: Phantoms) -> None:
    found = told(phantoms, "nested", "casme3")
    assert {"casme3-3", "casme3-3-v1", "casme3-7-v1"} <= {name for name, wrong in found.fits.items() if not wrong}
    onsets = {line.partition(": ")[0] for line in found.absent if "onset: nearest frame for a missing one" in line}
    assert onsets == {"casme3/spNO.214/c_5", "casme3/spNO.216/e_1"}
    assert sum("sequence: nearest frames for missing ones" in line for line in found.absent) > 20


def test_long_videos_of_smic(phantoms: Phantoms) -> None:
    found = told(phantoms, "long", "smic-e")
    assert (found.rows, found.found, found.fits) == (157, 157, {"smic-e-3": []})
    assert len(found.sheets) == 1, "those of the other cameras say nothing of these frames"
    assert keys(found.corrections) == {"smic-e/s18/s18_sur_03"}
    assert len(found.outside) == 157
    with pytest.raises(UserError, match="long videos of SMIC-E, not the clips of SMIC-HS") as told_of:
        told(phantoms, "long", "smic")
    assert "merbench doctor smic-e" in str(told_of.value)
    with pytest.raises(UserError, match="these are the clips of SMIC, not the long videos"):
        told(phantoms, "main", "smic-e")


@pytest.fixture
def copy(rendered: Rendered, tmp_path: Path) -> Path:
    """Four clips of CASME II, rendered, as a recorded copy."""
    root = tmp_path / "casme2"
    shutil.copytree(rendered.root / "casme2", root)
    (root / "synthetic.json").unlink()
    return root


def test_frames_that_cannot_be_read_and_clips_that_are_gone(copy: Path) -> None:
    tree = copy / "CASME2_RAW_selected"
    (first, second, third, fourth) = sorted(path for subject in tree.iterdir() for path in subject.iterdir())
    onset = sorted(first.iterdir(), key=lambda path: int(path.stem.removeprefix("img")))[0]
    onset.write_bytes(onset.read_bytes()[:2000])
    shutil.rmtree(second)
    for path in third.iterdir():
        path.unlink()
    last = sorted(fourth.iterdir(), key=lambda path: int(path.stem.removeprefix("img")))[-1]
    assert cv2.imwrite(str(last), np.zeros((48, 64, 3), np.uint8))
    found = doctor.examine("casme2", copy, workers=1)
    name = {path: f"casme2/{path.parent.name}/{path.name}" for path in (first, second, third, fourth)}
    assert name[second] in found.missing
    assert [line for line in found.unusable if line.startswith(name[third])]
    assert [line.split(": ")[:2] for line in found.unreadable] == [
        [name[first], onset.name],
        [name[fourth], f"{last.name} is 64 x 48, its onset 640 x 480"],
    ]
    assert (found.found, found.well) == (0, False)
    assert found.read == 2 * found.read // 2 > 4


def test_the_same_frames_under_two_names(copy: Path) -> None:
    """A folder that was copied over another: two clips would be one, in two folds or in both halves of one."""
    tree = copy / "CASME2_RAW_selected"
    (first, second) = sorted(path for path in (tree / "sub02").iterdir())
    found = doctor.examine("casme2", copy, workers=1)
    assert found.duplicates == ()
    frames = sorted(first.iterdir(), key=lambda path: int(path.stem.removeprefix("img")))
    for path in second.iterdir():
        shutil.copy(frames[0], path)
    for path in frames:
        if path != frames[0]:
            shutil.copy(frames[0], path)
    [line] = doctor.examine("casme2", copy, workers=1).duplicates
    assert line == f"casme2/sub02/{first.name} and casme2/sub02/{second.name}: the same onset and apex frames"


# the command


def test_what_is_not_there_is_told_with_licence_and_owner(here: Path, cli: Cli) -> None:
    answer = cli("doctor", "samm")
    assert answer.code == 2
    assert "SAMM: not there" in answer.out
    assert "confirm with the owners that you may still hold it" in answer.out
    assert "merbench data set samm PATH (or the variable MERBENCH_SAMM)" in answer.out
    everything = cli("doctor")
    assert everything.code == 0
    assert all(f"{each.title}: not there" in everything.out for each in databases.known().values())
    assert all(word in everything.out for word in ("licence: ", "ask: ", "what: "))


def test_the_table_of_an_odd_copy(phantoms: Phantoms, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_CASME2", str(phantoms("odd") / "casme2"))
    answer = cli("doctor", "casme2", "--no-read")
    assert answer.code == 0, answer.err
    lines = {line[:25].strip(): line[25:].split() for line in answer.out.splitlines() if line[:24].strip()}
    assert lines["clips"][0] == lines["found"][0] == "255"
    assert (lines["missing"], lines["duplicates"]) == (["0"], ["0"])
    assert (lines["frames not there"][0], lines["apex repaired"][0], lines["folders without a row"][0]) == ("3", "2", "2")
    assert lines["scheme casme2-5"] == ["fits"]
    assert "CASME2-coding-20140508.xlsx has no objective classes" in answer.out
    assert answer.out.rstrip().endswith("all clips can be prepared")


def test_json_names_every_clip(phantoms: Phantoms, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_CASME3", str(phantoms("odd") / "casme3"))
    found = json.loads(cli("doctor", "casme3", "--no-read", "--json").out)
    [copy] = found["copies"]
    assert (copy["database"], copy["rows"], len(copy["repaired"]), copy["well"]) == ("casme3", 860, 56, True)
    whole = json.loads(cli("doctor", "--no-read", "--json").out)
    assert {each["database"] for each in whole["not there"]} == set(databases.known()) - {"casme3"}
    assert all(each["licence"] and each["ask"] for each in whole["not there"])


def test_a_copy_with_a_fault_ends_with_1_and_says_so(copy: Path, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_CASME2", str(copy))
    shutil.rmtree(next((copy / "CASME2_RAW_selected/sub02").iterdir()))
    answer = cli("doctor", "casme2", "--workers", "1")
    assert answer.code == 1
    assert "some clips cannot be prepared" in answer.out


def test_a_contact_sheet_is_drawn(copy: Path, rendered: Rendered, here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_CASME2", str(copy))
    answer = cli("doctor", "casme2", "--workers", "1", "--sheet", "out.png", "--clips", "2")
    assert "2 clips of 2 people are drawn in out.png: it shows faces" in answer.out, answer.err
    image = cv2.imread("out.png")
    assert image is not None
    assert min(image.shape[:2]) > 300
    assert not Path("prepared").exists(), "beside everything that is prepared"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("doctor", "casme4"), "there is no database 'casme4'"),
        (("doctor", "casme2", "--source", "published-flow"), "published-flow is no copy of a database"),
        (("doctor", "--sheet", "x.png"), "a contact sheet cannot be drawn there"),
        (("doctor", "casme2", "--sheet", "nowhere/x.png"), "a contact sheet cannot be drawn there"),
    ],
)
def test_a_mistake_is_one_message(here: Path, cli: Cli, words: tuple[str, ...], said: str) -> None:
    answer = cli(*words)
    assert (answer.code, said in answer.err) == (2, True), answer.err
