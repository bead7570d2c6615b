"""Files that may be workbooks: known by content, and each that is not by a message of its own."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from merbench.data import compound, workbooks
from merbench.errors import UserError
from tests.data.made_sheets import Rows, text, xls, xlsx

ROWS: Rows = [("Subject", "Apex"), ("\u5f20", 7)]
READ = [("Subject", "Apex"), ("\u5f20", "7")]


def biff2() -> bytes:
    """What Excel 2 wrote, without a compound file around it."""

    def record(code: int, data: bytes) -> bytes:
        return struct.pack("<HH", code, len(data)) + data

    def label(row: int, column: int, words: str) -> bytes:
        return record(0x04, struct.pack("<HH3sB", row, column, bytes(3), len(words)) + words.encode())

    number = record(0x03, struct.pack("<HH3sd", 1, 1, bytes(3), 7.0)) + record(0x02, struct.pack("<HH3sH", 1, 2, bytes(3), 46))
    return record(0x09, struct.pack("<HH", 2, 0x10)) + label(0, 0, "Subject") + label(1, 0, "01") + number + record(0x0A, b"")


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.csv"])
@pytest.mark.parametrize(
    "content", [xlsx(ROWS), xls(ROWS), text(ROWS), text(ROWS, ";"), text(ROWS, "\t", "utf-16"), text(ROWS, code="gb18030")]
)
def test_the_name_does_not_matter(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert READ in workbooks.read(tmp_path / name)


def test_a_workbook_of_excel_2(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_bytes(biff2())
    assert workbooks.read(tmp_path / "a.xls") == [[("Subject",), ("01", "7", "46")]]


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return made.getvalue()


def renamed(raw: bytes, name: str) -> bytes:
    """Give the stream of an .xls another name."""
    place = raw.index("Workbook\0".encode("utf-16-le"))
    return raw[:place] + f"{name}\0".encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2) + raw[place + 66 :]


def strict() -> bytes:
    old, made = zipfile.ZipFile(io.BytesIO(xlsx(ROWS))), io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(
                name,
                part.replace(
                    b"http://schemas.openxmlformats.org/spreadsheetml/2006/main", b"http://purl.oclc.org/ooxml/spreadsheetml/main"
                ),
            )
    return made.getvalue()


OTHERS = {
    "of a password": (renamed(xls(ROWS), "EncryptedPackage"), "protected by a password"),
    "of a password, and old": (xls(ROWS).replace(struct.pack("<HH", 0x42, 2), struct.pack("<HH", 0x2F, 2), 1), "protected by a password"),
    "a .doc": (renamed(xls(ROWS), "WordDocument"), "another kind of document"),
    "OpenDocument": (zipped("mimetype", "content.xml"), "an OpenDocument"),
    "binary": (zipped("xl/workbook.bin"), "an .xlsb"),
    "strict": (strict(), "'Strict Open XML'"),
    "a web page": (b"\n<!DOCTYPE html><html><body>Sign in, please</body></html>", "a web page or XML"),
    "a table as HTML": (b"<table><tr><td>Subject</td></tr></table>", "a web page or XML"),
    "XML of 2003": (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "a web page or XML"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of git LFS"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "neither a workbook nor a text"),
    "prose": (b"see the paper", "neither a workbook nor a text with columns"),
    "nothing": (b"", "it is empty"),
    "a quote that is not closed": (b'Subject,Apex\n"1,7\n2,8\n', "unexpected end of data"),
    "UTF-16 cut off": (text(ROWS, code="utf-16")[:-1], "neither a workbook nor a text"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_sheet_is_told_by_what_it_is(tmp_path: Path, name: str) -> None:
    path, (content, what) = tmp_path / "a.xls", OTHERS[name]
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        workbooks.read(path)
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_a_long_sheet_is_not_taken_for_a_large_one(tmp_path: Path) -> None:
    """Empty cells to the right of each row were counted: 10,000 rows were too many."""
    (tmp_path / "a.xlsx").write_bytes(xlsx([("Subject", "Apex")] * 12_000))
    assert len(workbooks.read(tmp_path / "a.xlsx")[0]) == 12_000


def test_a_folder_by_the_name_of_a_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.xls").mkdir()
    with pytest.raises(UserError, match="no file but a folder"):
        workbooks.read(tmp_path / "a.xls")


def test_streams_of_every_size_are_those_that_were_written(tmp_path: Path) -> None:
    """Long ones lie in sectors, and above 7 MB their table in sectors of its own."""
    for size in (4_000, 100_000, 7_800_000):
        raw = xls([[f"{number:06}" * 200 for number in range(place, place + 10)] for place in range(0, size // 1200, 10)] or [["x"]])
        found = compound.streams(raw)
        assert list(found) == ["Workbook"]
        assert found["Workbook"].startswith(b"\x09\x08")
        assert len(found["Workbook"]) > 0.9 * size


def test_small_streams(tmp_path: Path) -> None:
    """Below 4,096 bytes they share sectors; few writers make a workbook so small, so this one is put together by hand."""
    words, free = b"a small stream" * 9, b"\xff" * 4

    def entry(name: str, kind: int, child: int, first: int, length: int) -> bytes:
        head = name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<HBB", 2 * len(name) + 2, kind, 1)
        return head + struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, child) + bytes(36) + struct.pack("<IQ", first, length)

    folder = entry("Root Entry", 5, 1, 3, 128) + entry("Workbook", 2, 0xFFFFFFFF, 0, len(words))
    table = struct.pack("<4I", 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFE, 0xFFFFFFFE).ljust(512, b"\xff")
    small = struct.pack("<2I", 1, 0xFFFFFFFE).ljust(512, b"\xff")
    head = compound.MAGIC + bytes(16) + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + bytes(14)
    head += struct.pack("<7I", 1, 0, 4096, 2, 1, 0xFFFFFFFE, 0) + struct.pack("<I", 0) + free * 108
    assert compound.streams(head + table + folder.ljust(512, b"\0") + small + words.ljust(512, b"\0")) == {"Workbook": words}
