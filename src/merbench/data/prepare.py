"""One database made ready: faces found and aligned, flow computed, arrays stored; clip by clip, over all cores.

What is kept of a clip (`ARRAYS`): ``onset`` and ``apex`` (3, 224, 224) uint8, the aligned face, red first; ``frames`` (8, 3, 112, 112)
uint8 and ``times`` (8,), the sequence from onset to offset; ``flow`` (2, 224, 224) float16, TV-L1 from onset to apex in pixels;
``landmarks`` (68, 2), on the aligned onset; ``alignment`` (2, 3), from pixels of the database's frame to the aligned face; where the
database is rendered, ``truth`` (2, 56, 56) float16, the true displacement in pixels of the 224-pixel face, not a number beside the face.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from merbench import processes
from merbench.config import digest
from merbench.data import faces, flow, frames, store
from merbench.data.frames import Footage
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.errors import UserError

VERSION = 1
"""Raised when preparation begins to give other arrays."""

SEQUENCE_SIZE = 112
"""Height and width of sequences: eight frames a clip at 224 pixels would be most of a store that few methods read."""

TRUTH_STEP = 4
"""Pixels of the aligned face from one known displacement to the next; the rendered fields are smooth."""

NO_FACE = "no-face"
"""The one array of a clip in which no face was found."""

Arrays = dict[str, NDArray[Any]]
Watch = Callable[[str, int, int], None]
"""Told what is being done, how many pieces are done, and how many there are."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Piece:
    """One clip to be prepared.

    Attributes:
        clip: key, for messages.
        onset, apex, sequence: files.
        times: of the sequence.
        truth: the renderer's record of the clip, where it is rendered.
        points: landmarks to use instead of looking for a face.
        target: the file that holds the arrays when it is finished.
    """

    clip: str
    onset: Path
    apex: Path
    sequence: tuple[Path, ...]
    times: tuple[float, ...]
    truth: Path | None
    target: Path
    points: tuple[tuple[float, float], ...] = ()


