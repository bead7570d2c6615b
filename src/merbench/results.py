"""The run folder: request, provenance, fold files. Written whole and renamed: a fold file that exists is finished."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import merbench
from merbench.config import Request, dump_request, load_request, shipped
from merbench.errors import UserError

ROOT = Path("runs")
FORMAT = 1
"""Of the fold file; raised when its columns or metadata change."""

DECISIVE = ("torch", "pytorch-lightning", "numpy", "scikit-learn")
"""Packages whose version may move a number; folds trained with unlike ones are not mixed."""


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

    @property
    def name(self) -> str:
        """``casme2--sub01--s0``."""
        return fold_name(self.subject, self.seed)


@dataclass(frozen=True)
class Cost:
    """What a fold cost: kept in the provenance, since a fold file holds nothing that differs between two equal runs."""

    seconds: float
    peak_mib: float


@dataclass
class Provenance:
    """Where the numbers of a run come from. No path, user or host name.

    Attributes:
        request_key: the folder's name.
        folds: all subjects of the protocol, so that a reader knows what is missing.
        clips: how many clips the folds hold together.
        classes: class names.
        data: hashes of annotations and arrays.
        manifests: SHA-256 of the files of data_manifests.
        results_versions: of method and engine.
        parameters: trainable, of one fold's network.
        environment: engine, device type and versions.
        commit: of merbench, with ``+`` where the checkout was changed; empty where it is no checkout.
        wall_seconds: summed over the sessions that worked on this run.
        costs: by fold name.
        failed: fold name to the reason why it has no file.
    """

    request_key: str
    folds: list[str]
    clips: int
    classes: list[str]
    data: dict[str, str]
    manifests: dict[str, str]
    results_versions: dict[str, int]
    parameters: int
    environment: dict[str, str]
    commit: str
    wall_seconds: float = 0.0
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def fold_name(subject: str, seed: int) -> str:
    """Return a fold's file name without its ending."""
    return f"{subject.replace('/', '--')}--s{seed}"


def environment(engine: str, device: str) -> dict[str, str]:
    """Return what may decide bits beside the request: engine, device type, versions."""
    versions = {name: importlib.metadata.version(name) for name in DECISIVE}
    return {"engine": engine, "device": device, "machine": platform.machine(), **versions}


def folder_of(root: Path, request: Request, key: str) -> Path:
    """Return ``runs/<data>/<protocol>-<scheme>/<method>/<key>``."""
    return root / f"{request.data.on}@{request.data.source}" / f"{request.protocol}-{request.scheme}" / request.method / key


class Run:
    """A run's folder.

    Args:
        path: of the folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def request(self) -> Request:
        """Return the request. Raises UserError where it cannot be read."""
        return load_request(self.path / "request.yaml")

    @property
    def provenance(self) -> Provenance:
        """Return the provenance.

        Raises:
            UserError: it is missing or damaged.
        """
        path = self.path / "provenance.json"
        try:
            return Provenance(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"the provenance of a run cannot be read: {error}", where=path, remedy="move this run's folder away and run it again"
            ) from error

    def create(self, request: Request, provenance: Provenance) -> None:
        """Make the folder, or take up the one that is there.

        Raises:
            UserError: it cannot be written.
        """
        try:
            (self.path / "folds").mkdir(parents=True, exist_ok=True)
            if not (self.path / "request.yaml").is_file():
                write(self.path / "request.yaml", dump_request(request).encode())
            if not (self.path / "provenance.json").is_file():
                self.save(provenance)
        except OSError as error:
            raise UserError(
                f"results cannot be written: {error.strerror}",
                where=self.path,
                remedy="make the folder writable, or choose another: --runs",
            ) from error

    def save(self, provenance: Provenance) -> None:
        """Write the provenance."""
        write(self.path / "provenance.json", json.dumps(asdict(provenance), indent=1).encode())

    def fold_path(self, name: str) -> Path:
        """Return a fold's file."""
        return self.path / "folds" / f"{name}.parquet"

    def finished(self) -> set[str]:
        """Return the names of the folds that are there."""
        return {path.stem for path in (self.path / "folds").glob("*.parquet")}

    def results(self, names: Iterable[str]) -> list[FoldResult]:
        """Read folds by name."""
        return [read_fold(self.fold_path(name)) for name in names]

    def check_environment(self, here: Mapping[str, str]) -> None:
        """Refuse to add folds to those of an unlike environment.

        Raises:
            UserError: engine, device type or a decisive version differs; each difference is named.
        """
        for name in sorted(self.finished()):
            there = read_metadata(self.fold_path(name))["environment"]
            unlike = [f"{key} {there.get(key, 'unknown')} there, {value} here" for key, value in here.items() if there.get(key) != value]
            if unlike:
                raise UserError(
                    f"this run has folds of another environment: {'; '.join(unlike)}",
                    where=self.fold_path(name),
                    remedy="go on in that environment, or write to another folder: --runs",
                )

    def digest(self) -> str:
        """Return a hash of the fold files' bytes; a summary made of other files is out of date."""
        whole = hashlib.sha256()
        for path in sorted((self.path / "folds").glob("*.parquet")):
            whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return whole.hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a file whole: beside it, flushed to disk, renamed. A kill leaves the old file or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
        raise UserError(
            f"a fold file cannot be read: {error}", where=path, remedy="delete it and run the same command again: only this fold is trained"
        ) from error


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
        return FoldResult(
            subject=about["subject"],
            seed=about["seed"],
            clips=tuple(clip[:count]),
            labels=table["label"].to_numpy()[:count].astype(np.int64),
            classes=tuple(about["classes"]),
            epochs=epochs,
            probabilities=probabilities,
            curve=about["curve"],
            weights=about["weights"],
            environment=about["environment"],
        )
    except (OSError, KeyError, ValueError, ZeroDivisionError, pa.ArrowException) as error:
        raise UserError(
            f"a fold file cannot be read: {error}", where=path, remedy="delete it and run the same command again: only this fold is trained"
        ) from error


def runs_in(root: Path) -> list[Run]:
    """Return every run below a folder, in order of path."""
    return [Run(path.parent) for path in sorted(root.glob("*/*/*/*/request.yaml"))]


def manifests() -> dict[str, str]:
    """Return the SHA-256 of each file of data_manifests."""
    paths = sorted(shipped("data_manifests").glob("*.csv"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def commit() -> str:
    """Return merbench's own commit, with ``+`` where files were changed; empty where it does not run from a checkout."""
    root = Path(merbench.__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+" if changed else "")
