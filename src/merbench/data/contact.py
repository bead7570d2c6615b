"""A contact sheet: what was prepared of each clip, for a person to look at.

It shows faces: where the database's licence forbids to show them, the picture may not be shown either.
"""

from __future__ import annotations

import io
import secrets
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from merbench.data import flow as flows
from merbench.data.prepared import Prepared
from merbench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACE, GAP, HEAD, CAPTION = 224, 8, 108, 380
"""Pixels: a picture, what is between two of them, the lines above the first row, the captions."""

COLUMNS = ("onset and landmarks", "apex", "flow, onset to apex", "strain")
NOTE = "The median of a clip's flow, mostly the head's motion, is taken out of the picture and told beside it."

LETTERS = 46
"""Of a line of a caption, before it is broken."""

MOST = 200
"""Rows of a sheet; the picture is 47,000 pixels high then."""

WHEEL = (
    ((255, 0, 0), (255, 255, 0), 15),
    ((255, 255, 0), (0, 255, 0), 6),
    ((0, 255, 0), (0, 255, 255), 4),
    ((0, 255, 255), (0, 0, 255), 11),
    ((0, 0, 255), (255, 0, 255), 13),
    ((255, 0, 255), (255, 0, 0), 6),
)
"""From colour to colour in so many steps: so many more where the eye tells more of them apart (Baker and others, below)."""

PARTS = (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), range(48, 55))
RINGS = (range(36, 42), range(42, 48), range(48, 60), range(60, 68))
"""Landmarks that are joined with lines: jaw, brows and nose; eyes and lips, which close."""


@dataclass(frozen=True)
class Row:
    """One clip.

    Attributes:
        onset, apex: (3, 224, 224) uint8, red first.
        flow: (2, 224, 224), pixels.
        landmarks: (68, 2), on the onset.
        caption: lines beside the pictures; the first is the clip's key.
        flags: what was assumed; lines that are seen at once.
    """

    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]
    flow: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    caption: tuple[str, ...]
    flags: tuple[str, ...] = ()


def rows(prepared: Prepared, positions: Iterable[int]) -> list[Row]:
    """Return the rows of some clips of a set that was prepared from frames; positions are those of its clips."""
    places = [(part, index) for part in prepared.parts or (prepared,) for index in range(len(part.clips))]
    found = []
    for position in positions:
        part, index = places[position]
        arrays = {name: np.array(part.arrays[name][index]) for name in ("onset", "apex", "flow", "landmarks")}
        flow = arrays["flow"].astype(np.float32)
        clip, head = part.clips[index], np.median(flow, axis=(1, 2))
        length = np.hypot(*(flow - head[:, None, None]))
        caption = (
            clip.key,
            f"onset {_number(clip.onset)}   apex {_number(clip.apex)}   offset {_number(clip.offset)}",
            f"{part.classes[part.labels[index]]}" + (f"   (owner: {clip.emotion})" if clip.emotion else ""),
            f"median of the flow {head[0]:+.2f}, {head[1]:+.2f} pixels",
            f"away from it: mean {length.mean():.2f}, highest {length.max():.2f} pixels",
        )
        found.append(Row(arrays["onset"], arrays["apex"], flow, arrays["landmarks"], caption, clip.flags))
    return found


def sheet(rows: Sequence[Row], path: Path) -> None:
    """Write a sheet, one clip a row, as PNG: `HEAD` + n * (`FACE` + `GAP`) pixels high.

    All rows have one scale of flow and one of strain, so that they can be compared; the sheet names both. They are those of the middle row:
    one clip with wild flow must not make all others pale.

    Raises:
        ValueError: no rows, or more than `MOST`.
        UserError: the file cannot be written.
    """
    if not 0 < len(rows) <= MOST:
        raise ValueError(f"a sheet has 1 to {MOST} rows, not {len(rows)}")
    keep(_drawn(rows), path)


