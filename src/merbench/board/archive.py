"""A run in one small file, to be committed or sent beside a paper: predictions of the last epoch, request, provenance and row. No frames.

The columns can be read by anybody (and by ``merbench score``): ``seed``, ``subject``, ``clip``, ``truth`` and ``p_<class>``. What the
readings of other epochs scored stands in the row; their predictions stay with the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from merbench import guard, scores
from merbench.board.joined import Table
from merbench.board.rows import row_of
from merbench.errors import UserError
from merbench.foldfile import FAULTS, TOLERANCE, fold_name, write
from merbench.results import Run, provenance_of

FORMAT = 1
"""Of an archive; raised when its columns or what it says of itself change."""

LARGEST = 2**26
"""Bytes of an archive, packed and unpacked: a hundred seeds of all databases are a tenth of it."""

ROWS = 1_000_000
"""At most."""

CLIPS, SUBJECTS, CLASSES = 20_000, 2_000, 50
"""At most: all databases together have a few thousand clips, of a few hundred people, and intervals draw these 10,000 times."""

LONGEST = 1000
"""Characters of a name in its columns: one long name that a million rows repeat is small as a file, and fills any memory."""

NAMES = ("subject", "clip", "truth")
"""Columns of names."""

KINDS: dict[str, Any] = {
    "format": int,
    "request": str,
    "provenance": dict[str, Any],
    "row": dict[str, Any],
    "columns": str,
    "seal": str,
}

NUMBERS = {
    **dict.fromkeys(("uf1", "uar", "accuracy"), ()),
    **dict.fromkeys(("uf1_interval", "uar_interval"), (2,)),
}
"""Shapes of what a reading of the row must have; a score that is not defined is NaN."""


@dataclass(frozen=True)
class Archive:
    """What one file holds.

    Attributes:
        request: the text of ``request.yaml``.
        provenance, row: as the run's own, as plain tables.
        classes: class names.
        clips: (N,) keys, sorted.
        truth: (N,) class indices.
        seeds: (S,) seed indices.
        probabilities: (S, N, classes) float32, of the last epoch.
        digest: SHA-256 of the file.
    """

    request: str
    provenance: Mapping[str, Any]
    row: Mapping[str, Any]
    classes: tuple[str, ...]
    clips: tuple[str, ...]
    truth: NDArray[np.int64]
    seeds: tuple[int, ...]
    probabilities: NDArray[np.float32]
    digest: str

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Return (S, N) class indices."""
        return np.asarray(self.probabilities.argmax(-1), dtype=np.int64)

    @property
    def tables(self) -> list[Table]:
        """Return the predictions, a table a seed, of the one epoch that is kept."""
        clips = np.array(self.clips)
        subjects = np.array([clip.rpartition("/")[0] for clip in self.clips])
        databases = np.array([clip.partition("/")[0] for clip in self.clips])
        return [Table(clips, subjects, databases, self.truth, each[None]) for each in self.predicted]

    @property
    def epochs(self) -> int:
        """Return how many epochs were recorded, by what the row tells."""
        return int(self.row["epochs"])

    def score(self) -> tuple[float, float]:
        """Return UF1 and UAR, each pooled over all clips, a mean over seeds: counted from the predictions, whatever the row says."""
        matrices = scores.confusion(self.truth, self.predicted, len(self.classes))
        return float(scores.uf1(matrices).mean()), float(scores.uar(matrices).mean())


