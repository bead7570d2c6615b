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
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import get_type_hints

import merbench
from merbench import guard
from merbench.config import Request, digest, identity, load_request, run_key, shipped
from merbench.errors import UserError
from merbench.foldfile import FoldResult, read_fold, read_metadata, write, write_fold

ROOT = Path("runs")
LARGEST = 2**24
"""Bytes of a provenance."""
LONGEST_RUN = 1e9
"""Seconds and MiB of a fold, at most: thirty years."""
FOLD_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(--[^/ ]+)?--s(0|[1-9][0-9]*)", re.ASCII)

DECISIVE = ("torch", "pytorch-lightning", "numpy", "scikit-learn")
"""Packages whose version may move a number; folds trained with unlike ones are not mixed."""


@dataclass(frozen=True)
class Cost:
    """What a fold cost: kept in the provenance, since a fold file holds nothing that differs between two equal runs."""

    seconds: float
    peak_mib: float
    clip_seconds: float | None = None
    """To judge one clip, its flow or frames at hand; None where it could not be measured."""

    @property
    def known(self) -> dict[str, float]:
        """Return what was measured, as the provenance has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


COSTS = {each.name for each in fields(Cost)}
"""Runs of earlier versions lack ``clip_seconds``; so does a fold in which it could not be measured."""


UNKNOWN = "not written down"
"""What trained folds before that was kept."""


@dataclass
class Provenance:
    """Where the numbers of a run come from. No path, user or host name.

    Attributes:
        request_key: the folder's name.
        folds: what each fold of the protocol holds out, so that a reader knows what is missing.
        clips: how many clips the folds hold together.
        classes: class names.
        data: hashes of annotations and arrays.
        manifests: SHA-256 of the files of data_manifests.
        results_versions: of method and engine, and of how clips are served where it may change.
        method_file: SHA-256 of a method that is a file of its own; empty for those of merbench.
        parameters: trainable, of one fold's network.
        environment: engine, device type and versions.
        commit: of merbench, with ``+`` where the checkout was changed; empty where it is no checkout.
        wall_seconds: summed over the sessions that worked on this run.
        costs: by fold name.
        failed: fold name to the reason why it has no file.
        hardware: processors, or GPUs, that have trained folds of it, `UNKNOWN` among them where an earlier version has; empty where that was all.
            Kernels are chosen by it: on another the last digits of a number may be others.
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
    hardware: list[str] = field(default_factory=list)


def provenance_of(raw: object) -> Provenance:
    """Return a provenance that was read from JSON.

    Raises:
        ValueError: something in it is missing, unknown or of another kind.
    """
    found = Provenance(**guard.checked({"hardware": [], **raw} if isinstance(raw, dict) else raw, get_type_hints(Provenance)))
    if not (found.folds and found.classes and {"annotations", "fingerprint"} <= set(found.data)):
        raise ValueError("folds, classes or data are not what they should be")
    if not all({"seconds", "peak_mib"} <= set(cost) <= COSTS for cost in found.costs.values()) or not all(
        map(FOLD_NAME.fullmatch, found.failed)
    ):
        raise ValueError("costs or failed folds are not what they should be")
    if found.parameters < 0 or any(not 0 <= value <= LONGEST_RUN for cost in found.costs.values() for value in cost.values()):
        raise ValueError("costs or parameters are not what they should be")
    return found


def plan_of(request: Request, provenance: Provenance) -> str:
    """Return a hash of all that decides what a run's folds stand for, beyond its key: each fold file keeps it.

    Who strikes a subject from the provenance, or a change from the request's name, is found out by the folds.
    """
    names = ("request_key", "folds", "clips", "classes", "data", "results_versions", "method_file", "parameters")
    return digest([identity(request), *(getattr(provenance, name) for name in names)])


