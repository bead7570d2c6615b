"""A user's copy of a database: which clips it has, what its sheet says of them after corrections, and where their frames lie."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from merbench.data import cells, frames, manifest, sheets
from merbench.data.frames import Apex, Footage
from merbench.errors import UserError
from merbench.sample import Clip

NONE = "-"
"""In a table of ours: nothing."""

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII")

FIELDS = ("onset", "apex", "offset", "emotion")


@dataclass(frozen=True)
class Correction:
    """One known error of an owner's sheet.

    Attributes:
        clip: key as the uncorrected sheet gives it.
        field: one of `FIELDS`.
        found: what the sheet says; where a copy says otherwise it is left alone.
        value: what is taken instead; ``-`` for nothing.
        reason, source: why, and who says so.
    """

    database: str
    clip: str
    field: str
    found: str
    value: str
    reason: str
    source: str


@dataclass(frozen=True)
class Cells:
    """What a sheet says of a clip, as text; empty where it says nothing."""

    onset: str
    apex: str
    offset: str
    emotion: str
    units: str = ""
    objective: str = ""


@dataclass(frozen=True)
class Entry:
    """One clip of a copy.

    Attributes:
        clip: with what the sheet says of it, corrected; its apex is None where the sheet has none that can be.
        folder: of its frames; None where it is not there.
        where: sheet and row, or folder, for messages.
        wrong: why it cannot be used; empty where nothing is known against it.
        corrected: what of its row was corrected.
    """

    clip: Clip
    folder: Path | None
    where: str
    wrong: str = ""
    corrected: tuple[Correction, ...] = ()


@dataclass(frozen=True)
class Copy:
    """A copy, read by one of its sheets.

    Attributes:
        database: name.
        root: what the user named.
        tree: the folder of subjects.
        crop: whether its frames are the owners' crops.
        sheet: None where the database needs none.
        edition: which version of the sheet it is, told by its content; empty where there is one only.
        entries: in the order of the sheet.
        strays: folders that look like clips and have no row.
    """

    database: str
    root: Path
    tree: Path
    crop: bool
    sheet: Path | None
    edition: str
    entries: tuple[Entry, ...]
    strays: tuple[Path, ...] = ()

    @functools.cached_property
    def by_key(self) -> dict[str, Entry]:
        """Return the entries by clip key."""
        return {entry.clip.key: entry for entry in self.entries}

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Return what was corrected, in the order of the sheet."""
        return tuple(each for entry in self.entries for each in entry.corrected)


@dataclass(frozen=True)
class Database:
    """What merbench knows of a database that its owners hand out on request.

    Attributes:
        name: in commands and clip keys.
        title: as the field calls it.
        about: what it is.
        licence: what whoever holds it has signed, in a sentence.
        ask: where it is asked for.
        place: the name under which its folder is set; several databases may come in one.
        rank: where it stands in lists.
        clips, people: how many the owners' sheet, or the folders where there is none, have.
        survey: returns the copy in a folder, once for every sheet that describes it, the most usual first; the second argument asks for the
            owners' crops. Raises UserError where there is none.
    """

    name: str
    title: str
    about: str
    licence: str
    ask: str
    place: str
    rank: int
    clips: int
    people: int
    survey: Callable[[Path, bool], tuple[Copy, ...]]


def entry(database: str, subject: str, name: str, row: Cells, folder: Path | None, where: str) -> Entry:
    """Return a clip as its row describes it, corrected; what is wrong with it is told in the entry, never raised.

    Args:
        database, subject, name: of the clip; the subject without its database.
        row: what the sheet says.
        folder, where: as in `Entry`.
    """
    clip = Clip(database, f"{database}/{subject}", name)
    known, done = corrections(database).get(clip.key, ()), []
    for correction in known:
        if _same(getattr(row, correction.field), correction.found):
            row = replace(row, **{correction.field: "" if correction.value == NONE else correction.value})
            done.append(correction)
    flags = tuple(f"sheet: {each.field} corrected" for each in done)
    described = replace(clip, emotion=row.emotion or None, units=cells.units(row.units), objective=row.objective or None, flags=flags)
    try:
        numbers = {field: _number(row, field) for field in ("onset", "apex", "offset")}
        return Entry(_settled(described, numbers["onset"], numbers["apex"], numbers["offset"]), folder, where, "", tuple(done))
    except ValueError as error:
        return Entry(described, folder, where, str(error), tuple(done))


