"""RCN-A: the count of its parameters, recurrence, attention, momentum."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from merbench.method import Stage
from merbench.methods.rcn_a import RCNA, RecurrentConvolution

SMALL: Any = {"size": 28, "width": 6, "pool": 3}


def test_parameters_are_those_of_the_authors_code() -> None:
    """With the script's 64 maps of 7 x 7, and with the README's 32 maps of 5 x 5; neither attention nor recurrence adds one."""

    def count(**arguments: Any) -> int:
        return sum(p.numel() for p in RCNA(3, **arguments).parameters())

    assert count() == 4864 + 128 + 4160 + 128 + 36_928 + 128 + 9411 == 55_747
    assert count(width=32, pool=5) == 2432 + 64 + 1056 + 64 + 9248 + 64 + 2403
    assert count(attention=False) == count(steps=5) == count()


def test_it_begins_as_the_authors_code() -> None:
    torch.manual_seed(0)
    method: Any = RCNA(3)
    assert method.head.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not method.head.bias.any()
    assert method.first[0].weight.std().item() == pytest.approx((2 / (64 * 25)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_convolution_recurs(steps: int) -> None:
    """Of the input and what it gave before, with the same weights each time."""
    torch.manual_seed(0)
    block: Any = RecurrentConvolution(5, steps).eval()
    x = torch.randn(2, 5, 9, 9)
    state = block.forward_path(x)
    seen = []
    for _ in range(steps):
        state = block.recurrent_path(x + state)
        seen.append(state)
    assert torch.allclose(block(x), seen[-1])
    assert all(not torch.allclose(seen[-1], earlier) for earlier in seen[:-1])


def test_the_attention_map_is_where_the_classifier_looks() -> None:
    """The weighted features of each class, averaged over channels, from 0 to 1, averaged over classes; in loops, as the code has it."""
    torch.manual_seed(0)
    method: Any = RCNA(4, **SMALL).eval()
    torch.nn.init.normal_(method.head.weight)
    first = torch.rand(5, 6, 12, 12)
    small = functional.avg_pool2d(first, 4)
    for clip in range(5):
        mean = torch.zeros(3, 3)
        for label in range(4):
            cam = (method.head.weight[label].view(6, 3, 3) * small[clip]).mean(dim=0)
            cam = cam - cam.min()
            mean += cam / cam.max() / 4
        assert torch.allclose(method.attention_map(first)[clip, 0], mean, atol=1e-5)


def test_attention_weights_places() -> None:
    torch.manual_seed(0)
    method: Any = RCNA(3, **SMALL).eval()
    torch.nn.init.normal_(method.head.weight)
    flow = torch.randn(4, 3, 28, 28)
    first = method.first(flow_image(flow))
    pooled = functional.adaptive_avg_pool2d(functional.max_pool2d(method.recurrent(first), 2), 3)
    weighted = method.head((pooled * method.attention_map(first)).flatten(1))
    assert torch.allclose(method.logits({"flow": flow}), weighted, atol=1e-5)
    method.attention = False
    assert torch.allclose(method.logits({"flow": flow}), method.head(pooled.flatten(1)), atol=1e-5)
    assert not torch.allclose(weighted, method.head(pooled.flatten(1)), atol=1e-3)


def test_a_map_that_is_the_same_everywhere_is_a_number() -> None:
    """Where no feature answers, the authors' code divides zero by zero."""
    method: Any = RCNA(3, **SMALL)
    assert torch.equal(method.attention_map(torch.zeros(2, 6, 12, 12)), torch.zeros(2, 1, 3, 3))


def flow_image(flow: torch.Tensor) -> torch.Tensor:
    low, high = flow.flatten(2).min(2).values, flow.flatten(2).max(2).values
    return (flow - low[..., None, None]) / (high - low)[..., None, None]


def test_it_descends_with_momentum() -> None:
    optimizer = RCNA(3, **SMALL).optimizer(Stage("train", 1, 8, 5e-4, 1e-4), [torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.SGD)
    settings = optimizer.param_groups[0]
    assert (settings["lr"], settings["momentum"], settings["weight_decay"]) == (5e-4, 0.9, 1e-4)


def test_sizes() -> None:
    """Of published flow, 28 pixels, six are left of each side; a map of seven is made of them as the layer does."""
    assert RCNA(3, size=28).eval().logits({"flow": torch.randn(2, 3, 28, 28)}).shape == (2, 3)
    assert RCNA(3, size=8, pool=1).eval().logits({"flow": torch.randn(2, 3, 8, 8)}).shape == (2, 3)
    with pytest.raises(ValueError, match="7 pixels is too small"):
        RCNA(3, size=7)
    with pytest.raises(ValueError, match="applied 0 times"):
        RCNA(3, steps=0)
