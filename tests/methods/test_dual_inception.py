"""Dual-Inception: the count of its parameters, what each stream reads, and images instead of lengths."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch.nn import functional

from merbench.methods.dual_inception import DualInception

SMALL: Any = {"widths": (2, 4), "hidden": 16}


def test_parameters_are_as_many_as_counted() -> None:
    """Off-TANet prints 6.45 million for its port, whose streams have one channel too."""
    method: Any = DualInception(3)
    assert [sum(p.numel() for p in stream.parameters()) for stream in method.streams] == [_stream()] * 2
    assert sum(p.numel() for p in method.dense.parameters()) == 6272 * 1024 + 1024


def _stream() -> int:
    """Count a stream's weights and biases path by path."""

    def conv(ins: int, outs: int, side: int) -> int:
        return ins * outs * side**2 + outs

    def block(ins: int, width: int) -> int:
        return 4 * conv(ins, width, 1) + conv(width, width, 3) + conv(width, width, 5)

    return block(1, 6) + block(24, 16)


def test_it_is_the_authors_function() -> None:
    """Written out with the functions of torch, path by path; three equal channels, as the authors have, come to one."""
    torch.manual_seed(0)
    method: Any = DualInception(3).eval()
    image = torch.rand(3, 2, 28, 28)
    image[:, :, 0, 0], image[:, :, 0, 1] = 0, 1  # stretched already

    def paths(block: Any, x: torch.Tensor) -> torch.Tensor:
        def conv(layer: Any, value: torch.Tensor) -> torch.Tensor:
            return functional.relu(functional.conv2d(value, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2))

        near, wide = conv(block.near[0], x), conv(block.wide[0], x)
        peak = functional.max_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([conv(block.point[0], x), conv(block.near[2], near), conv(block.wide[2], wide), conv(block.peak[1], peak)], dim=1)

    joined = []
    for channel, stream in enumerate(method.streams):
        x = functional.max_pool2d(paths(stream[0], image[:, [channel]]), 2)
        joined.append(functional.max_pool2d(paths(stream[2], x), 2).flatten(1))
    x = torch.cat(joined, dim=1)
    assert x.shape == (3, 6272)
    x = functional.relu(method.dense[0](x))
    assert torch.allclose(method.logits({"flow": image}), method.head(x), atol=1e-5)


@pytest.mark.parametrize(("reads", "read"), [("both", [0, 1]), ("u", [0]), ("v", [1])])
def test_streams_read_what_they_should(reads: Literal["both", "u", "v"], read: list[int]) -> None:
    torch.manual_seed(1)
    method: Any = DualInception(3, reads=reads, **SMALL).eval()
    assert len(method.streams) == len(read)
    flow = torch.randn(5, 2, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(method.logits({"flow": flow}).square().sum(), flow)
    assert [channel for channel in (0, 1) if gradient[:, channel].abs().sum() > 0] == read


def test_images_have_no_lengths() -> None:
    """Flow in pixels and in relative units are alike: u and v of a clip go from 0 to 1, whatever a head adds and whatever the unit."""
    torch.manual_seed(0)
    method: Any = DualInception(3, **SMALL).eval()
    flow = torch.randn(4, 2, 28, 28)
    moved = flow * torch.tensor([3.0, 0.1]).view(2, 1, 1) + torch.tensor([1.0, -2.0]).view(2, 1, 1)
    assert torch.allclose(method.logits({"flow": flow}), method.logits({"flow": moved}), atol=1e-5)
    assert not torch.allclose(method.logits({"flow": flow}), method.logits({"flow": flow.flip(1)}), atol=1e-5)


def test_sizes() -> None:
    assert size_of(DualInception(3, size=56, **SMALL)) == 2 * 16 * 14**2
    assert size_of(DualInception(3, size=24, widths=(2, 2, 2))) == 2 * 8 * 3**2
    with pytest.raises(ValueError, match="30 pixels cannot be halved 2 times"):
        DualInception(3, size=30)


def size_of(method: Any) -> int:
    """Return how many values the first fully connected layer reads."""
    return int(method.dense[0].in_features)
