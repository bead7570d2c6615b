"""Identities: made from a key alone, unlike each other, and shaped like faces."""

from __future__ import annotations

import numpy as np

from merbench.data.synthetic.anatomy import landmarks, person
from merbench.data.synthetic.canvas import Canvas
from merbench.data.synthetic.texture import paint
from merbench.streams import key_of

PEOPLE = [person(key_of("test", k)) for k in range(40)]


def test_a_key_makes_one_person_and_another_key_another() -> None:
    assert person(key_of("test", 3)) == PEOPLE[3]
    assert len({(p.width, p.skin, p.nose_length) for p in PEOPLE}) == len(PEOPLE)


def test_every_style_of_hair_and_the_range_of_skin_is_met() -> None:
    many = [person(key_of("many", k)) for k in range(200)]
    assert {p.hair for p in many} == {"crop", "side", "fringe", "bob", "long", "bald", "tied"}
    assert min(p.skin for p in many) < 0.1
    assert max(p.skin for p in many) > 0.8


def test_eye_centres_are_the_frame_and_the_points_lie_as_in_a_face() -> None:
    for actor in PEOPLE:
        p = landmarks(actor)
        assert p.shape == (68, 2)
        eyes = np.stack([p[36:42].mean(0), p[42:48].mean(0)])
        np.testing.assert_allclose(eyes, [[-36, 0], [36, 0]], atol=0.2)
        assert p[17:27, 1].max() < p[36:48, 1].min()  # brows above eyes
        assert p[36:48, 1].max() < p[30, 1] < p[33, 1] < p[51, 1] < p[57, 1] < p[8, 1]  # eyes, nose, mouth, chin
        assert np.all(np.diff(p[2:15, 0]) > 0)  # the jaw from the person's right to the left
        assert p[0, 0] < p[17, 0] < p[21, 0] < p[22, 0] < p[26, 0] < p[16, 0]
        assert np.all(np.abs(p[:, 0]) < 100)


def test_faces_differ_by_more_than_noise_and_come_out_the_same_again() -> None:
    sheet = Canvas(0.8, -100, -120, 160, 200)
    first, again, other = paint(PEOPLE[0], sheet), paint(PEOPLE[0], sheet), paint(PEOPLE[1], sheet)
    assert np.array_equal(first, again)
    assert np.abs(first.astype(float) - other).mean() > 5


def test_eyes_brows_and_mouth_are_darker_than_the_skin_around_them() -> None:
    for actor in PEOPLE[:6]:
        sheet = Canvas(1.0, -100, -120, 200, 260)
        grey = paint(actor, sheet).mean(-1)
        points = landmarks(actor)

        def around(x: float, y: float, grey: np.ndarray = grey) -> float:
            return float(np.median(grey[int(y + 120) - 2 : int(y + 120) + 3, int(x + 100) - 3 : int(x + 100) + 4]))

        cheek = (around(-44, 40) + around(44, 40)) / 2
        assert around(-36, 0.5) < 0.75 * cheek  # the iris
        assert around(36, 0.5) < 0.75 * cheek
        assert around(points[62, 0], points[62, 1]) < 0.85 * cheek
