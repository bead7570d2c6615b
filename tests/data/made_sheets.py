"""Sheets made for tests, in every format that is read."""

from __future__ import annotations

import csv
import datetime as dt
import io
import warnings
from collections.abc import Sequence

import xlwt
from openpyxl import Workbook

Cell = str | int | float | bool | dt.datetime | None
Rows = Sequence[Sequence[Cell]]


def xlsx(*tables: Rows, merged: str = "") -> bytes:
    """A workbook with a sheet for each table; cells may be merged (``A1:D1``)."""
    book, made = Workbook(), io.BytesIO()
    assert book.active is not None
    book.remove(book.active)
    for rows in tables or ([],):
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(list(row))
        if merged:
            sheet.merge_cells(merged)
    book.save(made)
    return made.getvalue()


def xls(*tables: Rows, merged: str = "") -> bytes:
    """The same as Excel 97 wrote it; of merged cells only the first row counts."""
    book, made = xlwt.Workbook(), io.BytesIO()
    date = xlwt.easyxf(num_format_str="D-MMM-YY")
    for number, rows in enumerate(tables):
        sheet = book.add_sheet(f"Sheet{number + 1}", cell_overwrite_ok=True)
        for place, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, dt.datetime):
                    sheet.write(place, column, cell, date)
                elif cell is not None:
                    sheet.write(place, column, cell)
        if merged:
            sheet.merge(0, 0, 0, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book.save(made)
    return made.getvalue()


def text(rows: Rows, separator: str = ",", code: str = "utf-8-sig") -> bytes:
    """The same exported as text."""
    made = io.StringIO()
    csv.writer(made, delimiter=separator).writerows(["" if cell is None else cell for cell in row] for row in rows)
    return made.getvalue().encode(code)
