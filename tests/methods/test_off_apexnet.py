"""OFF-ApexNet: the count of its parameters, and what each stream reads."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch.nn import functional

from merbench.batch import Flow, Inputs
from merbench.methods.off_apexnet import OffApexNet

SMALL: Any = {"widths": (2, 4), "hidden": (16, 16)}


def test_parameters_are_those_of_the_port() -> None:
    """Two streams of 156 and 2,416, then 1,606,656, 1,049,600 and 3,075: the 2.66 million that the port prints."""
    method: Any = OffApexNet(3)
    assert [sum(p.numel() for p in stream.parameters()) for stream in method.streams] == [2572, 2572]
    assert [sum(p.numel() for p in part.parameters()) for part in (method.dense, method.head)] == [2_656_256, 3_075]


def test_it_is_the_ports_function() -> None:
    """Written out with the functions of torch: no ReLU between convolutions, the largest of two by two, and two wide layers."""
    torch.manual_seed(0)
    method: Any = OffApexNet(3).eval()
    flow = torch.randn(4, 2, 28, 28)
    joined = []
    for channel in (0, 1):
        stream = method.streams[channel]
        x = flow[:, channel].unsqueeze(1)
        for conv in (stream[0], stream[2]):
            x = functional.max_pool2d(functional.conv2d(x, conv.weight, conv.bias, padding=2), 2)
        joined.append(x.flatten(1))
    x = torch.cat(joined, dim=1)
    assert x.shape == (4, 1568)
    for place in (0, 3):
        x = functional.relu(functional.linear(x, method.dense[place].weight, method.dense[place].bias))
    assert torch.allclose(method.logits({"flow": flow}), functional.linear(x, method.head.weight, method.head.bias), atol=1e-5)


@pytest.mark.parametrize(("reads", "read"), [("both", [0, 1]), ("u", [0]), ("v", [1])])
def test_streams_read_what_they_should(reads: Literal["both", "u", "v"], read: list[int]) -> None:
    torch.manual_seed(0)
    method: Any = OffApexNet(3, reads=reads, **SMALL).eval()
    assert len(method.streams) == len(read)
    flow = torch.randn(5, 2, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(method.logits({"flow": flow}).square().sum(), flow)
    assert [channel for channel in (0, 1) if gradient[:, channel].abs().sum() > 0] == read


def test_units_are_dropped_after_each_wide_layer() -> None:
    torch.manual_seed(0)
    flow = torch.randn(6, 2, 28, 28)
    thinned: Any = OffApexNet(3, **SMALL).train()
    whole: Any = OffApexNet(3, dropout=0.0, **SMALL).train()
    assert not torch.equal(thinned.logits({"flow": flow}), thinned.logits({"flow": flow}))
    assert torch.equal(whole.logits({"flow": flow}), whole.logits({"flow": flow}))
    assert [type(part).__name__ for part in thinned.dense] == ["Linear", "ReLU", "KeyedDropout"] * 2


def test_sizes_and_centring() -> None:
    assert size_of(OffApexNet(3, size=56, **SMALL)) == 2 * 4 * 14**2
    assert OffApexNet(3, **SMALL).inputs == Inputs(flow=Flow(28))
    assert OffApexNet(3, centred=True, **SMALL).inputs == Inputs(flow=Flow(28, stabilisation="median"))
    with pytest.raises(ValueError, match="30 pixels cannot be halved twice"):
        OffApexNet(3, size=30)


def size_of(method: Any) -> int:
    """Return how many values the first fully connected layer reads."""
    return int(method.dense[0].in_features)
