"""Skin: its colour, its blotches, pores, freckles, wrinkles and stubble."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic.anatomy import Floats, Person, generator, landmarks
from merbench.data.synthetic.canvas import Canvas, by, curve

_TONES = np.array([[238, 203, 184], [226, 184, 156], [201, 152, 118], [156, 108, 78], [98, 66, 48]], dtype=np.float32)
"""From pale to dark, red green blue."""


def linear(colour: NDArray[np.floating] | tuple[float, float, float]) -> Floats:
    """Return light, 0 to 1, for display values 0 to 255."""
    return ((np.asarray(colour, dtype=np.float32) / 255) ** 2.2).astype(np.float32)


def tone(actor: Person) -> Floats:
    """Return the skin's colour, (3,) red green blue, linear."""
    place = actor.skin * (len(_TONES) - 1)
    mixed = np.array([np.interp(place, np.arange(len(_TONES)), _TONES[:, c]) for c in range(3)])
    mixed += (actor.warmth - 0.5) * np.array([6.0, -2.0, -14.0])
    return linear(np.clip(mixed, 0, 255))


def complexion(actor: Person, sheet: Canvas) -> Floats:
    """Return the skin's colour over the sheet, (h, w, 3), linear, without light."""
    rng = generator(actor.key, "skin")
    p = landmarks(actor)
    base = np.broadcast_to(tone(actor), (sheet.height, sheet.width, 3)).copy()
    red = 0.5 * sum(sheet.bump((side * 46.0, 38.0), 17, 14) for side in (-1, 1))
    red = (
        red
        + 0.6 * sheet.bump((p[30, 0], p[30, 1]), 9, 8)
        + 0.3 * sheet.bump((p[8, 0], p[8, 1] - 12), 16, 8)
        - 0.15 * sheet.bump((0, -50), 40, 18)
    )
    red = red + 0.20 * actor.blotch * sheet.noise(rng, 16) + 0.09 * actor.blotch * sheet.noise(rng, 6)
    base *= 1 + red[..., None] * np.array([0.03, -0.16, -0.17], dtype=np.float32) * (1 - 0.5 * actor.skin)
    under = (sheet.bump((-33.0, 13.0), 12, 5) + sheet.bump((33.0, 13.0), 12, 5)) * np.float32(0.3 + 0.7 * actor.age)
    base *= 1 - under[..., None] * np.array([0.16, 0.2, 0.14], dtype=np.float32)
    grain = 0.022 * sheet.noise(rng, 9) + 0.020 * sheet.noise(rng, 3.6) + 0.024 * sheet.noise(rng, 1.7) + 0.024 * sheet.noise(rng, 0.9)
    base *= np.clip(1 + (0.7 + 0.6 * actor.age) * grain, 0.6, 1.4)[..., None]
    base *= 1 - (_spots(actor, sheet, rng) + _wrinkles(actor, sheet, rng))[..., None] * np.array([0.55, 0.75, 0.85], dtype=np.float32)
    return _stubbled(actor, sheet, rng, base)


def _spots(actor: Person, sheet: Canvas, rng: np.random.Generator) -> Floats:
    """Freckles across nose and cheeks, and a few moles anywhere."""
    cover = np.zeros((sheet.height, sheet.width), np.float32)
    places = [
        (rng.normal(0, 38), rng.normal(25, 16), rng.uniform(0.5, 1.0), rng.uniform(0.1, 0.32)) for _ in range(int(220 * actor.freckles))
    ]
    places += [
        (rng.uniform(-68, 68), rng.uniform(-60, 110), rng.uniform(0.8, 1.5), rng.uniform(0.35, 0.8))
        for _ in range(int(rng.integers(3, 11)))
    ]
    places += [(rng.uniform(-68, 68), rng.uniform(-60, 110), rng.uniform(0.7, 2.2), rng.uniform(0.05, 0.16)) for _ in range(70)]
    for x, y, size, dark in places:
        left, right = (round((x + d * 4 * size - sheet.left) * sheet.scale) for d in (-1, 1))
        top, bottom = (round((y + d * 4 * size - sheet.top) * sheet.scale) for d in (-1, 1))
        rows, columns = slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
        away = ((sheet.x[:, columns] - x) ** 2 + (sheet.y[rows] - y) ** 2) / (2 * size**2)
        cover[rows, columns] += dark * np.exp(-(away**1.5))
    return np.clip(cover, 0, 1)


def _wrinkles(actor: Person, sheet: Canvas, rng: np.random.Generator) -> Floats:
    """Fine lines of the forehead, between the brows, beside the eyes, and from the nose to the mouth."""
    cover = np.zeros((sheet.height, sheet.width), np.float32)
    p = landmarks(actor)
    brow = float(p[17:27, 1].mean())
    for k in range(1, 4):
        x = np.linspace(-40, 40, 7) + rng.normal(0, 2, 7)
        y = brow - 2 - 10 * k + rng.normal(0, 1.0, 7) - 2.5 * np.cos(x / 22)
        cover += actor.age * rng.uniform(0.05, 0.22) * sheet.stroked(curve(np.stack([x, y], 1)), 0.7, 0.6)
    for side, wing, corner, eye in ((-1, p[31] - (2.4, 2.6), p[48], p[36]), (1, p[35] - (-2.4, 2.6), p[54], p[45])):
        fold = [wing + by(side * 3.5, -5), wing + by(side * 9, 6), (wing + corner) / 2 + by(side * 9, 4), corner + by(side * 6.5, -2)]
        cover += (0.10 + 0.25 * actor.age) * sheet.stroked(curve(np.array(fold)), 0.9, 1.1)
        for k in range(4):
            start = eye + by(side * 5, -5 + 3.5 * k)
            end = start + by(side * rng.uniform(6, 13), (k - 1.5) * rng.uniform(1.5, 3.5))
            cover += actor.age * rng.uniform(0.08, 0.3) * sheet.stroked(np.array([start, end]), 0.6, 0.5)
        bag = [eye + by(-side * 2, 7), eye + by(-side * 10, 12), eye + by(-side * 20, 13), eye + by(-side * 27, 9)]
        cover += (0.08 + 0.2 * actor.age) * sheet.stroked(curve(np.array(bag)), 0.8, 0.9)
        frown = np.array([[side * 5.5, brow + 9], [side * 4.5, brow - 2]])
        cover += actor.age * rng.uniform(0.05, 0.25) * sheet.stroked(frown, 0.8, 0.7)
    return np.clip(cover, 0, 0.6)


def _stubbled(actor: Person, sheet: Canvas, rng: np.random.Generator, skin: Floats) -> Floats:
    """Darken and grain the beard's place."""
    dots = np.clip(rng.standard_normal((sheet.height, sheet.width), dtype=np.float32), 0, 2)
    if actor.stubble <= 0.05:
        return skin
    p = landmarks(actor)
    mouth = float(p[62, 1])
    low = 1 / (1 + np.exp(-(sheet.y - (mouth - 14) - 0.010 * (np.abs(sheet.x) - 40) * 40) / 5))
    cheek = sum(sheet.bump((side * 40.0, mouth - 26), 20, 17) for side in (-1, 1))
    where = np.clip(low - 1.2 * cheek, 0, 1)
    amount = actor.stubble * where * (0.35 + 0.35 * sheet.blurred(dots, 0.35))
    taken = np.clip(amount, 0, 0.75)[..., None] * np.array([0.75, 0.68, 0.6], dtype=np.float32)
    return np.asarray(skin * (1 - taken), dtype=np.float32)
