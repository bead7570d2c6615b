"""What data are set up, where, and what they are good for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from merbench import settings
from merbench.data import databases, manifest, schemes, store
from merbench.data.copies import Copy
from merbench.data.sources import published_flow
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.settings import data_path, variable

FRAMES, SYNTHETIC = "frames", settings.SYNTHETIC
SOURCES = (FRAMES, published_flow.NAME, SYNTHETIC)
"""Where arrays may come from, the most telling first: the databases' own frames, published flow, rendered databases."""

PLACES = settings.PLACES
"""What ``merbench data set`` knows: every database, published flow, rendered databases, a table of apexes."""


def survey(database: str, path: Path, face: str = "aligned") -> tuple[Copy, ...]:
    """Return the copy of a database in a folder, by each of its sheets.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        name = databases.known()[database].place
        raise UserError(
            f"the folder of {database} is not there",
            where=path,
            remedy=f"merbench data set {name} PATH, or correct the variable {variable(name)} where it is set",
        )
    return databases.known()[database].survey(path, face == "owner")


def recorded(database: str, path: Path, face: str = "aligned") -> tuple[Copy, ...]:
    """Return the recorded copy of a database in a folder, by each of its sheets.

    Raises:
        UserError: there is none, or it is a rendered one, however deep in the folder it lies.
    """
    check_recorded(database, path)
    surveyed = survey(database, path, face)
    for tree in dict.fromkeys(copy.tree for copy in surveyed):
        check_recorded(database, tree)
    return surveyed


def complete(source: str, scheme_name: str, root: Path = store.ROOT) -> str:
    """Return the composite of all databases of which every clip is there; ``3db`` where none is, so that a run names what is missing.

    Raises:
        UserError: no data are set up.
    """
    parts = schemes.databases(scheme_name)
    if source == published_flow.NAME:
        scheme = schemes.scheme(scheme_name)
        path = data_path(source)
        if path is None:
            stored = store.find(root, source, scheme_name)
            if len(stored) == 1:
                return store.load(stored[0]).on
            raise nothing_set_up(source, "any database", stored)
        found = published_flow.locate(path, scheme)
        whole = [each for each in parts if all(clip.key in found for clip in scheme.select((each,)))]
    else:
        whole = [each for each in parts if place(source, each) or store.find(root, source, scheme_name, each)]
        if not whole:
            raise nothing_set_up(source, "any database", [])
    return databases.join(whole) or databases.join(parts)


def set_up(root: Path = store.ROOT) -> str | None:
    """Return the most telling source of which something is set up or prepared; None where nothing is."""
    for source in SOURCES:
        there = data_path(source) if source == published_flow.NAME else any(_here(source, database) for database in databases.known())
        if there or store.schemes_of(root, source):
            return source
    return None


def _here(source: str, database: str) -> bool:
    """Return whether a database's clips are there: a folder may hold another part of it alone, as macro-expressions to pre-train on."""
    folder = place(source, database)
    if folder is None or database in manifest.DATABASES or source == SYNTHETIC:
        return folder is not None
    try:
        return any(entry.folder is not None for entry in survey(database, folder)[0].entries)
    except UserError:
        return False


def scheme_for(source: str, on: Sequence[str] = (), folder: Path | None = None, root: Path = store.ROOT) -> str:
    """Return the scheme that data are good for when none is asked for: of a cut-down rendering or store the cut-down one.

    Args:
        source: of the data.
        on: databases of the run; none for those of MEGC2019.
        folder: of rendered databases; None for the one that is set up.
        root: of all prepared sets, asked where no database is set up.

    Raises:
        UserError: no scheme is of all these databases.
    """
    whole = [name for name in schemes.names() if not schemes.is_mini(name) and set(on) <= set(schemes.databases(name))]
    if not whole:
        raise UserError(f"no scheme is of {' and '.join(on)} together", where=f"--on {'+'.join(on)}", remedy="run them apart, with a comma")
    if not on and source != published_flow.NAME:  # of what is there: whoever has one database alone is not asked for three others
        there = [database for database in databases.known() if place(source, database)]
        whole.sort(key=lambda name: bool(there) and not set(there) & set(schemes.databases(name)))
    mini = f"{whole[0]}{schemes.MINI_ENDING}"
    if source == SYNTHETIC and (sizes := {rendered_size(database, folder) for database in on or databases.known()} - {None}):
        return mini if "mini" in sizes else whole[0]
    stored = store.schemes_of(root, source)
    nothing_else = not (
        data_path(source) if source == published_flow.NAME else any(place(source, database) for database in on or databases.known())
    )
    return mini if mini in stored and whole[0] not in stored and nothing_else else whole[0]


