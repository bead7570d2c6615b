"""Which files a clip has in a layout, and which of its frames is in each: what the renderer and tests lay out alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from merbench.data import frames
from merbench.data.synthetic import layouts
from merbench.data.synthetic.script import Scene


@dataclass(frozen=True)
class Take:
    """A clip as a layout has it.

    Attributes:
        scene: whose frames these are.
        truths: files of what is true about it, below the folder of all databases, by the names that readers may give the clip; none
            where nobody reads it as a clip.
        files: paths below the same folder, each with the number that its frame has in the scene.
        numbers: onset, the apex that a reader takes, and offset, as in these files' names.
        apex: the second of them as the scene counts.
        crop: cut to the face.
        grey: one channel.
    """

    scene: Scene
    truths: tuple[PurePosixPath, ...]
    files: Mapping[PurePosixPath, int]
    numbers: tuple[int, int, int]
    apex: int
    crop: bool = False
    grey: bool = False


@dataclass
class Layout:
    """What a variant writes below the folder of all databases.

    Attributes:
        takes: its clips.
        books: sheets by their path, each with what makes its bytes.
        strays: other files.
        oddities: how often each of `oddities.ODDITIES` is in it.
    """

    takes: list[Take] = field(default_factory=list)
    books: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    strays: dict[str, bytes] = field(default_factory=dict)
    oddities: Counter[str] = field(default_factory=Counter)

    def add(self, take: Take, *oddities: str) -> None:
        """Take a clip in, with what is odd about it."""
        self.takes.append(take)
        self.oddities.update(oddities)


def plain(scene: Scene, all_frames: bool = False) -> Take:
    """Return a clip as the rendering itself has it."""
    folder = layouts.folder(scene)
    files = {folder / layouts.file_name(scene, number): number for number in scene.needed(all_frames)}
    return Take(scene, (layouts.truth(scene),), files, (scene.onset, scene.named_apex, scene.offset), scene.named_apex)


def laid(
    scene: Scene,
    folder: PurePosixPath,
    name: Callable[[int], str],
    shown: Mapping[int, int],
    *,
    said: tuple[int, object, int] | None = None,
    called: Iterable[str] = (),
    crop: bool = False,
    grey: bool = False,
) -> Take:
    """Return a clip as another layout has it.

    Args:
        scene: whose frames these are.
        folder: of its files, below the folder of all databases.
        name: of a file, by the number in it.
        shown: numbers in file names, each with the number that its frame has in the scene.
        said: onset, apex and offset as a reader has them from the sheet; where the apex cannot be one, the middle stands for it. None:
            the first and the last file, and no apex.
        called: keys that readers may have for the clip; left out: the scene's own.
        crop, grey: as of `Take`.
    """
    onset, apex, offset = said or (min(shown), None, max(shown))
    if not (isinstance(apex, int) and onset < apex <= offset):
        apex = frames.middle(onset, offset)
    apex = nearest(shown, apex)
    truths = tuple(PurePosixPath("truth", f"{key}.npz") for key in called) or (layouts.truth(scene),)
    files = {folder / name(number): source for number, source in shown.items()}
    return Take(scene, truths, files, (onset, apex, offset), shown[apex], crop, grey)


def shown(scene: Scene, all_frames: bool) -> dict[int, int]:
    """Return a scene's own frame numbers, each standing for itself."""
    return {number: number for number in scene.needed(all_frames)}


def nearest(numbers: Iterable[int], wanted: int) -> int:
    """Return the number that is nearest; of two the lower."""
    return min(numbers, key=lambda number: (abs(number - wanted), number))


def retimed(scene: Scene, all_frames: bool, to: tuple[int, int, int]) -> dict[int, int]:
    """Return the numbers that a run can ask for of a clip from onset over apex to offset, with the scene's frames that stand for them."""
    onset, apex, offset = to
    own = scene.needed(all_frames)
    asked = {onset, apex, offset, frames.middle(onset, offset), *frames.sequence(onset, offset)}

    def source(number: int) -> int:
        if number <= apex:
            return scene.onset + round((number - onset) / (apex - onset) * (scene.apex - scene.onset))
        return scene.apex + round((number - apex) / (offset - apex) * (scene.offset - scene.apex))

    exact = {onset: scene.onset, apex: scene.apex, offset: scene.offset}
    return {number: exact.get(number, nearest(own, source(number))) for number in sorted(asked)}
