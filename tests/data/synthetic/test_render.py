"""Frames: the same bytes again, and motion that is what the truth says it is."""

from __future__ import annotations

import dataclasses
import multiprocessing

import cv2
import numpy as np
import pytest

from merbench.data.synthetic import layouts, marker
from merbench.data.synthetic import render as module
from merbench.data.synthetic.anatomy import Person, person
from merbench.data.synthetic.muscles import EMOTIONS
from merbench.data.synthetic.performance import PEAK, Performance, drift, perform, shut, strength
from merbench.data.synthetic.render import Camera, render, truth
from merbench.data.synthetic.script import scenes
from merbench.data.synthetic.write import cast
from merbench.streams import key_of

SMALL = Camera(width=280, height=250, grey=True, face=72.0)
COLOUR = Camera(width=320, height=240, grey=False, face=55.0)
ACTOR = person(key_of("test", 1))


def clip(key: int = 5, emotion: str = "happiness", actor: Person = ACTOR, macro: bool = False) -> Performance:
    return perform(key, emotion, actor, 60, 24, macro)


def _bytes(index: int) -> bytes:
    return render(ACTOR, clip(), COLOUR, index).tobytes()


def test_frames_have_the_cameras_shape() -> None:
    assert render(ACTOR, clip(), SMALL, 0).shape == (250, 280)
    colour = render(ACTOR, clip(), COLOUR, 0)
    assert colour.shape == (240, 320, 3)
    assert colour.dtype == np.uint8


def test_the_same_bytes_in_any_order_and_process() -> None:
    here = [_bytes(k) for k in (0, 7, 24)]
    render(person(99), clip(8, actor=person(99)), SMALL, 3)
    assert [_bytes(k) for k in (24, 7, 0)] == here[::-1]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_bytes, (0, 7, 24)) == here


def test_noise_differs_between_frames_and_clips() -> None:
    still = render(ACTOR, clip(), SMALL, 0).astype(float)
    assert 0.5 < np.std(still - render(ACTOR, clip(), SMALL, 1)) < 8
    assert not np.array_equal(still, render(ACTOR, clip(6), SMALL, 0))


def test_peak_motion_of_a_micro_expression_is_half_to_three_pixels_and_a_macro_one_is_stronger() -> None:
    for k, emotion in enumerate(list(EMOTIONS) * 4):
        actor = person(k)
        made = truth(actor, clip(k, emotion, actor), SMALL)
        peak = np.sqrt((made.expression**2).sum(0)).max()
        assert 0.9 * PEAK[0] < peak < 1.05 * PEAK[1]
        macro = truth(actor, clip(k, emotion, actor, macro=True), SMALL)
        assert np.sqrt((macro.expression**2).sum(0)).max() > 2 * peak


def test_the_course_is_neutral_at_the_onset_and_strongest_at_the_apex() -> None:
    acted = clip()
    course = [strength(acted, k) for k in range(acted.length)]
    assert course[0] == 0
    assert int(np.argmax(course)) == acted.apex
    assert course[acted.apex] == pytest.approx(1)
    assert course[-1] <= 0.25
    assert np.all(np.diff(course[: acted.apex + 1]) >= 0)
    assert np.all(np.diff(course[acted.apex :]) <= 0)
    np.testing.assert_allclose(truth(ACTOR, acted, SMALL, 0).displacement, 0, atol=1e-9)


