"""One frame of a clip as a camera sees it, and what truly moved in it.

A frame is the person's neutral face, painted once, read through the inverse of the motion: what moved where is known at every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic import muscles
from merbench.data.synthetic.anatomy import EYES, Floats, Person, depth, generator, landmarks
from merbench.data.synthetic.canvas import Canvas
from merbench.data.synthetic.features import lids
from merbench.data.synthetic.performance import Performance, Pose, drift, flicker, seat, shut, strength
from merbench.data.synthetic.relief import outline
from merbench.data.synthetic.texture import paint

EYE_LEVEL = 0.43
"""Height of the eyes in the picture, as a share of it."""
GRID = Canvas(scale=1.0, left=-112.0, top=-108.0, width=225, height=261)
"""The sheet on which motion is worked out: one unit a cell."""
SOFT = 0.55
"""Deviation of the lens's blur, image pixels."""
NOISE = (3.8, 1.9)
"""Deviation of the sensor's noise in brightness and in colour, of 255."""
_SPARE = 24.0  # units of picture beyond the frame's edge: seats and drifts of the head look there


@dataclass(frozen=True)
class Camera:
    """What the picture is taken with.

    Attributes:
        width, height: of the picture, pixels.
        grey: one channel instead of three.
        face: distance between the eye centres, image pixels.
    """

    width: int
    height: int
    grey: bool
    face: float

    @property
    def scale(self) -> float:
        """Image pixels a unit."""
        return self.face / (2 * EYES)


@dataclass(frozen=True)
class Truth:
    """What moved between the onset and one frame.

    Attributes:
        landmarks: (2, 68, 2), at the onset and at the frame, image pixels.
        origin: (2,), image pixels x and y of the grid's first point. step: image pixels between its points.
        displacement: (2, gh, gw), u and v, image pixels: whither the point went that lay there at the onset, head motion included.
        expression: (2, gh, gw), the same without head motion.
        skin: (gh, gw), where the face is.
    """

    landmarks: Floats
    origin: Floats
    step: float
    displacement: Floats
    expression: Floats
    skin: NDArray[np.bool_]


def render(actor: Person, performance: Performance, camera: Camera, index: int) -> NDArray[np.uint8]:
    """Return a frame: (height, width, 3), blue green red, or (height, width) where the camera is grey.

    The same arguments give the same bytes, whatever was rendered before.
    """
    picture, sheet = _neutral(actor, camera)
    forth = _affine(camera, _together(seat(performance), drift(performance, index)))
    back = np.asarray(cv2.invertAffineTransform(forth), dtype=np.float64)
    offset = _backwards(actor, performance, index)
    to_image = forth @ np.array([[1, 0, GRID.left], [0, 1, GRID.top], [0, 0, 1]])
    spread = cv2.warpAffine(offset, to_image, (camera.width, camera.height), flags=cv2.INTER_LINEAR)
    columns, rows = np.arange(camera.width, dtype=np.float32)[None], np.arange(camera.height, dtype=np.float32)[:, None]
    at = [np.float32(back[k, 0]) * columns + np.float32(back[k, 1]) * rows + np.float32(back[k, 2]) - spread[..., k] for k in (0, 1)]
    map_x, map_y = (at[0] - np.float32(sheet.left)) * np.float32(sheet.scale), (at[1] - np.float32(sheet.top)) * np.float32(sheet.scale)
    seen = np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
    return _exposed(seen, performance, camera, index)


def truth(actor: Person, performance: Performance, camera: Camera, index: int | None = None) -> Truth:
    """Return what moved between the onset and frame ``index``, the apex where it is None."""
    index = performance.apex if index is None else index
    start = _affine(camera, _together(seat(performance), drift(performance, 0)))
    end = _affine(camera, _together(seat(performance), drift(performance, index)))
    acted, turned = _forwards(actor, performance, index)
    step = 2.0 * float(np.hypot(start[0, 0], start[1, 0]))
    middle = start @ (0.0, 25.0, 1.0)
    origin = (middle - (50 * step, 56 * step)).astype(np.float32)
    grid = np.stack(np.meshgrid(origin[0] + step * np.arange(101), origin[1] + step * np.arange(113)), axis=-1)
    face = _apply(np.asarray(cv2.invertAffineTransform(start), dtype=np.float64), grid)
    expression = _apply(start, face + _sample(acted, face)) - grid
    displacement = _apply(end, face + _sample(acted + turned, face)) - grid
    skin = _sample(GRID.filled(outline(actor)), face) > 0.5
    points = landmarks(actor).astype(np.float64)
    moved = points + _sample(acted + turned, points[None])[0]
    return Truth(
        landmarks=np.stack([_apply(start, points), _apply(end, moved)]).astype(np.float32),
        origin=origin,
        step=step,
        displacement=displacement.transpose(2, 0, 1).astype(np.float32),
        expression=expression.transpose(2, 0, 1).astype(np.float32),
        skin=skin,
    )


@lru_cache(maxsize=4)
def _neutral(actor: Person, camera: Camera) -> tuple[NDArray[np.uint8], Canvas]:
    """Return the neutral face at slightly more than the camera's resolution, and where it lies."""
    scale = camera.scale * 1.05
    wide, high = camera.width / camera.scale + 2 * _SPARE, camera.height / camera.scale + 2 * _SPARE
    sheet = Canvas(scale, -wide / 2, -EYE_LEVEL * camera.height / camera.scale - _SPARE, round(wide * scale), round(high * scale))
    picture = cv2.GaussianBlur(paint(actor, sheet), (0, 0), SOFT * 1.05)
    if camera.grey:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(picture, dtype=np.uint8), sheet


