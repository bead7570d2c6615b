"""Every registered method keeps every promise; a new file in methods is tested by its existing."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, Literal

import pytest
import torch
from torch.nn import functional

from merbench import methods
from merbench.batch import Batch
from merbench.config import Data
from merbench.displacement import agreement, warp
from merbench.engine import fold
from merbench.layers import KeyedDropout
from merbench.method import METHODS
from merbench.presets import resolve
from tests.contract import CHECKS, Maker, build

for _name in methods.NAMES:
    methods.load(_name)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", methods.NAMES)
def test_contract(name: str, check: str) -> None:
    CHECKS[check](asked(name, "full" if check == "parameters_are_as_many_as_printed" else "quick"))  # printed of the whole network


def asked(name: str, preset: Literal["full", "quick"]) -> Maker:
    """Return a maker with the arguments of a preset; with those of ``quick`` every module is there, small enough to be trained here."""
    request = resolve(name, METHODS[name], data=Data("smic"), preset=preset)
    return lambda classes: fold.build(request, classes)


def test_a_method_is_called_as_its_file() -> None:
    shipped = [name for name in METHODS if METHODS[name].__module__.startswith("merbench.methods.")]  # other tests load files of their own
    assert tuple(shipped) == methods.NAMES
    for name in methods.NAMES:
        assert METHODS[name].__module__ == f"merbench.methods.{name}"


def test_arguments_are_configuration() -> None:
    """Each has a type and a default, so that a request holds all of them."""
    for name in methods.NAMES:
        resolve(name, METHODS[name], data=Data("smic"))


def test_what_came_later_is_an_argument_with_a_default() -> None:
    """A slip in `later` would pass unseen: every request would hold the argument, and nobody's finished runs be found."""
    for name in methods.NAMES:
        later, parameters = METHODS[name].later, inspect.signature(METHODS[name]).parameters
        assert isinstance(later, tuple), name
        assert len(set(later)) == len(later), name
        for argument in later:
            assert argument in parameters, f"{name} has no argument {argument}"
            assert parameters[argument].default is not inspect.Parameter.empty, f"{name}: {argument} has no default"


@pytest.mark.parametrize("name", methods.NAMES)
def test_rate_decay_and_dropout_are_those_that_are_asked_for(name: str) -> None:
    """None of them is written into a method a second time."""
    asked = ["method.dropout=0.125"] if "dropout" in inspect.signature(METHODS[name]).parameters else []
    method = fold.build(resolve(name, METHODS[name], data=Data("smic"), preset="quick", overrides=asked), 3)
    for stage in method.stages():
        optimizer = method.optimizer(dataclasses.replace(stage, lr=0.25, weight_decay=0.5), method.parameters())
        assert {group["weight_decay"] for group in optimizer.param_groups} == {0.5}
        assert 0.25 in {group["lr"] for group in optimizer.param_groups}
    if asked:
        assert {module.p for module in method.modules() if isinstance(module, KeyedDropout)} == {0.125}


def test_every_constructor_argument_changes_what_it_should() -> None:
    """STSTNet's widths and dropout, the machine's centring and mirroring: a switch that does nothing is a false ablation."""
    ststnet: Any = METHODS["ststnet"]
    svm: Any = METHODS["svm_flow"]
    assert sum(p.numel() for p in ststnet(3, widths=(4,)).parameters()) != 1683
    assert svm(3, centred=False).inputs != svm(3).inputs != svm(3, strain=False).inputs
    torch.manual_seed(0)
    batch = {"flow": torch.randn(12, 3, 28, 28), "label": (torch.arange(12) % 5).clamp_max(2), "clip": torch.arange(12)}
    outs = []
    for arguments in ({}, {"mirrored": False}, {"c": 0.01}, {"balanced": False}):
        machine = svm(3, **arguments)
        machine.fit(batch)
        outs.append(machine.logits(batch))
    assert not any(torch.allclose(outs[0], other) for other in outs[1:])


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


def test_frl_dgt_refuses_sizes_whose_octaves_do_not_fit() -> None:
    """Halved with a remainder, the coarse displacements lay beside the face."""
    method: Any = METHODS["frl_dgt"]
    with pytest.raises(ValueError, match="cannot be halved 3 times"):
        method(3, size=52)
    assert method(3, size=56, widths=(8, 8), dim=32).inputs.frame.size == 56


def test_frl_dgt_learns_displacement_without_labels() -> None:
    """The warm-up lowers the endpoint error below that of least squares, from which it starts, on clips that it has not seen."""
    arguments = {"size": 48, "widths": (8, 16, 24, 32), "dim": 32}
    method: Any = build(lambda classes: METHODS["frl_dgt"](classes, **arguments))
    batches = [moving(seed) for seed in range(5)]
    unseen = batches.pop()
    start = agreement(method.displace.untrained(unseen["onset"], unseen["apex"]), unseen["truth"])[0].mean()
    optimizer = torch.optim.AdamW(method.displace.parameters(), lr=1e-3)
    for step in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(method.warm_up_loss(method.warm_up_outputs(batches[step % 4]), batches[step % 4])["total"])
        optimizer.step()
    with torch.no_grad():
        learnt = agreement(method.displace(unseen["onset"], unseen["apex"]), unseen["truth"])[0].mean()
    assert learnt < 0.95 * start, f"least squares {start:.3f}, trained {learnt:.3f} pixels"


def moving(seed: int, clips: int = 12) -> Batch:
    """Return clips of 48 pixels: blurred noise that is moved by a smooth field of up to half a pixel, with noise of a camera on both frames."""
    generator = torch.Generator().manual_seed(seed)
    fine = functional.interpolate(torch.rand(clips, 3, 24, 24, generator=generator), size=48, mode="bicubic").clamp(0, 1)
    field = functional.interpolate(torch.rand(clips, 2, 5, 5, generator=generator) - 0.5, size=48, mode="bicubic")
    frames = torch.stack([warp(fine, -field * share) for share in torch.linspace(0, 1, 8).tolist()], dim=1)
    frames = frames + 0.02 * torch.randn(frames.shape, generator=generator)
    times = torch.linspace(0, 1, 8).expand(clips, 8).contiguous()
    return {
        "onset": frames[:, 0],
        "apex": frames[:, -1],
        "frames": frames,
        "times": times,
        "truth": field,
        "label": torch.arange(clips) % 3,
    }
