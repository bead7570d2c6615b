"""A file's bytes to the cells of its sheets: .xlsx, old .xls, and text with columns, known by content and not by name."""

from __future__ import annotations

import csv
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import xlrd
from openpyxl import load_workbook
from openpyxl.formula.tokenizer import TokenizerError
from openpyxl.formula.translate import TranslatorError
from openpyxl.utils.exceptions import CellCoordinatesException, IllegalCharacterError, InvalidFileException, SheetTitleException
from openpyxl.worksheet.formula import ArrayFormula

from merbench import guard
from merbench.data import compound, oldbooks
from merbench.data.cells import UNSEEN
from merbench.errors import UserError

DAMAGED = (
    *(OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, SyntaxError, NotImplementedError, RuntimeError, OverflowError),
    *(AssertionError, zipfile.BadZipFile, zlib.error, struct.error, xlrd.XLRDError, csv.Error),
    *(InvalidFileException, CellCoordinatesException, IllegalCharacterError, SheetTitleException, TokenizerError, TranslatorError),
)
"""What openpyxl and xlrd raise on a workbook with bytes lost or changed."""

LARGEST, TEXT, ROWS, CELLS = 2**26, 2**24, 100_000, 2_000_000
"""Bytes of a workbook, packed and unpacked, and of a text; rows and cells of all its sheets. The longest owner's sheet has 4,206 rows."""

COLUMNS = 200
"""Of a sheet that are read; no owner's has more than 20."""

LONGEST = 32_767
"""Characters of a cell, as in Excel."""

SEPARATORS = ",;\t"
CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")
PAGE = re.compile(r"<(!doctype html|html|head|body|table|\?xml)\b", re.IGNORECASE)
POINTER = "version https://git-lfs"

Cells = list[tuple[str, ...]]


class OtherKindError(ValueError):
    """The file is whole, and a sheet may be in it, but it is not read here; the argument says what it is."""


def read(path: Path) -> list[Cells]:
    """Return the cells of every sheet as text, blanks at their ends gone, whole numbers without a fraction.

    A formula that was never computed is its own text, ``=C3+10``. Of text the columns are not known yet: each separator that may be
    meant gives a sheet of its own.

    Raises:
        UserError: it is no workbook, damaged, protected, or larger than any owner's.
    """
    try:
        return sheets(guard.read(path, LARGEST))
    except oldbooks.ProtectedError as error:
        raise UserError(
            "an annotation sheet is protected by a password", where=path, remedy="open it, save it as .xlsx without a password"
        ) from error
    except OtherKindError as error:
        raise UserError(f"an annotation sheet is {error}", where=path, remedy="open it and save it as .xlsx, or fetch it again") from error
    except DAMAGED as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        if isinstance(error, struct.error | AssertionError | IndexError):
            reason = "its parts do not fit together"
        raise UserError(
            f"an annotation sheet cannot be read: {str(reason) or type(error).__name__}",
            where=path,
            remedy="fetch it again: it is cut off or no workbook",
        ) from error


def sheets(content: bytes) -> list[Cells]:
    """Return the cells of every sheet as `read` does, out of a file's bytes.

    Raises:
        One of `DAMAGED`: it is no workbook, damaged, protected, or larger than any owner's.
    """
    if not content.strip():
        raise ValueError("it is empty")
    if content.startswith(compound.MAGIC):
        if len(content) > oldbooks.LARGEST:
            raise ValueError(f"it is an .xls of more than {oldbooks.LARGEST:,} bytes")
        parts = compound.streams(content)
        if "EncryptedPackage" in parts:
            raise oldbooks.ProtectedError("it has a password")
        stream = parts.get("Workbook") or parts.get("Book")
        if not stream:
            raise OtherKindError("no workbook but another kind of document")
        return _old(stream)
    if content.startswith(oldbooks.STARTS) and len(content) <= oldbooks.LARGEST:
        return _old(content)
    return _new(content) if content.startswith(b"PK") else _text_sheets(content)


def _old(stream: bytes) -> list[Cells]:
    text, count = _texts(), _counted()
    return [count(tuple(map(text, row[:COLUMNS])) for row in rows) for rows in oldbooks.sheets(stream, CELLS)]


