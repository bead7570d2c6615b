"""A sheet to draw on, addressed in face units, and the few ways to draw on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SHIFT = 4  # OpenCV's fixed point: sixteenths of a pixel


@dataclass(frozen=True)
class Canvas:
    """A sheet of ``width`` x ``height`` texels whose first texel's centre is at (left, top) units; ``scale`` texels a unit."""

    scale: float
    left: float
    top: float
    width: int
    height: int

    @cached_property
    def x(self) -> Floats:
        """(1, width), units."""
        return (self.left + np.arange(self.width, dtype=np.float32) / self.scale)[None].astype(np.float32)

    @cached_property
    def y(self) -> Floats:
        """(height, 1), units."""
        return (self.top + np.arange(self.height, dtype=np.float32) / self.scale)[:, None].astype(np.float32)

    def texels(self, points: NDArray[np.floating]) -> NDArray[np.int32]:
        """Return points (n, 2) in OpenCV's fixed point."""
        flat = (np.asarray(points, dtype=np.float64) - (self.left, self.top)) * self.scale
        return np.asarray(np.round(flat * 2**SHIFT), dtype=np.int32)

    def filled(self, points: NDArray[np.floating], soft: float = 0.0) -> Floats:
        """Return the inside of a closed outline as coverage (height, width) in [0, 1]; ``soft`` blurs its edge, units."""
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(mask, [self.texels(points)], 255, cv2.LINE_AA, SHIFT)
        cover = coverage(mask)
        return self.blurred(cover, soft) if soft > 0 else cover

    def stroked(self, points: NDArray[np.floating], wide: float, soft: float = 0.0) -> Floats:
        """Return an open line as coverage (height, width) in [0, 1]; ``wide`` and ``soft`` in units."""
        mask = np.zeros((self.height, self.width), np.uint8)
        cv2.polylines(mask, [self.texels(points)], False, 255, max(1, round(wide * self.scale)), cv2.LINE_AA, SHIFT)
        cover = coverage(mask)
        return self.blurred(cover, soft) if soft > 0 else cover

    def blurred(self, image: Floats, sigma: float) -> Floats:
        """Return the image after a Gaussian of ``sigma`` units; wide ones are made on a smaller sheet."""
        texels = sigma * self.scale
        shrink = max(1, int(texels / 4))
        if shrink == 1:
            return np.asarray(cv2.GaussianBlur(image, (0, 0), texels), dtype=np.float32)
        small = cv2.resize(image, (max(1, self.width // shrink), max(1, self.height // shrink)), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), texels / shrink)
        return np.asarray(cv2.resize(small, (self.width, self.height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)

    def bump(self, at: tuple[float, float], wide: float, high: float, turn: float = 0.0) -> Floats:
        """Return a Gaussian of peak 1 at a point; ``wide`` and ``high`` are its deviations in units, ``turn`` its angle."""
        if turn == 0.0:
            across = np.exp(-0.5 * ((self.x - at[0]) / wide) ** 2)
            along = np.exp(-0.5 * ((self.y - at[1]) / high) ** 2)
            return np.asarray(across * along, dtype=np.float32)
        x, y = self.x - at[0], self.y - at[1]
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        return np.asarray(np.exp(-0.5 * ((u / wide) ** 2 + (v / high) ** 2)), dtype=np.float32)

    def noise(self, rng: np.random.Generator, size: float) -> Floats:
        """Return smooth noise of deviation about 1 whose spots are about ``size`` units wide."""
        cells = (max(4, int(self.height / self.scale / size) + 4), max(4, int(self.width / self.scale / size) + 4))
        coarse = rng.standard_normal(cells, dtype=np.float32)
        fine = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(fine * 1.3, dtype=np.float32)


def coverage(mask: NDArray[np.uint8]) -> Floats:
    """Return [0, 1] for 0 to 255."""
    return np.asarray(mask / np.float32(255), dtype=np.float32)


def by(x: float, y: float) -> NDArray[np.float64]:
    """Return a shift, (2,), units."""
    return np.array([x, y], dtype=np.float64)


def curve(points: NDArray[np.floating], closed: bool = False, each: int = 8) -> NDArray[np.float64]:
    """Return a Catmull-Rom curve through points (n, 2), ``each`` points a span."""
    p = np.asarray(points, dtype=np.float64)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    p = np.concatenate([ends[0], p, ends[1]])
    t = np.linspace(0, 1, each, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    spans = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)  # (each, n, 2)
    line = spans.transpose(1, 0, 2).reshape(-1, 2)
    return line if closed else np.concatenate([line, p[-2:-1]])
