"""Micro-Attention: what its paper's files pin, its switches, its stages, what it starts from and where it looks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench import methods
from merbench.batch import Batch
from merbench.config import Data, Training
from merbench.engine import fold
from merbench.errors import UserError
from merbench.method import METHODS, Method
from merbench.presets import resolve
from tests.contract import CHECKS, build

methods.load("micro_attention")
SMALL: dict[str, Any] = {"size": 64, "widths": (4, 6, 8)}


def made(classes: int = 3, seed: int = 0, **arguments: Any) -> Any:
    return build(lambda count: METHODS["micro_attention"](count, **arguments), classes, seed)


def clips(count: int = 5, size: int = 64, seed: int = 0, classes: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    apex = functional.interpolate(torch.rand(count, 1, 8, 8, generator=generator), size=size, mode="bicubic").clamp(0, 1)
    return {"apex": apex, "onset": apex, "label": torch.arange(count) % classes, "clip": torch.arange(count)}


@pytest.mark.parametrize(
    ("classes", "attention", "count"), [(5, False, 4_900_359), (5, True, 5_944_839), (3, False, 4_899_333), (3, True, 5_943_813)]
)
def test_parameters_are_those_of_table_3(classes: int, attention: bool, count: int) -> None:
    with torch.device("meta"):
        method = METHODS["micro_attention"](classes, attention=attention)  # type: ignore[call-arg]
    assert sum(parameter.numel() for parameter in method.parameters() if parameter.requires_grad) == count


def test_sizes_are_those_of_caffe() -> None:
    """Its pooling rounds up: 112 to 56, where torch's own rounding gives 55."""
    with torch.device("meta"):
        method: Any = METHODS["micro_attention"](3)
        features, maps = method.features({"apex": torch.rand(2, 1, 224, 224)})
    assert features.shape == (2, 512)
    assert [tuple(each.shape) for each in maps] == [(2, 1, 56, 56), (2, 1, 28, 28), (2, 1, 14, 14), (2, 1, 7, 7)]


def test_the_network_is_the_one_of_the_authors_file() -> None:
    """Written down once more from its table of layers, with the weights of the module."""
    method = made(**SMALL).eval()
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
        own = method.state_dict()

        def norm(name: str, x: Tensor) -> Tensor:
            return functional.batch_norm(
                x, own[f"{name}.running_mean"], own[f"{name}.running_var"], own[f"{name}.weight"], own[f"{name}.bias"], eps=1e-5
            )

        x = norm("data_norm", clips()["apex"])
        x = functional.conv2d(x, own["stem.0.weight"], own["stem.0.bias"], stride=2, padding=3)
        x = functional.pad(norm("stem.1", x).relu(), (0, 1, 0, 1), value=-math.inf)
        x = functional.max_pool2d(x, 3, stride=2)
        for index in range(3):
            stride = 1 if index == 0 else 2
            ready = x if index == 0 else norm(f"blocks.{index}.ready.0", x).relu()
            shortcut = ready if index == 0 else functional.conv2d(ready, own[f"blocks.{index}.shortcut.weight"], stride=2)
            first = functional.conv2d(ready, own[f"blocks.{index}.first.0.weight"], stride=stride, padding=1)
            first = norm(f"blocks.{index}.first.1", first).relu()
            second = functional.conv2d(first, own[f"blocks.{index}.second.weight"], padding=1)
            joined = functional.conv2d(torch.cat([shortcut, first, second], 1), own[f"blocks.{index}.unit.join.weight"])
            weight = torch.sigmoid(joined.sum(1, keepdim=True) / joined.shape[1])
            x = (shortcut + second) * (1 + weight)
        x = norm("tail.0", x).relu().mean((2, 3))
        expected = x @ own["head.weight"].T + own["head.bias"]
        assert torch.allclose(method.logits(clips()), expected, atol=1e-4)
        assert expected.std() > 0.01


def test_it_reads_the_apex_alone() -> None:
    method = made(**SMALL).eval()
    assert (method.inputs.frame.colour, method.inputs.frame.sequence, method.inputs.flow, method.inputs.macro) == (
        False,
        False,
        None,
        False,
    )
    batch = clips()
    assert torch.equal(method.logits({"apex": batch["apex"]}), method.logits({**batch, "onset": torch.zeros_like(batch["onset"])}))


