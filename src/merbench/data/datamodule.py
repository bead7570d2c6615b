"""One fold as a LightningDataModule: the whole set resident as tensors, batches by index."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.nn import functional

from merbench import streams
from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.config import Training
from merbench.data import faces
from merbench.data.augment import augmented
from merbench.data.flow import GREY, resized, resized_flow, strain
from merbench.data.prepared import Prepared
from merbench.displacement import median
from merbench.errors import UserError
from merbench.sample import Fold


def serve(prepared: Prepared, inputs: Inputs) -> Batch:
    """Return all clips as one batch of what a method asks for.

    Every change made here is a function of one clip alone, so nothing can pass from one subject to another. Sequences rest in half
    precision, which is finer than the eight bits they come from and half the memory; a batch has them in single precision.

    Raises:
        UserError: the source cannot serve these inputs; says why.
    """
    check_served(prepared, inputs)
    batch: Batch = {"label": torch.from_numpy(prepared.labels.copy()), "clip": torch.arange(len(prepared.clips))}
    if inputs.flow is not None:
        batch["flow"] = _flow(prepared, inputs.flow)
    if inputs.frame is not None:
        batch["onset"], batch["apex"] = (_images(prepared, name, inputs.frame) for name in ("onset", "apex"))
        if inputs.frame.sequence:
            batch["frames"] = _images(prepared, "frames", inputs.frame, torch.float16)
            batch["times"] = torch.cat([torch.from_numpy(block) for block in prepared.blocks("times")])
    if inputs.landmarks:
        points = torch.cat([torch.from_numpy(block) for block in prepared.blocks("landmarks")])
        batch["landmarks"] = (points + 0.5) * (inputs.grid / faces.SIZE) - 0.5
    return batch


def references(prepared: Prepared, inputs: Inputs) -> Batch:
    """Return what a method's displacement may be measured by, on the frame grid: TV-L1 flow and, of rendered clips, the true one.

    Nothing is trained on it. Empty where the method reads no frames.
    """
    if inputs.frame is None:
        return {}
    size = inputs.frame.size
    batch: Batch = {"clip": torch.arange(len(prepared.clips)), "tvl1": _flow(prepared, Flow(size))}
    if prepared.shape("truth") is not None:
        known = torch.cat([torch.from_numpy(block).float() for block in prepared.blocks("truth")])
        batch["truth"] = functional.interpolate(known, size=(size, size), mode="bilinear") * (size / faces.SIZE)
    return batch


def epoch_sizes(folds: Sequence[Fold], labels: NDArray[np.int64] | None = None) -> list[int]:
    """Return how many clips an epoch of each fold has.

    Args:
        folds: of the protocol.
        labels: of the whole set, for balanced epochs: classes that a fold has, times the clips of the largest of them.
    """
    if labels is None:
        return [len(fold.train) for fold in folds]
    counts = [np.bincount(labels[list(fold.train)], minlength=1) for fold in folds]
    return [int(np.count_nonzero(each) * each.max()) for each in counts]


def steps_per_epoch(folds: Sequence[Fold], batch: int, labels: NDArray[np.int64] | None = None) -> int:
    """Return ceil(N_max / batch) with N_max over ALL folds of the protocol: every fold takes the same number of steps.

    Args:
        folds: all of them.
        batch: at most so many clips a step.
        labels: of the whole set, for balanced epochs. How many clips each class of a scheme has is known of every scheme, as the number of
            clips is; whose they are is not told by it.
    """
    return math.ceil(max(epoch_sizes(folds, labels)) / batch)


def training_clips(everything: Batch, fold: Fold) -> Batch:
    """Return the clips a fold may learn from, in listed order."""
    return _take(everything, torch.tensor(fold.train))


def joined(first: Batch, second: Batch, after: int) -> Batch:
    """Return the clips of two sets as one, without ``label``: their classes are not the same.

    Args:
        first, second: of the same inputs.
        after: added to the clip numbers of the second, so that no number stands for two clips and keyed draws differ.
    """
    moved: Batch = {**second, "clip": second["clip"] + after}
    both: Batch = {}
    for name in first:
        if name != "label":
            both[name] = torch.cat([first[name], moved[name]])  # type: ignore[literal-required]  # the names come from a Batch
    return both


def held_out_clips(everything: Batch, fold: Fold) -> Batch:
    """Return the held-out subject's clips, in listed order, without ``label``: there is nothing to look at."""
    batch = single(_take(everything, torch.tensor(fold.test)))
    batch.pop("label", None)
    return batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch where the training runs."""
    return _map(batch, lambda tensor: tensor.to(device))


def repetitions(key: int, clips: Tensor, labels: Tensor) -> Tensor:
    """Return how often each clip stands in a balanced epoch, (n,) int64: every class as often as the largest has clips.

    A clip of a smaller class stands there floor or ceil of its share; to whom the remainder goes is drawn.

    Args:
        key: of the fold and epoch.
        clips, labels: (n,), of the training clips.
    """
    counts = torch.bincount(labels)
    largest, own = counts.max(), counts[labels]
    drawn = streams.shuffled(key, clips)
    grouped = drawn[torch.argsort(labels[drawn], stable=True)]  # class by class, each in an order that is drawn
    starts = counts.cumsum(0) - counts
    place = torch.empty_like(labels)
    place[grouped] = torch.arange(len(clips), device=clips.device) - starts[labels[grouped]]
    return largest // own + (place < largest % own)


def counters(clips: Tensor, positions: Tensor) -> Tensor:
    """Return one number for each place of an epoch, (n,) int64, all different: the clip's own where it stands there for the first time."""
    ranked = torch.argsort(positions, stable=True)
    first = torch.searchsorted(positions[ranked].contiguous(), positions[ranked].contiguous())
    times = torch.empty_like(positions)
    times[ranked] = torch.arange(len(positions), device=positions.device) - first
    return clips[positions] + (times << 32)


