"""MoExt: the apex comes back from motion and the onset's texture, and every switch does what it says."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from merbench import methods
from merbench.batch import Batch
from merbench.config import Training
from merbench.displacement import agreement, least_squares, warp
from merbench.errors import UserError
from merbench.method import METHODS
from merbench.methods.moext import Change, changed, info_nce
from tests.contract import CHECKS, build

methods.load("moext")
SMALL: dict[str, Any] = {"size": 32, "width": 4, "blocks": 1, "octaves": 2, "decoder": 1, "widths": (4, 8), "pretraining": 1}


def made(**arguments: Any) -> Any:
    return build(lambda classes: METHODS["moext"](classes, **{**SMALL, **arguments}))


def clips(seed: int, count: int = 12, size: int = 32) -> Batch:
    """Return blurred noise that a smooth field moves by up to half a pixel, under a light that flickers, seen by a noisy camera."""
    generator = torch.Generator().manual_seed(seed)
    face = functional.interpolate(torch.rand(count, 3, size // 2, size // 2, generator=generator), size=size, mode="bicubic").clamp(0, 1)
    field = functional.interpolate(torch.rand(count, 2, 4, 4, generator=generator) - 0.5, size=size, mode="bicubic")
    light = 0.01 * torch.randn(count, 1, 1, 1, generator=generator)
    onset, apex = (frame + 0.005 * torch.randn(face.shape, generator=generator) for frame in (face, warp(face, -field) + light))
    return {"onset": onset, "apex": apex, "truth": field, "tvl1": field, "label": torch.arange(count) % 3, "clip": torch.arange(count)}


def test_pre_training_rebuilds_the_apex_of_clips_it_has_not_seen_better_than_the_onset_does() -> None:
    method, unseen = made(contrastive=0.0), clips(9)
    batches = itertools.cycle(clips(seed) for seed in range(4))
    before, optimizer = method.measures(unseen), torch.optim.Adam(method.parameters(), lr=2e-3)
    for batch in itertools.islice(batches, 60):
        optimizer.zero_grad()
        torch.autograd.backward(method.pretraining_loss(method.pretraining_outputs(batch), batch)["total"])
        optimizer.step()
    with torch.no_grad():
        after = method.measures(unseen)
    assert after["rebuilt / onset"].max() < 0.9, after
    assert after["rebuilt / onset"].mean() < 0.8 * before["rebuilt / onset"].mean()
    assert after["rebuilt / onset where it moves"].mean() < 0.8, after
    assert after["correlation of the displacement with the truth"].mean() > 0.5


def test_measures_say_what_is_rebuilt_and_what_a_copy_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    method, batch = made(), clips(1)
    copied = 255 * (batch["onset"] - batch["apex"]).abs().mean(dim=(1, 2, 3))
    for frame, ratio in (("apex", 0.0), ("onset", 1.0)):
        monkeypatch.setattr(method, "rebuilt", lambda *_, frame=frame: batch[frame])  # type: ignore[literal-required]
        found = method.measures(batch)
        assert torch.allclose(found["error of the onset in its place"], copied)
        assert torch.allclose(found["error of the rebuilt apex, grey levels"], ratio * copied, atol=1e-6)
        for where in ("", " where it moves", ", both evenly relit", " where it moves, both evenly relit"):
            assert torch.allclose(found[f"rebuilt / onset{where}"], torch.full((12,), ratio), atol=1e-5)
    light = torch.tensor([0.02, -0.01, 0.03]).view(3, 1, 1)
    monkeypatch.setattr(method, "rebuilt", lambda *_: batch["onset"] + light)
    found = method.measures(batch)
    assert torch.allclose(found["rebuilt / onset, both evenly relit"], torch.ones(12), atol=1e-5), "light alone is no motion"
    assert (found["rebuilt / onset"] - 1).abs().min() > 1e-3
    assert (found["onset moved by least squares alone / onset, both evenly relit"] < 0.95).all(), "the onset moved the wrong way"
    assert found["correlation of least squares alone with the truth"].min() > 0.5
    half = batch["onset"].clone()
    half[..., :16, :] = batch["apex"][..., :16, :]  # right above, and still below
    still = {**batch, "tvl1": torch.cat([torch.ones(12, 2, 16, 32), torch.zeros(12, 2, 16, 32)], dim=2)}
    monkeypatch.setattr(method, "rebuilt", lambda *_: half)
    found = method.measures(still)
    assert found["rebuilt / onset where it moves"].max() == 0
    assert found["rebuilt / onset"].min() > 0.2
    truly = found["error of the onset truly moved and evenly relit"]
    assert (truly < 0.7 * copied).all(), "the onset moved the wrong way is no bound"
    assert set(made(reconstruction=0.0).measures(batch)) == set()
    assert "truth" in batch
    del batch["truth"]
    assert set(found) - set(method.measures(batch)) == {
        "error of the onset truly moved and evenly relit",
        "correlation of the displacement with the truth",
        "correlation of least squares alone with the truth",
    }


def test_two_frames_that_are_one_have_the_same_motion_whoever_they_show() -> None:
    """One separator for both frames: what it sees in a face is no motion."""
    method, batch = made(), clips(2)
    still, _ = method.motion(batch["onset"], batch["onset"])
    assert torch.allclose(still, still[:1].expand_as(still), atol=1e-5)
    moving, _ = method.motion(batch["onset"], batch["apex"])
    assert (moving - still).abs().amax(dim=(1, 2, 3)).min() > 1e-2
    assert (method.motion(batch["apex"], batch["onset"])[0] - moving).abs().max() > 1e-2, "which frame comes first matters"


def test_the_displacement_points_from_onset_to_apex_and_is_told_in_pixels_of_the_whole_face() -> None:
    """Before anything is learnt it is that of least squares: the right way, in u and v, of about the right length."""
    batch = clips(3, size=48)
    torch.manual_seed(0)
    method: Any = METHODS["moext"](3, **{**SMALL, "size": 48, "width": 8})
    torch.nn.init.zeros_(method.extractor.correct.weight)
    torch.nn.init.zeros_(method.extractor.correct.bias)
    motion, _ = method.motion(batch["onset"], batch["apex"])
    assert motion.shape == (12, 4, 12, 12)
    truth = functional.avg_pool2d(batch["truth"], 4) * 224 / 48
    assert agreement(motion[:, :2], truth)[2].min() > 0.5
    along = (motion[:, :2] * truth).sum() / truth.square().sum()
    assert 0.3 < along < 1.2, f"{along:.2f} of its length"


def test_every_octave_tells_the_same_motion_in_the_same_pixels() -> None:
    """A slow wave that goes by a pixel and a half: found in the frame, and in one of half its size."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    before, after = (30 * (torch.sin(0.2 * (x - far)) + torch.sin(0.2 * y + 1))[None, None] for far in (0.0, 1.5))
    fields = made().extractor._octaves(before, after)
    assert len(fields) == 2
    for field in fields:
        assert float(field[0, 0, 12:-12, 12:-12].median()) == pytest.approx(1.5 * 224 / 32, rel=0.15)


