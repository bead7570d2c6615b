"""A file's bytes to columns, by what is in them and never by the file's name. Nothing in a file is executed."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import re
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from merbench import guard
from merbench.board.foreign import logs
from merbench.board.foreign.columns import Cell, Columns, roles
from merbench.board.foreign.literal import parse
from merbench.board.foreign.predictions import MOST_ROWS
from merbench.board.foreign.shapes import columns as shaped
from merbench.errors import UserError

LARGEST = 2**26
"""Bytes of a file: 1,768,000 rows of a CSV with 35 characters each."""

UNPACKED = 2**28
"""Bytes of a parquet file's columns."""

MOST_COLUMNS = 1000

ABOVE = 200
"""Lines of comment, of Excel's ``sep=;``, or empty, above a table."""

DIGITS = 20
"""Of a whole number."""

EXAMPLE = "a CSV with the columns subject,clip,truth,pred is always read; docs/score.md shows all forms"

PICKLES = "pickles run code when they are opened, so they never are; write the same as CSV or JSON"

BINARY: tuple[tuple[bytes, str, str], ...] = (
    *((bytes((0x80, protocol)), "a pickle", PICKLES) for protocol in (2, 3, 4, 5)),
    (b"PK\x03\x04", "a zip archive (.npz and .pt are such)", "write arrays and tensors as CSV or JSON"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"\x93NUMPY", "a numpy array", "write it as CSV with a column of subjects"),
    (b"\x89HDF", "an HDF5 file", "write it as CSV or parquet"),
    (b"MATLAB", "a MATLAB file", "write it as CSV: writetable"),
    (b"\x1f\x8b", "packed with gzip", "unpack it"),
)
"""How files begin that are whole and not read, what they are, and what to do."""

WORKBOOK = b"xl/workbook.xml"
"""The part that every .xlsx has; its name stands unpacked in the archive."""

WITHOUT = re.compile("correctnum:|has the accuracy:")
"""In the logs of MMNet and of the RCNs."""

COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}[mK]")
"""Of a terminal, kept in a log."""

CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read(path: Path | None, stdin: BinaryIO | None = None) -> Columns:
    """Return what a file holds.

    Args:
        path: of the file; None for standard input.
        stdin: where the latter is read.

    Raises:
        UserError: it cannot be read, is too long, or has no predictions in a form that is known.
    """
    where = path if path is not None else "standard input"
    try:
        if path is None:
            assert stdin is not None, "one of the two is given"
            content = stdin.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(f"it is longer than {LARGEST:,} bytes")
        else:
            content = guard.read(path, LARGEST)
        return columns(content)
    except FAULTS as error:
        raise refused(error, where) from error


class OtherKindError(Exception):
    """What the file is instead, and what to do."""


FAULTS = (OSError, OtherKindError, ValueError, RecursionError, csv.Error, pa.ArrowException, OverflowError)
"""What `columns` raises, and reading a file."""


def refused(error: BaseException, where: object) -> UserError:
    """Return what a user is told of one of the `FAULTS`."""
    if isinstance(error, OtherKindError):
        return UserError(f"the file is {error.args[0]}", where=where, remedy=error.args[1])
    if isinstance(error, OSError):
        why, remedy = error.strerror or str(error), "name a file, or - for standard input"
    else:
        why = "it is too deep" if isinstance(error, RecursionError) else next(iter(str(error).splitlines()), "")[:400]
        remedy = EXAMPLE
    return UserError(f"predictions cannot be read: {why or type(error).__name__}", where=where, remedy=remedy)


def columns(content: bytes) -> Columns:
    """Return the columns of a file's bytes.

    Raises:
        ValueError, OtherKindError, and others of `FAULTS`: no form is recognised, or the one that is has a fault.
    """
    if not content.strip():
        raise ValueError("it is empty")
    if content.startswith(b"PAR1"):
        return _parquet(content)
    if content.startswith(b"PK\x03\x04") and WORKBOOK in content:
        return _workbook(content)
    for start, what, remedy in BINARY:
        if content.startswith(start):
            raise OtherKindError(what, remedy)
    text = _text(content)
    if text.lstrip()[0] not in "[{":
        found = _delimited(text) or _log(text)
        if found is None:
            raise ValueError(_unknown(text))
        return found
    try:
        return _json(text)
    except ValueError as error:  # a log may begin with a bracket too
        found = _log(text)
        if found is None:
            raise ValueError(_unknown(text, str(error))) from error
        return found


