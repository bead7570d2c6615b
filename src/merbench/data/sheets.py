"""Owners' annotation sheets: a table found in a workbook by its header, cells as text and numbers."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from merbench import guard
from merbench.errors import UserError
from merbench.sample import Clip

Key = TypeVar("Key", str, tuple[str, str])
DAMAGED = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, SyntaxError, NotImplementedError, RuntimeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, InvalidFileException),
)
"""What openpyxl raises on a workbook with bytes lost or changed."""

LARGEST, ROWS, CELLS = 2**26, 100_000, 2_000_000
"""Bytes of a workbook, packed and unpacked; rows and cells of all its sheets. The longest owner's sheet has 4,206 rows."""

COLUMNS = 200
"""Of a sheet that are read; no owner's has more than 20."""

PROTECTED = b"\xd0\xcf\x11\xe0"
"""How an .xls begins, and an .xlsx with a password."""

FRAME_NUMBER = re.compile(r"[0-9]{1,12}(\.0*)?")

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
        content = guard.read(path, LARGEST)
        if content.startswith(PROTECTED):
            raise UserError(
                "an annotation sheet is protected by a password, or an old .xls",
                where=path,
                remedy="open it, save it as .xlsx without a password",
            )
        sheets = _sheets(content)
    except DAMAGED as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(
            f"an annotation sheet cannot be read: {reason}", where=path, remedy="fetch it again: it is cut off or no .xlsx"
        ) from error
    for cells in sheets:
        for number, header in enumerate(cells):
            if any(_plain(cell) == "subject" for cell in header):
                return _rows(path, columns, header, cells[number + 1 :], first=number + 2)
    raise UserError("an annotation sheet has no header row: no cell says 'Subject'", where=path, remedy="is this the owner's sheet?")


def _sheets(content: bytes) -> list[list[tuple[str, ...]]]:
    """Return the cells of every sheet.

    Raises:
        ValueError: the workbook is larger than any owner's, or its parts define words of their own; and `DAMAGED`.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))
    if sum(part.file_size for part in archive.infolist()) > LARGEST:
        raise ValueError(f"unpacked it has more than {LARGEST:,} bytes")
    for part in archive.namelist():
        if part.endswith((".xml", ".rels")) and b"<!" in archive.read(part).replace(b"\0", b"").replace(b"<!--", b"").replace(
            b"<![CDATA[", b""
        ):
            raise ValueError(f"its part {part} has a DOCTYPE, which no workbook has")
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    sheets, cells = [], 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a sheet says of its size is not believed
        rows: list[tuple[str, ...]] = []
        for row in sheet.iter_rows(values_only=True, max_row=ROWS + 1, max_col=COLUMNS):
            rows.append(tuple(_text(cell) for cell in row))
            cells += len(row)
            if len(rows) > ROWS or cells > CELLS:
                raise ValueError(f"sheet '{sheet.title}' has more than {ROWS:,} rows or {CELLS:,} cells")
        sheets.append(rows)
    book.close()
    return sheets


def only(root: Path, pattern: str) -> Path:
    """Return the one workbook of this name in a database's folder or one folder below.

    Raises:
        UserError: there is none, or more than one.
    """
    found = sorted(path for depth in ("", "*/") for path in root.glob(depth + pattern) if not path.name.startswith(("~", ".")))
    if len(found) == 1:
        try:
            return guard.within(root, found[0])
        except ValueError as error:
            raise UserError(
                f"the annotation sheet is not in the database's folder: {error}", where=found[0], remedy="put the sheet itself there"
            ) from error
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
    if FRAME_NUMBER.fullmatch(row[column]):
        return int(row[column].partition(".")[0])
    raise UserError(
        f"{_quoted(row[column])} in column {column} is no frame number",
        where=f"{path}, row {row['row']}",
        remedy="correct the cell after the database's own notes",
    )


def _quoted(cell: str) -> str:
    return f"'{cell[:80]}'" if cell else "an empty cell (or a formula that was never computed)"


def _rows(path: Path, columns: Sequence[str], header: tuple[str, ...], cells: list[tuple[str, ...]], first: int) -> list[Row]:
    places = {_plain(cell): place for place, cell in enumerate(header) if cell}
    missing = [column for column in columns if _plain(column) not in places]
    if missing:
        there = ", ".join(cell for cell in header if cell)
        raise UserError(
            f"an annotation sheet lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has {there}",
            where=f"{path}, row {first - 1}",
            remedy="use the owner's own sheet, or give the column its name back",
        )
    heads = [_plain(cell) for cell in header]
    twice = [column for column in columns if heads.count(_plain(column)) > 1]
    if twice:
        raise UserError(
            f"the column{'s' if len(twice) > 1 else ''} {', '.join(twice)} stand{'' if len(twice) > 1 else 's'} in an annotation sheet twice",
            where=f"{path}, row {first - 1}",
            remedy="use the owner's own sheet, or take the column out that is not the owner's",
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
    return "" if cell is None else " ".join(str(cell).split())


def _plain(cell: str) -> str:
    return "".join(cell.split()).casefold()
