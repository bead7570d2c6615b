"""SAMM: ``SAMM/006/006_1_2/006_05562.jpg`` beside or above ``SAMM_Micro_FACS_Codes_v2.xlsx``; as recorded or as cropped.

200 frames a second, grey, 960 x 650. Frame numbers are padded to four digits in some clips and to five in others; the sheet's header
stands below notes. Davison, Lansley, Costen, Tan and Yap, IEEE Transactions on Affective Computing 9(1), 2018.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from merbench.data import copies, sheets, trees
from merbench.data.copies import Cells, Copy, Database, Entry

NAME = "samm"
SUBJECT = re.compile("[0-9]{3}")
CLIP = re.compile("[0-9]{3}_[0-9]{1,2}_[0-9]{1,2}")
WHOLE = (960, 650)
FRAMES = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")
OBJECTIVE = "Objective Classes"
OPTIONAL = ("Action Units", OBJECTIVE)
ALIASES = {OBJECTIVE: ("Objective Class",)}


def survey(root: Path, crop: bool) -> tuple[Copy, ...]:
    """Return the copy by each sheet in it.

    Raises:
        UserError: no frames, or no sheet that can be read.
    """
    tree = trees.chosen(trees.find(root, SUBJECT, _clips, WHOLE), root, crop, "folder 006/006_1_2 of SAMM")
    there = {path.name: path for subject in trees.subjects(tree.path, SUBJECT) for path in trees.subjects(subject, CLIP)}
    found = []
    for sheet, rows in copies.described(
        root, FRAMES, optional=OPTIONAL, aliases=ALIASES, usual="SAMM_Micro_FACS_Codes_v2.xlsx", near=tree.path
    ):
        entries = copies.unique(
            _entry(row, sheet, there) if CLIP.fullmatch(row["Filename"]) else copies.nameless(NAME, (row["Filename"],), row, sheet)
            for row in rows
            if CLIP.fullmatch(row["Filename"]) or copies.is_clip(row["Onset Frame"], row["Offset Frame"])
        )
        names = {entry.clip.name for entry in entries}
        strays = tuple(path for name, path in there.items() if name not in names)
        found.append(Copy(NAME, root, tree.path, tree.crop, sheet, "", entries, strays))
    return copies.ordered(found)


def _entry(row: sheets.Row, sheet: Path, there: dict[str, Path]) -> Entry:
    name = row["Filename"]
    told = Cells(
        row["Onset Frame"],
        row["Apex Frame"],
        row["Offset Frame"],
        row["Estimated Emotion"],
        row["Action Units"],
        copies.objective(row[OBJECTIVE]),
    )
    return copies.entry(NAME, name.partition("_")[0], name, told, there.get(name), f"{sheet}, row {row['row']}")


def _clips(subject: Path) -> Iterator[Path]:
    return (path for path in trees.subjects(subject, CLIP) if trees.has_frames(path))


DATABASES = (
    Database(
        name=NAME,
        title="SAMM",
        about="159 spontaneous micro-movements of 29 people at 200 frames a second, grey, 960 x 650; 133 of them are in MEGC2019",
        licence="non-commercial research by a signed release agreement, no redistribution or publication without written approval; agreements "
        "name a date by which raw data must be deleted (version 2 of it: 30 January 2026): confirm with the owners that you may still hold it",
        ask="Manchester Metropolitan University: https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php",
        place=NAME,
        rank=2,
        clips=159,
        people=29,
        survey=survey,
    ),
)
