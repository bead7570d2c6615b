"""merbench data clean: what it shows, what it removes, and above all what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from merbench.data import leftovers, store
from merbench.data.prepared import Prepared
from tests.conftest import Cli

SOURCE = Path("prepared/synthetic")


def kinds(root: Path = store.ROOT) -> dict[str, tuple[str, bool, bool]]:
    """Return kind, whether it is held, and whether it is superseded, by name."""
    return {each.path.name: (each.kind, each.held, each.superseded) for each in leftovers.look(root)}


def tree(root: Path = store.ROOT) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.fixture
def kept(here: Path, small_faces: Prepared) -> Path:
    """A set in the store, beside which a killed process left a part of another and finished clips."""
    made = store.save(small_faces.first(3))
    dead = SOURCE / ".unfinished-0123"
    dead.mkdir()
    (dead / "onset.npy").write_bytes(b"x" * 200_000)
    Path(f"{dead}.lock").touch()
    (SOURCE / ".unfinished-4567.lock").touch()
    work = SOURCE / ".work-casme2"
    work.mkdir()
    for name in (".lock", "0a.npz", "0b.npz", ".half.npz"):
        (work / name).write_bytes(b"y" * 1000 * (name != ".lock"))
    return made


def newer(made: Path, small_faces: Prepared, count: int, flags: tuple[str, ...] = ()) -> Path:
    """Save a set of other clips, a second later."""
    some = small_faces.first(count)
    found = store.save(replace(some, clips=tuple(replace(clip, flags=flags) for clip in some.clips)))
    stat = (made / "index.json").stat()
    os.utime(found / "index.json", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    return found


def test_nothing_is_nothing(here: Path, cli: Cli) -> None:
    answer = cli("data", "clean")
    assert (answer.code, answer.out) == (0, "there is nothing in prepared/\n")
    assert not Path("prepared").exists()


def test_what_killed_processes_left_is_removed_and_the_set_is_kept(kept: Path, cli: Cli) -> None:
    before = {path: path.read_bytes() for path in kept.iterdir()}
    there = tree()
    answer = cli("data", "clean", "--dry-run")
    assert answer.code == 0
    assert tree() == there, "nothing but a look"
    assert "would remove 3 leftovers, 0.2 MB" in answer.out
    assert [line.split()[0] for line in answer.out.splitlines()[1:-1]] == [
        ".unfinished-0123",
        ".unfinished-4567.lock",
        ".work-casme2",
        kept.name,
    ]
    assert "2 clips" in answer.out, "a half is none"
    assert "3 clips" in answer.out
    assert cli("data", "clean").out.endswith("removed 3 leftovers, 0.2 MB\n")
    assert {path.name for path in SOURCE.iterdir()} == {kept.name, ".work-casme2"}
    assert [path.name for path in (SOURCE / ".work-casme2").iterdir()] == [".lock"], "of which another process may hold the file"
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    store.check_unchanged([kept])
    assert cli("data", "clean").out.endswith("removed nothing\n")


def test_what_a_process_holds_is_left_alone(kept: Path, cli: Cli) -> None:
    there = tree()
    with FileLock(SOURCE / ".work-casme2/.lock"), FileLock(SOURCE / ".unfinished-0123.lock"), FileLock(SOURCE / ".unfinished-4567.lock"):
        answer = cli("data", "clean", "--all", "--yes")
        assert answer.out.count("a process works on it: left alone") == 3
        assert "removed 1 set, 2.5 MB" in answer.out
        assert there - tree() == {str(path) for path in map(Path, there) if kept.name in path.parts}
    assert len(leftovers.look()) == 3


def test_what_a_process_began_to_hold_meanwhile_is_left_alone(kept: Path) -> None:
    found = leftovers.look()
    there = tree()
    with FileLock(SOURCE / ".work-casme2/.lock"), FileLock(SOURCE / ".unfinished-0123.lock"):
        assert [each.path.name for each in leftovers.remove(each for each in found if each.leftover)] == [".unfinished-4567.lock"]
    assert there - tree() == {"synthetic/.unfinished-4567.lock"}


def test_no_link_is_followed(kept: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copytree(kept, outside / "set")
    (outside / "0c.npz").write_text("somebody's own")
    (outside / "lock").write_text("somebody's own")
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    for name in (".work-smic", ".unfinished-89ab", "linked"):
        (SOURCE / name).symlink_to(outside, target_is_directory=True)
    (SOURCE / "casme2-megc3-0123456789abcdef").symlink_to(outside / "set", target_is_directory=True)
    (SOURCE / ".work-casme2/0c.npz").symlink_to(outside / "0c.npz")
    (SOURCE / ".unfinished-0123/deep").symlink_to(outside, target_is_directory=True)
    (SOURCE / ".unfinished-cdef").mkdir()
    (SOURCE / ".unfinished-cdef.lock").symlink_to(outside / "lock")
    (SOURCE / ".work-samm").mkdir()
    (SOURCE / ".work-samm/0d.npz").touch()
    (SOURCE / ".work-samm/.lock").symlink_to(outside / "lock")
    (kept / "more.npy").symlink_to(outside / "0c.npz")
    assert cli("data", "clean", "--all", "--yes").code == 0
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert (SOURCE / "linked").is_symlink()
    assert (SOURCE / ".work-samm/0d.npz").exists(), "nobody can tell who holds it"
    assert not kept.exists()


def test_what_merbench_did_not_make_stays(kept: Path, cli: Cli) -> None:
    (SOURCE / "notes.txt").write_text("mine")
    Path("prepared/own/deep").mkdir(parents=True)
    Path("prepared/own/deep/picture.png").write_text("mine")
    answer = cli("data", "clean", "--all", "--yes")
    assert answer.code == 0
    assert {"synthetic/notes.txt", "own/deep/picture.png"} <= tree()
    assert "not of merbench" in answer.out


def test_an_older_set_beside_a_newer_one_is_superseded(kept: Path, small_faces: Prepared, cli: Cli) -> None:
    young = newer(kept, small_faces, 5)
    crops = newer(kept, small_faces, 4, ("face: the owner's crop",))
    found = kinds()
    assert found[kept.name] == ("set", False, True)
    assert found[young.name] == ("set", False, False)
    assert found[crops.name] == ("set", False, False), "made otherwise on purpose"
    assert "a newer one lies beside it: --sets removes it" in cli("data", "clean").out
    assert kept.is_dir()
    answer = cli("data", "clean", "--sets")
    assert answer.code == 2, "nobody can be asked here"
    assert "--yes" in answer.err
    assert kept.is_dir()
    assert "would remove 1 set" in cli("data", "clean", "--sets", "--dry-run").out
    assert "removed 1 set" in cli("data", "clean", "--sets", "--yes").out
    assert (kept.exists(), young.is_dir(), crops.is_dir()) == (False, True, True)


def test_a_damaged_set_goes_with_the_older_ones(kept: Path, cli: Cli) -> None:
    index = json.loads((kept / "index.json").read_text())
    (kept / "index.json").write_text(json.dumps({**index, "clips": 7}))
    assert kinds()[kept.name] == ("damaged set", False, True)
    cli("data", "clean")
    assert kept.is_dir()
    cli("data", "clean", "--sets", "--yes")
    assert not kept.exists()


def test_everything(kept: Path, small_faces: Prepared, cli: Cli) -> None:
    newer(kept, small_faces, 5)
    macro = store.save(replace(small_faces.first(2), on="casme3-macro"), store.ROOT / "macro")
    assert macro.is_dir()
    answer = cli("data", "clean", "--all", "--yes")  # saving had removed one dead folder already
    assert answer.code == 0
    assert "removed 2 leftovers and 3 sets" in answer.out
    assert [path for path in Path("prepared").rglob("*") if path.is_file() and path.name != ".lock"] == []


@pytest.mark.parametrize(("said", "gone"), [("y", True), ("n", False)])
def test_sets_are_asked_for(kept: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, said: str, gone: bool) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _: said == "y")
    answer = cli("data", "clean", "--all")
    assert answer.code == 0
    assert kept.exists() is not gone
    assert not (SOURCE / ".unfinished-0123").exists(), "leftovers are no question"


def test_a_kill_while_a_set_is_removed_leaves_no_set(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = [each for each in leftovers.look() if each.kind == "set"]
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(leftovers.remove([found]))
    assert store.find(store.ROOT, "synthetic", "megc3") == []
    assert not kept.exists()
    assert [each.kind for each in leftovers.look()].count("unfinished set") == 2, "what the next command removes"
    assert all(each.leftover for each in leftovers.look())


def test_a_folder_that_cannot_be_read_is_one_message(kept: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied", "prepared/synthetic")))
    answer = cli("data", "clean")
    assert answer.code == 2
    assert "cannot be looked at or removed: Permission denied" in answer.err
