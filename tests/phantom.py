"""Databases in the renderer's layouts with all their names and sheets and no picture: every frame is one and the same flat image."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from merbench.data.synthetic import layouts, marker, sheets
from merbench.data.synthetic.script import PARTS, Scene, Size, scenes
from merbench.data.synthetic.takes import Take, plain
from merbench.data.synthetic.write import units_of

MAIN = "main"
"""The layouts of the rendering itself."""


def phantom(
    root: Path, variant: str = MAIN, size: Size = "full", parts: Sequence[str] = PARTS, *, marked: bool = False, seed: int = 0
) -> Path:
    """Write a variant's tree below a folder and return the folder of its databases: seconds, whatever the size.

    Args:
        root: is made.
        variant: `MAIN`.
        size: as of the renderer.
        parts: some of `script.PARTS`.
        marked: as rendered; otherwise a folder is as a recorded database's. Truths are written only then, and empty.
        seed: as of the renderer.
    """
    script = _script(size, seed)
    pictures = root / ".pictures"
    pictures.mkdir(parents=True)
    for part in (part for part in PARTS if part in parts):
        played = [scene for scene in script if scene.part == part]
        takes = [plain(scene) for scene in played]
        for take in takes:
            _link(root, take, pictures)
            if marked:
                (root / take.truth).parent.mkdir(parents=True, exist_ok=True)
                (root / take.truth).touch()
        for path, content in sheets.books(script, lambda scene: units_of(scene, seed)).get(part, {}).items():
            (root / path).write_bytes(content())
        if marked:
            marker.write(root, {part: len(takes)}, marker.Settings(size, seed, all_frames=False), finished=True)
    return root


@functools.cache
def _script(size: Size, seed: int) -> tuple[Scene, ...]:
    return scenes(size, seed)


def _link(root: Path, take: Take, pictures: Path) -> None:
    for folder in {path.parent for path in take.files}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in take.files:
        os.link(_picture(pictures, path.suffix, take), root / path)


def _picture(pictures: Path, ending: str, take: Take) -> Path:
    camera = layouts.CAMERAS[take.scene.part]
    width, height = (280, 340) if take.crop else (camera.width, camera.height)
    shape = (height, width) if camera.grey or take.grey else (height, width, 3)
    path = pictures / f"{'x'.join(map(str, shape))}{ending}"
    if not path.exists():
        assert cv2.imwrite(str(path), np.full(shape, 127, np.uint8))
    return path
