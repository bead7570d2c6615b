"""SSSNet: the count of its parameters, its order of layers, whole maps dropped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from merbench.batch import Flow, Inputs
from merbench.methods.sssnet import MapDropout, SSSNet

SMALL: Any = {"size": 28, "widths": (4, 6), "hidden": 16}


def test_parameters_are_those_of_meb() -> None:
    """MEB reads maps of 9 x 9: 5,184 values into 256."""
    method: Any = SSSNet(3)
    assert method.dense[0].in_features == 5184
    assert sum(p.numel() for p in method.parameters()) == 2432 + 64 + 18_496 + 128 + 1_327_360 + 771 == 1_349_251


def test_it_is_mebs_function() -> None:
    """Written out with the functions of torch: each convolution, ReLU, pooling, and normalisation last."""
    torch.manual_seed(0)
    method: Any = SSSNet(3)
    for _ in range(3):
        method.train().logits({"flow": torch.randn(8, 3, 64, 64)})  # moves the running statistics
    method.eval()
    flow = torch.randn(4, 3, 64, 64)
    x = flow
    for place, pool in ((0, 3), (5, 2)):
        conv, norm = method.body[place], method.body[place + 3]
        x = functional.max_pool2d(functional.relu(functional.conv2d(x, conv.weight, conv.bias)), pool)
        x = (x - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
    x = functional.relu(method.dense[0](x.flatten(1)))
    assert torch.allclose(method.logits({"flow": flow}), method.head(x), atol=1e-4)


def test_whole_maps_are_dropped() -> None:
    """A map is zero as a whole or kept and scaled as a whole; half of them go; not one when it is evaluated."""
    drop = MapDropout(0.5)
    drop.seed(7)
    x = torch.rand(40, 50, 3, 3) + 1
    y = drop.train()(x)
    kept = y[:, :, 0, 0] > 0
    assert torch.equal(y, torch.where(kept[:, :, None, None], 2 * x, torch.zeros_like(x)))
    assert 0.45 < kept.float().mean() < 0.55
    assert not torch.equal(drop(x), y)
    assert torch.equal(drop.eval()(x), x)


def test_strain_is_read() -> None:
    torch.manual_seed(0)
    method: Any = SSSNet(3, **SMALL).eval()
    flow = torch.randn(4, 3, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(method.logits({"flow": flow}).square().sum(), flow)
    assert (gradient.abs().sum(dim=(0, 2, 3)) > 0).all()
    assert method.inputs.flow is not None
    assert method.inputs.flow.strain


def test_sizes_and_centring() -> None:
    """Published flow of 28 pixels leaves maps of 3 x 3."""
    assert size_of(SSSNet(3, size=28)) == 64 * 9
    assert SSSNet(3, **SMALL).inputs == Inputs(flow=Flow(28, strain=True))
    assert SSSNet(3, centred=True, **SMALL).inputs == Inputs(flow=Flow(28, strain=True, stabilisation="median"))
    smallest: Any = SSSNet(3, size=16)
    assert smallest.eval().logits({"flow": torch.randn(2, 3, 16, 16)}).shape == (2, 3)
    with pytest.raises(ValueError, match="15 pixels is too small"):
        SSSNet(3, size=15)


def size_of(method: Any) -> int:
    """Return how many values the first fully connected layer reads."""
    return int(method.dense[0].in_features)
