"""The batch plan, what is served, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.config import Training
from merbench.data import faces, protocol
from merbench.data.augment import mirror, mirror_some
from merbench.data.datamodule import LosoDataModule, check_batch, check_training, held_out_clips, steps_per_epoch, training_clips
from merbench.data.prepared import Prepared
from merbench.data.serving import references, serve
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
        with pytest.raises(UserError, match="the smallest fold has") as own:
            check_batch(folds, batch, stage="warm-up")
        assert own.value.where == "stage 'warm-up' of the method"
        assert own.value.remedy.startswith(f"{works} or more: it has a batch of its own"), "training.batch would not help"
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


# frames


@pytest.fixture(scope="module")
def aligned() -> Prepared:
    """Four clips of two subjects as `prepare` makes them, of noise; their flow is the head's motion and that of one corner of the mouth."""
    rng = np.random.default_rng(4)
    clips = tuple(Clip("smic", f"smic/s{index // 2}", f"c{index}") for index in range(4))

    def noise(*shape: int) -> NDArray[np.uint8]:
        return rng.integers(0, 256, (4, *shape), dtype=np.uint8)

    moved = np.zeros((4, 2, 224, 224), np.float16)
    moved[:] = np.array([(3.25, -1.5), (0, 0), (-2, 4), (0.5, 0.25)]).reshape(4, 2, 1, 1)
    moved[:, 0, 160:184, 56:88] += 4
    landmarks = rng.uniform(20, 200, (4, 68, 2)).astype(np.float32)
    landmarks[:, 27:31] = rng.uniform(90, 130, (4, 4, 2))
    truth = np.full((4, 2, 56, 56), np.nan, np.float16)
    truth[:, :, 8:48, 8:48] = np.array([2.0, -1.0]).reshape(2, 1, 1)
    arrays: dict[str, NDArray[Any]] = {
        "onset": noise(3, 224, 224),
        "apex": noise(3, 224, 224),
        "frames": noise(8, 3, 112, 112),
        "times": np.linspace(0, 2, 8, dtype=np.float32)[None].repeat(4, axis=0),
        "flow": moved,
        "landmarks": landmarks,
        "truth": truth,
    }
    return Prepared("smic", "frames", "megc3", clips, ("a", "b"), np.array([0, 1, 0, 1]), arrays, "pixels")


def mirrored(prepared: Prepared) -> Prepared:
    """Return what would have been prepared of the mirrored frames."""
    arrays = {name: array[..., ::-1].copy() for name, array in prepared.arrays.items() if name not in ("landmarks", "times")}
    arrays["flow"][:, 0] *= -1
    points = prepared.arrays["landmarks"][:, list(faces.MIRRORED)].copy()
    points[..., 0] = 223 - points[..., 0]
    return dataclasses.replace(prepared, arrays={**arrays, "landmarks": points, "times": prepared.arrays["times"]})


@pytest.mark.parametrize("size", [28, 48, 112])
def test_everything_is_served_in_pixels_of_its_grid(aligned: Prepared, size: int) -> None:
    batch = serve(aligned, Inputs(flow=Flow(size, strain=True), frame=Frame(size, colour=True, sequence=True), landmarks=True))
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items() if isinstance(tensor, torch.Tensor)}
    assert shapes == {
        "label": (4,),
        "clip": (4,),
        "flow": (4, 3, size, size),
        "onset": (4, 3, size, size),
        "apex": (4, 3, size, size),
        "frames": (4, 8, 3, size, size),
        "times": (4, 8),
        "landmarks": (4, 68, 2),
    }
    scale = size / 224
    assert batch["flow"][:, :2, 0, 0].flatten().tolist() == pytest.approx([each * scale for each in (3.25, -1.5, 0, 0, -2, 4, 0.5, 0.25)])
    assert torch.allclose(batch["landmarks"], (torch.from_numpy(aligned.arrays["landmarks"]) + 0.5) * scale - 0.5)
    for name, length in (("onset", 224), ("apex", 224), ("frames", 112)):
        found = batch[name].float()  # type: ignore[literal-required]
        assert 0 <= found.min() < found.max() <= 1
        assert found.mean().item() == pytest.approx(aligned.arrays[name].mean() / 255, abs=1e-3), length
    if size == 112:
        halves = aligned.arrays["apex"].reshape(4, 3, 112, 2, 112, 2).mean(axis=(3, 5)) / 255
        assert np.allclose(batch["apex"].numpy(), halves, atol=1e-5)
        assert np.allclose(batch["frames"].numpy(), aligned.arrays["frames"] / 255, atol=5e-4)


def test_landmarks_stay_on_what_they_mark(aligned: Prepared) -> None:
    """A bright square of 8 pixels is one pixel at 28: its centre and the landmark on it are the same place in both."""
    onset, points = np.zeros_like(aligned.arrays["onset"]), aligned.arrays["landmarks"].copy()
    onset[:, :, 80:88, 120:128] = 255
    points[:, 5] = (123.5, 83.5)
    marked = dataclasses.replace(aligned, arrays={**aligned.arrays, "onset": onset, "landmarks": points})
    batch = serve(marked, Inputs(frame=Frame(28), landmarks=True))
    x, y = batch["landmarks"][0, 5].tolist()
    assert (x, y) == (15, 10)
    assert batch["onset"][0, 0, 10, 15] == pytest.approx(1)
    assert batch["onset"][0, 0].sum() == pytest.approx(1)


def test_grey_is_what_eyes_see_of_colour(aligned: Prepared) -> None:
    colour = serve(aligned, Inputs(frame=Frame(28, colour=True)))["onset"]
    grey = serve(aligned, Inputs(frame=Frame(28)))["onset"]
    assert grey.shape == (4, 1, 28, 28)
    assert torch.allclose(grey[:, 0], 0.299 * colour[:, 0] + 0.587 * colour[:, 1] + 0.114 * colour[:, 2], atol=1e-6)


