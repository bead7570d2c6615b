"""A small copy of CASME II to spoil, and small finished runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from openpyxl import Workbook

from merbench.config import shipped
from merbench.data import classes, copies, manifest, schemes
from merbench.data.schemes import Scheme
from merbench.results import Run
from merbench.settings import variable
from tests.board.test_rows import make_run

settings.register_profile(
    "hostile", derandomize=True, max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("torture", settings.get_profile("hostile"), max_examples=1000)

CLIPS = ("casme2/sub02/EP01_11f", "casme2/sub02/EP09_01", "casme2/sub06/EP02_31")
HEADER = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
ROWS = tuple((key.split("/")[1][3:], key.split("/")[2], 10, 20, 30, "happiness") for key in CLIPS)


def write_sheet(path: Path, rows: list[tuple[object, ...]]) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    book.save(path)


@dataclass(frozen=True)
class Copy:
    """Three clips of CASME II as its owners deliver them, frames of noise."""

    root: Path

    @property
    def sheet(self) -> Path:
        return self.root / "CASME2-coding-20140508.xlsx"

    @property
    def frame(self) -> Path:
        """The first onset."""
        return self.clip / "img10.png"

    @property
    def clip(self) -> Path:
        return self.root / "CASME2_RAW_selected" / "sub02" / "EP01_11f"


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("casme2") / "copy"
    for key in CLIPS:
        folder = root / "CASME2_RAW_selected" / key.partition("/")[2]
        folder.mkdir(parents=True)
        for number in (10, 15, 20, 25, 30):
            cv2.imwrite(str(folder / f"img{number}.png"), np.random.default_rng(number).integers(0, 256, (24, 32, 3)).astype(np.uint8))
    write_sheet(Copy(root).sheet, [HEADER, *ROWS])
    return root


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme of these clips alone."""
    whole = schemes.scheme("megc3")
    clips = tuple(clip for clip in whole.clips if clip.key in CLIPS)
    small = Scheme("megc3", whole.classes, clips, {clip.key: whole.labels[clip.key] for clip in clips}, "these tests")
    monkeypatch.setattr(schemes, "scheme", lambda name: small)


@pytest.fixture
def copy(noise: Path, bare: Path, few: None, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A copy to spoil; it is set up as frames of CASME II."""
    root = bare / "casme2"
    shutil.copytree(noise, root)
    monkeypatch.setenv(variable("casme2"), str(root))
    return Copy(root)


@pytest.fixture
def manifests(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of data_manifests to spoil."""
    folder = here / "data_manifests"
    shutil.copytree(shipped("data_manifests"), folder)
    for module in (classes, manifest):
        monkeypatch.setattr(module, "shipped", lambda _: folder)
    remembered = (manifest.megc2019, classes.tables, copies.corrections)
    for each in remembered:
        each.cache_clear()
    yield folder
    for each in remembered:
        each.cache_clear()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs on the same clips, made by hand: ``example`` and ``other``."""
    root = tmp_path_factory.mktemp("finished") / "runs"
    make_run(root, "example", epochs=2)
    make_run(root, "other", epochs=2, quality=0.9)
    return root


@dataclass(frozen=True)
class Runs:
    """A copy of two finished runs, of which the first is to be spoilt."""

    root: Path

    @property
    def run(self) -> Run:
        return Run(next(self.root.glob("*/*/example/*")))

    @property
    def other(self) -> Run:
        return Run(next(self.root.glob("*/*/other/*")))


@pytest.fixture
def runs(finished: Path, bare: Path) -> Runs:
    shutil.copytree(finished, bare / "runs")
    return Runs(Path("runs"))