def _new(content: bytes) -> list[Cells]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    if sum(part.file_size for part in archive.infolist()) > LARGEST:
        raise ValueError(f"unpacked it has more than {LARGEST:,} bytes")
    names = archive.namelist()
    if "xl/workbook.bin" in names or ("content.xml" in names and "mimetype" in names):
        raise OtherKindError("an .xlsb" if "xl/workbook.bin" in names else "an OpenDocument")
    formulas = False
    for name in names:
        if not name.endswith((".xml", ".rels")):
            continue
        part = archive.read(name)
        if b"<!" in part.replace(b"\0", b"").replace(b"<!--", b"").replace(b"<![CDATA[", b""):
            raise ValueError(f"its part {name} has a DOCTYPE, which no workbook has")
        if name == "xl/workbook.xml" and b"purl.oclc.org/ooxml" in part:
            raise OtherKindError("a 'Strict Open XML' workbook")
        formulas |= name.startswith("xl/worksheets/") and b"<f" in part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a workbook has that is not needed here
        return _filled(content) if formulas else _plain(content)


def _plain(content: bytes) -> list[Cells]:
    text, count = _texts(), _counted()
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    sheets = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a sheet says of its size is not believed
        rows = sheet.iter_rows(values_only=True, max_row=ROWS + 1)  # max_col would fill up every row to so many cells
        sheets.append(count(tuple(map(text, row[:COLUMNS])) for row in rows))
    book.close()
    return sheets


def _filled(content: bytes) -> list[Cells]:
    """Read a workbook with formulas twice: by its values, and where there is none, by the formula.

    Not every cell without a value was never computed: the value may be an empty text, and says so by its type.
    """
    text, count = _texts(), _counted()
    values, formulas = (load_workbook(io.BytesIO(content), read_only=True, data_only=only, keep_links=False) for only in (True, False))
    sheets = []
    for pair in zip(values.worksheets, formulas.worksheets, strict=True):
        for sheet in pair:
            sheet.reset_dimensions()
        rows = zip(*(sheet.iter_rows(max_row=ROWS + 1, max_col=COLUMNS) for sheet in pair), strict=True)
        sheets.append(
            count(
                tuple(
                    _formula(written.value)
                    if written.data_type == "f" and cell.value is None and cell.data_type != "str"
                    else text(cell.value)
                    for cell, written in zip(*row, strict=True)
                )
                for row in rows
            )
        )
    values.close()
    formulas.close()
    return sheets


def _formula(written: object) -> str:
    words = written.text if isinstance(written, ArrayFormula) else written
    return f"={words.removeprefix('=')[:80]}" if isinstance(words, str) else "="


def _text_sheets(content: bytes) -> list[Cells]:
    if len(content) > TEXT:
        raise ValueError(f"it is no workbook, and a text of more than {TEXT:,} bytes")
    words = _decoded(content)
    if PAGE.match(words.lstrip()):
        raise OtherKindError("a web page or XML under a workbook's name")
    if words.startswith(POINTER):
        raise OtherKindError("a pointer of git LFS in place of the file")
    found, faults = [], []
    for separator in SEPARATORS:
        if separator not in words:
            continue
        try:
            text, count = _texts(), _counted()
            lines = csv.reader(io.StringIO(words, newline=""), delimiter=separator, strict=True)
            found.append(count(tuple(map(text, line[:COLUMNS])) for line in lines))
        except csv.Error as error:
            faults.append(error)
    if found:
        return found
    raise faults[0] if faults else ValueError("it is neither a workbook nor a text with columns")


def _decoded(content: bytes) -> str:
    """Return a text in UTF-8 or UTF-16, or in the code of Chinese or Western Windows.

    Raises:
        ValueError: it is no text.
    """
    codes = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "gb18030", "cp1252")
    for code in codes:
        try:
            words = content.decode(code)
        except UnicodeDecodeError:
            continue
        if CONTROL.search(words):
            break
        return words
    raise ValueError("it is neither a workbook nor a text")


def _counted() -> Callable[[Iterable[tuple[str, ...]]], Cells]:
    """Return what collects the rows of a sheet without the empty cells at their ends, until all sheets have too many."""
    cells = 0

    def count(rows: Iterable[tuple[str, ...]]) -> Cells:
        nonlocal cells
        found: Cells = []
        for row in rows:
            last = max((place for place, cell in enumerate(row, start=1) if cell), default=0)
            found.append(row[:last])
            cells += last
            if len(found) > ROWS or cells > CELLS:
                raise ValueError(f"it has more than {ROWS:,} rows or {CELLS:,} cells")
        return found

    return count


def _texts() -> Callable[[object], str]:
    """Return what makes a text of a cell; a text that a thousand cells share is made once."""
    made: dict[str, str] = {}

    def text(cell: object) -> str:
        if cell is None:
            return ""
        if isinstance(cell, float) and cell.is_integer():
            return str(int(cell))
        written = cell if isinstance(cell, str) else str(cell)
        if written not in made:
            if len(written) > LONGEST:
                raise ValueError(f"a cell has more than {LONGEST:,} characters")
            made[written] = " ".join(written.translate(UNSEEN).split())
        return made[written]

    return text
