"""CASME II as its owners deliver it: ``CASME2_RAW_selected/sub01/EP02_01f/img46.jpg`` beside the coding sheet.

200 frames a second, raw 640 x 480 colour. Frame numbers of the sheet are those in the file names, without padding. Clip names are
unique within a subject only. Yan et al., PLOS ONE 9(1), 2014.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from merbench.data import sheets
from merbench.data.frames import Footage, footage, gathered, tree
from merbench.sample import Clip

NAME = "casme2"
TREES = ("CASME2_RAW_selected", "CASME2-RAW")
SUBJECT = re.compile("[0-9]{1,4}")
COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")


def read(root: Path, clips: Sequence[Clip]) -> tuple[Footage, ...]:
    """Return the files of these clips, in listed order.

    Raises:
        UserError: folder, sheet, row, onset or apex frame missing; every clip concerned is named.
    """
    folders = tree(root, TREES, "sub[0-9][0-9]")
    sheet = sheets.only(root, "CASME2*.xlsx")
    known = [row for row in sheets.table(sheet, COLUMNS) if SUBJECT.fullmatch(row["Subject"])]
    rows = sheets.keyed(known, lambda row: (f"sub{int(row['Subject']):02d}", row["Filename"]), sheet)

    def find(clip: Clip) -> Footage:
        subject = clip.subject.split("/")[1]
        row = sheets.row_of(rows, (subject, clip.name), sheet)
        return footage(sheets.annotated(clip, row, COLUMNS[2:], sheet), folders / subject / clip.name)

    return gathered(clips, find, root)
