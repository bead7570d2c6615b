"""Workbooks of Excel 2 to 2003 (``.xls``), read by xlrd.

xlrd trusts its file: names are formulas that it computes, counts are believed, a string may move it back. So it is given a copy in
which every record but those of cells and their formats is made unknown to it, after those have been counted.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import xlrd
from xlrd.xldate import xldate_as_datetime

STARTS = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
"""Of a workbook without a compound file around it."""

LARGEST = 2**23
"""Bytes; the owners' have less than one million."""

SHEETS = 100
SHORT = 600
"""Bytes of a number's format; xlrd looks for its brackets in a time that grows with the square."""

BOF, SHEET, SST, CONTINUE, FORMATS, MULRK, PASSWORD = (0x009, 0x209, 0x409, 0x809), 0x85, 0xFC, 0x3C, (0x1E, 0x41E), 0xBD, 0x2F
CELLS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x27E, 0xD6, 0xFD, 0x203, 0x204, 0x205, 0x206, 0x406, MULRK)
"""INTEGER, NUMBER, LABEL, BOOLERR, FORMULA, RK, RSTRING, LABELSST, in their versions."""
BESIDE = (0x07, 0x207, 0x21, 0x221, 0x36, 0x37, 0x236, 0x4BC)
"""STRING, which a FORMULA gave, and what may stand between the two: ARRAY, TABLEOP, SHRFMLA."""
BOOK = (0x0A, 0x22, 0x42, 0x43, 0x44, 0x243, 0x443, 0xE0)
"""EOF, DATEMODE, CODEPAGE, XF, IXFE."""
KNOWN = frozenset((*BOF, SHEET, SST, CONTINUE, *FORMATS, PASSWORD, *CELLS, *BESIDE, *BOOK))
UNKNOWN = 0xFFFF


class ProtectedError(ValueError):
    """The workbook cannot be read without its password."""


def sheets(stream: bytes, most: int) -> Iterator[list[list[object]]]:
    """Yield the cells of each sheet: text, numbers, truths and dates; an error is its text (``#N/A``).

    Args:
        stream: records from the first BOF on.
        most: so many cells, empty ones before the last of a row included.

    Raises:
        ProtectedError: there is a password.
        ValueError, LookupError, AssertionError, struct.error, xlrd.XLRDError: it is damaged, or larger.
    """
    book = xlrd.open_workbook(file_contents=_tamed(stream, most), logfile=io.StringIO(), on_demand=True, ragged_rows=True)
    for number in range(book.nsheets):
        sheet = book.sheet_by_index(number)
        yield [
            [_value(kind, value, book.datemode) for kind, value in zip(sheet.row_types(row), sheet.row_values(row), strict=True)]
            for row in range(sheet.nrows)
        ]
        if book.on_demand:
            book.unload_sheet(number)


def _value(kind: int, value: object, datemode: int) -> object:
    if kind == xlrd.XL_CELL_DATE and isinstance(value, float):
        try:
            return xldate_as_datetime(value, datemode)
        except (ValueError, OverflowError):
            return "#VALUE!"
    if kind == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(value, "#VALUE!"))
    return bool(value) if kind == xlrd.XL_CELL_BOOLEAN else value


def _tamed(stream: bytes, most: int) -> bytes:
    """Return the records that are read here, the others made unknown.

    Raises:
        ValueError: there are too many cells or sheets, or a sheet begins where none does.
    """
    tamed, starts, begins, widths, cells = bytearray(stream), set(), [], dict[int, int](), 0
    place, strings = 0, list[bytes]()
    while place + 4 <= len(stream):
        code, length = struct.unpack_from("<HH", stream, place)
        data = stream[place + 4 : place + 4 + length]
        if strings and code != CONTINUE:
            _check_strings(strings)
            strings = []
        if code in BOF:
            starts.add(place)
            cells += sum(widths.values())
            widths = {}
        elif code == PASSWORD:
            raise ProtectedError("it has a password")
        elif code == SHEET and len(data) > 4:
            begins.append(struct.unpack_from("<I", data)[0])
        elif code == SST or strings:
            strings.append(data)
        elif code in CELLS and len(data) > 5:
            row, column = struct.unpack_from("<HH", data)
            widths[row] = max(widths.get(row, 0), column + 1 + (len(data) // 6 if code == MULRK else 0))
        if code not in KNOWN or (code in FORMATS and length > SHORT):
            struct.pack_into("<H", tamed, place, UNKNOWN)
        place += 4 + length
    if strings:
        _check_strings(strings)
    if cells + sum(widths.values()) > most:
        raise ValueError(f"it has more than {most:,} cells")
    if len(begins) > SHEETS or len(set(begins)) < len(begins) or not starts.issuperset(begins):
        raise ValueError("its sheets do not begin where it says")
    return bytes(tamed)


def _check_strings(parts: list[bytes]) -> None:
    """Walk through the strings that cells share, as xlrd does.

    Raises:
        ValueError: what is said of a string's pronunciation would move the reader back.
        IndexError, struct.error: there are fewer than are told.
    """
    (count,) = struct.unpack_from("<i", parts[0], 4)
    part, place = 0, 8
    for _ in range(count):
        length, options = struct.unpack_from("<HB", parts[part], place)
        place += 3
        runs = sound = 0
        if options & 8:
            (runs,) = struct.unpack_from("<H", parts[part], place)
            place += 2
        if options & 4:
            (sound,) = struct.unpack_from("<i", parts[part], place)
            place += 4
        if sound < 0:
            raise ValueError("a shared text has a negative length")
        while True:
            width = 2 if options & 1 else 1
            here = min(max(0, len(parts[part]) - place) // width, length)
            place, length = place + here * width, length - here
            if not length:
                break
            part, place = part + 1, 1
            options = parts[part][0]
        for _ in range(runs):
            if place >= len(parts[part]):
                part, place = part + 1, 0
                if not parts[part]:
                    raise ValueError("a shared text is cut off")
            place += 4
        place += sound
        if place >= len(parts[part]):
            place -= len(parts[part])
            part += 1
