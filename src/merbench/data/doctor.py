"""A look at a copy clip by clip: what is there, what is missing, what was repaired, and which schemes it is good for."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from merbench import processes
from merbench.data import cells, classes, copies, databases, frames, places, schemes
from merbench.data.copies import Copy, Entry
from merbench.data.frames import Apex, Footage
from merbench.data.prepare import Watch, silent
from merbench.errors import UserError

READING = "frames read"
"""What the watch is told is being done."""

MISSING = ("for a missing one", "for missing ones")
"""How the flags of clips end of which frames are not there."""

REPAIRED = "apex: "
"""How the flags of clips begin whose apex is not that of the sheet."""


@dataclass(frozen=True)
class Report:
    """What was found in one copy. Clips are told by key, most lists with the reason after a colon.

    Attributes:
        database, title: which.
        folder: what the user named; ``layout`` and ``sheets`` are told from there.
        layout: of the folder of subjects.
        crop: whether frames are the owners' crops.
        sheets: every sheet that describes the copy, with its edition; the first is the one that is told about.
        rows, expected: clips that the sheet (or the folders) has, and that the owners' has; so with subjects.
        found: clips that can be prepared.
        missing: clips without a folder.
        unusable: clips of which sheet or folder are such that nothing can be made of them.
        unreadable: files that cannot be read as frames, and frames of another size than their clip's onset.
        absent: clips of which onset, apex or offset frame, or one of the sequence, is not there and the nearest is taken.
        outside: clips with frames before the onset or after the offset, and how many.
        repaired: clips whose apex is not that of the sheet, with what stands for it and why.
        duplicates: clips with two rows, and clips that show the same frames.
        strays: folders without a row.
        classes: how many clips by emotion.
        corrections: what was corrected of the sheet, and why.
        unlike: clips of which sheet and list of MEGC2019 say different things.
        fits: scheme to what keeps the copy from it; nothing where it fits.
        read: how many files were read; 0 where only names were looked at.
    """

    database: str
    title: str
    folder: str
    layout: str
    crop: bool
    sheets: tuple[str, ...]
    rows: int
    expected: int
    subjects: int
    people: int
    found: int
    missing: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    fits: dict[str, list[str]] = field(default_factory=dict)
    read: int = 0

    @property
    def well(self) -> bool:
        """Return whether every clip that the owners hand out is there and can be prepared, and none stands there twice."""
        return not (self.missing or self.unusable or self.unreadable or self.duplicates) and self.found == self.rows >= self.expected


@dataclass(frozen=True)
class _Read:
    """What reading a clip's files told: how many, what is wrong with them, and a hash of onset and apex."""

    files: int
    wrong: tuple[str, ...]
    content: str


def examine(
    database: str,
    folder: Path,
    *,
    face: str = "aligned",
    apex: Apex = "middle",
    read: bool = True,
    watch: Watch = silent,
    workers: int | None = None,
    rendered: bool = False,
) -> Report:
    """Look at every clip of a copy.

    Args:
        database: name.
        folder: of the copy.
        face, apex: as they would be prepared.
        read: read every frame that preparation would, or only look at names.
        watch: told about progress.
        workers: processes; None for one per core.
        rendered: whether it was, of whatever size; otherwise a rendered copy is refused.

    Raises:
        UserError: there is no such database in the folder, or no sheet that describes it.
    """
    known, surveyed = databases.known()[database], (places.survey if rendered else places.recorded)(database, folder, face)
    copy = surveyed[0]
    usable, unusable = _usable(copy, apex)
    looked = _looked_at(list(usable.values()), watch, workers) if read else {}
    wrong = tuple(each for one in looked.values() for each in one.wrong)
    bad = {key for key, one in looked.items() if one.wrong}
    missing = [entry.clip.key for entry in copy.entries if entry.folder is None and not entry.wrong]
    missing += [key for key in _listed(copy) if key not in copy.by_key] if copy.sheet is None and not rendered else []
    lost = bad | {entry.clip.key for entry in copy.entries if entry.clip.key not in usable}
    lost |= {entry.clip.key for each in surveyed for entry in each.entries if entry.folder is None or entry.wrong}
    return Report(
        database=database,
        title=known.title,
        folder=str(folder),
        layout=_told(copy.tree, folder),
        crop=copy.crop,
        sheets=tuple(f"{_told(each.sheet, folder)}{f' ({each.edition})' if each.edition else ''}" for each in surveyed if each.sheet),
        rows=len(copy.entries),
        expected=len(copy.entries) if rendered else known.clips,
        subjects=len({entry.clip.subject for entry in copy.entries}),
        people=known.people,
        found=len(usable) - sum(bool(one.wrong) for one in looked.values()),
        missing=tuple(missing),
        unusable=tuple(unusable),
        unreadable=wrong,
        absent=tuple(f"{key}: {told}" for key, each in usable.items() if (told := _absent(each))),
        outside=tuple(f"{key}: {number}" for key, each in usable.items() if (number := _outside(each))),
        repaired=tuple(f"{key}: {told}" for key, each in usable.items() if (told := _repaired(each))),
        duplicates=(*_doubled(copy), *_twins(looked)),
        strays=tuple(_told(path, folder) for path in copy.strays),
        classes=dict(Counter(cells.word(entry.clip.emotion or "") or "(none)" for entry in copy.entries).most_common()),
        corrections=tuple(
            f"{each.database}/{each.clip}: {each.field} {each.found} -> {'not given' if each.value == copies.NONE else each.value}: {each.reason}"
            for each in copy.corrections
        ),
        unlike=tuple(classes.against_megc(copy)),
        fits={name: schemes.differences(name, database, surveyed, lost) for name in schemes.whole_of(database)},
        read=sum(one.files for one in looked.values()),
    )


