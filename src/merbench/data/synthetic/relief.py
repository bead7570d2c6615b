"""The shape of the head as a height over the sheet, and the light that falls on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic.anatomy import Floats, Person, landmarks
from merbench.data.synthetic.canvas import Canvas, curve


def outline(actor: Person) -> NDArray[np.float64]:
    """Return the closed outline of the face from jaw to skull, (n, 2), units."""
    p = landmarks(actor).astype(np.float64)
    angle = np.linspace(0, np.pi, 13)[1:-1]
    middle, half = (p[0] + p[16]) / 2, (p[16, 0] - p[0, 0]) / 2
    top = np.stack([middle[0] + half * 1.0 * np.cos(angle), middle[1] - 103 * actor.skull * np.sin(angle) ** 0.85], axis=1)
    return curve(np.concatenate([p[:17], top]), closed=True)


def relief(actor: Person, sheet: Canvas) -> Floats:
    """Return the height of the face towards the camera, (h, w), units."""
    p = landmarks(actor)
    z = _dome(actor, sheet)

    def add(height: float, at: tuple[float, float], wide: float, high: float, turn: float = 0.0) -> None:
        nonlocal z
        z += height * sheet.bump(at, wide, high, turn)

    for side, eye, brow, wing, corner in (
        (-1, p[36:42], p[17:22], p[31] - (2.4, 2.6), p[48]),
        (1, p[42:48], p[22:27], p[35] - (-2.4, 2.6), p[54]),
    ):
        at = eye.mean(0)
        add(-5.5, (at[0] - side * 4, at[1] - 3), 17, 10)
        add(-4.0, (at[0] - side * 15, at[1] - 2), 7, 9)
        add(4.2, (at[0], at[1] - 0.5), 11.5, 7.5)
        add(2.6, (brow[:, 0].mean(), brow[:, 1].mean() + 1), 20, 6)
        add(4.0, (side * 47 * actor.width, 33), 17, 13, side * 0.5)
        add(-1.6 - 1.2 * actor.age, (at[0] - side * 4, at[1] + 13.5), 11, 3.0, side * 0.25)
        add(1.2 + 0.8 * actor.age, (at[0] - side * 2, at[1] + 9), 11, 3)
        add(6.5 * actor.nose_height, (wing[0] + side * 0.5, wing[1] - 5), 5.0, 5.5)
        fold = (wing + corner) / 2 + (side * 7, -3)
        add(-1.0 - 1.5 * actor.age, (fold[0], fold[1]), 2.6, 13, side * -0.45)
        add(1.5 + actor.age, (fold[0] + side * 7, fold[1] - 3), 7, 14, side * -0.4)
        add(-1.5, (corner[0] + side * 2, corner[1]), 3.5, 4)
        add(-4.0, (side * 68 * actor.width, 68), 14, 22, side * -0.5)
    bridge, tip, base = p[27], p[30], p[33]
    for share, height, wide in ((0.0, 5.0, 7.0), (0.35, 8.0, 6.0), (0.7, 11.0, 6.5), (1.0, 12.5, 7.5)):
        add(height * actor.nose_height, (tip[0], bridge[1] + share * (tip[1] - bridge[1])), wide, 8.5)
    add(5.0 * actor.nose_height, (tip[0], tip[1] + 1), 6.5, 6)
    add(-4.5, (base[0], base[1] + 5), 9, 4)
    upper, lower, line = p[51], p[57], p[[62, 66]].mean(0)
    add(-1.6, (base[0], (base[1] + upper[1]) / 2 + 1), 2.2, 5)
    add(7.5, (line[0], line[1]), 23, 15)
    thick = float(np.clip(line[1] - upper[1], 3, None)), float(np.clip(lower[1] - line[1], 4, None))
    add(2.6, (line[0], line[1] - 0.55 * thick[0]), 13, 0.42 * thick[0])
    add(3.4, (line[0], line[1] + 0.50 * thick[1]), 12, 0.36 * thick[1])
    add(-2.2, (line[0], line[1] + 0.2), 17, 1.3)
    add(-3.0, (lower[0], lower[1] + 5.5), 13, 4)
    add(7.0, (p[8, 0], (lower[1] + p[8, 1]) / 2 + 4), 14, 10)
    add(2.0, (0, -52), 30, 18)
    return z


def _dome(actor: Person, sheet: Canvas) -> Floats:
    """Return the egg that the features stand on."""
    p = landmarks(actor)
    half = (p[16, 0] - p[0, 0]) / 2
    chin = p[8, 1]
    high = np.where(sheet.y < 10, 118 * actor.skull, (chin - 10) * 1.18)
    edge = 1 - (np.abs(sheet.x) / (half * 1.06)) ** 2.05 - (np.abs(sheet.y - 10) / high) ** 2.2
    return np.asarray(76 * np.sqrt(np.clip(edge, 0.0, None)), dtype=np.float32)


def light(actor: Person, sheet: Canvas, z: Floats) -> tuple[Floats, Floats]:
    """Return the light that a surface of height ``z`` throws back: diffuse about 1, and the shine on it, both (h, w)."""
    dx, dy = np.gradient(z, axis=1) * sheet.scale, np.gradient(z, axis=0) * sheet.scale
    length = 1 / np.sqrt(dx**2 + dy**2 + 1)
    side, up = np.sin(actor.light_side), actor.light_height
    lamp = np.array([side, -up, 1.0]) / np.sqrt(side**2 + up**2 + 1)
    facing = (-dx * lamp[0] - dy * lamp[1] + lamp[2]) * length
    wrapped = np.clip((facing + 0.25) / 1.25, 0, None) ** 1.15
    hollow = np.clip((z - sheet.blurred(z, 7.0)) * 0.045, -0.35, 0.15) + np.clip((z - sheet.blurred(z, 2.0)) * 0.05, -0.25, 0.1)
    diffuse = (1 - actor.light_hard) * (0.55 + 0.45 * length) + actor.light_hard * 1.15 * wrapped
    half = lamp + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    glint = np.clip((-dx * half[0] - dy * half[1] + half[2]) * length, 0, 1)
    shine = 0.6 * glint**14 + 0.8 * glint**50
    return (diffuse * (1 + hollow)).astype(np.float32), (shine * actor.light_hard).astype(np.float32)
