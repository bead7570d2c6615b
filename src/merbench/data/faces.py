"""Faces: 68 landmarks by dlib, and the similarity that brings them onto the canonical 224-pixel face.

Detector and landmarks: King, "Dlib-ml", JMLR 2009; Kazemi and Sullivan, CVPR 2014, on the iBUG 300-W annotation. The landmark model's
licence excludes commercial use.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench.errors import UserError

SIZE = 224
"""Height and width of the canonical face, pixels."""

ANCHORS = {
    36: (60.5, 90.0),  # outer and inner corners of the right eye, as seen on the left of the image
    39: (90.5, 90.0),
    42: (132.5, 90.0),
    45: (162.5, 90.0),
    27: (111.5, 88.0),  # bridge of the nose, its tip, its base: what no expression of the mouth moves
    30: (111.5, 123.0),
    33: (111.5, 134.0),
}
"""The template: landmark number (from 0) to x, y on the canonical face. Eye centres are 72 pixels apart; the
middle of the face, 111.5, is that of 224 pixels counted from 0, so that a mirrored face lies where the face lay."""

MIRRORED = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # bridge of the nose
    *range(35, 30, -1),  # base of the nose
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lip
    *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lip
)
"""Position i of a mirrored face's landmarks is what landmark MIRRORED[i] was: left and right change places."""

DETECTED_AT = 480
"""Faces are looked for in an image of at most so many rows: they are large in every database, and time goes with the area."""

CROP_BORDER = 0.25
"""Of an owner's crop, so much of its longer side is added on each side before a face is looked for."""


def landmarks(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the 68 landmarks of the largest face, (68, 2) x, y in pixels of the image; None where no face is found.

    Where none is found at first, the image is looked at in twice the size.

    Args:
        image: (H, W, 3), red first.

    Raises:
        UserError: the extra ``faces`` is not installed.
    """
    import cv2

    dlib, detector, shape = _models()
    scale = min(1.0, DETECTED_AT / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    boxes = detector(small, 0) or detector(small, 1)
    if not boxes:
        return None
    box = max(boxes, key=lambda each: each.area())
    whole = dlib.rectangle(*(round(edge / scale) for edge in (box.left(), box.top(), box.right(), box.bottom())))
    points = shape(image, whole)
    return np.array([(point.x, point.y) for point in points.parts()], dtype=np.float32)


def landmarks_of_crop(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the landmarks of a face that fills its picture, in pixels of the picture: the detector wants something around a face.

    Args:
        image: (H, W, 3), red first; what lies around it is taken to be as its edge.

    Raises:
        UserError: the extra ``faces`` is not installed.
    """
    import cv2

    border = round(CROP_BORDER * max(image.shape[:2]))
    points = landmarks(np.asarray(cv2.copyMakeBorder(image, *(border,) * 4, cv2.BORDER_REPLICATE), dtype=np.uint8))
    return None if points is None else points - np.float32(border)


def scaling(height: int, width: int) -> NDArray[np.float32]:
    """Return the matrix (2, 3) that brings a picture onto the canonical one, each axis by itself; pixel centres are at whole numbers."""
    across, down = SIZE / width, SIZE / height
    return np.array([(across, 0, (across - 1) / 2), (0, down, (down - 1) / 2)], dtype=np.float32)


def alignment(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the similarity (2, 3) that brings a face's anchors onto the template with the least squared distance.

    Args:
        points: (68, 2) x, y in pixels of the image.

    Raises:
        ValueError: all anchors lie in one point.
    """
    found = points[list(ANCHORS)].astype(np.float64) @ (1, 1j)
    wanted = np.array(list(ANCHORS.values())) @ (1, 1j)
    centred = found - found.mean()
    spread = float((np.abs(centred) ** 2).sum())
    if spread == 0:
        raise ValueError("all anchors lie in one point")
    turn = (centred.conj() * (wanted - wanted.mean())).sum() / spread  # a complex number turns and scales
    shift = wanted.mean() - turn * found.mean()
    return np.array([(turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)], dtype=np.float32)


def aligned(image: NDArray[np.uint8], matrix: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the canonical face, (224, 224, 3), sampled at twice the size and averaged; beyond the image its border goes on.

    Args:
        image: (H, W, 3).
        matrix: from `alignment`; found on the onset and used for every frame of its clip, so that motion survives.
    """
    import cv2

    double = matrix * 2 + np.array([(0, 0, 0.5), (0, 0, 0.5)], dtype=np.float32)  # pixel centres of the finer grid
    large = cv2.warpAffine(image, double, (2 * SIZE, 2 * SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def moved(points: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points (N, 2) as they lie after an alignment (2, 3)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)


def check_installed() -> None:
    """Refuse to begin without dlib and its landmark model; it is not read yet: that takes a second.

    Raises:
        UserError: the extra ``faces`` is not installed.
    """
    _installed()


def load() -> None:
    """Read the landmark model, 100 MB, so that processes which are forked later share it.

    Raises:
        UserError: the extra ``faces`` is not installed.
    """
    _models()


@functools.cache
def _models() -> tuple[Any, Any, Any]:
    """Return dlib, its face detector and its landmark model."""
    dlib, model = _installed()
    return dlib, dlib.get_frontal_face_detector(), dlib.shape_predictor(model)


def _installed() -> tuple[Any, str]:
    """Return dlib and the file of its landmark model."""
    try:
        import dlib

        files = importlib.metadata.distribution("face-recognition-models").files or []
        model = next(file for file in files if file.name == "shape_predictor_68_face_landmarks.dat")
    except (ImportError, StopIteration, importlib.metadata.PackageNotFoundError) as error:
        raise UserError(
            "faces cannot be found: dlib or its landmark model is not installed",
            where="the extra 'faces'",
            remedy="pip install 'merbench[faces]' (make bench does it); the landmark model's licence excludes commercial use",
        ) from error
    return dlib, str(model.locate())