def test_recognition_reads_the_quarters_of_the_face_and_levels_its_channels() -> None:
    recogniser = made().recogniser
    assert isinstance(recogniser.stages[0], torch.nn.BatchNorm2d), "a displacement in pixels, and channels of any size beside it"
    recogniser.stages = torch.nn.Identity()
    recogniser.head = torch.nn.Identity()
    x = torch.arange(7.0).view(1, 1, 1, 7).expand(1, 1, 7, 7)
    assert recogniser(x)[0, 0].tolist() == [[1.5, 4.5], [1.5, 4.5]], "of an odd side the quarters share the middle"


def test_without_motion_and_with_nothing_added_the_onset_stands() -> None:
    method, batch = made(), clips(4)
    motion, features = method.motion(batch["onset"], batch["apex"])
    for parameter in method.decoder.last[-1].parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.allclose(method.rebuilt(batch["onset"], 0 * motion, features), batch["onset"], atol=1e-5)
    right = torch.zeros_like(motion)
    right[:, 0] = 224 / 32  # one pixel of the frame
    assert torch.allclose(method.rebuilt(batch["onset"], right, features)[..., 1:], batch["onset"][..., :-1], atol=1e-4)
    whole = made(residual=False)
    for parameter in whole.decoder.last[-1].parameters():
        torch.nn.init.zeros_(parameter)
    assert (whole.rebuilt(batch["onset"], motion, features) == 0.5).all(), "it has the texture alone to make the frame of"


