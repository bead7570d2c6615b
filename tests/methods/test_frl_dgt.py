"""FRL-DGT: where regions lie, how tokens are fused, which frames are read, what reaches the displacement, and what it shows of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from merbench import methods
from merbench.batch import Batch
from merbench.config import Training
from merbench.displacement import agreement, dynamic_image, even, least_squares, median, ssim, warp
from merbench.errors import UserError
from merbench.method import METHODS
from tests.contract import batch_for, build, without_labels

methods.load("frl_dgt")

SMALL: dict[str, Any] = {"size": 32, "widths": (4, 4), "octaves": 2, "dim": 8, "depth": 1, "heads": 2}
TIMES = torch.tensor([0.0, 0.2, 0.5, 0.7, 0.9, 1.0, 1.15, 1.4])


def made(**arguments: Any) -> Any:
    return build(lambda classes: METHODS["frl_dgt"](classes, **(SMALL | arguments)))


def clips(count: int = 4) -> Batch:
    return batch_for(made().inputs, count)


def numbered(count: int = 3) -> Batch:
    """Return clips each of whose frames is its own number, the apex among them."""
    frames = torch.arange(8.0).view(1, 8, 1, 1, 1).expand(count, 8, 3, 32, 32).contiguous()
    return {
        **clips(count),
        "frames": frames,
        "times": TIMES.expand(count, 8).contiguous(),
        "onset": frames[:, 0],
        "apex": frames[:, 5],
    }


def number(frames: Tensor) -> list[int]:
    assert torch.equal(frames.amin((1, 2, 3)), frames.amax((1, 2, 3))), "one frame, not a mixture"
    return [int(frame) for frame in frames[:, 0, 0, 0]]


# what is read


def test_regions_lie_on_the_landmarks_of_the_facts() -> None:
    """On a field that tells its own place, the mean of a region is its centre and its width that share of the distance between the eyes."""
    places = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="xy"))[None]
    points = 20 + 24 * torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0))
    points[:, 36:42], points[:, 42:48] = torch.tensor([22.0, 28.0]), torch.tensor([42.0, 28.0])  # eyes 20 pixels apart
    named = [[21], [22], [18], [25], [*range(36, 42)], [*range(42, 48)], [41, 48], [46, 54], [33], [48], [54], [57, 8]]
    found = made(side=0.5)._regions(places, points)
    assert found.shape == (1, 12, 2, 28, 28)
    centres = torch.stack([points[0, each].mean(dim=0) for each in named])
    assert torch.allclose(found[0].mean(dim=(2, 3)), centres, atol=1e-3)
    assert torch.allclose(found[0, :, 0, 0, -1] - found[0, :, 0, 0, 0], torch.tensor(10 * 27 / 28), atol=1e-3)
    nine = [[18, 21], [22, 25], *named[4:8], *named[9:]]
    fewer = made(side=0.5, regions="nine", grid=6, patch=3)._regions(places, points)
    assert fewer.shape == (1, 9, 2, 6, 6)
    assert torch.allclose(fewer[0].mean(dim=(2, 3)), torch.stack([points[0, each].mean(dim=0) for each in nine]), atol=1e-3)


def test_motion_is_read_in_pixels_of_the_whole_face_whoever_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for motion in ("learned", "tvl1", "dynamic-image"):
        method = made(motion=motion).eval()
        batch = without_labels(batch_for(method.inputs, 3))
        read: list[Tensor] = []
        monkeypatch.setattr(method, "_read", lambda given, _, read=read: read.append(given) or torch.zeros(3, 3))
        outputs = method.outputs(batch)
        if motion == "learned":
            known = outputs["displacement"] * 7  # of 32 pixels for 224
        else:
            known = batch["flow"] * 7 if motion == "tvl1" else dynamic_image(batch["frames"])
        assert torch.allclose(read[0], known, atol=1e-5), motion
        assert (method.inputs.flow is not None and method.inputs.flow.pixels) == (motion == "tvl1")
        assert [stage.name for stage in method.stages()] == (["warm-up", "recognition"] if motion == "learned" else ["recognition"])
    assert [stage.name for stage in made(warm_up=0).stages()] == ["recognition"]


def test_what_moves_everywhere_is_not_read_unless_it_is_asked_for() -> None:
    motion, landmarks = torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(0)), clips(2)["landmarks"]
    for steady in (True, False):
        method = made(steady=steady).eval()
        assert torch.allclose(method._read(motion, landmarks), method._read(motion + 5, landmarks), atol=1e-4) == steady


# how it is fused


@pytest.mark.parametrize("fusion", ["before", "after", "none"])
def test_tokens_are_mixed_where_it_says(fusion: str) -> None:
    layer = made(fusion=fusion).globe.layers[0]
    x, mix = torch.randn(2, 12, 8, generator=torch.Generator().manual_seed(0)), torch.eye(12).roll(1, 0) + torch.eye(12)
    if fusion != "none":
        assert torch.equal(layer.mix, torch.eye(12)), "at first each token is itself"
        layer.mix.data.copy_(mix)
    else:
        assert layer.mix is None
    fused = layer.before(mix @ x if fusion == "before" else x)
    attended = layer.attend(fused, fused, fused)[0]
    attended = x + (mix @ attended if fusion == "after" else attended)
    assert torch.allclose(layer(x), attended + layer.think(layer.after(attended)), atol=1e-5)


def test_without_local_fusion_the_patches_of_a_region_are_averaged() -> None:
    """What is averaged is linear; what attends is not."""
    one, two, nothing = (scale * torch.rand(1, 12, 2, 28, 28, generator=torch.Generator().manual_seed(3)) for scale in (1, 2, 0))
    for local in (True, False):
        part = made(local=local).local
        assert torch.allclose(part(two) - part(one), part(one) - part(nothing), atol=1e-4) != local


def test_without_global_fusion_regions_do_not_see_each_other() -> None:
    regions = torch.rand(1, 12, 2, 28, 28, generator=torch.Generator().manual_seed(4))
    other = regions.clone()
    other[:, 5] += 1
    for globe in (True, False):
        method = made(globe=globe)
        moved = (method.globe(method.local(other)) - method.globe(method.local(regions))).abs().amax(dim=2)[0] > 1e-5
        assert moved.tolist() == [globe or place == 5 for place in range(12)]


def test_without_full_face_fusion_nothing_beside_the_regions_is_read() -> None:
    landmarks = torch.full((1, 68, 2), 6.0)
    landmarks[:, 42:48, 0] = 10.0  # eyes 4 pixels apart: all regions lie in the upper left
    motion = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(5))
    elsewhere = motion.clone()
    elsewhere[..., 20:, 20:] += 1
    for full_face in (True, False):
        method = made(full_face=full_face, steady=False).eval()
        assert torch.equal(method._read(motion, landmarks), method._read(elsewhere, landmarks)) != full_face
    assert torch.allclose(
        method._read(motion, landmarks), method.head(method.globe(method.local(method._regions(motion, landmarks))).mean(dim=1))
    )


def test_the_class_token_has_gathered_the_face_and_its_regions() -> None:
    method = made()
    generator = torch.Generator().manual_seed(8)
    motion, regions = torch.rand(1, 2, 32, 32, generator=generator), torch.rand(1, 12, 8, generator=generator)
    read = method.face(motion, regions)
    assert not torch.allclose(method.face(motion, regions.square()), read, atol=1e-4)
    assert not torch.allclose(method.face(motion.square(), regions), read, atol=1e-4)
    method.face.layers = torch.nn.Identity()
    assert torch.equal(method.face(motion, regions), method.face.token)


def test_a_region_knows_which_it_is() -> None:
    alike = torch.rand(1, 1, 2, 28, 28, generator=torch.Generator().manual_seed(9)).expand(1, 12, 2, 28, 28)
    found = made().local(alike)[0]
    assert torch.pdist(found).min() > 1e-3


def test_regions_and_face_are_read_in_such_patches() -> None:
    method = made(regions="nine", grid=12, patch=4, face_grid=18, face_patch=6, expansion=3)
    assert method.local.embed.weight.shape == (8, 2, 4, 4)
    assert method.face.embed.weight.shape == (8, 2, 6, 6)
    parts = ((method.local, 9), (method.globe, 9), (method.face, 1 + 9 + 9))  # patches, regions; class token, regions, patches
    for part, tokens in parts:
        assert part.layers[0].mix.shape == (tokens, tokens)
        assert part.layers[0].think[0].weight.shape == (3 * 8, 8)
    assert method.local(torch.rand(2, 9, 2, 12, 12)).shape == (2, 9, 8)
    assert method.eval().outputs(without_labels(clips()))["logits"].shape == (4, 3)


# which frames


def test_the_warm_up_has_its_own_batch_and_rate() -> None:
    asked = Training(batch=16, lr=1e-3)
    for arguments, expected in (({}, (16, 1e-3)), ({"warm_up_batch": 64, "warm_up_lr": 3e-4}, (64, 3e-4))):
        first, second = (stage.filled(asked) for stage in made(**arguments).stages())
        assert (first.name, first.batch, first.lr) == ("warm-up", *expected)
        assert (second.batch, second.lr) == (16, 1e-3)
    with pytest.raises(UserError, match=r"no warm-up: method\.warm_up_batch=8 would change nothing"):
        made(warm_up=0, warm_up_batch=8)
    with pytest.raises(UserError, match=r"no warm-up: method\.warm_up_lr=0\.1 would change nothing"):
        made(motion="tvl1", warm_up_lr=0.1)


def test_the_warm_up_compares_two_frames_of_a_clip_the_earlier_first() -> None:
    method, seen = made(), set()
    for _ in range(12):
        outputs = method.warm_up_outputs(numbered(8))
        seen |= set(zip(number(outputs["before"]), number(outputs["after"]), strict=True))
    assert all(before < after for before, after in seen)
    assert len(seen) > 20, "of 28 pairs"


def test_half_of_the_training_apexes_are_frames_near_it_and_none_where_it_is_judged() -> None:
    method, batch = made(near=0.35), numbered(8)
    drawn = [index for _ in range(40) for index in number(method._near_apex(batch))]
    assert set(drawn) == {3, 4, 5, 6}, "at .7, .9, 1 and 1.15"
    others = sum(index != 5 for index in drawn) / len(drawn)
    assert 0.3 < others < 0.45, "half of all, of which a fourth is the apex itself"
    assert set(number(made(near=0.0)._near_apex(batch))) == {5}
    assert set(number(made(near=0.35, swapped=0.0)._near_apex(batch))) == {5}
    always = made(near=0.35, swapped=1.0)
    others = sum(index != 5 for _ in range(40) for index in number(always._near_apex(batch))) / 320
    assert 0.65 < others < 0.85, "of four near frames one is the apex itself"
    assert set(number(made(near=0.05, shift=-0.6)._near_apex(batch))) == {2}, "none is near .4, so the nearest stands for it"
    assert number(method.eval().outputs(without_labels(batch))["after"]) == [5] * 8
    assert set(number(method.train().outputs(batch)["after"])) > {5}


@pytest.mark.parametrize(("shift", "frame"), [(0.0, 5), (-0.33, 3), (-0.85, 1), (0.1, 6), (9.0, 7)])
def test_a_shifted_apex_is_the_frame_nearest_to_that_place(shift: float, frame: int) -> None:
    batch = without_labels(numbered())
    assert number(made(shift=shift).eval().outputs(batch)["after"]) == [frame] * 3


def test_the_spotted_apex_is_what_has_moved_most_the_head_apart() -> None:
    generator = torch.Generator().manual_seed(6)
    onset = functional.interpolate(torch.rand(2, 3, 16, 16, generator=generator), size=32, mode="bicubic")
    frames = onset[:, None].repeat(1, 8, 1, 1, 1)
    for clip, apex in enumerate((3, 6)):
        frames[clip, apex, :, 8:16] = onset[clip, :, 8:16].roll(1, dims=-1)
        frames[clip, 1] = onset[clip].roll(1, dims=-1)  # of the whole head
    batch: Batch = {**without_labels(numbered(2)), "frames": frames, "onset": onset, "apex": onset}
    spotted = made(apex="spotted").eval().outputs(batch)["after"]
    assert torch.equal(spotted, torch.stack([frames[0, 3], frames[1, 6]]))
    later = made(apex="spotted", shift=0.2).eval().outputs(batch)["after"]  # of .7 and 1.15, .9 and 1.35
    assert torch.equal(later, torch.stack([frames[0, 4], frames[1, 7]]))


# what is learnt


def test_the_displacement_begins_at_least_squares_and_is_bent_by_no_more_than_its_reach() -> None:
    method, batch = made(reach=0.5), clips()
    last = method.displace.last
    torch.nn.init.zeros_(last.weight)
    start = method.displace.untrained(batch["onset"], batch["apex"])
    assert torch.allclose(method.displace(batch["onset"], batch["apex"]), start, atol=1e-5)
    with torch.no_grad():
        last.bias[:2] = torch.tensor([50.0, -50.0])
    bent = method.displace(batch["onset"], batch["apex"]) - start
    assert torch.allclose(bent[:, 0], torch.tensor(0.5 * 32 / 224), atol=1e-5), "half a pixel of the face of 224"
    assert torch.allclose(bent[:, 1], torch.tensor(-0.5 * 32 / 224), atol=1e-5)


def test_the_dgm_s_numbers_do_what_they_say() -> None:
    batch = clips()
    before, after = even(batch["onset"]), even(batch["apex"])
    dgm = made(window=3, firmness=0.1, octaves=1).displace
    assert torch.equal(dgm.untrained(batch["onset"], batch["apex"]), least_squares(before, after, window=3, firmness=0.1))
    dgm, seen = made(gain=2.5, belief=3.0, groups=2, reach=1e-9).displace, []
    assert {part.num_groups for part in dgm.modules() if isinstance(part, torch.nn.GroupNorm)} == {2}
    dgm.down[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.nn.init.zeros_(dgm.last.weight)
    with torch.no_grad():
        dgm.last.bias[2:] = torch.tensor([1.0, 0.0])
    found, octaves = dgm(batch["onset"], batch["apex"]), dgm._octaves(before, after)
    assert torch.equal(seen[0][:, 3:6], 2.5 * (after - before))
    fine = torch.sigmoid(torch.tensor(3.0))
    assert torch.allclose(found, fine * octaves[0] + (1 - fine) * octaves[1], atol=1e-5)


def test_the_photometric_loss_is_so_much_structure_and_the_rest_light() -> None:
    batch = clips()
    before, after = even(batch["onset"]), even(batch["apex"])
    field = torch.rand(4, 2, 32, 32, generator=torch.Generator().manual_seed(9))
    warped = warp(after, field)
    light, unlike = (before - warped).abs().mean(), (1 - ssim(before, warped)).mean() / 2
    for structure in (0.0, 0.3, 1.0):
        found = made(structure=structure).warm_up_loss({"before": batch["onset"], "after": batch["apex"], "displacement": field}, batch)
        assert torch.allclose(found["photometric"], (1 - structure) * light + structure * unlike)


def test_so_much_of_the_recognition_loss_reaches_the_displacement() -> None:
    def gradient(pull: float, part: str) -> Tensor:
        method, batch = made(pull=pull, near=0.0), clips()
        torch.autograd.backward(method.loss(method.outputs(batch), batch)[part])
        found: Tensor = method.displace.last.weight.grad
        return found

    whole = gradient(1.0, "recognition")
    assert whole.abs().max() > 0
    assert torch.allclose(gradient(0.25, "recognition"), 0.25 * whole, atol=1e-9)
    assert not gradient(0.0, "recognition").any()
    assert torch.equal(gradient(0.0, "photometric"), gradient(1.0, "photometric"))


def test_the_loss_is_recognition_and_weighted_self_supervision() -> None:
    method, batch = made(self_supervised=3.0, smooth=0.5, smoothing=0.2), clips()
    outputs = method.outputs(batch)
    losses, own = method.loss(outputs, batch), method.warm_up_loss(outputs, batch)
    recognition = functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=0.2)
    assert torch.allclose(own["total"], own["photometric"] + 0.5 * own["rough"])
    assert torch.allclose(losses["total"], recognition + 3 * own["total"])
    still = {**outputs, "after": outputs["before"], "displacement": torch.zeros_like(outputs["displacement"])}
    assert method.warm_up_loss(still, batch)["total"].abs() < 1e-3, "what does not move is explained"
    assert set(made(motion="dynamic-image").loss(outputs, batch)) == {"total"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"motion": "tvl1", "apex": "spotted"}, "no frame is chosen"),
        ({"motion": "dynamic-image", "shift": -0.33}, "no frame is chosen"),
        ({"shift": -1.0}, "at the onset or before"),
        ({"octaves": 0}, "no octave"),
        ({"self_supervised": -1.0}, "weights of losses"),
        ({"pull": 1.5}, "pull=1.5"),
    ],
)
def test_what_means_nothing_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        made(**arguments)
    assert made(motion="tvl1", size=30).inputs.flow.size == 30, "octaves are the displacement's own"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("patch", value) for value in (0, -7, 5)),
        *(("face_patch", value) for value in (0, 9)),
        *((name, 0) for name in ("expansion", "groups")),
        *((name, value) for name in ("gain", "belief", "firmness") for value in (0.0, -1.0, float("nan"))),
        *(("window", value) for value in (1, 4, -3, 33)),
        *((name, value) for name in ("structure", "swapped") for value in (-0.1, 1.1, float("nan"))),
        *(("heads", value) for value in (0, 3)),
        ("warm_up_batch", -1),
        *(("warm_up_lr", value) for value in (-1e-3, float("nan"))),
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^method.{name} is {value}\n") as refused:
        made(**{name: value})
    assert refused.value.where == f"method.{name}"
    assert refused.value.remedy


# what it shows


def test_measures_are_of_the_annotated_pair_whichever_frame_is_recognised() -> None:
    batch: Batch = {**without_labels(clips()), "apex": torch.rand(4, 3, 32, 32), "tvl1": torch.rand(4, 2, 32, 32)}  # none of its frames
    expected = made().eval().measures(batch)
    for arguments in ({"apex": "spotted"}, {"shift": -0.6}, {"apex": "spotted", "shift": -0.6}):
        method = made(**arguments).eval()
        displacement = method.outputs(batch)["displacement"]
        assert not torch.equal(agreement(displacement, batch["tvl1"])[2], expected["correlation with TV-L1"])
        assert torch.equal(method.measures(batch)["correlation with TV-L1"], expected["correlation with TV-L1"]), arguments


def test_measures_are_told_in_pixels_of_the_whole_face(monkeypatch: pytest.MonkeyPatch) -> None:
    method, batch = made().eval(), clips()
    truth, field = torch.randn(2, 4, 2, 32, 32, generator=torch.Generator().manual_seed(7)).unbind()
    monkeypatch.setattr(method.displace, "forward", lambda *_: field)
    found = method.measures({**without_labels(batch), "tvl1": truth + field, "truth": truth})
    error, nothing, correlation = agreement(field, truth)
    assert torch.allclose(found["endpoint error, 224-pixel face"], 7 * error)
    assert torch.allclose(found["endpoint error of zero flow"], 7 * nothing)
    assert torch.allclose(found["correlation with the truth"], correlation)
    assert torch.allclose(found["correlation with TV-L1"], agreement(field, truth + field)[2])
    start = method.displace.untrained(batch["onset"], batch["apex"])
    assert torch.allclose(found["endpoint error of least squares alone"], 7 * agreement(start, truth)[0])
    assert list(method.measures({**without_labels(batch), "tvl1": truth})) == ["correlation with TV-L1"]
    assert made(motion="tvl1").measures(batch) == {}


def test_its_map_is_how_far_the_face_moves_beyond_the_head() -> None:
    method: Any = made().eval()
    batch = without_labels(clips())
    with torch.no_grad():
        field, maps = method.outputs(batch)["displacement"], method.maps(batch)
    assert list(maps) == ["displacement"]
    length = (field - median(field)).norm(dim=1)
    assert torch.allclose(maps["displacement"] * length.amax((1, 2), keepdim=True), length, atol=1e-5)
    assert torch.allclose(maps["displacement"].amax((1, 2)), torch.ones(4))


def test_without_a_displacement_there_is_no_map() -> None:
    method: Any = made(motion="tvl1").eval()
    assert method.maps(without_labels(batch_for(method.inputs, 2))) == {}
