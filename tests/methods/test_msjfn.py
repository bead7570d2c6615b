"""Multi-scale joint feature network: which stages are joined, how predictions are fused, and what each switch changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.batch import Batch
from merbench.data.augment import mirror
from merbench.errors import UserError
from merbench.methods.msjfn import MSJFN, Trunk

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
        stages = Trunk((4, 6, 8, 10), stride)(torch.zeros(2, 3, 28, 28))
        assert [tuple(stage.shape) for stage in stages] == [(2, w, s, s) for w, s in zip((4, 6, 8, 10), sizes, strict=True)]
    with pytest.raises(ValueError, match="4 stages, and 3 widths"):
        MSJFN(3, widths=(4, 6, 8))


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
