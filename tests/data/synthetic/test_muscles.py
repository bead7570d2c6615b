"""Action units: where they move the skin, and that they alone decide the class."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from merbench.data.synthetic import muscles
from merbench.data.synthetic.anatomy import landmarks, person
from merbench.streams import key_of

X, Y = np.arange(-110, 111, dtype=np.float32)[None], np.arange(-110, 151, dtype=np.float32)[:, None]
ACTORS = [person(key_of("test", k)) for k in range(5)]


def moved(actor: int, unit: str, at: NDArray[np.floating]) -> NDArray[np.float32]:
    field = muscles.field(ACTORS[actor], {unit: 1.0}, (1.0, 1.0), X, Y)
    here: NDArray[np.float32] = field[:, round(float(at[1]) + 110), round(float(at[0]) + 110)]
    return here


def test_every_action_unit_that_was_asked_for_is_there() -> None:
    assert set(muscles.ACTION_UNITS) >= {1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25}


def test_action_units_alone_decide_the_class_of_every_combination() -> None:
    classes: dict[frozenset[str], str | None] = {}
    for emotion, alternatives in muscles.EMOTIONS.items():
        for units in alternatives:
            wanted = muscles.CLASS_OF.get(emotion)
            assert muscles.class_of(muscles.number(unit)[0] for unit in units) == wanted, (emotion, units)
            assert classes.setdefault(frozenset(units), wanted) == wanted
    assert set(muscles.CLASS_OF) == set(muscles.EMOTIONS) - {"others"}
    by_class = [{s for s, c in classes.items() if c == name} for name in ("negative", "positive", "surprise")]
    assert all(by_class)
    assert all(not a & b for a, b in itertools.combinations(by_class, 2))


@pytest.mark.parametrize("actor", range(len(ACTORS)))
def test_fields_go_where_facs_says(actor: int) -> None:
    p = landmarks(ACTORS[actor])
    right, left = p[48], p[54]
    assert moved(actor, "1", p[21])[1] < -0.3  # inner brow up
    assert moved(actor, "2", p[18])[1] < -0.3  # outer brow up
    assert moved(actor, "4", p[21])[1] > 0.2  # brow down
    assert moved(actor, "4", p[21])[0] > 0.2  # and together: the person's right brow lies at x < 0
    assert moved(actor, "4", p[22])[0] < -0.2
    assert moved(actor, "12", left)[0] > 0.2  # corner out
    assert moved(actor, "12", left)[1] < -0.2  # and up
    assert moved(actor, "12", right)[0] < -0.2
    assert moved(actor, "15", left)[1] > 0.3
    assert moved(actor, "20", right)[0] < -0.3
    assert moved(actor, "25", p[57])[1] > 0.2
    assert moved(actor, "24", p[51])[1] > 0.1


def test_fields_are_smooth_and_fade_before_the_edge() -> None:
    for actor in ACTORS:
        for unit in muscles.ACTION_UNITS:
            field = muscles.field(actor, {str(unit): 1.0}, (1.0, 1.0), X, Y)
            peak = np.sqrt((field**2).sum(0)).max()
            assert 0.4 < peak < 3
            steepest = max(np.abs(np.diff(field, axis=1)).max(), np.abs(np.diff(field, axis=2)).max())
            assert steepest < 0.27 * peak, unit
            assert np.abs(field[:, [0, -1]]).max() < 0.06 * peak
            assert np.abs(field[:, :, [0, -1]]).max() < 0.06 * peak


def test_a_side_moves_alone_and_gains_make_sides_unequal() -> None:
    whole = muscles.field(ACTORS[0], {"14": 1.0}, (1.0, 1.0), X, Y)
    left = muscles.field(ACTORS[0], {"L14": 1.0}, (1.0, 1.0), X, Y)
    right = muscles.field(ACTORS[0], {"R14": 1.0}, (1.0, 1.0), X, Y)
    np.testing.assert_allclose(left + right, whole, atol=1e-5)
    assert np.abs(left[:, :, :90]).max() < 0.05 * np.abs(left[:, :, 110:]).max()  # the person's left is seen at x > 0
    weak = muscles.field(ACTORS[0], {"14": 1.0}, (0.5, 1.0), X, Y)
    np.testing.assert_allclose(weak, 0.5 * right + left, atol=1e-5)


def test_people_move_in_their_own_way() -> None:
    one, other = (muscles.field(actor, {"12": 1.0}, (1.0, 1.0), X, Y) for actor in ACTORS[:2])
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("wrong", ["", "L", "3", "X12", "12L", "99"])
def test_what_is_no_action_unit_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no action unit"):
        muscles.number(wrong)
