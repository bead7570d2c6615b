"""Eyes, brows, lips and nostrils: what stands out from the skin."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic.anatomy import Floats, Person, generator, landmarks
from merbench.data.synthetic.canvas import SHIFT, Canvas, by, coverage, curve
from merbench.data.synthetic.skin import linear, tone

_IRIS = np.array([[52, 30, 18], [92, 66, 36], [104, 124, 134]], dtype=np.float32)


def lids(actor: Person, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges of the upper and of the lower lid of one eye, left to right, (n, 2) each, units."""
    p = landmarks(actor)
    eye = (p[36:42] if side < 0 else p[42:48]).astype(np.float64)
    eye[0 if side < 0 else 3] += (side * 2.0, 0.0)  # the outer point lies a little within the corner
    return curve(eye[:4]), curve(eye[[0, 5, 4, 3]])


def mix(image: Floats, cover: Floats, colour: NDArray[np.floating] | Floats) -> None:
    """Paint a colour, (3,) or (h, w, 3), over an image (h, w, 3) in place, as far as ``cover`` (h, w) says."""
    image += cover[..., None] * (np.asarray(colour, dtype=np.float32) - image)


def eyes(actor: Person, sheet: Canvas, image: Floats, shade: Floats) -> None:
    """Paint both eyes; ``shade`` is the light on the skin there."""
    rng = generator(actor.key, "eyes")
    gaze = rng.normal(0, 0.5, 2) + by(0, 0.2)
    iris_colour = linear(np.array([np.interp(actor.iris * 2, [0, 1, 2], _IRIS[:, c]) for c in range(3)]))
    for side in (-1, 1):
        upper, lower = lids(actor, side)
        inside = sheet.filled(np.concatenate([upper, lower[::-1]]), 0.25)
        centre = np.array([side * 36.0, upper[:, 1].min() * 0.5 + lower[:, 1].max() * 0.5 - 0.4]) + gaze
        away = np.sqrt((sheet.x - centre[0]) ** 2 + (sheet.y - centre[1]) ** 2)
        ball = np.broadcast_to(linear((226.0, 218.0, 212.0)), image.shape).copy()
        ball *= (1.0 - 0.35 * np.clip(np.abs(sheet.x - side * 36) / 15, 0, 1.3) ** 2)[..., None]
        inner = sheet.bump((side * 22.5, float(upper[0 if side > 0 else -1, 1])), 2.2, 2.2)
        mix(ball, 0.7 * inner, linear((190.0, 110.0, 100.0)))
        angle = np.arctan2(sheet.y - centre[1], sheet.x - centre[0])
        spokes = 1 + 0.18 * np.sin(angle * 23 + 2 * np.sin(angle * 7)) + 0.1 * np.sin(angle * 41)
        disc = _within(away, 6.7, 3.2)
        rim = 0.45 + 0.55 * _within(away, 5.4, 2.2)
        mix(ball, disc, iris_colour[None, None] * (spokes * rim * (1.0 + 0.5 * np.clip((sheet.y - centre[1]) / 6, -1, 1)))[..., None])
        mix(ball, _within(away, 2.6, 4.0), linear((10.0, 8.0, 8.0)))
        lid_shadow = sheet.stroked(upper + by(0, 0.8), 2.2, 1.3)
        ball *= (1 - 0.62 * np.clip(lid_shadow * 1.5, 0, 1))[..., None]
        ball *= (0.45 + 0.5 * sheet.blurred(shade, 6.0))[..., None]
        glint = centre + by(2.2 * (1 if actor.light_side > 0 else -1), -2.4)
        mix(ball, 0.85 * sheet.bump((float(glint[0]), float(glint[1])), 0.85, 0.85), linear((250.0, 250.0, 250.0)))
        mix(image, inside, ball)
        lash = linear((32.0, 22.0, 18.0))
        mix(image, np.clip(sheet.stroked(upper + by(0, -0.5), 1.5, 0.35) * 0.9, 0, 1), lash)
        mix(image, 0.35 * sheet.stroked(lower[2:-2] + by(0, 0.5), 0.8, 0.4), lash)
        _lashes(sheet, image, rng, upper, side, lash)
        fold = upper[2:-1] if side > 0 else upper[1:-2]
        rise = -2.0 - 3.0 * actor.crease
        mix(image, (0.35 + 0.3 * actor.age) * sheet.stroked(fold + by(side * 1.0, rise), 0.9, 0.55), tone(actor) * 0.22)


def _within(away: Floats, radius: float, sharp: float) -> Floats:
    """Return the coverage of a disc from the distances to its centre."""
    return np.asarray(1 / (1 + np.exp(np.clip((away - radius) * sharp, -30, 30))), dtype=np.float32)


def _lashes(sheet: Canvas, image: Floats, rng: np.random.Generator, upper: NDArray[np.float64], side: int, colour: Floats) -> None:
    mask = np.zeros((sheet.height, sheet.width), np.uint8)
    for start in upper[2:]:
        lean = 0.16 * (start[0] - side * 36) + rng.normal(0, 0.4)
        end = start + by(lean, -rng.uniform(1.4, 2.6))
        cv2.polylines(mask, [sheet.texels(np.array([start, end]))], False, 255, 1, cv2.LINE_AA, SHIFT)
    mix(image, 0.5 * coverage(mask), colour)


