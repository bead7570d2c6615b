"""LBP-TOP: patterns against a slow implementation, the place of blocks, planes and classes."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from merbench.batch import Batch
from merbench.methods.lbp_top import LBPTOP, uniform


@pytest.mark.parametrize(("radius", "reach", "points", "blocks"), [(1, 1, 8, 2), (2, 1, 8, 3), (1, 3, 4, 1), (3, 2, 6, 2)])
def test_features_are_those_of_a_slow_implementation(radius: int, reach: int, points: int, blocks: int) -> None:
    frames = torch.rand(2, 8, 1, 13, 13, generator=torch.Generator().manual_seed(radius))
    method = LBPTOP(3, size=13, blocks=blocks, radius=radius, reach=reach, points=points)
    found = method.features(frames)
    for clip in range(2):
        assert found[clip].tolist() == pytest.approx(slow(frames[clip, :, 0], blocks, radius, reach, points))


def slow(clip: Tensor, blocks: int, radius: int, reach: int, points: int) -> list[float]:
    """Return the features of one clip (T, H, W), value by value, in plain Python."""
    grey = clip.double().tolist()
    length, height, width = len(grey), len(grey[0]), len(grey[0][0])

    def at(t: float, y: float, x: float) -> float:
        """Interpolate; one of the three is a whole number."""
        total = 0.0
        for tt in (math.floor(t), math.floor(t) + 1):
            for yy in (math.floor(y), math.floor(y) + 1):
                for xx in (math.floor(x), math.floor(x) + 1):
                    share = (1 - abs(t - tt)) * (1 - abs(y - yy)) * (1 - abs(x - xx))
                    if share > 1e-12:
                        total += share * grey[tt][yy][xx]
        return total

    def ring(plane: str, p: int) -> tuple[float, float, float]:
        cosine, sine = round(math.cos(2 * math.pi * p / points), 12), round(math.sin(2 * math.pi * p / points), 12)
        return {
            "xy": (0.0, -radius * sine, radius * cosine),
            "xt": (-reach * sine, 0.0, radius * cosine),
            "yt": (-reach * sine, radius * cosine, 0.0),
        }[plane]

    def name(bits: list[bool]) -> str:
        changes = sum(a != b for a, b in zip(bits, bits[1:] + bits[:1], strict=True))
        return "".join("01"[bit] for bit in bits) if changes <= 2 else "other"

    names = sorted(
        {name([bool(code >> p & 1) for p in range(points)]) for code in range(2**points)} - {"other"}, key=lambda text: int(text[::-1], 2)
    )
    features = []
    for plane in ("xy", "xt", "yt"):
        seen: Counter[tuple[int, str]] = Counter()
        inside: Counter[int] = Counter()
        for t in range(reach, length - reach):
            for y in range(radius, height - radius):
                for x in range(radius, width - radius):
                    bits = []
                    for p in range(points):
                        dt, dy, dx = ring(plane, p)
                        bits.append(at(t + dt, y + dy, x + dx) >= grey[t][y][x])
                    rows, columns = height - 2 * radius, width - 2 * radius
                    block = (y - radius) * blocks // rows * blocks + (x - radius) * blocks // columns
                    seen[block, name(bits)] += 1
                    inside[block] += 1
        features += [seen[block, each] / inside[block] for block in range(blocks**2) for each in [*names, "other"]]
    return features


def test_uniform_patterns_are_as_many_as_published() -> None:
    """59 places for eight neighbours (Ojala et al.): 58 patterns of at most two changes, and the others."""
    table, length = uniform(8)
    assert length == 59
    assert torch.bincount(table, minlength=59).tolist() == [1] * 58 + [198]
    assert table[0b00000000] == 0
    assert table[0b11111111] == 57
    assert table[0b01010101] == 58
    assert uniform(4)[1] == 15


def test_a_flat_clip_has_one_pattern() -> None:
    """Every neighbour is as large as the middle, whatever interpolation rounds."""
    frames = torch.full((1, 8, 1, 20, 20), 0.3)
    found = LBPTOP(3, size=20, blocks=2, radius=3, reach=3).features(frames).view(-1, 59)
    assert torch.equal(found, torch.nn.functional.one_hot(torch.full((12,), 57), 59).double())


def test_light_does_not_matter() -> None:
    """What only grows brighter has the same patterns: they are of order, not of size."""
    frames = torch.rand(2, 8, 1, 24, 24, generator=torch.Generator().manual_seed(0)) / 2
    method = LBPTOP(3, size=24)
    assert torch.equal(method.features(frames), method.features(frames * 1.5 + 0.1))


def test_a_still_clip_has_no_patterns_of_time() -> None:
    """The first and the last frame alike: neighbours in time, above and below, are equal to the middle; motion changes that."""
    still = torch.rand(1, 1, 1, 24, 24, generator=torch.Generator().manual_seed(0)).expand(1, 8, 1, 24, 24)
    moving = torch.stack([still[:, 0].roll(shift, dims=-1) for shift in range(8)], dim=1)
    method = LBPTOP(3, size=24, planes=("yt",))
    table, _ = uniform(8)
    own = method.features(still).view(25, 59).sum(dim=0) > 0
    straight = {int(table[code]) for code in range(256) if code >> 2 & 1 and code >> 6 & 1}  # the neighbours straight before and after
    assert set(own.nonzero().flatten().tolist()) <= straight
    assert not torch.equal(method.features(still), method.features(moving))


def test_planes_are_chosen() -> None:
    frames = torch.rand(2, 8, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    whole = LBPTOP(3, size=24).features(frames).view(2, 3, -1)
    for index, plane in enumerate(("xy", "xt", "yt")):
        assert torch.equal(LBPTOP(3, size=24, planes=(plane,)).features(frames), whole[:, index])
    method = LBPTOP(3)
    assert method.weight.shape == (3, 3 * 25 * 59)


def test_every_block_has_a_place_of_its_own() -> None:
    """What moves in the lower right of the face changes the histograms of the lower right alone."""
    frames = torch.rand(1, 8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    other = frames.clone()
    other[..., 26:, 26:] = other[..., 26:, 26:].flip(-1)
    method = LBPTOP(3, size=32, blocks=3)
    changed = (method.features(frames) != method.features(other)).view(3, 3, 3, 59).any(dim=3)
    assert changed.any(dim=0).nonzero().tolist() == [[2, 2]]


@pytest.mark.parametrize("balanced", [True, False])
def test_the_machine_is_scikit_learns(balanced: bool) -> None:
    """The weights are those of a linear SVC for each class against the rest; the penalty is so low that it is paid."""
    from sklearn.svm import SVC

    batch = clips(18)
    method = LBPTOP(3, size=24, c=0.02, balanced=balanced)
    method.fit(batch)
    features = method.features(batch["frames"]).numpy()
    for index in range(3):
        machine = SVC(C=0.02, kernel="linear", class_weight="balanced" if balanced else None)
        values = machine.fit(features, batch["label"].numpy() == index).decision_function(features)
        assert method.logits(batch)[:, index].tolist() == pytest.approx(values.tolist(), abs=1e-3)


def test_a_class_without_clips_is_never_chosen() -> None:
    batch = clips(12)
    batch["label"] = batch["label"] % 2 * 2  # 0 and 2 alone
    method = LBPTOP(3, size=24)
    method.fit(batch)
    logits = method.logits(batch)
    assert (logits[:, 1] < logits[:, [0, 2]].amin(dim=1)).all()
    assert torch.equal(logits.argmax(dim=1), batch["label"])
    batch["label"] = torch.ones_like(batch["label"])
    method.fit(batch)
    assert (method.logits(batch).argmax(dim=1) == 1).all()


@pytest.mark.parametrize(
    "arguments", [{"planes": ("xy", "xz")}, {"planes": ()}, {"reach": 4}, {"radius": 0}, {"size": 6}, {"points": 20}, {"c": 0.0}]
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"planes|neighbours|room|points"):
        LBPTOP(3, **arguments)


def clips(count: int) -> Batch:
    """Return clips of noise whose lower half is coarser for higher classes."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(count, 8, 1, 24, 24, generator=generator)
    label = torch.arange(count) % 3
    coarse = torch.nn.functional.avg_pool2d(frames.flatten(0, 1), 3, stride=1, padding=1).view_as(frames)
    part = (label / 2).view(-1, 1, 1, 1, 1)
    frames[..., 12:, :] = (part * coarse + (1 - part) * frames)[..., 12:, :]
    return {"frames": frames, "label": label, "clip": torch.arange(count)}
