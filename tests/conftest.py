"""Fixtures: data in the real layouts, made here; no real face, ever."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from numpy.typing import NDArray

from merbench import processes
from merbench.cli import main
from merbench.data import schemes
from merbench.data.prepared import Prepared
from merbench.data.synthetic.script import scenes
from merbench.data.synthetic.write import write_scenes
from merbench.sample import Clip
from merbench.settings import PLACES, variable

signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and a shell's & leave them ignored, and children inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)

os.environ["WANDB_MODE"] = "disabled"  # what is tested of it says so: no other test starts its process

processes.context(["merbench.engine.fold", "merbench.data.preloaded"])
"""What workers of every kind need is imported once for all tests of a process; only the first call is heard, and a preparation's lacks torch."""

settings.register_profile("steady", derandomize=True, deadline=None)  # how long an example takes says more of the machine
settings.load_profile("steady")  # what is red today was red yesterday; other examples: --hypothesis-profile default


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once for all processes of a test run, by whichever needs it first. Tests do not write into it.

    Args:
        factory: pytest's.
        name: of the folder.
        make: fills the folder that it is given, which is not there yet.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all processes
    folder, unfinished = base / f"once-{name}", base / f"unfinished-{name}"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def flow_image(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a 28 x 28 image, blue first as OpenCV writes it, whose motion sits where its class says."""
    image = rng.normal(0, 1, (28, 28, 3))
    row = 4 + 9 * label
    image[row : row + 6, 6:22] += 2.5
    low, high = image.min((0, 1)), image.max((0, 1))
    return np.asarray((image - low) / (high - low) * 255).round().astype(np.uint8)


def write_flat(folder: Path, databases: tuple[str, ...] = ("smic", "casme2", "samm")) -> Path:
    """Write published flow in the flat layout, with the public names' space before the ending."""
    folder.mkdir(parents=True, exist_ok=True)
    scheme = schemes.scheme("megc3")
    for index, clip in enumerate(scheme.select(databases)):
        image = flow_image(scheme.labels[clip.key], np.random.default_rng(index))
        assert cv2.imwrite(str(folder / f"{clip.subject.split('/')[1]}_{clip.name} .png"), image)
    return folder


@pytest.fixture(scope="session")
def flat_flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 442 clips, flat. Tests do not write into it."""
    return once(tmp_path_factory, "flow", write_flat)


FEW = {
    *("smic/s02/s02_po_01", "smic/s02/s02_sur_01", "smic/s04/s04_ne_01", "smic/s04/s04_ne_09"),
    *("casme2/sub02/EP01_11f", "casme2/sub02/EP09_01", "casme2/sub06/EP02_31", "casme2/sub06/EP16_05"),
    *("samm/006/006_1_2", "samm/006/006_2_4", "samm/007/007_5_3", "samm/007/007_7_1"),
}
"""Two clips each of two subjects of every database; SAMM's second and third are numbered with five digits."""


@dataclass(frozen=True)
class Rendered:
    """A few rendered clips in the real layouts. Tests do not write into them.

    Attributes:
        root: of the databases' folders, with ``truth`` beside them.
        scheme: `FEW`.
    """

    root: Path
    scheme: schemes.Scheme

    def clips(self, database: str) -> tuple[Clip, ...]:
        """Return the clips of a database, in listed order."""
        return self.scheme.select((database,))

    def truths(self, database: str) -> tuple[Path, ...]:
        """Return the renderer's record of each clip."""
        return tuple(self.root / "truth" / f"{clip.key}.npz" for clip in self.clips(database))


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Twelve clips, rendered once."""

    def make(root: Path) -> None:
        script = [scene for scene in scenes("mini", 0) if scene.clip.key in FEW]
        assert list(write_scenes(root, script, "mini", databases=("smic", "casme2", "samm"), workers=2))[-1].done == len(FEW)

    root, whole = once(tmp_path_factory, "rendered", make), schemes.scheme("megc3")
    clips = tuple(clip for clip in whole.clips if clip.key in FEW)
    return Rendered(root, schemes.Scheme("few", whole.classes, clips, {clip.key: whole.labels[clip.key] for clip in clips}, "these tests"))


FEW_MACRO = ("casme3/spNO.11/m_741", "casme3/spNO.11/d_497", "casme3/spNO.18/l_132", "casme3/spNO.18/k_277")
"""Two macro-expressions each of two people."""


@pytest.fixture(scope="session")
def rendered_macro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of rendered databases that holds `FEW_MACRO` alone; their sheet has micro-expressions too. Tests do not write into it."""

    def make(root: Path) -> None:
        script = [scene for scene in scenes("mini", 0) if scene.clip.key in FEW_MACRO or scene.part == "casme3"]
        assert list(write_scenes(root, script, "mini", databases=("macro",), workers=2))[-1].done == len(FEW_MACRO)

    return once(tmp_path_factory, "macro", make)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with no data set up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MERBENCH_PUBLISHED_FLOW", raising=False)
    return tmp_path


@pytest.fixture
def bare(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and a machine on which nothing is set up."""
    for name in PLACES:
        monkeypatch.delenv(variable(name), raising=False)
    return here


@pytest.fixture
def with_flow(here: Path, flat_flow: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with published flow set up."""
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(flat_flow))
    return here


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process, through the same door as the real one."""

    def call(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["merbench", *words])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def reference() -> Path:
    """The real flow images, where this machine has them."""
    path = os.environ.get("MERBENCH_REFERENCE")
    if not path:
        pytest.skip("MERBENCH_REFERENCE is not set: the real flow images are not here")
    return Path(path)


@pytest.fixture(scope="session")
def small() -> Prepared:
    """Six subjects, 30 clips, three classes."""
    clips = tuple(Clip("smic", f"smic/s{s:02d}", f"c{c}") for s in range(6) for c in range(3 + s % 5))
    labels = np.array([(index * 7 + index // 3) % 3 for index in range(len(clips))], dtype=np.int64)
    images = np.stack([flow_image(label, np.random.default_rng(i)) for i, label in enumerate(labels)])
    flow = np.ascontiguousarray(images[:, :, :, ::-1].transpose(0, 3, 1, 2))
    return Prepared("smic", "published-flow", "megc3", clips, ("negative", "positive", "surprise"), labels, {"flow": flow}, "relative")


@pytest.fixture(scope="session")
def small_faces() -> Prepared:
    """Six subjects, 18 clips as `data.prepare` makes them from frames: blurred noise for faces, of which a part moves by its class."""
    clips = tuple(Clip("smic", f"smic/s{s:02d}", f"c{c}") for s in range(6) for c in range(3))
    labels = np.array([(index * 7 + index // 3) % 3 for index in range(len(clips))], dtype=np.int64)
    rng = np.random.default_rng(0)
    onset = np.stack([cv2.GaussianBlur(rng.integers(0, 256, (224, 224, 3)).astype(np.uint8), (0, 0), 3) for _ in clips]).transpose(
        0, 3, 1, 2
    )
    onset = np.clip((onset.astype(np.float32) - 127) * 6 + 127, 0, 255).astype(np.uint8)
    apex = onset.copy()
    truth = np.zeros((len(clips), 2, 56, 56), np.float16)
    for index, label in enumerate(labels):
        rows = slice(70 * label, 70 * label + 70)
        apex[index, :, rows] = np.roll(onset[index, :, rows], 2, axis=-1)
        truth[index, 0, rows.start // 4 : rows.stop // 4] = 2
    frames = np.stack(
        [
            np.stack([cv2.resize(x.transpose(1, 2, 0), (112, 112)).transpose(2, 0, 1) for x in pair])
            for pair in zip(onset, apex, strict=True)
        ]
    )
    arrays = {
        "onset": onset,
        "apex": apex,
        "frames": np.repeat(frames, 4, axis=1),
        "times": np.tile(np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32), (len(clips), 1)),
        "flow": np.repeat(np.repeat(truth, 4, axis=2), 4, axis=3),
        "landmarks": rng.uniform(40, 180, (len(clips), 68, 2)).astype(np.float32),
        "alignment": np.tile(np.eye(2, 3, dtype=np.float32), (len(clips), 1, 1)),
        "truth": truth,
    }
    return Prepared("smic", "synthetic", "megc3", clips, ("negative", "positive", "surprise"), labels, arrays, "pixels")
