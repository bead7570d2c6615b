"""SMIC: ``SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/image559740.bmp``, by three cameras, cropped, or as the long videos of SMIC-E.

HS has 100 frames a second, VIS and NIR 25; 640 x 480. Of the short form a clip's folder holds the expression from onset to offset, and there
is no sheet to read. Of SMIC-E-HS a folder holds some seconds around it, ``HS_long/SMIC-HS-E/s01/s1_ne_01/image559740.jpg``, and
``SMIC-HS-E_annotation.xlsx`` says where it begins and ends. No apex is named anywhere. Li, Pfister, Huang, Zhao and Pietikäinen, FG 2013.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from merbench.data import copies, frames, sheets, trees
from merbench.data.copies import Cells, Copy, Database, Entry
from merbench.errors import UserError

SUBJECT = re.compile("s[0-9]{1,2}", re.IGNORECASE)
CLIP = re.compile("s[0-9]{1,2}_(ne|po|sur)_[0-9]{1,3}", re.IGNORECASE)
WHOLE = (640, 480)
CLASSES = {"ne": "negative", "po": "positive", "sur": "surprise"}
"""What the middle of a clip's name says: the list of MEGC2019 agrees with it on every clip, a cell of the sheet does not."""
FRAMES = ("Subject", "Filename", "OnsetF", "OffsetF", "Emotion")
MICRO = re.compile("micro", re.IGNORECASE)
ANY = re.compile(".+")
HOLE = 2 * frames.NEAR
"""So many numbers apart two frames of one clip cannot be: one of them is a stray picture, or the folder lost its middle."""
SHORTEST = 11
CAMERAS = ("HS", "VIS", "NIR")
MOST_OF_OTHERS = 8
"""People whom the VIS and NIR cameras filmed; HS filmed 16."""


def _short(camera: str, database: str) -> Callable[[Path, bool], tuple[Copy, ...]]:
    return partial(_survey_short, camera, database)


def _survey_short(camera: str, database: str, root: Path, crop: bool) -> tuple[Copy, ...]:
    """Return the copy of one camera's clips.

    Raises:
        UserError: none is there, it cannot be told which camera's it is, or what is there is SMIC-E.
    """
    found = [tree for tree in trees.find(root, SUBJECT, _micro, WHOLE) if _camera(tree.path, root) == camera]
    if not found and (unknown := [tree for tree in trees.find(root, SUBJECT, _micro, WHOLE) if not _camera(tree.path, root)]):
        raise UserError(
            "it cannot be told which of SMIC's cameras filmed this", where=unknown[0].path, remedy="call its folder HS, VIS or NIR"
        )
    if not found and (long := trees.find(root, SUBJECT, _directly, WHOLE)):
        raise UserError(
            f"these are the long videos of SMIC-E, not the clips of SMIC-{camera}",
            where=long[0].path,
            remedy="they are a database of their own: smic-e (merbench doctor smic-e, --on smic-e)",
        )
    tree = trees.chosen(tuple(found), root, crop, f"folder s1/micro/negative/s1_ne_01 of SMIC-{camera}")
    entries = []
    for subject in trees.subjects(tree.path, SUBJECT):
        for folder in _micro(subject):
            name = clip_name(folder.name)
            numbers = list(frames.numbered(folder))
            told = Cells(str(numbers[0]), "", str(numbers[-1]), CLASSES[name.split("_")[1]])
            made = copies.entry(database, name.partition("_")[0], name, told, folder, str(folder))
            hole = next(((one, two) for one, two in itertools.pairwise(numbers) if two - one > HOLE), None)
            if hole:
                made = replace(made, wrong=f"no frame lies between {hole[0]} and {hole[1]}")
            elif camera == "HS" and not made.wrong and numbers[-1] - numbers[0] < SHORTEST - 1:
                made = replace(
                    made, wrong=f"it goes from {numbers[0]} to {numbers[-1]} only: clips of SMIC-HS have {SHORTEST} to 58 frames"
                )
            entries.append(made)
    return (Copy(database, root, tree.path, tree.crop, None, "", copies.unique(entries)),)


