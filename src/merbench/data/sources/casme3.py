"""CAS(ME)^3 part A: clips cut out of long videos, ``Part_A_ME_clip/frame/spNO.1_a_355/355.jpg``, or the videos, ``spNO.1/a/color/355.jpg``.

30 frames a second, 1280 x 720 colour; frame numbers are those of the video, without padding. A video holds several expressions, so a
clip is named by video and onset. The sheet writes ``spNO.1`` where a folder may be ``spNo.1``, and videos as ``j`` or ``J``. Beside the
micro-expressions there are macro-expressions, to pre-train on: nothing is judged by them. Li et al., TPAMI 45(3), 2023.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from merbench.data import cells, copies, sheets, trees
from merbench.data.copies import Cells, Copy, Database, Entry
from merbench.data.frames import Footage
from merbench.data.schemes import Scheme
from merbench.errors import UserError
from merbench.sample import EMOTIONS, Clip

NAME = "casme3"
MACRO = "casme3-macro"
"""The set of macro-expressions, as ``persons.csv`` names it: its people are those of ``casme3``."""

WHOLE = (1280, 720)
PERSON = re.compile(r"spno\.?\s*0*([0-9]+)", re.IGNORECASE)
CLIP = re.compile(r"spno\.?[0-9]+_[a-z]+_[0-9]+", re.IGNORECASE)
OTHER_PART = re.compile(r"part[ _-]?[bc]\b|part[ _-]?[bc][ _/-]")
"""Parts B and C have videos of other people, who are numbered from 1 as those of part A are."""
VIDEO = re.compile("[a-z]{1,2}", re.IGNORECASE)
COLOUR = re.compile("color", re.IGNORECASE)
FRAMES = ("Subject", "Filename", "Onset", "Apex", "Offset", "emotion")
TYPE = "Expression type"
OPTIONAL = ("AU", "Objective class", TYPE)
USUAL = 860
"""Rows of the sheet v2; v1 has 921."""
WORDS = {**{name: name for name in EMOTIONS}, "happy": "happiness", "sad": "sadness"}
"""The owners' words for the seven emotions, in lower case."""


@dataclass(frozen=True)
class Footing:
    """Where the frames of a copy lie.

    Attributes:
        path: of the folder that is told.
        clips: folders of clips by name in lower case, ``spno.1_a_355``.
        videos: folders of frames by subject and video in lower case, ``spno.1_a``.
    """

    path: Path
    clips: dict[str, Path]
    videos: dict[str, Path]

    def folder(self, subject: str, video: str, onset: str) -> Path | None:
        """Return the folder of a clip's frames: its own, or that of its video."""
        start = f"{subject}_{video}".casefold()
        return self.clips.get(f"{start}_{onset}") or self.videos.get(start)


def survey(root: Path, crop: bool) -> tuple[Copy, ...]:
    """Return the micro-expressions of the copy by each sheet in it, v2 first.

    Raises:
        UserError: no frames, crops are asked for, or no sheet that can be read.
    """
    where = _footing(root, "mae", crop)
    found, mixed = [], set()  # a sheet of all expressions comes after one of micro-expressions alone
    for sheet, rows in copies.described(
        root, FRAMES, optional=OPTIONAL, usual="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", near=where.path
    ):
        entries = copies.unique(_entry(NAME, row, sheet, where) for row in rows if not _is_macro(row))
        if entries:
            used = {entry.folder for entry in entries}  # one of a corrected onset keeps the name that it had
            macro = {_folder_name(row) for row in rows if _is_macro(row)}
            mixed |= {sheet} if macro else set()
            strays = tuple(
                path for name, path in where.clips.items() if path not in used and name not in macro and "mae" not in str(path).casefold()
            )
            found.append(Copy(NAME, root, where.path, False, sheet, f"{len(entries)} rows", entries, strays))
    if not found:
        raise UserError("no annotation sheet has micro-expressions", where=root, remedy="is this the owners' sheet of part A?")
    copies.agreed([copy for copy in found if copy.sheet not in mixed])
    return tuple(sorted(found, key=lambda copy: (len(copy.entries) != USUAL, len(copy.entries), copy.sheet in mixed, str(copy.sheet))))


def macro(root: Path) -> tuple[Footage, ...]:
    """Return the files of all macro-expressions of the sheet, in its order; their subjects are ``casme3-macro/spNO.1``.

    Where the sheet gives the onset as apex too, the middle frame stands for it; where onset or apex was dropped in the recording, the
    nearest frame does. Flags say so.

    Raises:
        UserError: folder, sheet, onset or apex frame missing, or a cell is not what it should be; every clip concerned is named.
    """
    where = _footing(root, "_me_", crop=False)
    known: list[Copy] = []
    for sheet, rows in copies.described(root, (*FRAMES, TYPE), optional=OPTIONAL[:2], usual="CAS(ME)3_part_A_v2.xls", near=where.path):
        entries = copies.unique(_entry(MACRO, row, sheet, where) for row in rows if _is_macro(row))
        known.append(Copy(MACRO, root, where.path, False, sheet, "", tuple(_with_emotion(entry) for entry in entries)))
    copy = max(copies.agreed(known), key=lambda each: len(each.entries))
    if not copy.entries:
        raise UserError(
            f"an annotation sheet has no macro-expression in the column {TYPE}",
            where=copy.sheet or root,
            remedy="is this the owner's sheet?",
        )
    return copies.footage(copy, [entry.clip for entry in copy.entries])


