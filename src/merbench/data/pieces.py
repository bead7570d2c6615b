"""One clip made ready: its face found and aligned, its flow computed, kept in a file of its own until the database is whole.

What is kept of a clip (`ARRAYS`): ``onset`` and ``apex`` (3, 224, 224) uint8, the aligned face, red first; ``frames`` (8, 3, 112, 112)
uint8 and ``times`` (8,), the sequence from onset to offset; ``flow`` (2, 224, 224) float16, TV-L1 from onset to apex in pixels;
``landmarks`` (68, 2), on the aligned onset; ``alignment`` (2, 3), from pixels of the database's frame to the aligned face; where the
database is rendered, ``truth`` (2, 56, 56) float16, the true displacement in pixels of the 224-pixel face, not a number beside the face,
nor anywhere where another apex was chosen than that of the record.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merbench import guard
from merbench.data import apex, faces, flow, frames
from merbench.errors import UserError

SEQUENCE_SIZE = 112
"""Height and width of sequences: eight frames a clip at 224 pixels would be most of a store that few methods read."""

TRUTH_STEP = 4
"""Pixels of the aligned face from one known displacement to the next; the rendered fields are smooth."""

LARGEST = 2**27
"""Bytes of a clip's arrays or of the renderer's record, packed and unpacked; they have one or two million."""

NO_FACE = "no-face"
"""The one array of a clip in which no face was found."""

FACE_IN = "face-in"
"""In which of a clip's files the face was found, (1,): 0 is the onset. Becomes a flag of the clip."""

APEX_AT = "apex-at"
"""The number of the frame that was chosen as apex, (1,), where it was chosen by motion. Becomes the clip's apex."""

Face = Literal["aligned", "owner"]
"""How a face comes onto the canonical picture: by its landmarks, or as the crop that the database's owner made."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """One clip to be prepared.

    Attributes:
        clip: key, for messages.
        onset, apex, sequence: files.
        times: of the sequence.
        truth: the renderer's record of the clip, where it is rendered.
        numbers: of onset and apex, which the renderer's record must name too.
        points: landmarks to use instead of looking for a face: on the frame, or of an owner's crop on the canonical picture.
        candidates: numbers and files among which the apex is found by motion; ``apex`` is one of them, to which ``times`` count.
        face: ``owner`` where the frames are owners' crops.
        target: the file that holds the arrays when it is finished.
    """

    clip: str
    onset: Path
    apex: Path
    sequence: tuple[Path, ...]
    times: tuple[float, ...]
    truth: Path | None
    target: Path
    numbers: tuple[int, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    candidates: tuple[tuple[int, Path], ...] = ()
    face: Face = "aligned"


def make(piece: Piece) -> bool:
    """Prepare one clip and write its file, whole; return whether a face was found.

    Raises:
        UserError: a frame cannot be read, or has another size than the onset.
    """
    files = tuple(dict.fromkeys((piece.onset, *(() if piece.candidates else (piece.apex,)), *piece.sequence)))
    images = {path: frames.read(path) for path in files}
    for path, image in images.items():
        _check_size(piece, path, image, images[piece.onset])
    points, place = (np.array(piece.points, dtype=np.float32), 0) if piece.points else _look(piece, images, files)
    arrays = {NO_FACE: np.zeros(1, dtype=np.uint8)} if points is None else _arrays(piece, images, points)
    arrays[FACE_IN] = np.array([place])
    keep(piece, arrays)
    return points is not None


def keep(piece: Piece, arrays: Arrays) -> None:
    """Write a clip's file, whole."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # its stubs take every name for its own option
    _write(piece.target, content.getvalue())


def _check_size(piece: Piece, path: Path, image: NDArray[np.uint8], onset: NDArray[np.uint8]) -> None:
    if image.shape != onset.shape:
        height, width = image.shape[:2]
        raise UserError(
            f"a frame of {piece.clip} is {width} x {height}, its onset {onset.shape[1]} x {onset.shape[0]}",
            where=path,
            remedy="fetch this clip again: all its frames have one size",
        )


def _look(piece: Piece, images: dict[Path, NDArray[np.uint8]], files: Sequence[Path]) -> tuple[NDArray[np.float32] | None, int]:
    """Return the landmarks of the onset, or of the first other frame in which a face is found, and which file that is.

    A head hardly moves within a clip.
    """
    find = faces.landmarks_of_crop if piece.face == "owner" else faces.landmarks
    for place, path in enumerate(files):
        points = find(images[path])
        if points is not None:
            return points, place
    return None, 0


