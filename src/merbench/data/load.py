"""From a request's data to prepared sets: read from the source, or from the store where the source is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from merbench import guard, settings
from merbench.config import Data
from merbench.data import apexes, copies, databases, frames, places, schemes, store
from merbench.data.copies import Copy
from merbench.data.frames import Apex, Footage
from merbench.data.prepare import Lost, Watch, how, prepare, silent
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.data.sources import published_flow
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.sample import Clip
from merbench.settings import data_path

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
    places.check_source(data.source)
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
                remedy=f"use --scheme megc3, or frames: --source {places.FRAMES}",
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
    surveyed = places.recorded(database, path, data.face) if data.source == places.FRAMES else places.survey(database, path, data.face)
    scheme, copy = schemes.of(scheme_name, database, surveyed)
    apex: Apex = data.apex if data.apex != "table" else own_apexes(copy)
    if data.source == places.FRAMES:
        return Part(copy, scheme, footage(copy, scheme.clips, apex))
    below = guard.Below(path.parent)
    truths = tuple(_truth(below, path.parent, clip) for clip in scheme.clips)
    lost = [truth for truth in truths if not truth.is_file()]
    if lost:
        raise UserError(
            f"{len(lost)} of {len(truths)} clips of {scheme.name} are not rendered in this {database}",
            where=lost[0],
            remedy=f"merbench synth {path.parent} --size {'mini' if schemes.is_mini(scheme.name) else 'full'}, or another --scheme",
        )
    return Part(copy, scheme, footage(copy, scheme.clips, apex), truths)


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
    return footage(places.survey(database, path)[0], clips, apex)


def _published(scheme: Scheme, parts: tuple[str, ...], root: Path) -> Path:
    on, path = databases.join(parts), data_path(published_flow.NAME)
    if path is None:
        stored = store.find(root, published_flow.NAME, scheme.name, on)
        if len(stored) == 1:
            return stored[0]
        raise places.nothing_set_up(published_flow.NAME, on, stored)
    images = published_flow.read(path, scheme, parts)
    clips = scheme.select(parts)
    labels = np.array([scheme.labels[clip.key] for clip in clips], dtype=np.int64)
    return store.save(Prepared(on, published_flow.NAME, scheme.name, clips, scheme.classes, labels, {"flow": images}, "relative"), root)


def _looked_up(data: Data, scheme_name: str, database: str, root: Path) -> Part | Path:
    """Return what a copy has of one database, or the set that was prepared of it elsewhere."""
    path = places.place(data.source, database)
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
        raise places.nothing_set_up(data.source, database, fitting)
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


def _truth(below: guard.Below, root: Path, clip: Clip) -> Path:
    """Return the renderer's record of a clip.

    Raises:
        UserError: a link leads out of the rendered databases.
    """
    try:
        return below.check(root.joinpath("truth", *map(guard.plain, (*clip.subject.split("/"), f"{clip.name}.npz"))))
    except ValueError as error:
        raise UserError(
            f"the record of {clip.key} lies elsewhere: {error}", where=root / "truth", remedy="render again: merbench synth"
        ) from error
