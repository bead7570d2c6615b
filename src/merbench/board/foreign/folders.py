"""A folder with a file a subject, as training scripts leave it: whose a file is stands in its name, or in its folder's.

CausalNet writes ``results/sub17_acc.txt``; others a CSV or a workbook of each subject, ``casme2/sub01.csv``, ``s01/predictions.xlsx``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from merbench import guard
from merbench.board.foreign import files, people
from merbench.board.foreign.columns import Cell, Columns, roles
from merbench.errors import UserError

ENDINGS = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".parquet", ".xlsx")
FILES, DEPTH, NAMES = 2_000, 3, 100_000
"""Files that are read, levels of folders, and names that are gone through."""

WORD = re.compile(r"[^\s_.,()\[\]{}+-]+")
SUBJECT = re.compile(r"(?:subject|subj|sub|person|s)?0*[0-9]{1,4}", re.IGNORECASE)
REMEDY = (
    "call files after their subjects: s01.csv (SMIC), sub01.csv (CASME II), 006.csv (SAMM), or put them into folders called smic, casme2, "
    "samm; where all are of one database: --database NAME"
)


@dataclass(frozen=True)
class _Part:
    """One file: its name below the folder, what it holds, whose it is by its name, and who says so."""

    name: str
    columns: Columns
    owner: tuple[str, str] | None


def read(folder: Path, fallback: str | None = None) -> Columns:
    """Return what the files of a folder hold together.

    A file whose own name tells a subject must be readable. Another that is not, such as a README or a table of scores, is passed over,
    and that is told.

    Args:
        folder: of files, or of folders of them.
        fallback: the database of subjects whose spelling does not tell.

    Raises:
        UserError: no file has predictions, one cannot be read, it is not told whose one is, or two are of one subject.
    """
    parts: list[_Part] = []
    passed: list[str] = []
    empty: list[str] = []
    left = files.LARGEST
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        owner, own = _owner(folder.name, path.relative_to(folder), fallback)
        try:
            content = _content(folder, path, left)
            left -= len(content)
            found = files.columns(content)
            roles([*found.cells])
        except files.FAULTS as error:
            if own:
                raise files.refused(error, path) from error
            passed.append(name)
            continue
        if not roles([*found.cells]).enough:
            passed.append(name)
        elif not any(found.cells.values()):
            empty.append(name)
        else:
            parts.append(_Part(name, found, None if "subject" in roles([*found.cells]).named else owner))
    if not parts:
        why = f"none of its files has predictions ({_few(passed)})" if passed else f"it has no file that ends with {', '.join(ENDINGS)}"
        raise UserError(f"a folder is none of a run, and {why}", where=folder.absolute(), remedy=files.EXAMPLE)
    if all(_tells(part.columns) for part in parts):
        parts = [replace(part, owner=None) for part in parts]
    _check(parts, folder)
    return _joined(parts, passed, empty)


def _files(folder: Path) -> Iterator[Path]:
    """Yield files that may have predictions, by name; folders that are links are not gone into, nor what is hidden.

    Raises:
        UserError: there are too many, or a folder cannot be opened.
    """
    taken = seen = 0
    for above, below, names in os.walk(folder, onerror=_unopened):
        here = Path(above)
        below[:] = sorted(name for name in below if not name.startswith(".")) if len(here.relative_to(folder).parts) < DEPTH - 1 else []
        there = [name for name in sorted(names) if name.casefold().endswith(ENDINGS) and not name.startswith((".", "~$"))]
        taken, seen = taken + len(there), seen + len(names) + len(below)
        if taken > FILES or seen > NAMES:
            raise UserError(
                f"a folder has more than {FILES:,} files that may be predictions, or {NAMES:,} names",
                where=folder.absolute(),
                remedy="name the folder of one evaluation, with a file a subject",
            )
        yield from (here / name for name in there)


def _unopened(error: OSError) -> None:
    raise UserError(f"a folder cannot be opened: {error.strerror}", where=error.filename, remedy="look at its permissions")


def _content(folder: Path, path: Path, left: int) -> bytes:
    guard.within(folder, path)
    if left < 1 or path.stat().st_size > left:
        raise ValueError(f"the folder's files are longer than {files.LARGEST:,} bytes together")
    return guard.read(path, left)


def _owner(root: str, path: Path, fallback: str | None) -> tuple[tuple[str, str] | None, bool]:
    """Return database and subject that a path tells, and whether the file's own name does.

    Args:
        root: the folder's name, which may be that of a database.
        path: of the file below it.
        fallback: the database where no name tells it.
    """
    folders = [*reversed(path.parts[:-1]), root]
    database = next((people.database_of(name) for name in folders if people.is_database(name)), None)
    for place, name in enumerate((path.stem, *folders[:-1])):
        found = _told(name, database, fallback)
        if found:
            return found, place == 0
    return None, False


def _told(name: str, database: str | None, fallback: str | None) -> tuple[str, str] | None:
    """Return whom one name tells: ``("casme2", "sub17")`` of ``sub17_acc``; None where it tells nobody, or two."""
    words = WORD.findall(name[: people.LONGEST])
    database = next((people.database_of(word) for word in words if people.is_database(word)), database)
    words = [word for word in words if not people.is_database(word)]
    spelled = [word for word in words if any(form.fullmatch(word) for form, _ in people.FORMS)]
    for some in ([word for word in spelled if not word.isdecimal()], spelled, words if database or fallback else []):
        numbered = [word for word in some if SUBJECT.fullmatch(word) or word in spelled]
        if len(set(numbered)) == 1:
            owner = people.subject_of(numbered[0], database, fallback)
            return owner.partition("/")[0], owner.partition("/")[2]
        if numbered:
            return None
    return None


def _tells(found: Columns) -> bool:
    """Return whether a file itself says whose its clips are."""
    named = roles([*found.cells]).named
    if "subject" in named:
        return True
    try:
        return "clip" in named and all(people.subject_in(str(clip), None) for clip in found.cells[named["clip"]])
    except ValueError:
        return False


def _check(parts: list[_Part], folder: Path) -> None:
    """Refuse parts that do not make one set of predictions.

    Raises:
        UserError: it is not told whose one is, two are of one subject, or one has other columns than the first.
    """
    whose: dict[tuple[str, str], str] = {}
    first = _roles(parts[0])
    for part in parts:
        where = folder / part.name
        if part.owner is None and not _tells(part.columns):
            raise UserError("neither its name nor a column tells whose predictions these are", where=where, remedy=REMEDY)
        strange = _contradicted(part)
        if strange:
            raise UserError(
                f"its name says subject {'/'.join(part.owner or ())}, and its clip {strange}",
                where=where,
                remedy="name it after its own subject",
            )
        if part.owner is not None and part.owner in whose:
            raise UserError(
                f"two files are of subject {'/'.join(part.owner)}: {whose[part.owner]} and {part.name}",
                where=folder.absolute(),
                remedy="keep one: name the folder of one evaluation; several seeds or epochs go into one table with such a column",
            )
        if part.owner is not None:
            whose[part.owner] = part.name
        if _roles(part) != first:
            raise UserError(
                f"it has other columns than {parts[0].name}: {', '.join(sorted(_roles(part)))[:200]}, not {', '.join(sorted(first))[:200]}",
                where=where,
                remedy="write the files of all subjects alike",
            )


def _contradicted(part: _Part) -> str:
    """Return a clip that tells of somebody else than the file's name; empty where there is none."""
    clips = part.columns.cells.get(roles([*part.columns.cells]).named.get("clip", ""), ())
    for clip in map(str, clips if part.owner else ()):
        with contextlib.suppress(ValueError):
            if people.subject_in(clip, (part.owner or ("",))[0]) != "/".join(part.owner or ()):
                return clip[:60]
    return ""


