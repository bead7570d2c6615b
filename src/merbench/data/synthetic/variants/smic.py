"""SMIC's other two cameras, and its clips by their bare names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from merbench.data.synthetic import layouts
from merbench.data.synthetic.script import SLOWER, TWO_MORE_CAMERAS, Scene
from merbench.data.synthetic.takes import Take, laid
from merbench.streams import key_of

HS, VIS, NIR = "HS", "VIS", "NIR"


def cameras(scene: Scene) -> tuple[str, ...]:
    """Return which cameras filmed a clip."""
    return (HS, VIS, NIR) if scene.clip.subject in TWO_MORE_CAMERAS else (HS,)


def numbered(scene: Scene, camera: str, all_frames: bool) -> dict[int, int]:
    """Return the numbers that a camera gave to the frames, with those of HS. VIS and NIR have every fourth, and count for themselves."""
    there = scene.needed(all_frames)
    if camera == HS:
        return {number: number for number in there}
    first = 10_000 + key_of("synthetic", camera, scene.clip.key) % 300_000
    return {first + (number - scene.onset) // SLOWER: number for number in there if (number - scene.onset) % SLOWER == 0}


def called(scene: Scene, camera: str, ending: str = "") -> str:
    """Return a clip's key in the set of a camera: ``smic-vis/s11/s11_ne_01``."""
    name = "smic" + ending + ("" if camera == HS else f"-{camera.lower()}")
    return f"{name}/{scene.clip.subject.split('/')[1]}/{scene.clip.name}"


def bare(scene: Scene) -> tuple[str, str]:
    """Return subject and clip as folders have them: s1, s1_ne_01."""
    return layouts.bare(scene.clip.subject.split("/")[1]), layouts.bare(scene.clip.name)


def short(scene: Scene, tree: str, all_frames: bool, prefix: str = "", crop: bool = False, gap: int = 0) -> Iterable[Take]:
    """Yield a clip of every camera, below ``tree/HS`` and the like.

    Args:
        scene: of SMIC.
        tree: below the database's folder.
        all_frames: whether all of them are rendered.
        prefix: of file names.
        crop: cut to the face.
        gap: so many numbers are left out behind the apex, in HS.
    """
    subject, name = bare(scene)
    for camera in cameras(scene):
        shown = numbered(scene, camera, all_frames)
        if camera == HS:
            shown = {number + gap * (number > scene.apex): source for number, source in shown.items()}
        folder = PurePosixPath("smic", tree, camera, subject, "micro", scene.label, name)
        yield laid(
            scene,
            folder,
            lambda number: f"{prefix}image{number:06d}.bmp",
            shown,
            called=[called(scene, camera)],
            crop=crop,
            grey=camera == NIR,
        )
