"""The clip lists and tables in data_manifests, read and checked."""

from __future__ import annotations

import csv
import functools

from merbench.config import shipped
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip

DATABASES = ("smic", "casme2", "samm")
"""In the order in which clips are listed, everywhere."""

COMPOSITES = {"3db": ("smic", "casme2", "samm")}
"""Short names: 3DB is the composite of MEGC2019."""


def table(name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read one CSV of data_manifests.

    Raises:
        UserError: the file is missing or its columns are others.
    """
    path = shipped("data_manifests") / f"{name}.csv"
    if not path.is_file():
        raise UserError(f"the manifest '{name}' is missing", where=path, remedy="restore it: git checkout -- data_manifests")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != columns:
            raise UserError(
                f"columns are {', '.join(reader.fieldnames or ())}; they should be {', '.join(columns)}",
                where=path,
                remedy="restore it: git checkout -- data_manifests",
            )
        return list(reader)


@functools.cache
def megc2019() -> tuple[tuple[Clip, str], ...]:
    """Return the 442 clips of MEGC2019 with their class name, by database, subject and clip."""
    rows = table("megc2019", ("database", "subject", "clip", "class"))
    return tuple((Clip(r["database"], f"{r['database']}/{r['subject']}", r["clip"]), r["class"]) for r in rows)


@functools.cache
def _people() -> dict[str, str]:
    return {row["set"]: row["people_of"] for row in table("persons", ("set", "people_of", "source"))}


def person_of(subject: str) -> str:
    """Return who a subject is: ``smic/s11`` for ``smic-vis/s11``, who is filmed by another camera; a subject itself where nothing is known.

    Whoever is held out is held out under every name (``persons.csv``).
    """
    database, _, name = subject.partition("/")
    return f"{_people().get(database, database)}/{name}"


def databases_of(on: str) -> tuple[str, ...]:
    """Return the databases behind ``smic``, ``smic+casme2`` or ``3db``, in listed order.

    Raises:
        UserError: an unknown database, or one named twice.
    """
    named: list[str] = []
    for part in on.split("+"):
        name = part.strip().lower()
        if name not in DATABASES and name not in COMPOSITES:
            raise UserError(
                f"there is no database '{part}'" if part else "a database's name is empty",
                where=f"--on {on}",
                remedy=nearest(name, (*DATABASES, *COMPOSITES)) + "; join several with '+', as in smic+casme2",
            )
        named.extend(COMPOSITES.get(name, (name,)))
    if len(set(named)) < len(named):
        raise UserError("a database is named twice", where=f"--on {on}", remedy=f"write {join(set(named))}")
    return tuple(database for database in DATABASES if database in named)


def join(databases: set[str] | tuple[str, ...]) -> str:
    """Return the one name of a set of databases: ``3db`` for the three, else joined with '+' in listed order."""
    for short, members in COMPOSITES.items():
        if set(databases) == set(members):
            return short
    return "+".join(database for database in DATABASES if database in databases)
