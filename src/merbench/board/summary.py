"""summary.json: a run's row, kept beside the files that it was made of. A view; it may be deleted at any time."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from merbench import guard
from merbench.foldfile import write

FILE = "summary.json"
"""In a run's folder."""

FORMAT = 12
"""Of that file; raised when a row is computed in another way."""

LARGEST = 2**24
"""Bytes of that file."""


def known(folder: Path, digest: str) -> dict[str, Any] | None:
    """Return the row that is kept in a run's folder; None where there is none, or it was edited, damaged or made of other files.

    Args:
        folder: of the run.
        digest: of its files as they are now.
    """
    try:
        found = json.loads(guard.read(folder / FILE, LARGEST))
        row: dict[str, Any] = found["row"]
        return row if found["format"] == FORMAT and found["seal"] == _seal(digest, row) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # a damaged view is made anew
        return None


def keep(folder: Path, digest: str, row: Mapping[str, Any]) -> None:
    """Write a row, in plain values, beside the files with this digest; on a read-only disk it is made anew each time."""
    with contextlib.suppress(OSError):
        write(folder / FILE, json.dumps({"format": FORMAT, "seal": _seal(digest, row), "row": row}, indent=1).encode())


def _seal(digest: str, row: Mapping[str, Any]) -> str:
    """Return a hash of a run's files and of the row made of them."""
    return hashlib.sha256((digest + json.dumps(row, sort_keys=True)).encode()).hexdigest()