def is_clip(*numbers: str) -> bool:
    """Return whether cells hold frame numbers: a row with them is no note below a table, even where its clip cannot be read."""
    try:
        return all(cells.frame(number) is not None for number in numbers)
    except ValueError:
        return False


def nameless(database: str, words: Sequence[str], row: sheets.Row, sheet: Path) -> Entry:
    """Return a row that has frame numbers and no clip's name that can be read, such as one whose cells were merged with the row above."""
    where = f"{sheet}, row {row['row']}"
    named = ", ".join(cells.quoted(word) for word in words)
    return Entry(Clip(database, f"{database}/?", f"row {row['row']}"), None, where, f"no subject and clip can be read in {named}")


def _number(row: Cells, field: str) -> int | None:
    """Return a frame number of a row.

    Raises:
        ValueError: it is none; names the field.
    """
    try:
        return cells.frame(getattr(row, field))
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def _settled(clip: Clip, onset: int | None, apex: int | None, offset: int | None) -> Clip:
    """Return a clip with frame numbers that can be.

    Raises:
        ValueError: no clip can be made of them.
    """
    flags = list(clip.flags)
    if onset is None:
        raise ValueError("the sheet gives no onset")
    if offset is None and apex is not None and apex > onset:
        offset = apex
        flags.append("offset: the apex, since the sheet gives none")
    if offset is None:
        raise ValueError("the sheet gives no offset")
    if onset >= offset:
        raise ValueError(f"onset {onset} is not before offset {offset}")
    if apex == onset:
        apex = None
        flags.append("apex: the onset in the sheet")
    elif apex is not None and not onset < apex <= offset:
        flags.append("apex: not between onset and offset in the sheet")
        apex = None
    return replace(clip, onset=onset, apex=apex, offset=offset, flags=tuple(flags))


def _same(cell: str, found: str) -> bool:
    """Return whether a cell says what a correction is for."""
    try:
        return cells.frame(cell) == cells.frame(found)
    except ValueError:
        return cells.word(cell) == cells.word(found)


def described(
    root: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    aliases: Mapping[str, tuple[str, ...]] = sheets.NO_ALIASES,
    usual: str = "",
    near: Path | None = None,
) -> list[tuple[Path, list[sheets.Row]]]:
    """Return every sheet in a database's folder that has these columns, with its rows.

    Args:
        root, columns, optional, aliases: as in `sheets.candidates`.
        usual: how the owners call it, for the message.
        near: the folder of the frames; where the sheets lie deeper than usual, they lie around it.

    Raises:
        UserError: there is none.
    """
    found = sheets.candidates(root, columns, optional, aliases)
    around = [folder for folder in (near, *near.parents) if folder != root and folder.is_relative_to(root)] if near is not None else []
    for folder in around if not found else ():
        found = found or sheets.candidates(folder, columns, optional, aliases, named="")
    if not found:
        raise UserError(
            f"no annotation sheet is there: none has the columns {', '.join(columns)}",
            where=root,
            remedy=f"put the owners' sheet{f' ({usual})' if usual else ''} into the database's folder",
        )
    return found


def objective(cell: str) -> str:
    """Return an objective class as a Roman number, I to VII, where it is written with digits too; what is none as it is."""
    word = cells.word(cell).removesuffix(".0").upper()
    return ROMAN[int(word) - 1] if word in {str(number + 1) for number in range(len(ROMAN))} else word


