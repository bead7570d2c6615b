"""CASME II: ``CASME2_RAW_selected/sub01/EP02_01f/img46.jpg`` beside the coding sheet; as recorded, trimmed or not, or as cropped.

200 frames a second, raw 640 x 480 colour. Frame numbers of the sheet are those in the file names, without padding. Clip names are
unique within a subject only. Three versions of the sheet are about: that of 2014, that of 2019, in which three clips of sadness have become
surprise and which has objective classes, and a longer private one. Yan et al., PLOS ONE 9(1), 2014.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from merbench.data import cells, copies, sheets, trees
from merbench.data.copies import Cells, Copy, Database, Entry

NAME = "casme2"
SUBJECT = re.compile("sub[0-9]{1,3}", re.IGNORECASE)
NUMBER = re.compile(r"(s|sub|subject)?[ ._-]?0*([0-9]{1,3})(\.0)?", re.IGNORECASE)
CLIP = re.compile("EP[0-9]{2}_?.+", re.IGNORECASE)
ANY = re.compile(r"[^.].*")
WHOLE = (640, 480)
FRAMES = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
OBJECTIVE = "Objective Classes"
OPTIONAL = ("Action Units", OBJECTIVE)
ALIASES = {OBJECTIVE: ("Objective Class", "Objective")}
RELABELLED = ("sub24", "EP07_01")
"""A clip that the sheet of 2014 calls sadness and that of 2019 surprise."""
ADDED = ("sub24", "EP02_07")
"""A clip of which only the private sheet of 256 rows has a row."""


def survey(root: Path, crop: bool) -> tuple[Copy, ...]:
    """Return the copy by each coding sheet in it, that of 2014 first.

    Raises:
        UserError: no frames, or no sheet that can be read.
    """
    tree = trees.chosen(trees.find(root, SUBJECT, _clips, WHOLE), root, crop, "folder sub01/EP02_01f of CASME II")
    there = {(_number(path.parent.name), path.name.casefold()): path for path in _clip_folders(tree.path)}
    objective = _objective_classes(root)
    found = []
    for sheet, rows in copies.described(
        root, FRAMES, optional=OPTIONAL, aliases=ALIASES, usual="CASME2-coding-20140508.xlsx", near=tree.path
    ):
        named = [(name_of(row), row) for row in rows]
        entries = copies.unique(
            _entry(*name, row, sheet, there, objective) if name else copies.nameless(NAME, (row["Subject"], row["Filename"]), row, sheet)
            for name, row in named
            if name or copies.is_clip(row["OnsetFrame"], row["OffsetFrame"])
        )
        used = {entry.folder for entry in entries}
        strays = tuple(path for path in there.values() if path not in used and CLIP.fullmatch(path.name))
        found.append(Copy(NAME, root, tree.path, tree.crop, sheet, _edition(entries), entries, strays))
    return copies.ordered(found, editions=("2014", "2019", "updated"))


def name_of(row: sheets.Row) -> tuple[str, str] | None:
    """Return a row's subject as its folder is called and its clip; None of a row that is no clip's, such as a note below the table."""
    number = NUMBER.fullmatch(row["Subject"])
    return (f"sub{int(number[2]):02d}", row["Filename"]) if number and row["Filename"] else None


def _entry(
    subject: str, name: str, row: sheets.Row, sheet: Path, there: dict[tuple[int, str], Path], objective: dict[tuple[str, str], str]
) -> Entry:
    told = Cells(
        row["OnsetFrame"],
        row["ApexFrame"],
        row["OffsetFrame"],
        row["Estimated Emotion"],
        row["Action Units"],
        objective.get((subject, name), copies.objective(row[OBJECTIVE])),
    )
    return copies.entry(NAME, subject, name, told, there.get((_number(subject), name.casefold())), f"{sheet}, row {row['row']}")


def _edition(entries: tuple[Entry, ...]) -> str:
    by_name = {(entry.clip.subject.split("/")[1], entry.clip.name): entry for entry in entries}
    if ADDED in by_name:
        return "updated"
    relabelled = by_name.get(RELABELLED)
    if relabelled is not None:
        return "2019" if cells.word(relabelled.clip.emotion or "") == "surprise" else "2014"
    return "2019" if any(entry.clip.objective for entry in entries) else "2014"


def _objective_classes(root: Path) -> dict[tuple[str, str], str]:
    """Return the classes of the owners' separate sheet (``CASME2-ObjectiveClasses.xlsx``) where it is there; it goes before a column."""
    found = {}
    for _, rows in sheets.candidates(root, ("Subject", "Filename", OBJECTIVE), ("OnsetFrame",), ALIASES, named="*objective*"):
        for row in rows if not any(row["OnsetFrame"] for row in rows) else ():
            name = name_of(row)
            if name is not None:
                found[name] = copies.objective(row[OBJECTIVE])
    return found


def _clips(subject: Path) -> Iterator[Path]:
    return (path for path in trees.subjects(subject, CLIP) if trees.has_frames(path))


def _clip_folders(tree: Path) -> list[Path]:
    return [path for subject in trees.subjects(tree, SUBJECT) for path in trees.subjects(subject, ANY)]


def _number(subject: str) -> int:
    return int(re.sub(r"[^0-9]", "", subject))


DATABASES = (
    Database(
        name=NAME,
        title="CASME II",
        about="255 spontaneous micro-expressions of 26 people at 200 frames a second, 640 x 480; 145 of them are in MEGC2019",
        licence="academic use only, by a signed agreement; no redistribution, and images may be published within narrow limits",
        ask="the Institute of Psychology, Chinese Academy of Sciences: http://fu.psych.ac.cn/CASME/casme2-en.php",
        place=NAME,
        rank=1,
        clips=255,
        people=26,
        survey=survey,
    ),
)