def pack(run: Run) -> bytes:
    """Return a run as an archive.

    Raises:
        UserError: no seed has all its folds, or a file of the run cannot be read.
    """
    _, provenance = run.described()
    row = row_of(run)
    if not row.seeds:
        raise UserError("no seed of this run has all its folds", where=run.path, remedy="run its command again to finish it")
    columns: dict[str, list[Any]] = {name: [] for name in ("seed", "subject", "clip", "truth")}
    probabilities = []
    for seed in row.seeds:
        folds = run.results([fold_name(held_out, seed) for held_out in provenance.folds])
        clips = np.array([clip for fold in folds for clip in fold.clips])
        order = np.argsort(clips)
        columns["seed"] += [seed] * len(clips)
        columns["clip"] += clips[order].tolist()
        columns["subject"] += [clip.rsplit("/", 1)[0] for clip in clips[order].tolist()]
        columns["truth"] += [provenance.classes[label] for label in np.concatenate([fold.labels for fold in folds])[order]]
        probabilities.append(np.concatenate([fold.probabilities[-1] for fold in folds])[order])
    made = np.concatenate(probabilities)
    about: dict[str, Any] = {
        "format": FORMAT,
        "request": (run.path / "request.yaml").read_text(encoding="utf-8"),
        "provenance": asdict(provenance),
        "row": json.loads(json.dumps(asdict(row))),
        "columns": _hash(columns, made),
    }
    about["seal"] = _seal(about)
    table = pa.table(
        {
            "seed": pa.array(columns["seed"], pa.int16()),
            **{name: pa.array(columns[name], pa.string()) for name in ("subject", "clip", "truth")},
            **{f"p_{name}": pa.array(made[:, index], pa.float32()) for index, name in enumerate(provenance.classes)},
        }
    ).replace_schema_metadata({"merbench-archive": json.dumps(about, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=True)
    return bytes(sink.getvalue().to_pybytes())


def save(run: Run, path: Path) -> None:
    """Write a run's archive, whole.

    Raises:
        UserError: the run is not finished or damaged, or the file cannot be written.
    """
    put(pack(run), path)


def put(content: bytes, path: Path, remedy: str = "name another file: --out") -> None:
    """Write the bytes of an archive, whole; the remedy is told where that is refused.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)
    except OSError as error:
        raise UserError(f"the archive cannot be written: {error.strerror or error}", where=path, remedy=remedy) from error


def read(path: Path) -> Archive:
    """Read an archive.

    Raises:
        UserError: it is none, is damaged, or was changed after it was written.
    """
    try:
        raw = guard.read(path, LARGEST)
        content = pa.BufferReader(raw)
        file = pq.ParquetFile(content)
        sizes = [file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups)]
        if sum(sizes) > LARGEST or not 0 < file.metadata.num_rows <= ROWS:
            raise ValueError(f"it has {file.metadata.num_rows:,} rows and {sum(sizes):,} bytes")
        about = json.loads((file.schema_arrow.metadata or {})[b"merbench-archive"])
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, this version reads {FORMAT}")
        guard.checked(about, KINDS)
        if about["seal"] != _seal(about):
            raise ValueError("what it says of itself was changed after it was written")
        _check(about)
        return _archive(
            pq.ParquetFile(content, read_dictionary=list(NAMES)).read(use_threads=False), about, hashlib.sha256(raw).hexdigest()
        )
    except FAULTS as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise UserError(
            f"an archive cannot be read: {reason}", where=path, remedy="make it anew from its run: merbench archive RUN"
        ) from error


def _check(about: Mapping[str, Any]) -> None:
    """Look whether provenance and row are what they should be: a seal can be made by anybody.

    Raises:
        ValueError: names what is not.
    """
    provenance, row = provenance_of(about["provenance"]), about["row"]
    if len(provenance.classes) > CLASSES:
        raise ValueError(f"it has {len(provenance.classes):,} classes")
    last, parts = row["readings"]["last"], row["readings"]["last"]["parts"]
    if (
        not guard.fits(row["scheme"], str)
        or not guard.fits(row["epochs"], int)
        or row["epochs"] < 1
        or not all(guard.fits(each, dict[str, Any]) for each in (parts, row["averages"], row["measures"]))
    ):
        raise ValueError("its row is not what it should be")
    shaped = [*((last[name], shape) for name, shape in NUMBERS.items()), *((part, (3,)) for part in parts.values())]
    shaped += [(value, ()) for values in (row["averages"], row["measures"]) for value in values.values()]
    if any(np.shape(value) != shape or np.asarray(value).dtype.kind not in "if" for value, shape in shaped):
        raise ValueError("a score in its row is no number")
    if row["key"] != provenance.request_key or not guard.parse_table(about["request"].encode()):
        raise ValueError("its request, its provenance and its row are not of one run")


def _names(column: pa.ChunkedArray) -> list[str]:
    """Return a column of names, each kept once however often it stands there.

    Raises:
        ValueError: one is longer than any name is, or there is none.
    """
    whole = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(whole.type):
        raise ValueError("a name in its columns is a number")
    names = whole.dictionary
    if whole.null_count or not pa.types.is_string(names.type) or pc.max(pc.binary_length(names)).as_py() > LONGEST:
        raise ValueError("a name in its columns is missing or too long")
    known = names.to_pylist()
    return [known[index] for index in whole.indices.to_pylist()]


def _archive(table: pa.Table, about: Mapping[str, Any], digest: str) -> Archive:
    """Return the columns as arrays.

    Raises:
        ValueError: they are not those of a whole run.
    """
    classes = tuple(about["provenance"]["classes"])
    columns: dict[str, list[Any]] = {"seed": table["seed"].to_pylist(), **{name: _names(table[name]) for name in NAMES}}
    probabilities = np.stack([table[f"p_{name}"].to_numpy() for name in classes], axis=-1)
    if probabilities.dtype != np.float32 or _hash(columns, probabilities) != about["columns"]:
        raise ValueError("a number or name in its columns was changed after it was written")
    seeds = tuple(dict.fromkeys(columns["seed"]))
    if not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ValueError("a seed is no number from 0")
    count = table.num_rows // len(seeds)
    clips = tuple(columns["clip"][:count])
    if columns["clip"] != list(clips) * len(seeds) or columns["seed"] != [seed for seed in seeds for _ in clips] or len(set(clips)) < count:
        raise ValueError("its seeds have other clips, or a clip stands in it twice")
    if count > CLIPS or len(set(columns["subject"][:count])) > SUBJECTS:
        raise ValueError(f"it has {count:,} clips of {len(set(columns['subject'][:count])):,} subjects")
    if count != about["provenance"]["clips"] or columns["subject"] != [clip.rpartition("/")[0] for clip in columns["clip"]]:
        raise ValueError("it has not the clips of its run, or a clip is not of its subject")
    truth = columns["truth"][:count]
    if columns["truth"] != truth * len(seeds):
        raise ValueError("a clip has two true classes")
    if not ((probabilities >= 0) & (probabilities <= 1)).all() or np.abs(probabilities.sum(-1) - 1).max() > TOLERANCE:
        raise ValueError("the probabilities of a clip do not lie between 0 and 1, or do not sum to 1")
    return Archive(
        request=about["request"],
        provenance=about["provenance"],
        row=about["row"],
        classes=classes,
        clips=clips,
        truth=np.array([classes.index(name) for name in truth], dtype=np.int64),
        seeds=seeds,
        probabilities=probabilities.reshape(len(seeds), count, len(classes)),
        digest=digest,
    )


def _hash(columns: Mapping[str, list[Any]], probabilities: NDArray[np.float32]) -> str:
    """Return the SHA-256 of every number and name in the columns."""
    whole = hashlib.sha256(json.dumps(columns, sort_keys=True).encode())
    whole.update(np.ascontiguousarray(probabilities, dtype="<f4").tobytes())
    return whole.hexdigest()


def _seal(about: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what the file says of itself, but for the seal."""
    rest = {name: value for name, value in about.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
