"""Rendered databases written to disk: clip by clip, over all cores, going on where a killed run stopped.

A clip's frames are written into an unfinished folder that is renamed, then the file of its truth is: a truth file that exists means a
finished clip. The sheets come last. Nothing is flushed to disk by force: a kill loses nothing, a power cut may.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from merbench import processes
from merbench.data.synthetic import layouts, marker, sheets
from merbench.data.synthetic.anatomy import Person, person
from merbench.data.synthetic.performance import Performance, perform
from merbench.data.synthetic.render import render
from merbench.data.synthetic.render import truth as truth_of
from merbench.data.synthetic.script import PARTS, Scene, Size, scenes
from merbench.errors import UserError
from merbench.streams import key_of


@dataclass(frozen=True)
class Written:
    """How far it is: once before the first clip, then after each.

    Attributes:
        done: finished clips, those of earlier runs included.
        total: clips that were asked for.
        key: of the clip that was just finished; empty before the first.
        frames, size: files and bytes that were written for it now.
    """

    done: int
    total: int
    key: str = ""
    frames: int = 0
    size: int = 0


@dataclass(frozen=True)
class _Task:
    root: Path
    scene: Scene
    seed: int
    all_frames: bool


def write(
    root: Path,
    size: Size,
    *,
    seed: int = 0,
    databases: Sequence[str] = PARTS,
    all_frames: bool = False,
    workers: int | None = None,
) -> Generator[Written]:
    """Write rendered databases and yield how far it is; close the iterator to stop, run it again to go on.

    Args:
        root: the folder of all databases; each gets one of its own below, and ``truth`` lies beside them.
        size: ``full`` as large as the real ones, ``mini`` for a first look.
        seed: another one gives other people, lengths and frame numbers; clips and emotions stay.
        databases: some of `script.PARTS`.
        all_frames: every frame from onset to offset; otherwise those that a run can ask for.
        workers: processes; None for one per core. Any number writes the same bytes.

    Raises:
        UserError: a folder holds something else, or a database of other settings; the disk is full or refuses; another writer is at work.
    """
    return write_scenes(root, scenes(size, seed), size, seed=seed, databases=databases, all_frames=all_frames, workers=workers)


def write_scenes(
    root: Path,
    script: Sequence[Scene],
    size: Size,
    *,
    seed: int = 0,
    databases: Sequence[str] = PARTS,
    all_frames: bool = False,
    workers: int | None = None,
) -> Generator[Written]:
    """Write the clips of a script, as `write` does for the script of its size."""
    parts = tuple(part for part in PARTS if part in databases)
    settings = marker.Settings(size, seed, all_frames)
    with _alone(root):
        marker.check(root, parts, settings)
        books = sheets.books(script, lambda scene: units_of(scene, seed))
        wanted = [scene for scene in script if scene.part in parts]
        missing = [scene for scene in wanted if not finished(root, scene, all_frames)]
        done = len(wanted) - len(missing)
        yield Written(done, len(wanted))
        there = all((root / path).is_file() for part in parts for path in books.get(part, {}))
        if not missing and there and marker.finished(root, parts, settings):
            return
        counts = {part: sum(scene.part == part for scene in wanted) for part in parts}
        with _refusals(root):
            marker.write(root, counts, settings, finished=False)
        tasks = [_Task(root, scene, seed, all_frames) for scene in missing]
        rendering = processes.each(_write_clip, tasks, workers)
        assert isinstance(rendering, Generator)
        with contextlib.closing(rendering) as finishing:
            for index, (frames, written) in finishing:
                done += 1
                yield Written(done, len(wanted), missing[index].clip.key, frames, written)
        with _refusals(root):
            for part in parts:
                for path, content in books.get(part, {}).items():
                    marker.whole(root / path, content())
            marker.write(root, counts, settings, finished=True)


def finished(root: Path, scene: Scene, all_frames: bool) -> bool:
    """Return whether a clip's truth and all its frames are there."""
    if not (root / layouts.truth(scene)).is_file():
        return False
    try:
        there = {path.name for path in (root / layouts.folder(scene)).iterdir()}
    except FileNotFoundError:
        return False
    return there.issuperset(layouts.file_name(scene, number) for number in scene.needed(all_frames))


def _cast(scene: Scene, seed: int) -> tuple[Person, Performance]:
    """Return who acts and how: one person in all clips of a subject, micro and macro."""
    actor = person(key_of("synthetic", seed, scene.clip.subject))
    key = key_of("synthetic", seed, scene.clip.key)
    return actor, perform(key, scene.emotion, actor, scene.length, scene.apex - scene.onset, macro=scene.part == "macro")


def units_of(scene: Scene, seed: int) -> tuple[str, ...]:
    """Return the action units of a clip in FACS spelling."""
    return tuple(_cast(scene, seed)[1].action_units)


def _write_clip(task: _Task) -> tuple[int, int]:
    """Write what a clip lacks; return how many frames and bytes that were."""
    scene, camera = task.scene, layouts.CAMERAS[task.scene.part]
    actor, performance = _cast(scene, task.seed)
    folder = task.root / layouts.folder(scene)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    truth_file = task.root / layouts.truth(scene)
    frames = size = 0
    with _refusals(folder):
        truth_file.unlink(missing_ok=True)  # not finished until it is written again
        place = folder if folder.is_dir() else unfinished  # frames are added to a clip that is there
        place.mkdir(parents=True, exist_ok=True)
        for number in scene.needed(task.all_frames):
            target = place / layouts.file_name(scene, number)
            if target.is_file():
                continue
            content = _encoded(target.suffix, render(actor, performance, camera, number - scene.onset))
            marker.whole(target, content)
            frames, size = frames + 1, size + len(content)
        if place is unfinished:
            unfinished.rename(folder)
        content = _truth(scene, actor, performance)
        truth_file.parent.mkdir(parents=True, exist_ok=True)
        marker.whole(truth_file, content)
    return frames, size + len(content)


def _encoded(ending: str, image: NDArray[np.uint8]) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, layouts.JPEG_QUALITY] if ending == ".jpg" else []
    made, content = cv2.imencode(ending, image, settings)
    assert made
    return bytes(content)


def _truth(scene: Scene, actor: Person, performance: Performance) -> bytes:
    """Return an npz: what moved from the onset to the frame that readers take as apex, and by which action units."""
    camera = layouts.CAMERAS[scene.part]
    found = truth_of(actor, performance, camera, scene.named_apex - scene.onset)
    arrays = {
        "landmarks": np.asarray(found.landmarks, dtype=np.float32),
        "origin": np.asarray(found.origin, dtype=np.float32),
        "step": np.asarray(found.step),
        "displacement": np.asarray(found.displacement, dtype=np.float32),
        "expression": np.asarray(found.expression, dtype=np.float32),
        "skin": np.asarray(found.skin, dtype=bool),
        "units": np.array(list(performance.action_units)),
        "intensities": np.array(list(performance.action_units.values()), dtype=np.float32),
        "camera": np.array([camera.width, camera.height], dtype=np.int32),
        "frames": np.array([scene.onset, scene.named_apex, scene.apex, scene.offset], dtype=np.int32),
    }
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep a second writer out of a folder."""
    lock = FileLock(root / ".synth.lock")
    with _refusals(root):
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                "another merbench synth is writing here", where=root, remedy="wait for it, or give this one another folder"
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _refusals(where: Path) -> Iterator[None]:
    """Turn what the disk refuses into one message."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the disk refuses: {error.strerror or error}",
            where=error.filename or where,
            remedy="free some space or make the folder writable, then run the same command again: finished clips are kept",
        ) from error
