"""FeatRef: the published sizes of its backbone, and that each switch does what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from merbench.batch import Batch
from merbench.data.augment import mirror
from merbench.errors import UserError
from merbench.layers import InceptionStream
from merbench.methods.featref import FeatRef, proposal_loss

SMALL: dict[str, Any] = {"widths": (2, 3), "shared": 24, "bottleneck": 6, "specific": 8}


def made(seed: int = 0, **arguments: Any) -> FeatRef:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FeatRef(3, **{**SMALL, **arguments}).eval()


def clips(count: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return {"flow": torch.randn(count, 2, 28, 28, generator=generator) / 4, "label": torch.arange(count) % 3, "clip": torch.arange(count)}


def test_shared_features_alone_are_the_dual_inception_network() -> None:
    net = FeatRef(3, proposals=False)
    assert sum(p.numel() for p in net.parameters()) == 6_449_867
    assert net.streams[0](torch.zeros(1, 1, 28, 28)).shape == (1, 64, 7, 7)
    assert "scores" not in net.eval().outputs(clips())
    assert set(net.loss(net.outputs(clips()), clips())) == {"total"}


def test_a_stream_is_as_the_public_ports_have_it() -> None:
    """Every path against plain functions; the ports differ in whether the 1 x 1 path alone is rectified."""
    x = torch.randn(2, 1, 28, 28)
    for rectified in (True, False):
        stream = InceptionStream(rectified=rectified)
        weights = [(p.detach(), q.detach()) for p, q in zip(list(stream.parameters())[::2], list(stream.parameters())[1::2], strict=True)]
        expected = x
        for block in (weights[:6], weights[6:]):
            one, near, near_3, wide, wide_5, peak = block
            point = functional.conv2d(expected, *one)
            expected = torch.cat(
                [
                    point.relu() if rectified else point,
                    functional.conv2d(functional.conv2d(expected, *near).relu(), *near_3, padding=1).relu(),
                    functional.conv2d(functional.conv2d(expected, *wide).relu(), *wide_5, padding=2).relu(),
                    functional.conv2d(functional.max_pool2d(expected, 3, 1, 1), *peak).relu(),
                ],
                dim=1,
            )
            expected = functional.max_pool2d(expected, 2)
        assert expected.shape == (2, 64, 7, 7)
        assert torch.allclose(stream(x), expected, atol=1e-6)
        assert bool((expected < 0).any()) == (not rectified)


def test_streams_read_u_and_v_and_share_nothing() -> None:
    net = made(normalised=False)
    assert net.inputs.flow is not None
    assert net.inputs.flow.stabilisation == "median", "without which relative flow could not be mirrored"
    assert [len(made(rectified=rectified).streams[0][0].point) for rectified in (True, False)] == [2, 1]  # type: ignore[index]
    batch = clips()
    seen: list[torch.Tensor] = []
    for stream in net.streams:
        stream.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net._judge(batch["flow"])
    assert torch.equal(torch.cat(seen, dim=1), batch["flow"])
    assert not {id(p) for p in net.streams[0].parameters()} & {id(p) for p in net.streams[1].parameters()}


def test_attention_factors_differ_between_clips_and_expressions() -> None:
    experts: Any = made().experts
    shared = 4 * torch.rand(5, 24)
    found = torch.stack([expert.attention(shared) for expert in experts])
    assert found.shape == (3, 5, 24)
    assert ((found > 0) & (found < 1)).all()
    assert found.std(dim=0).min() > 1e-3
    assert found.std(dim=1).mean() > 1e-3


def test_attention_multiplies_the_shared_features() -> None:
    """An expert whose factors are all one is the expert without attention; with factors of zero it sees nothing."""
    experts: Any = (made().experts[0], made(attention=False).experts[0])
    expert, plain = experts
    assert plain.attention is None
    plain.load_state_dict(expert.state_dict(), strict=False)
    shared = torch.rand(4, 24)
    assert not torch.allclose(expert(shared)[0], plain(shared)[0])
    last = expert.attention[2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(50.0)
    assert torch.allclose(expert(shared)[0], plain(shared)[0])
    with torch.no_grad():
        last.bias.fill_(-50.0)
    assert torch.allclose(expert(shared)[0], expert.refine(torch.zeros(4, 24)), atol=1e-6)


@pytest.mark.parametrize("cap", [5.0, 1.5])
@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 0, 0, 0, 1], [0, 0, 0, 1], [2]])
def test_proposal_loss_is_a_balanced_yes_or_no_for_each_expression(labels: list[int], cap: float) -> None:
    label = torch.tensor(labels)
    scores = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0)).double()
    yes = 1 / (1 + np.exp(-scores.numpy()))
    total = 0.0
    for k in range(3):
        has = label.numpy() == k
        weight = min((len(labels) - has.sum()) / max(has.sum(), 1), cap)
        total += -(weight * np.log(yes[has, k]).sum() + np.log(1 - yes[~has, k]).sum()) / len(labels) / 3
    assert proposal_loss(scores, label, cap).item() == pytest.approx(total)
    batch: Batch = {**clips(len(labels)), "label": label}
    assert made(cap=cap).loss({"logits": scores, "scores": scores}, batch)["proposal"].item() == pytest.approx(total)


def test_loss_is_recognition_and_weighted_proposals() -> None:
    net, batch = made(proposal=2.0, smoothing=0.2), clips()
    outputs = net.outputs(batch)
    losses = net.loss(outputs, batch)
    assert losses["recognition"].item() == pytest.approx(
        functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=0.2).item()
    )
    assert losses["total"].item() == pytest.approx((losses["recognition"] + 2 * losses["proposal"]).item())


def gradients(loss: torch.Tensor, net: FeatRef, part: str) -> float:
    net.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    found = [p.grad for name, p in net.named_parameters() if part in name]
    assert found
    return float(sum(g.abs().sum() for g in found if g is not None))


def test_both_losses_refine_and_without_the_proposal_loss_nothing_is_proposed() -> None:
    batch = clips()
    net = made()
    losses = net.loss(net.outputs(batch), batch)
    for part in ("attention", "refine", "streams.0", "streams.1"):
        assert gradients(losses["recognition"], net, part) > 0
        assert gradients(losses["proposal"], net, part) > 0
    assert gradients(losses["proposal"], net, "score") > 0
    assert gradients(losses["proposal"], net, "head") == 0
    silent = made(proposal=0.0)
    assert gradients(silent.loss(silent.outputs(batch), batch)["total"], silent, "score") == 0


def test_flow_may_have_another_size() -> None:
    net = made(size=37)  # 18 and 9 when halved
    assert net.inputs.flow is not None
    assert net.inputs.flow.size == 37
    assert net.shared[0].in_features == 2 * 4 * SMALL["widths"][-1] * 9 * 9
    assert net.outputs({"flow": torch.randn(2, 2, 37, 37)})["logits"].shape == (2, 3)


@pytest.mark.parametrize("quantile", [0.5, 1.0])
def test_flow_is_divided_by_the_quantile_that_is_asked_for(quantile: float) -> None:
    net, flow, seen = made(quantile=quantile), clips()["flow"], []
    for stream in net.streams:
        stream.register_forward_pre_hook(lambda _, given: seen.append(given[0].numpy()))
    net._judge(flow)
    sizes = np.abs(flow.numpy()).reshape(len(flow), -1)
    divided = flow.numpy() / np.quantile(sizes, quantile, axis=1, method="nearest")[:, None, None, None]
    assert np.concatenate(seen, axis=1) == pytest.approx(divided, rel=1e-5)


def test_fusion_is_what_it_is_called() -> None:
    features, scores = torch.rand(4, 3, 8), torch.randn(4, 3)
    exchanged = features[:, [1, 0, 2]], scores[:, [1, 0, 2]]
    joined, summed, weighted = (made(fusion=fusion) for fusion in ("concatenated", "sum", "score-weighted"))
    assert [net.head.in_features for net in (joined, summed, weighted)] == [24, 8, 8]
    assert torch.equal(joined._fused(features, scores)[:, 8:16], features[:, 1])
    assert torch.allclose(summed._fused(features, scores), features[:, 0] + features[:, 1] + features[:, 2])
    assert torch.allclose(weighted._fused(*exchanged), weighted._fused(features, scores), atol=1e-6)
    doubted = scores.clone()
    doubted[:, 0] = -50
    assert torch.allclose(weighted._fused(features, doubted), (features * torch.sigmoid(scores)[..., None])[:, 1:].sum(dim=1))


def test_a_clip_and_its_mirror_image_are_judged_alike() -> None:
    batch = clips()
    assert torch.allclose(made().probabilities(batch), made().probabilities(mirror(batch)), atol=1e-6)
    alone = made(mirrored=False)
    two = alone.outputs(batch), alone.outputs(mirror(batch))
    assert all(torch.allclose(value, (two[0][name] + two[1][name]) / 2, atol=1e-6) for name, value in made().outputs(batch).items())
    assert not torch.allclose(alone.probabilities(batch), alone.probabilities(mirror(batch)), atol=1e-4)
    assert torch.allclose(made().train().outputs(batch)["scores"], alone.train().outputs(batch)["scores"])  # in training, by itself


def test_the_unit_of_flow_does_not_matter_where_it_is_normalised() -> None:
    batch = clips()
    stronger: Batch = {**batch, "flow": 3 * batch["flow"]}
    assert torch.allclose(made().probabilities(batch), made().probabilities(stronger), atol=1e-6)
    raw = made(normalised=False)
    assert not torch.allclose(raw.probabilities(batch), raw.probabilities(stronger), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"proposals": False, "attention": False}, "without proposals .* attention=False"),
        ({"proposals": False, "fusion": "sum"}, "without proposals .* fusion=sum"),
        ({"proposal": -0.5}, "raised, not lowered"),
    ],
)
def test_what_would_change_nothing_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        made(**arguments)


@pytest.mark.parametrize(
    ("arguments", "named", "why"),
    [
        ({"size": 3}, "size", "method.size is 3"),
        ({"size": -28}, "size", "at least 4 pixels"),
        ({"quantile": 0.0}, "quantile", "above 0, at most 1"),
        ({"quantile": 99.0}, "quantile", "above 0, at most 1"),
        ({"quantile": float("nan")}, "quantile", "above 0, at most 1"),
        ({"widths": ()}, "widths", "one block at least"),
        ({"cap": 0.0}, "cap", "above 0"),
        ({"cap": float("nan")}, "cap", "above 0"),
        ({"normalised": False, "quantile": 0.5}, "quantile", "not normalised: .* would change nothing"),
        ({"proposals": False, "cap": 2.0}, "cap", "no proposal loss: .* would change nothing"),
        ({"proposal": 0.0, "cap": 2.0}, "cap", "no proposal loss: .* would change nothing"),
    ],
)
def test_numbers_that_mean_nothing_or_are_read_by_nothing_are_refused(arguments: dict[str, Any], named: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        made(**arguments)
    assert error.value.where == f"method.{named}"
    assert error.value.remedy
