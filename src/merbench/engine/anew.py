"""Preparation done anew with one subject's files replaced: what is prepared of the others must not change."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from merbench.config import Data
from merbench.data import databases, frames, load, places, schemes, store
from merbench.data.prepare import Watch
from merbench.data.prepared import Prepared
from merbench.data.sources import published_flow
from merbench.errors import UserError
from merbench.settings import data_path, variable


def prepared_anew(
    data: Data, scheme: str, database: str, subject: str, prepared: Prepared, watch: Watch, workers: int
) -> tuple[list[str], int]:
    """Prepare a database anew with one subject's files replaced by another's, and compare everybody else's clips with what is prepared.

    The replaced copy is made of links where the disk allows, beside the prepared data, and removed afterwards, by the next preparation where
    this one is killed. Nothing is written through a link: preparation opens what is delivered for reading only.

    Args:
        data, scheme: of the run.
        database: which is prepared.
        subject: whose files are replaced.
        prepared: what a run reads.
        watch, workers: as in `load.ready`.

    Returns:
        what is not the same, by clip and array; and how many clips were compared.

    Raises:
        UserError: the database itself is not here, or the replaced one cannot be prepared.
    """
    source = data.source
    folder = data_path(source) if source == published_flow.NAME else places.place(source, database)
    if folder is None:
        raise UserError("the database is not here, only what was prepared of it", remedy="audit where it lies")
    files = _files(data, scheme, database, folder)
    own = [key for key in files if key.startswith(f"{subject}/")]
    donor = _donor(files, subject)
    swap: dict[Path, Path] = {}
    for index, key in enumerate(own):
        other = files[donor[index % len(donor)]]
        swap.update({path: other[place % len(other)] for place, path in enumerate(files[key])})
    with store.unfinished(store.ROOT / source) as made:
        copy = made / folder.name
        mirror(folder, copy, swap)
        place = copy
        if source == places.SYNTHETIC:
            mirror(folder.parent / "truth" / database, made / "truth" / database, {})
            place = made
        name = databases.known()[database].place if source == places.FRAMES else source
        with _lies(name, place):
            again = store.load(*load.ready(replace(data, on=database), scheme, root=made / "prepared", watch=watch, workers=workers))
            return _unlike(_part(prepared, database), again, subject)


def mirror(folder: Path, target: Path, swap: Mapping[Path, Path]) -> None:
    """Make a folder again, of links to its files, some of them replaced by others."""
    for parent, _, names in os.walk(folder, followlinks=True):
        below = target / Path(parent).relative_to(folder)
        below.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = Path(parent) / name
            try:
                os.link(swap.get(path, path).resolve(), below / name)
            except OSError:  # another disk, or one without links
                shutil.copy2(swap.get(path, path), below / name)


def _files(data: Data, scheme: str, database: str, folder: Path) -> dict[str, list[Path]]:
    """Return every image of every clip, by clip key, in order."""
    if data.source == published_flow.NAME:
        found = published_flow.locate(folder, schemes.scheme(scheme))
        return {key: [path] for key, path in found.items() if key.startswith(f"{database}/")}
    footage = load.part(data, scheme, database, folder).footage
    return {each.clip.key: list(frames.numbered(each.onset.parent).values()) for each in footage}


def _donor(files: Mapping[str, list[Path]], subject: str) -> list[str]:
    """Return the clips of the other subject who has most."""
    others: dict[str, list[str]] = {}
    for key in files:
        others.setdefault(key.rsplit("/", 1)[0], []).append(key)
    others.pop(subject, None)
    if not others:
        raise UserError("there is no second subject whose files could be put there")
    return max(others.values(), key=len)


@contextlib.contextmanager
def _lies(name: str, place: Path) -> Iterator[None]:
    """Let a database lie elsewhere for a while."""
    before = os.environ.get(variable(name))
    os.environ[variable(name)] = str(place.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable(name)]
        else:
            os.environ[variable(name)] = before


def _part(prepared: Prepared, database: str) -> Prepared:
    """Return one database's clips of what a run reads, with their arrays."""
    for part in prepared.parts or (prepared,):
        inside = [index for index, clip in enumerate(part.clips) if clip.database == database]
        if inside:
            first, last = inside[0], inside[-1] + 1
            arrays = {name: array[first:last] for name, array in part.arrays.items()}
            return Prepared(
                database, part.source, part.scheme, part.clips[first:last], part.classes, part.labels[first:last], arrays, part.units
            )
    raise ValueError(f"no clip of {database} is prepared")


def _unlike(before: Prepared, after: Prepared, subject: str) -> tuple[list[str], int]:
    """Return what is not the same of everybody but a subject, and how many clips were compared.

    Raises:
        UserError: the subject's own arrays did not change: nothing was proved.
    """
    unlike, compared, noticed = [], 0, False
    positions = {clip.key: index for index, clip in enumerate(after.clips)}
    for index, clip in enumerate(before.clips):
        if clip.key not in positions:
            unlike.append(f"{clip.key}: gone")
            continue
        other = positions[clip.key]
        changed = [
            name
            for name, array in before.arrays.items()
            if not np.array_equal(array[index], after.arrays[name][other], equal_nan=array.dtype.kind == "f")
        ]
        if clip.subject == subject:
            noticed = noticed or bool(changed)
            continue
        compared += 1
        if clip != after.clips[other] or before.labels[index] != after.labels[other]:
            changed.append("its annotations")
        unlike += [f"{clip.key}: {name}" for name in changed]
    if not noticed:
        raise UserError("the subject's files were replaced, and nothing was prepared otherwise")
    return unlike, compared
