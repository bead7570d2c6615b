"""Every oddity that the table names is seen in the written files, in whole databases without pictures."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import xlrd
from openpyxl import load_workbook

from merbench.data.synthetic.oddities import ODDITIES, VARIANTS
from tests.conftest import once
from tests.phantom import layout, phantom

Rows = list[dict[str, object]]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The databases of every variant, whole."""

    def make(root: Path) -> None:
        for variant in VARIANTS:
            phantom(root / variant, variant)

    return once(tmp_path_factory, "odd", make)


@functools.cache
def rows(path: Path) -> Rows:
    """Return a sheet's rows by the columns' names; empty ones too."""
    if path.suffix == ".xls":
        sheet = xlrd.open_workbook(path, logfile=None).sheet_by_index(0)
        table: list[tuple[object, ...]] = [tuple(sheet.row_values(index)) for index in range(sheet.nrows)]
    else:
        table = list(load_workbook(path).worksheets[0].iter_rows(values_only=True))
    first = next(index for index, row in enumerate(table) if "Subject" in row)
    return [dict(zip([str(name) for name in table[first]], row, strict=True)) for row in table[first + 1 :]]


def casme2(root: Path) -> Rows:
    return rows(root / "odd/casme2/CASME2-coding-20140508.xlsx")


def samm(root: Path, name: str = "") -> Rows:
    found = rows(root / "odd/samm/SAMM_Micro_FACS_Codes_v2.xlsx")
    return [row for row in found if row["Filename"] == name] if name else found


def casme3(root: Path) -> Rows:
    return rows(root / "odd/casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx")


def v1(root: Path) -> Rows:
    return rows(root / "nested/casme3/cas(me)3_part_A_ME_label_JpgIndex_v1.xls")


def updated(root: Path) -> Rows:
    return rows(root / "long/casme2/CASME2-coding-updated.xlsx")


def smic_e(root: Path, camera: str = "HS", name: str = "") -> Rows:
    ending = "_2019" if camera == "HS" else ""
    found = rows(root / f"long/smic/SMIC-E_raw image/{camera}_long/SMIC-{camera}-E_annotation{ending}.xlsx")
    return [row for row in found if row["Filename"] == name] if name else found


def numbers(folder: Path) -> list[int]:
    return sorted(int(re.findall(r"\d+", path.stem)[-1]) for path in folder.iterdir())


def known(row: dict[str, object], *names: str) -> tuple[object, ...]:
    return tuple(row[name] for name in names)


def frames(row: dict[str, object]) -> tuple[str, str, int, int, int]:
    onset, apex, offset = (int(str(row[name]).partition(".")[0]) for name in ("Onset", "Apex", "Offset"))
    return str(row["Subject"]), str(row["Filename"]), onset, apex, offset


WRONG = {
    ("spNO.149", "d", 112, 83, 358),
    ("spNO.216", "d", 3647, 2668, 2694),
    ("spNO.40", "e", 1812, 1824, 0),
    ("spNO.40", "e", 2327, 2363, 0),
    ("spNO.216", "e", 0, 0, 25),
}
VIDEOS = "nested/casme3/part_A/data/part_A_split/part_A"
HS = "long/smic/SMIC-E_raw image/HS_long/SMIC-HS-E"


def cameras(root: Path) -> bool:
    tree = root / "odd/smic/SMIC_all_raw"
    found = {camera: {path.name for path in (tree / camera).glob("s*/micro/*/*")} for camera in ("HS", "VIS", "NIR")}
    classes = Counter(path.parent.name for path in (tree / "VIS").glob("s*/micro/*/*"))
    return (
        found["VIS"] == found["NIR"] < found["HS"]
        and classes == {"negative": 23, "positive": 28, "surprise": 20}
        and {path.name for path in (tree / "NIR").iterdir()} == {f"s{number}" for number in (11, 12, 13, 14, 15, 18, 19, 20)}
    )


