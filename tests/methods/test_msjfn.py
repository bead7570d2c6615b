"""Multi-scale joint feature network: which stages are joined, how predictions are fused, and what each switch changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.batch import Batch
from merbench.data.augment import mirror
from merbench.errors import UserError
from merbench.methods.msjfn import MSJFN, JointFeatureModule, Residual, Trunk

SMALL: dict[str, Any] = {"widths": (4, 6, 8, 10), "joint": 4}


def made(**arguments: Any) -> MSJFN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = MSJFN(3, **{**SMALL, **arguments})
        for _ in range(3):  # statistics of batches that are not those of noise alone
            net.train().outputs(clips())
    return net.eval()


def clips(count: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return {"flow": torch.randn(count, 2, 28, 28, generator=generator) / 4, "label": torch.arange(count) % 3, "clip": torch.arange(count)}


class Given(nn.Module):
    """A backbone that returns what it was given."""

    def __init__(self, stages: list[Tensor]) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, _image: Tensor) -> list[Tensor]:
        return self.stages


def test_the_trunk_has_four_stages_each_half_as_large() -> None:
    for stride, sizes in ((1, [28, 14, 7, 4]), (2, [14, 7, 4, 2])):
        stages = Trunk((4, 6, 8, 10), stride, 1)(torch.zeros(2, 3, 28, 28))
        assert [tuple(stage.shape) for stage in stages] == [(2, w, s, s) for w, s in zip((4, 6, 8, 10), sizes, strict=True)]
    with pytest.raises(ValueError, match="4 stages, and 3 widths"):
        MSJFN(3, widths=(4, 6, 8))


def test_a_stage_of_the_trunk_may_have_several_blocks() -> None:
    one, two = (made(blocks=blocks).backbone for blocks in (1, 2))
    image = torch.rand(2, 3, 28, 28)
    assert [stage.shape for stage in two(image)] == [stage.shape for stage in one(image)]
    more = sum(2 * 9 * width * width + 4 * width for width in SMALL["widths"])  # two convolutions and two normalisations in each stage
    assert sum(p.numel() for p in two.parameters()) == sum(p.numel() for p in one.parameters()) + more
    passed: list[Tensor] = []
    for block in (module for module in two.modules() if isinstance(module, Residual)):
        block.register_forward_hook(lambda _, _given, found: passed.append(found))
    assert all(a is b for a, b in zip(two(image), passed[1::2], strict=True)), "a stage is what its last block gives"
    assert {name.split(".")[1] for name in one.state_dict() if name.startswith("stages")} == set("0123"), "kept weights are found again"


def test_each_module_joins_two_neighbouring_stages_and_the_backbone_reads_the_last() -> None:
    net = made()
    generator = torch.Generator().manual_seed(0)
    stages = [torch.rand(5, w, s, s, generator=generator) for w, s in zip(SMALL["widths"], (14, 7, 4, 2), strict=True)]
    flow, reads = clips(5)["flow"], []
    for changed in range(4):
        net.backbone = Given(stages)
        before = net._predictions(flow)
        net.backbone = Given([stage + 1 if place == changed else stage for place, stage in enumerate(stages)])
        moved = (net._predictions(flow) - before).abs().sum(dim=(0, 2)) > 1e-6
        reads.append(moved.tolist())  # backbone, modules 1, 2, 3
    assert reads == [[False, True, False, False], [False, True, True, False], [False, False, True, True], [True, False, False, True]]


def test_a_module_convolves_both_on_the_finer_grid_and_the_mean_is_read() -> None:
    net = made()
    joint: Any = net.joints[0]
    fine, coarse = torch.rand(2, 4, 14, 14), torch.rand(2, 6, 7, 7)
    grown = functional.interpolate(joint.coarse(coarse), scale_factor=2, mode="bilinear")
    assert torch.allclose(joint(fine, coarse), joint.join(torch.cat([joint.fine(fine), grown], dim=1)), atol=1e-6)
    assert [part[0].kernel_size for part in (joint.fine, joint.coarse, joint.join)] == [(1, 1), (1, 1), (3, 3)]
    last = torch.rand(2, 10, 2, 2)
    net.backbone = Given([torch.zeros(2, w, s, s) for w, s in zip(SMALL["widths"][:3], (14, 7, 4), strict=True)] + [last])
    assert torch.allclose(net._predictions(clips(2)["flow"])[:, 0], net.heads[0](last.mean((2, 3))))
    assert net.inputs.flow is not None
    assert net.inputs.flow.stabilisation == "median", "without which relative flow could not be mirrored"


@pytest.mark.parametrize(("kernel", "convolutions", "reach"), [(3, 1, 1), (1, 1, 0), (5, 1, 2), (3, 2, 2), (3, 3, 3)])
def test_a_module_reaches_as_far_as_its_convolutions(kernel: int, convolutions: int, reach: int) -> None:
    joint = JointFeatureModule(4, 6, 4, kernel, convolutions, 2).double().eval()
    for name, parameter in joint.named_parameters():  # nothing is lost in a ReLU
        torch.nn.init.constant_(parameter, 0.01 if "weight" in name else 1.0)
    fine, coarse = torch.rand(2, 1, 4, 14, 14, dtype=torch.float64), torch.rand(1, 6, 7, 7, dtype=torch.float64)
    fine[1] = fine[0]
    fine[1, :, :, 6, 8] += 1
    apart = (joint(fine[1], coarse) != joint(fine[0], coarse))[0].any(dim=0).nonzero()
    assert (apart.amin(dim=0).tolist(), apart.amax(dim=0).tolist()) == ([6 - reach, 8 - reach], [6 + reach, 8 + reach])


def test_a_module_gives_as_many_channels_as_asked_for() -> None:
    net = made(expansion=3, convolutions=2)
    joint: Any = net.joints[0]
    convolutions = [part for part in joint.join if isinstance(part, nn.Conv2d)]
    assert [(part.in_channels, part.out_channels) for part in convolutions] == [(8, 12), (12, 12)]
    assert [head[1].in_features for head in net.heads] == [10, 12, 12, 12]  # type: ignore[index]
    assert net.outputs(clips())["heads"].shape == (6, 4, 3)


@pytest.mark.parametrize("modules", [(), (1,), (2, 3), (1, 3), (1, 2, 3)])
def test_modules_can_be_left_out(modules: tuple[int, ...]) -> None:
    net, whole = made(modules=modules), made()
    outputs = net.outputs(clips())
    assert outputs["heads"].shape == (6, 1 + len(modules), 3)
    gone = sum(p.numel() for i in {1, 2, 3} - set(modules) for part in (whole.joints[i - 1], whole.heads[i]) for p in part.parameters())
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in whole.parameters()) - gone
    assert set(net.loss(outputs, clips())) == {"total", "backbone", *(f"module_{i}" for i in modules)}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"modules": (1, 4)}, "numbered 1 to 3"),
        ({"modules": (1, 1)}, "there is one of each"),
        ({"modules": (), "fusion": "sum"}, "one prediction: fusion=sum"),
        ({"modules": (), "judged": "fused"}, "one prediction: .* judged=fused"),
    ],
)
def test_modules_that_are_not_there_and_fusion_of_nothing_are_refused(arguments: dict[str, Any], why: str) -> None:
    """A row would be named for what did nothing."""
    with pytest.raises(ValueError, match=why):
        MSJFN(3, **arguments)


def sure(net: MSJFN) -> MSJFN:
    """Return the network with predictions so far apart that a mean of logits is not one of probabilities."""
    for head in net.heads:
        for parameter in head.parameters():
            parameter.data.mul_(20)
    return net


def test_recorded_probabilities_are_the_mean_of_the_predictions() -> None:
    net = sure(made(mirrored=False))
    heads = net.outputs(clips())["heads"]
    assert torch.allclose(net.probabilities(clips()), heads.softmax(dim=-1).mean(dim=1), atol=1e-6)
    both = sure(made())
    seen = torch.cat([both._predictions(clips()["flow"]), both._predictions(mirror(clips())["flow"])], dim=1)  # four of each
    assert torch.allclose(both.outputs(clips())["logits"].exp(), seen.softmax(dim=-1).mean(dim=1), atol=1e-6)


def test_other_fusions_are_what_they_are_called() -> None:
    heads = torch.randn(5, 4, 3)
    assert torch.allclose(made(fusion="sum")._fused(heads).exp(), heads.sum(dim=1).softmax(dim=-1), atol=1e-6)
    learned = made(fusion="learned")
    assert learned.weights is not None
    assert torch.allclose(learned._fused(heads), made()._fused(heads), atol=1e-6)  # at first all weigh the same
    with torch.no_grad():
        learned.weights.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    expected = (heads.softmax(dim=-1) * learned.weights.softmax(dim=0)[:, None]).sum(dim=1)
    assert torch.allclose(learned._fused(heads).exp(), expected, atol=1e-6)


def test_the_loss_is_on_each_prediction_or_on_the_fused_one() -> None:
    batch = clips()
    for fusion in ("mean", "learned", "sum"):
        for judged in ("each", "fused"):
            net = made(fusion=fusion, judged=judged, smoothing=0.2, mirrored=False)
            outputs = net.outputs(batch)
            losses = net.loss(outputs, batch)
            each = sum(functional.cross_entropy(outputs["heads"][:, i], batch["label"], label_smoothing=0.2) for i in range(4))
            fused = functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=0.2)
            wanted = fused if judged == "fused" else each + fused if fusion == "learned" else each
            assert torch.allclose(losses["total"], torch.as_tensor(wanted))
            losses["total"].backward()  # type: ignore[no-untyped-call]
            assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("fusion", ["mean", "learned"])
def test_modules_weigh_in_the_loss_as_asked_for(fusion: str) -> None:
    net, whole = (made(module_weight=weight, fusion=fusion) for weight in (0.25, 1.0))
    outputs = net.outputs(clips())
    losses, alike = net.loss(outputs, clips()), whole.loss(outputs, clips())
    modules = sum(losses[f"module_{i}"].item() for i in (1, 2, 3))
    assert alike["total"].item() - losses["total"].item() == pytest.approx(0.75 * modules, rel=1e-5)
    assert all(torch.equal(losses[name], alike[name]) for name in losses if name != "total"), "each is told as it is"


@pytest.mark.parametrize("quantile", [0.5, 1.0])
def test_flow_and_strain_are_divided_by_the_quantile_that_is_asked_for(quantile: float) -> None:
    three = clips()["flow"][:, [0, 1, 0]].abs() + torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
    image = MSJFN(3, **SMALL, third="strain", quantile=quantile)._image(three).numpy()
    for part in (slice(0, 2), slice(2, 3)):
        sizes = three[:, part].flatten(1).numpy()
        large = np.quantile(sizes, quantile, axis=1, method="nearest")[:, None, None, None]
        assert image[:, part] == pytest.approx(three[:, part].numpy() / large, rel=1e-5)


def test_the_flow_image_is_u_v_and_a_third_channel() -> None:
    flow = clips()["flow"]
    image = made(normalised=False)._image(flow)
    assert torch.equal(image[:, :2], flow)
    assert torch.allclose(image[:, 2], torch.hypot(flow[:, 0], flow[:, 1]))
    strained = made_of_strain(normalised=False)
    assert strained.inputs.flow is not None
    assert strained.inputs.flow.strain
    three = torch.cat([flow, flow[:, :1].abs()], dim=1)
    assert torch.equal(strained._image(three), three)
    evened = made_of_strain(normalised=True)._image(three * torch.tensor([2.0, 2.0, 5.0]).view(3, 1, 1))
    assert torch.allclose(evened, made_of_strain(normalised=True)._image(three), atol=1e-5)


def made_of_strain(normalised: bool) -> MSJFN:
    return MSJFN(3, **SMALL, third="strain", normalised=normalised).eval()


def test_a_clip_and_its_mirror_image_are_judged_alike() -> None:
    batch = clips()
    net, alone = made(), made(mirrored=False)
    assert torch.allclose(net.probabilities(batch), net.probabilities(mirror(batch)), atol=1e-6)
    assert not torch.allclose(alone.probabilities(batch), alone.probabilities(mirror(batch)), atol=1e-4)
    assert torch.allclose(net.train().outputs(batch)["logits"], alone.train().outputs(batch)["logits"])


def test_the_unit_of_flow_does_not_matter_where_it_is_normalised() -> None:
    batch = clips()
    stronger: Batch = {**batch, "flow": 3 * batch["flow"]}
    assert torch.allclose(made().probabilities(batch), made().probabilities(stronger), atol=1e-5)
    raw = made(normalised=False)
    assert not torch.allclose(raw.probabilities(batch), raw.probabilities(stronger), atol=1e-4)


def test_a_backbone_of_timm_is_joined_at_its_last_four_stages() -> None:
    net = MSJFN(3, size=64, backbone="resnet18", joint=4)
    joints: Any = net.joints
    channels = [(joint.fine[0].in_channels, joint.coarse[0].in_channels) for joint in joints]
    assert channels == [(64, 128), (128, 256), (256, 512)]
    assert net.outputs({"flow": torch.randn(2, 2, 64, 64)})["heads"].shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("resnet18", 28, "gives stages of .*none coarser than 2 x 2"),
        ("resnet81", 64, "has no model 'resnet81'"),
        ("vgg11", 16, "gives stages of|cannot read images"),
    ],
)
def test_a_backbone_that_does_not_suit_is_one_message(name: str, size: int, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        MSJFN(3, size=size, backbone=name)
    assert "method.backbone" in error.value.where


@pytest.mark.parametrize(
    ("arguments", "named", "why"),
    [
        ({"blocks": 0}, "blocks", "whole number from 1"),
        ({"blocks": 10**9}, "blocks", "whole number from 1 to 100"),
        ({"kernel": 2}, "kernel", "odd number from 1"),
        ({"kernel": -1}, "kernel", "odd number from 1"),
        ({"convolutions": 0}, "convolutions", "whole number from 1"),
        ({"expansion": 0}, "expansion", "whole number from 1"),
        ({"module_weight": 0.0}, "module_weight", "above 0"),
        ({"module_weight": float("nan")}, "module_weight", "above 0"),
        ({"quantile": 0.0}, "quantile", "above 0, at most 1"),
        ({"quantile": 99.0}, "quantile", "above 0, at most 1"),
        ({"normalised": False, "quantile": 0.5}, "quantile", "not normalised: .* would change nothing"),
        ({"backbone": "resnet18", "size": 64, "blocks": 2}, "blocks", "resnet18 has blocks of its own: .* would change nothing"),
        ({"modules": (), "kernel": 5}, "kernel", "no joint feature module: .* would change nothing"),
        ({"modules": (), "convolutions": 2}, "convolutions", "no joint feature module: .* would change nothing"),
        ({"modules": (), "expansion": 1}, "expansion", "no joint feature module: .* would change nothing"),
        ({"modules": (), "module_weight": 0.5}, "module_weight", "no module has a loss"),
        ({"judged": "fused", "module_weight": 0.5}, "module_weight", "no module has a loss"),
    ],
)
def test_numbers_that_mean_nothing_or_are_read_by_nothing_are_refused(arguments: dict[str, Any], named: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        MSJFN(3, **{**SMALL, **arguments})
    assert error.value.where == f"method.{named}"
    assert error.value.remedy
