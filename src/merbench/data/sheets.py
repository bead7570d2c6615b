"""Owners' annotation sheets: a table found in a workbook by its header, cells as text and numbers."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from merbench.errors import UserError
from merbench.sample import Clip

Key = TypeVar("Key", str, tuple[str, str])
DAMAGED = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, SyntaxError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, InvalidFileException),
)
"""What openpyxl raises on a workbook with bytes lost or changed."""

Row = dict[str, str]
"""Cells by column as the owner names it, stripped; and ``row``, the number in the sheet, for messages."""


def table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Return the rows below the header that begins with the cell ``Subject``; notes above it and empty rows are passed over.

    Args:
        path: of an .xlsx workbook; its first sheet with such a header is read.
        columns: those that must be there. Case and blanks do not matter.

    Raises:
        UserError: it is no workbook, has no such header, or lacks a column.
    """
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = [[tuple(_text(cell) for cell in cells) for cells in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
        book.close()
    except DAMAGED as error:
        raise UserError(
            f"an annotation sheet cannot be read: {error}", where=path, remedy="fetch it again: it is cut off or no .xlsx"
        ) from error
    for cells in sheets:
        for number, header in enumerate(cells):
            if any(_plain(cell) == "subject" for cell in header):
                return _rows(path, columns, header, cells[number + 1 :], first=number + 2)
    raise UserError("an annotation sheet has no header row: no cell says 'Subject'", where=path, remedy="is this the owner's sheet?")


def only(root: Path, pattern: str) -> Path:
    """Return the one workbook of this name in a database's folder or one folder below.

    Raises:
        UserError: there is none, or more than one.
    """
    found = sorted(path for depth in ("", "*/") for path in root.glob(depth + pattern) if not path.name.startswith(("~", ".")))
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"the annotation sheet {pattern} is missing", where=root, remedy="put the owner's sheet into the database's folder")
    raise UserError(
        f"there are {len(found)} annotation sheets: {', '.join(path.name for path in found)}", where=root, remedy="leave only one in place"
    )


def keyed(rows: Iterable[Row], key_of: Callable[[Row], Key], path: Path) -> dict[Key, Row]:
    """Return the rows by their clip.

    Raises:
        UserError: a clip has two rows; both are named.
    """
    found: dict[Key, Row] = {}
    for row in rows:
        key = key_of(row)
        if key in found:
            name = key if isinstance(key, str) else " ".join(key)
            raise UserError(
                f"clip {name} has two rows, {found[key]['row']} and {row['row']}", where=path, remedy="leave the one that its owners mean"
            )
        found[key] = row
    return found


def row_of(rows: Mapping[Key, Row], key: Key, path: Path) -> Row:
    """Return the row of a clip.

    Raises:
        UserError: there is none.
    """
    if key not in rows:
        name = key if isinstance(key, str) else " ".join(key)
        raise UserError(f"clip {name} has no row", where=path, remedy="use the owner's own sheet: every clip of the scheme stands in it")
    return rows[key]


def annotated(clip: Clip, row: Row, columns: Sequence[str], path: Path) -> Clip:
    """Return the clip with what the sheet says of it.

    Args:
        clip: from the clip list.
        row: of the sheet.
        columns: names of onset, apex, offset and emotion.
        path: of the sheet.

    Raises:
        UserError: a cell is no frame number, or the numbers are not in order.
    """
    onset, apex, offset = (number(row, column, path) for column in columns[:3])
    if not onset < apex <= offset:
        raise UserError(
            f"onset {onset}, apex {apex} and offset {offset} of {clip.key} are not in order",
            where=f"{path}, row {row['row']}",
            remedy="correct the cells after the database's own notes",
        )
    return replace(clip, onset=onset, apex=apex, offset=offset, emotion=row[columns[3]])


def number(row: Row, column: str, path: Path) -> int:
    """Return a cell as a frame number.

    Raises:
        UserError: it is none; the row is named.
    """
    try:
        value = float(row[column])
        if value != int(value) or value < 0:
            raise ValueError
        return int(value)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"'{row[column]}' in column {column} is no frame number",
            where=f"{path}, row {row['row']}",
            remedy="correct the cell after the database's own notes",
        ) from error


def _rows(path: Path, columns: Sequence[str], header: tuple[str, ...], cells: list[tuple[str, ...]], first: int) -> list[Row]:
    places = {_plain(cell): place for place, cell in enumerate(header) if cell}
    missing = [column for column in columns if _plain(column) not in places]
    if missing:
        there = ", ".join(cell for cell in header if cell)
        raise UserError(
            f"an annotation sheet lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has {there}",
            where=path,
            remedy="use the owner's own sheet, or give the column its name back",
        )
    found = []
    for offset, row in enumerate(cells):
        if not any(row):
            continue
        taken = {column: row[places[_plain(column)]] if places[_plain(column)] < len(row) else "" for column in columns}
        found.append({**taken, "row": str(first + offset)})
    return found


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()


def _plain(cell: str) -> str:
    return "".join(cell.split()).casefold()
