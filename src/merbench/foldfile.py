"""Fold files: what one fold of one seed leaves, written whole and renamed. One that exists is finished.

A file seals itself: a hash of its columns stands in its metadata, and a hash of the metadata beside it, so that a number that was edited
is found. Columns are not compressed: what is read is never larger than what lies on disk.
"""

from __future__ import annotations

import hashlib
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

from merbench import guard
from merbench.errors import UserError
from merbench.sample import is_of

FORMAT, FORMAT_INNER = 2, 3
"""Of the fold file; raised when its columns or metadata change. 1 had no seal; where there were inner trainings it has what they said."""

LARGEST = 2**28
"""Bytes of a fold file: 10,000 epochs of a subject with a hundred clips and seven classes are 40 MB."""

ROWS = 2_000_000
"""Epochs times clips: of one fold, as above."""


@dataclass(frozen=True)
class FoldResult:
    """What one fold of one seed leaves.

    Attributes:
        held_out: what was held out, as in `sample.Fold`: a subject or a database. The file has it under ``subject``.
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
        inner: (E, classes, classes) counts by recorded epoch, rows true, columns predicted: what inner trainings said of the training subjects
            that they left out, added up; None where there were none.
        run: key of the run, the name of its folder; filled in where the fold is written.
        plan: ``results.plan`` of the run.
    """

    held_out: str
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
    inner: NDArray[np.int64] | None = None
    run: str = ""
    plan: str = ""

    @property
    def name(self) -> str:
        """``casme2--sub01--s0``, or ``samm--s0``."""
        return fold_name(self.held_out, self.seed)


