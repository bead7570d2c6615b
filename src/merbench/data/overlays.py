"""A sheet of maps: where a method looks, drawn over the apex of held-out clips, for a person to look at.

It shows faces: where the database's licence forbids to show them, the picture may not be shown either.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench.data import contact
from merbench.data.contact import CAPTION, FACE, GAP, LETTERS
from merbench.data.flow import GREY

HEAD = 44
"""Pixels above the first row."""

MOST = 200
"""Rows of a sheet."""

SHARE = 0.55
"""How much of a place's colour is the map's where it is highest."""


@dataclass(frozen=True)
class Overlay:
    """One clip.

    Attributes:
        apex: (3, H, W) uint8, red first.
        maps: by name, (h, w) in [0, 1].
        caption: lines beside the pictures; the first is the clip's key.
    """

    apex: NDArray[np.uint8]
    maps: Mapping[str, NDArray[np.float32]]
    caption: tuple[str, ...]


def sheet(rows: Sequence[Overlay], path: Path) -> None:
    """Write a sheet, one clip a row: the apex, then each map over it.

    A map is stretched over its own range, or a unit that looks everywhere nearly alike would show nothing; the caption has the range.

    Raises:
        ValueError: no rows, more than `MOST`, or rows of unlike maps.
        UserError: the file cannot be written.
    """
    names = list(rows[0].maps) if rows else []
    if not names or len(rows) > MOST or any(list(row.maps) != names for row in rows):
        raise ValueError(f"a sheet has 1 to {MOST} rows of the same maps")
    contact.keep(_drawn(rows, names), path)


def over(apex: NDArray[np.uint8], weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map over the grey apex, (H, W, 3): clear where it is lowest, red where it is highest; one that is the same everywhere is clear.

    Args:
        apex: (3, H, W), red first.
        weight: (h, w), of any size; between its places it is interpolated.
    """
    grey = np.tensordot(np.array(GREY), apex.astype(np.float64), axes=1)
    low, high = float(weight.min()), float(weight.max())
    share = (weight.astype(np.float64) - low) / (high - low) if high > low else np.zeros(weight.shape)
    share = SHARE * _enlarged(share, grey.shape)[..., None]
    red = np.array([255.0, 40.0, 0.0])
    return np.asarray(((1 - share) * grey[..., None] + share * red).round(), dtype=np.uint8)


def _enlarged(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return values at another size, between their places in a straight line; pixels are areas, as everywhere here."""
    for axis, length in enumerate(shape):
        places = (np.arange(length) + 0.5) * values.shape[axis] / length - 0.5
        low = np.clip(np.floor(places).astype(int), 0, values.shape[axis] - 1)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        part = np.clip(places - low, 0, 1).reshape([-1 if each == axis else 1 for each in range(2)])
        values = (1 - part) * values.take(low, axis) + part * values.take(high, axis)
    return values


def _drawn(rows: Sequence[Overlay], names: Sequence[str]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 1 + len(names)
    width, height = columns * (FACE + GAP) + GAP + CAPTION, HEAD + len(rows) * (FACE + GAP)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)  # no window system, no state shared with a user's own figures
    for column, name in enumerate(("apex", *names)):
        head = contact.axes_at(figure, GAP + column * (FACE + GAP), 0, FACE, HEAD)
        contact.write(head, 0, 0.5, name, size=11, weight="bold")
    for index, row in enumerate(rows):
        top = HEAD + index * (FACE + GAP)
        for column, image in enumerate((row.apex.transpose(1, 2, 0), *(over(row.apex, row.maps[name]) for name in names))):
            contact.picture(figure, image, GAP + column * (FACE + GAP), top)
        ranges = [f"{name}: {row.maps[name].min():.2f} to {row.maps[name].max():.2f}" for name in names]
        axes = contact.axes_at(figure, columns * (FACE + GAP) + 2 * GAP, top, CAPTION - GAP, FACE)
        lines = [part for line in (*row.caption, *ranges) for part in textwrap.wrap(line, LETTERS, break_on_hyphens=False) or [""]]
        for number, line in enumerate(lines):
            contact.write(
                axes, 0, 1 - (14 + 22 * number) / FACE, line, size=11 if number == 0 else 10, weight="bold" if number == 0 else "normal"
            )
    return contact.png(figure)
