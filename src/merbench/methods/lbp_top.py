"""LBP-TOP: local binary patterns on three orthogonal planes of a clip (Zhao and Pietikainen, TPAMI 2007), and a linear machine."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from merbench.batch import Batch, Frame, Inputs
from merbench.method import METHODS, Card, ClosedForm

SEQUENCE = 8
"""Frames of a clip, as `merbench.batch.Frame` has them."""

PLANES = {"xy": ("x", "y"), "xt": ("x", "t"), "yt": ("y", "t")}
"""The axes along which neighbours lie: the cosine of their angle along the first, the sine against the second."""

ROUNDING = 1e-5
"""Grey values, of [0, 1], that are nearer are equal: a four-hundredth of a step of eight bits, and far above single precision."""


@METHODS.add("lbp_top")
class LBPTOP(ClosedForm):
    """Histograms of uniform patterns in each block of the face and on each plane, read by linear support vector machines.

    Each class has a machine of its own, against the rest; the logits are their decision values, not calibrated.

    Args:
        classes: number of classes.
        size: height and width of the frames.
        blocks: along each side of the face; they do not overlap.
        radius: of the neighbourhood in x and y, pixels.
        reach: of the neighbourhood in time, frames.
        points: neighbours of a value.
        planes: which of ``xy``, ``xt`` and ``yt``.
        c: penalty of the machines.
        balanced: errors on rare classes cost as much in sum as those on frequent ones.

    Raises:
        ValueError: no value of a clip has all its neighbours, a block has no value, there is no such plane, or c is not above 0.
    """

    card = Card(
        title="Dynamic Texture Recognition Using Local Binary Patterns with an Application to Facial Expressions",
        year=2007,
        paper="doi 10.1109/TPAMI.2007.1110; as baseline of MEGC2019: doi 10.1109/FG.2019.8756611",
        network="reconstruction",
        training="reconstruction",
        departures=(
            "Settings of the challenge's baseline could not be read. Radii are those of MEB's code (github.com/tvaranka/meb), 3 in x, y and time; its "
            "blocks are 8 x 8 and overlap, here they are 5 x 5 and do not.",
            "The penalty, and that errors are balanced by class, were chosen on rendered faces, where a radius in time of fewer than 3 frames did no better "
            "than chance.",
            "A clip is eight frames from onset to offset, evenly spaced, the nearest where that falls between two; the paper takes all frames.",
            "Neighbours between pixels are interpolated linearly; grey values nearer than a four-hundredth of an 8-bit step are equal.",
        ),
    )

    weight: Tensor
    bias: Tensor
    known: Tensor

    def __init__(
        self,
        classes: int,
        size: int = 112,
        blocks: int = 5,
        radius: int = 3,
        reach: int = 3,
        points: int = 8,
        planes: tuple[str, ...] = ("xy", "xt", "yt"),
        c: float = 10.0,
        balanced: bool = True,
    ) -> None:
        super().__init__(classes)
        if not planes or set(planes) - set(PLANES) or len(set(planes)) < len(planes):
            raise ValueError(f"the planes {', '.join(planes)} are not some of {', '.join(PLANES)}, each once")
        if radius < 1 or reach < 1 or 2 * reach >= SEQUENCE:
            raise ValueError(f"radius {radius} and reach {reach}: a clip has {SEQUENCE} frames, each value needs neighbours on both sides")
        if blocks < 1 or size - 2 * radius < blocks:
            raise ValueError(f"{blocks} blocks have no room in {size - 2 * radius} pixels that have all their neighbours")
        if not 1 <= points <= 12 or c <= 0:
            raise ValueError(f"{points} points are not 1 to 12, or the penalty c, {c}, is not above 0")
        self.inputs = Inputs(frame=Frame(size, sequence=True))
        self.blocks, self.points, self.planes, self.c, self.balanced = blocks, points, planes, c, balanced
        self.radii = {"x": radius, "y": radius, "t": reach}
        length = len(planes) * blocks**2 * uniform(points)[1]
        self.register_buffer("weight", torch.zeros(classes, length, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))

    def fit(self, batch: Batch) -> None:
        """Solve one machine for each class that the training clips have."""
        from sklearn.svm import SVC  # here: scikit-learn takes a second to import

        features = self.features(batch["frames"]).cpu().numpy()
        labels = batch["label"].cpu().numpy()
        products = features @ features.T
        for index in range(self.classes):
            wanted = labels == index
            self.known[index] = bool(wanted.any())
            self.weight[index], self.bias[index] = 0, 0
            if wanted.any() and not wanted.all():
                machine = SVC(C=self.c, kernel="precomputed", class_weight="balanced" if self.balanced else None).fit(products, wanted)
                self.weight[index] = torch.from_numpy(machine.dual_coef_[0] @ features[machine.support_])
                self.bias[index] = float(machine.intercept_[0])

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) decision values; a class that no training clip has gets the lowest."""
        values = self.features(batch["frames"]) @ self.weight.T + self.bias
        lowest = values.masked_fill(~self.known, math.inf).amin(dim=1, keepdim=True) - 1.0
        return torch.where(self.known, values, lowest)

    def features(self, frames: Tensor) -> Tensor:
        """Return (B, planes x blocks x blocks x patterns) float64: how often each pattern is there in each block, its sum 1.

        Args:
            frames: (B, T, 1, H, W), in [0, 1].
        """
        return torch.stack([self._histograms(clip) for clip in frames[:, :, 0].float()])  # one clip stays in the processor's cache

    def _histograms(self, clip: Tensor) -> Tensor:
        """Return the features of a clip (T, H, W)."""
        table, bins = uniform(self.points)
        table = table.to(clip.device)
        found = []
        for plane in self.planes:
            patterns = table[self._codes(clip, plane).long()]  # (T', H', W')
            rows, columns = (torch.arange(length, device=clip.device) * self.blocks // length for length in patterns.shape[1:])
            places = (rows[:, None] * self.blocks + columns) * bins + patterns
            histogram = torch.bincount(places.flatten(), minlength=self.blocks**2 * bins).double().view(-1, bins)
            found.append((histogram / histogram.sum(dim=1, keepdim=True)).flatten())
        return torch.cat(found)

    def _codes(self, clip: Tensor, plane: str) -> Tensor:
        """Return the pattern, 0 to 2^points - 1, of each value of a clip (T, H, W) that has all its neighbours on every plane."""
        middle = self._shifted(clip, {})
        codes = torch.zeros(middle.shape, dtype=torch.int16, device=clip.device)
        along, against = PLANES[plane]
        for point in range(self.points):
            difference = -middle
            for x, y, share in neighbour(point, self.points, self.radii[along], self.radii[against]):
                difference.add_(self._shifted(clip, {along: x, against: -y}), alpha=share)
            codes.add_(difference >= -ROUNDING, alpha=2**point)
        return codes

    def _shifted(self, clip: Tensor, by: dict[str, int]) -> Tensor:
        """Return what stands beside each value that has all its neighbours; a view."""
        for axis, name in enumerate(("t", "y", "x")):
            radius = self.radii[name]
            clip = clip.narrow(axis, radius + by.get(name, 0), clip.shape[axis] - 2 * radius)
        return clip


def neighbour(point: int, points: int, along: int, against: int) -> list[tuple[int, int, float]]:
    """Return where a neighbour stands, and its share of the grey value, as (x, y, share).

    It stands at the angle 2 pi point / points of an ellipse; between pixels, the four around it are weighted linearly.

    Args:
        point: 0 to points - 1.
        points: how many there are.
        along, against: radii in x and, upwards, in y.
    """
    angle = 2 * math.pi * point / points
    x, y = round(along * math.cos(angle), 9), round(against * math.sin(angle), 9)
    corners = itertools.product({math.floor(x), math.ceil(x)}, {math.floor(y), math.ceil(y)})
    return [(left, low, (1 - abs(x - left)) * (1 - abs(y - low))) for left, low in sorted(corners)]


def uniform(points: int) -> tuple[Tensor, int]:
    """Return the place in a histogram of each of 2^points patterns, and the histogram's length.

    Patterns whose ring of bits changes at most twice have a place of their own, the others share the last (Ojala et al., TPAMI 2002).
    """
    changes = [(code ^ (code >> 1 | (code & 1) << (points - 1))).bit_count() for code in range(2**points)]
    own = [code for code, count in enumerate(changes) if count <= 2]
    table = torch.full((2**points,), len(own))
    table[own] = torch.arange(len(own))
    return table, len(own) + 1
