"""docs/add-a-database.md: its file and its table are all that a further database costs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from merbench.config import Data, shipped
from merbench.data import classes, databases, doctor, load, manifest, schemes, sources
from merbench.errors import UserError
from tests.data.made_sheets import xlsx

PAGE = Path(__file__).parents[2] / "docs" / "add-a-database.md"
COUNTS = {"happiness": 36, "surprise": 89, "disgust": 72, "fear": 16, "sadness": 13, "anger": 8, "others": 66}


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A merbench with the two blocks of the page in it."""
    text = PAGE.read_text(encoding="utf-8")
    (file,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (table,) = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mmew.py").write_text(file, encoding="utf-8")
    manifests = Path(shutil.copytree(shipped("data_manifests"), tmp_path / "data_manifests"))
    (manifests / "classes" / "mmew.csv").write_text(table, encoding="utf-8")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path / "sources")])
    for module in (classes, manifest):
        monkeypatch.setattr(module, "shipped", lambda _: manifests)
    databases.known.cache_clear()
    classes.tables.cache_clear()
    yield
    sys.modules.pop("merbench.data.sources.mmew", None)
    databases.known.cache_clear()
    classes.tables.cache_clear()


@pytest.fixture
def mmew(tmp_path: Path) -> Path:
    """All 300 clips of three frames each, in the layout of the page."""
    root = tmp_path / "a copy"
    picture = bytes(cv2.imencode(".jpg", np.zeros((1080, 1920, 3), np.uint8))[1])
    rows: list[list[str | int | None]] = [
        ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion", "remarks"]
    ]
    root.mkdir()
    (root / "picture.jpg").write_bytes(picture)
    emotions = [emotion for emotion, count in COUNTS.items() for _ in range(count)]
    for index, emotion in enumerate(emotions):
        name = f"S{index % 30 + 1:02d}-01-{index:03d}"
        folder = root / "MMEW_Final" / "Micro_Expression" / emotion / name
        folder.mkdir(parents=True)
        for number in (1, 5, 9):
            (folder / f"{number}.jpg").hardlink_to(root / "picture.jpg")
        rows.append([f"S{index % 30 + 1:02d}", name, 1, 5, 9, "4+L7", emotion, None])
    (root / "MMEW_Micro_Exp.xlsx").write_bytes(xlsx(rows))
    return root


def test_the_page_adds_a_database(added: None, mmew: Path) -> None:
    assert "mmew" in databases.known()
    assert schemes.databases("mmew-6") == ("mmew",)
    assert databases.databases_of("mmew") == ("mmew",)
    found = doctor.examine("mmew", mmew, read=False)
    assert (found.rows, found.found, found.subjects, found.well) == (300, 300, 30, True)
    assert found.classes == COUNTS
    assert found.fits == {"mmew-6": []}
    part = load.part(Data("mmew", "frames"), "mmew-6", "mmew", mmew)
    assert len(part.footage) == 234
    assert part.footage[0].clip.units == ("4", "L7")
    assert {each.clip.subject.split("/")[0] for each in part.footage} == {"mmew"}


def test_its_counts_are_pinned(added: None, mmew: Path) -> None:
    (mmew / "MMEW_Micro_Exp.xlsx").unlink()
    rows: list[list[str | int | None]] = [["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion"]]
    rows.append(["S01", "S01-01-000", 1, 5, 9, "happiness"])
    (mmew / "any name.xlsx").write_bytes(xlsx(rows))
    with pytest.raises(UserError, match="happiness: 1 clips, not 36"):
        load.part(Data("mmew", "frames"), "mmew-6", "mmew", mmew)
