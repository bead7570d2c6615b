"""A person's neutral face as a picture: every frame is this picture, moved."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from merbench.data.synthetic import features, hair
from merbench.data.synthetic.anatomy import Person
from merbench.data.synthetic.canvas import Canvas
from merbench.data.synthetic.relief import light, outline, relief
from merbench.data.synthetic.skin import complexion


def paint(actor: Person, sheet: Canvas) -> NDArray[np.uint8]:
    """Return the neutral face with its surroundings, (h, w, 3), blue green red."""
    image = hair.behind(actor, sheet)
    cover = sheet.filled(outline(actor), 0.7)
    z = relief(actor, sheet)
    shade, shine = light(actor, sheet, z)
    face = complexion(actor, sheet) * shade[..., None]
    face += (0.02 + 0.07 * float(face.mean())) * shine[..., None]
    features.mix(image, cover, face)
    features.nostrils(actor, sheet, image)
    features.lips(actor, sheet, image, shade, shine)
    features.eyes(actor, sheet, image, shade)
    features.brows(actor, sheet, image, shade)
    hair.in_front(actor, sheet, image)
    display = 255 * np.clip(image * 1.05, 0, 1) ** (1 / 2.2)
    bgr = cv2.cvtColor(display.astype(np.float32), cv2.COLOR_RGB2BGR)
    return np.asarray(np.clip(np.round(bgr), 0, 255), dtype=np.uint8)
