"""Paths and links: no name of a file leaves its root, and no path makes merbench wait or fall over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merbench import guard
from merbench.data import store
from merbench.settings import variable
from tests.conftest import Cli
from tests.hostile import refused
from tests.hostile.conftest import HEADER, ROWS, Copy, Runs, write_sheet

NAMES = [
    "..",
    ".",
    "",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "../x",
    "a\0b",
    "a\nb",
    "\x1b[2J",
    "*",
    "a?",
    "[x]",
    "x" * 300,
    " ",
    "\u202egnp.exe",
    "\udcff",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        guard.inside(tmp_path, name)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_no_name_leads_out(names: list[str]) -> None:
    root = Path("/somewhere/below")
    try:
        path = guard.inside(root, *names)
    except ValueError:
        return
    assert root in path.parents
    assert len(path.relative_to(root).parts) == len(names)


def moved(path: Callable[[Copy], Path]) -> Callable[[Copy], object]:
    """Put something outside and a link to it in its place."""

    def spoil(copy: Copy) -> None:
        there = copy.root.parent / "elsewhere"
        shutil.move(path(copy), there)
        path(copy).symlink_to(there)

    return spoil


def circle(copy: Copy) -> None:
    copy.frame.unlink()
    copy.frame.symlink_to(copy.frame)


CASES: dict[str, tuple[Callable[[Copy], object], str, str]] = {
    "a frame that is a link out": (moved(lambda copy: copy.frame), "leads out", "put the frames themselves there"),
    "a clip that is a link out": (moved(lambda copy: copy.clip), "leads out", "put the frames themselves there"),
    "a subject that is a link out": (moved(lambda copy: copy.clip.parent), "leads out", "put the frames themselves there"),
    "a sheet that is a link out": (moved(lambda copy: copy.sheet), "leads out", "put the sheet itself there"),
    "a frame in a circle": (circle, "cannot be read", "fetch it again"),
    "a number of 200 digits": (lambda copy: (copy.clip / f"img{'1' * 200}.png").touch(), "200 digits", "take this file out"),
    "two frames of one number": (lambda copy: (copy.clip / "IMG010.PNG").touch(), "number 10", "take one of them out"),
    "two sheets that disagree": (
        lambda copy: write_sheet(copy.root / "CASME2 (copy).xlsx", [HEADER, (*ROWS[0][:3], 3, *ROWS[0][4:]), *ROWS[1:]]),
        "two annotation sheets say different things of 1 clip",
        "leave the one",
    ),
    "a sheet that is a pipe": (lambda copy: (copy.sheet.unlink(), os.mkfifo(copy.sheet)), "no file", "fetch it again"),
    "a frame that is a pipe": (lambda copy: (copy.frame.unlink(), os.mkfifo(copy.frame)), "no file", "fetch it again"),
    "a frame that is a folder": (lambda copy: (copy.frame.unlink(), copy.frame.mkdir()), "no file", "fetch it again"),
    "a mark that is a pipe": (lambda copy: os.mkfifo(copy.root / "synthetic.json"), "no file", "merbench synth"),
    "a mark of another kind": (
        lambda copy: (copy.root / "synthetic.json").write_text('{"size": "../x"}'),
        "cannot be read",
        "merbench synth",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_copy_with_links_and_pipes(copy: Copy, cli: Cli, name: str) -> None:
    spoil, place, remedy = CASES[name]
    spoil(copy)
    answer = cli("prepare", "casme2", "--source", "frames", "--workers", "1")
    refused(answer, file=copy.root, place=place, remedy=remedy)


def test_a_data_root_that_is_a_link_works(copy: Copy, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = copy.root.parent / "disk"
    shutil.move(copy.root, disk)
    copy.root.symlink_to(disk)
    inner = disk / "frames on this disk too"
    shutil.move(disk / "CASME2_RAW_selected" / "sub02", inner)
    (disk / "CASME2_RAW_selected" / "sub02").symlink_to(inner)
    for path in (copy.root, disk):
        monkeypatch.delenv(variable("casme2"))
        found = cli("data", "set", "casme2", str(path))
        assert (found.code, "3 of 255 clips" in found.out) == (0, True), found.err
        monkeypatch.setenv(variable("casme2"), str(path))


INDEXES: dict[str, Callable[[dict], object]] = {  # type: ignore[type-arg]
    "an array of the parent": lambda index: index.update(arrays=["../../../secret"]),
    "an absolute array": lambda index: index.update(arrays=["/etc/passwd"]),
    "a clip of the parent": lambda index: index["clips"][0].update(name="../../x"),
    "a subject of the parent": lambda index: index["clips"][0].update(subject="smic/.."),
    "a subject of another database": lambda index: index["clips"][0].update(subject="samm/006"),
    "a number for a name": lambda index: index["clips"][0].update(name=3),
    "labels of no class": lambda index: index.update(labels=[9] * len(index["labels"])),
    "a label too few": lambda index: index.update(labels=index["labels"][1:]),
    "words for labels": lambda index: index.update(labels=["0"] * len(index["labels"])),
    "another name too many": lambda index: index.update(rank=1),
    "an enormous label": lambda index: index.update(labels=[10**30] * len(index["labels"])),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_that_leads_elsewhere(with_flow: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert cli("bench", "prior", "--on", "smic", "--workers", "1").code == 0
    (index,) = Path("prepared").rglob("index.json")
    about = json.loads(index.read_text())
    INDEXES[name](about)
    index.write_text(json.dumps(about))
    answer = cli("bench", "prior", "--on", "smic", "--workers", "1")
    refused(answer, file=index.parent, place="prepared data", remedy="delete this folder")


def test_an_array_that_is_a_link_out(with_flow: Path, cli: Cli) -> None:
    assert cli("bench", "prior", "--on", "smic", "--workers", "1").code == 0
    (array,) = Path("prepared").rglob("flow.npy")
    shutil.move(array, with_flow / "elsewhere.npy")
    array.symlink_to(with_flow / "elsewhere.npy")
    refused(cli("bench", "prior", "--on", "smic", "--workers", "1"), file=array.parent, place="leads out", remedy="delete this folder")
    assert Path("prepared") == store.ROOT


def board(cli: Cli, *words: str) -> Callable[[Path], object]:
    return lambda path: cli("leaderboard", *words, str(path))


@pytest.mark.parametrize(
    ("words", "make", "place"),
    [
        (("leaderboard", "--format", "md", "--out"), os.mkfifo, "it is a pipe"),
        (("leaderboard", "--format", "md", "--out"), os.mkdir, "Is a directory"),
        (("leaderboard", "--format", "md", "--out"), lambda path: path.symlink_to(path), "symbolic links"),
        (("leaderboard", "--format", "md", "--out"), lambda path: path.symlink_to("/dev/full"), "No space left"),
        (("leaderboard", "--runs"), Path.touch, "no folder of runs"),
        (("leaderboard", "--runs"), os.mkfifo, "no folder of runs"),
        (("leaderboard", "--runs"), lambda path: path.symlink_to("/dev/null"), "no folder of runs"),
        (("data", "set", "casme2"), os.mkfifo, "no such folder"),
        (("data", "set", "casme2"), lambda path: path.symlink_to(path), ""),
        (("bench", "prior", "--on", "smic", "--runs"), Path.touch, "results cannot be written"),
        (("bench", "prior", "--on", "smic", "--runs"), os.mkfifo, "results cannot be written"),
        (("synth", "--size", "mini"), Path.touch, ""),
    ],
)
def test_a_path_to_something_else(
    runs: Runs,
    flat_flow: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    make: Callable[[Path], object],
    place: str,
) -> None:
    monkeypatch.setenv(variable("published-flow"), str(flat_flow))
    path = Path("odd").absolute()
    make(path)
    refused(cli(*words, str(path)), file=path, place=place, remedy="")


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["y" * 200] * 30)])
@pytest.mark.parametrize(
    "words", [("data", "set", "casme2"), ("leaderboard", "--runs"), ("compare", "other"), ("bench",), ("synth", "--size", "mini")]
)
def test_a_name_that_is_too_long(runs: Runs, cli: Cli, words: tuple[str, ...], name: str) -> None:
    answer = cli(*words, name + (".py" if words == ("bench",) else ""))
    refused(answer, file=name[:50], place="", remedy="")


def test_a_device_may_be_written_to(runs: Runs, cli: Cli) -> None:
    assert cli("leaderboard", "--format", "md", "--out", "/dev/null").code == 0