def seven(clips: Sequence[Clip]) -> Scheme:
    """Return the seven emotions of clips that were read here."""
    labels = {clip.key: EMOTIONS.index(WORDS[cells.word(clip.emotion or "")]) for clip in clips}
    return Scheme("seven-emotions", EMOTIONS, tuple(clips), labels, "the owners' sheet")


def subject_of(text: str) -> str | None:
    """Return a subject as ``spNO.1``, however it is written: a person has one name, or would be learnt from under the other. None where it is none."""
    digits = PERSON.fullmatch(text)
    return f"spNO.{digits[1]}" if digits else None


def _entry(database: str, row: sheets.Row, sheet: Path, where: Footing) -> Entry:
    place = f"{sheet}, row {row['row']}"
    told = Cells(row["Onset"], row["Apex"], row["Offset"], row["emotion"], row["AU"], copies.objective(row["Objective class"]))
    subject, video = subject_of(row["Subject"]), row["Filename"].casefold()
    if subject is None:
        return replace(copies.entry(database, row["Subject"] or "?", video, told, None, place), wrong=_no_subject(row))
    onset = _plain(row["Onset"])
    found = copies.entry(database, subject, f"{video}_{onset}", told, where.folder(subject, video, onset), place)
    if not any(each.field == "onset" for each in found.corrected) or found.clip.onset is None:
        return found
    right = str(found.clip.onset)  # the key has the onset in it: the corrected one, as in a sheet that was mended by hand
    return replace(found, clip=replace(found.clip, name=f"{video}_{right}"), folder=found.folder or where.folder(subject, video, right))


def _no_subject(row: sheets.Row) -> str:
    return f"'{row['Subject']}' is no subject: they are called spNO.1"


def _with_emotion(entry: Entry) -> Entry:
    word = cells.word(entry.clip.emotion or "")
    if word in WORDS or entry.wrong:
        return entry
    return replace(entry, wrong=f"'{entry.clip.emotion or ''}' is no emotion of CAS(ME)^3: {', '.join(WORDS)}")


def _plain(cell: str) -> str:
    """Return a frame number without what surrounds it; the cell itself where it is none."""
    try:
        number = cells.frame(cell)
    except ValueError:
        return cell
    return cell if number is None else str(number)


def _is_macro(row: sheets.Row) -> bool:
    return row[TYPE].casefold().startswith("macro")


def _folder_name(row: sheets.Row) -> str:
    return f"{subject_of(row['Subject'])}_{row['Filename']}_{_plain(row['Onset'])}".casefold()


def _footing(root: Path, last: str, crop: bool) -> Footing:
    """Return where frames lie: in one tree of clips and, for what it lacks, one of videos; trees with a word in their path after all others."""
    clip_trees = [tree for tree in trees.find(root, CLIP, _itself, WHOLE) if tree.path.name.casefold() != "depth"]
    clip_trees = [tree for tree in clip_trees if last not in _way(tree, root)] or clip_trees
    video_trees = [tree for tree in trees.find(root, PERSON, _videos, WHOLE) if not OTHER_PART.search(_way(tree, root))]
    what = "folder spNO.1_a_355 or spNO.1/a/color of CAS(ME)^3 part A"
    tree = trees.chosen((*clip_trees, *video_trees), root, crop, what)
    clips: dict[str, Path] = {}
    videos: dict[str, Path] = {}
    if clip_trees:  # one tree of each kind: two hold other cuts, or other people under the same names
        within = trees.chosen(tuple(each for each in clip_trees if each.crop is tree.crop) or tuple(clip_trees), root, crop, what)
        clips = {_spelled(name): path for name, path in trees.named(within.path).items() if CLIP.fullmatch(name)}
    if video_trees:
        within = trees.chosen(tuple(each for each in video_trees if each.crop is tree.crop) or tuple(video_trees), root, crop, what)
        for person in trees.subjects(within.path, PERSON):
            videos |= {f"{subject_of(person.name)}_{_video(path)}".casefold(): path for path in _videos(person)}
    return Footing(tree.path, clips, videos)


def _way(tree: trees.Tree, root: Path) -> str:
    return str(tree.path.relative_to(root)).casefold()


def _spelled(name: str) -> str:
    person, _, rest = name.partition("_")
    return f"{subject_of(person)}_{rest}".casefold()


def _itself(clip: Path) -> Iterator[Path]:
    return iter([clip] if trees.has_frames(clip) else [])


def _videos(person: Path) -> Iterator[Path]:
    """Yield the folders of a person's videos in which the colour frames lie."""
    for video in trees.subjects(person, VIDEO):
        inside = next(iter(trees.subjects(video, COLOUR)), video)
        if trees.has_frames(inside):
            yield inside


def _video(folder: Path) -> str:
    return folder.parent.name if folder.name.casefold() == "color" else folder.name


DATABASES = (
    Database(
        name=NAME,
        title="CAS(ME)^3 part A",
        about="860 micro-expressions of 94 people at 30 frames a second, 1280 x 720, and macro-expressions to pre-train on",
        licence="academic use only, by a signed agreement; no redistribution, and images may be published within narrow limits",
        ask="the Institute of Psychology, Chinese Academy of Sciences: http://casme.psych.ac.cn/casme/e4",
        place=NAME,
        rank=3,
        clips=860,
        people=94,
        survey=survey,
    ),
)