def _together(first: Pose, then: Pose) -> Pose:
    return Pose(
        first.x + then.x, first.y + then.y, first.roll + then.roll, first.yaw + then.yaw, first.pitch + then.pitch, first.scale * then.scale
    )


def _affine(camera: Camera, pose: Pose) -> NDArray[np.float64]:
    """Return the transform from units to image pixels, (2, 3)."""
    size = camera.scale * pose.scale
    cos, sin = size * np.cos(pose.roll), size * np.sin(pose.roll)
    x, y = camera.width / 2 + camera.scale * pose.x, EYE_LEVEL * camera.height + camera.scale * pose.y
    return np.array([[cos, -sin, x], [sin, cos, y]])


def _apply(transform: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    matrix = np.asarray(transform, dtype=np.float64)
    moved: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _sample(sheet: Floats, points: NDArray[np.floating]) -> Floats:
    """Read a sheet (h, w) or (h, w, c) of `GRID` at points (m, n, 2), units; nothing lies beyond its edge."""
    at = (points - (GRID.left, GRID.top)).astype(np.float32)
    return np.asarray(cv2.remap(sheet, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), dtype=np.float32)


@lru_cache(maxsize=16)
def _peak(actor: Person, units: tuple[tuple[str, float], ...], gains: tuple[float, float], longest: float) -> Floats:
    """Return the motion at the peak on `GRID`, (h, w, 2), units."""
    field = muscles.field(actor, dict(units), gains, GRID.x, GRID.y)
    length = float(np.sqrt((field**2).sum(0)).max())
    return np.ascontiguousarray((field * (longest / length)).transpose(1, 2, 0))


@lru_cache(maxsize=8)
def _relief(actor: Person) -> Floats:
    return depth(actor, GRID.x, GRID.y)


def _forwards(actor: Person, performance: Performance, index: int) -> tuple[Floats, Floats]:
    """Return the motion since the neutral face on `GRID`, (h, w, 2), units: of the muscles, and of the head's turning."""
    peak = _peak(actor, tuple(performance.action_units.items()), performance.gains, performance.peak)
    pose = drift(performance, index)
    turned = _relief(actor)[..., None] * np.array([np.sin(pose.yaw), np.sin(pose.pitch)], dtype=np.float32)
    return peak * np.float32(strength(performance, index)), turned


def _backwards(actor: Person, performance: Performance, index: int) -> Floats:
    """Return how far what is now seen at a point of `GRID` has come, (h, w, 2), units: the inverse of `_forwards`, and lids that shut."""
    acted, turned = _forwards(actor, performance, index)
    total = acted + turned
    here = np.stack(np.broadcast_arrays(GRID.x, GRID.y), axis=-1)
    came = total
    strong = performance.peak * strength(performance, index) > 1.5
    for _ in range(14 if strong else 6):  # each step leaves at most the field's slope of the error: 0.27 a unit of motion
        came = _sample(total, here - came)
    closed = shut(performance, index)
    return _blinked(actor, came, closed) if closed > 0 else came


def _blinked(actor: Person, came: Floats, closed: float) -> Floats:
    """Draw the skin above the eyes down over them."""
    came = came.copy()
    for side in (-1, 1):
        upper, lower = lids(actor, side)
        top = np.interp(GRID.x[0], upper[:, 0], upper[:, 1])
        bottom = np.interp(GRID.x[0], lower[:, 0], lower[:, 1])
        inside = (GRID.x[0] > upper[0, 0]) & (GRID.x[0] < upper[-1, 0])
        edge = top + closed * (bottom - top)
        hinge = top - 9.0
        stretched = hinge + (GRID.y - hinge) * (top - hinge) / (edge - hinge)
        covered = inside & (GRID.y > hinge) & (GRID.y < edge + 0.5)
        came[..., 1] += np.where(covered, GRID.y - stretched, 0).astype(np.float32)
    return came


def _exposed(seen: NDArray[np.uint8], performance: Performance, camera: Camera, index: int) -> NDArray[np.uint8]:
    """Return what the sensor makes of it: the lamp's flicker and noise of its own in every frame."""
    gain, across, down = flicker(performance, index)
    columns = np.linspace(-1, 1, camera.width, dtype=np.float32)[None] * np.float32(across)
    rows = np.linspace(-1, 1, camera.height, dtype=np.float32)[:, None] * np.float32(down)
    lamp = np.float32(gain) + columns + rows
    rng = generator(performance.key, "sensor", index)
    noise = np.float32(NOISE[0]) * rng.standard_normal((camera.height, camera.width), dtype=np.float32)
    if camera.grey:
        return _shown(seen, lamp, noise)
    half = np.float32(NOISE[1]) * rng.standard_normal((-(-camera.height // 2), -(-camera.width // 2), 3), dtype=np.float32)
    colour = cv2.resize(half, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
    planes = [_shown(seen[..., c], lamp, noise + colour[..., c]) for c in range(3)]
    return np.asarray(cv2.merge(planes), dtype=np.uint8)


def _shown(plane: NDArray[np.uint8], lamp: Floats, noise: Floats) -> NDArray[np.uint8]:
    """Return one channel, rounded and clipped."""
    lit = cv2.multiply(plane, lamp, dtype=cv2.CV_32F)
    return np.asarray(cv2.add(lit, noise, dtype=cv2.CV_8U), dtype=np.uint8)
