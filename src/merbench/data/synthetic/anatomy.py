"""Who is seen: an identity made from a key alone, and the 68 points of its neutral face.

Face units: one unit is one pixel of the canonical 224-pixel face, so the eye centres lie 72 units apart at (-36, 0) and (36, 0);
x to the right of the image, y down. Side ``L`` is the person's left, which a camera sees at x > 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from merbench.streams import key_of

Floats = NDArray[np.float32]
Hair = Literal["crop", "side", "fringe", "bob", "long", "bald", "tied"]
STYLES: tuple[Hair, ...] = ("crop", "side", "fringe", "bob", "long", "bald", "tied")

EYES = 36.0
"""Half the distance between the eye centres, units."""


@dataclass(frozen=True)
class Person:
    """An identity. Lengths are factors of the mean face or offsets in units; shades lie in [0, 1].

    Attributes:
        key: everything else, and every random detail of skin and hair, follows from it.
        width, jaw, chin, skull: of the head.
        brow_lift, brow_tilt, brow_weight: of the eyebrows.
        eye_width, eye_open, eye_tilt, crease: of the eyes.
        nose_length, nose_width, nose_height: of the nose; the last is how far it stands out.
        mouth_width, mouth_drop, lip_upper, lip_lower, lip_red: of the mouth.
        skew: how much lower one side of the face lies.
        skin, warmth, blotch, freckles, age, stubble: of the skin.
        hair, hair_shade, hair_warmth, hairline, parting: of the hair.
        iris: 0 dark brown, 0.5 hazel, 1 blue grey.
        light_side, light_height, light_hard: of the lamp.
        cloth_hue, cloth_value, backdrop: of what is around the face.
    """

    key: int
    width: float
    jaw: float
    chin: float
    skull: float
    brow_lift: float
    brow_tilt: float
    brow_weight: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    crease: float
    nose_length: float
    nose_width: float
    nose_height: float
    mouth_width: float
    mouth_drop: float
    lip_upper: float
    lip_lower: float
    lip_red: float
    skew: float
    skin: float
    warmth: float
    blotch: float
    freckles: float
    age: float
    stubble: float
    hair: Hair
    hair_shade: float
    hair_warmth: float
    hairline: float
    parting: float
    iris: float
    light_side: float
    light_height: float
    light_hard: float
    cloth_hue: float
    cloth_value: float
    backdrop: float


def generator(key: int, *purpose: str | int) -> np.random.Generator:
    """Return a generator of its own for one purpose: nothing drawn elsewhere moves what it draws."""
    return np.random.Generator(np.random.PCG64(key_of(key, *purpose) & (2**64 - 1)))


@lru_cache(maxsize=256)
def person(key: int) -> Person:
    """Return the identity of a key (signed 64-bit, from `merbench.streams.key_of`)."""
    rng = generator(key, "person")

    def near(middle: float, spread: float) -> float:
        return float(middle + spread * np.clip(rng.standard_normal(), -2, 2))

    def within(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    skin = float(rng.beta(1.3, 2.0))
    masculine = rng.random() < 0.5
    styles: tuple[Hair, ...] = (
        ("crop", "side", "crop", "side", "fringe", "bald") if masculine else ("side", "fringe", "bob", "long", "tied", "tied")
    )
    return Person(
        key=key,
        width=near(1.0, 0.04),
        jaw=near(0.03 if masculine else -0.03, 0.045),
        chin=near(1.02 if masculine else 0.99, 0.045),
        skull=near(1.0, 0.04),
        brow_lift=near(0.0, 2.0),
        brow_tilt=near(0.0, 0.05),
        brow_weight=near(1.15 if masculine else 0.8, 0.18),
        eye_width=near(1.0, 0.04),
        eye_open=near(1.05, 0.13),
        eye_tilt=near(-0.02, 0.045),
        crease=within(0.0, 1.0),
        nose_length=near(1.0, 0.06),
        nose_width=near(1.0, 0.09),
        nose_height=near(1.0, 0.13),
        mouth_width=near(1.0, 0.075),
        mouth_drop=near(0.0, 1.6),
        lip_upper=near(1.0, 0.18),
        lip_lower=near(1.0, 0.16),
        lip_red=within(0.2, 1.0) if not masculine else within(0.0, 0.5),
        skew=near(0.0, 0.006),
        skin=skin,
        warmth=near(0.5, 0.22),
        blotch=within(0.4, 1.0),
        freckles=float(rng.beta(0.6, 2.5)) * (1.0 - skin),
        age=float(rng.beta(1.2, 2.2)),
        stubble=within(0.0, 0.55) if masculine else 0.0,
        hair=styles[int(rng.integers(len(styles)))],
        hair_shade=float(rng.beta(0.9, 2.2)) * (1.0 - 0.8 * skin),
        hair_warmth=within(0.0, 1.0),
        hairline=near(0.0, 4.0),
        parting=within(-1.0, 1.0),
        iris=float(np.clip(rng.beta(0.8, 1.4) * (1.1 - 1.2 * skin), 0, 1)),
        light_side=near(0.0, 0.42),
        light_height=within(0.35, 0.8),
        light_hard=within(0.5, 0.9),
        cloth_hue=within(0.0, 1.0),
        cloth_value=within(0.08, 0.75),
        backdrop=within(0.3, 0.82),
    )


# Points 17 to 67 of the mean face that is widely used to align to dlib's points, in its unit square; the jaw is merbench's own.
_MEAN_X = (
    "0.000213 0.075262 0.181130 0.290770 0.393397 0.586856 0.689483 0.799124 0.904991 0.980040 0.490127 0.490127 0.490127 0.490127 "
    "0.366880 0.426036 0.490127 0.554217 0.613373 0.121737 0.187122 0.265825 0.334606 0.260918 0.182743 0.645647 0.714428 0.793132 "
    "0.858516 0.797510 0.719335 0.254149 0.340985 0.428858 0.490127 0.551395 0.639268 0.726104 0.642159 0.556721 0.490127 0.423532 "
    "0.338094 0.290379 0.428096 0.490127 0.552157 0.689874 0.553364 0.490127 0.426890"
)
_MEAN_Y = (
    "0.106454 0.038915 0.018748 0.034489 0.077391 0.077391 0.034489 0.018748 0.038915 0.106454 0.203352 0.307009 0.409805 0.515625 "
    "0.587326 0.609345 0.628106 0.609345 0.587326 0.216423 0.178758 0.179852 0.231733 0.245099 0.244077 0.231733 0.179852 0.178758 "
    "0.216423 0.244077 0.245099 0.780233 0.745405 0.727388 0.742578 0.727388 0.745405 0.780233 0.864805 0.902192 0.909281 0.902192 "
    "0.864805 0.784792 0.778746 0.785343 0.778746 0.784792 0.824182 0.831803 0.824182"
)
_JAW = ((-78, -1), (-77, 20), (-74, 41), (-69, 61), (-60, 80), (-47, 96), (-32, 109), (-16, 118), (0, 121))


def _mean_face() -> NDArray[np.float64]:
    inner = np.stack([np.array(_MEAN_X.split(), dtype=float), np.array(_MEAN_Y.split(), dtype=float)], axis=1)
    right, left = inner[19:25].mean(0), inner[25:31].mean(0)
    inner = (inner - (right + left) / 2) * (2 * EYES / (left[0] - right[0]))
    inner[[0, 9]] += [(2.5, -2.5), (-2.5, -2.5)]  # as dlib sees them on these faces
    inner[[1, 8]] += [(2.0, -1.5), (-2.0, -1.5)]
    inner[[4, 5]] += [(-1.0, -0.5), (1.0, -0.5)]
    inner[:5] += (2.0, -2.0)
    inner[5:10] += (-2.0, -2.0)
    inner[[14, 18]] += [(2.4, 2.6), (-2.4, 2.6)]
    jaw = np.array(_JAW, dtype=float)
    return np.concatenate([jaw, jaw[-2::-1] * (-1, 1), inner])


MEAN_FACE = _mean_face()
"""(68, 2), units."""


@lru_cache(maxsize=256)
def landmarks(actor: Person) -> Floats:
    """Return the 68 points of the neutral face, (68, 2), units, in the order of iBUG 300-W."""
    p = MEAN_FACE.copy()
    p[17:27, 1] += -actor.brow_lift + 5.0 * actor.brow_tilt * (np.abs(p[17:27, 0]) - EYES) / 10
    for eye in (slice(36, 42), slice(42, 48)):
        centre = p[eye].mean(0)
        side = np.sign(centre[0])
        offset = (p[eye] - centre) * (actor.eye_width, actor.eye_open)
        angle = side * actor.eye_tilt
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        p[eye] = (side * EYES, 0.0) + offset @ turn.T
    root = p[27, 1]
    low = p[33, 1]
    p[27:36, 1] = root + (p[27:36, 1] - root) * actor.nose_length
    p[31:36, 0] *= actor.nose_width
    drop = 0.8 * (p[33, 1] - low) + actor.mouth_drop
    p[55:60, 1] -= np.array([2.0, 3.6, 4.2, 3.6, 2.0])  # the mean mouth is slightly open, this one is closed
    line = p[60:65, 1].mean() + 1.0
    lips = slice(48, 68)
    above = p[lips, 1] < line
    p[lips, 0] *= actor.mouth_width
    p[lips, 1] = line + (p[lips, 1] - line) * np.where(above, actor.lip_upper, actor.lip_lower) + drop
    p[60:68, 1] = line + drop + np.array([0.0, -0.4, 0.2, -0.4, 0.0, 0.4, 1.0, 0.4])
    share = np.array([0, 0.2, 0.5, 0.9, 1.0, 0.8, 0.45, 0.15, 0])
    p[:17, 0] *= actor.width * (1 + actor.jaw * np.concatenate([share, share[-2::-1]]))
    p[:17, 1] = np.where(p[:17, 1] > 20, 20 + (p[:17, 1] - 20) * actor.chin + 0.5 * drop, p[:17, 1])
    p[:, 1] += actor.skew * p[:, 0]
    p[36:48, 1] -= actor.skew * p[36:48, 0]  # the eyes define the frame
    return p.astype(np.float32)


def depth(actor: Person, x: Floats, y: Floats) -> Floats:
    """Return how far points stand out towards the camera, units, about 0 on average over the face."""
    edge = 1 - (x / (88 * actor.width)) ** 2 - ((y - 15) / (125 * actor.skull)) ** 2
    nose = landmarks(actor)[30]
    out = 52 * np.sqrt(np.clip(edge, 0, None)) - 38
    out = out + 20 * actor.nose_height * np.exp(-(((x - nose[0]) / 11) ** 2) - ((y - nose[1] + 6) / 19) ** 2)
    fade = np.clip(edge * 4, 0, 1)
    return np.asarray(out * fade, dtype=np.float32)
