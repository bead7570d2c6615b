"""What moves: action units as smooth displacement fields, and the combinations that emotions are made of.

The fields follow the descriptions of the Facial Action Coding System (Ekman, Friesen and Hager, 2002): where the skin moves and
whither. The combinations are those that EMFACS and the sheets of CASME II and SAMM name most often.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic.anatomy import Person, generator, landmarks

Floats = NDArray[np.float32]
Bump = tuple[str, float, float, float, float, float, float]
"""Place, offset (outwards, down), direction (outwards, down), deviations (across, down): units, on one side of the face."""

_BUMPS: Mapping[int, tuple[Bump, ...]] = {
    1: (("brow_inner", 0, 0, -0.05, -1.0, 12, 9), ("brow_inner", 0, -17, 0.0, -0.55, 14, 12)),
    2: (("brow_outer", -4, 0, 0.05, -1.0, 14, 9), ("brow_outer", -6, -16, 0.0, -0.5, 15, 12)),
    4: (("brow_inner", 0, 1, -0.65, 0.8, 12, 9), ("brow_middle", 0, 1, -0.25, 0.6, 12, 8), ("nose_root", 3, -6, 0.0, 0.35, 9, 8)),
    5: (("lid_upper", 0, -1, 0.0, -1.0, 12, 5.5),),
    6: (("lid_lower", 4, 14, -0.1, -0.9, 15, 9), ("eye_outer", 5, 3, -0.55, -0.15, 8, 8), ("lid_lower", 0, 2, 0.0, -0.35, 11, 5)),
    7: (("lid_lower", 0, 2, -0.1, -0.9, 12, 5.5), ("lid_upper", 0, -1, 0.0, 0.4, 12, 5.5)),
    9: (
        ("nose_side", 0, 0, 0.05, -1.0, 8, 11),
        ("brow_inner", -3, 3, -0.15, 0.55, 11, 8),
        ("wing", 2, 0, 0.1, -0.6, 9, 7),
        ("lip_upper", 9, -3, 0.0, -0.3, 9, 7),
    ),
    10: (("lip_upper", 10, -2, 0.1, -1.0, 10, 8), ("fold", 0, 0, 0.25, -0.65, 10, 11)),
    12: (("corner", 0, 0, 0.75, -0.75, 13, 11), ("cheek", 0, 0, 0.2, -0.5, 16, 14)),
    14: (("corner", 0, 0, 0.45, -0.15, 7, 8), ("corner", 12, 0, -0.85, -0.05, 8, 10)),
    15: (("corner", 0, 1, 0.2, 1.0, 10, 9), ("corner", 0, 12, 0.1, 0.5, 9, 9)),
    17: (("chin", 5, 0, 0.0, -1.0, 12, 10), ("lip_lower", 6, 0, 0.0, -0.6, 11, 6)),
    20: (("corner", 0, 0, 1.0, 0.15, 14, 11), ("corner", 14, 4, 0.5, 0.1, 11, 12)),
    23: (("corner", -2, 0, -0.7, 0.0, 10, 8), ("lip_upper", 6, 2, 0.0, 0.5, 10, 5), ("lip_lower", 6, -1, 0.0, -0.5, 10, 5)),
    24: (("lip_upper", 7, 0, 0.0, 0.8, 12, 6), ("lip_lower", 7, 1, 0.0, -0.8, 12, 6), ("corner", 0, 0, -0.15, 0.0, 9, 8)),
    25: (("lip_lower", 7, 2, 0.0, 1.0, 12, 7), ("lip_upper", 6, 0, 0.0, -0.3, 11, 5)),
}

ACTION_UNITS: tuple[int, ...] = tuple(_BUMPS)

EMOTIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "happiness": (("12",), ("12",), ("6", "12"), ("6", "12"), ("12", "25"), ("6", "12", "25"), ("L12",), ("R12",)),
    "surprise": (("1", "2"), ("1", "2"), ("1", "2", "5"), ("1", "2", "25"), ("1", "2", "5", "25")),
    "disgust": (("4", "9"), ("4", "10"), ("4", "7"), ("4", "7", "9"), ("9", "10"), ("4", "7", "10"), ("10",), ("9",)),
    "anger": (("4",), ("4", "7"), ("4", "7", "23"), ("4", "7", "24"), ("4", "5", "7"), ("4", "17", "24")),
    "contempt": (("L14",), ("R14",), ("L14", "17"), ("R14", "17")),
    "sadness": (("1", "4"), ("1", "4", "15"), ("15",), ("15", "17"), ("1", "4", "17")),
    "fear": (("1", "2", "4", "20"), ("1", "2", "4", "5"), ("1", "2", "4", "5", "20"), ("4", "20", "25"), ("1", "4", "20")),
    "repression": (("14",), ("15",), ("17",), ("15", "17"), ("14", "17"), ("24",), ("14", "24"), ("17", "23")),
    "others": (("1",), ("2",), ("5",), ("25",), ("1", "5"), ("2", "5"), ("5", "25"), ("1", "25")),
}
"""Emotion to alternatives, each a set of action units in FACS spelling: ``L14`` is on the person's left side only."""