def survey_long(root: Path, crop: bool) -> tuple[Copy, ...]:
    """Return the copy of the long videos of SMIC-E-HS by each sheet in it.

    Raises:
        UserError: none is there, or what is there is SMIC.
    """
    found = tuple(tree for tree in trees.find(root, SUBJECT, _directly, WHOLE) if _camera(tree.path, root) == "HS")
    if not found and (short := trees.find(root, SUBJECT, _micro, WHOLE)):
        raise UserError(
            "these are the clips of SMIC, not the long videos of SMIC-E-HS",
            where=short[0].path,
            remedy="they are a database of their own: smic (merbench doctor smic, --on smic)",
        )
    tree = trees.chosen(found, root, crop, "folder s01/s1_ne_01 of SMIC-E-HS")
    there = {clip_name(path.name): path for subject in trees.subjects(tree.path, SUBJECT) for path in _directly(subject)}
    surveyed = []
    for sheet, rows in copies.described(root, FRAMES, usual="SMIC-HS-E_annotation.xlsx", near=tree.path):
        entries = copies.unique(_entry(row, sheet, there) for row in rows if CLIP.fullmatch(row["Filename"]))
        if _camera_in(sheet.stem) in ("VIS", "NIR") or not any(entry.folder for entry in entries):
            continue  # the sheet of another camera
        strays = tuple(path for name, path in there.items() if name not in {entry.clip.name for entry in entries})
        surveyed.append(Copy("smic-e", root, tree.path, tree.crop, sheet, "", entries, strays))
    if not surveyed:
        raise UserError("no annotation sheet has clips of these videos", where=root, remedy="put SMIC-HS-E_annotation.xlsx into the copy")
    return copies.ordered(surveyed)


def clip_name(folder: str) -> str:
    """Return a clip's name as the list of MEGC2019 writes it: ``s01_ne_01`` for ``s1_ne_01``."""
    subject, kind, number = folder.casefold().split("_")
    return f"s{int(subject[1:]):02d}_{kind}_{number}"


def _entry(row: sheets.Row, sheet: Path, there: dict[str, Path]) -> Entry:
    name = clip_name(row["Filename"])
    told = Cells(row["OnsetF"], "", row["OffsetF"], row["Emotion"])
    return copies.entry("smic-e", name.partition("_")[0], name, told, there.get(name), f"{sheet}, row {row['row']}")


def _micro(subject: Path) -> Iterator[Path]:
    """Yield the clips of a subject of the short form; what is not micro lies beside them in ``non_micro``."""
    for folder in trees.subjects(subject, MICRO):
        for emotion in trees.subjects(folder, ANY):
            yield from (path for path in trees.subjects(emotion, CLIP) if trees.has_frames(path))


def _directly(subject: Path) -> Iterator[Path]:
    return (path for path in trees.subjects(subject, CLIP) if trees.has_frames(path))


def _camera(tree: Path, root: Path) -> str:
    """Return whose frames lie in a tree: the nearest folder named after a camera says so, else how many people there are."""
    for folder in (tree, *tree.parents):
        if named := _camera_in(folder.name):
            return named
        if folder == root:
            break
    people = sum(bool(SUBJECT.fullmatch(path.name)) for path in tree.iterdir())
    if people > MOST_OF_OTHERS:
        return "HS"
    return ""


def _camera_in(name: str) -> str:
    """Return the camera that a name names; nothing where it is none, or several."""
    words = re.split(r"[^A-Z]+", name.upper())
    named = [camera for camera in CAMERAS if camera in words]
    return named[0] if len(named) == 1 else ""


_LICENCE = "research only, signed by a supervisor; no commercial use, no sharing with third parties, narrow limits on images in papers"
_ASK = "the Center for Machine Vision and Signal Analysis, University of Oulu: https://www.oulu.fi/cmvs/node/41319"


def _database(
    name: str, title: str, about: str, rank: int, counts: tuple[int, int], survey: Callable[[Path, bool], tuple[Copy, ...]]
) -> Database:
    return Database(name, title, about, _LICENCE, _ASK, "smic", rank, *counts, survey)


DATABASES = (
    _database(
        "smic",
        "SMIC-HS",
        "164 spontaneous micro-expressions of 16 people at 100 frames a second, 640 x 480",
        0,
        (164, 16),
        _short("HS", "smic"),
    ),
    _database(
        "smic-vis", "SMIC-VIS", "71 of SMIC's clips, 8 people, by a camera of 25 frames a second", 4, (71, 8), _short("VIS", "smic-vis")
    ),
    _database("smic-nir", "SMIC-NIR", "the same 71 clips in near infrared, 25 frames a second", 5, (71, 8), _short("NIR", "smic-nir")),
    _database(
        "smic-e", "SMIC-E-HS", "157 long videos around SMIC's clips, about 6 seconds each, 100 frames a second", 6, (157, 16), survey_long
    ),
)
