"""From a request's data to prepared sets: read from the source, or from the store where the source is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from merbench import guard, settings
from merbench.config import Data
from merbench.data import apexes, copies, databases, frames, manifest, schemes, store
from merbench.data.copies import Copy
from merbench.data.frames import Apex, Footage
from merbench.data.prepare import Lost, Watch, how, prepare, silent
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.data.sources import published_flow
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip
from merbench.settings import data_path, variable

FRAMES, SYNTHETIC = "frames", settings.SYNTHETIC
SOURCES = (FRAMES, published_flow.NAME, SYNTHETIC)
"""Where arrays may come from, the most telling first: the databases' own frames, published flow, rendered databases."""

PLACES = settings.PLACES
"""What ``merbench data set`` knows: every database, published flow, rendered databases, a table of apexes."""

footage = copies.footage
"""How the files of clips are found; a name of its own, so that an audit's planted leaks have a door."""


@dataclass(frozen=True)
class Part:
    """One database of a request, found.

    Attributes:
        copy: by the sheet that gives the scheme.
        scheme: its clips of this database.
        footage: of these, in listed order.
        truths: the renderer's record of each, where it is rendered.
    """

    copy: Copy
    scheme: Scheme
    footage: tuple[Footage, ...]
    truths: tuple[Path, ...] = ()


def ready(
    data: Data,
    scheme_name: str,
    root: Path = store.ROOT,
    watch: Watch = silent,
    workers: int | None = None,
    lost: Lost = "borrow",
) -> tuple[Path, ...]:
    """Return the folders of the prepared sets behind a request, made where they are not there yet.

    Args:
        data, scheme_name: of the request.
        root: of all prepared sets.
        watch: told about progress.
        workers: processes; None for one per core.
        lost: what becomes of clips in which no face is found, as in `prepare`.

    Raises:
        UserError: unknown names, no data set up, or data that do not fit the scheme.
    """
    check_source(data.source)
    schemes.check(scheme_name)
    parts = databases.databases_of(data.on)
    strange = [database for database in parts if database not in schemes.databases(scheme_name)]
    if strange:
        raise UserError(
            f"scheme {scheme_name} is of {' and '.join(schemes.databases(scheme_name))}, not of {' and '.join(strange)}",
            where=f"--on {data.on} --scheme {scheme_name}",
            remedy=f"schemes of {strange[0]}: {', '.join(schemes.whole_of(strange[0])) or 'none is known'}",
        )
    if data.source == published_flow.NAME:
        if data.changes or not scheme_name.startswith("megc3"):
            raise UserError(
                f"published flow is of the clips and apexes of MEGC2019 alone, not of {', '.join((*data.changes, scheme_name))}",
                where=f"--source {data.source}",
                remedy=f"use --scheme megc3, or frames: --source {FRAMES}",
            )
        return (_published(schemes.scheme(scheme_name), parts, root),)
    found = [_looked_up(data, scheme_name, database, root) for database in parts]  # all, before work is begun on one
    return tuple(
        each
        if isinstance(each, Path)
        else prepare(
            data.source,
            each.scheme,
            each.footage,
            truths=each.truths,
            root=root,
            watch=watch,
            workers=workers,
            face=data.face,
            lost=lost,
            changes=data.changes,
        )
        for each in found
    )


def part(data: Data, scheme_name: str, database: str, path: Path) -> Part:
    """Return what a copy has of one database's clips of a scheme.

    Args:
        data, scheme_name: of the request.
        database: one of its databases.
        path: the folder of the copy.

    Raises:
        UserError: a recorded copy is a rendered one, the sheet does not give the scheme, or clips cannot be used; each is named.
    """
    surveyed = recorded(database, path, data.face) if data.source == FRAMES else survey(database, path, data.face)
    scheme, copy = schemes.of(scheme_name, database, surveyed)
    apex: Apex = data.apex if data.apex != "table" else own_apexes(copy)
    if data.source == FRAMES:
        return Part(copy, scheme, footage(copy, scheme.clips, apex))
    truths = tuple(_truth(path.parent, clip) for clip in scheme.clips)
    lost = [truth for truth in truths if not truth.is_file()]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(truths)} clips of {scheme.name} are not rendered in this {database}",
            where=lost[0],
            remedy=f"merbench synth {path.parent} --size {'mini' if schemes.is_mini(scheme.name) else 'full'}, or another --scheme",
        )
    return Part(copy, scheme, footage(copy, scheme.clips, apex), truths)


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