def place(source: str, database: str) -> Path | None:
    """Return the folder of a database's frames, real or rendered; None where none is set up.

    Raises:
        UserError: the settings are not valid.
    """
    where = databases.known()[database].place
    if source == FRAMES:
        return data_path(where)
    return (data_path(SYNTHETIC) or Path(SYNTHETIC)) / where if source == SYNTHETIC and rendered_size(database) else None


def marked(folder: Path) -> bool:
    """Return whether a folder is a rendered database, or lies in one: its rows are synthetic wherever it goes.

    Raises:
        UserError: the mark is damaged.
    """
    places = (folder, *folder.absolute().parents[:6], *folder.resolve().parents[:6])  # a link may point into one
    return any(marker.read(path) is not None for path in places)


def rendered_size(database: str, folder: Path | None = None) -> str | None:
    """Return ``mini`` or ``full`` where a rendered database is there and whole; None where it is not.

    Raises:
        UserError: the settings, or the mark of the database, are damaged.
    """
    where = databases.known()[database].place
    about = marker.read((folder or data_path(SYNTHETIC) or Path(SYNTHETIC)) / where)
    return str(about["size"]) if about is not None and about["parts"].get(where, {}).get("finished") else None


def rendered(folder: Path) -> str:
    """Say what a folder of rendered databases holds.

    Raises:
        UserError: it holds none that is whole.
    """
    there = {place: rendered_size(place, folder) for place in databases.places()}
    if not any(there.values()):
        raise UserError(
            "the folder holds no rendered database that is whole", where=folder, remedy=f"merbench synth {folder} --size mini (or full)"
        )
    return ", ".join(f"{database} {size}" if size else f"{database} not there or not finished" for database, size in there.items())


def check_recorded(database: str, folder: Path) -> None:
    """Refuse a rendered database where a recorded one is asked for.

    Raises:
        UserError: the folder is a rendered one.
    """
    if marked(folder):
        raise UserError(
            f"this {database} is rendered, not recorded: {marker.NAME} lies in it",
            where=folder,
            remedy=f"merbench data set {SYNTHETIC} {folder.parent}, then --source {SYNTHETIC}",
        )


def check_source(name: str) -> None:
    """Refuse an unknown data source.

    Raises:
        UserError: with the nearest name.
    """
    if name in databases.known():
        raise UserError(f"{name} is a database, not a source", where="--source", remedy=f"--source {FRAMES} --on {name}")
    if name not in SOURCES:
        raise UserError(f"there is no data source '{name}'", remedy=nearest(name, SOURCES))


def nothing_set_up(source: str, on: str, stored: list[Path]) -> UserError:
    """Return what to say of data that are not set up, or prepared in several ways with no copy to choose by: what to do, by source."""
    if stored:
        return UserError(
            f"there are {len(stored)} prepared sets of {on} from {source}, and no copy to choose by",
            where=stored[0].parent,
            remedy="delete all but one of them, or set the source: merbench data set",
        )
    if source == SYNTHETIC:
        return UserError(
            f"no rendered {on} is set up",
            where=f"merbench.yaml in this folder, the variable {variable(source)}, and the folder {SYNTHETIC}",
            remedy=f"merbench synth {SYNTHETIC} --size mini (scheme megc3-mini) or --size full (scheme megc3)",
        )
    if source == FRAMES:
        name = databases.known()[on].place if on in databases.known() else "casme2"
        return UserError(
            f"no frames are set up: {on} has no folder yet",
            where=f"merbench.yaml in this folder, and the variable {variable(name)}",
            remedy=f"merbench data set {name} PATH, where PATH is your copy as its owners delivered it (docs/data.md)",
        )
    return UserError(
        f"no data are set up: {source} has no folder yet",
        where=f"merbench.yaml in this folder, and the variable {variable(source)}",
        remedy=f"merbench data set {source} PATH\n"
        "PATH is the folder of 28 x 28 optical-flow images that the authors of STSTNet publish for MEGC2019,\n"
        "either flat (<subject>_<clip>.png) or with a folder per held-out subject (<subject>/u_test/<label>/*.png).\n"
        "Then, for instance: merbench bench svm_flow --on smic+casme2",
    )