def _log(text: str) -> Columns | None:
    """Return what a printed log holds; None where it is none."""
    return logs.of_subjects(text) or logs.of_pairs(text) or logs.of_clips(text) or logs.of_dictionary(text)


def _unknown(text: str, reason: str = "") -> str:
    """Return why no form is recognised."""
    if WITHOUT.search(text):
        return "this log has how many clips of each subject were right, but not which class each was given; let the script print both lists"
    first = next(line.strip() for line in text.splitlines() if line.strip())
    return reason or _lacking(text) or f"no form is recognised; it begins '{first[:80]}'"


def _lacking(text: str) -> str:
    """Return what a table's header lacks, and which of its columns say nothing; empty where the line below has other cells: it is a log."""
    lines, number = _head(text)
    below = next((line for line in lines[number + 1 :] if line.strip()), lines[number])
    for separator in SEPARATORS:
        many = lines[number].count(separator) >= MOST_COLUMNS
        try:
            cells = [line.split(separator)[:MOST_COLUMNS] if many else _cells(line, separator) for line in (lines[number], below)]
        except csv.Error:  # longer than any cell is
            continue
        head = [cell for cell in cells[0] if cell]
        known = roles(head) if len(set(head)) == len(head) > 1 and len(cells[0]) == len(cells[1]) else None
        if known is None or not known.named:
            continue
        if many:
            return f"its header has more than {MOST_COLUMNS:,} columns"
        classes = known.classes if len(known.classes) > 1 else {}
        there = {*known.named, *(["predicted"] if classes else [])}
        absent = [told for role, told in (("truth", "true"), ("predicted", "predicted")) if role not in there]
        understood = {*known.named.values(), *classes.values(), *itertools.chain(*known.passed.values())}
        strange = [f"'{name[:40]}'" for name in head if name not in understood][:10]
        of = f"; {', '.join(strange)} {'is' if len(strange) == 1 else 'are'} not known" if strange else ""
        return f"its header names no column of {' and none of '.join(absent)} classes{of}"
    return ""


def _text(content: bytes) -> str:
    """Return text in UTF-8, or in UTF-16 as a Windows console redirects it; a sign that is not UTF-8 is replaced."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    control = CONTROL.search(text)
    if control:
        raise ValueError(f"it is no text: a sign of code {ord(control[0])} stands at place {control.start():,}")
    text = COLOUR.sub("", text) if "\x1b" in text else text
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _json(text: str) -> Columns:
    """Return what JSON, lines of JSON, or a printed Python value holds."""
    try:
        return shaped(json.loads(text, object_pairs_hook=_once, parse_int=_whole), "JSON")
    except json.JSONDecodeError as error:
        fault = error
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines):
        try:
            return shaped([json.loads(line, object_pairs_hook=_once, parse_int=_whole) for line in lines], "lines of JSON")
        except json.JSONDecodeError as error:
            fault = error
    try:
        value, end = parse(text)
    except ValueError as error:
        raise ValueError(
            f"it is neither JSON (line {fault.lineno}: {fault.msg}) nor a printed Python list or dictionary ({error})"
        ) from error
    if text[end:].strip():
        raise ValueError(f"something follows the dictionary: '{text[end:].strip()[:40]}'")
    return logs.printed(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key '{twice[:60]}' stands there twice")
    return table


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _delimited(text: str) -> Columns | None:
    """Return a table of text with a header; None where the first line names no true and predicted classes."""
    lines, number = _head(text)
    line, above = lines[number], sum(len(each) + 1 for each in lines[:number])
    for separator, name in SEPARATORS.items():
        if separator not in line or line.count(separator) >= MOST_COLUMNS:
            continue
        head = _cells(line, separator)
        if roles(head).enough:
            return _table(text[above:], separator, head, f"CSV, separated by {name}s", number + 1)
    return None


def _head(text: str) -> tuple[list[str], int]:
    """Return the first lines of a text, and which of them a table's header would be."""
    lines = text.split("\n", ABOVE)[:ABOVE]
    return lines, next((number for number, line in enumerate(lines) if line.strip() and not line.startswith(("#", "sep="))), 0)


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def _table(text: str, separator: str, head: list[str], form: str, first: int) -> Columns:
    if text.count("\n") > MOST_ROWS + ABOVE:
        raise ValueError(f"it has more than {MOST_ROWS:,} rows")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    next(reader)
    wanted, rows = len(head), []
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != wanted:
            raise ValueError(f"line {first + reader.line_num - 1} has {len(row)} cells, its header {wanted}")
        rows.append(row)
    cells: dict[str, list[Cell]] = {}
    for place, name in enumerate(head):
        if name in cells:
            raise ValueError(f"two columns are called '{name[:40]}'")
        if name:
            cells[name] = [row[place].strip() for row in rows]
    return Columns(form, cells)


