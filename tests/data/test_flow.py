"""Flow of a shifted image is the shift; sizes change without a loss."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from merbench.data import flow


def texture(size: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(np.clip((smooth - smooth.mean()) * 6 + 127, 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-1.5, 0.5), (0.3, 0.0), (0.0, 4.0)])
def test_flow_of_a_shifted_image_is_the_shift(shift: tuple[float, float]) -> None:
    """What is at x in the onset is at x + flow in the apex: the picture went right and down where u and v are positive."""
    onset = texture(96)
    apex = cv2.warpAffine(
        onset, np.array([(1, 0, shift[0]), (0, 1, shift[1])]), (96, 96), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if shift == (3.0, -2.0):
        assert (apex[20:-20, 20:-20] == onset[22:-18, 17:-23]).all()
    found = flow.tvl1(onset, np.asarray(apex, np.uint8))
    assert found.shape == (2, 96, 96)
    assert found.dtype == np.float32
    assert np.median(found, axis=(1, 2)) == pytest.approx(shift, abs=0.1)


def test_flow_sees_where_something_moved() -> None:
    onset = texture(96)
    apex = onset.copy()
    apex[20:50, 20:50] = onset[20:50, 18:48]  # two pixels to the right
    found = flow.tvl1(onset, apex)
    assert found[0, 28:42, 28:42].mean() == pytest.approx(2, abs=0.2)
    assert np.abs(found[:, 60:, 60:]).mean() < 0.1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-0.5, 0.5, width=32), min_size=4, max_size=4))
def test_strain_of_a_linear_field(slopes: list[float]) -> None:
    ux, uy, vx, vy = slopes
    y, x = np.mgrid[:9, :12].astype(np.float32)
    field = np.stack([ux * x + uy * y + 3, vx * x + vy * y - 7]).astype(np.float32)
    found = flow.strain(field)
    tensor = np.array([(ux, (uy + vx) / 2), ((uy + vx) / 2, vy)])
    assert found.shape == (1, 9, 12)
    assert np.allclose(found, math.sqrt(np.square(tensor).sum()), atol=1e-5), "the root of the summed squares of the strain tensor"
    assert np.allclose(flow.strain(np.stack([field, -field])), found, atol=1e-6), "of several clips at once"


def test_turning_and_shifting_strain_nothing() -> None:
    y, x = np.mgrid[:9, :12].astype(np.float32)
    assert np.abs(flow.strain(np.stack([0.1 * y, -0.1 * x]))).max() < 1e-6


@pytest.mark.parametrize(("length", "size"), [(224, 28), (224, 48), (224, 112), (224, 224), (15, 4), (7, 5)])
def test_a_new_pixel_is_the_mean_of_the_area_it_covers(length: int, size: int) -> None:
    images = np.random.default_rng(0).uniform(-3, 3, (2, 3, length, length)).astype(np.float32)
    found = flow.resized(images, size)
    parts, each = size // math.gcd(length, size), length // math.gcd(length, size)
    fine = images.astype(np.float64).repeat(parts, axis=-1).repeat(parts, axis=-2)  # every border of the new grid is one of this
    expected = fine.reshape(2, 3, size, each, size, each).mean(axis=(3, 5))
    assert np.abs(found - expected).max() < 1e-5
    assert found.mean(axis=(-2, -1)) == pytest.approx(images.mean(axis=(-2, -1)), abs=1e-5)


@pytest.mark.parametrize(("length", "size"), [(224, 28), (224, 48), (15, 4)])
def test_areas_are_added_up_in_order_whatever_the_processor(length: int, size: int) -> None:
    """Each product and each sum is rounded by itself: products of matrices would add in the order of the processor's kernels."""
    images = np.random.default_rng(1).standard_normal((3, length, length)).astype(np.float32)
    edges = np.linspace(0, length, size + 1)

    def shrunk(rows: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        found = []
        for low, high in itertools.pairwise(edges):
            total = np.zeros_like(rows[0])
            for place in range(math.floor(low), math.ceil(high)):
                share = np.float32((min(high, place + 1) - max(low, place)) / (length / size))
                total = total + rows[place] * share
            found.append(total)
        return found

    for image in images:
        rows = np.stack(shrunk(list(image)))
        columns = np.stack(shrunk(list(rows.T)), axis=1)
        assert np.array_equal(flow.resized(image, size), columns)


def test_opencv_agrees_on_areas() -> None:
    image = np.random.default_rng(0).uniform(0, 1, (224, 224)).astype(np.float32)
    for size in (28, 48, 112, 150):
        assert np.abs(flow.resized(image, size) - cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)).max() < 1e-4


def test_resized_flow_is_in_pixels_of_the_new_grid() -> None:
    """A quarter of the face is a quarter of the face in any size."""
    field = np.stack([np.full((224, 224), 56.0), np.full((224, 224), -7.0)]).astype(np.float32)
    for size in (28, 48, 224):
        found = flow.resized_flow(field, size)
        assert found.shape == (2, size, size)
        assert np.allclose(found[0], size / 4, rtol=1e-5)
        assert np.allclose(found[1], -size / 32, rtol=1e-5)