CLASS_OF: Mapping[str, str] = {
    "happiness": "positive",
    "surprise": "surprise",
    **dict.fromkeys(("disgust", "anger", "contempt", "sadness", "fear", "repression"), "negative"),
}
"""Emotion to class of ``megc3``; ``others`` has none."""

_NEGATIVE = frozenset({4, 9, 10, 14, 15, 17, 20, 23, 24})


def number(unit: str) -> tuple[int, str]:
    """Return an action unit's number and side (``L``, ``R`` or nothing) from its FACS spelling.

    Raises:
        ValueError: no spelling, or a unit that has no field.
    """
    found = re.fullmatch(r"([LR]?)(\d+)", unit)
    if found is None or int(found[2]) not in _BUMPS:
        raise ValueError(
            f"'{unit}' is no action unit that can be shown; there are {', '.join(map(str, ACTION_UNITS))}, each with L or R before it"
        )
    return int(found[2]), found[1]


def class_of(action_units: Iterable[int]) -> str | None:
    """Return the class that a set of action units shows: it decides alone, nothing else in a clip does."""
    units = set(action_units)
    if units & _NEGATIVE:
        return "negative"
    if units & {6, 12}:
        return "positive"
    return "surprise" if {1, 2} <= units else None


def field(actor: Person, units: Mapping[str, float], gains: tuple[float, float], x: Floats, y: Floats) -> Floats:
    """Return how far points move, (2, h, w), units, at intensity 1 of the whole.

    Args:
        actor: each person moves in a way of its own: places, directions, extents and strengths differ.
        units: intensity by action unit in FACS spelling; an intensity of 1 moves the skin by about 1 unit.
        gains: strength of the right and of the left side.
        x: (1, w), units. y: (h, 1), units.
    """
    total = np.zeros((2, y.shape[0], x.shape[1]), np.float32)
    for unit, intensity in units.items():
        au, only = number(unit)
        style = generator(actor.key, "muscle", au)
        strength = float(np.exp(0.15 * style.standard_normal()))
        turn = 0.17 * style.standard_normal()
        extent = float(np.exp(0.1 * style.standard_normal()))
        jitter = style.normal(0, 1.3, 2)
        for side, letter, gain in ((-1, "R", gains[0]), (1, "L", gains[1])):
            if only and only != letter:
                continue
            for place, dx, dy, ox, oy, wide, high in _BUMPS[au]:
                at = _places(actor, side)[place] + (side * (dx + jitter[0]), dy + jitter[1])
                across = np.exp(-0.5 * ((x - at[0]) / (wide * extent)) ** 2)
                down = np.exp(-0.5 * ((y - at[1]) / (high * extent)) ** 2)
                shape = (intensity * strength * gain) * across * down
                total[0] += side * (ox * np.cos(turn) - oy * np.sin(turn)) * shape
                total[1] += (ox * np.sin(turn) + oy * np.cos(turn)) * shape
    return total


def _places(actor: Person, side: int) -> dict[str, NDArray[np.float64]]:
    """Return the named places of one side of the face (-1: the person's right, at x < 0), units."""
    p = landmarks(actor).astype(np.float64)
    right = side < 0
    brow = p[17:22] if right else p[26:21:-1]
    eye = p[[36, 37, 38, 39, 40, 41]] if right else p[[45, 44, 43, 42, 47, 46]]
    corner = p[48] if right else p[54]
    wing = p[31] if right else p[35]
    upper, lower = p[51], p[57]
    return {
        "brow_inner": brow[4],
        "brow_middle": brow[2],
        "brow_outer": brow[1],
        "lid_upper": eye[1:3].mean(0),
        "lid_lower": eye[4:6].mean(0),
        "eye_outer": eye[0],
        "nose_root": p[27],
        "nose_side": np.array([side * 10.0, 0.5 * (p[28, 1] + p[29, 1])]),
        "wing": wing,
        "fold": (wing + corner) / 2 + (side * 6.0, -2.0),
        "corner": corner,
        "cheek": np.array([side * 46.0, 0.55 * corner[1]]),
        "lip_upper": upper,
        "lip_lower": lower,
        "chin": (lower + p[8]) / 2,
    }
