"""Displacement fields as tensors: warping, crops, what moves everywhere, losses without labels, agreement with a reference.

A field (B, 2, H, W) holds u and v in pixels of its own grid: what is at x in the first frame is at x + field in the second.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def warp(after: Tensor, field: Tensor) -> Tensor:
    """Return the second frame brought back onto the first, (B, C, H, W): at x stands what the field says has gone to x + field."""
    height, width = field.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=field.device, dtype=field.dtype),
        torch.arange(width, device=field.device, dtype=field.dtype),
        indexing="ij",
    )
    places = torch.stack(
        [(x + field[:, 0]) * 2 + 1, (y + field[:, 1]) * 2 + 1], dim=-1
    )  # (B, H, W, 2), twice the place of a pixel's centre
    size = torch.tensor([width, height], device=field.device, dtype=field.dtype)
    return functional.grid_sample(after, places / size - 1, align_corners=False, padding_mode="border")


def crop(field: Tensor, centres: Tensor, sides: Tensor, size: int) -> Tensor:
    """Return square regions of a field, (B, R, C, size, size), sampled at the middles of their cells; differentiable.

    Args:
        field: (B, C, H, W).
        centres: (B, R, 2), x and y in pixels.
        sides: (B,), height and width of a clip's regions in pixels.
        size: cells along a side.
    """
    height, width = field.shape[-2:]
    cells = (torch.arange(size, device=field.device, dtype=field.dtype) + 0.5) / size - 0.5  # in sides, from the centre
    offsets = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), dim=-1)  # (size, size, 2)
    places = centres[:, :, None, None] + sides[:, None, None, None, None] * offsets
    scale = torch.tensor([width, height], device=field.device, dtype=field.dtype)
    grid = (places * 2 + 1) / scale - 1  # (B, R, size, size, 2)
    found = functional.grid_sample(field, grid.flatten(1, 2), align_corners=False, padding_mode="border")
    batch, channels = found.shape[:2]
    return found.reshape(batch, channels, centres.shape[1], size, size).transpose(1, 2)


def median(field: Tensor) -> Tensor:
    """Return the median of each channel, (B, C, 1, 1): what moves everywhere is the head.

    The mean of the two middle values, as the field of statistics has it; ``torch.median`` takes the lower.
    """
    flat = field.flatten(2).sort(dim=-1).values
    count = flat.shape[-1]
    return ((flat[..., (count - 1) // 2] + flat[..., count // 2]) / 2)[..., None, None]


def stretched(image: Tensor) -> Tensor:
    """Return images (B, C, H, W) each channel of which goes from 0 to 1 in each clip, as flow that was written to 8-bit images does.

    What comes stretched, as published flow, is unchanged; flow in pixels and in relative units become alike. A channel of one value is 0.
    """
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    return (image - low) / (high - low).clamp_min(1e-12)


def even(frames: Tensor) -> Tensor:
    """Return frames (B, C, H, W) with mean 0 and deviation 1 over each clip's image, so that flickering light is no motion."""
    mean = frames.mean(dim=(1, 2, 3), keepdim=True)
    deviation = (frames - mean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return (frames - mean) / (deviation + 1e-3)


def dynamic_image(frames: Tensor) -> Tensor:
    """Return all frames of each clip in one, (B, C, H, W), by approximate rank pooling (Bilen et al., CVPR 2016, equation 5).

    Early frames weigh negative and late ones positive, so that what stays the same goes out. Each image is brought to [-0.5, 0.5], as it is
    brought to eight bits elsewhere.

    Args:
        frames: (B, T, C, H, W), in order.
    """
    count = frames.shape[1]
    harmonic = torch.cumsum(1 / torch.arange(1, count + 1, dtype=frames.dtype, device=frames.device), dim=0)  # H_1 to H_T
    order = torch.arange(1, count + 1, dtype=frames.dtype, device=frames.device)
    before = torch.cat([harmonic.new_zeros(1), harmonic[:-1]])  # H_(t-1)
    weights = 2 * (count - order + 1) - (count + 1) * (harmonic[-1] - before)
    image = torch.einsum("t,btchw->bchw", weights, frames)
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    return (image - low) / (high - low).clamp_min(1e-6) - 0.5


def least_squares(before: Tensor, after: Tensor, window: int = 5, firmness: float = 5e-3) -> Tensor:
    """Return the field (B, 2, H, W) that explains the change of brightness best within small windows.

    Lucas and Kanade, IJCAI 1981; where the frame has no texture, the field tends to zero.

    Args:
        before, after: (B, C, H, W), from `even`.
        window: height and width of a window, pixels, odd.
        firmness: added to the diagonal of each window's equations.
    """
    middle = functional.pad((before + after) / 2, (1, 1, 1, 1), mode="replicate")
    gx, gy = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2, (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    change = after - before
    products = torch.stack([(a * b).mean(dim=1) for a, b in ((gx, gx), (gy, gy), (gx, gy), (gx, change), (gy, change))], dim=1)
    for _ in range(window // 2):  # twice 3 x 3 is a window of 5 x 5 that falls off towards its rim
        products = functional.avg_pool2d(products, 3, 1, padding=1, count_include_pad=False)
    xx, yy, xy, bx, by = products.unbind(1)
    xx, yy = xx + firmness, yy + firmness
    determinant = xx * yy - xy * xy
    return torch.stack([(xy * by - yy * bx) / determinant, (xy * bx - xx * by) / determinant], dim=1)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity of two frames over windows of 3 x 3, (B, C, H - 2, W - 2), at most 1.

    Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004; the constants for frames from `even`, whose range is about 4.
    """
    c1, c2 = (0.01 * 4) ** 2, (0.03 * 4) ** 2
    mean_a, mean_b = (functional.avg_pool2d(x, 3, 1) for x in (a, b))
    var_a = functional.avg_pool2d(a * a, 3, 1) - mean_a * mean_a
    var_b = functional.avg_pool2d(b * b, 3, 1) - mean_b * mean_b
    both = functional.avg_pool2d(a * b, 3, 1) - mean_a * mean_b
    return ((2 * mean_a * mean_b + c1) * (2 * both + c2)) / ((mean_a * mean_a + mean_b * mean_b + c1) * (var_a + var_b + c2))


def roughness(field: Tensor, frame: Tensor) -> Tensor:
    """Return the mean absolute gradient of a field, a scalar, less where the frame has an edge.

    Godard, Mac Aodha and Brostow, CVPR 2017.
    """
    total = field.new_zeros(())
    for dim in (2, 3):
        edges = frame.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        total = total + (field.diff(dim=dim).abs() * torch.exp(-edges)).mean()
    return total


def agreement(field: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return how a field agrees with a reference, each (B,): median endpoint error, that of no motion at all, and correlation.

    Args:
        field: (B, 2, H, W).
        reference: (B, 2, H, W); places that are not a number count nowhere.

    Returns:
        errors in pixels of the grid; Pearson's correlation over u and v together, 0 where one of them does not vary.
    """
    known = reference.isfinite().all(dim=1, keepdim=True)
    nothing = torch.full_like(reference[:, :1], torch.nan)
    error, zero = (
        torch.where(known, (reference - x).square().sum(dim=1, keepdim=True).sqrt(), nothing).flatten(1).nanmedian(dim=1).values
        for x in (field, torch.zeros_like(field))
    )
    weights = known.expand_as(field).to(field.dtype).flatten(1)
    count = weights.sum(dim=1, keepdim=True).clamp_min(1)
    pair = [torch.where(known, x, torch.zeros_like(x)).flatten(1) for x in (field, reference)]
    a, b = (x - (x.sum(dim=1, keepdim=True) / count) * weights for x in pair)
    scale = (a.square().sum(dim=1) * b.square().sum(dim=1)).sqrt()
    return error, zero, torch.where(scale > 0, (a * b).sum(dim=1) / scale.clamp_min(1e-12), torch.zeros_like(scale))


def scaled(field: Tensor, share: float) -> Tensor:
    """Return a field of unit size, (B, 2, H, W): u and v of each clip divided by a quantile of their lengths' parts.

    Args:
        field: (B, 2, H, W), in any unit.
        share: above 0, at most 1: of the values |u| and |v| of a clip that come to lie within -1 and 1; the few beyond are left as they are.
    """
    sizes = field.abs().flatten(1).sort(dim=1).values  # (B, 2 H W)
    large = sizes[:, round(share * (sizes.shape[1] - 1))]
    return field / large.clamp_min(1e-6)[:, None, None, None]
