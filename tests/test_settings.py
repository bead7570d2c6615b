from __future__ import annotations

from pathlib import Path

import pytest

from merbench.errors import UserError
from merbench.settings import SETTINGS, data_path, remember_data_path


def test_a_folder_is_remembered_beside_others(here: Path) -> None:
    assert data_path("published-flow") is None
    remember_data_path("casme2", Path("/elsewhere"))
    remember_data_path("published-flow", Path("/with spaces/und Ümläute"))
    assert data_path("published-flow") == Path("/with spaces/und Ümläute")
    assert data_path("casme2") == Path("/elsewhere")
    assert [path.name for path in here.iterdir()] == [SETTINGS.name]


def test_the_environment_overrules(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_data_path("published-flow", Path("/from/file"))
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", "/from/environment")
    assert data_path("published-flow") == Path("/from/environment")


def test_comments_stay_where_a_folder_is_remembered(here: Path) -> None:
    SETTINGS.write_text("# mine\ndata:\n  samm: /s  # on the big disk\n  casme2: /old\n# the end\n")
    remember_data_path("casme2", Path("/new: place"))
    remember_data_path("smic", Path("/smic"))
    text = SETTINGS.read_text()
    for part in ("# mine\n", "  samm: /s  # on the big disk\n", "# the end\n"):
        assert part in text
    assert [data_path(name) for name in ("smic", "casme2", "samm")] == [Path("/smic"), Path("/new: place"), Path("/s")]
    assert "/old" not in text


@pytest.mark.parametrize("text", ["data: {samm: /s}\n", "data:\n    samm: /s\n", '"data":\n  samm: /s\n'])
def test_another_way_of_writing_it_is_understood_too(here: Path, text: str) -> None:
    SETTINGS.write_text(text)
    remember_data_path("casme2", Path("/new"))
    assert (data_path("samm"), data_path("casme2")) == (Path("/s"), Path("/new"))


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