def test_the_texture_is_the_onset_s() -> None:
    """What is rebuilt knows of the apex nothing but the motion."""
    method, batch = made(), clips(4)
    _, features = method.motion(batch["onset"], batch["apex"])
    assert torch.equal(features, method.motion(batch["onset"], batch["onset"].flip(0))[1])
    assert not torch.equal(features, method.motion(batch["apex"], batch["onset"])[1])


def test_the_reconstruction_s_error_is_in_grey_levels_and_counts_more_where_the_frames_differ() -> None:
    batch: Batch = {"onset": torch.full((2, 3, 32, 32), 0.5), "apex": torch.full((2, 3, 32, 32), 0.5)}
    batch["apex"][..., :16, :] += 4 / 255
    losses = []
    for rows in (slice(0, 16), slice(16, 32)):  # where it moves, and where it does not
        rebuilt = batch["apex"].clone()
        rebuilt[..., rows, :] += 2 / 255
        assert float(made(emphasis=0.0).pretraining_loss({"rebuilt": rebuilt}, batch)["total"]) == pytest.approx(1, rel=1e-4)
        losses.append(float(made(emphasis=1.0).pretraining_loss({"rebuilt": rebuilt}, batch)["total"]))
    assert losses[0] > 2 * losses[1]
    alike: Batch = {"onset": torch.zeros(2, 3, 32, 32), "apex": torch.full((2, 3, 32, 32), 0.5)}
    evenly = made(emphasis=2.0).pretraining_loss({"rebuilt": alike["apex"] + 2 / 255}, alike)
    assert float(evenly["total"]) == pytest.approx(2, rel=1e-2), "where all differs alike, emphasis counts nothing"
    two = torch.eye(2)
    contrast = made(contrastive=3.0).pretraining_loss({"anchor": two, "positive": two.flip(0)}, batch)
    assert float(contrast["total"]) == pytest.approx(3 * float(info_nce(two, two.flip(0), 0.1)))
    assert float(made(reconstruction=3.0, emphasis=0.0).pretraining_loss({"rebuilt": rebuilt}, batch)["total"]) == pytest.approx(
        3, rel=1e-4
    )


def test_a_pair_is_changed_in_its_own_way_and_both_its_frames_alike() -> None:
    batch = clips(5)
    draws = torch.rand(12, 6, generator=torch.Generator().manual_seed(0))
    most = made().change
    onset, apex = changed({**batch, "apex": batch["onset"]}, draws, most)
    assert torch.equal(onset, apex), "a change between the frames would be motion"
    assert torch.allclose(changed(batch, torch.full((12, 6), 0.5), most)[1], batch["apex"], atol=1e-5)
    for place in range(6):
        one = torch.full((12, 6), 0.5)
        one[3:, place] = 0.9
        difference = (changed(batch, one, most)[0] - batch["onset"]).abs().amax(dim=(1, 2, 3))
        assert (difference[:3] < 1e-5).all()
        assert (difference[3:] > 1e-2).all(), f"draw {place} changes nothing"


