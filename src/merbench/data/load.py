"""From a request's data to a prepared set: read from the source, or from the store where the source is not here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from merbench.config import Data
from merbench.data import manifest, schemes, store
from merbench.data.prepared import Prepared
from merbench.data.sources import published_flow
from merbench.errors import UserError
from merbench.registry import nearest
from merbench.settings import data_path, variable

SOURCES = (published_flow.NAME,)


def prepare(data: Data, scheme_name: str, root: Path = store.ROOT) -> Path:
    """Return the folder of the prepared set, made where it is not there yet.

    Raises:
        UserError: unknown names, no data set up, or data that do not fit the clip list.
    """
    check_source(data.source)
    scheme = schemes.scheme(scheme_name)
    databases = manifest.databases_of(data.on)
    on = manifest.join(databases)
    path = data_path(data.source)
    if path is None:
        stored = store.find(root, data.source, scheme.name, on)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(data.source, on, stored)
    images = published_flow.read(path, scheme, databases)
    clips = scheme.select(databases)
    labels = np.array([scheme.labels[clip.key] for clip in clips], dtype=np.int64)
    return store.save(Prepared(on, data.source, scheme.name, clips, scheme.classes, labels, {"flow": images}, "relative"), root)


def complete(source: str, scheme_name: str, root: Path = store.ROOT) -> str:
    """Return the composite of all databases of which every clip is there; ``3db`` where none is, so that a run names what is missing.

    Raises:
        UserError: no data are set up.
    """
    path = data_path(source)
    if path is None:
        stored = store.find(root, source, scheme_name)
        if len(stored) == 1:
            return store.load(stored[0]).on
        raise _nothing_set_up(source, "any database", stored)
    scheme = schemes.scheme(scheme_name)
    found = published_flow.locate(path, scheme)
    whole = [each for each in manifest.DATABASES if all(clip.key in found for clip in scheme.select((each,)))]
    return manifest.join(tuple(whole)) or "3db"


def check_source(name: str) -> None:
    """Refuse an unknown data source.

    Raises:
        UserError: with the nearest name; a database's own frames are named as what this version does not read.
    """
    if name in manifest.DATABASES:
        raise UserError(
            f"this version does not read the frames of {name}, only published flow", remedy=f"merbench data set {published_flow.NAME} PATH"
        )
    if name not in SOURCES:
        raise UserError(f"there is no data source '{name}'", remedy=nearest(name, SOURCES))


def _nothing_set_up(source: str, on: str, stored: list[Path]) -> UserError:
    if stored:
        return UserError(
            f"there are {len(stored)} prepared sets of {on} from {source}, and no copy to choose by",
            where=stored[0].parent,
            remedy="delete all but one of them, or set the source: merbench data set",
        )
    return UserError(
        f"no data are set up: {source} has no folder yet",
        where=f"merbench.yaml in this folder, and the variable {variable(source)}",
        remedy=f"merbench data set {source} PATH\n"
        "PATH is the folder of 28 x 28 optical-flow images that the authors of STSTNet publish for MEGC2019,\n"
        "either flat (<subject>_<clip>.png) or with a folder per held-out subject (<subject>/u_test/<label>/*.png).\n"
        "Then, for instance: merbench bench svm_flow --on smic+casme2",
    )
