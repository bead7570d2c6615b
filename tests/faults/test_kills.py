"""SIGKILL at random moments of preparing, training and writing: every byte as if nothing had happened, and nothing done twice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Rendered
from tests.faults.commands import FEW, MERBENCH, Command, at_home, files, stamps

FOLDS = 16
TRAIN = ("bench", "ststnet", "--on", "smic", "training.epochs=5", "--workers", "2")
WRITE = ("bench", "prior", "--on", "smic", "--seeds", "8", "--workers", "2")
PREPARE = ("prepare", "smic+casme2", "--source", "synthetic", "--workers", "2")
SECONDS_TO_PLAN = 5.0
"""About what a command takes before its first fold: kills fall in there too."""


@dataclass(frozen=True)
class Work:
    """A command, what it leaves, and how that is looked at.

    Attributes:
        words: of the command.
        merbench: what is called with them.
        folder: in which its results lie.
        pattern: of the files that must not be made twice.
        pause: longest wait, in seconds, from another finished file to the kill.
        forgiving: what the command answers after one of its processes was killed: a fold is tried again, a preparation is not.
    """

    words: tuple[str, ...]
    merbench: Sequence[str]
    folder: Path
    pattern: str
    pause: float
    forgiving: tuple[int, ...]

    def start(self) -> Command:
        return Command(*self.words, merbench=self.merbench)

    def count(self) -> int:
        return sum(1 for _ in self.folder.rglob(self.pattern))


@dataclass
class Tally:
    """What kills there were."""

    kills: int = 0
    late: int = 0

    def __str__(self) -> str:
        return f"{self.kills} kills, {self.late} too late"


def killed_until_finished(work: Work, whole: dict[str, bytes], kills: int, chance: random.Random, tally: Tally) -> None:
    """Start and kill a command several times, then let it finish."""
    for _ in range(kills):
        before = stamps(work.folder, work.pattern)
        whom = chance.choice(["main", "main", "group", "worker", "server"])
        command = work.start()
        if chance.random() < 0.3:
            end = time.monotonic() + chance.random() * SECONDS_TO_PLAN
            command.until(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
        else:
            wanted = len(before) + chance.randrange(len(whole))
            command.until(lambda wanted=wanted: work.count() > wanted)  # type: ignore[misc]
            time.sleep(chance.random() * work.pause)
        tally.kills, tally.late = tally.kills + command.running, tally.late + (not command.running)
        command.kill(whom, chance)
        code = command.end()
        assert code in ((-9, 0) if whom in ("main", "group") else work.forgiving), (whom, code, command.said())
        check(work, whole, before)
    before = stamps(work.folder, work.pattern)
    code, said = at_home(*work.words, root=Path())
    assert code == 0, said
    check(work, whole, before)


def check(work: Work, whole: dict[str, bytes], before: dict[Path, tuple[int, int]]) -> None:
    """Every finished file is whole, and none of those that were there was made again."""
    for name, content in files(work.folder, work.pattern).items():
        assert content == whole[name], f"{name} is not what an undisturbed run leaves"
    after = stamps(work.folder, work.pattern)
    assert {path: after.get(path) for path in before} == before, "what was finished was made again"


def undisturbed(words: Sequence[str], flow: Path, root: Path) -> dict[str, bytes]:
    code, said = at_home(*words, root=root, MERBENCH_PUBLISHED_FLOW=str(flow))
    assert code == 0, said
    return files(root)


@pytest.fixture(scope="module")
def trained(flat_flow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return undisturbed(TRAIN, flat_flow, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def written(flat_flow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return undisturbed(WRITE, flat_flow, tmp_path_factory.mktemp("written"))


@pytest.fixture(scope="module")
def prepared(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Arrays by name of set and array: of two sets each has a ``flow.npy``."""
    root = tmp_path_factory.mktemp("undisturbed")
    here = {**os.environ, "MERBENCH_SYNTHETIC": str(rendered.root)}
    subprocess.run([*FEW, *PREPARE], cwd=root, env=here, check=True, capture_output=True, timeout=300)
    return arrays(root)


def arrays(root: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in root.rglob("*.npy")}