def test_a_pair_is_changed_as_far_as_it_says() -> None:
    """Each change alone, at its most: what comes out is known by hand."""
    batch = clips(5)
    onset, still = batch["onset"], torch.full((12, 6), 0.5)

    def at(place: int, **by: float) -> torch.Tensor:
        method = made(**{"turned": 0.0, "scaled": 0.0, "shifted": 0.0, "relit": 0.0, "contrasted": 0.0} | by)
        draws = still.clone()
        draws[:, place] = 1
        return changed(batch, draws, method.change)[0]

    assert torch.allclose(at(0, turned=90.0), onset.rot90(dims=(2, 3)), atol=1e-4)
    assert torch.allclose(at(2, shifted=4 / 31)[..., :-2], onset[..., 2:], atol=1e-4), "31 steps from middle to middle are a side of 2"
    assert torch.allclose(at(3, shifted=4 / 31)[..., :-2, :], onset[..., 2:, :], atol=1e-4)
    assert torch.allclose(at(4, relit=0.3), onset + 0.3, atol=1e-5)
    assert torch.allclose(at(5, contrasted=0.5), 0.5 + 1.5 * (onset - 0.5), atol=1e-5)
    ramp: Batch = {"onset": torch.linspace(-1, 1, 32).expand(12, 3, 32, 32), "apex": onset}
    most, grown = Change(turned=0.0, scaled=0.5, shifted=0.0, relit=0.0, contrasted=0.0), still.clone()
    grown[:, 1] = 0
    assert torch.allclose(changed(ramp, grown, most)[0], 0.5 * ramp["onset"], atol=1e-4), "at half of its places"


def test_the_grids_and_channels_are_as_asked() -> None:
    method, batch = made(motion_cell=2, texture_cell=1, broad=3, cells=8, projection=(10, 6), parts=3), clips(6)
    motion, features = method.motion(batch["onset"], batch["apex"])
    assert motion.shape == (12, 4, 16, 16)
    assert method.separator.texture(features).shape == (12, 3 * 4, 32, 32)
    assert method.rebuilt(batch["onset"], motion, features).shape == (12, 3, 32, 32)
    assert method.project(motion).shape == (12, 6)
    assert [layer.in_features for layer in method.project.layers if isinstance(layer, torch.nn.Linear)] == [64 * 4, 10]
    assert (method.extractor.correct.in_channels, method.decoder.last[0].in_channels) == (12, 12)
    assert method.recogniser.head[-1].in_features == 9 * 8
    assert method.eval().logits(batch).shape == (12, 3)
    assert made(motion_cell=8, cells=2).motion(batch["onset"], batch["apex"])[0].shape == (12, 4, 4, 4)
    field = torch.zeros(12, 4, 16, 16)
    field[:, 0] = 224 / 32  # a pixel of the frame
    assert torch.allclose(method._field(field)[:, 0], torch.ones(12, 32, 32))


def test_recognition_reads_parts_of_any_side_and_all_of_it() -> None:
    for parts, side in ((1, 5), (2, 5), (3, 11), (4, 10)):
        recogniser = made(parts=parts, motion_cell=2, texture_cell=1).recogniser
        recogniser.stages = recogniser.head = torch.nn.Identity()
        x = torch.rand(1, 2, side, side, requires_grad=True)
        found = recogniser(x)
        assert found.shape[2:] == (parts, parts)
        found.sum().backward()
        assert x.grad is not None
        assert (x.grad > 0).all(), f"{parts} parts of {side} leave something out"


def test_the_extractor_reads_what_is_turned_up_and_least_squares_of_such_windows() -> None:
    batch, seen = clips(5), []
    extractor = made(gain=3.0, window=3, firmness=0.2).extractor
    extractor.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    before, after = torch.rand(2, 12, 4, 32, 32, generator=torch.Generator().manual_seed(1)).unbind()
    extractor(before, after)
    assert torch.equal(seen[0][:, :4], 3 * (after - before))
    assert torch.equal(extractor._octaves(batch["onset"], batch["apex"])[0], 7 * least_squares(batch["onset"], batch["apex"], 3, 0.2))
    one, other = (made(gain=gain).decoder for gain in (4.0, 8.0))
    motion, texture = torch.rand(12, 4, 8, 8), torch.rand(12, 8, 16, 16)
    still = torch.zeros(12, 2, 32, 32)  # what is carried nowhere differs in nothing
    assert torch.allclose(one(motion, texture, still), 2 * other(motion, texture, still), atol=1e-4)
    right = torch.ones(12, 2, 32, 32)
    assert not torch.allclose(one(motion, texture, right), 2 * other(motion, texture, right), atol=1e-3)


