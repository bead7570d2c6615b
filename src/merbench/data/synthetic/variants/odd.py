"""The rendering's own layouts, with every oddity that sheets and frame numbers are known to have; SMIC's three cameras beside each other."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import PurePosixPath

from merbench.data.synthetic import extras, layouts, sheets
from merbench.data.synthetic.script import Scene
from merbench.data.synthetic.sheets import Cells
from merbench.data.synthetic.takes import Layout, laid, retimed, shown
from merbench.data.synthetic.variants import smic
from merbench.data.synthetic.variants.edits import Table, some

GAPS = {"s03_ne_16": 1, "s03_po_08": 2, "s03_sur_01": 1, "s03_sur_05": 1, "s02_po_01": 1}
"""Numbers that lack inside a clip of SMIC-HS; the last clip is ours, for `mini`."""
APEX_IS_OFFSET = ("sub05/EP16_04f", "sub12/EP09_06", "sub20/EP16_01", "sub25/EP18_04f")
ENDS_EARLY = {"casme2/sub16/EP01_08": 96, "casme2/sub06/EP16_05": None}
"""Last frame that is there; None, ours for `mini`: the one before the last."""
NO_ONSET_FRAME = "casme2/sub02/EP01_11f"
AMBIGUOUS = {
    "007_6_1": "6 or 7+12",
    "007_6_5": "12?",
    "011_4_2": "(R6 or R12)",
    "011_6_1": "4 or 7",
    "014_5_2": "R14?",
    "014_6_3": "(R6 or R12)",
    "030_1_1": "20?",
    "035_7_2": "1 or 4",
}
"""Clips of SAMM whose action units are so written; which is which is ours."""
CASME3_WRONG: dict[str, tuple[int, int, int]] = {
    "casme3/spNO.149/d_112": (112, 83, 358),
    "casme3/spNO.216/d_2647": (3647, 2668, 2694),
    "casme3/spNO.40/e_1812": (1812, 1824, 0),
    "casme3/spNO.40/e_2327": (2327, 2363, 0),
    "casme3/spNO.216/e_1": (0, 0, 25),
    "casme3/spNO.214/c_5": (5, 5, 3460),
}
"""Onset, apex and offset as sheet v2 gives them."""
CASME3_READ: dict[str, tuple[int, int | None, int]] = {
    "casme3/spNO.149/d_112": (112, None, 358),
    "casme3/spNO.40/e_1812": (1812, 1824, 1824),
    "casme3/spNO.40/e_2327": (2327, 2363, 2363),
    "casme3/spNO.216/e_1": (1, None, 25),
    "casme3/spNO.214/c_5": (5, None, 34),
}
"""Onset, apex and offset of these that a careful reader ends up with."""
ONSET_APEX = {"others": 26, "three classes": 27}
"""Of the 860 rows of v2, 55 have their onset as apex, 28 of them of the three classes: so many of those not in `CASME3_WRONG`."""
BIG_J = ("casme3/spNO.14", "casme3/spNO.11")
"""Subjects whose video j is called J in the sheet; the second is ours, for `mini`."""
LONGEST = "casme3/spNO.214/c_5"
MISREAD = ("impossible frame numbers", "a clip of two minutes")
FULL_WIDTH_COMMA, NO_BREAK = "\uff0c", "\u00a0"


def layout(script: Sequence[Scene], units: sheets.Units, all_frames: bool) -> Layout:
    """Return the whole variant."""
    made, tables = Layout(), sheets.tables(script, units)
    for part in ("casme2", "samm", "casme3"):
        played = [scene for scene in script if scene.part == part]
        if played:
            name = sheets.NAMES[part][0]
            table = Table(tables[name], played, made)
            {"casme2": _casme2, "samm": _samm, "casme3": _casme3}[part](made, table, played, all_frames)
            made.books[f"{part}/{name}"] = functools.partial(sheets.workbook, table.title, table.all())
    for scene in script:
        if scene.part == "smic":
            gap = GAPS.get(scene.clip.name, 0)
            for take in smic.short(scene, "SMIC_all_raw", all_frames, gap=gap):
                made.add(take)
            made.oddities.update(["frame numbers missing inside"] * bool(gap))
            made.oddities.update(["the cameras VIS and NIR"] * (len(smic.cameras(scene)) > 1))
        elif scene.part == "macro":
            made.add(laid(scene, layouts.folder(scene), functools.partial(layouts.file_name, scene), shown(scene, all_frames)))
    if any(scene.part == "macro" for scene in script):
        name = sheets.NAMES["macro"][0]
        made.books[f"casme3/{name}"] = functools.partial(sheets.workbook, tables[name][0], with_macro(tables[name], script, made, ""))
    return made


def with_macro(table: tuple[str, list[Cells]], script: Sequence[Scene], made: Layout, longest: str | None = None) -> list[Cells]:
    """Return the rows of the sheet of macro-expressions: the micro-expressions in it are wrong where those of the other sheet are."""
    whole = Table(table, [scene for scene in script if scene.part in ("casme3", "macro")], made)
    misread(whole, "", longest)
    return whole.all()


def misread(table: Table, name: str, longest: str | None = None) -> None:
    """Give the frames of a few clips of CAS(ME)^3 as the owners' sheet does.

    Args:
        table: of the sheet.
        name: by which they are counted; nothing: they are not.
        longest: the same for spNO.214, a clip of two minutes; None leaves it right.
    """
    for key, numbers in CASME3_WRONG.items():
        counted = longest if key == LONGEST else name
        for column, value in zip(("Onset", "Apex", "Offset"), numbers, strict=True):
            if counted is not None:
                table.set(counted if column == "Onset" else "", key, column, value)


def _casme2(made: Layout, table: Table, played: Sequence[Scene], all_frames: bool) -> None:
    for name in APEX_IS_OFFSET:
        key = f"casme2/{name}"
        offset = next((scene.offset for scene in played if scene.clip.key == key), None)
        table.set("apex is offset", key, "ApexFrame", offset)
    for scene in some(played, 5, 255, _key, "question"):
        table.set("a question mark in action units", scene.clip.key, "Action Units", lambda cell: f"{cell}?")
    for scene in some(played, 9, 255, _key, "text"):
        table.set("numbers as text", scene.clip.key, "OnsetFrame", str)
    for scene in some(played, 6, 255, _key, "blanks"):
        table.set("stray blanks", scene.clip.key, "Filename", lambda cell: f" {cell}  ")
    for scene in some(played, 6, 255, _key, "no-break"):
        table.set("no-break space", scene.clip.key, "Estimated Emotion", lambda cell: f"{NO_BREAK}{cell}{NO_BREAK}")
    for scene in played:
        numbers, said = shown(scene, all_frames), (scene.onset, table.cell(scene.clip.key, "ApexFrame"), scene.offset)
        if scene.clip.key in ENDS_EARLY:
            last = ENDS_EARLY[scene.clip.key] or scene.offset - 1
            numbers = {number: source for number, source in numbers.items() if number <= last}
            made.oddities["last frames missing"] += 1
        if scene.clip.key == NO_ONSET_FRAME:
            del numbers[scene.onset]
            numbers = {scene.onset + 1: scene.onset, **numbers}
            made.oddities["onset frame missing, the next one there"] += 1
        made.add(laid(scene, layouts.folder(scene), functools.partial(layouts.file_name, scene), numbers, said=said))
    for key, numbers_of in extras.WITHOUT_ROW.items():
        _, subject, name = key.split("/")
        scene = next((each for each in played if each.clip.subject == f"casme2/{subject}"), played[0])
        folder = PurePosixPath("casme2/CASME2_RAW_selected", subject, name)
        take = laid(scene, folder, lambda number: f"img{number}.jpg", retimed(scene, all_frames, numbers_of), said=numbers_of, called=[key])
        made.add(take, "a folder without a row")
    table.arranged(["Subject", "Filename", "Estimated Emotion", "Action Units", "OffsetFrame", "ApexFrame", "OnsetFrame"])
    made.oddities["columns in another order"] += 1


def _samm(made: Layout, table: Table, played: Sequence[Scene], all_frames: bool) -> None:
    table.set("apex beyond offset", "samm/028/028_4_1", "Apex Frame", 1143)
    table.set("apex with a slip of a digit", "samm/032/032_3_1", "Apex Frame", 1930)
    table.set("apex one frame behind onset", "samm/032/032_3_2", "Apex Frame", 5127)
    for name, text in AMBIGUOUS.items():
        table.set("ambiguous action units", f"samm/{name[:3]}/{name}", "Action Units", text)
    for scene in some(played, 5, 159, _key, "text"):
        table.set("numbers as text", scene.clip.key, "Offset Frame", lambda cell: f"{cell} ")
    for scene in some(played, 3, 159, _key, "slash"):
        table.set("a slash for nothing", scene.clip.key, "Notes", "/")
    for scene in played:
        told = table.cell(scene.clip.key, "Apex Frame")
        if scene.clip.name == "028_4_1":
            told = None
        if scene.clip.name == "032_3_1":
            told = scene.apex
        made.add(
            laid(
                scene,
                layouts.folder(scene),
                functools.partial(layouts.file_name, scene),
                shown(scene, all_frames),
                said=(scene.onset, told, scene.offset),
            )
        )
    table.rows.insert(len(table.rows) // 2, [None] * len(table.head[-1]))
    made.oddities["an empty row"] += 1


def _casme3(made: Layout, table: Table, played: Sequence[Scene], all_frames: bool) -> None:
    misread(table, *MISREAD)
    fit = [scene for scene in played if scene.clip.key not in CASME3_WRONG]
    groups = {"others": [s for s in fit if s.label == "others"], "three classes": [s for s in fit if s.label != "others"]}
    for name, of in (("others", 157), ("three classes", 697)):
        for scene in some(groups[name], ONSET_APEX[name], of, _key, "apex"):
            table.set("apex is onset", scene.clip.key, "Apex", scene.onset)
    for scene in some(groups["others"], 3, 161, _key, "spelling"):
        table.set("a capital letter", scene.clip.key, "emotion", "Others")
    for scene in some([each for each in fit if "+" in str(table.cell(each.clip.key, "AU"))], 1, 860, _key, "comma"):
        table.set("a full-width comma", scene.clip.key, "AU", lambda cell: str(cell).replace("+", FULL_WIDTH_COMMA))
    for scene in fit:
        if scene.clip.subject in BIG_J and scene.clip.name.startswith("j"):
            table.set("a video in capitals", scene.clip.key, "Filename", "J")
    for scene in played:
        key = scene.clip.key
        told = [table.cell(key, column) for column in ("Onset", "Apex", "Offset")]
        said = CASME3_READ.get(key, (scene.onset, told[1], scene.offset))
        subject, name = key.split("/")[1:]
        named = f"{name[0]}_{told[0]}"
        folder = PurePosixPath("casme3/Part_A_ME_clip/frame", f"{subject}_{named}")
        called = dict.fromkeys((key, f"casme3/{subject}/{named}"))
        made.add(laid(scene, folder, functools.partial(layouts.file_name, scene), shown(scene, all_frames), said=said, called=called))
        for column in ("Onset", "Apex", "Offset"):
            table.set("numbers as text" if column == "Onset" else "", key, column, str)


def _key(scene: Scene) -> str:
    return scene.clip.key