def _listed(copy: Copy) -> list[str]:
    """Return the clips of a database that some scheme lists: of what has no sheet, these are all."""
    names = [name for name in schemes.whole_of(copy.database) if schemes.is_listed(name)]
    return list(dict.fromkeys(clip.key for name in names for clip in schemes.scheme(name).select((copy.database,))))


def _usable(copy: Copy, apex: Apex) -> tuple[dict[str, Footage], list[str]]:
    found: dict[str, Footage] = {}
    wrong: list[str] = []
    for entry in copy.entries:
        try:
            found[entry.clip.key] = copies.footage(copy, [entry.clip], apex)[0]
        except UserError as error:
            if entry.folder is not None or entry.wrong:
                wrong.append(f"{entry.clip.key}: {_reason(entry, error)}")
    return found, wrong


def _reason(entry: Entry, error: UserError) -> str:
    return f"{entry.wrong} ({Path(entry.where).name})" if entry.wrong else error.what


def _looked_at(footage: Sequence[Footage], watch: Watch, workers: int | None) -> dict[str, _Read]:
    """Read the files of all clips, over all cores."""
    found: dict[str, _Read] = {}
    watch(READING, 0, len(footage))
    for index, read in processes.each(_read, footage, workers):
        found[footage[index].clip.key] = read
        watch(READING, len(found), len(footage))
    return {each.clip.key: found[each.clip.key] for each in footage}


def _read(footage: Footage) -> _Read:
    wrong, shapes = [], {}
    for path in footage.files:
        try:
            shapes[path] = frames.read(path).shape
        except UserError as error:
            wrong.append(f"{footage.clip.key}: {path.name}: {error.what.removeprefix('a frame cannot be read: ')}")
    whole = shapes.get(footage.onset)
    for path, shape in shapes.items():
        if whole is not None and shape != whole:
            wrong.append(f"{footage.clip.key}: {path.name} is {shape[1]} x {shape[0]}, its onset {whole[1]} x {whole[0]}")
    content = hashlib.sha256()
    for path in (footage.onset, footage.apex):
        if path in shapes:
            content.update(path.read_bytes())
    return _Read(len(footage.files), tuple(wrong), content.hexdigest() if len(shapes) == len(footage.files) else "")


def _absent(footage: Footage) -> str:
    """Return which of a clip's frames are not there."""
    told = [flag for flag in footage.clip.flags if flag.endswith(MISSING) or flag.startswith("offset: beyond")]
    return ", ".join(told)


def _repaired(footage: Footage) -> str:
    """Return what stands for a clip's apex, and why, where the sheet gives none that can be."""
    return ", ".join(flag.removeprefix(REPAIRED) for flag in reversed(footage.clip.flags) if flag.startswith(REPAIRED))


def _outside(footage: Footage) -> int:
    """Return how many frames a clip's folder has before its onset and after its offset."""
    onset, offset = footage.clip.onset or 0, footage.clip.offset or 0
    return sum(not onset <= number <= offset for number in frames.numbered(footage.onset.parent))


def _doubled(copy: Copy) -> list[str]:
    return [f"{entry.clip.key}: {entry.wrong}" for entry in copy.entries if "twice" in entry.wrong]


def _twins(looked: dict[str, _Read]) -> list[str]:
    """Return clips that show the same onset and apex, byte by byte."""
    same: dict[str, list[str]] = defaultdict(list)
    for key, read in looked.items():
        if read.content:
            same[read.content].append(key)
    return [f"{' and '.join(keys[:4])}: the same onset and apex frames" for keys in same.values() if len(keys) > 1]


def _told(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def shown(copy: Copy, count: int, apex: Apex = "middle") -> list[Footage]:
    """Return clips to look at: the first that can be used of each subject, then the second, up to a count."""
    usable, _ = _usable(copy, apex)
    turns: dict[str, list[Footage]] = defaultdict(list)
    for each in usable.values():
        turns[each.clip.subject].append(each)
    ordered = [own[place] for place in range(max(map(len, turns.values()), default=0)) for own in turns.values() if place < len(own)]
    return ordered[:count]
