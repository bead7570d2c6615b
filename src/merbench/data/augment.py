"""Changes to a batch that know geometry. Vectorised; random ones draw from keyed streams."""

from __future__ import annotations

import torch
from torch import Tensor

from merbench import streams
from merbench.batch import Batch


def mirror(batch: Batch) -> Batch:
    """Return the batch with every face mirrored: images and grids flipped left to right, u negated.

    On flow in ``relative`` units this is right only after centring; the data module sees to that.
    """
    flipped: Batch = {**batch}
    if "flow" in batch:
        flow = batch["flow"].flip(-1)
        flipped["flow"] = torch.cat([-flow[:, :1], flow[:, 1:]], dim=1)
    if "onset" in batch:
        flipped["onset"] = batch["onset"].flip(-1)
    if "apex" in batch:
        flipped["apex"] = batch["apex"].flip(-1)
    return flipped


def mirror_some(batch: Batch, key: int) -> Batch:
    """Return the batch with each clip mirrored with probability one half, decided by the key and the clip alone."""
    chosen = streams.words(key, batch["clip"]) < 0
    flipped = mirror(batch)
    mixed: Batch = {**batch}
    if "flow" in batch:
        mixed["flow"] = _where(chosen, flipped["flow"], batch["flow"])
    if "onset" in batch:
        mixed["onset"] = _where(chosen, flipped["onset"], batch["onset"])
    if "apex" in batch:
        mixed["apex"] = _where(chosen, flipped["apex"], batch["apex"])
    return mixed


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (no.dim() - 1)), yes, no)