def gaps(root: Path) -> bool:
    ends = {"ne_16": 409063, "po_08": 402225, "sur_01": 308890, "sur_05": 402327}
    tree = root / "odd/smic/SMIC_all_raw/HS/s3/micro"
    return all(numbers(next(tree.glob(f"*/s3_{name}")))[-1] == last for name, last in ends.items())


def apex_is_onset(root: Path) -> bool:
    found = [row for row in casme3(root) if frames(row)[2] == frames(row)[3]]
    return (len(found), sum(str(row["emotion"]).lower() != "others" for row in found)) == (55, 28)


def crops(root: Path) -> bool:
    names = {
        "smic/SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01": r"reg_image\d{6,}\.bmp",
        "smic/SMIC_all_cropped/NIR/s11/micro/negative/s11_ne_01": r"reg_image\d{6,}\.bmp",
        "casme2/Cropped-updated/Cropped/sub01/EP02_01f": r"reg_img\d+\.jpg",
        "samm/SAMM_CROP/006/006_1_2": r"006_\d{4,5}\.jpg",
    }
    return all(
        {bool(re.fullmatch(name, path.name)) for path in (root / "cropped" / folder).iterdir()} == {True} for folder, name in names.items()
    )


def dropped(root: Path) -> bool:
    lost = [
        take
        for take in layout("nested").takes
        if take.scene.part in ("casme3", "macro") and len(take.files) < len(take.scene.needed(False))
    ]
    return 60 < len(lost) < 200


def long_videos(root: Path) -> bool:
    classes = Counter(row["Emotion"] for row in smic_e(root, "VIS"))
    row = smic_e(root, "HS", "s1_ne_01")[0]
    inside = numbers(root / HS / "s01/s1_ne_01")
    counts = [len(smic_e(root, camera)) for camera in ("HS", "VIS", "NIR")]
    inside_it = inside[0] < int(str(row["OnsetF"])) < int(str(row["OffsetF"])) < inside[-1]
    return inside_it and counts == [157, 71, 71] and classes == {"negative": 24, "positive": 28, "surprise": 19}


def seconds(root: Path) -> bool:
    third, second = smic_e(root, "HS", "s4_ne_04")[0], smic_e(root, "HS", "s3_ne_02")[0]
    last = numbers(root / HS / "s03/s3_ne_02")[-1]
    absent = {"s1_ne_02", "s2_sur_05", "s3_ne_20", "s3_ne_03", "s4_ne_05", "s4_ne_06", "s9_sur_02"}
    return (
        isinstance(third["Onset3F"], int)
        and isinstance(second["Offset2F"], int)
        and last > second["Offset2F"]
        and not absent & {str(row["Filename"]) for row in smic_e(root)}
        and not absent & {path.name for path in (root / HS).glob("*/*")}
    )


def before(root: Path) -> bool:
    row = smic_e(root, "HS", "s18_sur_03")[0]
    return isinstance(row["Onset2F"], int) and isinstance(row["OnsetF"], int) and row["Onset2F"] < row["OnsetF"]


def moved(root: Path) -> bool:
    columns = ("OnsetFrame", "ApexFrame", "OffsetFrame")
    found = {(row["Subject"], row["Filename"]): known(row, *columns) for row in updated(root)}
    ends = {("12", "EP09_06"): 106, ("20", "EP16_01"): 106, ("16", "EP01_08"): 96}
    return (
        found["07", "EP06_01"] == (56, 89, 116)
        and found["12", "EP09_02"] == (161, 176, 206)
        and all(found[key][2] == end for key, end in ends.items())
    )


