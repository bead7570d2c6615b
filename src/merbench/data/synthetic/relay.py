"""Rendered frames laid out again as copies of the databases have them: by hard links where the disk allows, cut or grey where need be.

Below ``odd/`` lies a root for each variant of `oddities.VARIANTS`, marked like the rendering itself and with truths of its own, so that
it can be set up in its place. What is there is left alone: a run that was killed goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from merbench import processes
from merbench.data.synthetic import layouts, marker
from merbench.data.synthetic.anatomy import Floats
from merbench.data.synthetic.oddities import VARIANTS
from merbench.data.synthetic.script import PARTS, Scene, Size, scenes
from merbench.data.synthetic.takes import Layout, Take
from merbench.data.synthetic.write import Written, alone, cast, encoded, refusals, truth_bytes, units_of

FOLDER = "odd"
MARGINS = (0.22, 0.5, 0.16)
"""What a crop leaves beside, above and below the landmarks, as a share of their width and height: the whole face, hair included."""
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}
"""What a disk says that cannot link."""


@dataclass(frozen=True)
class _Task:
    root: Path
    to: Path
    take: Take
    seed: int


def layout(variant: str, script: Sequence[Scene], seed: int, all_frames: bool = False) -> Layout:
    """Return what a variant has.

    Args:
        variant: one of `VARIANTS`.
        script: the clips that are rendered, of all parts.
        seed: of people and performances.
        all_frames: whether all their frames are.
    """
    return VARIANTS[variant](script, lambda scene: units_of(scene, seed), all_frames)


def relay(
    root: Path,
    size: Size,
    *,
    seed: int = 0,
    databases: Sequence[str] = PARTS,
    all_frames: bool = False,
    workers: int | None = None,
) -> Generator[Written]:
    """Lay out in every variant what `write.write` has rendered with the same arguments, and yield how far it is, as it does.

    Raises:
        UserError: as `write.write` does.
    """
    script = [scene for scene in scenes(size, seed) if scene.part in databases]
    return relay_scenes(root, script, size, seed=seed, all_frames=all_frames, workers=workers)


def counted(size: Size, *, seed: int = 0, databases: Sequence[str] = PARTS) -> dict[str, Counter[str]]:
    """Return how often each oddity is in each variant."""
    script = [scene for scene in scenes(size, seed) if scene.part in databases]
    return {variant: layout(variant, script, seed).oddities for variant in VARIANTS}


def relay_scenes(
    root: Path, script: Sequence[Scene], size: Size, *, seed: int = 0, all_frames: bool = False, workers: int | None = None
) -> Generator[Written]:
    """Lay out the clips of a script, as `relay` does those of its size."""
    settings = marker.Settings(size, seed, all_frames)
    made = {variant: layout(variant, script, seed, all_frames) for variant in VARIANTS}
    with alone(root):
        for variant, each in made.items():
            marker.check(root / FOLDER / variant, list(_parts(each)), settings)
        tasks = [
            _Task(root, root / FOLDER / variant, take, seed)
            for variant, each in made.items()
            for take in each.takes
            if not _there(root / FOLDER / variant, take)
        ]
        total = sum(len(each.takes) for each in made.values())
        done = total - len(tasks)
        yield Written(done, total)
        with refusals(root):
            for variant, each in made.items():
                marker.write(root / FOLDER / variant, _parts(each), settings, finished=False)
        laying = processes.each(_lay, tasks, workers)
        assert isinstance(laying, Generator)
        with contextlib.closing(laying) as finishing:
            for index, (files, written) in finishing:
                done += 1
                yield Written(done, total, tasks[index].take.scene.clip.key, files, written)
        with refusals(root):
            for variant, each in made.items():
                _rest(root / FOLDER / variant, each)
                marker.write(root / FOLDER / variant, _parts(each), settings, finished=True)


def _parts(made: Layout) -> dict[str, int]:
    """Return how many clips each part has."""
    return dict(Counter(take.scene.part for take in made.takes if take.truths))


def _there(to: Path, take: Take) -> bool:
    return all((to / path).is_file() for path in (*take.truths, *take.files))


def _rest(to: Path, made: Layout) -> None:
    """Write sheets and strays."""
    for path in (*made.books, *made.strays):
        if not (to / path).is_file():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            marker.whole(to / path, made.strays[path] if path in made.strays else made.books[path]())


def _lay(task: _Task) -> tuple[int, int]:
    """Lay out what a clip lacks; return how many files and bytes that were."""
    take, scene = task.take, task.take.scene
    actor, performance = cast(scene, task.seed)
    box = _box(task.root, scene) if take.crop else None
    made: dict[tuple[int, str], bytes] = {}
    files = size = 0
    with refusals(task.to):
        for path, number in take.files.items():
            target, source = task.to / path, task.root / layouts.folder(scene) / layouts.file_name(scene, number)
            if target.is_file():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if box is None and not take.grey and source.suffix == target.suffix:
                _link(source, target)
            else:
                if (number, target.suffix) not in made:
                    made[number, target.suffix] = _changed(source, target.suffix, box, take.grey)
                marker.whole(target, made[number, target.suffix])
                size += len(made[number, target.suffix])
            files += 1
        onset, apex, offset = take.numbers
        content = truth_bytes(scene, actor, performance, apex=take.apex, numbers=(onset, apex, offset), box=box)
        for truth in take.truths:
            (task.to / truth).parent.mkdir(parents=True, exist_ok=True)
            marker.whole(task.to / truth, content)
    return files, size


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:  # two clips of a video share a frame, and another worker was faster
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        unfinished = target.with_name(f".{target.name}.unfinished")
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)


def _box(root: Path, scene: Scene) -> tuple[int, int, int, int]:
    """Return where the face is in every frame of a clip: left, top, right and bottom, image pixels."""
    with np.load(root / layouts.truth(scene), allow_pickle=False) as about:
        points: Floats = about["landmarks"][0]
    camera = layouts.CAMERAS[scene.part]
    (left, top), (right, bottom) = points.min(0), points.max(0)
    beside, above, below = MARGINS[0] * (right - left), MARGINS[1] * (bottom - top), MARGINS[2] * (bottom - top)
    return (
        max(0, round(left - beside)),
        max(0, round(top - above)),
        min(camera.width, round(right + beside)),
        min(camera.height, round(bottom + below)),
    )


def _changed(source: Path, ending: str, box: tuple[int, int, int, int] | None, grey: bool) -> bytes:
    """Return a frame cut, grey or in another format."""
    image = cv2.imdecode(np.fromfile(source, np.uint8), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_UNCHANGED)
    assert image is not None, "it was written whole"
    if box is not None:
        left, top, right, bottom = box
        image = image[top:bottom, left:right]
    changed: NDArray[np.uint8] = np.ascontiguousarray(image)
    return encoded(ending, changed)
