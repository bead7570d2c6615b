"""The batch plan, what is served, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.config import Training
from merbench.data import protocol
from merbench.data.augment import mirror, mirror_some
from merbench.data.datamodule import (
    LosoDataModule,
    check_batch,
    check_training,
    held_out_clips,
    serve,
    steps_per_epoch,
    training_clips,
)
from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.sample import Clip

FLOW = Inputs(flow=Flow(28, strain=True))


def module(prepared: Prepared, fold: int, training: Training, batch: int = 5, key: int = 1, inputs: Inputs = FLOW) -> LosoDataModule:
    folds = protocol.loso(prepared.clips)
    resident = training_clips(serve(prepared, inputs), folds[fold])
    return LosoDataModule(resident, steps_per_epoch(folds, batch), training, key)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(1, 12), st.integers(0, 5))
def test_every_fold_takes_the_same_steps_and_every_clip_once(sizes: list[int], batch: int, epoch: int) -> None:
    clips = tuple(Clip("smic", f"smic/{s}", str(c)) for s, size in enumerate(sizes) for c in range(size))
    labels = np.arange(len(clips)) % 3
    prepared = Prepared("smic", "x", "megc3", clips, ("a", "b", "c"), labels, {}, "relative")
    folds = protocol.loso(clips)
    steps = steps_per_epoch(folds, batch)
    fewest = min(len(fold.train) for fold in folds)
    if steps > fewest:
        with pytest.raises(UserError, match="the smallest fold has") as caught:
            check_batch(folds, batch)
        works = int(caught.value.remedy.split("=")[1].split()[0])
        check_batch(folds, works)
        assert works == batch + 1 or steps_per_epoch(folds, works - 1) > fewest, "the smallest that works"
        return
    check_batch(folds, batch)
    for index, fold in enumerate(folds):
        batches = list(module(prepared, index, Training(), batch, inputs=Inputs()).batches(epoch))
        assert len(batches) == steps
        counts = [len(each["clip"]) for each in batches]
        assert 1 <= min(counts) <= max(counts) <= batch
        assert max(counts) - min(counts) <= 1
        assert sorted(i for each in batches for i in each["clip"].tolist()) == list(fold.train)
        assert all(torch.equal(each["label"], torch.from_numpy(labels)[each["clip"]]) for each in batches)


def test_order_is_anew_each_epoch_and_again_for_the_same_key(small: Prepared) -> None:
    first = module(small, 0, Training())
    orders = [tuple(first.order(epoch).tolist()) for epoch in range(4)]
    assert len(set(orders)) == 4
    torch.manual_seed(5)
    assert [tuple(module(small, 0, Training()).order(epoch).tolist()) for epoch in range(4)] == orders
    assert tuple(module(small, 0, Training(), key=2).order(0).tolist()) != orders[0]


def test_by_class_reads_as_the_ports_read_their_folders(small: Prepared) -> None:
    data = module(small, 0, Training(order="by-class"))
    assert data.order(0).tolist() == data.order(7).tolist()
    labels = data.resident["label"][data.order(0)]
    assert labels.tolist() == sorted(labels.tolist())
    clips = data.resident["clip"][data.order(0)]
    for label in range(3):
        mine = clips[labels == label].tolist()
        assert mine == sorted(mine)


def test_held_out_clips_come_without_labels_and_are_not_trained_on(small: Prepared) -> None:
    fold, everything = protocol.loso(small.clips)[2], serve(small, FLOW)
    held_out = held_out_clips(everything, fold)
    assert "label" not in held_out
    assert held_out["clip"].tolist() == list(fold.test)
    assert not set(held_out["clip"].tolist()) & set(training_clips(everything, fold)["clip"].tolist())


def test_the_data_module_holds_nothing_of_the_held_out_subject(small: Prepared) -> None:
    """A method can reach it through its trainer: class weights from all labels would be a leak."""
    data, test = module(small, 2, Training()), set(protocol.loso(small.clips)[2].test)
    batches = [value for value in vars(data).values() if isinstance(value, dict) and "clip" in value]
    assert batches
    assert not any(test & set(batch["clip"].tolist()) for batch in batches)


def test_what_is_served_of_a_clip_does_not_depend_on_the_others(small: Prepared) -> None:
    """Normalisation over all clips would be a leak (traps.md, section 7)."""
    inputs = Inputs(flow=Flow(28, strain=True, stabilisation="median"))
    changed = small.arrays["flow"].copy()
    changed[3:] = 255 - changed[3:]
    other = serve(dataclasses.replace(small, arrays={"flow": changed}), inputs)
    assert torch.equal(serve(small, inputs)["flow"][:3], other["flow"][:3])


def test_relative_units_are_shares_of_the_range(small: Prepared) -> None:
    flow = serve(small, FLOW)["flow"]
    assert flow.dtype == torch.float32
    assert (flow.min().item(), flow.max().item()) == (0, 1)
    assert serve(small, Inputs(flow=Flow(28)))["flow"].shape[1] == 2
    assert "flow" not in serve(small, Inputs())


def test_centring_removes_the_median_of_u_and_v_and_leaves_strain(small: Prepared) -> None:
    raw, centred = serve(small, FLOW)["flow"], serve(small, Inputs(flow=Flow(28, strain=True, stabilisation="median")))["flow"]
    expected = raw.numpy()[:, :2] - np.median(raw.numpy()[:, :2], axis=(2, 3), keepdims=True)
    assert np.allclose(centred[:, :2].numpy(), expected, atol=1e-7)
    assert torch.equal(centred[:, 2], raw[:, 2])


def test_a_mirrored_face_negates_u(small: Prepared) -> None:
    batch = serve(small, Inputs(flow=Flow(28, strain=True, stabilisation="median")))
    flipped = mirror(batch)["flow"]
    assert torch.equal(flipped[:, 0], -batch["flow"][:, 0].flip(-1))
    assert torch.equal(flipped[:, 1:], batch["flow"][:, 1:].flip(-1))
    assert torch.equal(mirror(mirror(batch))["flow"], batch["flow"])


def test_mirroring_moves_the_motion_with_the_face() -> None:
    """A corner that moves right and up becomes the other corner, moving left and up."""
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, :, 3, 0] = torch.tensor([1.0, -1.0])
    flipped = mirror({"flow": flow})["flow"]
    assert flipped[0, :, 3, 3].tolist() == [-1.0, -1.0]
    assert flipped.abs().sum() == 2


def test_frames_are_mirrored_too() -> None:
    batch: Batch = {"onset": torch.rand(2, 1, 3, 4), "apex": torch.rand(2, 1, 3, 4), "clip": torch.arange(2)}
    flipped = mirror(batch)
    assert torch.equal(flipped["onset"], batch["onset"].flip(-1))
    assert torch.equal(flipped["apex"], batch["apex"].flip(-1))


def test_random_mirroring_is_by_clip_not_by_place() -> None:
    batch: Batch = {"flow": torch.rand(60, 3, 4, 4), "clip": torch.arange(60)}
    some = mirror_some(batch, key=3)["flow"]
    changed = (some != batch["flow"]).flatten(1).any(1)
    assert 15 < changed.sum() < 45
    back: Batch = {"flow": batch["flow"].flip(0), "clip": batch["clip"].flip(0)}
    assert torch.equal(mirror_some(back, key=3)["flow"].flip(0), some)
    assert not torch.equal(mirror_some(batch, key=4)["flow"], some)


def test_mirroring_in_training_depends_on_the_epoch(small: Prepared) -> None:
    data = module(small, 0, Training(mirror=True), batch=99, inputs=Inputs(flow=Flow(28, stabilisation="median")))
    plain = module(small, 0, Training(), batch=99, inputs=Inputs(flow=Flow(28, stabilisation="median")))
    flips = []
    for epoch in range(2):
        batch, same = next(iter(data.batches(epoch))), next(iter(plain.batches(epoch)))
        changed = (batch["flow"] != same["flow"]).flatten(1).any(1)
        flips.append(set(batch["clip"][changed].tolist()))
    assert flips[0] != flips[1]
    assert flips[0]
    assert flips[1]


def test_relative_flow_that_is_not_centred_cannot_be_mirrored(small: Prepared) -> None:
    with pytest.raises(UserError, match="no zero"):
        check_training(small, FLOW, Training(mirror=True))
    check_training(small, Inputs(flow=Flow(28, stabilisation="median")), Training(mirror=True))
    check_training(dataclasses.replace(small, units="pixels"), FLOW, Training(mirror=True))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (Inputs(frame=Frame(56)), "reads frames"),
        (Inputs(landmarks=True), "reads landmarks"),
        (Inputs(flow=Flow(64)), "flow of 64 pixels, the source has 28"),
        (Inputs(flow=Flow(28, pixels=True)), "flow in pixels, the source has relative units"),
        (Inputs(flow=Flow(28, stabilisation="nose")), "no landmarks"),
    ],
)
def test_what_published_flow_cannot_serve_is_refused_with_the_reason(small: Prepared, inputs: Inputs, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        serve(small, inputs)