def _workbook(content: bytes) -> Columns:
    """Return the first sheet of an .xlsx that has a header with true and predicted classes."""
    from merbench.data import workbooks  # here, so that what is no workbook is scored without openpyxl

    try:
        sheets = workbooks.sheets(content)
    except workbooks.DAMAGED as error:
        raise ValueError(
            f"a workbook is damaged or too large: {next(iter(str(error).splitlines()), '') or type(error).__name__}"
        ) from error
    for rows in sheets:
        first = next((place for place, row in enumerate(rows[:ABOVE]) if roles([*row]).enough), None)
        if first is None:
            continue
        head = rows[first]
        names = [name for name in head if name]
        if len(set(names)) < len(names):
            raise ValueError("two columns of a sheet are called alike")
        below = [row + ("",) * (len(head) - len(row)) for row in rows[first + 1 :] if any(row)]
        return Columns("workbook", {name: [row[place] for row in below] for place, name in enumerate(head) if name})
    raise ValueError("no sheet of the workbook has a header with true and predicted classes")


def _parquet(content: bytes) -> Columns:
    file = pq.ParquetFile(pa.BufferReader(content))
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    names = file.schema_arrow.names
    if not 0 < metadata.num_rows <= MOST_ROWS or sum(group.num_rows for group in groups) != metadata.num_rows:
        raise ValueError(f"it has {metadata.num_rows:,} rows; from 1 to {MOST_ROWS:,} are scored")
    if len(names) > MOST_COLUMNS or len(set(names)) < len(names):
        raise ValueError("it has a column twice, or too many")
    found = roles(names)
    wanted = [*found.named.values(), *found.classes.values()]
    sizes = [group.column(index) for group in groups for index in range(group.num_columns)]
    if sum(size.total_uncompressed_size for size in sizes) > UNPACKED:
        raise ValueError(f"unpacked it has more than {UNPACKED:,} bytes")
    if not found.enough:
        return Columns("parquet", {name: [] for name in names})  # what is missing is told where columns are understood
    words = [name for name in wanted if _is_text(file.schema_arrow.field(name).type)]
    strange = [name for name in wanted if name not in words and not _is_number(file.schema_arrow.field(name).type)]
    if strange:
        kind = str(file.schema_arrow.field(strange[0]).type)[:40]
        raise ValueError(f"the column '{strange[0][:40]}' is of the type {kind}, neither words nor numbers")
    table = pq.ParquetFile(pa.BufferReader(content), read_dictionary=words).read(columns=wanted, use_threads=False)
    return Columns("parquet", {name: _looked_up(table[name]) if name in words else _filled(table[name].to_pylist()) for name in wanted})


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _looked_up(column: pa.ChunkedArray) -> list[Cell]:
    """Return the words of a column; a long one that many rows share is one in memory too."""
    cells: list[Cell] = []
    for chunk in column.chunks:
        coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        words = coded.dictionary.to_pylist()
        cells += ["" if place is None else words[place] for place in coded.indices.to_pylist()]
    return cells


def _filled(cells: list[Cell | None]) -> list[Cell]:
    return ["" if cell is None else cell for cell in cells]
