"""The run folder: request, provenance, fold files; and what is missing in it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import merbench
from merbench.config import Request, dump_request, load_request, shipped
from merbench.errors import UserError
from merbench.foldfile import FoldResult, read_fold, read_metadata, write

ROOT = Path("runs")
FOLD_NAME = re.compile(r"[a-z0-9]+--[^/ ]+--s(0|[1-9][0-9]*)", re.ASCII)

DECISIVE = ("torch", "pytorch-lightning", "numpy", "scikit-learn")
"""Packages whose version may move a number; folds trained with unlike ones are not mixed."""


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
        method_file: SHA-256 of a method that is a file of its own; empty for those of merbench.
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
    method_file: str
    parameters: int
    environment: dict[str, str]
    commit: str
    wall_seconds: float = 0.0
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


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
            found = Provenance(**json.loads(path.read_text(encoding="utf-8")))
            if not (_words(found.folds) and _words(found.classes) and {"annotations", "fingerprint"} <= set(found.data)):
                raise ValueError("folds, classes or data are not what they should be")
            return found
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise UserError(
                f"the provenance of a run cannot be read: {error or 'too deep'}",
                where=path,
                remedy="delete this file and run the same command again: finished folds are kept",
            ) from error

    def create(self, request: Request, provenance: Provenance) -> None:
        """Make the folder, or take up the one that is there.

        Raises:
            UserError: it cannot be written.
        """
        with self.writing():
            (self.path / "folds").mkdir(parents=True, exist_ok=True)
            if not (self.path / "provenance.json").is_file():
                self.save(provenance)
            if not (self.path / "request.yaml").is_file():  # last: the board takes a folder with a request for a run
                write(self.path / "request.yaml", dump_request(request).encode())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Say in one message what the disk refused.

        Raises:
            UserError: something inside could not be written.
        """
        try:
            yield
        except OSError as error:
            raise UserError(
                f"results cannot be written: {error.strerror or error}",
                where=self.path,
                remedy="free some space, make the folder writable or choose another (--runs), then run the same command: "
                "finished folds are kept",
            ) from error

    def save(self, provenance: Provenance) -> None:
        """Write the provenance."""
        write(self.path / "provenance.json", json.dumps(asdict(provenance), indent=1).encode())

    def fold_path(self, name: str) -> Path:
        """Return a fold's file."""
        return self.path / "folds" / f"{name}.parquet"

    def finished(self) -> set[str]:
        """Return the names of the folds that are there."""
        return {path.stem for path in self._files()}

    def results(self, names: Iterable[str]) -> list[FoldResult]:
        """Read folds by name."""
        return [read_fold(self.fold_path(name)) for name in names]

    def _files(self) -> list[Path]:
        """Return the fold files, by name; anything else in their folder (a copy, a note) is no fold."""
        return sorted(path for path in (self.path / "folds").glob("*.parquet") if FOLD_NAME.fullmatch(path.stem) and path.is_file())

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
        """Return a hash of the bytes of request, provenance and folds; a summary made of others is out of date."""
        whole = hashlib.sha256()
        for name in ("request.yaml", "provenance.json"):
            path = self.path / name
            whole.update(path.read_bytes() if path.is_file() else b"")
        for path in self._files():
            whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return whole.hexdigest()


def runs_in(root: Path) -> list[Run]:
    """Return every run below a folder, in order of path: what has a request or folds."""
    found = {path.parent for name in ("request.yaml", "folds") for path in root.glob(f"*/*/*/*/{name}")}
    return [Run(path) for path in sorted(found)]


def _words(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


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
