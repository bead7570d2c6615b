"""One database made ready: every clip prepared, over all cores, and its arrays put together in the store."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from merbench import processes
from merbench.config import digest
from merbench.data import apex, assemble, faces, flow, frames, store
from merbench.data.frames import Footage
from merbench.data.pieces import APEX_AT, FACE_IN, NO_FACE, SEQUENCE_SIZE, TRUTH_STEP, Face, Piece, keep, make, names, stored
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.errors import UserError

VERSION = 1
"""Raised when preparation begins to give other arrays."""

PRELOAD = ("merbench.data.preloaded",)
"""What workers find in memory, if it is said to `processes.context` before anything else is done in processes."""

Lost = Literal["borrow", "refuse"]
"""What becomes of clips in which no face is found: they take the landmarks of their subject's other clips, or all of them are refused."""

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many pieces are done, and how many there are."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Watch nothing."""


def prepare(
    source: str,
    scheme: Scheme,
    footage: Sequence[Footage],
    *,
    truths: Sequence[Path] = (),
    root: Path = store.ROOT,
    watch: Watch = silent,
    workers: int | None = None,
    face: Face = "aligned",
    lost: Lost = "borrow",
    changes: Sequence[str] = (),
) -> Path:
    """Return the folder of a database's prepared set, made where it is not there yet. A kill leaves finished clips to go on from.

    Args:
        source: ``frames`` or ``synthetic``.
        scheme: of the labels.
        footage: of all clips of one database, in listed order.
        truths: the renderer's record of each clip, in the same order.
        root: of all prepared sets.
        watch: told about progress.
        workers: processes; None for one per core.
        face: ``owner`` where the frames are owners' crops: they are not aligned but brought to size as they are.
        lost: what becomes of clips in which no face is found; `borrowed` names those that borrow. It decides whether there is a set, not
            what is in it, so it is no part of what a set is known by.
        changes: of the request's data, such as ``apex=flow``: by them the set is found where the frames are away.

    Raises:
        UserError: a frame cannot be used, no face is found in any clip of a subject, or in any clip where that is refused, the folder cannot be written, or another process is
            preparing the same.
    """
    database = footage[0].clip.database
    settings = _settings(face)
    keys = [_key(each, truths[index] if truths else None, settings) for index, each in enumerate(footage)]
    labels = [scheme.labels[each.clip.key] for each in footage]
    inputs = digest([keys, [asdict(each.clip) for each in footage], labels, scheme.name, list(scheme.classes)])

    def found() -> Path | None:
        ready = store.made_of(root, source, database, scheme.name, inputs)
        if ready is not None and lost == "refuse":
            _refuse(borrowed(store.load(ready)), ready)
        return ready

    if (ready := found()) is not None:
        return ready
    faces.check_installed()
    work = root / source / f".work-{database}"
    with _writing(work):
        work.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(work / ".lock", timeout=0):
                if (ready := found()) is not None:
                    return ready  # another process made it since it was looked for
                _clear(path for path in work.glob(".*") if path.name != ".lock")  # what a kill left of files that were being written
                pieces = [
                    Piece(
                        each.clip.key,
                        each.onset,
                        each.apex,
                        each.sequence,
                        each.times,
                        truths[index] if truths else None,
                        work / f"{key}.npz",
                        (each.clip.onset or 0, each.clip.apex or 0),
                        candidates=each.candidates,
                        face=face,
                    )
                    for index, (each, key) in enumerate(zip(footage, keys, strict=True))
                ]
                _take_over(root, source, database, dict(zip(keys, pieces, strict=True)))
                _make(pieces, f"{database}: faces and flow", watch, workers)
                guessed = _guess(footage, pieces, lost, watch, workers)
                made = assemble.assemble(source, scheme, footage, pieces, guessed, keys, inputs, how(changes), root)
                _clear([*(work / f"{key}.npz" for key in keys), *(piece.target for piece in pieces)])
                return made
        except Timeout as error:
            raise UserError(
                f"another process is preparing {database}", where=work, remedy="wait for it; what it finishes need not be done again"
            ) from error


def how(changes: Sequence[str]) -> str:
    """Return the settings of a preparation in a word, for sets whose frames are away."""
    return " ".join((f"version={VERSION}", *sorted(changes)))


def borrowed(prepared: Prepared) -> list[str]:
    """Return the keys of clips in which no face was found: their landmarks are those of their subject's other clips."""
    return [clip.key for clip in prepared.clips if assemble.BORROWED in clip.flags]


def _refuse(keys: Sequence[str], where: Path) -> None:
    """Name every clip in which no face is found.

    Raises:
        UserError: there is one.
    """
    if keys:
        raise UserError(
            f"no face is found in {len(keys)} clips: {', '.join(keys)}",
            where=where,
            remedy="look at their frames (merbench doctor --sheet), or let them borrow the landmarks of their subject's other clips: --lost borrow",
        )


