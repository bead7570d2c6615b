"""Turning, cropping and brightness: exact where they can be, and right by property."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import Any, Literal

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from merbench import streams
from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.config import Training
from merbench.data.augment import Similarity, augmented, brightened, drawn, mirror_some, moved
from merbench.data.datamodule import check_training
from merbench.data.flow import strain, tvl1
from merbench.data.prepared import Prepared
from merbench.displacement import warp
from merbench.errors import UserError

NAMES: tuple[Literal["flow", "onset", "apex", "frames", "landmarks"], ...] = ("flow", "onset", "apex", "frames", "landmarks")


def similarity(clips: int, degrees: float = 0.0, side: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> Similarity:
    return Similarity(torch.full((clips,), math.radians(degrees)), torch.full((clips,), side), torch.tensor([centre] * clips))


def clips_of(count: int, size: int = 24, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def smooth(*shape: int) -> Tensor:
        coarse = torch.rand(*shape, 6, 6, generator=generator)
        return functional.interpolate(coarse.flatten(1, -3), size=size, mode="bicubic").view(*shape, size, size).clamp(0, 1)

    return {
        "onset": smooth(count, 3),
        "apex": smooth(count, 3),
        "frames": smooth(count, 4, 3),
        "flow": smooth(count, 3) - 0.5,
        "landmarks": torch.rand(count, 68, 2, generator=generator) * size,
        "times": torch.linspace(0, 1, 4).expand(count, 4),
        "label": torch.arange(count) % 3,
        "clip": torch.arange(count),
    }


def test_a_quarter_turn_is_torchs_own_with_the_vectors_turned() -> None:
    batch = clips_of(2)
    turned = moved(batch, similarity(2, degrees=-90))
    for name in ("onset", "apex", "frames"):
        assert torch.allclose(turned[name], torch.rot90(batch[name], 1, (-2, -1)), atol=1e-5), name
    u, v, strains = torch.rot90(batch["flow"], 1, (-2, -1)).unbind(1)
    assert torch.allclose(turned["flow"], torch.stack([v, -u, strains], dim=1), atol=1e-5), "to the right becomes up, down to the right"
    x, y = batch["landmarks"].unbind(-1)
    assert torch.allclose(turned["landmarks"], torch.stack([y, 23 - x], dim=-1), atol=1e-4)
    for name in ("times", "label", "clip"):
        assert torch.equal(turned[name], batch[name])  # type: ignore[literal-required]


@pytest.mark.parametrize("corner", [(-1, -1), (1, -1), (-1, 1), (1, 1)])
def test_a_corner_crop_is_the_corner_brought_back_to_size(corner: tuple[int, int]) -> None:
    """At half the side, a pixel of the crop lies between two of the old ones; every second sample of it, enlarged, is known exactly."""
    batch = clips_of(2)
    cropped = moved(batch, similarity(2, side=0.5, centre=(corner[0] * 0.5, corner[1] * 0.5)))
    rows, columns = (slice(0, 12) if place < 0 else slice(12, 24) for place in (corner[1], corner[0]))
    expected = functional.interpolate(batch["onset"], scale_factor=2, mode="bilinear", align_corners=False)
    wide_rows, wide_columns = (slice(2 * part.start, 2 * part.stop) for part in (rows, columns))
    assert torch.allclose(cropped["onset"], expected[..., wide_rows, wide_columns], atol=1e-5)
    flow = functional.interpolate(batch["flow"], scale_factor=2, mode="bilinear", align_corners=False)[..., wide_rows, wide_columns]
    assert torch.allclose(cropped["flow"][:, :2], 2 * flow[:, :2], atol=1e-5), "its vectors are pixels of a grid twice as fine"
    assert torch.allclose(cropped["flow"][:, 2:], flow[:, 2:], atol=1e-5), "strain is a gradient: both lengths grow"
    start = torch.tensor([columns.start, rows.start])
    assert torch.allclose(cropped["landmarks"], (batch["landmarks"] + 0.5 - start) * 2 - 0.5, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.floats(-30, 30), st.floats(0.7, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_landmarks_move_with_the_picture(degrees: float, side: float, x: float, y: float) -> None:
    """A bright spot is where its landmark is, whatever is done to both."""
    size, spot = 48, torch.tensor([20.0, 27.0])
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy"), dim=-1).float()
    picture = torch.exp(-(grid - spot).square().sum(-1) / 8).expand(1, 1, size, size)
    batch: Batch = {"onset": picture, "apex": picture, "landmarks": spot.expand(1, 68, 2), "clip": torch.zeros(1, dtype=torch.int64)}
    after = moved(batch, similarity(1, degrees, side, (x * (1 - side), y * (1 - side))))
    there = after["landmarks"][0, 0]
    if not ((there > 8) & (there < size - 9)).all():
        return  # near the border a part of the spot is cut off
    weights = after["onset"][0, 0]
    centre = (weights[..., None] * grid).sum((0, 1)) / weights.sum()
    assert torch.allclose(centre, there, atol=0.1)


@settings(max_examples=15, deadline=None)
@given(st.floats(-20, 20), st.floats(0.75, 1), st.floats(-1, 1), st.integers(0, 5))
def test_the_augmented_flow_is_that_of_the_augmented_pair(degrees: float, side: float, place: float, seed: int) -> None:
    """Flow says where the onset is found in the apex; it says so of the turned and cropped pair too."""
    generator = torch.Generator().manual_seed(seed)
    apex = functional.interpolate(torch.rand(1, 1, 8, 8, generator=generator), size=64, mode="bicubic")
    flow = 3 * functional.interpolate(torch.rand(1, 2, 4, 4, generator=generator) - 0.5, size=64, mode="bicubic")
    batch: Batch = {"onset": warp(apex, flow), "apex": apex, "flow": flow, "clip": torch.zeros(1, dtype=torch.int64)}
    after = moved(batch, similarity(1, degrees, side, (place * (1 - side), -place * (1 - side))))
    inner = (..., slice(20, 44), slice(20, 44))
    error = (warp(after["apex"], after["flow"]) - after["onset"])[inner].abs().mean()
    assert error < 0.004
    still = (after["apex"] - after["onset"])[inner].abs().mean()
    assert error < 0.2 * still, "the flow explains what moved"


def test_tvl1_of_a_turned_pair_is_the_turned_tvl1() -> None:
    generator = torch.Generator().manual_seed(3)
    apex = functional.interpolate(torch.rand(1, 1, 24, 24, generator=generator), size=96, mode="bicubic").clamp(0, 1)
    field = 4 * functional.interpolate(torch.rand(1, 2, 4, 4, generator=generator) - 0.5, size=96, mode="bicubic")
    pair: Batch = {"onset": warp(apex, field), "apex": apex, "clip": torch.zeros(1, dtype=torch.int64)}
    pair["flow"] = flow_of(pair)
    after = moved(pair, similarity(1, 10, 0.9, (0.1, -0.1)))
    middle = (..., slice(20, 76), slice(20, 76))
    found, expected = flow_of(after)[middle], after["flow"][middle]
    assert (found - expected).norm(dim=1).mean() < 0.15 * expected.norm(dim=1).mean()
    strained = torch.from_numpy(strain(after["flow"].numpy()))
    brought = moved(
        {**pair, "flow": torch.cat([pair["flow"], torch.from_numpy(strain(pair["flow"].numpy()))], 1)}, similarity(1, 10, 0.9, (0.1, -0.1))
    )
    assert np.corrcoef(strained[middle].flatten(), brought["flow"][:, 2:][middle].flatten())[0, 1] > 0.95


def flow_of(pair: Batch) -> Tensor:
    onset, apex = ((pair[name][0] * 255).byte().permute(1, 2, 0).repeat(1, 1, 3).numpy() for name in ("onset", "apex"))
    cv2.setNumThreads(1)
    return torch.from_numpy(tvl1(np.ascontiguousarray(onset), np.ascontiguousarray(apex)))[None]


def test_brightness_is_one_shift_for_all_frames_of_a_clip() -> None:
    batch = clips_of(200, size=8)
    for name in ("onset", "apex", "frames"):
        batch[name] = 0.2 + 0.6 * batch[name]
    after = brightened(batch, 0.08, key=1, counters=batch["clip"])
    shift = (after["onset"] - batch["onset"]).flatten(1)
    assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-6)
    for name in ("apex", "frames"):
        others = (after[name] - batch[name]).flatten(1)  # type: ignore[literal-required]
        assert torch.allclose(others, shift[:, :1].expand_as(others), atol=1e-6)
    one = shift[:, 0]
    assert 70 < int((one != 0).sum()) < 130, "half of the clips"
    assert -0.081 < one.min() < -0.06 < 0.06 < one.max() < 0.081
    assert torch.equal(after["flow"], batch["flow"]), "light is no motion"
    assert brightened(clips_of(50), 1.0, 2, torch.arange(50))["onset"].flatten().sort().values[[0, -1]].tolist() == [0, 1]


@pytest.mark.parametrize("mirror", [False, True])
def test_what_is_drawn_follows_the_clip_and_the_epoch_not_the_place(mirror: bool) -> None:
    training = Training(rotate=8, crop=0.9, crop_at="anywhere", brightness=20 * mirror, mirror=mirror)
    batch = clips_of(40)
    whole = augmented(batch, training, 1, 0, batch["clip"])
    half: Batch = {**batch}
    for name in (*NAMES, "clip"):
        half[name] = batch[name][20:]  # type: ignore[literal-required]
    part = augmented(half, training, 1, 0, half["clip"])
    for name in NAMES:
        assert torch.allclose(part[name], whole[name][20:], atol=1e-6), name
        assert not torch.allclose(augmented(batch, training, 1, 1, batch["clip"])[name], whole[name]), "another epoch"
        assert not torch.allclose(augmented(batch, training, 2, 0, batch["clip"])[name], whole[name]), "another fold"
        assert not torch.allclose(augmented(batch, training, 1, 0, batch["clip"] + 2**32)[name], whole[name]), "a repetition"


def test_what_is_drawn_is_what_was_asked_for() -> None:
    batch, many = clips_of(1), torch.arange(4000)
    found = drawn(Training(rotate=8, crop=0.9), 5, many, batch)
    degrees = found.angle.rad2deg()
    turned = degrees[degrees != 0]
    assert 1850 < len(turned) < 2150, "half of the clips"
    assert -8 <= turned.min() < -7.8 < 7.8 < turned.max() <= 8
    assert abs(turned.mean()) < 0.4
    corners = Counter(tuple(each) for each in found.centre.double().mul(10).round(decimals=3).tolist())
    assert set(corners) == {(-1, -1), (-1, 1), (1, -1), (1, 1)}
    assert min(corners.values()) > 880
    anywhere = drawn(Training(crop=0.9, crop_at="anywhere"), 5, many, batch).centre
    assert anywhere.abs().max() <= 0.1
    assert anywhere.abs().mean() == pytest.approx(0.05, abs=0.003)
    assert not drawn(Training(crop=0.9), 5, many, batch).angle.any()
    assert (drawn(Training(rotate=9), 5, many, batch).side == 1).all()


def test_clips_that_nothing_happens_to_keep_their_bits() -> None:
    batch = clips_of(60)
    after = augmented(batch, Training(rotate=10), 1, 0, batch["clip"])
    still = (after["onset"] == batch["onset"]).flatten(1).all(1)
    assert 15 < int(still.sum()) < 45
    for name in NAMES:
        assert torch.equal(after[name][still], batch[name][still])


def test_without_settings_a_batch_is_the_one_of_before() -> None:
    batch = clips_of(6)
    assert augmented(batch, Training(), 1, 0, batch["clip"]) is batch
    mirrored, before = augmented(batch, Training(mirror=True), 1, 3, batch["clip"]), mirror_some(batch, streams.key_of(1, "mirror", 3))
    assert all(torch.equal(mirrored[name], before[name]) for name in NAMES)


@pytest.mark.parametrize(("changes", "word"), [({"mirror": True}, "mirrored"), ({"rotate": 5.0}, "turned"), ({"crop": 0.9}, "cropped")])
def test_relative_flow_is_moved_after_centring_only(small: Prepared, changes: dict[str, Any], word: str) -> None:
    training = Training(**changes)
    with pytest.raises(UserError, match=f"cannot be {word} before it is centred") as caught:
        check_training(small, Inputs(flow=Flow(28)), training)
    assert caught.value.where == f"training.{next(iter(changes))}"
    with pytest.raises(UserError, match=f"landmarks alone cannot be {word}"):
        check_training(dataclasses.replace(small, units="pixels"), Inputs(landmarks=True), training)
    check_training(small, Inputs(flow=Flow(28, stabilisation="median")), training)
    check_training(dataclasses.replace(small, units="pixels"), Inputs(flow=Flow(28)), training)


def test_brightness_of_what_has_no_frames_is_refused(small: Prepared) -> None:
    with pytest.raises(UserError, match="the method reads no frames"):
        check_training(small, Inputs(flow=Flow(28)), Training(brightness=20))
    check_training(small, Inputs(frame=Frame(28)), Training(brightness=20))
