"""When it moves: the course of an expression from onset over apex to offset, the drift of the head, blinks and flicker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from merbench.data.synthetic.anatomy import Person, generator
from merbench.data.synthetic.muscles import EMOTIONS

PEAK = (0.5, 3.0)
"""Longest motion of a micro-expression at its apex, pixels of the canonical 224-pixel face."""
MACRO, MACRO_LONGEST = 4.0, 7.0
"""How many times stronger a macro-expression is, up to a longest motion at which the skin does not yet fold over."""


LAMP = (0.015, 0.015, 0.01)
"""How far the light swings: its gain, its slope from the middle to the side, and from the middle to the top."""


@dataclass(frozen=True)
class Performance:
    """One clip as it is acted. Whatever else is random in it, down to the sensor's noise, follows from its key.

    Attributes:
        key: of the clip.
        emotion: one of `muscles.EMOTIONS`.
        action_units: relative intensity by action unit in FACS spelling, ``L14`` on the person's left side only.
        peak: longest motion of the skin at the apex, units.
        gains: strength of the person's right and left side.
        length: frames; 0 is the onset, a neutral face, and ``length - 1`` the offset.
        apex: index of the frame with the strongest expression.
        rise, fall: how suddenly it comes and goes.
        left_over: share of the expression that is still there at the offset.
        blink: index at which the eyes are shut, where they blink.
    """

    key: int
    emotion: str
    action_units: Mapping[str, float]
    peak: float
    gains: tuple[float, float]
    length: int
    apex: int
    rise: float
    fall: float
    left_over: float
    blink: int | None


@dataclass(frozen=True)
class Pose:
    """Where the head is: shift in units, roll, yaw and pitch in radians, scale as a factor."""

    x: float
    y: float
    roll: float
    yaw: float
    pitch: float
    scale: float


def perform(key: int, emotion: str, actor: Person, length: int, apex: int, macro: bool = False) -> Performance:
    """Return how a person acts an emotion in one clip.

    Args:
        key: of the clip, signed 64-bit.
        emotion: one of `muscles.EMOTIONS`.
        actor: some people show more than others.
        length: frames, onset and offset included.
        apex: index of the strongest frame. Where it is 0 (sheets with apex = onset) the peak is in the middle.
        macro: a visible expression, several times stronger.

    Raises:
        ValueError: an unknown emotion, or an apex outside the clip.
    """
    if emotion not in EMOTIONS:
        raise ValueError(f"there is no emotion '{emotion}'; there are {', '.join(EMOTIONS)}")
    if not 0 <= apex < length:
        raise ValueError(f"an apex at {apex} lies outside a clip of {length} frames")
    rng = generator(key, "performance")
    alternatives = EMOTIONS[emotion]
    units = alternatives[int(rng.integers(len(alternatives)))]
    intensities = {unit: float(rng.uniform(0.6, 1.0)) for unit in units}
    expressive = float(generator(actor.key, "expressive").normal(0, 0.2))
    peak = float(np.clip(0.67 * np.exp(expressive + 0.33 * rng.standard_normal()), *PEAK))
    uneven = float(np.clip(0.12 * rng.standard_normal(), -0.3, 0.3))
    rise, fall, left_over = rng.uniform(0.8, 1.6), rng.uniform(0.7, 1.5), rng.uniform(0.0, 0.25)
    apex = apex or length // 2
    return Performance(
        key=key,
        emotion=emotion,
        action_units=intensities,
        peak=min(MACRO * peak, MACRO_LONGEST) if macro else peak,
        gains=(1 - uneven, 1 + uneven),
        length=length,
        apex=apex,
        rise=float(rise),
        fall=float(fall),
        left_over=float(left_over),
        blink=_blink(rng, length, apex),
    )


def _blink(rng: np.random.Generator, length: int, apex: int, chance: float = 0.3, clear: int = 7) -> int | None:
    """Place a blink where it leaves onset and apex free, so that their true displacement is what is seen."""
    free = [i for i in range(clear, length) if abs(i - apex) >= clear]
    wanted, place = rng.random() < chance, rng.random()
    return free[int(place * len(free))] if wanted and free else None


def strength(performance: Performance, index: int) -> float:
    """Return the share of the peak at a frame, in [0, 1]: 0 at the onset and before, 1 at the apex."""
    if index <= 0:
        return 0.0
    if index <= performance.apex:
        return float(np.sin(0.5 * np.pi * (index / performance.apex) ** performance.rise) ** 2)
    gone = min(1.0, (index - performance.apex) / max(1, performance.length - 1 - performance.apex))
    return float(1 - (1 - performance.left_over) * np.sin(0.5 * np.pi * gone**performance.fall) ** 2)


def shut(performance: Performance, index: int) -> float:
    """Return how far the eyes are shut, in [0, 1]; a blink takes 11 frames."""
    if performance.blink is None:
        return 0.0
    away = abs(index - performance.blink) / 6
    return float(np.cos(0.5 * np.pi * away) ** 2) if away < 1 else 0.0


def seat(performance: Performance) -> Pose:
    """Return how the head is held at the onset, relative to a face straight in the middle."""
    rng = generator(performance.key, "seat")
    x, y, roll, scale = rng.uniform(-1, 1, 4)
    return Pose(x=9 * x, y=6 * y, roll=0.04 * roll, yaw=0.0, pitch=0.0, scale=1 + 0.04 * scale)


def drift(performance: Performance, index: int) -> Pose:
    """Return how the head has moved since the onset: slow waves, up to about 1.5 units and 0.5 degrees."""
    rng = generator(performance.key, "drift")
    reach = rng.uniform(0.2, 1.0)
    speed, phase = rng.uniform(0.4, 1.3, (6, 2)), rng.uniform(0, 2 * np.pi, (6, 2))
    at = index / max(12, performance.length)
    now, then = np.sin(2 * np.pi * speed * at + phase).sum(1), np.sin(phase).sum(1)
    x, y, roll, yaw, pitch, scale = reach * (now - then) * (0.45, 0.45, 0.0016, 0.0035, 0.0035, 0.0011)
    return Pose(x=x, y=y, roll=roll, yaw=yaw, pitch=pitch, scale=1 + scale)


def flicker(performance: Performance, index: int) -> tuple[float, float, float]:
    """Return the lamp's gain at a frame and its slope across and down the image, about 1, 0 and 0."""
    steady = generator(performance.key, "lamp")
    rng = generator(performance.key, "flicker", index)
    speed, phase = steady.uniform(0.2, 0.9, 3), steady.uniform(0, 2 * np.pi, 3)
    slow, fast = np.array(LAMP) * np.sin(speed * index + phase), rng.standard_normal(3) * 0.4 * np.array(LAMP)
    gain, across, down = (slow + fast).tolist()
    return 1 + gain, across, down