def key_of(request: Request, provenance: Provenance) -> str:
    """Return the key that a run with this request and provenance has."""
    data, macro = provenance.data["fingerprint"], provenance.data.get("macro", "")
    return run_key(request, data, provenance.results_versions, provenance.method_file, macro)


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
            return provenance_of(json.loads(guard.read(path, LARGEST)))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(
                f"the provenance of a run cannot be read: {error or 'too deep'}",
                where=path,
                remedy="delete this file and run the same command again: finished folds are kept",
            ) from error

    def described(self) -> tuple[Request, Provenance]:
        """Return request and provenance, which are those that the folder is named after.

        Raises:
            UserError: they cannot be read, or were changed or moved.
        """
        request, provenance = self.request, self.provenance
        if key_of(request, provenance) != self.path.name:
            raise UserError(
                "the request or the provenance of a run is not the one its folder is named after",
                where=self.path,
                remedy="restore request.yaml and provenance.json, or delete them and run the same command again: finished folds are kept",
            )
        return request, provenance

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
                from merbench.presets import dump_request  # here, so that the board opens without OmegaConf

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

    def whole(self) -> bool:
        """Return whether request and provenance are there."""
        return (self.path / "request.yaml").is_file() and (self.path / "provenance.json").is_file()

    def fold_path(self, name: str) -> Path:
        """Return a fold's file."""
        return self.path / "folds" / f"{name}.parquet"

    def weights_path(self, name: str) -> Path:
        """Return where a fold's weights are, if they were asked for; ``merbench.weights`` reads them."""
        return self.path / "weights" / f"{name}.pt"

    def finished(self) -> set[str]:
        """Return the names of the folds that are there."""
        return {path.stem for path in self._files()}

    def keep(self, result: FoldResult, request: Request, provenance: Provenance) -> None:
        """Write a fold's file, with the run it belongs to."""
        write_fold(self.fold_path(result.name), replace(result, run=self.path.name, plan=plan_of(request, provenance)))

    def results(self, names: Iterable[str]) -> list[FoldResult]:
        """Read folds by name.

        Raises:
            UserError: one is damaged, is of another run or name, or was trained for another request or provenance than stand beside it.
        """
        request, provenance = self.described()
        plan, found = plan_of(request, provenance), []
        for name in names:
            fold = read_fold(self.fold_path(name))
            if fold.name != name or fold.run != self.path.name:
                raise UserError(
                    f"a fold file is fold {fold.name} of run {fold.run[:8] or 'unknown'}, not {name} of {self.path.name[:8]}",
                    where=self.fold_path(name),
                    remedy="delete it and run the same command again: only this fold is trained",
                )
            asked = bool(request.training.inner) == (fold.inner is not None)
            if fold.plan != plan or list(fold.classes) != provenance.classes or not asked:
                raise UserError(
                    "the request or the provenance of a run was changed after this fold was trained",
                    where=self.fold_path(name),
                    remedy="restore request.yaml and provenance.json, or delete them and run the same command again: finished folds are kept; "
                    "if this fold alone is told of, delete it",
                )
            found.append(fold)
        return found

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
        """Return a hash of the bytes of request, provenance and folds; a summary made of others is out of date.

        Raises:
            UserError: one cannot be read.
        """
        whole = hashlib.sha256()
        try:
            for path in (self.path / "request.yaml", self.path / "provenance.json", *self._files()):
                if path.is_file():
                    with path.open("rb") as file:
                        whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise UserError(
                f"a file of a run cannot be read: {error.strerror}",
                where=error.filename,
                remedy="make it readable, or name another folder: --runs",
            ) from error
        return whole.hexdigest()


def runs_in(root: Path) -> list[Run]:
    """Return every run below a folder, in order of path: what has a request or folds."""
    found = {path.parent for name in ("request.yaml", "folds") for path in root.glob(f"*/*/*/*/{name}")}
    return [Run(path) for path in sorted(found)]


def manifests() -> dict[str, str]:
    """Return the SHA-256 of each file of data_manifests."""
    root = shipped("data_manifests")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*.csv"))}


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
