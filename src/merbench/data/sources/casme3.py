"""CAS(ME)^3 part A as its owners deliver it: clips cut out of long videos, ``Part_A_MaE_clip/frame/spNO.1_a_355/355.jpg``.

30 frames a second, 1280 x 720 colour; frame numbers are those of the video, without padding. A video holds several expressions, so a
clip is named by video and onset. The sheet writes ``spNO.1`` where a folder may be ``spNo.1``, and videos as ``j`` or ``J``. Of this database the
macro-expressions are read, to pre-train on; nothing is judged by them. Li et al., TPAMI 45(3), 2023.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from merbench.data import sheets
from merbench.data.frames import Footage, footage, gathered, nearest, numbered, tree
from merbench.data.schemes import Scheme
from merbench.errors import UserError
from merbench.sample import EMOTIONS, Clip

NAME = "casme3"
MACRO = "casme3-macro"
"""The set of macro-expressions, as ``persons.csv`` names it: its people are those of ``casme3``."""

MACRO_TREES = ("Part_A_MaE_clip/frame", "Part_A_MaE_clip")
MACRO_SHEET = "CAS(ME)3_part_A_v2"
"""Without its ending: the owners hand it out as ``.xls``."""
COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset", "emotion")
TYPE = "Expression type"
DROPPED = 8
"""So many frames may lie between one that is missing and the one that is taken for it: the cameras dropped 7 or 8 in a row, says the owner."""
WORDS = {**{name: name for name in EMOTIONS}, "happy": "happiness", "sad": "sadness"}
"""The owners' words for the seven emotions, in lower case."""


def macro(root: Path) -> tuple[Footage, ...]:
    """Return the files of all macro-expressions of the sheet, in its order; their subjects are ``casme3-macro/spNO.1``.

    Where the sheet gives the onset as apex too, the middle frame stands for it; where onset or apex was dropped in the recording, the
    nearest frame does. Flags say so.

    Raises:
        UserError: folder, sheet, onset or apex frame missing, or a cell is not what it should be; every clip concerned is named.
    """
    folders = tree(root, MACRO_TREES, "[Ss][Pp][Nn][Oo]*_*_[0-9]*")
    sheet = _macro_sheet(root)
    known = [row for row in sheets.table(sheet, (*COLUMNS, TYPE)) if row[TYPE].casefold().startswith("macro")]
    if not known:
        raise UserError(
            f"an annotation sheet has no macro-expression in the column {TYPE}", where=sheet, remedy="is this the owner's sheet?"
        )
    rows = sheets.keyed(known, lambda row: (subject_of(row, sheet), clip_name(row, sheet)), sheet)
    there = {path.name.casefold(): path for path in folders.iterdir()}

    def find(clip: Clip) -> Footage:
        subject = clip.subject.split("/")[1]
        name = f"{subject}_{clip.name}"
        folder = there.get(name.casefold(), folders / name)
        return footage(_recorded(_annotated(clip, rows[subject, clip.name], sheet), folder), folder)

    return gathered([Clip(MACRO, f"{MACRO}/{subject}", name) for subject, name in rows], find, root)


def seven(clips: tuple[Clip, ...]) -> Scheme:
    """Return the seven emotions of clips that were read here."""
    labels = {clip.key: EMOTIONS.index(WORDS[(clip.emotion or "").casefold()]) for clip in clips}
    return Scheme("seven-emotions", EMOTIONS, clips, labels, "the owners' sheet")


def subject_of(row: sheets.Row, path: Path) -> str:
    """Return a row's subject as ``spNO.1``, however it is written: a person has one name, or would be learnt from under the other.

    Raises:
        UserError: it is no subject of this database.
    """
    digits = re.fullmatch(r"spno\.?\s*0*([0-9]+)", row["Subject"].casefold())
    if digits is None:
        raise UserError(
            f"'{row['Subject']}' is no subject: they are called spNO.1",
            where=f"{path}, row {row['row']}",
            remedy="correct the cell after the database's own notes",
        )
    return f"spNO.{digits[1]}"


def clip_name(row: sheets.Row, path: Path) -> str:
    """Return ``a_355``: video and onset, which together are unique within a subject.

    Raises:
        UserError: the onset is no frame number.
    """
    return f"{row['Filename'].casefold()}_{sheets.number(row, 'Onset', path)}"


def _annotated(clip: Clip, row: sheets.Row, path: Path) -> Clip:
    if row["emotion"].casefold() not in WORDS:
        raise UserError(
            f"'{row['emotion']}' is no emotion of CAS(ME)^3: {', '.join(WORDS)}",
            where=f"{path}, row {row['row']}",
            remedy="correct the cell after the database's own notes",
        )
    onset, offset = (sheets.number(row, column, path) for column in ("Onset", "Offset"))
    if row["Apex"] == row["Onset"] and onset < offset:
        return replace(clip, onset=onset, offset=offset, emotion=row["emotion"], flags=(*clip.flags, "apex: the onset in the sheet"))
    return sheets.annotated(clip, row, COLUMNS[2:], path)


def _recorded(clip: Clip, folder: Path) -> Clip:
    """Return the clip with the nearest frames for an onset or apex that the camera dropped, and a flag; as it is where none is near.

    Raises:
        UserError: the folder is not there or holds no frame.
    """
    there = numbered(folder)
    onset, apex = (None if number is None else nearest(there, number) for number in (clip.onset, clip.apex))
    assert clip.onset is not None
    assert onset is not None
    far = max(abs(onset - clip.onset), abs((apex or 0) - (clip.apex or 0)))
    if not 0 < far <= DROPPED or (apex is not None and apex <= onset):
        return clip
    return replace(clip, onset=onset, apex=apex, flags=(*clip.flags, "onset or apex: nearest frame for a dropped one"))


def _macro_sheet(root: Path) -> Path:
    """Return the sheet's path.

    Raises:
        UserError: it is not there, or still in the old format, which nothing here reads.
    """
    found = {ending: [path for depth in ("", "*/") for path in root.glob(f"{depth}{MACRO_SHEET}{ending}")] for ending in (".xls", ".xlsx")}
    if found[".xls"] and not found[".xlsx"]:
        raise UserError(
            "the annotation sheet is in the old format .xls", where=found[".xls"][0], remedy="open it and save it beside as .xlsx"
        )
    return sheets.only(root, f"{MACRO_SHEET}.xlsx")
