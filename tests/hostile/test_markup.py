"""Workbooks whose archive is whole and whose markup is not: bytes changed within the parts, formulas and styles of every kind."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench.data import cells, sheets
from merbench.errors import UserError
from tests.data.made_sheets import xlsx
from tests.hostile.conftest import HEADER, ROWS

GOOD = xlsx([HEADER, *ROWS, (*ROWS[0][:3], "=C2+1", "=D2", "x")])
PARTS = {name: zipfile.ZipFile(io.BytesIO(GOOD)).read(name) for name in zipfile.ZipFile(io.BytesIO(GOOD)).namelist()}
SHEET = "xl/worksheets/sheet1.xml"


def packed(changed: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, part in {**PARTS, **changed}.items():
            archive.writestr(name, part)
    return made.getvalue()


def answered(path: Path, content: bytes) -> list[sheets.Row]:
    path.write_bytes(content)
    try:
        return sheets.read(path, HEADER)
    except UserError as error:
        told = error
    assert told.where.startswith(str(path))
    assert told.remedy
    return []


@settings(settings.get_profile("hostile"), max_examples=200)
@given(
    part=st.sampled_from([SHEET, SHEET, *PARTS]),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(b'0129-="<>/ AZaz:!&\0\xff')), min_size=1, max_size=5),
)
def test_bytes_changed_within_a_part(tmp_path_factory: pytest.TempPathFactory, part: str, edits: list[tuple[int, int]]) -> None:
    content = bytearray(PARTS[part])
    for place, byte in edits:
        content[place % len(content)] = byte
    answered(tmp_path_factory.getbasetemp() / "markup.xlsx", packed({part: bytes(content)}))


CELLS = {
    "a text that does not end, shared": '<c r="D2"><f t="shared" ref="D2:D3" si="0">"a</f></c></row><row r="3"><c r="D3"><f t="shared" si="0"/></c>',
    "shared with nobody": '<c r="D2"><f t="shared" si="7"/></c>',
    "of an array": '<c r="D2"><f t="array" ref="D2:D3">C2:C3</f></c>',
    "of a table of data": '<c r="D2"><f t="dataTable" ref="D2:D3" dt2D="1" r1="A1" r2="B1"/></c>',
    "without words": '<c r="D2"><f/></c>',
    "a cell of no place": '<c r="D"><v>1</v></c>',
    "a cell of place 0": '<c r="A0"><v>1</v></c>',
    "a text of no number": '<c r="D2" t="s"><v>99</v></c>',
    "a date beyond all": '<c r="D2" t="d"><v>9999999-99</v></c>',
    "a number of many digits": f'<c r="D2"><v>{"9" * 5000}</v></c>',
    "a style of no number": '<c r="D2" s="x"><v>1</v></c>',
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_another_kind(tmp_path: Path, name: str) -> None:
    head = PARTS[SHEET].partition(b"</row>")[0] + b"</row>"
    sheet = head + f'<row r="2"><c r="A2"><v>1</v></c>{CELLS[name]}</row></sheetData></worksheet>'.encode()
    for row in answered(tmp_path / "a.xlsx", packed({SHEET: sheet})):
        assert " at 0x" not in row["ApexFrame"], "no address in memory"
        try:
            assert cells.frame(row["ApexFrame"]) in (None, 1)
        except ValueError:
            assert row["ApexFrame"]
