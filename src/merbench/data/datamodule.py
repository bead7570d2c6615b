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

from merbench import streams
from merbench.batch import Batch, Inputs
from merbench.config import Training
from merbench.data.augment import augmented
from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.sample import Fold


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


def check_batch(folds: Sequence[Fold], batch: int, labels: NDArray[np.int64] | None = None, stage: str = "") -> None:
    """Refuse a batch so small that a fold has fewer clips than an epoch has steps.

    Args:
        folds, batch, labels: as in `steps_per_epoch`.
        stage: the name of the stage that has this batch of its own; empty where it is the request's.

    Raises:
        UserError: with the smallest batch that works.
    """
    fewest, steps = min(epoch_sizes(folds, labels)), steps_per_epoch(folds, batch, labels)
    if steps > fewest:
        works = next(size for size in itertools.count(batch) if steps_per_epoch(folds, size, labels) <= fewest)
        raise UserError(
            f"with {batch} clips a step an epoch has {steps} steps, and the smallest fold has {fewest} clips",
            where=f"stage '{stage}' of the method" if stage else "training.batch",
            remedy=f"{works} or more: it has a batch of its own, see the method's arguments (merbench methods NAME)"
            if stage
            else f"training.batch={works} or more",
        )


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