def test_strain_is_that_of_the_fine_flow(aligned: Prepared) -> None:
    found = serve(aligned, Inputs(flow=Flow(28, strain=True)))["flow"][:, 2]
    assert (found > 0).any()
    assert torch.equal(found[0], found[1]), "the head's motion strains nothing"
    assert found[:, 21, 8:10].abs().max() == 0, "within a part that moves as one there is none"


@pytest.mark.parametrize("how", ["nose", "median"])
def test_stabilised_flow_is_without_the_heads_motion(aligned: Prepared, how: str) -> None:
    still = serve(aligned, Inputs(flow=Flow(28, stabilisation="nose" if how == "nose" else "median")))["flow"]
    expected = torch.zeros(2, 28, 28)
    expected[0, 20:23, 7:11] = 4 * 28 / 224
    assert torch.allclose(still, expected.expand(4, 2, 28, 28), atol=1e-5)


@pytest.mark.parametrize("how", ["nose", "median"])
def test_stabilising_leaves_strain(aligned: Prepared, how: str) -> None:
    asked = Flow(48, strain=True, stabilisation="nose" if how == "nose" else "median")
    assert torch.equal(serve(aligned, Inputs(flow=asked))["flow"][:, 2:], serve(aligned, Inputs(flow=Flow(48, strain=True)))["flow"][:, 2:])


EVERYTHING = Inputs(flow=Flow(28, strain=True), frame=Frame(28, sequence=True), landmarks=True)


def test_mirroring_twice_is_nothing(aligned: Prepared) -> None:
    batch = serve(aligned, EVERYTHING)
    once, twice = mirror(batch), mirror(mirror(batch))
    for name in ("flow", "onset", "apex", "frames", "landmarks"):
        assert torch.allclose(twice[name], batch[name], atol=1e-5), name
        assert not torch.allclose(once[name], batch[name], atol=1e-2), name


def test_a_mirrored_batch_is_that_of_mirrored_frames(aligned: Prepared) -> None:
    batch, other = mirror(serve(aligned, EVERYTHING)), serve(mirrored(aligned), EVERYTHING)
    assert set(batch) == set(other)
    for name in batch:
        given, wanted = batch[name], other[name]  # type: ignore[literal-required]
        step = 2**-11 if wanted.dtype == torch.float16 else 1e-4  # areas are added up from the other side, and halves are that far apart
        assert torch.allclose(given.float(), wanted.float(), atol=step), name


def test_sequences_rest_in_half_precision_and_batches_are_single(aligned: Prepared) -> None:
    everything = serve(aligned, EVERYTHING)
    assert everything["frames"].dtype == torch.float16
    assert {everything[name].dtype for name in ("flow", "onset", "apex", "times", "landmarks")} == {torch.float32}
    data = module(aligned, 0, Training(mirror=True), inputs=EVERYTHING)
    assert next(iter(data.batches(0)))["frames"].dtype == torch.float32
    assert held_out_clips(everything, protocol.loso(aligned.clips)[0])["frames"].dtype == torch.float32


def test_references_are_not_served_and_are_no_number_beside_the_face(aligned: Prepared) -> None:
    """The true motion is for measuring by: whoever trained on it, or predicted from it, would have seen the answer."""
    everything, fold = serve(aligned, EVERYTHING), protocol.loso(aligned.clips)[0]
    for batch in (everything, held_out_clips(everything, fold), training_clips(everything, fold)):
        assert "truth" not in batch
    assert "label" not in held_out_clips(everything, fold)
    found = references(aligned, EVERYTHING)
    assert "label" not in found
    assert found["clip"].tolist() == [0, 1, 2, 3]
    assert torch.equal(found["tvl1"], everything["flow"][:, :2])
    assert found["truth"].shape == (4, 2, 28, 28)
    assert found["truth"][:, :, :3].isnan().all()
    assert found["truth"][0, :, 14, 14].tolist() == pytest.approx([2 / 8, -1 / 8])
    assert references(aligned, Inputs(flow=Flow(28))) == {}
    without = {name: array for name, array in aligned.arrays.items() if name != "truth"}
    assert "truth" not in references(dataclasses.replace(aligned, arrays=without), EVERYTHING)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (Inputs(frame=Frame(225)), "frames of 225 pixels, faces are aligned to 224"),
        (Inputs(frame=Frame(113, sequence=True)), "sequences of 113 pixels, the store keeps 112"),
        (Inputs(flow=Flow(256)), "flow of 256 pixels, it is computed at 224"),
        (Inputs(flow=Flow(256), frame=Frame(300)), "frames of 300 pixels.*flow of 256 pixels"),
    ],
)
def test_what_frames_cannot_serve_is_refused_with_the_reason(aligned: Prepared, inputs: Inputs, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        serve(aligned, inputs)
    assert caught.value.remedy == "ask for a smaller size"
    serve(aligned, Inputs(flow=Flow(224, pixels=True, stabilisation="nose"), frame=Frame(112, sequence=True)))


def test_joined_databases_are_served_as_one(aligned: Prepared) -> None:
    from merbench.data.prepared import join

    other = dataclasses.replace(aligned, on="samm", clips=tuple(Clip("samm", f"samm/{c.name}", c.name) for c in aligned.clips))
    both, alone = serve(join([aligned, other], "smic+samm"), EVERYTHING), serve(aligned, EVERYTHING)
    assert both["clip"].tolist() == list(range(8))
    for name in ("flow", "onset", "frames", "landmarks", "label"):
        assert torch.equal(both[name], torch.cat([alone[name], alone[name]])), name
