"""What a method asks for (Inputs) and what it gets (Batch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from torch import Tensor

Stabilisation = Literal["none", "median", "nose"]


@dataclass(frozen=True, slots=True)
class Flow:
    """Optical flow from onset to apex.

    Attributes:
        size: height and width of the grid.
        strain: a third channel with the optical strain.
        stabilisation: what is subtracted from u and v as head motion: nothing, their median over the face, or the flow at the nose.
        pixels: the method reads lengths, so flow in ``relative`` units (published images) cannot serve it.
    """

    size: int
    strain: bool = False
    stabilisation: Stabilisation = "none"
    pixels: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Onset and apex frames of the aligned face.

    Attributes:
        size: height and width.
        colour: three channels instead of one.
        sequence: frames between them too, evenly spaced from onset to offset.
    """

    size: int
    colour: bool = False
    sequence: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a method declares; the data module serves it, never the other way round.

    Attributes:
        flow, frame, landmarks: what is read of a clip.
        macro: macro-expression clips too, for stages with ``on="macro"`` or ``on="training+macro"``: flow, frames and landmarks of them as of the
            others.
    """

    flow: Flow | None = None
    frame: Frame | None = None
    landmarks: bool = False
    macro: bool = False

    @property
    def grid(self) -> int:
        """Return the size in whose pixels landmarks are given."""
        return self.frame.size if self.frame else self.flow.size if self.flow else 224


class Batch(TypedDict, total=False):
    """Tensors with fixed names. A method finds what its ``inputs`` declare, beside ``clip`` and, in training, ``label``.

    Held-out clips come without ``label``: there is nothing to look at.
    """

    onset: Tensor
    """(B, C, H, W), in [0, 1]."""
    apex: Tensor
    """(B, C, H, W), in [0, 1]."""
    flow: Tensor
    """(B, 2 or 3, h, w): u and v in pixels of that grid from onset to apex, and strain; or in ``relative`` units, each channel
    in [0, 1] before stabilisation, where the source has no scale."""
    frames: Tensor
    """(B, T, C, H, W), in [0, 1]: from onset to offset, evenly spaced; where a frame is missing, the nearest stands for it."""
    times: Tensor
    """(B, T): places of ``frames`` in the clip, 0 at the onset, 1 at the apex, more than 1 after it."""
    landmarks: Tensor
    """(B, 68, 2): x, y on the onset, in pixels of the frame grid (of the flow grid for a method without frames), pixel centres at whole
    numbers."""
    tvl1: Tensor
    """(B, 2, h, w): TV-L1 flow in pixels of the frame grid. `Method.measures` alone gets it."""
    truth: Tensor
    """(B, 2, h, w): the true displacement of a rendered clip in pixels of the frame grid, not a number beside the face. In no batch that is
    trained on or predicted from: `Method.measures` alone gets it."""
    label: Tensor
    """(B,), int64, class index; in a stage on macro clips the index in `sample.EMOTIONS`; not there in a stage on both."""
    clip: Tensor
    """(B,), int64, position of the clip in its set; macro clips are a set of their own, and where both are joined they come after all clips of the
    run."""
