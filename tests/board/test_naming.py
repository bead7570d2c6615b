"""Which run is meant by what somebody calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from merbench.board import naming, rows
from merbench.errors import UserError
from tests.board.test_rows import make_run
from tests.conftest import Cli


def test_the_latest_version_is_meant(tmp_path: Path) -> None:
    older, newer = make_run(tmp_path, "same"), make_run(tmp_path, "same", version=2)
    assert naming.find(tmp_path, "same").path == newer.path
    assert naming.find(tmp_path, older.path.name).path == older.path


def test_of_several_with_a_name_what_fits_is_meant(tmp_path: Path) -> None:
    one, other = make_run(tmp_path, "same"), make_run(tmp_path, "same", preset="quick")
    with pytest.raises(UserError, match="2 runs are called or begin with 'same'") as told:
        naming.find(tmp_path, "same")
    for run, preset in ((one, "full"), (other, "quick")):
        assert f"{run.path.name[:8]}  same on smic+casme2, published-flow, megc3, loso, {preset}, 1 seed, method version 1" in str(
            told.value
        )
    assert naming.find(tmp_path, "same", lambda run: run.path == other.path).path == other.path
    with pytest.raises(UserError, match="and none of them fits"):
        naming.find(tmp_path, "same", lambda _: False)


def test_a_method_is_enough_where_one_run_is_of_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, "changed", changes=("c=3",), arguments={"c": 3})
    assert naming.find(tmp_path, "changed").path == naming.find(tmp_path, "changed[c=3]").path == run.path
    plain = make_run(tmp_path, "changed")
    assert naming.find(tmp_path, "changed").path == plain.path


def test_two_names_mean_the_pair_of_one_table(tmp_path: Path, cli: Cli) -> None:
    a, b = (make_run(tmp_path, "a", preset=preset) for preset in ("full", "quick"))
    c = make_run(tmp_path, "c")
    assert [run.path for run in naming.find_two(tmp_path, "a", "c")] == [a.path, c.path]
    assert [run.path for run in naming.find_two(tmp_path, "c", b.path.name)] == [c.path, b.path], "said by its key, presets may differ"
    assert [run.path for run in naming.find_two(tmp_path, str(b.path), "c")] == [b.path, c.path]
    assert [run.path for run in naming.find_two(tmp_path, "c", "c")] == [c.path, c.path]
    make_run(tmp_path, "c", preset="quick")
    with pytest.raises(UserError, match="2 runs are called or begin with 'a'"):
        naming.find_two(tmp_path, "a", "c")
    found = cli("compare", "a", c.path.name, "--runs", str(tmp_path))
    assert found.code == 0
    assert f"a ({a.path.name[:8]}) against c ({c.path.name[:8]})" in found.out


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    for index in range(naming.MOST + 2):
        make_run(tmp_path, f"m{index}")
    with pytest.raises(UserError, match="and 2 more: merbench leaderboard"):
        naming.find(tmp_path, "nobody")


def test_what_is_not_finished_supersedes_nothing(tmp_path: Path) -> None:
    """The board ranks the older run as long as the newer has no seed with all its folds."""
    older, newer, other = make_run(tmp_path, "same"), make_run(tmp_path, "same", version=2), make_run(tmp_path, "other")
    next((newer.path / "folds").iterdir()).unlink()
    with pytest.raises(UserError, match=f"{newer.path.name[:8]}  same on .*, full, not finished, method version 2"):
        naming.find(tmp_path, "same")
    assert [run.path for run in naming.find_two(tmp_path, "same", "other")] == [older.path, other.path]


def test_a_run_is_one_however_its_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its whole path it stood beside itself, as the only pair on the same clips."""
    monkeypatch.chdir(tmp_path)
    one, other = (make_run(Path("runs"), "same", preset=preset) for preset in ("full", "quick"))
    found = naming.find_two(Path("runs"), str(one.path.absolute()), "same")
    assert [run.path.name for run in found] == [one.path.name, other.path.name]


def test_a_run_named_from_inside_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row lost the method's name, which the whole board then lacked."""
    run = make_run(tmp_path)
    for folder, named in ((run.path.parent, run.path.name), (run.path, ".")):
        monkeypatch.chdir(folder)
        (folder / "summary.json").unlink(missing_ok=True)
        found = naming.find(Path("runs"), named)
        assert rows.row_of(found).path == "/".join(run.path.parts[-4:])
