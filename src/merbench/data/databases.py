"""All databases that merbench reads: each module in `data.sources` that has ``DATABASES`` adds its own."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable

from merbench.data import sources
from merbench.data.copies import Database
from merbench.data.manifest import COMPOSITES
from merbench.errors import UserError
from merbench.registry import nearest


@functools.cache
def known() -> dict[str, Database]:
    """Return every database by name, in listed order."""
    modules = [importlib.import_module(f"{sources.__name__}.{module.name}") for module in pkgutil.iter_modules(sources.__path__)]
    found: list[Database] = [each for module in modules for each in getattr(module, "DATABASES", ())]
    return {each.name: each for each in sorted(found, key=lambda each: (each.rank, each.name))}


def places() -> tuple[str, ...]:
    """Return the names under which folders of databases are set; several databases may come in one."""
    return tuple(dict.fromkeys(each.place for each in known().values()))


def databases_of(on: str) -> tuple[str, ...]:
    """Return the databases behind ``smic``, ``smic+casme2`` or ``3db``, in listed order.

    Raises:
        UserError: an unknown database, or one named twice.
    """
    named: list[str] = []
    for part in on.split("+"):
        name = part.strip().lower()
        if name not in known() and name not in COMPOSITES:
            raise UserError(
                f"there is no database '{part}'" if part else "a database's name is empty",
                where=f"--on {on}",
                remedy=nearest(name, (*known(), *COMPOSITES)) + "; join several with '+', as in smic+casme2",
            )
        named.extend(COMPOSITES.get(name, (name,)))
    if len(set(named)) < len(named):
        raise UserError("a database is named twice", where=f"--on {on}", remedy=f"write {join(set(named))}")
    return tuple(database for database in known() if database in named)


def join(databases: Iterable[str]) -> str:
    """Return the one name of a set of databases: ``3db`` for the three, else joined with '+' in listed order."""
    wanted = set(databases)
    for short, members in COMPOSITES.items():
        if wanted == set(members):
            return short
    return "+".join(database for database in known() if database in wanted)