def unique(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries, each clip once; one with two rows that say different things cannot be used, and both rows are named.

    A row that repeats another word for word says nothing new: it is as if it stood there once.
    """
    found: dict[str, Entry] = {}
    for each in entries:
        before = found.get(each.clip.key)
        if before is None:
            found[each.clip.key] = each
        elif (before.folder, *_said(before)) != (each.folder, *_said(each)):
            found[each.clip.key] = replace(before, wrong=f"it stands there twice: {before.where} and {each.where}")
    return tuple(found.values())


def ordered(surveyed: Iterable[Copy], editions: Sequence[str] = ("",)) -> tuple[Copy, ...]:
    """Return copies by edition, the sheet with most clips that are there first; sheets of other databases, without any, are left out.

    Raises:
        UserError: two of one edition say different things.
    """
    found = {copy: sum(entry.folder is not None for entry in copy.entries) for copy in surveyed}
    own = [copy for copy, count in found.items() if count] or list(found)
    return agreed(sorted(own, key=lambda copy: (editions.index(copy.edition), -found[copy], str(copy.sheet))))


def agreed(surveyed: Sequence[Copy]) -> tuple[Copy, ...]:
    """Return copies by sheets of which no two of one edition say different things of a clip: which of them counts, their owner must say.

    Raises:
        UserError: two do; names them and the clips.
    """
    for index, one in enumerate(surveyed):
        for other in (each for each in surveyed[index + 1 :] if each.edition == one.edition):
            unlike = [entry.clip.key for entry in one.entries if (twin := other.by_key.get(entry.clip.key)) and _said(twin) != _said(entry)]
            if unlike:
                raise UserError(
                    f"two annotation sheets say different things of {len(unlike)} clip{'s' * (len(unlike) > 1)}: {', '.join(unlike[: frames.TOLD])}",
                    where=f"{one.sheet} and {other.sheet}",
                    remedy="leave the one that the owners handed out, and take the other out of the folder",
                )
    return tuple(surveyed)


def _said(entry: Entry) -> tuple[object, ...]:
    clip = entry.clip
    return clip.onset, clip.apex, clip.offset, cells.word(clip.emotion or ""), clip.units, clip.objective, entry.wrong


@functools.cache
def corrections(database: str) -> Mapping[str, tuple[Correction, ...]]:
    """Return the corrections of a database's sheets by clip key.

    Raises:
        UserError: the table is damaged.
    """
    found: dict[str, tuple[Correction, ...]] = {}
    for row in manifest.table("corrections", ("database", "clip", "field", "found", "value", "reason", "source")):
        if row["field"] not in FIELDS:
            raise UserError(f"a correction is of '{row['field']}'", where="data_manifests/corrections.csv", remedy=manifest.RESTORE)
        if row["database"] == database:
            key = f"{database}/{row['clip']}"
            found[key] = (*found.get(key, ()), Correction(**row))
    return found


def footage(copy: Copy, clips: Sequence[Clip], apex: Apex = "middle") -> tuple[Footage, ...]:
    """Return the files of these clips, in their order.

    Args:
        copy: of their database.
        clips: of a scheme.
        apex: how a missing apex is replaced.

    Raises:
        UserError: clips cannot be used; each is named with the reason.
    """
    return frames.gathered(clips, lambda clip: find(copy, clip, apex), copy.root)


def find(copy: Copy, clip: Clip, apex: Apex = "middle") -> Footage:
    """Return the files of one clip.

    Raises:
        UserError: it has no row or no folder, or cannot be used.
    """
    found = copy.by_key.get(clip.key)
    if found is None:
        what, where = ("row", copy.sheet) if copy.sheet else ("folder", copy.tree)
        raise UserError(
            f"clip {clip.key} has no {what}", where=where, remedy="is the copy complete? every clip of the scheme is in the owners'"
        )
    if found.wrong:
        raise UserError(f"{clip.key} cannot be used: {found.wrong}", where=found.where, remedy="correct it after the database's own notes")
    if found.folder is None:
        raise UserError(f"the folder of {clip.key} is not there", where=copy.tree, remedy="is the copy complete? fetch this clip again")
    return frames.footage(found.clip, found.folder, apex)