def _clear(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _make(pieces: Sequence[Piece], what: str, watch: Watch, workers: int | None) -> None:
    """Prepare the pieces whose file is not there.

    Raises:
        UserError: clips cannot be used; each is named, and all others are finished.
    """
    missing = [piece for piece in pieces if not piece.target.is_file()]
    done = len(pieces) - len(missing)
    watch(what, done, len(pieces))
    wrong = {}
    for index, fault in processes.each(_attempt, missing, workers, preload=PRELOAD):
        done += 1
        watch(what, done, len(pieces))
        if fault is not None:
            wrong[index] = fault
    if wrong:
        frames.refuse([wrong[index] for index in sorted(wrong)], len(pieces), missing[0].onset.parents[1])


def _take_over(root: Path, source: str, database: str, wanted: Mapping[str, Piece]) -> None:
    """Write the clips that finished sets have, whatever their scheme: most clips of a database are in each of its schemes."""
    missing = {key: piece for key, piece in wanted.items() if not piece.target.is_file()}
    for prepared, parts in store.parts(root, source, database) if missing else ():
        for row, (key, place, chosen) in enumerate(parts):
            piece = missing.pop(key, None)
            if piece is not None:
                arrays = {name: np.array(array[row]) for name, array in prepared.arrays.items()}
                arrays |= {FACE_IN: np.array([place]), **({} if chosen is None else {APEX_AT: np.array([chosen])})}
                keep(piece, arrays)


def _attempt(piece: Piece) -> UserError | None:
    """Prepare one clip and return what is wrong with it, so that all faults are told at once."""
    try:
        make(piece)
    except UserError as error:
        return error
    return None


def _guess(footage: Sequence[Footage], pieces: list[Piece], lost: Lost, watch: Watch, workers: int | None) -> set[int]:
    """Prepare clips without a found face by the median landmarks of their subject's other clips: the same head before the same camera.

    Returns:
        positions of these clips; each is flagged.

    Raises:
        UserError: no clip of a subject has a face, or none may be without.
    """
    without = [index for index, piece in enumerate(pieces) if NO_FACE in names(piece)]
    if lost == "refuse":
        _refuse([pieces[index].clip for index in without], pieces[without[0]].onset if without else Path())
    again, hopeless = [], []
    for index in without:
        same = [i for i, each in enumerate(footage) if each.clip.subject == footage[index].clip.subject and i not in without]
        if not same:
            hopeless.append(pieces[index])
            continue
        raw = [_landmarks(pieces[i]) * _scale(pieces[i], pieces[index]) for i in same]
        points = tuple((float(x), float(y)) for x, y in np.median(raw, axis=0))
        target = pieces[index].target.with_suffix(f".{digest(points)}.npz")  # other clips of the subject, another guess
        again.append(replace(pieces[index], points=points, target=target))
        pieces[index] = again[-1]
    if hopeless:
        raise UserError(
            f"no face is found in {len(hopeless)} clips, nor in another clip of their subjects: {', '.join(piece.clip for piece in hopeless[: frames.TOLD])}",
            where=hopeless[0].onset,
            remedy="look at these frames: is the whole face in the picture, upright and frontal?",
        )
    if again:
        _make(again, "clips without a found face", watch, workers)
    return set(without)


def _landmarks(piece: Piece) -> NDArray[np.float32]:
    """Return a finished clip's landmarks where another clip of the subject can use them: in its frames, or in its owner's crop of 224 pixels."""
    arrays = stored(piece)
    whole = np.asarray(arrays["landmarks"], dtype=np.float32)
    return whole if piece.face == "owner" else faces.moved(whole, _inverse(arrays["alignment"]))


def _scale(of: Piece, to: Piece) -> NDArray[np.float32]:
    """Return the width and height of one clip's frames against another's: owners' crops of one person have not quite one size."""
    if of.face == "owner":
        return np.ones(2, dtype=np.float32)
    sizes = [frames.read(piece.onset).shape[1::-1] for piece in (to, of)]
    wanted, there = np.array(sizes, dtype=np.float32)
    return np.asarray(wanted / there, dtype=np.float32)


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the alignment that undoes one."""
    linear = np.linalg.inv(matrix[:, :2].astype(np.float64))
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1).astype(np.float32)


def _key(footage: Footage, truth: Path | None, settings: Sequence[object]) -> str:
    """Return a hash of what a clip's arrays are made from: its files by name, size and time of change, and every setting."""
    files = [*footage.files, *([truth] if truth else [])]
    try:
        stats = [(path.name, (stat := os.stat(path)).st_size, stat.st_mtime_ns) for path in files]  # noqa: PTH116  # half the time of Path.stat, ten thousand times
    except OSError as error:
        raise UserError(
            f"a file of {footage.clip.key} cannot be read: {error.strerror or error}",
            where=error.filename,
            remedy="is it a link to what is gone, or a disk that is away? fetch it again",
        ) from error
    chosen_among = [[number, path.name] for number, path in footage.candidates]
    return digest([footage.clip.key, stats, footage.times, *([[apex.SETTINGS, chosen_among]] if chosen_among else []), list(settings)])


def _settings(face: Face) -> list[object]:
    """Return what decides the arrays of every clip."""
    template = {str(number): place for number, place in faces.ANCHORS.items()}
    how = [["owner", faces.CROP_BORDER]] if face == "owner" else []
    return [VERSION, flow.SETTINGS, template, faces.SIZE, SEQUENCE_SIZE, TRUTH_STEP, _versions(), *how]


def _versions() -> dict[str, str]:
    """Return the versions of what computes: another one may give other arrays. OpenCV comes under four names."""
    opencv = ("opencv-contrib-python-headless", "opencv-contrib-python", "opencv-python-headless", "opencv-python")
    found = {}
    for name in (*opencv, "dlib-bin", "dlib", "face-recognition-models"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@contextlib.contextmanager
def _writing(where: Path) -> Iterator[None]:
    """Say in one message what the disk refused."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"prepared data cannot be written: {error.strerror or error}",
            where=where,
            remedy="free some space, or make the folder writable; what is finished is kept",
        ) from error
