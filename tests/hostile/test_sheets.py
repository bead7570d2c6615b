"""Owners' sheets."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable

import pytest
from openpyxl import load_workbook

from tests.conftest import Cli
from tests.data.made_sheets import renamed, text, xls
from tests.hostile import refused
from tests.hostile.conftest import HEADER, ROWS, Copy, write_sheet

Spoil = Callable[[Copy], object]


def rows(*wanted: tuple[object, ...]) -> Spoil:
    return lambda copy: write_sheet(copy.sheet, list(wanted))


def cell(row: int, column: int, value: object) -> Spoil:
    """Change one cell; row 1 is the header."""

    def spoil(copy: Copy) -> None:
        table = [list(each) for each in (HEADER, *ROWS)]
        table[row - 1][column] = value
        write_sheet(copy.sheet, [tuple(each) for each in table])

    return spoil


def content(made: Callable[[bytes], bytes]) -> Spoil:
    return lambda copy: copy.sheet.write_bytes(made(copy.sheet.read_bytes()))


def part(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    """Change one part of the workbook's archive."""

    def spoil(copy: Copy) -> None:
        old, made = zipfile.ZipFile(io.BytesIO(copy.sheet.read_bytes())), io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
            for info in old.infolist():
                new.writestr(info.filename, change(old.read(info)) if info.filename == name else old.read(info))
        copy.sheet.write_bytes(made.getvalue())

    return spoil


def merged(copy: Copy) -> None:
    book = load_workbook(copy.sheet)
    book.active.merge_cells("C2:C3")
    book.save(copy.sheet)


def formula(copy: Copy) -> None:
    book = load_workbook(copy.sheet)
    book.active["D3"] = "=C3+10"
    book.save(copy.sheet)


def zipped(copy: Copy) -> None:
    with zipfile.ZipFile(copy.sheet, "w") as archive:
        archive.writestr("notes.txt", "no workbook")


SHEET = "xl/worksheets/sheet1.xml"
ENTITY = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'

CASES: dict[str, tuple[Spoil, str, str]] = {
    "a column is missing": (cell(1, 3, "Peak"), "lacks the column ApexFrame", "give the column its name back"),
    "a column stands twice": (rows((*HEADER, "OnsetFrame"), *((*row, 99) for row in ROWS)), "OnsetFrame stands", "take the column out"),
    "a formula never computed": (formula, "row 3", "correct it"),
    "merged cells": (merged, "row 3", "correct it"),
    "a date for a number": (cell(2, 2, dt.date(2014, 5, 8)), "row 2", "correct it"),
    "text for a number": (cell(4, 4, "thirty"), "offset: 'thirty'", "correct it"),
    "truth for a number": (cell(2, 2, True), "onset: 'True'", "correct it"),
    "a number with underscores": (cell(2, 2, "1_0"), "onset: '1_0'", "correct it"),
    "a number of another script": (cell(2, 2, "\u0661\u0660"), "row 2", "correct it"),
    "an enormous number": (cell(3, 2, "9" * 5000), "row 3", "correct it"),
    "a fraction": (cell(2, 3, 20.5), "apex: '20.5'", "correct it"),
    "frames out of order": (cell(2, 4, 5), "row 2", "correct it"),
    "two rows that contradict each other": (rows(HEADER, *ROWS, (*ROWS[0][:2], 11, 20, 30, "fear")), "twice", "correct it"),
    "a clip without a row": (rows(HEADER, *ROWS[:2]), "EP02_31", "is the copy complete"),
    "no header": (rows(*ROWS), "no cell says 'Subject'", "owner's sheet"),
    "an empty sheet": (rows(), "no cell says 'Subject'", "owner's sheet"),
    "nothing in it": (content(lambda _: b""), "cannot be read", "fetch it again"),
    "cut off": (content(lambda raw: raw[: len(raw) // 2]), "cannot be read", "fetch it again"),
    "an archive of something else": (zipped, "cannot be read", "fetch it again"),
    "with a password": (content(lambda _: renamed(xls([HEADER, *ROWS]), "EncryptedPackage")), "password", "without a password"),
    "an old .doc": (content(lambda _: renamed(xls([HEADER, *ROWS]), "WordDocument")), "another kind of document", "save it as .xlsx"),
    "an old .xls cut off": (content(lambda _: xls([HEADER, *ROWS])[:3000]), "cannot be read", "fetch it again"),
    "a web page": (content(lambda _: b"<!DOCTYPE html><html>404</html>"), "a web page", "fetch it again"),
    "text that breaks off in a quote": (content(lambda _: text([HEADER, *ROWS]) + b'"12'), "cannot be read", "fetch it again"),
    "a cell longer than Excel's": (
        content(lambda _: text([HEADER, *ROWS, ("x" * 40_000,)])),
        "more than 32,767 characters",
        "fetch it again",
    ),
    "text with a wrong number": (
        content(lambda _: text([HEADER, (*ROWS[0][:3], "1,234", *ROWS[0][4:])])),
        "apex: '1,234'",
        "correct",
    ),
    "entities that grow": (part(SHEET, lambda raw: ENTITY + raw), f"{SHEET} has a DOCTYPE", "fetch it again"),
    "entities from a file": (part(SHEET, lambda raw: OUTSIDE + raw), f"{SHEET} has a DOCTYPE", "fetch it again"),
    "markup cut off": (part(SHEET, lambda raw: raw[:-40]), "cannot be read", "fetch it again"),
    "a style that is not there": (part("xl/styles.xml", lambda _: b"<styleSheet/"), "cannot be read", "fetch it again"),
    "escape sequences in a cell": (cell(2, 2, "_x001b_[2J\u202e1"), "row 2", "correct it"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_sheet(copy: Copy, cli: Cli, name: str) -> None:
    spoil, place, remedy = CASES[name]
    spoil(copy)
    refused(cli("prepare", "casme2", "--source", "frames", "--scheme", "megc3"), file=copy.sheet.name, place=place, remedy=remedy)


def test_the_sheet_that_is_spoilt_here_is_good(copy: Copy, cli: Cli) -> None:
    found = cli("data", "set", "casme2", str(copy.root))
    assert (found.code, "3 of 255 clips" in found.out) == (0, True), found.err


@pytest.mark.parametrize("form", [xls, text])
def test_an_old_workbook_and_text_under_its_name_are_good_too(copy: Copy, cli: Cli, form: Callable[..., bytes]) -> None:
    copy.sheet.write_bytes(form([HEADER, *ROWS]))
    found = cli("data", "set", "casme2", str(copy.root))
    assert (found.code, "3 of 255 clips" in found.out) == (0, True), found.err
