"""From a request's data to prepared sets: read from the source, or from the store where the source is not here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from merbench import guard, settings
from merbench.config import Data
from merbench.data import manifest, schemes, store
from merbench.data.frames import Footage
from merbench.data.prepare import Watch, prepare, silent
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.data.sources import casme2, published_flow, samm, smic
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip
from merbench.settings import data_path, variable

FRAMES, SYNTHETIC = "frames", "synthetic"
SOURCES = (FRAMES, published_flow.NAME, SYNTHETIC)
"""Where arrays may come from, the most telling first: the databases' own frames, published flow, rendered databases."""

READERS: dict[str, Callable[[Path, Sequence[Clip]], tuple[Footage, ...]]] = {
    smic.NAME: smic.read,
    casme2.NAME: casme2.read,
    samm.NAME: samm.read,
}
"""How each database's frames are found."""

PLACES = settings.PLACES
"""What ``merbench data set`` knows: every reader, published flow, rendered databases."""


def ready(data: Data, scheme_name: str, root: Path = store.ROOT, watch: Watch = silent, workers: int | None = None) -> tuple[Path, ...]:
    """Return the folders of the prepared sets behind a request, made where they are not there yet.

    Args:
        data, scheme_name: of the request.
        root: of all prepared sets.
        watch: told about progress.
        workers: processes; None for one per core.

    Raises:
        UserError: unknown names, no data set up, or data that do not fit the clip list.
    """
    check_source(data.source)
    scheme = schemes.scheme(scheme_name)
    databases = manifest.databases_of(data.on)
    if data.source == published_flow.NAME:
        return (_published(scheme, databases, root),)
    return tuple(_frames(data.source, scheme, database, root, watch, workers) for database in databases)


def complete(source: str, scheme_name: str, root: Path = store.ROOT) -> str:
    """Return the composite of all databases of which every clip is there; ``3db`` where none is, so that a run names what is missing.

    Raises:
        UserError: no data are set up.
    """
    scheme = schemes.scheme(scheme_name)
    if source == published_flow.NAME:
        path = data_path(source)
        if path is None:
            stored = store.find(root, source, scheme_name)
            if len(stored) == 1:
                return store.load(stored[0]).on
            raise _nothing_set_up(source, "any database", stored)
        found = published_flow.locate(path, scheme)
        whole = [each for each in manifest.DATABASES if all(clip.key in found for clip in scheme.select((each,)))]
    else:
        whole = [each for each in manifest.DATABASES if place(source, each) or store.find(root, source, scheme_name, each)]
        if not whole:
            raise _nothing_set_up(source, "any database", [])
    return manifest.join(tuple(whole)) or "3db"


def set_up(root: Path = store.ROOT) -> str | None:
    """Return the most telling source of which something is set up or prepared; None where nothing is."""
    for source in SOURCES:
        there = data_path(source) if source == published_flow.NAME else any(place(source, database) for database in READERS)
        if there or store.schemes_of(root, source):
            return source
    return None


def scheme_for(source: str, folder: Path | None = None, root: Path = store.ROOT) -> str:
    """Return the scheme that a source is good for when none is asked for: of a cut-down rendering or store the cut-down one, else ``megc3``.

    Args:
        source: of the data.
        folder: of rendered databases; None for the one that is set up.
        root: of all prepared sets, asked where no database is set up.
    """
    if source == SYNTHETIC and (sizes := {rendered_size(database, folder) for database in READERS} - {None}):
        return schemes.FIRST_LOOK if "mini" in sizes else "megc3"
    stored = store.schemes_of(root, source)
    nothing_else = not (data_path(source) if source == published_flow.NAME else any(place(source, database) for database in READERS))
    return schemes.FIRST_LOOK if stored == {schemes.FIRST_LOOK} and nothing_else else "megc3"


def place(source: str, database: str) -> Path | None:
    """Return the folder of a database's frames, real or rendered; None where none is set up.

    Raises:
        UserError: the settings are not valid.
    """
    if source == FRAMES:
        return data_path(database)
    return (data_path(SYNTHETIC) or Path(SYNTHETIC)) / database if source == SYNTHETIC and rendered_size(database) else None


def marked(folder: Path) -> bool:
    """Return whether a folder is a rendered database, or lies in one: its rows are synthetic wherever it goes.

    Raises:
        UserError: the mark is damaged.
    """
    places = (folder, *folder.absolute().parents[:4], *folder.resolve().parents[:4])  # a link may point into one
    return any(marker.read(path) is not None for path in places)


def rendered_size(database: str, folder: Path | None = None) -> str | None:
    """Return ``mini`` or ``full`` where a rendered database is there and whole; None where it is not.

    Raises:
        UserError: the settings, or the mark of the database, are damaged.
    """
    about = marker.read((folder or data_path(SYNTHETIC) or Path(SYNTHETIC)) / database)
    return str(about["size"]) if about is not None and about["finished"] else None


def rendered(folder: Path) -> str:
    """Say what a folder of rendered databases holds.

    Raises:
        UserError: it holds none that is whole.
    """
    there = {database: rendered_size(database, folder) for database in READERS}
    if not any(there.values()):
        raise UserError(
            "the folder holds no rendered database that is whole", where=folder, remedy=f"merbench synth {folder} --size mini (or full)"
        )
    return ", ".join(f"{database} {size}" if size else f"{database} not there or not finished" for database, size in there.items())


def real(database: str, folder: Path, clips: Sequence[Clip]) -> tuple[Footage, ...]:
    """Return the footage of a recorded database's clips.

    Raises:
        UserError: the folder is a rendered one, or clips cannot be used; each is named.
    """
    check_recorded(database, folder)
    return READERS[database](folder, clips)


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
    if name in manifest.DATABASES:
        raise UserError(f"{name} is a database, not a source", where="--source", remedy=f"--source {FRAMES} --on {name}")
    if name not in SOURCES:
        raise UserError(f"there is no data source '{name}'", remedy=nearest(name, SOURCES))


def _published(scheme: Scheme, databases: tuple[str, ...], root: Path) -> Path:
    on, path = manifest.join(databases), data_path(published_flow.NAME)
    if path is None:
        stored = store.find(root, published_flow.NAME, scheme.name, on)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(published_flow.NAME, on, stored)
    images = published_flow.read(path, scheme, databases)
    clips = scheme.select(databases)
    labels = np.array([scheme.labels[clip.key] for clip in clips], dtype=np.int64)
    return store.save(Prepared(on, published_flow.NAME, scheme.name, clips, scheme.classes, labels, {"flow": images}, "relative"), root)


def _frames(source: str, scheme: Scheme, database: str, root: Path, watch: Watch, workers: int | None) -> Path:
    path = place(source, database)
    if path is None:
        stored = store.find(root, source, scheme.name, database)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(source, database, stored)
    clips = scheme.select((database,))
    if source == FRAMES:
        return prepare(source, scheme, real(database, path, clips), root=root, watch=watch, workers=workers)
    truths = [_truth(path.parent, clip) for clip in clips]
    lost = [truth for truth in truths if not truth.is_file()]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(truths)} clips of {scheme.name} are not rendered in this {database}",
            where=lost[0],
            remedy=f"merbench synth {path.parent} --size {'mini' if scheme.name == schemes.FIRST_LOOK else 'full'}, or another --scheme",
        )
    return prepare(source, scheme, READERS[database](path, clips), truths=truths, root=root, watch=watch, workers=workers)


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
        name = on if on in READERS else "casme2"
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
