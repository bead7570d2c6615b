"""Folders of published flow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from merbench.settings import variable
from tests.conftest import Cli, write_flat
from tests.hostile import refused
from tests.hostile.test_images import png

FIRST = "s01_s01_ne_01 .png"
NOISE = np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8)
Spoil = Callable[[Path], object]


@pytest.fixture(scope="session")
def smic_flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flat(tmp_path_factory.mktemp("smic") / "flow", ("smic",))


@pytest.fixture
def flow(smic_flow: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of SMIC's images to spoil."""
    shutil.copytree(smic_flow, bare / "flow")
    monkeypatch.setenv(variable("published-flow"), str(bare / "flow"))
    return bare / "flow"


def image(shape: tuple[int, ...], kind: type = np.uint8) -> Spoil:
    return lambda flow: cv2.imwrite(str(flow / FIRST), np.zeros(shape, kind))


def content(raw: bytes) -> Spoil:
    return lambda flow: (flow / FIRST).write_bytes(raw)


def instead(make: Callable[[Path], object]) -> Spoil:
    """Put something else under the name of the first image."""
    return lambda flow: ((flow / FIRST).unlink(), make(flow / FIRST))


def both_layouts(flow: Path) -> None:
    (flow / "s01" / "u_test" / "0").mkdir(parents=True)
    shutil.copy(flow / FIRST, flow / "s01" / "u_test" / "0" / FIRST)


def folds(label: str, subject: str = "s01") -> Spoil:
    def spoil(flow: Path) -> None:
        folder = flow.parent / "folds" / subject / "u_test" / label
        folder.mkdir(parents=True)
        shutil.move(flow / FIRST, folder / FIRST)
        shutil.rmtree(flow)
        (flow.parent / "folds").rename(flow)

    return spoil


def outside(flow: Path) -> None:
    shutil.move(flow / FIRST, flow.parent / "elsewhere.png")
    (flow / FIRST).symlink_to(flow.parent / "elsewhere.png")


def emptied(flow: Path) -> None:
    shutil.rmtree(flow)
    flow.mkdir()


CASES: dict[str, tuple[Spoil, str, str]] = {
    "a lost image": (lambda flow: (flow / FIRST).unlink(), "smic/s01/s01_ne_01", "add the images"),
    "an empty image": (content(b""), "it is empty", "fetch it again"),
    "a bomb": (content(png(60_000, 60_000, pixels=bytes(100))), "60,000 x 60,000", "fetch it again"),
    "nothing but zeros": (content(b"\x89PNG\r\n\x1a\n" + bytes(2**20)), "0 x 0", "fetch it again"),
    "half an image": (lambda flow: os.truncate(flow / FIRST, 100), "cut off", "fetch it again"),
    "28 x 29 pixels": (image((29, 28, 3)), "29 x 28 x 3", "another data set"),
    "grey": (image((28, 28)), "28 x 28 uint8", "another data set"),
    "with transparency": (image((28, 28, 4)), "28 x 28 x 4", "another data set"),
    "16 bits": (image((28, 28, 3), np.uint16), "uint16", "another data set"),
    "a JPEG under the name of a PNG": (content(bytes(cv2.imencode(".jpg", NOISE)[1])), "no PNG", "fetch it again"),
    "a folder": (instead(Path.mkdir), "no file", "fetch it again"),
    "a pipe": (instead(os.mkfifo), "no file", "fetch it again"),
    "a link in a circle": (instead(lambda path: path.symlink_to(path)), "symbolic links", "fetch it again"),
    "a link that leads out": (outside, f"elsewhere: {FIRST}", "take these files out"),
    "an unknown clip": (
        lambda flow: shutil.copy(flow / FIRST, flow / "s99_s99_ne_01.png"),
        "unknown: s99_s99_ne_01.png",
        "take these files out",
    ),
    "a clip twice": (
        lambda flow: shutil.copy(flow / FIRST, flow / "S01_S01_NE_01.PNG"),
        "doubled: smic/s01/s01_ne_01",
        "take these files out",
    ),
    "both layouts": (both_layouts, "both layouts at once", "take one of them out"),
    "another class": (folds("2"), "class folder 2, not 0", "take these files out"),
    "another subject": (folds("0", "s02"), "another subject", "take these files out"),
    "nothing": (emptied, "holds no flow image", "point at the folder"),
    "a name that moves the cursor": (
        lambda flow: (flow / "\x1b[2J\nmerbench: done.png").touch(),
        "\\x1b[2J\\nmerbench",
        "take these files out",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_folder(flow: Path, cli: Cli, name: str) -> None:
    spoil, place, remedy = CASES[name]
    spoil(flow)
    refused(cli("bench", "prior", "--on", "smic", "--source", "published-flow"), file=flow, place=place, remedy=remedy)
    assert not list(Path().rglob("*.parquet"))
