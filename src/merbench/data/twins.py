"""Clips of different subjects that look like one person or one clip: a copy under another name stands on both sides of a fold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from merbench.data.flow import resized
from merbench.data.prepared import Prepared

LIKE = 0.95
"""Correlation from which two clips are told.

Apex frames, as they differ from the mean face: rendered ones of two people reach 0.89, of one person they are 0.99 in the median, and a copy keeps
0.99 after JPEG of quality 60 or a tenth more light, 0.953 after a shift by two pixels of 224. Published flow: the most alike of 309 clips of
different subjects reach 0.88; there a copy is found only where it is nearly exact (JPEG of quality 75 leaves 0.76 to 0.97).
"""
SIZE = 28


def twins(prepared: Prepared) -> list[tuple[str, str, float]]:
    """Return pairs of clips of different subjects that are alike, (key, key, correlation), the most alike first.

    Compared are u and v without their median, or where there are frames the apex as grey image; both as they differ from the mean over all
    clips, on a grid of 28.
    """
    views = np.concatenate(list(_views(prepared)))
    views -= views.mean(axis=0)
    views -= views.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(views, axis=1, keepdims=True)
    views /= np.where(lengths > 0, lengths, 1)
    likeness = views @ views.T
    subjects = np.array([clip.subject for clip in prepared.clips])
    likeness[subjects[:, None] == subjects] = -1
    first, second = np.nonzero(np.triu(likeness, 1) >= LIKE)
    pairs = [(prepared.clips[a].key, prepared.clips[b].key, float(likeness[a, b])) for a, b in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda pair: -pair[2])


def _views(prepared: Prepared) -> Iterator[NDArray[np.float32]]:
    """Yield (n, d) of what is compared."""
    frames = prepared.shape("apex") is not None
    for block in prepared.blocks("apex" if frames else "flow"):
        if frames:
            seen = resized(block.astype(np.float32).mean(axis=1, keepdims=True), SIZE)
        else:
            seen = resized(block[:, :2].astype(np.float32), SIZE)
            seen = seen - np.median(seen, axis=(2, 3), keepdims=True)
        yield seen.reshape(len(seen), -1)