class LosoDataModule(LightningDataModule):
    """The training clips of one fold, resident, in batches. Nothing of the held-out subject is in it.

    Args:
        resident: from `training_clips`, on the device.
        steps: per epoch, the same in every fold.
        training: order, balance and augmentation.
        key: of the fold, seed and stage; order and augmentation draw from it, by epoch, clip and repetition.
    """

    def __init__(self, resident: Batch, steps: int, training: Training, key: int) -> None:
        super().__init__()
        self.resident, self.steps, self.training, self.key = resident, steps, training, key

    def order(self, epoch: int) -> Tensor:
        """Return the positions of the training clips, (n,) int64, in the order of an epoch; of a balanced one some stand there repeatedly.

        Clips without classes are shuffled, and each stands there once.
        """
        clips, labels = self.resident["clip"], self.resident.get("label")
        positions = torch.arange(len(clips), device=clips.device)
        if self.training.balance and labels is not None:
            positions = torch.repeat_interleave(positions, repetitions(streams.key_of(self.key, "balance", epoch), clips, labels))
        if self.training.order == "by-class" and labels is not None:
            return positions[torch.argsort(labels[positions], stable=True)]
        return positions[streams.shuffled(streams.key_of(self.key, "order", epoch), counters(clips, positions))]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield an epoch's batches: nearly equal parts of its order, each clip once, or as often as balance asks for."""
        order = self.order(epoch)
        draws = counters(self.resident["clip"], order)
        for positions, drawn in zip(torch.tensor_split(order, self.steps), torch.tensor_split(draws, self.steps), strict=True):
            yield augmented(single(_take(self.resident, positions)), self.training, self.key, epoch, drawn)

    def train_dataloader(self) -> Loader:
        """Return the batches of the trainer's current epoch."""
        return Loader(self)


