"""What a method asks for, served from a prepared set as tensors: flow, frames, landmarks. Every change is a function of one clip alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.data import faces
from merbench.data.flow import GREY, resized, resized_flow, strain
from merbench.data.prepared import Prepared
from merbench.displacement import median
from merbench.errors import UserError

RESULTS_VERSION = 2
"""Raised when frames, or flow of frames, are served otherwise; published flow is served as it is. 2: the same bits on every x86 processor with AVX2."""


def results_versions(prepared: Prepared) -> dict[str, int]:
    """Return what a run's key has of how these clips are served."""
    return {"serving": RESULTS_VERSION} if prepared.units == "pixels" else {}


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