def test_the_contrastive_loss_is_the_cross_entropy_of_knowing_the_pair_again() -> None:
    generator = torch.Generator().manual_seed(0)
    anchor, positive = (functional.normalize(torch.randn(5, 8, generator=generator), dim=1) for _ in range(2))
    alike = (anchor @ positive.T / 0.1).double().numpy()
    there, back = (np.mean(np.log(np.exp(x).sum(axis=1)) - np.diag(x)) for x in (alike, alike.T))
    assert float(info_nce(anchor, positive, 0.1)) == pytest.approx((there + back) / 2, rel=1e-5)
    assert info_nce(anchor, anchor, 0.01) < 0.1 < info_nce(anchor, anchor.roll(1, dims=0), 0.01)


def test_in_recognition_what_was_pre_trained_takes_smaller_steps() -> None:
    def learnt(method: Any, place: int) -> dict[str, float]:
        """Return how far each part goes in a step of a stage."""
        stage, batch = method.stages()[place].filled(Training(lr=1e-3)), clips(6)
        method.begin(stage)
        before, optimizer = copy.deepcopy(method.state_dict()), method.configure_optimizers()
        torch.autograd.backward(method.losses(method(batch), batch)["total"])
        optimizer.step()
        moved: dict[str, float] = {}
        for name, value in method.named_parameters():
            part = name.partition(".")[0]
            moved[part] = max(moved.get(part, 0.0), float((value.detach() - before[name]).abs().max()))
        return moved

    first, last = learnt(made(), 0), learnt(made(), 1)
    assert {part for part, far in first.items() if far} == {"separator", "extractor", "decoder", "project"}
    assert {part for part, far in last.items() if far} == {"separator", "extractor", "recogniser"}
    assert first["separator"] == pytest.approx(1e-3, rel=1e-2)
    assert last["separator"] == pytest.approx(1e-4, rel=1e-2)
    assert last["extractor"] == pytest.approx(1e-4, rel=1e-2)
    assert last["recogniser"] == pytest.approx(1e-3, rel=1e-2)
    assert {part for part, far in learnt(made(pace=0.0), 1).items() if far} == {"recogniser"}
    assert learnt(made(pretraining=0), 0)["separator"] == pytest.approx(1e-3, rel=1e-2), "nothing was learnt before"


def test_in_a_batch_classes_count_alike() -> None:
    method = made()
    logits, label = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 2])
    each = functional.cross_entropy(logits, label, reduction="none")
    expected = (each[:3].mean() + each[3]) / 2
    assert torch.allclose(method.loss({"logits": logits}, {"label": label})["total"], expected)


def test_the_head_s_motion_is_subtracted_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    motion, batch = torch.randn(12, 4, 8, 8, generator=torch.Generator().manual_seed(0)), clips(7)
    for steady in (True, False):
        method = made(steady=steady).eval()
        found = []
        for shift in (0.0, 3.0):
            monkeypatch.setattr(method, "motion", lambda *_, shift=shift: (motion + shift, None))
            read: list[torch.Tensor] = []
            method.recogniser.register_forward_pre_hook(lambda _, given, read=read: read.append(given[0]))
            found.append(method.logits(batch))
            middle = read[0].flatten(2).sort().values
            assert torch.allclose(middle[..., 31] + middle[..., 32], torch.zeros(12, 4), atol=1e-5) == steady, "the median, not the mean"
        assert torch.allclose(found[0], found[1], atol=1e-4) == steady