class Loader:
    """What Lightning iterates: `LosoDataModule.batches` of the epoch in which it is asked. No workers, no global randomness."""

    def __init__(self, module: LosoDataModule) -> None:
        self.module = module

    def __len__(self) -> int:
        return self.module.steps

    def __iter__(self) -> Iterator[Batch]:
        assert self.module.trainer is not None, "the loader belongs to a Trainer"
        return self.module.batches(self.module.trainer.current_epoch)


def check_training(prepared: Prepared, inputs: Inputs, training: Training) -> None:
    """Refuse training settings that the data cannot bear.

    Raises:
        UserError: moving relative flow that is not centred, since its vectors have no zero to be negated, turned or scaled about; landmarks
            without an image; or another brightness of what has no frames.
    """
    moves = {
        "mirror": (training.mirror, "mirrored", "false"),
        "rotate": (training.rotate > 0, "turned", "0"),
        "crop": (training.crop < 1, "cropped", "1"),
    }
    for name, (asked, done, off) in moves.items():
        if asked and inputs.landmarks and inputs.frame is None and inputs.flow is None:
            raise UserError(
                f"landmarks alone cannot be {done}: there is no image whose width says where",
                where=f"training.{name}",
                remedy=f"training.{name}={off}, or ask for frames or flow beside the landmarks",
            )
        if asked and prepared.units == "relative" and inputs.flow is not None and inputs.flow.stabilisation == "none":
            raise UserError(
                f"flow in relative units has no zero, so it cannot be {done} before it is centred",
                where=f"training.{name}",
                remedy=f"training.{name}={off}, or a method whose flow is stabilised by its median",
            )
    if training.brightness and inputs.frame is None:
        raise UserError(
            "the method reads no frames, so there is nothing to make brighter or darker",
            where="training.brightness",
            remedy="training.brightness=0, or a method that reads frames",
        )


def check_batch(folds: Sequence[Fold], batch: int, labels: NDArray[np.int64] | None = None) -> None:
    """Refuse a batch so small that a fold has fewer clips than an epoch has steps.

    Args:
        folds, batch, labels: as in `steps_per_epoch`.

    Raises:
        UserError: with the smallest batch that works.
    """
    fewest, steps = min(epoch_sizes(folds, labels)), steps_per_epoch(folds, batch, labels)
    if steps > fewest:
        works = next(size for size in itertools.count(batch) if steps_per_epoch(folds, size, labels) <= fewest)
        raise UserError(
            f"with {batch} clips a step an epoch has {steps} steps, and the smallest fold has {fewest} clips",
            where="training.batch",
            remedy=f"training.batch={works} or more",
        )


def check_served(prepared: Prepared, inputs: Inputs) -> None:
    """Refuse inputs that the source cannot serve.

    Raises:
        UserError: says what it lacks of what is asked.
    """
    flow, frame = inputs.flow, inputs.frame
    reasons = []
    if frame is not None and prepared.shape("onset") is None:
        reasons.append("the method reads frames")
    if frame is not None and frame.size > faces.SIZE:
        reasons.append(f"the method reads frames of {frame.size} pixels, faces are aligned to {faces.SIZE}")
    sequence = prepared.shape("frames")
    if frame is not None and frame.sequence and sequence is not None and frame.size > sequence[-1]:
        reasons.append(f"the method reads sequences of {frame.size} pixels, the store keeps {sequence[-1]}")
    if inputs.landmarks and prepared.shape("landmarks") is None:
        reasons.append("the method reads landmarks")
    there = prepared.shape("flow")
    if flow is not None and there is not None and prepared.units == "relative" and flow.size != there[-1]:
        reasons.append(f"the method reads flow of {flow.size} pixels, the source has {there[-1]}")
    if flow is not None and prepared.units == "pixels" and flow.size > faces.SIZE:
        reasons.append(f"the method reads flow of {flow.size} pixels, it is computed at {faces.SIZE}")
    if flow is not None and prepared.units == "relative":
        if flow.pixels:
            reasons.append("the method reads flow in pixels, the source has relative units")
        if flow.stabilisation == "nose":
            reasons.append("the method asks for flow stabilised at the nose, and the source has no landmarks")
    if len(reasons) == 1 and flow is not None and there is not None and prepared.units == "relative" and flow.size != there[-1]:
        raise UserError(
            f"{prepared.source} cannot serve this method as it is: {reasons[0]}",
            where=f"--on {prepared.on}, data.source={prepared.source}",
            remedy=f"method.size={there[-1]}, where the method has that argument (merbench methods NAME); or frames (--source frames or synthetic)",
        )
    if reasons:
        published = "published flow has 28 pixels in relative units: "
        frames = f"use frames (--source frames or synthetic), {published}inputs = Inputs(flow=Flow(size=28))"
        raise UserError(
            f"{prepared.source} cannot serve this method: {'; '.join(reasons)}",
            where=f"--on {prepared.on}, data.source={prepared.source}",
            remedy=f"{frames}, or another method (merbench methods)" if prepared.units == "relative" else "ask for a smaller size",
        )