def repeat(kills: int, seed: int, once: Callable[[int, random.Random, Tally], None]) -> str:
    """Kill so often, some kills in a row before each finish."""
    chance, tally = random.Random(seed), Tally()
    try:
        while tally.kills < kills:
            once(min(kills - tally.kills, chance.randint(1, 5) if kills > 3 else 3), chance, tally)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {tally}: {error}") from error
    return f"seed {seed}, {tally}\n"


def killed_runs(kills: int, seed: int, words: tuple[str, ...], whole: dict[str, bytes], pause: float) -> None:
    def once(row: int, chance: random.Random, tally: Tally) -> None:
        shutil.rmtree("runs", ignore_errors=True)
        killed_until_finished(Work(words, MERBENCH, Path("runs"), "*.parquet", pause, (0,)), whole, row, chance, tally)
        assert files(Path("runs")) == whole
        left = {path.name for path in Path("runs").rglob(".*")}
        assert {name for name in left if not name.startswith(".summary.")} <= {".lock"}, "what kills left was removed"
        assert not [path for path in Path("prepared").rglob(".unfinished-*") if path.is_dir()]

    sys.stdout.write(repeat(kills, seed, once))


def killed_preparations(kills: int, seed: int, whole: dict[str, bytes]) -> None:
    def once(row: int, chance: random.Random, tally: Tally) -> None:
        shutil.rmtree("prepared", ignore_errors=True)
        # a finished clip lies in .work-* until its database is whole, so that only clips of the second may go away at a kill
        work = Work(PREPARE, FEW, Path("prepared"), "*.npy", 1.0, (0, 2))
        killed_until_finished_preparing(work, row, chance, tally)
        assert arrays(Path("prepared")) == whole
        assert not list(Path("prepared").rglob(".unfinished-*"))
        assert {path.name for path in Path("prepared").rglob(".work-*/*")} <= {".lock"}

    sys.stdout.write(repeat(kills, seed, once))


def killed_until_finished_preparing(work: Work, kills: int, chance: random.Random, tally: Tally) -> None:
    def parts() -> dict[Path, tuple[int, int]]:
        return {path: stamp for path, stamp in stamps(Path("prepared"), "*.npz").items() if not path.name.startswith(".")}

    def sets() -> dict[Path, tuple[int, int]]:
        return {path: stamp for path, stamp in stamps(Path("prepared"), "*.npy").items() if ".unfinished" not in path.parent.name}

    for turn in range(kills + 1):
        before, made = parts(), sets()
        command, whom = work.start(), chance.choice(["main", "main", "group", "worker", "server"])
        if turn < kills:
            end = time.monotonic() + chance.random() * SECONDS_TO_PREPARE
            command.until(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
            tally.kills, tally.late = tally.kills + command.running, tally.late + (not command.running)
            command.kill(whom, chance)
        code = command.end()
        assert code in ((0,) if turn == kills else (-9, 0) if whom in ("main", "group") else work.forgiving), (whom, command.said())
        after = parts()
        again = [path for path, stamp in before.items() if after.get(path, stamp) != stamp]
        assert not again, f"prepared again: {again}"
        assert {path: sets().get(path) for path in made} == made, "a finished set was touched"


SECONDS_TO_PREPARE = 7.0


def test_killed_training_goes_on(trained: dict[str, bytes], with_flow: Path) -> None:
    assert len(trained) == FOLDS
    killed_runs(1, time.time_ns(), TRAIN, trained, pause=0.5)


def test_killed_preparation_goes_on(prepared: dict[str, bytes], rendered: Rendered, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_SYNTHETIC", str(rendered.root))
    killed_preparations(1, time.time_ns(), prepared)


@pytest.mark.torture
def test_fifty_kills_of_training(trained: dict[str, bytes], with_flow: Path) -> None:
    killed_runs(50, 1, TRAIN, trained, pause=0.5)


@pytest.mark.torture
def test_fifty_kills_of_writing(written: dict[str, bytes], with_flow: Path) -> None:
    killed_runs(50, 2, WRITE, written, pause=0.02)


@pytest.mark.torture
def test_fifty_kills_of_preparation(prepared: dict[str, bytes], rendered: Rendered, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_SYNTHETIC", str(rendered.root))
    killed_preparations(50, 3, prepared)
