"""Changes to a batch that know geometry. Vectorised; random ones draw from keyed streams."""

from __future__ import annotations

import torch
from torch import Tensor

from merbench import streams
from merbench.batch import Batch
from merbench.data import faces


def mirror(batch: Batch) -> Batch:
    """Return the batch with every face mirrored: images and grids flipped left to right, u negated, left and right landmarks exchanged.

    On flow in ``relative`` units this is right only after centring; the data module sees to that.

    Args:
        batch: ``landmarks`` only beside frames or flow, whose width they are mirrored in.
    """
    flipped: Batch = {**batch}
    if "flow" in batch:
        flow = batch["flow"].flip(-1)
        flipped["flow"] = torch.cat([-flow[:, :1], flow[:, 1:]], dim=1)
    if "onset" in batch:
        flipped["onset"] = batch["onset"].flip(-1)
    if "apex" in batch:
        flipped["apex"] = batch["apex"].flip(-1)
    if "frames" in batch:
        flipped["frames"] = batch["frames"].flip(-1)
    if "landmarks" in batch:
        width = (batch["onset"] if "onset" in batch else batch["flow"]).shape[-1]
        points = batch["landmarks"][:, list(faces.MIRRORED)]
        flipped["landmarks"] = torch.stack([width - 1 - points[..., 0], points[..., 1]], dim=-1)
    return flipped


def mirror_some(batch: Batch, key: int) -> Batch:
    """Return the batch with each clip mirrored with probability one half, decided by the key and the clip alone."""
    chosen = streams.words(key, batch["clip"]) < 0
    flipped = mirror(batch)
    mixed: Batch = {**batch}
    for name in ("flow", "onset", "apex", "frames", "landmarks"):
        if name in batch:
            mixed[name] = _where(chosen, flipped[name], batch[name])
    return mixed


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (no.dim() - 1)), yes, no)
