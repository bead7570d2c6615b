"""Networks of timm: what they read, what is refused, and no randomness of their own."""

from __future__ import annotations

import sys
from typing import Any, Literal

import pytest
import torch
from torch import nn

from merbench import backbones
from merbench.errors import UserError
from merbench.layers import KeyedDropout
from merbench.methods.timm_backbone import TimmBackbone

timm: Any = backbones.library()
Reads = Literal["apex", "onset+apex", "flow"]


def test_timm_comes_without_wandb() -> None:
    """It imports wandb where it can: a second in every worker, and threads that ask its server."""
    assert "timm.utils.summary" in sys.modules, "which looks for it"
    assert not [name for name in sys.modules if name.partition(".")[0] == "wandb"]


def test_resnet18_is_resnet18() -> None:
    """11,176,512 weights up to its 512 features, as torchvision and timm have it, and a linear layer; one new layer for six channels."""
    assert sum(p.numel() for p in TimmBackbone(3).parameters()) == 11_176_512 + 1_539
    more = sum(p.numel() for p in TimmBackbone(3, reads="onset+apex").parameters())
    assert more == 11_176_512 + 1_539 + 64 * 3 * 7 * 7


@pytest.mark.parametrize("reads", ["apex", "onset+apex", "flow"])
def test_it_reads_what_it_asks_for(reads: Reads) -> None:
    method: Any = TimmBackbone(3, model="test_resnet", reads=reads, size=40).eval()
    frames = torch.rand(2, 2, 3, 40, 40)
    batch: Any = {"onset": frames[0], "apex": frames[1], "flow": torch.randn(2, 3, 40, 40)}
    image = method.image(batch)
    expected = {"apex": 2 * frames[1] - 1, "onset+apex": torch.cat([2 * frames[0] - 1, 2 * frames[1] - 1], dim=1), "flow": batch["flow"]}
    assert torch.allclose(image, expected[reads])
    assert (method.inputs.flow is not None) == (reads == "flow")
    assert (method.inputs.frame is not None) == (reads != "flow")
    assert method.logits(batch).shape == (2, 3)


@pytest.mark.parametrize("model", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "vit_tiny_patch16_224"])
def test_families_of_networks(model: str) -> None:
    """Convolutions and tokens; one with a fixed number of places is told the size."""
    method: Any = TimmBackbone(4, model=model, size=48).train()
    loss = method.loss(method.outputs(batch := some(48)), batch)["total"]
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.backbone.parameters())


def test_a_name_that_timm_has_not_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="has no model 'resnet81'") as caught:
        TimmBackbone(3, model="resnet81")
    assert "resnet18" in caught.value.remedy
    assert len(caught.value.remedy) < 200


@pytest.mark.parametrize("model", ["resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k", "local-dir:somewhere", ""])
def test_weights_of_others_are_never_fetched(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag names weights that would not be used; an address would be asked over the network."""
    monkeypatch.setattr(timm, "create_model", None)
    with pytest.raises(UserError, match="has no model"):
        TimmBackbone(3, model=model)


@pytest.mark.parametrize(("model", "size"), [("test_vit", 41), ("inception_v3", 40)])
def test_a_size_that_does_not_suit_is_refused_with_the_reason(model: str, size: int) -> None:
    with pytest.raises(UserError, match=f"{model} cannot read images of {size} x {size} pixels in 3 channels: .+"):
        TimmBackbone(3, model=model, size=size)


def test_randomness_within_the_network_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout as a layer and as a function, dropped paths and torch's attention; what is left of randomness is refused."""
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: Restless())
    method: Any = TimmBackbone(3, model="resnet18", size=8)
    assert isinstance(method.backbone.drop, KeyedDropout)
    assert method.backbone.attend.dropout == method.backbone.drop_rate == method.backbone.path.drop_prob == 0.0
    before = torch.get_rng_state()
    method.train().outputs(some(8))
    assert torch.equal(before, torch.get_rng_state())

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: Restless(noise=0.1))
    with pytest.raises(UserError, match="draws random numbers of its own"):
        TimmBackbone(3, model="resnet18", size=8)


def test_looking_whether_it_works_leaves_no_trace() -> None:
    """Neither on the weights that follow nor on the statistics of batches."""
    torch.manual_seed(0)
    alone = backbones.build("test_resnet", 3, 40).state_dict()
    torch.manual_seed(0)
    method: Any = TimmBackbone(3, model="test_resnet", size=40)
    assert all(torch.equal(value, alone[name]) for name, value in method.backbone.state_dict().items())


def test_dropout_stands_before_the_last_layer() -> None:
    method: Any = TimmBackbone(3, model="test_resnet", size=40, dropout=0.5).eval()
    batch = some(40)
    assert torch.equal(method.logits(batch), method.logits(batch))
    features = method.backbone(batch["flow"])
    assert not torch.equal(method.head.train()(features), method.head(features))


def some(size: int) -> Any:
    return {"flow": torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0)), "label": torch.arange(4) % 3}


class Restless(nn.Module):
    """A network with every kind of randomness that timm's networks have."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.noise = noise
        self.drop_rate = 0.2
        self.drop = nn.Dropout2d(0.5)
        self.path = timm.layers.DropPath(0.3)
        self.attend = nn.MultiheadAttention(3, 1, dropout=0.4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.path(self.drop(x)).flatten(2).transpose(1, 2)
        attended = self.attend(tokens, tokens, tokens, need_weights=False)[0].mean(dim=1)
        return torch.dropout(attended, self.drop_rate, self.training) + (self.noise * torch.rand(3) if self.noise else 0.0)