def test_what_is_left_out_is_not_there() -> None:
    whole, without = made(), made(pretraining=0)
    assert (without.decoder, without.project, without.separator.texture) == (None, None, None)
    assert [stage.name for stage in without.stages()] == ["recognition"]
    assert set(made(contrastive=0.0).pretraining_outputs(clips(8))) == {"rebuilt"}
    assert set(made(reconstruction=0.0).pretraining_outputs(clips(8))) == {"anchor", "positive"}
    assert made(reconstruction=0.0).decoder is None
    assert (whole.inputs.macro, whole.stages()[0].on) == (False, "training")
    more = made(macro=True)
    assert (more.inputs.macro, more.stages()[0].on, more.stages()[1].on) == (True, "training+macro", "training")
    with pytest.raises(UserError, match=r"no pre-training: method\.pretraining_batch=8 would change nothing"):
        made(pretraining=0, pretraining_batch=8)
    assert made(widths=(4, 4, 4)).eval().logits(clips(8)).shape == (12, 3), "as many stages as leave quarters"
    for arguments, why in (
        ({"size": 40}, "cannot be parted"),
        ({"size": 34, "octaves": 3}, "cannot be halved 2 times"),
        ({"cells": 3}, "into 3 x 3 parts"),
        ({"parts": 5}, "leave no 5 x 5 parts"),
        ({"reconstruction": 0.0, "contrastive": 0.0}, "learns nothing"),
        ({"pretraining": 0, "macro": True}, "leaves that out"),
        ({"octaves": 0}, "no octave"),
        ({"widths": ()}, "no 2 x 2 parts"),
        ({"widths": (4, 4, 4, 4)}, "4 stages of recognition leave no 2 x 2 parts"),
        ({"contrastive": -1.0}, "weights are from 0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"reconstruction": 0.0, "residual": False}, "would change nothing"),
        ({"pretraining": 0, "residual": False}, "would change nothing"),
    ):
        with pytest.raises(ValueError, match=why):
            made(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("more", "broad", "cells", "parts") for value in (0, -1)),
        *(("motion_cell", value) for value in (0, 1, 3, 64, -4)),
        *(("texture_cell", value) for value in (0, 4)),
        *((name, value) for name in ("gain", "firmness") for value in (0.0, -1.0, float("nan"))),
        *(("window", value) for value in (1, 4, -3, 33)),
        *((name, value) for name in ("scaled", "contrasted") for value in (-0.1, 1.0, float("nan"))),
        *((name, value) for name in ("shifted", "relit") for value in (-0.1, 1.1)),
        *(("turned", value) for value in (-1.0, 181.0)),
        ("pretraining_batch", -1),
        *(("pretraining_lr", value) for value in (-1e-3, float("nan"))),
        ("projection", (0, 64)),
        ("projection", (128, -1)),
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UserError) as refused:
        made(**{name: value})
    assert (refused.value.what, refused.value.where) == (f"method.{name} is {value}", f"method.{name}")
    assert refused.value.remedy


def test_pre_training_has_its_own_batch_and_rate_and_is_never_balanced() -> None:
    asked = Training(batch=16, lr=1e-3, balance=True)
    first, second = (stage.filled(asked) for stage in made().stages())
    assert (first.batch, first.lr, first.balance) == (16, 1e-3, False), "a clip drawn twice would be its own negative"
    assert (second.batch, second.lr, second.balance) == (16, 1e-3, True)
    first, second = (stage.filled(asked) for stage in made(pretraining_batch=64, pretraining_lr=3e-4).stages())
    assert (first.batch, first.lr) == (64, 3e-4)
    assert (second.batch, second.lr) == (16, 1e-3)


def test_pre_training_too_can_be_stacked_and_keeps_nothing() -> None:
    def at_pre_training(classes: int) -> Any:
        method: Any = METHODS["moext"](classes, **SMALL)
        method.begin(method.stages()[0].filled(Training()))
        return method

    CHECKS["two_folds_stacked_equal_two_folds_apart"](at_pre_training)
