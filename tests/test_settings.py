from __future__ import annotations

from pathlib import Path

import pytest

from merbench.errors import UserError
from merbench.settings import SETTINGS, data_path, remember_data_path


def test_a_folder_is_remembered_beside_others(here: Path) -> None:
    assert data_path("published-flow") is None
    remember_data_path("other", Path("/elsewhere"))
    remember_data_path("published-flow", Path("/with spaces/und Ümläute"))
    assert data_path("published-flow") == Path("/with spaces/und Ümläute")
    assert data_path("other") == Path("/elsewhere")
    assert [path.name for path in here.iterdir()] == [SETTINGS.name]


def test_the_environment_overrules(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_data_path("published-flow", Path("/from/file"))
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", "/from/environment")
    assert data_path("published-flow") == Path("/from/environment")


def test_what_else_stands_in_the_file_is_kept(here: Path) -> None:
    SETTINGS.write_text("other: 3\n")
    remember_data_path("published-flow", Path("/a"))
    assert "other: 3" in SETTINGS.read_text()


def test_a_link_stays_a_link(here: Path) -> None:
    (here / "real.yaml").write_text("data: {}\n")
    SETTINGS.symlink_to("real.yaml")
    remember_data_path("published-flow", Path("/a"))
    assert SETTINGS.is_symlink()
    assert "/a" in (here / "real.yaml").read_text()


def test_a_folder_in_the_place_of_the_file_is_told(here: Path) -> None:
    SETTINGS.mkdir()
    with pytest.raises(UserError, match="settings cannot be read"):
        data_path("published-flow")


@pytest.mark.parametrize("text", ["data: [", "data: 3", "- a", "data: {a: 3}", "\x00", "!!python/object/apply:os.getcwd []"])
def test_a_broken_file_is_one_message_and_is_not_overwritten(here: Path, text: str) -> None:
    SETTINGS.write_text(text)
    with pytest.raises(UserError, match="settings") as caught:
        data_path("published-flow")
    assert str(here / SETTINGS) in caught.value.where
    with pytest.raises(UserError, match="settings"):
        remember_data_path("published-flow", here)
    assert SETTINGS.read_text() == text