def own_apexes(copy: Copy) -> dict[str, int]:
    """Return the user's table of apexes.

    Raises:
        UserError: there is none, it cannot be read, or it names clips of this database that the copy has not.
    """
    path = settings.data_path(settings.APEXES)
    table = apexes.table(path)
    strange = [key for key in table if key.partition("/")[0] == copy.database and key not in copy.by_key]
    if strange:
        raise UserError(
            f"the table of apexes names {len(strange)} clip{'s' * (len(strange) > 1)} that this {copy.database} has not: "
            f"{', '.join(strange[: frames.TOLD])}",
            where=path,
            remedy=nearest(strange[0], copy.by_key) + "; subject and clip are written as the doctor writes them",
        )
    return table


def read(database: str, path: Path, clips: Sequence[Clip], apex: Apex = "middle") -> tuple[Footage, ...]:
    """Return the files of these clips, by the first sheet.

    Raises:
        UserError: clips cannot be used; each is named.
    """
    return footage(survey(database, path)[0], clips, apex)


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
            raise _nothing_set_up(source, "any database", stored)
        found = published_flow.locate(path, scheme)
        whole = [each for each in parts if all(clip.key in found for clip in scheme.select((each,)))]
    else:
        whole = [each for each in parts if place(source, each) or store.find(root, source, scheme_name, each)]
        if not whole:
            raise _nothing_set_up(source, "any database", [])
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


def _published(scheme: Scheme, parts: tuple[str, ...], root: Path) -> Path:
    on, path = databases.join(parts), data_path(published_flow.NAME)
    if path is None:
        stored = store.find(root, published_flow.NAME, scheme.name, on)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(published_flow.NAME, on, stored)
    images = published_flow.read(path, scheme, parts)
    clips = scheme.select(parts)
    labels = np.array([scheme.labels[clip.key] for clip in clips], dtype=np.int64)
    return store.save(Prepared(on, published_flow.NAME, scheme.name, clips, scheme.classes, labels, {"flow": images}, "relative"), root)


def _looked_up(data: Data, scheme_name: str, database: str, root: Path) -> Part | Path:
    """Return what a copy has of one database, or the set that was prepared of it elsewhere."""
    path = place(data.source, database)
    return _stored(data, scheme_name, database, root) if path is None else part(data, scheme_name, database, path)


def _stored(data: Data, scheme_name: str, database: str, root: Path) -> Path:
    """Return the set that was prepared elsewhere as it is asked for.

    Raises:
        UserError: there is none, or several, or it has not the clips and classes of a listed scheme.
    """
    every = store.find(root, data.source, scheme_name, database)
    fitting = store.find(root, data.source, scheme_name, database, how(data.changes))
    if every and not fitting:
        raise UserError(
            f"{database} was prepared with other settings or by another version than asked for ({how(data.changes)})",
            where=every[0],
            remedy="ask for what was prepared (--apex, --face), or prepare it where the frames are and copy prepared/ again",
        )
    if len(fitting) != 1:
        raise _nothing_set_up(data.source, database, fitting)
    if schemes.is_listed(scheme_name):
        listed, prepared = schemes.listed_part(scheme_name, database), store.load(fitting[0])
        labels = dict(zip((clip.key for clip in prepared.clips), prepared.labels.tolist(), strict=True))
        if labels != {clip.key: listed.labels[clip.key] for clip in listed.clips}:
            raise UserError(
                f"the prepared {database} has other clips or classes than {scheme_name}",
                where=fitting[0],
                remedy="prepare it again where the frames are, and copy prepared/ again",
            )
    return fitting[0]


def _truth(root: Path, clip: Clip) -> Path:
    """Return the renderer's record of a clip.

    Raises:
        UserError: a link leads out of the rendered databases.
    """
    try:
        return guard.inside(root, "truth", *clip.subject.split("/"), f"{clip.name}.npz")
    except ValueError as error:
        raise UserError(
            f"the record of {clip.key} lies elsewhere: {error}", where=root / "truth", remedy="render again: merbench synth"
        ) from error


def _nothing_set_up(source: str, on: str, stored: list[Path]) -> UserError:
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
