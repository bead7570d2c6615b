"""Workbooks in the old format ``.xls``: one sheet of text and numbers, as Excel 2 wrote it (BIFF2), which its readers still read."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from merbench.data.synthetic.sheets import Cells

BOF, EOF, CODEPAGE, NUMBER, LABEL = 0x0009, 0x000A, 0x0042, 0x0003, 0x0004
VERSION, SHEET, LATIN = 0x0002, 0x0010, 1252
PLAIN = bytes(3)
"""Attributes of a cell."""


def xls(rows: Sequence[Cells]) -> bytes:
    """Return a workbook; empty cells are left out.

    Raises:
        UnicodeEncodeError: a text has letters that this format does not know.
    """
    made = [_record(BOF, struct.pack("<HH", VERSION, SHEET)), _record(CODEPAGE, struct.pack("<H", LATIN))]
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = struct.pack("<HH", at, column) + PLAIN
            if isinstance(cell, str):
                text = cell.encode("cp1252")
                made.append(_record(LABEL, place + bytes([len(text)]) + text))
            elif cell is not None:
                made.append(_record(NUMBER, place + struct.pack("<d", cell)))
    return b"".join([*made, _record(EOF, b"")])


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content