SEEN: dict[str, Callable[[Path], bool]] = {
    "the cameras VIS and NIR": cameras,
    "frame numbers missing inside": gaps,
    "apex is offset": lambda root: (
        {(row["Subject"], str(row["Filename"]).strip()) for row in casme2(root) if row["ApexFrame"] == row["OffsetFrame"]}
        == {("05", "EP16_04f"), ("12", "EP09_06"), ("20", "EP16_01"), ("25", "EP18_04f")}
    ),
    "a question mark in action units": lambda root: sum("?" in str(row["Action Units"]) for row in casme2(root)) == 5,
    "numbers as text": lambda root: (
        sum(isinstance(row["OnsetFrame"], str) for row in casme2(root)) == 9
        and sum(isinstance(row["Offset Frame"], str) for row in samm(root)) == 5
        and all(isinstance(row["Apex"], str) for row in casme3(root))
    ),
    "stray blanks": lambda root: sum(str(row["Filename"]) != str(row["Filename"]).strip() for row in casme2(root)) == 6,
    "no-break space": lambda root: sum("\u00a0" in str(row["Estimated Emotion"]) for row in casme2(root)) == 6,
    "columns in another order": lambda root: list(casme2(root)[0])[:4] == ["Subject", "Filename", "Estimated Emotion", "Action Units"],
    "last frames missing": lambda root: numbers(root / "odd/casme2/CASME2_RAW_selected/sub16/EP01_08")[-1] <= 96,
    "onset frame missing, the next one there": lambda root: (
        next(int(str(row["OnsetFrame"])) for row in casme2(root) if (row["Subject"], str(row["Filename"]).strip()) == ("02", "EP01_11f"))
        + 1
        == numbers(root / "odd/casme2/CASME2_RAW_selected/sub02/EP01_11f")[0]
    ),
    "a folder without a row": lambda root: all(
        numbers(root / "odd/casme2/CASME2_RAW_selected" / place)
        and not [row for row in casme2(root) if row["Filename"] == place[6:] and row["Subject"] == place[3:5]]
        for place in ("sub09/EP02_02f", "sub24/EP02_07")
    ),
    "apex beyond offset": lambda root: known(samm(root, "028_4_1")[0], "Apex Frame", "Offset Frame") == (1143, 1134),
    "apex with a slip of a digit": lambda root: (
        known(samm(root, "032_3_1")[0], "Onset Frame", "Apex Frame") == (4896, 1930) and 4930 in numbers(root / "odd/samm/SAMM/032/032_3_1")
    ),
    "apex one frame behind onset": lambda root: (
        known(samm(root, "032_3_2")[0], "Onset Frame", "Apex Frame") == (5126, 5127) and 5127 in numbers(root / "odd/samm/SAMM/032/032_3_2")
    ),
    "ambiguous action units": lambda root: (
        {row["Filename"] for row in samm(root) if re.search(r"or|\?", str(row["Action Units"]))}
        == {"007_6_1", "007_6_5", "011_4_2", "011_6_1", "014_5_2", "014_6_3", "030_1_1", "035_7_2"}
    ),
    "a slash for nothing": lambda root: sum(row["Notes"] == "/" for row in samm(root)) == 3,
    "an empty row": lambda root: sum(not any(row.values()) for row in samm(root)[:-1]) == 1,
    "impossible frame numbers": lambda root: all(set(map(frames, found)) >= WRONG for found in (casme3(root), v1(root))),
    "a clip of two minutes": lambda root: ("spNO.214", "c", 5, 5, 3460) in set(map(frames, casme3(root))),
    "apex is onset": apex_is_onset,
    "a capital letter": lambda root: sum(row["emotion"] == "Others" for row in casme3(root)) == 3,
    "a full-width comma": lambda root: sum("\uff0c" in str(row["AU"]) for row in casme3(root)) == 1,
    "a video in capitals": lambda root: all(
        ("spNO.11", "J") in {known(row, "Subject", "Filename") for row in found} for found in (casme3(root), v1(root))
    ),
    "faces cut out": crops,
    "a sibling non_micro": lambda root: len(list((root / "cropped/smic/SMIC_all_cropped/HS").glob("s*/non_micro/*"))) == 16,
    "the sheet among the frames": lambda root: (
        len(list((root / "cropped/samm").rglob("*.xlsx"))) == len(list((root / "cropped/samm/SAMM_CROP").glob("*.xlsx"))) == 1
    ),
    "a folder in a folder of its name": lambda root: (
        (root / "nested/casme2/CASME2_RAW_selected/CASME2_RAW_selected/sub01").is_dir() and (root / "nested/samm/SAMM/SAMM/006").is_dir()
    ),
    "only the sheet of 2019": lambda root: (
        [path.name for path in (root / "nested/casme2").glob("*.xlsx")] == ["CASME2-coding-20190701.xlsx"]
    ),
    "a stray shortcut": lambda root: (
        root / "nested/casme2/CASME2_RAW_selected/CASME2_RAW_selected/sub01/Desktop - Shortcut.lnk"
    ).is_file(),
    "spNo. for spNO.": lambda root: {path.name[:4] for path in (root / VIDEOS).iterdir()} == {"spNo", "spNO"},
    "first frames never recorded": lambda root: all(
        numbers(root / VIDEOS / place)[0] > 7 for place in ("spNO.216/e/color", "spNO.214/c/color")
    ),
    "frames dropped inside": dropped,
    "rows that v2 has no more": lambda root: (
        Counter(row["emotion"] for row in v1(root))
        == {"disgust": 275, "surprise": 199, "others": 166, "fear": 91, "anger": 67, "sad": 63, "happy": 60}
    ),
    "a sheet in the old format": lambda root: len(rows(root / "nested/casme3/CAS(ME)3_part_A_v2.xls")) == 860 + 282,
    "long videos with a sheet": long_videos,
    "several clips in a video": seconds,
    "a second movement before the first": before,
    "a formula gone wrong": lambda root: sum(row["Offset3F"] == "#VALUE!" for row in smic_e(root)) == 5,
    "a span without its clip": lambda root: (
        known(smic_e(root, "HS", "s1_ne_03")[0], "FirstF", "LastF") == (650000, 650699)
        and not 650000 <= int(str(smic_e(root, "HS", "s1_ne_03")[0]["OnsetF"])) <= 650699
    ),
    "a label that the name denies": lambda root: smic_e(root, "HS", "s18_sur_03")[0]["Emotion"] == "negative",
    "no apex": lambda root: sum(row["ApexFrame"] in (None, "/") for row in updated(root)) == 21,
    "other frames than in the owners' sheet": moved,
    "a row of which the owners' sheets know nothing": lambda root: (
        len(updated(root)) == 256 and ("24", "EP02_07") in {known(row, "Subject", "Filename") for row in updated(root)}
    ),
    "untrimmed": lambda root: all(
        len(
            set(numbers(root / f"long/casme2/CASME2-RAW/sub{row['Subject']}/{row['Filename']}"))
            & set(range(int(str(row["OffsetFrame"])) + 1, 999))
        )
        >= 6
        for row in updated(root)
    ),
    "irregular file names": lambda root: all(
        path.name.startswith(f"{clip}_")
        for clip in ("013_1_12", "013_1_8", "017_3_2", "026_1_1", "026_1_2", "035_7_2")
        for path in (root / f"long/samm/SAMM/{clip[:3]}/{clip}").iterdir()
    ),
    "mixed padding": lambda root: (
        sum(len({len(path.stem) for path in clip.iterdir()}) == 2 for clip in (root / "long/samm/SAMM").glob("*/*")) >= 4
    ),
}


def test_every_oddity_is_told_and_looked_for() -> None:
    odd = {variant: layout(variant).oddities for variant in VARIANTS}
    found = Counter(name for oddities in odd.values() for name in oddities)
    assert set(found) == set(ODDITIES) == set(SEEN)
    for name, (where, what) in ODDITIES.items():
        holders = {variant for variant in VARIANTS if odd[variant][name]}
        assert holders == {variant.strip() for variant in where.partition(":")[0].split(",")}, name
        assert what


@pytest.mark.parametrize("name", SEEN)
def test_it_is_in_the_files(roots: Path, name: str) -> None:
    assert SEEN[name](roots)