def _arrays(piece: Piece, images: dict[Path, NDArray[np.uint8]], points: NDArray[np.float32]) -> Arrays:
    import cv2

    matrix = faces.scaling(*images[piece.onset].shape[:2]) if piece.face == "owner" else faces.alignment(points)
    landmarks = points if piece.face == "owner" and piece.points else faces.moved(points, matrix)
    onset = faces.aligned(images[piece.onset], matrix)
    arrays: Arrays = {}
    path, times = piece.apex, np.array(piece.times, dtype=np.float32)
    if piece.candidates:
        number, path = _chosen(piece, images, matrix, onset, landmarks)
        arrays[APEX_AT] = np.array([number])
        times *= _span(piece, piece.apex) / _span(piece, path)
    if path not in images:
        images[path] = frames.read(path)
    whole = {piece.onset: onset, **{each: faces.aligned(images[each], matrix) for each in {path, *piece.sequence} - {piece.onset}}}
    half = {each: cv2.resize(whole[each], (SEQUENCE_SIZE,) * 2, interpolation=cv2.INTER_AREA) for each in set(piece.sequence)}
    arrays |= {
        "onset": onset.transpose(2, 0, 1),
        "apex": whole[path].transpose(2, 0, 1),
        "frames": np.stack([half[each].transpose(2, 0, 1) for each in piece.sequence]),
        "times": times,
        "flow": np.zeros((2, *onset.shape[:2]), np.float16) if path == piece.onset else flow.tvl1(onset, whole[path]).astype(np.float16),
        "landmarks": landmarks,
        "alignment": matrix,
    }
    if piece.truth is not None:
        arrays["truth"] = _truth(piece, piece.truth, matrix, int(arrays[APEX_AT][0]) if piece.candidates else None)
    return arrays


def _chosen(
    piece: Piece,
    images: Mapping[Path, NDArray[np.uint8]],
    matrix: NDArray[np.float32],
    onset: NDArray[np.uint8],
    landmarks: NDArray[np.float32],
) -> tuple[int, Path]:
    """Return number and file of the apex, found by motion. Frames are read one after another: a clip may have hundreds."""

    def aligned(path: Path) -> NDArray[np.uint8]:
        image = images[path] if path in images else frames.read(path)
        _check_size(piece, path, image, images[piece.onset])
        return faces.aligned(image, matrix)

    listed = sorted(each for each in piece.candidates if each[1] != piece.onset) or list(piece.candidates)
    if len(listed) == 1:
        return listed[0]
    return listed[apex.largest(onset, (aligned(path) for _, path in listed), landmarks)]


def _span(piece: Piece, path: Path) -> int:
    """Return how many frames after the onset a candidate stands."""
    (number,) = (number for number, each in piece.candidates if each == path)
    return max(number - piece.numbers[0], 1)


def _truth(piece: Piece, path: Path, matrix: NDArray[np.float32], chosen: int | None) -> NDArray[np.float16]:
    """Return the true displacement on the aligned face; not a number anywhere where it is of another apex than the chosen one.

    Raises:
        UserError: the renderer's record cannot be read, or is of other frames than those that are compared.
    """
    try:
        with _archive(path) as record:
            told = tuple(int(number) for number in record["frames"][:2])
            if chosen is not None and told[0] == piece.numbers[0] and told[1] != chosen:
                return np.full((2, *(faces.SIZE // TRUTH_STEP,) * 2), np.nan, dtype=np.float16)
            if chosen is None and piece.numbers and told != piece.numbers:
                raise UserError(
                    f"{piece.clip} was rendered with onset {told[0]} and apex {told[1]}, and now has {piece.numbers[0]} and {piece.numbers[1]}",
                    where=path,
                    remedy="put the rendered sheet back: where it is missing, merbench synth writes it again",
                )
            return on_the_aligned_face(record["displacement"], record["skin"], record["origin"], float(record["step"]), matrix)
    except UNREADABLE as error:
        raise UserError(
            f"the record of a rendered clip cannot be read: {error}", where=path, remedy="delete it, then render again: merbench synth"
        ) from error


UNREADABLE = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, OverflowError, NotImplementedError, MemoryError, SyntaxError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, AttributeError),
)
"""What numpy raises on an archive with bytes lost or changed."""


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open an archive of arrays whose unpacked size was looked at before anything is unpacked.

    Raises:
        ValueError: it is larger than a clip's can be.
    """
    content = io.BytesIO(guard.read(path, LARGEST))
    if sum(part.file_size for part in zipfile.ZipFile(content).infolist()) > LARGEST:
        raise ValueError(f"unpacked it has more than {LARGEST:,} bytes")
    content.seek(0)
    with np.load(content, allow_pickle=False) as arrays:
        yield arrays


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


def stored(piece: Piece) -> Arrays:
    """Read a finished clip."""
    try:
        with _archive(piece.target) as arrays:
            return dict(arrays)
    except UNREADABLE as error:
        raise _damaged(piece, error) from error


def names(piece: Piece) -> frozenset[str]:
    """Return what a finished clip holds, without unpacking it."""
    try:
        with _archive(piece.target) as arrays:
            return frozenset(arrays)
    except UNREADABLE as error:
        raise _damaged(piece, error) from error


def _damaged(piece: Piece, error: BaseException) -> UserError:
    return UserError(
        f"the finished part of {piece.clip} cannot be read: {error}", where=piece.target, remedy="delete this file; it is made again"
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: a kill leaves it there or not."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=path.suffix, delete=False) as file:
        unfinished = Path(file.name)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # a full disk keeps no half of it
