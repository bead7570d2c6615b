"""A user's own table of apexes, for clips whose sheet gives none or another."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from merbench import guard
from merbench.data import cells, databases
from merbench.errors import UserError
from merbench.settings import APEXES

COLUMNS = ("subject", "clip", "apex")
LARGEST = 2**24
"""Bytes of the table."""


def table(path: Path | None) -> dict[str, int]:
    """Return the apex of each clip by its key.

    Args:
        path: of a CSV with the columns ``subject`` (with its database, ``smic/s01``), ``clip`` and ``apex``; other columns are passed over.

    Raises:
        UserError: there is none, or it is no such table; the line is named.
    """
    if path is None:
        raise UserError("no table of apexes is set", where="--apex table", remedy=f"merbench data set {APEXES} FILE.csv")
    found: dict[str, int] = {}
    line = 1
    try:
        reader = csv.DictReader(io.StringIO(guard.read(path, LARGEST).decode("utf-8-sig"), newline=""), strict=True)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError(f"its columns are {', '.join(reader.fieldnames or ())[:200]}; {', '.join(COLUMNS)} are wanted")
        for row in reader:
            line = reader.line_num
            subject, clip, apex = ((row[column] or "").strip() for column in COLUMNS)
            database, slash, name = subject.partition("/")
            if not slash or database not in databases.known():
                raise ValueError(f"'{subject[:40]}' is no subject with its database, such as smic/s01")
            number = cells.frame(apex)
            if number is None:
                raise ValueError("it gives no apex")
            key = "/".join(guard.plain(each) for each in (database, name, clip))
            if key in found:
                raise ValueError(f"{key} stands there twice")
            found[key] = number
        if not found:
            raise ValueError("it has no clip")
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(
            f"the table of apexes cannot be read: {reason}",
            where=f"{path}, line {line}",
            remedy=f"write {','.join(COLUMNS)} and a line a clip",
        ) from error
    return found
