"""Speed as ratios, measured in one run: what a machine does while others use it says little, how two things compare there says much.

Repetitions of what is compared take turns, so that both meet the same neighbours.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from merbench import processes
from merbench.data import flow, load, manifest, places, schemes, store
from merbench.data.frames import Footage
from merbench.data.prepare import PRELOAD, prepare
from merbench.data.schemes import Scheme
from merbench.errors import UserError
from merbench.sample import Clip

Watch = Callable[[str, int, int], None]

BARE, WHOLE = "bare TV-L1", "whole preparation"


@dataclass(frozen=True)
class Material:
    """What is prepared: clips of one database.

    Attributes:
        scheme: of their labels.
        footage, truths: of `merbench.data.prepare.prepare`.
    """

    scheme: Scheme
    footage: tuple[Footage, ...]
    truths: tuple[Path, ...]


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        pairs: of onset and apex in a repetition.
        cores: so many processes did both.
        bare, whole: pairs a second of each repetition: of OpenCV's solver alone on pairs that are aligned, grey and in memory, starts of
            processes and waiting not counted; and of a preparation into an empty store, everything counted.
    """

    pairs: int
    cores: int
    bare: tuple[float, ...]
    whole: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Return whole / bare: each repetition of the whole by the mean of the bare ones before and after it."""
        return tuple(2 * whole / (before + after) for whole, before, after in zip(self.whole, self.bare[:-1], self.bare[1:], strict=True))

    @property
    def ratio(self) -> float:
        """Return the median ratio."""
        return median(self.ratios)


def preparation(material: Sequence[Material], workers: int | None, repetitions: int, watch: Watch) -> Speed:
    """Compare preparing clips with bare TV-L1 of the same pairs: bare, whole, bare, whole, ..., bare.

    Args:
        material: at most one of each database.
        workers: processes; None for one per core.
        repetitions: of the whole.
        watch: told what is done.

    Raises:
        UserError: the clips cannot be prepared.
    """
    pairs, count = sum(len(each.footage) for each in material), workers or processes.cores()
    done, total = 0, 2 * repetitions + 2
    with tempfile.TemporaryDirectory(prefix="merbench-perf-") as folder:

        def whole(name: str) -> tuple[float, list[Path]]:
            nonlocal done
            watch("repetitions", done, total)
            root, began = Path(folder) / name, time.monotonic()
            made = [prepare("perf", each.scheme, each.footage, truths=each.truths, root=root, workers=workers) for each in material]
            done += 1
            return pairs / (time.monotonic() - began), made

        _, made = whole("first")  # not counted: files come into the system's memory, and from here come the pairs
        arrays = [store.load(path).arrays for path in made]
        grey = [(_grey(a[i]), _grey(b[i])) for each in arrays for a, b in [(each["onset"], each["apex"])] for i in range(len(a))]

        def bare() -> float:
            nonlocal done
            watch("repetitions", done, total)
            seconds = sum(spent for _, spent in processes.each(_solve, grey, workers))
            done += 1
            return count * pairs / seconds

        speeds: tuple[list[float], list[float]] = ([bare()], [])
        for repetition in range(repetitions):
            speeds[1].append(whole(str(repetition))[0])
            shutil.rmtree(Path(folder) / str(repetition))
            speeds[0].append(bare())
        watch("repetitions", done, total)
    return Speed(pairs, count, tuple(speeds[0]), tuple(speeds[1]))


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _solve(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> float:
    """Return the seconds of one flow, by the clock on the wall; what a process does at its first is done before."""
    solver = flow.solver()
    solver.calc(pair[0][:32, :32], pair[1][:32, :32], None)
    began = time.perf_counter()
    solver.calc(*pair, None)
    return time.perf_counter() - began


def rendered(count: int, workers: int | None, folder: Path) -> list[Material]:
    """Return so many rendered clips of three databases: of those that are set up, or rendered into a folder.

    Raises:
        UserError: fewer can be had.
    """
    processes.context(PRELOAD)  # before the renderer asks for processes: every worker of the whole would import all of it by itself
    there = {database: places.place(places.SYNTHETIC, database) for database in manifest.DATABASES}
    scheme = schemes.scheme(places.scheme_for(places.SYNTHETIC) if any(there.values()) else schemes.FIRST_LOOK)
    if not all(there.values()):
        there = {database: folder / database for database in manifest.DATABASES}
        _render(scheme, count, workers, folder)
    return list(_material(scheme, count, {database: path for database, path in there.items() if path is not None}))


def _render(scheme: Scheme, count: int, workers: int | None, folder: Path) -> None:
    from merbench.data.synthetic.script import scenes
    from merbench.data.synthetic.write import write_scenes

    wanted = {clip.key for clips in _shared(scheme, count).values() for clip in clips}
    script = [scene for scene in scenes("mini", 0) if scene.clip.key in wanted]
    for _ in write_scenes(folder, script, "mini", databases=manifest.DATABASES, workers=workers):
        pass


def _shared(scheme: Scheme, count: int) -> dict[str, tuple[Clip, ...]]:
    """Return so many clips, as equally many of each database as there are."""
    clips = {database: scheme.select((database,)) for database in manifest.DATABASES}
    if sum(map(len, clips.values())) < count:
        raise UserError(f"there are {sum(map(len, clips.values()))} rendered clips", where="--clips", remedy="ask for fewer")
    shares = dict.fromkeys(manifest.DATABASES, 0)
    while sum(shares.values()) < count:
        shares[min((d for d in manifest.DATABASES if shares[d] < len(clips[d])), key=lambda d: shares[d])] += 1
    return {database: clips[database][: shares[database]] for database in manifest.DATABASES}


def _material(scheme: Scheme, count: int, places: dict[str, Path]) -> Iterator[Material]:
    for database, clips in _shared(scheme, count).items():
        if clips:
            truths = tuple(places[database].parent / "truth" / f"{clip.key}.npz" for clip in clips)
            yield Material(scheme, load.read(database, places[database], clips), truths)
