"""What an offline run holds, read from its ``.wandb`` file: wandb itself has no reader for it any more.

The file is a log as leveldb writes it: blocks of 32 KiB, in them chunks with a checksum, a length and a kind (whole, first, middle, last);
chunks together are a record, in wandb's own protobuf message.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import struct
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

BLOCK, HEADER = 32768, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class Recorded:
    """One session of a run: its record, configuration, history, summary, the charts it has, and its exit code."""

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    exit_code: int | None = None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of history that have a value under this name."""
        return [row for row in self.history if name in row]

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of a table."""
        path = next(row[f"{name}.path"] for row in self.history if f"{name}.path" in row)
        kept = json.loads((self.folder / "files" / path).read_text())
        return [dict(zip(kept["columns"], line, strict=True)) for line in kept["data"]]


def sessions(folder: Path) -> list[Recorded]:
    """Return the offline sessions below a folder, in the order in which they were begun."""
    return [_recorded(path) for path in sorted(folder.rglob("offline-run-*/*.wandb"))]


def _recorded(path: Path) -> Recorded:
    found = Recorded(path.parent)
    for record in _records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        found.kinds.add(kind)
        if kind == "run":
            found.run = record.run
            found.config |= _values(record.run.config.update)
        elif kind == "config":
            found.config |= _values(record.config.update)
        elif kind == "history":
            found.history.append(_values(record.history.item))
        elif kind == "summary":
            found.summary |= _values(record.summary.update)
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
    return found


def _values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[Any]:
    messages, whole, at = _messages(), b"", HEADER
    assert content[:4] == b":W&B"
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:  # too little room for a chunk: it begins in the next block
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        chunk = content[at + HEADER : at + HEADER + length]
        assert kind in (WHOLE, FIRST, MIDDLE, LAST)
        at += HEADER + length
        whole = chunk if kind in (WHOLE, FIRST) else whole + chunk
        if kind in (WHOLE, LAST):
            record = messages.Record()
            record.ParseFromString(whole)
            yield record


def _messages() -> Any:
    """Return wandb's messages without importing wandb itself, which starts threads and is to be seen nowhere but in its own process."""
    spec = importlib.util.find_spec("wandb")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    bare = types.ModuleType("wandb")
    bare.__path__ = list(spec.submodule_search_locations)
    with mock.patch.dict(sys.modules, {"wandb": bare}):
        return importlib.import_module("wandb.proto.wandb_internal_pb2")