def prepare(
    source: str,
    scheme: Scheme,
    footage: Sequence[Footage],
    *,
    truths: Sequence[Path] = (),
    root: Path = store.ROOT,
    watch: Watch = silent,
    workers: int | None = None,
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

    Raises:
        UserError: a frame cannot be used, no face is found in any clip of a subject, the folder cannot be written, or another process is
            preparing the same.
    """
    database = footage[0].clip.database
    keys = [_key(each, truths[index] if truths else None) for index, each in enumerate(footage)]
    inputs = digest([keys, [asdict(each.clip) for each in footage], scheme.name, list(scheme.classes)])
    ready = store.made_of(root, source, database, scheme.name, inputs)
    if ready is not None:
        return ready
    faces.check_installed()
    work = root / source / f".work-{database}"
    with _writing(work):
        work.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(work / ".lock", timeout=0):
                pieces = [
                    Piece(
                        each.clip.key,
                        each.onset,
                        each.apex,
                        each.sequence,
                        each.times,
                        truths[index] if truths else None,
                        work / f"{key}.npz",
                    )
                    for index, (each, key) in enumerate(zip(footage, keys, strict=True))
                ]
                _make(pieces, f"{database}: faces and flow", watch, workers)
                guessed = _guess(footage, pieces, watch, workers)
                made = _assemble(source, scheme, footage, pieces, guessed, inputs, root)
                for path in work.glob("*.npz"):
                    path.unlink()
                return made
        except Timeout as error:
            raise UserError(
                f"another process is preparing {database}", where=work, remedy="wait for it; what it finishes need not be done again"
            ) from error


def make(piece: Piece) -> bool:
    """Prepare one clip and write its file, whole; return whether a face was found.

    Raises:
        UserError: a frame cannot be read, or has another size than the onset.
    """
    files = tuple(dict.fromkeys((piece.onset, piece.apex, *piece.sequence)))
    images = {path: frames.read(path) for path in files}
    for path, image in images.items():
        if image.shape != images[piece.onset].shape:
            height, width = image.shape[:2]
            raise UserError(
                f"a frame of {piece.clip} is {width} x {height}, its onset {images[piece.onset].shape[1]} x {images[piece.onset].shape[0]}",
                where=path,
                remedy="fetch this clip again: all its frames have one size",
            )
    points = np.array(piece.points, dtype=np.float32) if piece.points else _look(images, files)
    arrays = {NO_FACE: np.zeros(1, dtype=np.uint8)} if points is None else _arrays(piece, images, points)
    content = io.BytesIO()
    np.savez(content, **arrays)
    _write(piece.target, content.getvalue())
    return points is not None


def _look(images: dict[Path, NDArray[np.uint8]], files: Sequence[Path]) -> NDArray[np.float32] | None:
    """Return the landmarks of the onset, or of the first other frame in which a face is found: a head hardly moves within a clip."""
    for path in files:
        points = faces.landmarks(images[path])
        if points is not None:
            return points
    return None


def _arrays(piece: Piece, images: dict[Path, NDArray[np.uint8]], points: NDArray[np.float32]) -> Arrays:
    import cv2

    matrix = faces.alignment(points)
    onset, apex = (faces.aligned(images[path], matrix) for path in (piece.onset, piece.apex))
    half = {
        path: cv2.resize(faces.aligned(images[path], matrix), (SEQUENCE_SIZE,) * 2, interpolation=cv2.INTER_AREA)
        for path in set(piece.sequence)
    }
    arrays = {
        "onset": onset.transpose(2, 0, 1),
        "apex": apex.transpose(2, 0, 1),
        "frames": np.stack([half[path].transpose(2, 0, 1) for path in piece.sequence]),
        "times": np.array(piece.times, dtype=np.float32),
        "flow": flow.tvl1(onset, apex).astype(np.float16),
        "landmarks": faces.moved(points, matrix),
        "alignment": matrix,
    }
    if piece.truth is not None:
        arrays["truth"] = _truth(piece.truth, matrix)
    return arrays


def _truth(path: Path, matrix: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the true displacement on the aligned face.

    Raises:
        UserError: the renderer's record cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as record:  # numpy leaves a damaged file open
            return on_the_aligned_face(record["displacement"], record["skin"], record["origin"], float(record["step"]), matrix)
    except (OSError, EOFError, KeyError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"the record of a rendered clip cannot be read: {error}", where=path, remedy="delete it, then render again: merbench synth"
        ) from error


def on_the_aligned_face(
    field: NDArray[np.float32], skin: NDArray[np.bool_], origin: NDArray[np.float32], step: float, matrix: NDArray[np.float32]
) -> NDArray[np.float16]:
    """Return a displacement of a database's frame as it is on the aligned face, (2, 56, 56), not a number beside the skin.

    Args:
        field: (2, h, w), pixels of the frame.
        skin: (h, w).
        origin: x and y of the field's first point in the frame.
        step: pixels of the frame from one point to the next.
        matrix: the alignment, (2, 3).
    """
    import cv2

    linear = matrix[:, :2].astype(np.float64)
    centres = np.arange(TRUTH_STEP / 2 - 0.5, faces.SIZE, TRUTH_STEP)
    grid = np.stack(np.meshgrid(centres, centres), axis=-1)  # (56, 56, 2), x and y on the aligned face
    places = ((grid - matrix[:, 2]) @ np.linalg.inv(linear).T - origin.astype(np.float64)) / step
    masked = np.where(skin, field, np.nan).transpose(1, 2, 0)
    found = cv2.remap(  # type: ignore[call-overload]  # its stubs know no None
        np.ascontiguousarray(masked, dtype=np.float32),
        places.astype(np.float32),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(np.nan,) * 4,
    )
    return np.asarray((found @ linear.T).transpose(2, 0, 1), dtype=np.float16)


def _make(pieces: Sequence[Piece], what: str, watch: Watch, workers: int | None) -> None:
    """Prepare the pieces whose file is not there."""
    missing = [piece for piece in pieces if not piece.target.is_file()]
    done = len(pieces) - len(missing)
    watch(what, done, len(pieces))
    for _ in processes.each(make, missing, workers):
        done += 1
        watch(what, done, len(pieces))


def _guess(footage: Sequence[Footage], pieces: list[Piece], watch: Watch, workers: int | None) -> set[int]:
    """Prepare clips without a found face by the median landmarks of their subject's other clips: the same head before the same camera.

    Returns:
        positions of these clips; each is flagged.

    Raises:
        UserError: no clip of a subject has a face.
    """
    found = [_stored(piece) for piece in pieces]
    lost = [index for index, arrays in enumerate(found) if NO_FACE in arrays]
    again, hopeless = [], []
    for index in lost:
        same = [i for i, each in enumerate(footage) if each.clip.subject == footage[index].clip.subject and i not in lost]
        if not same:
            hopeless.append(pieces[index])
            continue
        raw = [faces.moved(found[i]["landmarks"], _inverse(found[i]["alignment"])) for i in same]
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
    return set(lost)


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the similarity that undoes one."""
    linear = np.linalg.inv(matrix[:, :2].astype(np.float64))
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1).astype(np.float32)


