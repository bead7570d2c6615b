"""A contact sheet: the colours mean what the benchmark's wheel says, and whatever a clip is called, there is a picture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from merbench.data import contact
from merbench.data.prepared import Prepared, join
from merbench.errors import UserError


def colour(u: float, v: float, scale: float = 1.0) -> tuple[int, ...]:
    found = contact.coloured(np.array([[[u]], [[v]]], dtype=np.float32), scale)
    assert found.shape == (1, 1, 3)
    return tuple(int(each) for each in found[0, 0])


def original(u: float, v: float) -> tuple[float, ...]:
    """Return what `computeColor` of Baker and others' own flow-code gives, line by line."""
    wheel = [(255, 255 * i // 15, 0) for i in range(15)] + [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    wheel += [(0, 255, 255 * i // 4) for i in range(4)] + [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    wheel += [(255 * i // 13, 0, 255) for i in range(13)] + [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    radius, angle = math.sqrt(u * u + v * v), math.atan2(-v, -u) / math.pi
    place = (angle + 1) / 2 * (len(wheel) - 1)
    low = int(place)
    high, part = (low + 1) % len(wheel), place - low
    colours = [(1 - part) * a / 255 + part * b / 255 for a, b in zip(wheel[low], wheel[high], strict=True)]
    return tuple(255 * (1 - radius * (1 - each) if radius <= 1 else each * 0.75) for each in colours)


def test_directions_have_the_colours_of_the_benchmarks_wheel() -> None:
    assert colour(1, 0) == (255, 0, 0), "right is red"
    for (u, v), (red, green, blue) in {(0, 1): (1, 1, 0), (-1, 0): (0, 1, 1), (0, -1): (0, 0, 1)}.items():  # down, left, up
        found = colour(u, v)
        assert [each > 150 for each in found] == [bool(red), bool(green), bool(blue)]
    rng = np.random.default_rng(0)
    for u, v in rng.uniform(-1.2, 1.2, (300, 2)):
        if abs(math.hypot(u, v) - 1) > 1e-3:
            assert colour(u, v) == pytest.approx(original(u, v), abs=1.6)


def test_length_is_saturation_and_what_is_still_is_white() -> None:
    assert colour(0, 0) == (255, 255, 255)
    assert colour(0.5, 0) == (255, 128, 128)
    assert colour(1, 0, scale=2) == (255, 128, 128), "the scale has the full colour"
    assert colour(3, 0) == (191, 0, 0), "beyond the scale it is darker"
    assert colour(float("nan"), 0) == (0, 0, 0)


def picture(path: Path) -> NDArray[np.uint8]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    found = cv2.imread(str(path))
    assert found is not None
    return np.asarray(found[:, :, ::-1], dtype=np.uint8)


def column(image: NDArray[np.uint8], row: int, number: int) -> NDArray[np.uint8]:
    top, left = contact.HEAD + row * (contact.FACE + contact.GAP), contact.GAP + number * (contact.FACE + contact.GAP)
    return image[top : top + contact.FACE, left : left + contact.FACE]


def test_a_sheet_shows_each_clip(small_faces: Prepared, tmp_path: Path) -> None:
    rows = contact.rows(small_faces, [0, 5, 17])
    assert [row.caption[0] for row in rows] == [small_faces.clips[i].key for i in (0, 5, 17)]
    path = tmp_path / "sheet.png"
    contact.sheet(rows, path)
    image = picture(path)
    assert image.shape == (
        contact.HEAD + 3 * (contact.FACE + contact.GAP),
        4 * (contact.FACE + contact.GAP) + contact.GAP + contact.CAPTION,
        3,
    )
    for number, row in enumerate(rows):
        assert (column(image, number, 1) == row.apex.transpose(1, 2, 0)).all(), "pixel by pixel"
        assert (column(image, number, 0) != row.onset.transpose(1, 2, 0)).any(), "landmarks are drawn"
        assert (column(image, number, 0) == row.onset.transpose(1, 2, 0)).all(axis=-1).mean() > 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_still_flow_is_white_and_a_moved_head_too(small_faces: Prepared, tmp_path: Path) -> None:
    (row,) = contact.rows(small_faces, [0])
    for flow in (np.zeros((2, 224, 224)), np.full((2, 224, 224), -3.0)):
        contact.sheet([replace(row, flow=flow.astype(np.float32))], tmp_path / "still.png")
        image = picture(tmp_path / "still.png")
        assert (column(image, 0, 2) == 255).all()
        assert (column(image, 0, 3) == 255).all(), "nor is anything strained"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["Ünïcødé/клип", "微表情", "$x^2", "a\\frac{", "", "long " * 60, "unbroken" * 30])
def test_any_caption_is_drawn(small_faces: Prepared, tmp_path: Path, name: str) -> None:
    (row,) = contact.rows(small_faces, [0])
    images = []
    for caption, flags in (((name,), (name,)), (("other",), ())):
        contact.sheet([replace(row, caption=caption, flags=flags)], tmp_path / "sheet.png")
        images.append(picture(tmp_path / "sheet.png"))
    assert images[0].shape == images[1].shape
    assert (images[0] != images[1]).any()


def test_rows_of_a_joined_set_are_those_of_its_parts(small_faces: Prepared) -> None:
    moved = [replace(clip, database="samm", subject=clip.subject.replace("smic", "samm")) for clip in small_faces.clips]
    other = replace(small_faces, on="samm", clips=tuple(moved), arrays={**small_faces.arrays, "apex": small_faces.arrays["onset"]})
    (row,) = contact.rows(join([small_faces, other], "smic+samm"), [len(small_faces.clips) + 2])
    assert row.caption[0] == other.clips[2].key
    assert (row.apex == other.arrays["apex"][2]).all()


def test_what_cannot_be_drawn_or_written_is_refused(small_faces: Prepared, tmp_path: Path) -> None:
    rows = contact.rows(small_faces, [0])
    for wrong in ([], rows * (contact.MOST + 1)):
        with pytest.raises(ValueError, match="1 to 200 rows"):
            contact.sheet(wrong, tmp_path / "sheet.png")
    with pytest.raises(UserError, match="cannot be written"):
        contact.sheet(rows, tmp_path / "not there" / "sheet.png")
