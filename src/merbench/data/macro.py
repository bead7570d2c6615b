"""Macro-expressions made ready to pre-train on: clips of CAS(ME)^3 or labelled pictures, from the same source as the run's own data.

Their prepared sets lie in a folder of their own below that of all others: they are no database that a run can be judged on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from merbench.data import databases, places, sheets, store
from merbench.data.frames import Footage
from merbench.data.prepare import Watch, prepare, silent
from merbench.data.prepared import Prepared
from merbench.data.sources import casme3, expressions
from merbench.data.synthetic import marker
from merbench.errors import UserError
from merbench.settings import data_path, variable

if TYPE_CHECKING:
    from merbench.batch import Inputs  # brings torch, for which a second look at prepared clips does not wait

PART = "macro"
"""What ``merbench prepare`` and the renderer call those of CAS(ME)^3."""
KINDS = (casme3.NAME, expressions.NAME)
"""What there is to pre-train on, by the name under which it is set up: macro-expression clips, and labelled pictures."""
SCHEME = casme3.seven(()).name


def ready(source: str, root: Path = store.ROOT, watch: Watch = silent, workers: int | None = None, which: str = "") -> Path:
    """Return the folder of the prepared macro clips of a source, made where it is not there yet.

    Args:
        source: of the run: ``frames``, or ``synthetic``.
        root: of all prepared sets.
        watch: told about progress.
        workers: processes; None for one per core.
        which: one of `KINDS`; empty for the one that is set up.

    Raises:
        UserError: the source has no macro clips, none are set up or two kinds of them, or they cannot be used.
    """
    places.check_source(source)
    if source not in (places.FRAMES, places.SYNTHETIC):
        raise UserError(
            f"{source} has no macro-expression clips to pre-train on",
            where=f"data.source={source}",
            remedy=f"use --source {places.FRAMES} with {casme3.NAME} or {expressions.NAME} set up, or --source {places.SYNTHETIC}, or a method without "
            "pre-training on them",
        )
    root = root / PART
    kind = which or _the_one(source, root)
    path = place(source, kind=kind)
    database = casme3.MACRO if kind == casme3.NAME else expressions.NAME
    if path is None:
        stored = store.find(root, source, SCHEME, database)
        if len(stored) == 1:
            return stored[0]
        raise _nothing_set_up(source, stored, kind)
    if kind == expressions.NAME:
        pictures = (real_pictures(path) if source == places.FRAMES else expressions.survey(path)).footage
        scheme = expressions.scheme(pictures, SCHEME)  # nobody's landmarks are another picture's: other camera, perhaps another person
        return prepare(source, scheme, pictures, root=root, watch=watch, workers=workers, lost="refuse")
    found = real(path) if source == places.FRAMES else casme3.macro(path)
    return prepare(source, casme3.seven(tuple(each.clip for each in found)), found, root=root, watch=watch, workers=workers)


def _the_one(source: str, root: Path) -> str:
    """Return which kind is set up, or prepared where none is; CAS(ME)^3 where there is neither, so that it is asked for.

    Raises:
        UserError: both are: which one is learnt from is the user's choice, not an accident.
    """
    there = [kind for kind in KINDS if _holds(source, kind)]
    names = {casme3.NAME: casme3.MACRO, expressions.NAME: expressions.NAME}
    there = there or [kind for kind in KINDS if store.find(root, source, SCHEME, names[kind])]
    if len(there) > 1:
        raise UserError(
            "there are macro-expression clips and expression pictures to pre-train on",
            where=source,
            remedy=f"say which: --macro {casme3.NAME}, or --macro {expressions.NAME}",
        )
    return there[0] if there else casme3.NAME


def _holds(source: str, kind: str) -> bool:
    """Return whether something to pre-train on is set up: a copy of CAS(ME)^3 may hold micro-expressions alone."""
    path = place(source, kind=kind)
    if path is None or kind != casme3.NAME or source == places.SYNTHETIC:
        return path is not None
    return describes(path)


def describes(folder: Path) -> bool:
    """Return whether a copy of CAS(ME)^3 describes macro-expressions."""
    return bool(sheets.candidates(folder, (*casme3.FRAMES, casme3.TYPE), named=""))


def place(source: str, folder: Path | None = None, kind: str = casme3.NAME) -> Path | None:
    """Return the folder of CAS(ME)^3 with macro clips or that of expression pictures, real or rendered; None where there is none.

    Args:
        source: ``frames`` or ``synthetic``.
        folder: of rendered databases; None for the one that is set up.
        kind: one of `KINDS`.

    Raises:
        UserError: the settings or the mark of a rendered database are damaged.
    """
    if source == places.FRAMES:
        return data_path(kind)
    part = PART if kind == casme3.NAME else kind
    path = (folder or data_path(places.SYNTHETIC) or Path(places.SYNTHETIC)) / marker.ROOTS[part]
    parts = (marker.read(path) or {"parts": {}})["parts"]
    return path if parts.get(part, {}).get("finished") else None


def real(folder: Path) -> tuple[Footage, ...]:
    """Return the recorded macro clips.

    Raises:
        UserError: the folder is a rendered one, or clips cannot be used; each is named.
    """
    places.check_recorded(casme3.NAME, folder)
    found = casme3.macro(folder)
    for tree in dict.fromkeys(each.onset.parents[1] for each in found):
        places.check_recorded(casme3.NAME, tree)
    return found


def real_pictures(folder: Path) -> expressions.Found:
    """Return the expression pictures of a folder.

    Raises:
        UserError: the folder is a rendered one, or holds no picture that can be used.
    """
    places.check_recorded(expressions.NAME, folder)
    return expressions.survey(folder)


def set_up(kind: str = casme3.NAME) -> str:
    """Return the more telling source of which macro clips, or expression pictures, are set up; ``frames`` where none are."""
    there = place(places.FRAMES, kind=kind) is None and place(places.SYNTHETIC, kind=kind) is not None
    return places.SYNTHETIC if there else places.FRAMES


def check_still(prepared: Prepared, inputs: Inputs) -> None:
    """Refuse a method that reads motion where there are stills to pre-train on.

    Raises:
        UserError: it asks for flow or sequences, or for nothing that a picture has.
    """
    if prepared.on == expressions.NAME and (inputs.flow is not None or inputs.frame is None or inputs.frame.sequence):
        what = "flow" if inputs.flow is not None else "sequences of frames" if inputs.frame is not None else "no frames"
        raise still(what, prepared.source)


def still(what: str, source: str) -> UserError:
    """Return the refusal of a method for what it reads of clips, which no picture has.

    Args:
        what: it reads.
        source: of the pictures.
    """
    return UserError(
        f"the method reads {what}, and {expressions.STILL}: nothing moves in them",
        where=source,
        remedy=f"pre-train it on macro-expression clips: --macro {casme3.NAME}",
    )


def _nothing_set_up(source: str, stored: list[Path], kind: str) -> UserError:
    what = "macro-expression clips" if kind == casme3.NAME else "expression pictures"
    if stored:
        return UserError(
            f"there are {len(stored)} prepared sets of {what} from {source}, and no copy to choose by",
            where=stored[0].parent,
            remedy="delete all but one of them, or set the source: merbench data set",
        )
    if source == places.SYNTHETIC:
        folder = data_path(places.SYNTHETIC) or Path(places.SYNTHETIC)
        size = next((size for size in map(places.rendered_size, databases.known()) if size), "mini")
        return UserError(
            f"no rendered {what} are set up, and the method is pre-trained on them",
            where=folder,
            remedy=f"merbench synth {folder} --size {size} --on {PART if kind == casme3.NAME else kind}",
        )
    if kind == expressions.NAME:
        return UserError(
            f"no {what} are set up, and the method is pre-trained on them",
            where=f"merbench.yaml in this folder, and the variable {variable(kind)}",
            remedy=f"merbench data set {kind} PATH, where PATH has a folder for each emotion (docs/data.md)",
        )
    return UserError(
        f"no {what} are set up, and the method is pre-trained on them: {casme3.NAME} has no folder yet",
        where=f"merbench.yaml in this folder, and the variable {variable(casme3.NAME)}",
        remedy=f"merbench data set {casme3.NAME} PATH, where PATH is your copy as its owners delivered it (docs/data.md)",
    )