def fold_name(held_out: str, seed: int) -> str:
    """Return a fold's file name without its ending."""
    return f"{held_out.replace('/', '--')}--s{seed}"


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
        "run": result.run,
        "plan": result.plan,
        "subject": result.held_out,
        "seed": result.seed,
        "classes": list(result.classes),
        "weights": result.weights,
        "environment": dict(result.environment),
        "curve": {stage: dict(parts) for stage, parts in result.curve.items()},
        "measures": dict(result.measures),
        "columns": _columns_hash(result),
    }
    if result.inner is not None:
        about |= {"format": FORMAT_INNER, "inner": result.inner.tolist()}
    about["seal"] = _seal(about)
    table = pa.table(columns).replace_schema_metadata({"merbench": json.dumps(about, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none")
    write(path, sink.getvalue().to_pybytes())


def _columns_hash(result: FoldResult) -> str:
    """Return the SHA-256 of every number and name in the columns."""
    whole = hashlib.sha256(json.dumps([list(result.clips), list(result.classes), result.labels.tolist(), result.epochs.tolist()]).encode())
    whole.update(np.ascontiguousarray(result.probabilities, dtype="<f4").tobytes())
    return whole.hexdigest()


def _seal(about: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the metadata without the seal; the hash of the columns is among them."""
    rest = {name: value for name, value in about.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a fold file says of itself.

    Raises:
        UserError: it is no fold file of this format, or what it says of itself was changed.
    """
    try:
        return _metadata(_opened(path))
    except FAULTS as error:
        raise _unreadable(path, error) from error


def read_fold(path: Path) -> FoldResult:
    """Read a fold file.

    Raises:
        UserError: it is damaged, or was changed after it was written.
    """
    try:
        file = _opened(path)
        about = _metadata(file)
        found = _result(file.read(use_threads=False), about)  # small: a pool of threads costs more, and may end the process badly
        if _columns_hash(found) != about["columns"]:
            raise ValueError("a number or name in its columns was changed after it was written")
        return found
    except FAULTS as error:
        raise _unreadable(path, error) from error


FAULTS = (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError, pa.ArrowException)
"""What a file with bytes lost or changed raises."""

KINDS: dict[str, Any] = {
    "format": int,
    "run": str,
    "plan": str,
    "subject": str,
    "seed": int,
    "classes": list[str],
    "weights": str,
    "environment": dict[str, str],
    "curve": dict[str, dict[str, list[float]]],
    "measures": dict[str, list[Any]],
    "columns": str,
    "seal": str,
}


def _opened(path: Path) -> pq.ParquetFile:
    file = pq.ParquetFile(pa.BufferReader(guard.read(path, LARGEST)), read_dictionary=["clip"])
    metadata = file.metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != metadata.num_rows or not 0 < metadata.num_rows <= ROWS:
        raise ValueError(f"it has {metadata.num_rows:,} rows; from 1 to {ROWS:,} can be")
    if any(group.column(index).compression != "UNCOMPRESSED" for group in groups for index in range(group.num_columns)):
        raise ValueError("its columns are compressed, which no fold file of this format is")
    return file


def _metadata(file: pq.ParquetFile) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"merbench"])
    if about["format"] not in (FORMAT, FORMAT_INNER):
        raise ValueError(f"its format is {str(about['format'])[:60]}, this version reads {FORMAT} and {FORMAT_INNER}")
    guard.checked(about, KINDS | ({"inner": list[list[list[int]]]} if about["format"] == FORMAT_INNER else {}))
    if about["seal"] != _seal(about):
        raise ValueError("what it says of itself was changed after it was written")
    return about


def _result(table: pa.Table, about: dict[str, Any]) -> FoldResult:
    """Return the columns as arrays.

    Raises:
        ValueError: they are not the columns of a fold file, or hold what cannot be.
    """
    wanted = {"clip": None, "epoch": pa.int32(), "label": pa.int8(), **{f"p_{name}": pa.float32() for name in about["classes"]}}
    if table.column_names != list(wanted) or any(kind not in (None, table.schema.field(name).type) for name, kind in wanted.items()):
        raise ValueError(f"its columns are {', '.join(table.column_names)[:200]}")
    if any(column.null_count for column in table.columns):
        raise ValueError("a cell in it is empty")
    table = table.unify_dictionaries().combine_chunks()
    clip, epoch = table["clip"].chunk(0), table["epoch"].to_numpy()
    epochs = np.unique(epoch).astype(np.int32)
    count = len(epoch) // len(epochs)
    names, places = clip.dictionary.to_pylist(), clip.indices.to_numpy()
    labels = table["label"].to_numpy()[:count].astype(np.int64)
    tiled = all(np.array_equal(column, np.tile(column[:count], len(epochs))) for column in (places, table["label"].to_numpy()))
    if not tiled or not np.array_equal(epoch, np.repeat(epochs, count)):
        raise ValueError("its rows are not ordered by epoch and clip")
    clips = tuple(names[place] for place in places[:count])
    if len(set(clips)) < count or not all(is_of(name, about["subject"]) for name in clips):
        raise ValueError(f"a clip stands in it twice, or is not of {about['subject']}")
    probabilities = np.stack([table[f"p_{name}"].to_numpy().reshape(len(epochs), count) for name in about["classes"]], axis=-1)
    if not ((labels >= 0) & (labels < len(about["classes"]))).all() or epochs[0] < 1:
        raise ValueError("a label is no class, or an epoch comes before the first")
    if not ((probabilities >= 0) & (probabilities <= 1)).all() or np.abs(probabilities.sum(-1) - 1).max() > TOLERANCE:
        raise ValueError("the probabilities of a clip do not lie between 0 and 1, or do not sum to 1")
    if any(len(values) != count or {*map(type, values)} - {float, int} for values in about["measures"].values()):  # NaN is no measure taken
        raise ValueError("a measure has not one number a clip")
    inner = _inner(about["inner"], len(epochs), len(about["classes"])) if "inner" in about else None
    return FoldResult(
        held_out=about["subject"],
        seed=about["seed"],
        clips=clips,
        labels=labels,
        classes=tuple(about["classes"]),
        epochs=epochs,
        probabilities=probabilities,
        curve=about["curve"],
        weights=about["weights"],
        environment=about["environment"],
        measures=about["measures"],
        inner=inner,
        run=about["run"],
        plan=about["plan"],
    )


def _inner(matrices: list[list[list[int]]], epochs: int, classes: int) -> NDArray[np.int64]:
    """Return inner confusion matrices as an array (E, C, C).

    Raises:
        ValueError: they are not one for each epoch, of the same clips.
    """
    shapes = {(len(matrix), *map(len, matrix)) for matrix in matrices}
    if len(matrices) != epochs or shapes != {(classes,) * (classes + 1)}:
        raise ValueError("the inner trainings have not one confusion matrix an epoch")
    counts = np.array(matrices, dtype=np.int64)
    if counts.min() < 0 or not 0 < counts[0].max() <= ROWS or (counts.sum(2) != counts[0].sum(1)).any():
        raise ValueError("the inner trainings judge other clips in other epochs, or none")
    return counts


TOLERANCE = 1e-3
"""Of a softmax in float32, with room to spare."""


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return UserError(
        f"a fold file cannot be read: {reason}",
        where=path,
        remedy="delete it and run the same command again: only this fold is trained",
    )
