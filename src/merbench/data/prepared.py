"""Prepared data in memory: clips, labels and arrays, with the hash that names them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merbench.config import canonical, digest
from merbench.sample import Clip

Units = Literal["pixels", "relative"]


@dataclass(frozen=True)
class Prepared:
    """What every fold of a run reads.

    Attributes:
        on, source, scheme: as in the request.
        clips: N clips in listed order; a clip's position is its number in a batch.
        classes: class names.
        labels: (N,) int64.
        arrays: by name, first dimension N. Published flow: ``flow`` (N, 3, 28, 28) uint8. Frames: see `data.pieces`. Empty where the
            set is joined from ``parts``.
        units: of flow.
        known: the fingerprint, where the store has seen to it that nothing was changed; else it is computed.
        parts: the databases of a joined set, each prepared by itself.
    """

    on: str
    source: str
    scheme: str
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]
    units: Units
    known: str = ""
    parts: tuple[Prepared, ...] = ()

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of one clip's array; None where the set has no such array."""
        shapes = {part.arrays[name].shape[1:] if name in part.arrays else None for part in self.parts or (self,)}
        return shapes.pop() if len(shapes) == 1 else None

    def blocks(self, name: str, size: int = 64) -> Iterator[NDArray[Any]]:
        """Yield an array of all clips in listed order, at most ``size`` clips at a time, so that what lies on disk is never all in memory."""
        for part in self.parts or (self,):
            array = part.arrays[name]
            yield from (np.array(array[begin : begin + size]) for begin in range(0, len(array), size))

    def first(self, count: int) -> Prepared:
        """Return the first clips as a set of their own, to try a method on."""
        part = (self.parts or (self,))[0]
        arrays = {name: array[:count] for name, array in part.arrays.items()}
        return replace(part, clips=part.clips[:count], labels=part.labels[:count], arrays=arrays, known="")

    @property
    def assumed(self) -> str:
        """Return what was assumed about clips, and about how many: ``apex: middle frame (46 clips)``."""
        counts = Counter(flag for clip in self.clips for flag in clip.flags)
        return ", ".join(f"{flag} ({count} clips)" for flag, count in sorted(counts.items()))

    @property
    def annotations(self) -> str:
        """Return the hash of the annotations: two versions of a sheet give two."""
        return digest([canonical(clip) for clip in self.clips] + [self.labels.tolist(), list(self.classes)])

    @property
    def fingerprint(self) -> str:
        """Return the hash of annotations and arrays, whatever layout they were read from."""
        if self.known:
            return self.known
        if self.parts:
            return digest([part.fingerprint for part in self.parts] + [self.annotations])
        whole = hashlib.sha256(self.annotations.encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            whole.update(f"{name} {array.dtype.str} {array.shape} {self.units}".encode())
            whole.update(array.data)
        return whole.hexdigest()[:16]


def join(parts: Sequence[Prepared], on: str) -> Prepared:
    """Return several prepared databases as one set; their arrays stay where they are.

    Raises:
        ValueError: they are not of one source, scheme and unit.
    """
    first = parts[0]
    if any(
        (part.source, part.scheme, part.classes, part.units) != (first.source, first.scheme, first.classes, first.units) for part in parts
    ):
        raise ValueError("the parts of a set are not of one source, scheme and unit")
    clips = tuple(clip for part in parts for clip in part.clips)
    labels = np.concatenate([part.labels for part in parts])
    return Prepared(on, first.source, first.scheme, clips, first.classes, labels, {}, first.units, parts=tuple(parts))
