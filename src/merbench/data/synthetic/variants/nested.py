"""Copies as they come out of archives: a folder in a folder of its name, CASME II by the sheet of 2019, CAS(ME)^3 as whole videos by sheets
in the old format.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np

from merbench.data.synthetic import layouts, sheets
from merbench.data.synthetic.biff import xls
from merbench.data.synthetic.script import CASME3, Scene
from merbench.data.synthetic.sheets import Cells
from merbench.data.synthetic.takes import Layout, Take, laid, nearest, shown
from merbench.data.synthetic.variants import smic
from merbench.data.synthetic.variants.edits import Table, some
from merbench.data.synthetic.variants.odd import BIG_J, CASME3_READ, CASME3_WRONG, LONGEST, MISREAD, misread, with_macro
from merbench.streams import key_of

CASME2, SAMM = "casme2/CASME2_RAW_selected/CASME2_RAW_selected", "samm/SAMM/SAMM"
VIDEOS = "casme3/part_A/data/part_A_split/part_A"
V1, MACRO = "cas(me)3_part_A_ME_label_JpgIndex_v1.xls", "CAS(ME)3_part_A_v2.xls"
V1_MORE = {"disgust": 25, "surprise": 12, "others": 5, "fear": 5, "anger": 3, "sadness": 6, "happiness": 5}
"""Rows of v1, 921, beyond those of v2, 860: here each begins a frame behind another clip's onset, and moves as that one does."""
DROPPED = 7
"""First frames of each video that were never recorded."""


def layout(script: Sequence[Scene], units: sheets.Units, all_frames: bool) -> Layout:
    """Return the whole variant."""
    made, tables = Layout(), sheets.tables(script, units)
    videos: dict[PurePosixPath, None] = {}
    for scene in script:
        if scene.part == "smic":
            for take in smic.short(scene, "SMIC", all_frames):
                made.add(take)
        elif scene.part in ("casme2", "samm"):
            subject, name = scene.clip.key.split("/")[1:]
            folder = PurePosixPath(CASME2 if scene.part == "casme2" else SAMM, subject, name)
            said = (scene.onset, scene.named_apex, scene.offset)
            made.add(laid(scene, folder, functools.partial(layouts.file_name, scene), shown(scene, all_frames), said=said))
        else:
            take = _of_video(made, scene, all_frames)
            videos |= dict.fromkeys(take.files)
            made.add(take)
    if any(scene.part == "casme2" for scene in script):
        name = sheets.NAMES["casme2"][1]
        made.books[f"casme2/{name}"] = functools.partial(sheets.workbook, *tables[name])
        made.strays[f"{CASME2}/sub01/Desktop - Shortcut.lnk"] = b"L\0\0\0"
        made.oddities.update(["a folder in a folder of its name", "only the sheet of 2019", "a stray shortcut"])
    if any(scene.part == "samm" for scene in script):
        name = sheets.NAMES["samm"][0]
        made.books[f"samm/{name}"] = functools.partial(sheets.workbook, *tables[name])
        made.oddities["a folder in a folder of its name"] += 1
    for path in videos:
        made.strays[f"{path.parent.parent}/depth/{path.stem}.png"] = _depth()
    _casme3_books(made, script, tables, all_frames)
    return made


def _of_video(made: Layout, scene: Scene, all_frames: bool) -> Take:
    """Return a clip as a part of its video."""
    subject, video = scene.clip.subject.split("/")[1], scene.clip.name[0]
    if int(subject.removeprefix("spNO.")) % 2:
        subject = subject.replace("NO", "No")
        made.oddities["spNo. for spNO."] += 1
    numbers = {number: source for number, source in shown(scene, all_frames).items() if number > DROPPED}
    made.oddities.update(["first frames never recorded"] * (scene.onset <= DROPPED))
    spare = [number for number in numbers if number not in (scene.onset, scene.apex, scene.offset)]
    if len(spare) > 1 and key_of("synthetic", "dropped", scene.clip.key) % 10 == 0:
        del numbers[spare[len(spare) // 2]]
        made.oddities["frames dropped inside"] += 1
    key = scene.clip.key
    onset, apex, offset = (
        (scene.onset, scene.apex, scene.offset) if key == LONGEST else CASME3_READ.get(key, (scene.onset, scene.apex, scene.offset))
    )
    said = (nearest(numbers, onset), apex, offset)
    called = [
        *(f"casme3/{subject}/{scene.clip.name[0]}_{CASME3_WRONG[key][0]}" for subject in key.split("/")[1:2] if key in CASME3_WRONG),
        key,
    ]
    folder = PurePosixPath(VIDEOS, subject, video, "color")
    return laid(scene, folder, "{}.jpg".format, numbers, said=said, called=called if scene.part == "casme3" else ())


def _casme3_books(made: Layout, script: Sequence[Scene], tables: dict[str, tuple[str, list[Cells]]], all_frames: bool) -> None:
    played = [scene for scene in script if scene.part == "casme3"]
    if played:
        table = Table(tables[sheets.NAMES["casme3"][0]], played, made)
        added = []
        for emotion, count in V1_MORE.items():
            felt = [
                scene
                for scene in played
                if scene.emotion == emotion and scene.clip.key not in CASME3_WRONG and scene.apex > scene.onset + 1
            ]
            for scene in some(felt, count, CASME3[emotion], lambda scene: scene.clip.key, "v1") if felt else ():
                row = list(table.rows[played.index(scene)])
                row[table.place("Onset")] = scene.onset + 1
                added.append(row)
                made.add(_later(scene, all_frames), "rows that v2 has no more")
        misread(table, MISREAD[0])
        for scene in played:
            if scene.clip.subject in BIG_J and scene.clip.name.startswith("j"):
                table.set("a video in capitals", scene.clip.key, "Filename", "J")
        table.rows += added
        made.books[f"casme3/{V1}"] = functools.partial(xls, table.all())
        made.oddities["a sheet in the old format"] += 1
    if any(scene.part == "macro" for scene in script):
        made.books[f"casme3/{MACRO}"] = functools.partial(xls, with_macro(tables[sheets.NAMES["macro"][0]], script, made))
        made.oddities["a sheet in the old format"] += 1


def _later(scene: Scene, all_frames: bool) -> Take:
    """Return a clip of a row that begins a frame later than another's."""
    whole = _of_video(Layout(), scene, all_frames)
    onset = scene.onset + 1
    folder = next(iter(whole.files)).parent
    numbers = {**shown(scene, all_frames), onset: onset if all_frames else scene.onset}
    subject = scene.clip.subject
    del numbers[scene.onset]
    said = (onset, scene.apex, scene.offset)
    return laid(scene, folder, "{}.jpg".format, numbers, said=said, called=[f"{subject}/{scene.clip.name[0]}_{onset}"])


@functools.cache
def _depth() -> bytes:
    """Return a flat depth image."""
    written, content = cv2.imencode(".png", np.full((720, 1280), 800, np.uint16))
    assert written
    return bytes(content)
