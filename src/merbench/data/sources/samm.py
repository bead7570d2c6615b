"""SAMM as its owners deliver it: ``SAMM/006/006_1_2/006_05562.jpg`` beside ``SAMM_Micro_FACS_Codes_v2.xlsx``.

200 frames a second, grey, 960 x 650. Frame numbers are padded to four digits in some clips and to five in others; the sheet's header
stands below notes. Davison, Lansley, Costen, Tan and Yap, IEEE Transactions on Affective Computing 9(1), 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merbench.data import sheets
from merbench.data.frames import Footage, footage, gathered, tree
from merbench.sample import Clip

NAME = "samm"
TREES = ("SAMM",)
COLUMNS = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")


def read(root: Path, clips: Sequence[Clip]) -> tuple[Footage, ...]:
    """Return the files of these clips, in listed order.

    Raises:
        UserError: folder, sheet, row, onset or apex frame missing; every clip concerned is named.
    """
    folders = tree(root, TREES, "[0-9][0-9][0-9]")
    sheet = sheets.only(root, "*SAMM*FACS*.xlsx")
    rows = sheets.keyed(sheets.table(sheet, COLUMNS), lambda row: row["Filename"], sheet)

    def find(clip: Clip) -> Footage:
        row = sheets.row_of(rows, clip.name, sheet)
        return footage(sheets.annotated(clip, row, COLUMNS[2:], sheet), folders / clip.subject.split("/")[1] / clip.name)

    return gathered(clips, find, root)
