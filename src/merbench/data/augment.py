"""Changes to a batch that know geometry. Vectorised; random ones draw from keyed streams."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from merbench import streams
from merbench.batch import Batch
from merbench.config import Training
from merbench.data import faces

PICTURES = ("onset", "apex", "frames")
MOVED = ("flow", *PICTURES, "landmarks")
"""What a batch has that lies on the face."""


def augmented(batch: Batch, training: Training, key: int, epoch: int, counters: Tensor) -> Batch:
    """Return a training batch changed as the request says, at random by epoch and clip; as it is where nothing is asked for.

    Args:
        batch: in single precision.
        training: what is asked for.
        key: of the fold, seed and stage.
        epoch: from 0.
        counters: (B,) int64, the clip's number; another one for each repetition of a clip within an epoch.
    """
    if training.mirror:
        batch = mirror_some(batch, streams.key_of(key, "mirror", epoch), counters)
    if training.rotate or training.crop < 1:
        similarity = drawn(training, streams.key_of(key, "similarity", epoch), counters, batch)
        batch = moved(batch, similarity)
    if training.brightness:
        batch = brightened(batch, training.brightness / 255, streams.key_of(key, "brightness", epoch), counters)
    return batch


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


def mirror_some(batch: Batch, key: int, counters: Tensor | None = None) -> Batch:
    """Return the batch with each clip mirrored with probability one half, decided by the key and the clip (or its counter) alone."""
    return _mixed(streams.words(key, batch["clip"] if counters is None else counters) < 0, mirror(batch), batch)


@dataclass(frozen=True)
class Similarity:
    """How each clip's face is turned about its middle and then cropped; the crop is brought back to the size of the whole.

    Attributes:
        angle: (B,), radians, clockwise as one looks at the face.
        side: (B,), of the crop, in sides of the face.
        centre: (B, 2), of the crop, x and y in half sides of the face from its middle.
    """

    angle: Tensor
    side: Tensor
    centre: Tensor

    @property
    def turn(self) -> Tensor:
        """Return what turns a vector, (B, 2, 2)."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([torch.stack([cos, -sin], dim=-1), torch.stack([sin, cos], dim=-1)], dim=-2)


def drawn(training: Training, key: int, counters: Tensor, batch: Batch) -> Similarity:
    """Return what is drawn for each clip: turned with probability one half, cropped always where that is asked for.

    Args:
        training: ``rotate``, ``crop`` and ``crop_at``.
        key: of the epoch.
        counters: (B,) int64.
        batch: for its type of numbers.
    """
    dtype = next((batch[name].dtype for name in MOVED if name in batch), torch.float32)  # type: ignore[literal-required]
    whether, angle, x, y = (2 * streams.uniform(streams.key_of(key, name), counters) - 1 for name in ("whether", "angle", "x", "y"))
    angle = torch.where(whether < 0, angle * math.radians(training.rotate), torch.zeros_like(angle))
    place = torch.stack([x, y], dim=-1)
    if training.crop_at == "corners":
        place = torch.where(place < 0, -1.0, 1.0)
    side = torch.full_like(angle, training.crop)
    return Similarity(angle.to(dtype), side.to(dtype), (place * (1 - side[:, None])).to(dtype))


def moved(batch: Batch, similarity: Similarity) -> Batch:
    """Return the batch with every face turned and cropped: pictures, flow and landmarks alike.

    Flow vectors are turned with the face and grow with it, since they are pixels of its grid; strain, a gradient, only changes its place. On
    flow in ``relative`` units this is right only after centring, and as far as u and v were stretched alike; the data module sees to the first.
    Beyond the face its border is repeated. Clips that nothing happens to keep their bits.

    Args:
        batch: ``landmarks`` only beside frames or flow, in whose pixels they are.
        similarity: of each clip.
    """
    turn, side = similarity.turn, similarity.side
    # what is found at x of the new picture was at turn⁻¹ (side x + centre) of the old one, in half sides from the middle
    theta = torch.cat([turn.mT * side[:, None, None], turn.mT @ similarity.centre[..., None]], dim=-1)
    changed: Batch = {**batch}
    for name in PICTURES:
        if name in batch:
            changed[name] = _sampled(batch[name], theta)  # type: ignore[literal-required]
    if "flow" in batch:
        flow = _sampled(batch["flow"], theta)
        vectors = torch.einsum("bij,bjhw->bihw", turn / side[:, None, None], flow[:, :2])
        changed["flow"] = torch.cat([vectors, flow[:, 2:]], dim=1)
    if "landmarks" in batch:
        width = (batch["onset"] if "onset" in batch else batch["flow"]).shape[-1]
        places = (2 * batch["landmarks"] + 1) / width - 1
        places = (places @ turn.mT - similarity.centre[:, None]) / side[:, None, None]
        changed["landmarks"] = ((places + 1) * width - 1) / 2
    still = (similarity.angle == 0) & (side == 1)
    return _mixed(~still, changed, batch)


def brightened(batch: Batch, reach: float, key: int, counters: Tensor) -> Batch:
    """Return the batch with some clips brighter or darker, with probability one half: one shift for all frames of a clip, or it would be motion.

    Args:
        batch: frames in [0, 1], and so they stay.
        reach: the largest shift.
        key: of the epoch.
        counters: (B,) int64.
    """
    whether, shift = (2 * streams.uniform(streams.key_of(key, name), counters) - 1 for name in ("whether", "shift"))
    changed: Batch = {**batch}
    for name in PICTURES:
        if name in batch:
            picture: Tensor = batch[name]  # type: ignore[literal-required]
            by = (shift * reach).to(picture.dtype).view(-1, *[1] * (picture.dim() - 1))
            changed[name] = (picture + by).clamp(0, 1)  # type: ignore[literal-required]
    return _mixed(whether < 0, changed, batch)


def _sampled(pictures: Tensor, theta: Tensor) -> Tensor:
    """Return pictures (B, ..., H, W) sampled at theta (B, 2, 3) of each place, in half sides from the middle."""
    flat = pictures.flatten(1, -3)
    grid = functional.affine_grid(theta, list(flat.shape), align_corners=False)
    return functional.grid_sample(flat, grid, align_corners=False, padding_mode="border").view(pictures.shape)


def _mixed(chosen: Tensor, yes: Batch, no: Batch) -> Batch:
    """Return a batch whose chosen clips are of one and whose others are of the other."""
    mixed: Batch = {**no}
    for name in MOVED:
        if name in no:
            mixed[name] = _where(chosen, yes[name], no[name])  # type: ignore[literal-required]
    return mixed


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (no.dim() - 1)), yes, no)
