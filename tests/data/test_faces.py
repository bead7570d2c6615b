"""Landmarks and alignment."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from merbench.data import faces, frames, load
from merbench.data.manifest import DATABASES
from merbench.errors import UserError
from tests.conftest import Rendered


def similarity(angle: float, scale: float, x: float, y: float) -> NDArray[np.float32]:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([(cos, -sin, x), (sin, cos, y)], dtype=np.float32)


def a_face() -> NDArray[np.float32]:
    """68 points of which the anchors are the template."""
    points = np.random.default_rng(0).uniform(40, 180, (68, 2)).astype(np.float32)
    points[list(faces.ANCHORS)] = list(faces.ANCHORS.values())
    return points


def textured(height: int, width: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.asarray(np.clip((smooth - smooth.mean()) * 8 + 127, 0, 255), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.6, 0.6), st.floats(0.3, 4), st.floats(-200, 900), st.floats(-200, 900))
def test_alignment_undoes_any_similarity(angle: float, scale: float, x: float, y: float) -> None:
    place = similarity(angle, scale, x, y)
    matrix = faces.alignment(faces.moved(a_face(), place))
    anchors = faces.moved(faces.moved(a_face(), place), matrix)[list(faces.ANCHORS)]
    assert np.abs(anchors - list(faces.ANCHORS.values())).max() < 2e-3
    both = matrix[:, :2].astype(float) @ place[:, :2]
    assert np.abs(both - np.eye(2)).max() < 1e-5


def test_of_faces_that_fit_no_similarity_the_squared_distance_is_least() -> None:
    points = a_face() + np.random.default_rng(2).normal(0, 4, (68, 2)).astype(np.float32)

    def distance(matrix: NDArray[np.float32]) -> float:
        return float(np.square(faces.moved(points, matrix)[list(faces.ANCHORS)] - list(faces.ANCHORS.values())).sum())

    best = faces.alignment(points)
    assert distance(best) > 1
    for angle, scale, x, y in ((0.01, 1, 0, 0), (-0.01, 1, 0, 0), (0, 1.01, 0, 0), (0, 0.99, 0, 0), (0, 1, 0.5, 0), (0, 1, 0, -0.5)):
        change = np.vstack([similarity(angle, scale, x, y), (0, 0, 1)]) @ np.vstack([best, (0, 0, 1)])
        assert distance(change[:2].astype(np.float32)) > distance(best)


def test_alignment_does_not_mirror_and_does_not_see_the_mouth() -> None:
    points = a_face()
    moved = points.copy()
    moved[48:] += 30
    assert (faces.alignment(moved) == faces.alignment(points)).all()
    points[:, 0] *= -1
    assert np.linalg.det(faces.alignment(points)[:, :2]) > 0


def test_a_point_is_no_face() -> None:
    with pytest.raises(ValueError, match="one point"):
        faces.alignment(np.full((68, 2), 7, np.float32))


def test_mirrored_is_its_own_inverse_and_mirrors_the_template() -> None:
    mirrored = list(faces.MIRRORED)
    assert sorted(mirrored) == list(range(68))
    assert [mirrored[other] for other in mirrored] == list(range(68))
    for number, (x, y) in faces.ANCHORS.items():
        if mirrored[number] in faces.ANCHORS:
            assert faces.ANCHORS[mirrored[number]] == (faces.SIZE - 1 - x, y)
    pairs = {
        8: 8,
        0: 16,
        17: 26,
        21: 22,
        36: 45,
        37: 44,
        39: 42,
        40: 47,
        41: 46,
        31: 35,
        33: 33,
        48: 54,
        51: 51,
        57: 57,
        60: 64,
        62: 62,
        67: 65,
    }
    assert {number: mirrored[number] for number in pairs} == pairs


@settings(max_examples=8, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(0.8, 1.6), st.floats(0, 150), st.floats(0, 150))
def test_a_face_is_the_same_wherever_it_stands(angle: float, scale: float, x: float, y: float) -> None:
    """Height, turn and distance before the camera leave no trace but the blur of sampling."""
    face = textured(faces.SIZE, faces.SIZE)
    place = similarity(angle, scale, x + 110, y + 20)
    picture = np.asarray(cv2.warpAffine(face, place, (640, 600), flags=cv2.INTER_CUBIC), dtype=np.uint8)
    found = faces.aligned(picture, faces.alignment(faces.moved(a_face(), place)))
    inner = (slice(12, -12), slice(12, -12))
    assert found.shape == face.shape
    assert found.dtype == np.uint8
    assert np.abs(found[inner].astype(float) - face[inner]).mean() < 1
    shifted = np.roll(face, 1, axis=1)
    assert np.abs(shifted[inner].astype(float) - face[inner]).mean() > 3, "one pixel would be seen"


def test_beyond_the_image_its_border_goes_on() -> None:
    picture = np.full((60, 60, 3), 90, np.uint8)
    assert (faces.aligned(picture, similarity(0, 1, 80, 80)) == 90).all()


def test_landmarks_lie_where_the_face_is(rendered: Rendered) -> None:
    for database in DATABASES:
        footage = load.read(database, rendered.root / database, rendered.clips(database))
        for index in (0, 3):  # one clip of each subject
            points = faces.landmarks(frames.read(footage[index].onset))
            assert points is not None
            assert points.shape == (68, 2)
            with np.load(rendered.truths(database)[index]) as record:
                truth = record["landmarks"][0]
            between_eyes = np.linalg.norm(truth[36:42].mean(axis=0) - truth[42:48].mean(axis=0))
            away = np.linalg.norm(points - truth, axis=1)
            assert np.median(away) < 0.05 * between_eyes
            assert away[list(faces.ANCHORS)].max() < 0.12 * between_eyes


def test_of_two_faces_the_larger_is_taken(rendered: Rendered) -> None:
    footage = load.read("casme2", rendered.root / "casme2", rendered.clips("casme2"))
    picture = frames.read(footage[0].onset)
    beside = np.full_like(picture, 127)
    beside[120:360, 160:480] = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
    for pair, left in (((beside, picture), 640), ((picture, beside), 0)):
        found = faces.landmarks(np.concatenate(pair, axis=1))
        assert found is not None
        alone = faces.landmarks(picture)
        assert alone is not None
        assert np.abs(found - (left, 0) - alone).max() < 25


def test_in_a_picture_without_a_face_none_is_found() -> None:
    assert faces.landmarks(np.full((240, 320, 3), 120, np.uint8)) is None


@pytest.mark.parametrize("lacks", ["dlib", "models", "model file"])
def test_without_the_extra_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    monkeypatch.setattr(faces, "_models", faces._models.__wrapped__)  # what it remembers stays out of this

    def without(name: str) -> Any:
        if lacks == "models":
            raise importlib.metadata.PackageNotFoundError(name)

        class Bare:
            files = None

        return Bare()

    if lacks == "dlib":
        monkeypatch.setitem(sys.modules, "dlib", None)
    else:
        monkeypatch.setattr(importlib.metadata, "distribution", without)
    with pytest.raises(UserError, match="not installed") as caught:
        faces.check_installed()
    assert "merbench[faces]" in caught.value.remedy