def _assemble(
    source: str, scheme: Scheme, footage: Sequence[Footage], pieces: Sequence[Piece], guessed: set[int], inputs: str, root: Path
) -> Path:
    """Put the clips' arrays together, one file for each name.

    They are written from first to last: of a memory-mapped file a full disk is told by a signal that ends the process.
    """
    clips = tuple(
        replace(each.clip, flags=(*each.clip.flags, "face: as in the subject's other clips")) if index in guessed else each.clip
        for index, each in enumerate(footage)
    )
    labels = np.array([scheme.labels[clip.key] for clip in clips], dtype=np.int64)
    with store.unfinished(root / source) as made:
        with contextlib.ExitStack() as open_files:
            files: dict[str, BinaryIO] = {}
            for piece in pieces:
                for name, array in _stored(piece).items():
                    if name not in files:
                        files[name] = open_files.enter_context((made / f"{name}.npy").open("wb"))
                        header = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(pieces), *array.shape)}
                        np.lib.format.write_array_header_1_0(files[name], header)
                    files[name].write(array.tobytes())
        arrays = {name: np.load(made / f"{name}.npy", mmap_mode="r") for name in files}
        whole = Prepared(clips[0].database, source, scheme.name, clips, scheme.classes, labels, arrays, "pixels")
        return store.finish(made, whole, root, inputs)


def _stored(piece: Piece) -> Arrays:
    """Read a finished clip."""
    try:
        with piece.target.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the finished part of {piece.clip} cannot be read: {error}", where=piece.target, remedy="delete this file; it is made again"
        ) from error


def _key(footage: Footage, truth: Path | None) -> str:
    """Return a hash of what a clip's arrays are made from: its files by name, size and time of change, and every setting."""
    files = [*footage.files, *([truth] if truth else [])]
    try:
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError as error:
        raise UserError(
            f"a file of {footage.clip.key} cannot be read: {error.strerror or error}",
            where=error.filename,
            remedy="is it a link to what is gone, or a disk that is away? fetch it again",
        ) from error
    settings = [VERSION, flow.SETTINGS, {str(k): v for k, v in faces.ANCHORS.items()}, faces.SIZE, SEQUENCE_SIZE, TRUTH_STEP, _versions()]
    return digest([footage.clip.key, stats, footage.times, settings])


def _versions() -> dict[str, str]:
    """Return the versions of what computes: another one may give other arrays."""
    versions = {}
    for name in ("opencv-contrib-python-headless", "dlib-bin", "face-recognition-models"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: a kill leaves it there or not."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=path.suffix, delete=False) as file:
        unfinished = Path(file.name)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # a full disk keeps no half of it


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
