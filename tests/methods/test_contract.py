"""Every registered method keeps every promise; a new file in methods is tested by its existing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from merbench import methods
from merbench.config import Data, resolve
from merbench.engine import fold
from merbench.method import METHODS
from tests.contract import CHECKS, Maker, build

for _name in methods.NAMES:
    methods.load(_name)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", methods.NAMES)
def test_contract(name: str, check: str) -> None:
    CHECKS[check](quick(name))


def quick(name: str) -> Maker:
    """Return a maker with the arguments of preset quick: every module, small enough to be trained here."""
    request = resolve(name, METHODS[name], data=Data("smic"), preset="quick")
    return lambda classes: fold.build(request, classes)


def test_a_method_is_called_as_its_file() -> None:
    assert tuple(METHODS) == methods.NAMES
    for name in methods.NAMES:
        assert METHODS[name].__module__ == f"merbench.methods.{name}"


def test_arguments_are_configuration() -> None:
    """Each has a type and a default, so that a request holds all of them."""
    for name in methods.NAMES:
        resolve(name, METHODS[name], data=Data("smic"))


def test_every_constructor_argument_changes_what_it_should() -> None:
    """STSTNet's widths and dropout, the machine's centring and mirroring: a switch that does nothing is a false ablation."""
    ststnet: Any = METHODS["ststnet"]
    svm: Any = METHODS["svm_flow"]
    assert sum(p.numel() for p in ststnet(3, widths=(4,)).parameters()) != 1683
    assert svm(3, centred=False).inputs != svm(3).inputs
    torch.manual_seed(0)
    batch = {"flow": torch.randn(12, 3, 28, 28), "label": torch.arange(12) % 3, "clip": torch.arange(12)}
    outs = []
    for arguments in ({}, {"mirrored": False}, {"c": 0.01}):
        machine = svm(3, **arguments)
        machine.fit(batch)
        outs.append(machine.logits(batch))
    assert not torch.allclose(outs[0], outs[1])
    assert not torch.allclose(outs[0], outs[2])


def test_ststnet_is_three_streams() -> None:
    """One convolution of 16 filters is the three streams of 3, 5 and 8 side by side, as the port has them."""
    net: Any = build(METHODS["ststnet"]).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter))
        image = torch.randint(0, 256, (4, 3, 28, 28)).float()
        image[:, :, 0, 0], image[:, :, 0, 1] = 0, 255  # stretched, as published images are
        conv, _, norm, _, _ = net.streams
        streams, start = [], 0
        for width in (3, 5, 8):
            part = slice(start, start + width)
            x = torch.relu(torch.conv2d(image, conv.weight[part], conv.bias[part], padding=2))
            x = torch.batch_norm(
                x, norm.weight[part], norm.bias[part], norm.running_mean[part], norm.running_var[part], False, 0.1, norm.eps, False
            )
            streams.append(torch.max_pool2d(x, 3, stride=3, padding=1))
            start += width
        joined = torch.nn.functional.avg_pool2d(torch.cat(streams, 1), 2).flatten(1)
        assert joined.shape == (4, 400)
        expected = net.head(joined)
        assert torch.allclose(net.logits({"flow": image / 255}), expected, atol=1e-3, rtol=1e-4)