def test_a_frame_brought_back_by_the_true_displacement_is_the_onset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The apex, read where each onset point has gone, must be the onset. Without noise and flicker little is left."""
    monkeypatch.setattr(module, "NOISE", (0.0, 0.0))
    monkeypatch.setattr(module, "flicker", lambda performance, index: (1.0, 0.0, 0.0))
    for emotion in ("happiness", "surprise", "anger"):
        acted = dataclasses.replace(clip(emotion=emotion), peak=3.0, blink=None)
        onset, apex = (render(ACTOR, acted, SMALL, k).astype(np.float32) for k in (0, acted.apex))
        made = truth(ACTOR, acted, SMALL)
        rows, columns = np.indices(made.skin.shape).astype(np.float32)
        x, y = made.origin[0] + made.step * columns, made.origin[1] + made.step * rows
        before = cv2.remap(onset, x, y, cv2.INTER_CUBIC)
        after = cv2.remap(apex, x + made.displacement[0], y + made.displacement[1], cv2.INTER_CUBIC)
        unmoved = cv2.remap(apex, x, y, cv2.INTER_CUBIC)
        left = np.abs(after - before)[made.skin].mean()
        assert left < 0.25 * np.abs(unmoved - before)[made.skin].mean()
        assert left < 1.0


def test_the_landmarks_go_with_the_skin() -> None:
    acted = dataclasses.replace(clip(), peak=3.0)
    made = truth(ACTOR, acted, SMALL)
    at = ((made.landmarks[0] - made.origin) / made.step).astype(np.float32)[None]
    flow = np.stack([cv2.remap(c, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[0] for c in made.displacement], axis=1)
    np.testing.assert_allclose(made.landmarks[1] - made.landmarks[0], flow, atol=0.1)
    eyes = [made.landmarks[0, s].mean(0) for s in (slice(36, 42), slice(42, 48))]
    assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(SMALL.face, rel=0.06)


def test_the_grid_covers_the_face_finely() -> None:
    made = truth(ACTOR, clip(), COLOUR)
    assert min(made.skin.shape) >= 64
    assert 0.3 < made.skin.mean() < 0.9
    assert not made.skin[:, [0, -1]].any()
    assert made.displacement.shape == made.expression.shape == (2, *made.skin.shape)


def test_the_head_drifts_a_little_and_starts_at_rest() -> None:
    reach = []
    for key in range(60):
        acted = clip(key)
        rest = drift(acted, 0)
        assert (rest.x, rest.y, rest.roll, rest.scale) == (0, 0, 0, 1)
        there = drift(acted, acted.apex)
        reach.append(np.hypot(there.x, there.y))
        assert abs(there.roll) < 0.02
    assert 0.2 < np.median(reach) < 1.5
    assert max(reach) < 4


def test_some_clips_blink_and_never_at_onset_or_apex() -> None:
    made = [clip(key) for key in range(200)]
    share = np.mean([acted.blink is not None for acted in made])
    assert 0.15 < share < 0.45
    assert all(shut(acted, k) == 0 for acted in made for k in (0, acted.apex))
    blinking = next(acted for acted in made if acted.blink is not None)
    assert blinking.blink is not None
    assert shut(blinking, blinking.blink) == 1
    grey = render(ACTOR, blinking, SMALL, blinking.blink).astype(float)
    away = render(ACTOR, dataclasses.replace(blinking, blink=None), SMALL, blinking.blink).astype(float)
    eye = np.round(truth(ACTOR, blinking, SMALL).landmarks[0, 36:42].mean(0)).astype(int)
    part = np.s_[eye[1] - 4 : eye[1] + 5, eye[0] - 10 : eye[0] + 11]
    assert np.abs(grey - away)[part].mean() > 5 * np.abs(grey - away)[:40].mean() + 3
    assert grey[part].min() > away[part].min()  # the pupil is gone


@pytest.mark.parametrize(("emotion", "apex"), [("joy", 4), ("happiness", 60), ("happiness", -1)])
def test_what_cannot_be_acted_is_refused(emotion: str, apex: int) -> None:
    with pytest.raises(ValueError, match=r"emotion|apex"):
        perform(1, emotion, ACTOR, 60, apex)


def test_a_macro_expression_too_is_undone_by_its_inverse() -> None:
    """Forwards and then backwards is where one was, to a tenth of a unit, also where the motion is strongest."""
    for emotion in ("surprise", "anger", "happiness"):
        acted = dataclasses.replace(clip(emotion=emotion, macro=True), blink=None)
        forth = sum(module._forwards(ACTOR, acted, acted.apex))
        back = module._backwards(ACTOR, acted, acted.apex)
        here = np.stack(np.broadcast_arrays(module.GRID.x, module.GRID.y), axis=-1)
        left = module._sample(back, here + forth) - forth
        assert np.percentile(np.abs(left), 99.9) < 0.1
        assert np.abs(forth).max() > 1.5


def test_the_same_seed_gives_the_faces_of_this_version() -> None:
    """Whoever changes them raises ``marker.RENDERER``, so that no folder is filled by two renderers, and pins the new ones here."""
    assert marker.RENDERER == 2
    scene = next(scene for scene in scenes("mini", 0) if scene.part == "casme2")
    actor, performance = cast(scene, 0)
    camera, apex = layouts.CAMERAS["casme2"], scene.apex - scene.onset
    means = [render(actor, performance, camera, index).astype(float).mean(-1).reshape(4, 120, 4, 160).mean((1, 3)) for index in (0, apex)]
    onset = [[98.7, 94.7, 90.8, 91.9], [98.3, 150.1, 145.1, 91.5], [97.9, 140.4, 133.1, 90.9], [99.3, 125.5, 120.1, 91.0]]
    peak = [[97.6, 95.6, 93.2, 95.8], [96.8, 149.6, 148.9, 94.9], [96.0, 139.5, 135.4, 94.0], [97.1, 124.5, 121.8, 93.6]]
    assert np.allclose(means, [onset, peak], atol=0.3)
    known = truth(actor, performance, camera)
    assert dict(performance.action_units) == pytest.approx({"4": 0.7372, "10": 0.8877}, abs=1e-3)
    assert np.abs(known.displacement[:, known.skin]).mean() == pytest.approx(0.9726, abs=1e-3)