def test_first_weights_are_msra_and_caffes_xavier() -> None:
    method = made(widths=(64, 128), size=64)
    weight = method.blocks[1].second.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.02)
    assert method.stem[0].weight.std().item() == pytest.approx(math.sqrt(2 / 49), rel=0.05)
    assert not method.stem[0].bias.any()
    assert (method.head.bias == 0.2).all()
    bound = math.sqrt(3 / 128)
    assert 0.97 * bound < method.head.weight.abs().max() <= bound


def test_each_switch_does_what_it_says() -> None:
    whole = made(**SMALL)
    assert not any(block.unit for block in made(attention=False, **SMALL).blocks)
    assert isinstance(whole.blocks[0].shortcut, nn.Identity)
    assert made(first_shortcut="convolution", **SMALL).blocks[0].shortcut.weight.shape == (4, 4, 1, 1)
    assert [block.unit.join.weight.shape[:2] for block in whole.blocks] == [(4, 12), (6, 18), (8, 24)]
    assert [block.unit.join.weight.shape[:2] for block in made(joint="text", **SMALL).blocks] == [(12, 12), (18, 18), (24, 24)]
    batch = clips()
    bare = made(sigmoid=False, **SMALL).eval()
    bare.load_state_dict(whole.eval().state_dict())
    inside, raw = whole.features(batch)[1][0], bare.features(batch)[1][0]
    assert torch.allclose(inside, raw.sigmoid()), "the first block reads the same"
    assert raw.min() < 0
    assert not torch.allclose(whole.logits(batch), bare.logits(batch))
    with torch.no_grad():
        for block in whole.blocks:
            block.unit.join.weight.zero_()
        assert torch.allclose(whole.features(batch)[1][1], torch.tensor(0.5))


def test_biases_move_twice_as_fast() -> None:
    method = made(macro_epochs=1, momentum=0.75, **SMALL)
    stage = method.stages()[-1].filled(Training(lr=0.25, weight_decay=0.5))
    rest, twice = method.optimizer(stage, method.parameters()).param_groups
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    assert {names[id(parameter)] for parameter in twice["params"]} == {"stem.0.bias", "head.bias", "felt.bias"}
    assert (rest["lr"], twice["lr"]) == (0.25, 0.5)
    assert {group["momentum"] for group in (rest, twice)} == {0.75}
    assert {group["weight_decay"] for group in (rest, twice)} == {0.5}
    assert len(rest["params"]) + len(twice["params"]) == len(names)


def test_pre_training_is_without_attention_and_has_a_head_of_its_own() -> None:
    method = made(macro_epochs=3, **SMALL)
    macro, fine = method.stages()
    assert (macro.on, macro.epochs, macro.batch, macro.lr, macro.schedule, macro.decay, macro.decay_every) == (
        *("macro", 3, 50, 0.01, "step", 0.1, 20),
    )
    assert (macro.balance, fine.on, method.inputs.macro) == (False, "training", True)
    assert (macro.rotate, macro.brightness, macro.crop) == (10, 20, 1), "as the paper augments macro-expressions, and no corners"
    method.begin(macro.filled(Training()))
    batch = clips(14, classes=7)
    outputs = method(batch)
    assert outputs["logits"].shape == (14, 7)
    torch.autograd.backward(method.losses(outputs, batch)["total"])
    idle = {name for name, parameter in method.named_parameters() if parameter.grad is None}
    assert idle == {"head.weight", "head.bias", *(f"blocks.{index}.unit.join.weight" for index in range(3))}
    plain = made(attention=False, macro_epochs=3, **SMALL)
    plain.load_state_dict(method.state_dict(), strict=False)
    assert torch.allclose(plain.eval().macro_outputs(batch)["logits"], method.eval().macro_outputs(batch)["logits"])
    assert made(**SMALL).felt is None
    assert [stage.name for stage in made(**SMALL).stages()] == ["fine-tuning"]


