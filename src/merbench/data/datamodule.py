"""One fold as a LightningDataModule: the whole set resident as tensors, batches by index."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from merbench import streams
from merbench.batch import Batch, Inputs
from merbench.config import Training
from merbench.data.augment import mirror_some
from merbench.data.prepared import Prepared
from merbench.errors import UserError
from merbench.sample import Fold


def serve(prepared: Prepared, inputs: Inputs) -> Batch:
    """Return all clips as one batch of what a method asks for.

    Every change made here is a function of one clip alone, so nothing can pass from one subject to another.

    Raises:
        UserError: the source cannot serve these inputs; says why.
    """
    _refuse(prepared, inputs)
    batch: Batch = {"label": torch.from_numpy(prepared.labels.copy()), "clip": torch.arange(len(prepared.clips))}
    if inputs.flow is not None:
        flow = torch.from_numpy(prepared.arrays["flow"].copy())
        flow = flow.float() / 255 if flow.dtype == torch.uint8 else flow
        if not inputs.flow.strain:
            flow = flow[:, :2]
        batch["flow"] = _centred(flow) if inputs.flow.stabilisation == "median" else flow
    return batch


def steps_per_epoch(folds: Sequence[Fold], batch: int) -> int:
    """Return ceil(N_max / batch) with N_max over ALL folds of the protocol: every fold takes the same number of steps."""
    return math.ceil(max(len(fold.train) for fold in folds) / batch)


def training_clips(everything: Batch, fold: Fold) -> Batch:
    """Return the clips a fold may learn from, in listed order."""
    return _take(everything, torch.tensor(fold.train))


def held_out_clips(everything: Batch, fold: Fold) -> Batch:
    """Return the held-out subject's clips, in listed order, without ``label``: there is nothing to look at."""
    batch = _take(everything, torch.tensor(fold.test))
    del batch["label"]
    return batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch where the training runs."""
    return _map(batch, lambda tensor: tensor.to(device))


class LosoDataModule(LightningDataModule):
    """The training clips of one fold, resident, in batches. Nothing of the held-out subject is in it.

    Args:
        resident: from `training_clips`, on the device.
        steps: per epoch, the same in every fold.
        training: order and mirroring.
        key: of the fold, seed and stage; order and augmentation draw from it, by epoch and clip.
    """

    def __init__(self, resident: Batch, steps: int, training: Training, key: int) -> None:
        super().__init__()
        self.resident, self.steps, self.training, self.key = resident, steps, training, key

    def order(self, epoch: int) -> Tensor:
        """Return the positions of the training clips, (n,) int64, in the order of an epoch."""
        if self.training.order == "by-class":
            return torch.argsort(self.resident["label"], stable=True)
        return streams.shuffled(streams.key_of(self.key, "order", epoch), self.resident["clip"])

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield an epoch's batches: nearly equal parts of its order, each clip once."""
        for positions in torch.tensor_split(self.order(epoch), self.steps):
            batch = _take(self.resident, positions)
            yield mirror_some(batch, streams.key_of(self.key, "mirror", epoch)) if self.training.mirror else batch

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
        UserError: mirroring relative flow that is not centred: u has no zero to be negated about.
    """
    if training.mirror and prepared.units == "relative" and inputs.flow is not None and inputs.flow.stabilisation == "none":
        raise UserError(
            "flow in relative units has no zero, so it cannot be mirrored before it is centred",
            where="training.mirror",
            remedy="training.mirror=false, or a method whose flow is stabilised by its median",
        )


def check_batch(folds: Sequence[Fold], batch: int) -> None:
    """Refuse a batch so small that a fold has fewer clips than an epoch has steps.

    Raises:
        UserError: with the smallest batch that works.
    """
    fewest = min(len(fold.train) for fold in folds)
    if steps_per_epoch(folds, batch) > fewest:
        works = next(size for size in itertools.count(batch) if steps_per_epoch(folds, size) <= fewest)
        raise UserError(
            f"with {batch} clips a step an epoch has {steps_per_epoch(folds, batch)} steps, and the smallest fold has {fewest} clips",
            where="training.batch",
            remedy=f"training.batch={works} or more",
        )


def _refuse(prepared: Prepared, inputs: Inputs) -> None:
    """Say what the source lacks of what is asked."""
    flow = inputs.flow
    has = prepared.arrays["flow"].shape[-1] if "flow" in prepared.arrays else None
    reasons = []
    if inputs.frame is not None:
        reasons.append("the method reads frames")
    if inputs.landmarks:
        reasons.append("the method reads landmarks")
    if flow is not None and has is not None and flow.size != has:
        reasons.append(f"the method reads flow of {flow.size} pixels, the source has {has}")
    if flow is not None and prepared.units == "relative":
        if flow.pixels:
            reasons.append("the method reads flow in pixels, the source has relative units")
        if flow.stabilisation == "nose":
            reasons.append("the method asks for flow stabilised at the nose, and the source has no landmarks")
    if reasons:
        raise UserError(
            f"{prepared.source} cannot serve this method: {'; '.join(reasons)}",
            where=f"--on {prepared.on}, data.source={prepared.source}",
            remedy="published flow has 28 pixels in relative units: inputs = Inputs(flow=Flow(size=28)), or another method (merbench methods)",
        )


def _centred(flow: Tensor) -> Tensor:
    """Subtract from u and v of each clip their median over the grid: what moves everywhere is the head."""
    motion = flow[:, :2]
    flat = motion.flatten(2).sort(dim=-1).values
    middle = flat.shape[-1] // 2
    lower = flat[..., (flat.shape[-1] - 1) // 2]
    median = (lower + flat[..., middle]) / 2  # torch.median takes the lower of the two middle values, the field takes their mean
    return torch.cat([motion - median[..., None, None], flow[:, 2:]], dim=1)


def _take(batch: Batch, positions: Tensor) -> Batch:
    return _map(batch, lambda tensor: tensor[positions.to(tensor.device)])


def _map(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    changed: Batch = {}
    for name, tensor in batch.items():
        assert isinstance(tensor, Tensor)
        changed[name] = change(tensor)  # type: ignore[literal-required]  # the names come from a Batch
    return changed
