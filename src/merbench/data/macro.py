"""Macro-expression clips made ready to pre-train on: those of CAS(ME)^3, from the same source as the run's own data.

Their prepared sets lie in a folder of their own below that of all others: they are no database that a run can be judged on.
"""

from __future__ import annotations

from pathlib import Path

from merbench.data import databases, load, store
from merbench.data.frames import Footage
from merbench.data.prepare import Watch, prepare, silent
from merbench.data.sources import casme3
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.settings import data_path, variable

PART = "macro"
"""What ``merbench prepare`` and the renderer call them."""
SCHEME = casme3.seven(()).name


def ready(source: str, root: Path = store.ROOT, watch: Watch = silent, workers: int | None = None) -> Path:
    """Return the folder of the prepared macro clips of a source, made where it is not there yet.

    Args:
        source: of the run: ``frames``, or ``synthetic``.
        root: of all prepared sets.
        watch: told about progress.
        workers: processes; None for one per core.

    Raises:
        UserError: the source has no macro clips, none are set up, or they cannot be used.
    """
    load.check_source(source)
    if source not in (load.FRAMES, load.SYNTHETIC):
        raise UserError(
            f"{source} has no macro-expression clips to pre-train on",
            where=f"data.source={source}",
            remedy=f"use --source {load.FRAMES} with {casme3.NAME} set up, or --source {load.SYNTHETIC}, or a method without pre-training on them",
        )
    root = root / PART
    path = place(source)
    if path is None:
        stored = store.find(root, source, SCHEME, casme3.MACRO)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(source, stored)
    found = real(path) if source == load.FRAMES else casme3.macro(path)
    return prepare(source, casme3.seven(tuple(each.clip for each in found)), found, root=root, watch=watch, workers=workers)


def place(source: str, folder: Path | None = None) -> Path | None:
    """Return the folder of CAS(ME)^3 with macro clips, real or rendered; None where there is none.

    Args:
        source: ``frames`` or ``synthetic``.
        folder: of rendered databases; None for the one that is set up.

    Raises:
        UserError: the settings or the mark of a rendered database are damaged.
    """
    if source == load.FRAMES:
        return data_path(casme3.NAME)
    path = (folder or data_path(load.SYNTHETIC) or Path(load.SYNTHETIC)) / marker.ROOTS[PART]
    parts = (marker.read(path) or {"parts": {}})["parts"]
    return path if parts.get(PART, {}).get("finished") else None


def real(folder: Path) -> tuple[Footage, ...]:
    """Return the recorded macro clips.

    Raises:
        UserError: the folder is a rendered one, or clips cannot be used; each is named.
    """
    load.check_recorded(casme3.NAME, folder)
    found = casme3.macro(folder)
    for tree in dict.fromkeys(each.onset.parents[1] for each in found):
        load.check_recorded(casme3.NAME, tree)
    return found


def set_up() -> str:
    """Return the more telling source of which macro clips are set up; ``frames`` where none are."""
    return load.SYNTHETIC if place(load.FRAMES) is None and place(load.SYNTHETIC) is not None else load.FRAMES


def _nothing_set_up(source: str, stored: list[Path]) -> UserError:
    if stored:
        return UserError(
            f"there are {len(stored)} prepared sets of macro-expression clips from {source}, and no copy to choose by",
            where=stored[0].parent,
            remedy="delete all but one of them, or set the source: merbench data set",
        )
    if source == load.SYNTHETIC:
        folder = data_path(load.SYNTHETIC) or Path(load.SYNTHETIC)
        size = next((size for size in map(load.rendered_size, databases.known()) if size), "mini")
        return UserError(
            "no rendered macro-expression clips are set up, and the method is pre-trained on them",
            where=folder,
            remedy=f"merbench synth {folder} --size {size} --on {PART}",
        )
    return UserError(
        f"no macro-expression clips are set up, and the method is pre-trained on them: {casme3.NAME} has no folder yet",
        where=f"merbench.yaml in this folder, and the variable {variable(casme3.NAME)}",
        remedy=f"merbench data set {casme3.NAME} PATH, where PATH is your copy as its owners delivered it (docs/data.md)",
    )