def _roles(part: _Part) -> set[str]:
    """Return what the columns of a part are, whatever they are called; its subject is always there."""
    found = roles([*part.columns.cells])
    return {*found.named, *(f"p_{name}" for name in found.classes)} | ({"subject", "database"} if part.owner else set())


def _joined(parts: list[_Part], passed: list[str], empty: list[str]) -> Columns:
    cells: dict[str, list[Cell]] = {}
    for part in parts:
        found = roles([*part.columns.cells])
        rows = len(part.columns.cells[found.named["truth"]])
        told = {role: [*part.columns.cells[column]] for role, column in found.named.items()}
        told |= {f"p_{name}": [*part.columns.cells[column]] for name, column in found.classes.items()}
        if part.owner is not None:
            told |= {"database": [part.owner[0]] * rows, "subject": [part.owner[1]] * rows}
        for name, column in told.items():
            cells.setdefault(name, []).extend(column)
    by_name = [part for part in parts if part.owner is not None]
    notes = [*dict.fromkeys(note for part in parts for note in part.columns.notes)]
    if by_name:
        whose = ", ".join(f"{part.name} of {'/'.join(part.owner)}" for part in by_name[:2] if part.owner)
        notes.insert(0, f"whose predictions these are is told by the names of {len(by_name)} files, such as {whose}")
    if empty:
        notes.append(
            f"no predictions stand in {_few(empty)}: that subject's clips are left out (CausalNet's script does so where every epoch "
            "judged all of them wrong, which flatters its score)"
        )
    if passed:
        notes.append(f"{len(passed)} file{'s' if len(passed) > 1 else ''} without predictions passed over: {_few(passed)}")
    count = f"{len(parts)} file{'s' if len(parts) > 1 else ''}"
    return Columns(f"folder of {count}: {parts[0].columns.form}", cells, best=any(part.columns.best for part in parts), notes=tuple(notes))


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
