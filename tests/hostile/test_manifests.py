"""The clip list and the pinned counts of data_manifests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.hostile import refused

Spoil = Callable[[Path], object]
HEAD = b"database,subject,clip,class\n"


def replaced(old: str, new: str) -> Spoil:
    def spoil(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


def line(number: int, text: str) -> Spoil:
    def spoil(path: Path) -> None:
        lines = path.read_text().splitlines()
        lines[number - 1] = text
        path.write_text("\n".join(lines))

    return spoil


def whole(content: bytes) -> Spoil:
    return lambda path: path.write_bytes(content)


def instead(make: Callable[[Path], object]) -> Spoil:
    return lambda path: (path.unlink(), make(path))


CASES: dict[str, tuple[Spoil, str]] = {
    "gone": (Path.unlink, "is missing"),
    "empty": (whole(b""), "line 1: columns are ; they should be"),
    "another header": (replaced("database,subject", "subject,database"), "line 1: columns are subject, database"),
    "a cell too few": (line(5, "smic,s01,negative"), "line 5: 3 cells"),
    "a cell too many": (line(5, "smic,s01,s01_ne_05,negative,0"), "line 5: 5 cells"),
    "an empty cell": (line(5, "smic,,s01_ne_05,negative"), "line 5"),
    "a clip twice": (line(3, "smic,s01,s01_ne_01,negative"), "line 3"),
    "an unknown database": (line(3, "smick,s01,s01_ne_02,negative"), "line 3"),
    "an unknown class": (line(3, "smic,s01,s01_ne_02,joy"), "line 3"),
    "up and out": (line(3, "smic,s01,../../../etc/passwd,negative"), "'../../../etc/passwd' is no name"),
    "the parent": (line(3, "smic,..,s01_ne_02,negative"), "'..' is no name"),
    "an absolute name": (line(3, "smic,s01,/etc/passwd,negative"), "'/etc/passwd' is no name"),
    "another system's separators": (line(3, "smic,s01,..\\..\\x,negative"), "is no name"),
    "a pattern": (line(3, "smic,s01,*,negative"), "characters that no name may have"),
    "a name of 300 bytes": (line(3, f"smic,s01,{'x' * 300},negative"), "300 bytes is too long"),
    "a name of two lines": (line(3, 'smic,s01,"a\nb",negative'), "line"),
    "NUL": (whole(HEAD + b"smic,s01,a\0b,negative\n"), "line"),
    "escape sequences": (line(3, "smic,s01,\x1b[2J,negative"), "line 3"),
    "a quote that never ends": (line(3, 'smic,s01,"s01_ne_02,negative'), "line"),
    "not UTF-8": (whole(HEAD + b"smic,s01,\xff\xfe,negative\n"), "position"),
    "a long line": (whole(HEAD + b"x" * 2**20), "field larger"),
    "a long file": (whole(HEAD * 2**20), "longer than"),
    "a pipe": (instead(os.mkfifo), "is missing"),
    "a folder": (instead(Path.mkdir), "is missing"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_clip_list(manifests: Path, cli: Cli, name: str) -> None:
    spoil, place = CASES[name]
    spoil(manifests / "megc2019.csv")
    refused(cli("bench", "prior", "--scheme", "megc3"), file="megc2019.csv", place=place, remedy="git checkout -- data_manifests")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("smic,negative,70,16", "smic,negative,71,16", "70 clips, not 71"),
        ("smic,negative,70,16", "smic,negative,70,17", "16 subjects, not 17"),
        ("smic,negative,70,16", "smic,negative,many,16", "no numbers"),
        ("smic,negative,70,16", f"smic,negative,{'9' * 5000},16", "no numbers"),
        ("megc3,smic,negative,70,16\n", "", "without a pinned count"),
    ],
)
def test_bad_counts(manifests: Path, cli: Cli, old: str, new: str, place: str) -> None:
    replaced(old, new)(manifests / "schemes.csv")
    refused(cli("bench", "prior", "--scheme", "megc3"), file="data_manifests", place=place, remedy="git checkout -- data_manifests")
