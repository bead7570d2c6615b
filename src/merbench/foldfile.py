"""Fold files: what one fold of one seed leaves, written whole and renamed. One that exists is finished."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from merbench.errors import UserError

FORMAT = 1
"""Of the fold file; raised when its columns or metadata change."""


@dataclass(frozen=True)
class FoldResult:
    """What one fold of one seed leaves.

    Attributes:
        subject: who was held out.
        seed: seed index.
        clips: n keys of the held-out clips.
        labels: (n,) true class indices.
        classes: class names.
        epochs: (E,) recorded epochs of the last stage, from 1.
        probabilities: (E, n, classes) float32.
        curve: losses by stage and part, one mean an epoch.
        weights: SHA-256 of the trained weights.
        environment: engine, device type and versions.
        measures: what else the method tells of its held-out clips, by name, one number a clip.
    """

    subject: str
    seed: int
    clips: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    epochs: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    curve: Mapping[str, Mapping[str, list[float]]]
    weights: str
    environment: Mapping[str, str]
    measures: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``casme2--sub01--s0``."""
        return fold_name(self.subject, self.seed)


def fold_name(subject: str, seed: int) -> str:
    """Return a fold's file name without its ending."""
    return f"{subject.replace('/', '--')}--s{seed}"


def write(path: Path, content: bytes) -> None:
    """Write a file whole: beside it, flushed to disk, renamed. A kill leaves the old file or the new one."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # two machines that share a disk may have equal process numbers
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}")


def remove_unfinished(*folders: Path) -> None:
    """Remove what killed writers left of folds, request and provenance. Whoever calls holds the lock that they held.

    Raises:
        OSError: the disk refuses.
    """
    for folder in folders:
        for path in folder.iterdir():
            if UNFINISHED.fullmatch(path.name) and not path.name.startswith(".summary."):  # a summary is written without the lock
                path.unlink(missing_ok=True)


def write_fold(path: Path, result: FoldResult) -> None:
    """Write a fold file: one row per epoch and held-out clip, with ``clip``, ``epoch``, ``label`` and ``p_<class>``."""
    epochs, clips = len(result.epochs), len(result.clips)
    columns: dict[str, Any] = {
        "clip": pa.array(list(result.clips) * epochs, pa.string()),
        "epoch": pa.array(np.repeat(result.epochs, clips), pa.int32()),
        "label": pa.array(np.tile(result.labels, epochs), pa.int8()),
    }
    for index, name in enumerate(result.classes):
        columns[f"p_{name}"] = pa.array(np.ascontiguousarray(result.probabilities[:, :, index]).ravel(), pa.float32())
    about = {
        "format": FORMAT,
        "subject": result.subject,
        "seed": result.seed,
        "classes": result.classes,
        "weights": result.weights,
        "environment": dict(result.environment),
        "curve": result.curve,
        **({"measures": dict(result.measures)} if result.measures else {}),
    }
    table = pa.table(columns).replace_schema_metadata({"merbench": json.dumps(about, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write(path, sink.getvalue().to_pybytes())


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a fold file says of itself.

    Raises:
        UserError: it is no fold file of this format.
    """
    try:
        about = json.loads((pq.read_schema(path).metadata or {})[b"merbench"])
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, this version reads {FORMAT}")
        return dict(about)
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_fold(path: Path) -> FoldResult:
    """Read a fold file.

    Raises:
        UserError: it is damaged.
    """
    about = read_metadata(path)
    try:
        table = pq.read_table(path)
        epoch, clip = table["epoch"].to_numpy(), table["clip"].to_pylist()
        epochs = np.unique(epoch).astype(np.int32)
        count = len(clip) // len(epochs)
        shape = (len(epochs), count)
        probabilities = np.stack([table[f"p_{name}"].to_numpy().reshape(shape) for name in about["classes"]], axis=-1)
        if clip != clip[:count] * len(epochs) or not np.array_equal(epoch, np.repeat(epochs, count)):
            raise ValueError("its rows are not ordered by epoch and clip")
        labels = table["label"].to_numpy()[:count].astype(np.int64)
        if not (np.isfinite(probabilities).all() and ((labels >= 0) & (labels < len(about["classes"]))).all()):
            raise ValueError("a probability is not finite, or a label is no class")
        return FoldResult(
            subject=about["subject"],
            seed=about["seed"],
            clips=tuple(clip[:count]),
            labels=labels,
            classes=tuple(about["classes"]),
            epochs=epochs,
            probabilities=probabilities,
            curve=about["curve"],
            weights=about["weights"],
            environment=about["environment"],
            measures=about.get("measures", {}),
        )
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return UserError(
        f"a fold file cannot be read: {reason}",
        where=path,
        remedy="delete it and run the same command again: only this fold is trained",
    )