PROMISES = ("every_parameter_gets_a_gradient", "what_it_is_pre_trained_on_is_told", "two_folds_stacked_equal_two_folds_apart")


@pytest.mark.parametrize("check", PROMISES)
def test_pre_trained_it_keeps_the_promises_too(check: str) -> None:
    method: Any = METHODS["micro_attention"]
    CHECKS[check](lambda classes: method(classes, macro_epochs=1, **SMALL))


def test_weights_from_elsewhere_are_taken_up_by_name() -> None:
    """From the same network without attention and for other classes: all but head and units."""
    other: Method = made(5, seed=7, attention=False, macro_epochs=2, **SMALL)
    method = made(3, seed=1, **SMALL)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    method.initialise(other.state_dict())
    for name, tensor in method.state_dict().items():
        own = name.startswith("head.") or ".unit." in name
        assert torch.equal(tensor, before[name] if own else other.state_dict()[name]), name
    again = made(3, seed=2, **SMALL)
    again.initialise(method.state_dict())
    assert torch.equal(again.eval().logits(clips()), method.eval().logits(clips())), "of the same classes the head too"
    without = made(3, seed=2, attention=False, **SMALL)
    without.initialise(method.state_dict())
    assert torch.equal(without.head.weight, method.head.weight), "an ablation starts from the same file"


def test_weights_that_were_never_counted_by_torch_are_taken_up_too() -> None:
    """Caffe's files have means and variances, and no count of batches; nothing here reads one."""
    other, method = made(seed=7, **SMALL), made(seed=1, **SMALL)
    state = {name: tensor for name, tensor in other.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert len(state) < len(other.state_dict())
    method.initialise(state)
    assert torch.equal(method.eval().logits(clips()), other.eval().logits(clips()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("blocks.1.second.weight"), "blocks.1.second.weight is missing"),
        (lambda state: state.update(extra=torch.zeros(2)), "extra is unknown"),
        (lambda state: state.update({"stem.0.weight": torch.zeros(4, 3, 7, 7)}), r"the shape \(4, 3, 7, 7\), not \(4, 1, 7, 7\)"),
        (lambda state: state.clear(), "and .* more"),
    ],
)
def test_other_weights_are_refused(change: Any, message: str) -> None:
    method = made(**SMALL)
    state = dict(made(seed=3, **SMALL).state_dict())
    change(state)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    with pytest.raises(UserError, match=message):
        method.initialise(state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.state_dict().items())


def test_maps_are_what_the_units_weigh_with() -> None:
    method = made(**SMALL).eval()
    maps, (_, units) = method.maps(clips()), method.features(clips())
    assert list(maps) == ["unit 1", "unit 2", "unit 3"]
    assert all(torch.equal(maps[name], unit[:, 0]) for name, unit in zip(maps, units, strict=True))
    assert made(attention=False, **SMALL).eval().maps(clips()) == {}
    stretched = made(sigmoid=False, **SMALL).eval().maps(clips())["unit 2"]
    assert torch.allclose(stretched.amax((1, 2)), torch.ones(5))
    assert not stretched.amin((1, 2)).any()


def test_presets_are_the_papers_fine_tuning() -> None:
    request = resolve("micro_attention", METHODS["micro_attention"], data=Data("smic", "frames"))
    training = request.training
    assert (training.batch, training.lr, training.weight_decay, training.balance) == (10, 1e-3, 5e-4, True)
    assert (training.schedule, training.decay, training.decay_every) == ("step", 0.1, 10)
    assert (training.rotate, training.brightness, training.crop_at) == (8, 20, "corners")
    assert training.crop == pytest.approx(224 / 240)
    quick = resolve("micro_attention", METHODS["micro_attention"], data=Data("smic", "frames"), preset="quick")
    assert len(fold.build(quick, 3).blocks) == 4, "every block"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"widths": ()}, "no block"),
        ({"macro_epochs": -1}, "cannot be"),
        ({"attention": False, "sigmoid": False}, "there is no map: sigmoid=False"),
        ({"attention": False, "joint": "text"}, "there is no map: .* joint=text"),
    ],
)
def test_what_cannot_be_built(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        METHODS["micro_attention"](3, **arguments)
