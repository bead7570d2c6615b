"""Prepared data in memory: clips, labels and arrays, with the hash that names them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
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
        arrays: by name of `Batch`, first dimension N. Published flow: ``flow`` (N, 3, 28, 28) uint8.
        units: of flow.
    """

    on: str
    source: str
    scheme: str
    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]
    units: Units

    @property
    def annotations(self) -> str:
        """Return the hash of the annotations: two versions of a sheet give two."""
        return digest([canonical(clip) for clip in self.clips] + [self.labels.tolist(), list(self.classes)])

    @property
    def fingerprint(self) -> str:
        """Return the hash of annotations and arrays, whatever layout they were read from."""
        whole = hashlib.sha256(self.annotations.encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            whole.update(f"{name} {array.dtype.str} {array.shape} {self.units}".encode())
            whole.update(array.tobytes())
        return whole.hexdigest()[:16]