def keep(content: bytes, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    unfinished = path.with_name(f".{secrets.token_hex(4)}.png")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise UserError(
            f"a contact sheet cannot be written: {error.strerror or error}",
            where=path,
            remedy="name a file in a folder that can be written",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def coloured(flow: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """Return flow (2, H, W) in colours, (H, W, 3): the hue is the direction, right is red; white is still; darker goes beyond the scale.

    The colour wheel of the Middlebury benchmark: Baker, Scharstein, Lewis, Roth, Black and Szeliski, "A database and evaluation
    methodology for optical flow", IJCV 2011.

    Args:
        flow: in pixels; where it is not a number the colour is black.
        scale: the length that has the full colour, in pixels.
    """
    wheel = np.concatenate([np.linspace(begin, end, steps, endpoint=False) for begin, end, steps in WHEEL]) / 255
    known = np.isfinite(flow[0] + flow[1])
    u, v = np.where(known, flow, 0).astype(np.float64) / scale
    length = np.sqrt(u * u + v * v)[..., None]  # (H, W, 1)
    place = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)  # as their code has it: the last colour meets the first in a small step
    low = place.astype(int)
    part = (place - np.floor(place))[..., None]
    hue = (1 - part) * wheel[low] + part * wheel[(low + 1) % len(wheel)]
    colour = np.where(length <= 1, 1 - length * (1 - hue), hue * 0.75)
    return np.asarray((colour * known[..., None] * 255).round(), dtype=np.uint8)


def _number(frame: int | None) -> str:
    return "?" if frame is None else str(frame)


def _scale(pictures: Iterable[NDArray[Any]], least: float) -> float:
    """Return a round number that one in a hundred values of the middle picture exceeds."""
    high = max(float(np.median([np.nanpercentile(picture, 99) for picture in pictures])), least)
    digit = 10.0 ** np.floor(np.log10(high))
    return float(np.ceil(high / digit * 2) / 2 * digit)


def _drawn(rows: Sequence[Row]) -> bytes:
    """Return a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = len(COLUMNS) * (FACE + GAP) + GAP + CAPTION, HEAD + len(rows) * (FACE + GAP)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)  # no window system, no state shared with a user's own figures
    strains = [flows.strain(row.flow)[0] for row in rows]
    moved = [row.flow - np.nanmedian(row.flow, axis=(1, 2), keepdims=True) for row in rows]
    scale, strained = _scale((np.hypot(*each) for each in moved), 0.1), _scale(strains, 0.005)
    _head(figure, scale, strained)
    for index, (row, flow, strain) in enumerate(zip(rows, moved, strains, strict=True)):
        top = HEAD + index * (FACE + GAP)
        pictures = [row.onset.transpose(1, 2, 0), row.apex.transpose(1, 2, 0), coloured(flow, scale), _grey(strain / strained)]
        for column, image in enumerate(pictures):
            picture(figure, image, GAP + column * (FACE + GAP), top)
        _landmarks(figure, row.landmarks, GAP, top)
        _caption(figure, row, len(COLUMNS) * (FACE + GAP) + 2 * GAP, top)
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # a box stands for it
        figure.savefig(content, format="png")
    return content.getvalue()


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Return axes over a rectangle of pixels, counted from the upper left."""
    across, down = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.set_axis_off()
    return axes


def picture(figure: Figure, image: NDArray[np.uint8], left: float, top: float) -> None:
    """Draw an image (H, W, 3) as a square of `FACE` pixels."""
    axes = axes_at(figure, left, top, FACE, FACE)
    axes.imshow(image, interpolation="nearest", aspect="auto")


def _grey(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return values from 0 to 1 as a picture, white to black."""
    return np.asarray((255 * (1 - share.clip(0, 1)))[..., None].repeat(3, axis=-1).round(), dtype=np.uint8)


def _landmarks(figure: Figure, points: NDArray[np.float32], left: float, top: float) -> None:
    axes = axes_at(figure, left, top, FACE, FACE)
    axes.set_xlim(-0.5, FACE - 0.5)
    axes.set_ylim(FACE - 0.5, -0.5)
    for line in (*map(list, PARTS), *([*ring, ring[0]] for ring in RINGS)):
        axes.plot(*points[line].T, color="#00e5ff", linewidth=0.6, alpha=0.7)
    axes.plot(
        *points.T, linestyle="none", marker="o", markersize=2.2, markerfacecolor="#ffee00", markeredgecolor="black", markeredgewidth=0.3
    )


def _caption(figure: Figure, row: Row, left: float, top: float) -> None:
    axes = axes_at(figure, left, top, CAPTION - GAP, FACE)
    styles = [(line, {"size": 10, "color": "black"}) for line in row.caption] + [
        (line, {"size": 10, "color": "#b34700"}) for line in row.flags
    ]
    styles[:1] = [(line, {"size": 11, "weight": "bold"}) for line, _ in styles[:1]]
    lines = [(part, how) for line, how in styles for part in textwrap.wrap(line, LETTERS, break_on_hyphens=False) or [""]]
    for number, (line, how) in enumerate(lines):
        write(axes, 0, 1 - (14 + 22 * number) / FACE, line, **how)


def write(axes: Any, x: float, y: float, text: str, **how: Any) -> None:
    """Write a line; a dollar sign is a dollar sign."""
    axes.text(x, y, text, transform=axes.transAxes, parse_math=False, **{"va": "center", **how})


def _head(figure: Figure, scale: float, strained: float) -> None:
    """Draw what stands above the rows: names of the columns, the wheel of directions, both scales."""
    names = axes_at(figure, 0, 0, len(COLUMNS) * (FACE + GAP), HEAD)
    for column, name in enumerate(COLUMNS):
        write(names, (GAP + column * (FACE + GAP)) / (len(COLUMNS) * (FACE + GAP)), 14 / HEAD, name, size=11, weight="bold")
    write(names, GAP / (len(COLUMNS) * (FACE + GAP)), 0.6, NOTE, size=10)
    side = HEAD - 2 * GAP
    offsets = (np.arange(4 * side) + 0.5) / (2 * side) - 1  # finer than it is shown, or its rim has steps
    v, u = np.meshgrid(offsets, offsets, indexing="ij")
    inside = np.asarray(np.hypot(u, v) <= 1)
    wheel = np.where(inside[..., None], coloured(np.stack([u, v]).astype(np.float32), 1.0), 255).astype(np.uint8)
    left = len(COLUMNS) * (FACE + GAP) + 2 * GAP
    axes_at(figure, left, GAP, side, side).imshow(wheel, interpolation="hanning", aspect="auto")
    words = axes_at(figure, left + side + GAP, GAP, CAPTION - side - 3 * GAP, side)
    for number, line in enumerate(
        (f"rim of the wheel: {scale:g} pixels", "white: still; darker: beyond the rim", f"black in strain: {strained:g}")
    ):
        write(words, 0, 0.78 - 0.26 * number, line, size=10)
