"""Optical flow from onset to apex, its strain, and how both are brought to another size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as OpenCV has them)."""

SETTINGS = {"tau": 0.25, "lambda": 0.15, "theta": 0.3, "scales": 5, "warps": 5, "epsilon": 0.01}
"""OpenCV's own defaults, with which the field computes TV-L1; written down because they decide numbers."""


def solver() -> Any:
    """Return OpenCV's solver with `SETTINGS`."""
    import cv2

    return cv2.optflow.DualTVL1OpticalFlow_create(  # type: ignore[attr-defined]  # contrib's stubs lack it
        SETTINGS["tau"], SETTINGS["lambda"], SETTINGS["theta"], int(SETTINGS["scales"]), int(SETTINGS["warps"]), SETTINGS["epsilon"]
    )


def tvl1(onset: NDArray[np.uint8], apex: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the TV-L1 flow of two aligned faces, (2, H, W) u and v in pixels: what is at x in the onset is at x + flow in the apex.

    Zach, Pock and Bischof, "A duality based approach for realtime TV-L1 optical flow", DAGM 2007, as OpenCV has it.

    Args:
        onset, apex: (H, W, 3), red first.
    """
    import cv2

    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (onset, apex)]
    return np.ascontiguousarray(solver().calc(*grey, None).transpose(2, 0, 1))


def strain(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the optical strain (..., 1, H, W) of flow (..., 2, H, W): sqrt(ux² + vy² + (uy + vx)² / 2), central differences.

    Shreve, Godavarthy, Goldgof and Sarkar, FG 2011.
    """
    (uy, ux), (vy, vx) = (np.gradient(flow[..., part, :, :], axis=(-2, -1)) for part in (0, 1))
    return np.asarray(np.sqrt(ux**2 + vy**2 + (uy + vx) ** 2 / 2), dtype=np.float32)[..., None, :, :]


def resized(images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return images (..., H, W) at (..., size, size), each new pixel the mean of the area it covers, also where sizes do not divide.

    Shares are added up one after another, not by a product of matrices: that is BLAS, whose kernels go by the processor, and last bits with them.
    """
    rows = _shrunk(images, size)
    return np.ascontiguousarray(_shrunk(rows.swapaxes(-1, -2), size).swapaxes(-1, -2))


def _shrunk(images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return images (..., length, W) at (..., size, W)."""
    length = images.shape[-2]
    shares = _areas(length, size)
    first = (shares > 0).argmax(axis=1)
    found = np.zeros((*images.shape[:-2], size, images.shape[-1]), dtype=np.float32)
    for place in range(int((shares > 0).sum(axis=1).max())):
        old = np.minimum(first + place, length - 1)
        share = np.where(first + place < length, shares[np.arange(size), old], np.float32(0))
        found += images[..., old, :] * share[:, None]
    return found


def resized_flow(flow: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return flow (..., 2, H, W) at another size, its vectors scaled: they are pixels of the new grid."""
    return resized(flow, size) * np.float32(size / flow.shape[-1])


def _areas(length: int, size: int) -> NDArray[np.float32]:
    """Return (size, length): the share of each old pixel in each new one."""
    edges = np.linspace(0, length, size + 1)
    starts = np.arange(length)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.asarray(overlap.clip(min=0) / (length / size), dtype=np.float32)
