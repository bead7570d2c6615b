"""Old workbooks, damaged and made to be opened by a victim: one message, soon, and nothing printed."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xlwt.CompoundDoc import XlsDoc

from merbench.data import compound, oldbooks, sheets
from merbench.errors import UserError
from tests.data.made_sheets import xls
from tests.hostile.conftest import HEADER, ROWS

GOOD = xls([("notes",), HEADER, *ROWS], [("other",)])
STREAM = compound.streams(GOOD)["Workbook"]
SECONDS, MIB = 20, 300
"""What reading may take, several times what the worst of these takes."""


def answered(path: Path, content: bytes) -> list[sheets.Row] | None:
    """Return the rows, or None where the file is refused as one that cannot be read or is no sheet."""
    path.write_bytes(content)
    try:
        return sheets.read(path, HEADER)
    except UserError as error:
        told = error
    assert told.where.startswith(str(path))
    assert told.remedy
    return None


def test_a_workbook_cut_off_anywhere_is_refused_or_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.xls"
    whole = answered(path, GOOD)
    assert whole
    found = [answered(path, GOOD[:length]) for length in range(0, len(GOOD), 61)]
    assert all(rows in (None, whole) for rows in found)
    assert found.count(None) > len(found) * 0.9
    assert all(answered(path, STREAM[:length]) in (None, whole) for length in range(0, len(STREAM), 31))
    assert capfd.readouterr() == ("", "")


@settings(settings.get_profile("hostile"), max_examples=300)
@given(edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8), bare=st.booleans())
def test_bytes_changed_anywhere(tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]], bare: bool) -> None:
    """A number may change unseen, for the format has no sums; nothing but a message or rows comes of it."""
    content = bytearray(STREAM if bare else GOOD)
    for place, byte in edits:
        content[place % len(content)] = byte
    answered(tmp_path_factory.getbasetemp() / "flipped.xls", bytes(content))


# made on purpose


def record(code: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", code, len(data)) + data


BOOK, SHEET = (record(0x809, struct.pack("<HHHHII", 0x600, kind, 3515, 1996, 0, 0)) for kind in (5, 0x10))
EOF = record(0x0A)


def book(before: bytes, *tables: bytes, begins: int | None = None) -> bytes:
    """A workbook of these records in its head and these sheets."""
    entry = 4 + 6 + 4
    start = len(BOOK) + len(before) + entry * len(tables) + len(EOF)
    head, body = BOOK + before, b""
    for table in tables:
        place = start + len(body) if begins is None else begins
        head += record(0x85, struct.pack("<IBBBB", place, 0, 0, 2, 0) + b"ab")
        body += SHEET + table + EOF
    return head + EOF + body


def strings(count: int, each: bytes) -> bytes:
    return record(0xFC, struct.pack("<ii", count, count) + each)


def label(row: int, column: int, place: int) -> bytes:
    return record(0xFD, struct.pack("<HHHi", row, column, 0, place))


def circle_of_folders() -> bytes:
    place = GOOD.index("Workbook\0".encode("utf-16-le"))
    return GOOD[: place + 68] + struct.pack("<II", 1, 1) + GOOD[place + 76 :]


def circle_of_sectors() -> bytes:
    (table,) = struct.unpack_from("<I", GOOD, 76)
    place = 512 * (table + 1)
    return GOOD[:place] + struct.pack("<I", 0) + GOOD[place + 4 :]


def circle_of_tables() -> bytes:
    return GOOD[:68] + struct.pack("<II", 0, 1) + GOOD[76 : 512 + 508] + struct.pack("<I", 0) + GOOD[1024:]


def names_that_double() -> bytes:
    """A name that is another twice, forty times: xlrd joins them all."""

    def name(number: int, formula: bytes) -> bytes:
        return record(0x18, struct.pack("<HBBHHH4BBB", 0, 0, 1, len(formula), 0, 0, 0, 0, 0, 0, 0, 65 + number % 26) + formula)

    text = b"\x17\x08\x00" + b"12345678"
    twice = [b"".join(b"\x43" + struct.pack("<HH", number, 0) for _ in range(2)) + b"\x08" for number in range(1, 40)]
    return book(name(0, text) + b"".join(name(number, formula) for number, formula in enumerate(twice, start=1)), label(0, 0, 0))


LONG = b"\xff\x7f\x00" + b"x" * 0x7FFF
HOSTILE: dict[str, Callable[[], bytes]] = {
    "folders in a circle": circle_of_folders,
    "sectors in a circle": circle_of_sectors,
    "tables in a circle": circle_of_tables,
    "a .doc without streams": lambda: compound.MAGIC + bytes(4000),
    "names that double": names_that_double,
    "two thousand million strings": lambda: book(strings(2**31 - 1, b"\x01\x00\x00a")),
    "strings that go back": lambda: book(strings(2**31 - 1, b"\x01\x00\x04" + struct.pack("<i", -8) + b"a")),
    "less than no strings": lambda: book(strings(-5, b"\x01\x00\x00a")),
    "one string in every cell": lambda: book(strings(1, LONG), b"".join(label(row, 1, 0) for row in range(60_000))),
    "cells at the far end of each row": lambda: book(strings(1, LONG), b"".join(label(row, 255, 0) for row in range(60_000))),
    "one sheet a hundred times": lambda: book(b"", *[b""] * 90, begins=len(BOOK)),
    "five thousand sheets": lambda: book(b"", *[b""] * 5000),
    "a sheet within a record": lambda: book(record(0xEB, SHEET * 50), b"", begins=len(BOOK) + 4),
    "a sheet before the beginning": lambda: book(b"", b"", begins=2**32 - 8),
    "sheets without ends": lambda: book(b"") + SHEET * 200_000,
    "formats of brackets": lambda: book(b"".join(record(0x41E, struct.pack("<HHB", 200, 8000, 0) + b"[" * 8000) for _ in range(500)), b""),
    "formats and cells of them": lambda: book(
        record(0xE0, struct.pack("<HH", 0, 14) + bytes(16)), record(0x203, struct.pack("<HHHd", 0, 0, 0, 1e300))
    ),
    "a million records of nothing": lambda: book(b"", record(0x201) * 1_000_000),
    "more bytes than any": lambda: BOOK + bytes(oldbooks.LARGEST),
    "a workspace of Excel 4": lambda: record(0x409, struct.pack("<HHH", 0, 0x100, 0)) + record(0x8F, struct.pack("<i", -40) + b"\x01a"),
    "in a compound file": lambda: wrapped(names_that_double()),
}


def wrapped(stream: bytes) -> bytes:
    made = io.BytesIO()
    XlsDoc().save(made, stream)
    return made.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_workbook_is_answered_soon_and_small(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    content = HOSTILE[name]()
    tracemalloc.start()
    begun = time.process_time()
    try:
        assert not answered(tmp_path / "a.xls", content)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < SECONDS
    assert peak < MIB
    assert capfd.readouterr() == ("", "")


def test_what_is_hostile_here_is_made_as_workbooks_are(tmp_path: Path) -> None:
    cells = [label(1, column, column) for column in range(len(HEADER))]
    table = b"".join(struct.pack("<HB", len(name), 0) + name.encode() for name in HEADER)
    below = label(2, 0, 0) + record(0x203, struct.pack("<HHHd", 2, 2, 0, 46.0))
    made = book(strings(len(HEADER), table), b"".join(cells) + below)
    for content in (made, wrapped(made)):
        found = answered(tmp_path / "a.xls", content)
        assert found
        assert (found[0]["Subject"], found[0]["OnsetFrame"], found[0]["row"]) == ("Subject", "46", "3")
