"""The clip lists and tables in data_manifests, read and checked."""

from __future__ import annotations

import csv
import functools
import io

from merbench import guard
from merbench.config import shipped
from merbench.errors import UserError
from merbench.sample import Clip

LARGEST = 2**24
"""Bytes of a manifest."""

RESTORE = "restore it: git checkout -- data_manifests"

DATABASES = ("smic", "casme2", "samm")
"""Of MEGC2019, in the order in which clips are listed, everywhere."""

DROPPED = ("casme2/sub04/EP12_01f", "casme2/sub05/EP09_05f")
"""Eligible clips that its organisers left out: one has no apex, of the other it is the onset."""

CLASSES = ("negative", "positive", "surprise")
"""Of MEGC2019."""

COMPOSITES = {"3db": ("smic", "casme2", "samm")}
"""Short names: 3DB is the composite of MEGC2019."""


def table(name: str, columns: tuple[str, ...], blank: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Read one CSV of data_manifests; only the columns in ``blank`` may have empty cells.

    Raises:
        UserError: the file is missing or its columns are others.
    """
    path, spared = shipped("data_manifests") / f"{name}.csv", f" but {', '.join(blank)}" if blank else ""
    if not path.is_file():
        raise UserError(f"the manifest '{name}' is missing", where=path, remedy=RESTORE)
    try:
        text = guard.read(path, LARGEST).decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = next(reader, [])
        if tuple(head) != columns:
            raise ValueError(f"line 1: columns are {', '.join(head)[:200]}; they should be {', '.join(columns)}")
        rows = []
        for cells in reader:
            if len(cells) != len(columns) or not all(
                (cell or name in blank) and cell.isprintable() and cell == cell.strip() for name, cell in zip(columns, cells, strict=True)
            ):
                raise ValueError(
                    f"line {reader.line_num}: {len(cells)} cells; {len(columns)} are wanted, none of them empty{spared} or with blanks around it"
                )
            rows.append(dict(zip(columns, cells, strict=True)))
    except (OSError, ValueError, csv.Error) as error:
        reason = f"line {reader.line_num}: {error}" if isinstance(error, csv.Error) else error
        raise UserError(f"the manifest '{name}' cannot be read: {reason}", where=path, remedy=RESTORE) from error
    return rows


@functools.cache
def megc2019() -> tuple[tuple[Clip, str], ...]:
    """Return the 442 clips of MEGC2019 with their class name, by database, subject and clip.

    Raises:
        UserError: the list cannot be read, names a clip twice, or has a name that cannot be a folder's; the line is named.
    """
    found: dict[str, tuple[Clip, str]] = {}
    for line, row in enumerate(table("megc2019", ("database", "subject", "clip", "class")), 2):
        try:
            database, subject, name = (guard.plain(row[part]) for part in ("database", "subject", "clip"))
            clip = Clip(database, f"{database}/{subject}", name)
            if database not in DATABASES or row["class"] not in CLASSES or clip.key in found:
                raise ValueError(f"{clip.key} stands there twice, or its database or class '{row['class']}' is unknown")
        except ValueError as error:
            raise UserError(
                f"the manifest 'megc2019' is wrong: {error}",
                where=f"{shipped('data_manifests') / 'megc2019.csv'}, line {line}",
                remedy=RESTORE,
            ) from error
        found[clip.key] = (clip, row["class"])
    return tuple(found.values())


@functools.cache
def _people() -> dict[str, str]:
    return {row["set"]: row["people_of"] for row in table("persons", ("set", "people_of", "source"))}


def person_of(subject: str) -> str:
    """Return who a subject is: ``smic/s11`` for ``smic-vis/s11``, who is filmed by another camera; a subject itself where nothing is known.

    Whoever is held out is held out under every name (``persons.csv``).
    """
    database, _, name = subject.partition("/")
    return f"{_people().get(database, database)}/{name}"
