"""The apex of a clip for which nobody names one: the frame in which the face has moved most since the onset.

That an apex is where motion from the onset is largest is the premise of apex spotting (Liong, See, Wong, Le Ngo, Oh and Phan, "Automatic
apex frame spotting in micro-expression database", ACPR 2015). Here motion is the dense inverse search flow of OpenCV (Kroeger, Timofte,
Dai and Van Gool, ECCV 2016) on the grey aligned face: TV-L1 of every frame would take a hundred times as long.

Three things move a face more than a micro-expression does, and are taken out: light, by evening brightness and contrast around each pixel;
the head, by the affine motion that most of the face shares; blinks, by leaving the eyes and their lids out. What lasts for one or two frames
of many is noise: the running median is read. On rendered clips each of these brought the chosen frame nearer to the true apex.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

EYES = (slice(36, 42), slice(42, 48))
"""Landmarks of both."""

LIGHT = 6.0
"""Standard deviation, in pixels, of what counts as around a pixel where light is evened."""

EYE_MARGIN = 25
"""Diameter, in pixels, by which eyes are widened."""

HEAD = 1.5
"""A motion of at most so many times the median may be the head's."""

RUNNING, PER_FRAME = 2, 8
"""So many frames on each side are in the running median; each only where there are so many candidates to it."""

SETTINGS = {"version": 1, "light": LIGHT, "eyes": EYE_MARGIN, "head": HEAD, "running": [RUNNING, PER_FRAME]}
"""What decides which frame is chosen."""


def largest(onset: NDArray[np.uint8], others: Iterable[NDArray[np.uint8]], landmarks: NDArray[np.float32]) -> int:
    """Return which of the others has the largest motion of the face against the onset; of equal ones the first.

    Args:
        onset: the aligned face, (224, 224, 3).
        others: at least one, in their order in time; one after another is read.
        landmarks: (68, 2), on the aligned onset.
    """
    import cv2

    solver = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]  # the stubs lack it
    inside, first = _face(onset.shape[0], landmarks), _even(onset)
    motions = np.array([_motion(solver.calc(first, _even(each), None)[inside], inside) for each in others])
    half = min(RUNNING, (len(motions) - 1) // PER_FRAME)
    running = [np.median(motions[max(0, i - half) : i + half + 1]) for i in range(len(motions))]
    return int(np.argmax(running))


def _face(size: int, landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (size, size): the face within its landmarks, without the eyes."""
    import cv2

    points = landmarks.astype(np.int32)
    face, eyes = np.zeros((2, size, size), dtype=np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(points), 1)
    for eye in EYES:
        cv2.fillConvexPoly(eyes, cv2.convexHull(points[eye]), 1)
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (EYE_MARGIN, EYE_MARGIN))
    found = np.asarray((face > 0) & (cv2.dilate(eyes, wide) == 0))
    return found if found.any() else np.ones_like(found)


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a face (H, W, 3) in grey, with one brightness and one contrast everywhere."""
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), LIGHT)
    even = fine / (
        np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), LIGHT)) + 2
    )  # grey levels: where there is nothing but noise, it stays small
    return np.asarray((even * 40 + 128).clip(0, 255), dtype=np.uint8)


def _motion(flow: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Return the mean length of motion (N, 2) at N places after the head's is taken out, pixels.

    The head's is the affine motion of least squares, found again without the places that go farthest from it.
    """
    rows, columns = np.nonzero(inside)
    half = inside.shape[0] / 2
    places = np.stack([np.ones(len(rows)), columns / half - 1, rows / half - 1], axis=1)
    away = _without(places, flow, np.ones(len(rows), dtype=np.bool_))
    lengths = np.hypot(*away.T)
    away = _without(places, flow, lengths <= HEAD * np.median(lengths))
    return float(np.hypot(*away.T).mean())


def _without(places: NDArray[Any], flow: NDArray[np.float32], among: NDArray[np.bool_]) -> NDArray[Any]:
    """Return flow without the affine motion that some of the places share."""
    chosen = places[among]
    return np.asarray(flow - places @ (np.linalg.pinv(chosen.T @ chosen) @ chosen.T @ flow[among]))
