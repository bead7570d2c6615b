"""What surrounds the face: hair, ears, neck, clothes and the wall behind."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic.anatomy import Floats, Person, generator, landmarks
from merbench.data.synthetic.canvas import SHIFT, Canvas, by, coverage, curve
from merbench.data.synthetic.features import hair_colour, mix
from merbench.data.synthetic.relief import outline
from merbench.data.synthetic.skin import linear, tone


def behind(actor: Person, sheet: Canvas) -> Floats:
    """Return the sheet with everything that lies behind the face, (h, w, 3), linear."""
    rng = generator(actor.key, "behind")
    wall = np.array([actor.backdrop] * 3) * rng.uniform(0.94, 1.06, 3)
    image = np.broadcast_to(linear(255 * np.clip(wall, 0, 1)), (sheet.height, sheet.width, 3)).copy()
    slope = rng.normal(0, 0.0006, 2)
    image *= np.clip(1 + slope[0] * sheet.x + slope[1] * sheet.y, 0.4, 1.6)[..., None]
    p = landmarks(actor).astype(np.float64)
    half = p[16, 0]
    if actor.hair in ("bob", "long"):
        low = 95.0 if actor.hair == "bob" else 230.0
        wide = half * (1.22 if actor.hair == "bob" else 1.26)
        right = np.array([[-0.6 * half, -95], [-wide, -45], [-wide * 1.02, 20], [-wide * 1.02, low * 0.7], [-0.95 * half, low]])
        mass = np.concatenate([right, right[::-1] * (-1, 1)])
        _hairy(actor, sheet, image, curve(mass, closed=True), "down", 0.65, 1500)
    _body(actor, sheet, image, rng, half, float(p[8, 1]))
    _ears(actor, sheet, image, half)
    return image


def _body(actor: Person, sheet: Canvas, image: Floats, rng: np.random.Generator, half: float, chin: float) -> None:
    """Neck and clothes."""
    neck = 0.66 * half
    column = np.array(
        [
            [-neck, 50],
            [-neck, chin + 22],
            [-neck * 1.5, chin + 60],
            [-neck * 1.6, 330],
            [neck * 1.6, 330],
            [neck * 1.5, chin + 60],
            [neck, chin + 22],
            [neck, 50],
        ]
    )
    shade = 0.72 * np.clip(1 - 0.55 * (np.abs(sheet.x) / neck) ** 3, 0.25, 1) * (0.5 + 0.5 / (1 + np.exp(-(sheet.y - chin - 13) / 6)))
    texture = 1 + 0.03 * sheet.noise(rng, 3) + 0.02 * sheet.noise(rng, 1.2)
    mix(image, sheet.filled(column, 0.6), tone(actor)[None, None] * (shade * texture)[..., None])
    drop = rng.uniform(22, 46)
    right = np.array(
        [[-neck * 0.9, chin + 20], [-neck * 1.35, chin + 26], [-1.9 * half, chin + 60], [-2.5 * half, chin + 110], [-2.7 * half, 420]]
    )
    collar = np.array([[-0.55 * neck, chin + 20 + 0.7 * drop], [0, chin + 20 + drop], [0.55 * neck, chin + 20 + 0.7 * drop]])
    cloth = np.concatenate([right[::-1], collar, right * (-1, 1)])
    colour = linear(255 * np.array(colorsys.hsv_to_rgb(actor.cloth_hue, rng.uniform(0.0, 0.5), actor.cloth_value)))
    folds = 1 + 0.08 * sheet.noise(rng, 30) + 0.03 * sheet.noise(rng, 8) + 0.05 * sheet.noise(rng, 1.0)
    mix(image, sheet.filled(cloth, 0.5), colour[None, None] * np.clip(folds, 0.4, 1.6)[..., None])
    image *= (1 - 0.3 * sheet.stroked(collar, 2.0, 1.5))[..., None]


def _ears(actor: Person, sheet: Canvas, image: Floats, half: float) -> None:
    if actor.hair in ("bob", "long"):
        return
    for side in (-1, 1):
        ear = np.array(
            [[half - 6, -8], [half + 4, -14], [half + 11, -8], [half + 11, 6], [half + 7, 20], [half + 3, 31], [half - 5, 30]]
        ) * (side, 1)
        toward = 1 + 0.25 * side * np.sin(actor.light_side)
        colour = tone(actor) * (0.66, 0.56, 0.54) * toward
        mix(image, sheet.filled(curve(ear, closed=True), 0.6), colour)
        groove = np.array([[half + 2, 22], [half + 7, 8], [half + 7, -5], [half + 2, -8]]) * (side, 1)
        mix(image, 0.4 * sheet.stroked(curve(groove), 2.0, 1.3), colour * 0.4)


def in_front(actor: Person, sheet: Canvas, image: Floats) -> None:
    """Paint the hair that lies over skull and forehead."""
    p = landmarks(actor).astype(np.float64)
    half, top = p[16, 0], -101 * actor.skull
    line = -60.0 * actor.skull + actor.hairline
    long = actor.hair in ("bob", "long")
    rise = {"crop": 6.0, "side": 11.0, "fringe": 11.0, "bob": 11.0, "long": 11.0, "bald": 0.5, "tied": 4.0}[actor.hair]
    if actor.hair == "bald":
        rng = generator(actor.key, "bald")
        scalp = np.clip(1 / (1 + np.exp((sheet.y + 62 - 0.4 * (np.abs(sheet.x) - 40)) / 6)), 0, 1)
        scalp = scalp * sheet.filled(outline(actor), 1.0)
        image *= (1 - 0.22 * scalp * (1 + 0.3 * sheet.noise(rng, 0.8)))[..., None].clip(0, 1)
        return
    wide = half * (1.2 if long else 1.07 if actor.hair != "tied" else 1.03)
    low = {"bob": 84.0, "long": 120.0}.get(actor.hair, 4.0)
    dome = np.linspace(0, 1, 9)[:, None] * np.pi / 2
    arc = np.concatenate([wide * np.cos(dome) ** 0.8, -22 + (top - rise + 22) * np.sin(dome) ** 0.95], axis=1)
    outer = [[wide, low], *arc.tolist()]
    temple = half * 0.93
    if actor.hair == "fringe":
        line = -33.0 + 0.3 * actor.hairline - 0.5 * actor.brow_lift
        inner = [[0, line], [temple * 0.5, line + 1], [temple * 0.88, line + 5]]
    elif long:
        part = 16 * actor.parting
        inner = [[part, line - 14], [temple * 0.55 + part * 0.4, line + 2], [temple * 0.9, line + 26]]
    else:
        inner = [[0, line], [temple * 0.5, line + 1], [temple * 0.80, line + 9]]
    inner += [[temple * 0.97, -18], [half * 0.985, low]]
    right_outer, right_inner = np.array(outer), np.array(inner)
    ring = np.concatenate(
        [right_outer, right_outer[-2::-1] * (-1, 1), right_inner[::-1] * (-1, 1), right_inner[1:] if inner[0][0] == 0 else right_inner]
    )
    flow = {"crop": "up", "side": "side", "fringe": "down", "bob": "down", "long": "down", "tied": "back"}[actor.hair]
    if long:
        shadow = sheet.filled(curve(ring, closed=True), 5.0)
        image *= (1 - 0.4 * shadow)[..., None]
    else:
        image *= (1 - 0.3 * sheet.filled(curve(ring, closed=True) + by(0, 2.5), 2.5))[..., None]
    edge = curve(ring, closed=True)
    ragged = generator(actor.key, "hairline").normal(0, 0.5, (len(edge), 2)) * (0.6, 1.6)
    _hairy(actor, sheet, image, edge + ragged, flow, 1.0, 3600)


def _hairy(actor: Person, sheet: Canvas, image: Floats, area: NDArray[np.float64], flow: str, bright: float, hairs: int) -> None:
    """Fill an area with hair: a dark ground and strands of changing brightness that run the way ``flow`` says."""
    rng = generator(actor.key, "hair", flow, hairs)
    cover = sheet.filled(area, 0.9)
    colour = hair_colour(actor) * bright
    mix(image, cover, colour * 0.55)
    inside = np.zeros((sheet.height, sheet.width), np.uint8)
    cv2.fillPoly(inside, [sheet.texels(area)], 255, cv2.LINE_8, SHIFT)
    rows, columns = np.nonzero(inside)
    if rows.size == 0:
        return
    strands = np.full((sheet.height, sheet.width), 0, np.uint8)
    picked = rng.integers(0, rows.size, hairs)
    starts = np.stack([sheet.left + columns[picked] / sheet.scale, sheet.top + rows[picked] / sheet.scale], axis=1)
    crown = np.array([45.0 * actor.parting if flow in ("side", "down") else 0.0, -112.0 * actor.skull])
    away = starts - crown
    away /= np.linalg.norm(away, axis=1, keepdims=True) + 1e-6
    if flow == "up":
        step = away * (0.8, -0.5) + (0.0, -0.7)
    elif flow == "side":
        step = away * (1.0, 0.35) + (np.sign(away[:, :1]) * 0.5) * (1, 0)
    elif flow == "back":
        step = -away
    else:
        step = away * (0.7, 0.4) + (0.0, 0.6)
    step = step / (np.linalg.norm(step, axis=1, keepdims=True) + 1e-6) + rng.normal(0, 0.12, step.shape)
    lengths = rng.uniform(4, 9, hairs) if flow == "up" else rng.uniform(9, 24, hairs)
    tones = np.clip(rng.normal(120, 55, hairs) + 50 * np.sin(starts[:, 0] * 0.35 + 3 * rng.random()), 10, 255).astype(int)
    t = np.linspace(0, 1, 5)[:, None]
    for start, way, length, value in zip(starts, step, lengths, tones, strict=True):
        bend = np.array([-way[1], way[0]]) * rng.normal(0, 0.10)
        path = start + length * (t * way + t**2 * (bend + by(0, 0.12)))
        cv2.polylines(strands, [sheet.texels(path)], False, int(value), 1, cv2.LINE_AA, SHIFT)
    gloss = sheet.bump((18 * np.sin(actor.light_side) * 3, -82 * actor.skull), 60, 14)
    lit = coverage(strands)
    ragged = np.clip(sheet.blurred(coverage(inside), 1.6), 0, 1)
    tint = colour * (0.55 + 1.15 * lit[..., None]) + (0.05 + 0.12 * colour.mean()) * (gloss * lit)[..., None]
    mix(image, np.clip(lit * 1.6, 0, 1) * np.clip(ragged * 2.2, 0, 1), tint)
