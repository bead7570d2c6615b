"""Databases in the renderer's layouts with all their names and sheets and no picture: every frame is one and the same flat image."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from merbench.data.synthetic import layouts, marker, relay, sheets
from merbench.data.synthetic.script import PARTS, Scene, Size, scenes
from merbench.data.synthetic.takes import Layout, Take, plain
from merbench.data.synthetic.write import units_of

MAIN = "main"
"""The layouts of the rendering itself."""


def phantom(
    root: Path, variant: str = MAIN, size: Size = "full", parts: Sequence[str] = PARTS, *, marked: bool = False, seed: int = 0
) -> Path:
    """Write a variant's tree below a folder and return the folder of its databases: seconds, whatever the size.

    Args:
        root: is made; it holds ``casme2`` and the like, and ``.pictures`` with the images that all frames are links to.
        variant: `MAIN` or one of `oddities.VARIANTS`.
        size: as of the renderer.
        parts: some of `script.PARTS`. Macro-expressions are a part of their own; their sheet names micro-expressions where both are asked for.
        marked: as rendered; otherwise a folder is as a recorded database's. Truths are written only then, and empty.
        seed: as of the renderer.
    """
    made = layout(variant, size, tuple(part for part in PARTS if part in parts), seed)
    pictures = root / ".pictures"
    pictures.mkdir(parents=True)
    for folder in {path.parent for take in made.takes for path in take.files}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, target in {path: take for take in made.takes for path in take.files}.items():
        os.link(_picture(pictures, name.suffix, target), root / name)
    links: dict[bytes, Path] = {}
    for stray, content in made.strays.items():
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        if content not in links:
            links[content] = pictures / f"stray{len(links)}"
            links[content].write_bytes(content)
        os.link(links[content], root / stray)
    for book, make in made.books.items():
        (root / book).parent.mkdir(parents=True, exist_ok=True)
        (root / book).write_bytes(make())
    if marked:
        for truth in {truth for take in made.takes for truth in take.truths}:
            (root / truth).parent.mkdir(parents=True, exist_ok=True)
            (root / truth).touch()
        counts = Counter(take.scene.part for take in made.takes if take.truths)
        marker.write(root, counts, marker.Settings(size, seed, all_frames=False), finished=True)
    return root


def layout(variant: str, size: Size = "full", parts: Sequence[str] = PARTS, seed: int = 0) -> Layout:
    """Return what a variant has, the rendering's own layouts included."""
    script = [scene for scene in _script(size, seed) if scene.part in parts]
    if variant != MAIN:
        return relay.layout(variant, script, seed)
    books = sheets.books(script, lambda scene: units_of(scene, seed))
    return Layout([plain(scene) for scene in script], {path: make for part in parts for path, make in books.get(part, {}).items()})


@functools.cache
def _script(size: Size, seed: int) -> tuple[Scene, ...]:
    return scenes(size, seed)


def _picture(pictures: Path, ending: str, take: Take) -> Path:
    camera = layouts.CAMERAS[take.scene.part]
    width, height = (280, 340) if take.crop else (camera.width, camera.height)
    shape = (height, width) if camera.grey or take.grey else (height, width, 3)
    path = pictures / f"{'x'.join(map(str, shape))}{ending}"
    if not path.exists():
        assert cv2.imwrite(str(path), np.full(shape, 127, np.uint8))
    return path
