"""Which files a clip has in a layout, and which of its frames is in each: what the renderer and tests lay out alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from merbench.data.synthetic import layouts
from merbench.data.synthetic.script import Scene


@dataclass(frozen=True)
class Take:
    """A clip as a layout has it.

    Attributes:
        scene: whose frames these are.
        truth: file of what is true about it, below the folder of all databases: by the name that a reader gives the clip.
        files: paths below the folder of all databases, each with the number that its frame has in the scene.
        frames: onset, the apex that a reader takes, and offset: numbers in these files' names.
        seen: the numbers that the first two have in the scene.
        crop: cut to the face.
        grey: one channel.
    """

    scene: Scene
    truth: PurePosixPath
    files: Mapping[PurePosixPath, int]
    frames: tuple[int, int, int]
    seen: tuple[int, int]
    crop: bool = False
    grey: bool = False


def plain(scene: Scene, all_frames: bool = False) -> Take:
    """Return a clip as the rendering itself has it."""
    folder = layouts.folder(scene)
    files = {folder / layouts.file_name(scene, number): number for number in scene.needed(all_frames)}
    return Take(scene, layouts.truth(scene), files, (scene.onset, scene.named_apex, scene.offset), (scene.onset, scene.named_apex))
