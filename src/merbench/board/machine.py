"""What may decide bits on a machine: its processor and the versions of what computes. A baseline says on which it was made."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
from pathlib import Path

from merbench import guard
from merbench.board import archive
from merbench.errors import UserError
from merbench.hardware import processor
from merbench.results import DECISIVE

PLATFORM = "platform.yaml"

PREPARING = ("opencv-contrib-python-headless", "dlib-bin", "face-recognition-models", "timm")
"""Packages beside `merbench.results.DECISIVE` that have a hand in what is learnt from, or in a network."""

LARGEST = 2**16
"""Bytes of ``platform.yaml``."""


def here() -> dict[str, str]:
    """Return this machine's processor, its Python and the versions of what computes."""
    versions = {}
    for name in (*DECISIVE, *PREPARING):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    name, instructions = processor()
    return {"processor": name, "instructions": instructions, "python": ".".join(platform.python_version_tuple()[:2]), **versions}


def unlike(folder: Path) -> str:
    """Return how this machine differs from that on which a baseline was made; empty where it does not.

    Raises:
        UserError: the baseline does not say where it was made.
    """
    path = folder / PLATFORM
    try:
        there = {str(name): str(value) for name, value in guard.parse_table(guard.read(path, LARGEST)).items()}
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UserError(f"a baseline cannot be read: {reason}", where=path, remedy="make it anew: merbench check --update") from error
    now = here()
    return ", ".join(
        f"{name} {there.get(name, '-')} there, {now.get(name, '-')} here"
        for name in sorted(there.keys() | now.keys())
        if there.get(name) != now.get(name)
    )


def write(folder: Path) -> None:
    """Write beside a baseline where it was made.

    Raises:
        UserError: the file cannot be written.
    """
    text = "# Where the archives beside this file were made: here their bits must come again.\n"
    content = text + "".join(f"{name}: {json.dumps(value)}\n" for name, value in here().items())
    archive.put(content.encode(), folder / PLATFORM, "make the folder writable, or name another: --baseline")