def _flow(prepared: Prepared, wanted: Flow) -> Tensor:
    """Return flow (N, 2 or 3, size, size), in pixels of that grid or in relative units."""
    blocks = []
    for block in prepared.blocks("flow"):
        if prepared.units == "relative":
            flow = torch.from_numpy(block).float() / 255
            blocks.append(flow if wanted.strain else flow[:, :2])
            continue
        fine = block.astype(np.float32)
        parts = [resized_flow(fine, wanted.size)]
        if wanted.strain:
            parts.append(resized(strain(fine), wanted.size))
        blocks.append(torch.from_numpy(np.concatenate(parts, axis=1)))
    flow = torch.cat(blocks)
    if wanted.stabilisation == "median":
        return torch.cat([flow[:, :2] - median(flow[:, :2]), flow[:, 2:]], dim=1)
    if wanted.stabilisation == "nose":
        bridge = torch.cat([torch.from_numpy(block)[:, 27:31] for block in prepared.blocks("landmarks")])  # what no expression moves much
        return _still_at(flow, (bridge + 0.5) * (wanted.size / faces.SIZE) - 0.5)
    return flow


def _images(prepared: Prepared, name: str, wanted: Frame, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return images (N, ..., C, size, size) in [0, 1]."""
    blocks = []
    for block in prepared.blocks(name, size=16):
        images = torch.from_numpy(resized(block.astype(np.float32) / np.float32(255), wanted.size))
        if not wanted.colour:
            weights = torch.tensor(GREY).view(3, 1, 1)
            images = (images * weights).sum(dim=-3, keepdim=True)
        blocks.append(images.to(dtype))
    return torch.cat(blocks)


def _still_at(flow: Tensor, points: Tensor) -> Tensor:
    """Subtract from u and v of each clip their mean at these points (N, P, 2): what the nose does, the head does."""
    size = flow.shape[-1]
    places = (points + 0.5) / size * 2 - 1  # grid_sample's corners
    there = functional.grid_sample(flow[:, :2], places.unsqueeze(1), align_corners=False, padding_mode="border")
    return torch.cat([flow[:, :2] - there.mean(dim=(2, 3))[..., None, None], flow[:, 2:]], dim=1)


def _take(batch: Batch, positions: Tensor) -> Batch:
    return _map(batch, lambda tensor: tensor[positions.to(tensor.device)])


def single(batch: Batch) -> Batch:
    """Return a batch in single precision."""
    return _map(batch, lambda tensor: tensor.float() if tensor.dtype == torch.float16 else tensor)


def _map(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    changed: Batch = {}
    for name, tensor in batch.items():
        assert isinstance(tensor, Tensor)
        changed[name] = change(tensor)  # type: ignore[literal-required]  # the names come from a Batch
    return changed