def hair_colour(actor: Person) -> Floats:
    """Return the hair's colour, (3,) red green blue, linear."""
    dark, light = np.array([26.0, 21.0, 20.0]), np.array([150.0, 112.0, 72.0])
    mixed = dark + actor.hair_shade * (light - dark) + actor.hair_warmth * actor.hair_shade * np.array([14.0, -8.0, -22.0])
    return linear(np.clip(mixed, 8, 255))


def brows(actor: Person, sheet: Canvas, image: Floats, shade: Floats) -> None:
    """Paint the eyebrows hair by hair."""
    rng = generator(actor.key, "brows")
    p = landmarks(actor).astype(np.float64)
    colour = hair_colour(actor) * 0.75 + 0.02 * tone(actor)
    for side in (-1, 1):
        line = curve(p[17:22] if side < 0 else p[26:21:-1]) + by(side * 2.0, 3.0)  # outside to inside; the points lie on the upper edge
        share = np.linspace(0, 1, len(line))
        half = actor.brow_weight * np.interp(share, [0, 0.25, 0.6, 0.92, 1.0], [1.3, 2.2, 3.0, 3.3, 2.4])
        band = np.concatenate([line - np.stack([0 * half, half], 1), (line + np.stack([0 * half, half], 1))[::-1]])
        mix(image, 0.5 * np.clip(actor.brow_weight, 0.5, 1.2) * sheet.filled(band, 0.9), colour * (0.5 + 0.5 * shade[..., None]))
        mask = np.zeros((sheet.height, sheet.width), np.uint8)
        for _ in range(int(300 * actor.brow_weight)):
            at = rng.uniform(0, len(line) - 1.001)
            k = int(at)
            across = rng.uniform(-0.95, 0.95)
            start = line[k] + (at - k) * (line[k + 1] - line[k]) + (0, across * half[k])
            along = line[min(k + 1, len(line) - 1)] - line[max(k - 1, 0)]
            along = -along / np.linalg.norm(along)  # hairs point outwards
            lift = np.interp(share[k], [0, 0.6, 1.0], [0.25 * across, -0.25 - 0.4 * across, -0.9])
            step = along * (1.0 - 0.55 * share[k]) + (0, lift)
            end = start + step / np.linalg.norm(step) * rng.uniform(2.5, 5.0)
            cv2.polylines(mask, [sheet.texels(np.array([start, end]))], False, int(rng.integers(90, 230)), 1, cv2.LINE_AA, SHIFT)
        mix(image, 0.85 * coverage(mask), colour * (0.5 + 0.5 * shade[..., None]))


def lips(actor: Person, sheet: Canvas, image: Floats, shade: Floats, shine: Floats) -> None:
    """Paint the lips and the line between them."""
    rng = generator(actor.key, "lips")
    p = landmarks(actor).astype(np.float64)
    whole = curve(p[48:60], closed=True)
    cover = sheet.filled(whole, 0.7)
    skin = tone(actor)
    natural = skin * (0.80, 0.50, 0.52)
    made_up = linear((165.0, 70.0, 75.0)) * (0.5 + 0.5 * skin[0] / 0.8)
    colour = natural + 0.55 * actor.lip_red * (made_up - natural)
    folds = 1 + 0.11 * sheet.noise(rng, 1.2) * np.ones_like(shade) + 0.07 * np.sin(sheet.x * 2.4 + 1.4 * sheet.noise(rng, 6))
    line = curve(np.concatenate([p[[48, 60, 61, 62, 63, 64, 54]]]))
    middle = float(p[62, 1])
    upper = np.clip((middle + 0.5 - sheet.y) / 2, 0, 1)
    dressed = colour[None, None] * (folds * shade * (1 - 0.28 * upper))[..., None] + 0.10 * shine[..., None]
    mix(image, 0.82 * cover, dressed)
    mix(image, 0.85 * sheet.stroked(line, 1.1, 0.45), skin * (0.10, 0.05, 0.05))
    mix(image, 0.30 * sheet.stroked(line, 2.2, 1.2), skin * (0.10, 0.05, 0.05))
    for corner in (p[48], p[54]):
        mix(image, 0.45 * sheet.bump((float(corner[0]), float(corner[1])), 1.8, 1.5), skin * 0.12)
    shadow = sheet.stroked(curve(p[[58, 57, 56]]) + by(0, 2.6), 2.0, 2.0)
    image *= (1 - 0.28 * np.clip(shadow, 0, 1))[..., None]


def nostrils(actor: Person, sheet: Canvas, image: Floats) -> None:
    """Paint the nostrils and the shade around the wings of the nose."""
    p = landmarks(actor).astype(np.float64)
    dark = tone(actor) * (0.06, 0.035, 0.03)
    for side, at, wing in ((-1, p[32], p[31] - (2.4, 2.6)), (1, p[34], p[35] - (-2.4, 2.6))):
        hole = sheet.bump((float(at[0] + side * 0.3), float(at[1] - 1.6)), 3.1, 1.35, side * 0.28)
        mix(image, np.clip(1.15 * hole, 0, 0.9), dark)
        edge = np.array([wing + by(side * 1.0, -8), wing + by(side * 3.2, -4), wing + by(side * 2.4, 0.5), wing + by(-side * 1.5, 1.4)])
        image *= (1 - 0.42 * sheet.stroked(curve(edge), 1.0, 0.8))[..., None]
    under = sheet.stroked(curve(p[[31, 32, 33, 34, 35]] - [(1.4, 2.6), (0, 0), (0, 0), (0, 0), (-1.4, 2.6)]) + by(0, 0.6), 1.2, 1.0)
    image *= (1 - 0.35 * under)[..., None]
