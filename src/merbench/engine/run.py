"""A whole run: which folds are missing, who trains them, what is kept."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from merbench import methods, processes
from merbench.config import Apex, Data, Face, Preset, Request, run_key
from merbench.data import databases, load, schemes, store
from merbench.data import macro as macro_clips
from merbench.data.datamodule import check_batch, check_training
from merbench.data.prepare import Watch, silent
from merbench.data.protocol import check, folds_of
from merbench.data.serving import results_versions
from merbench.engine import fold, inner, workers
from merbench.engine import initial as initials
from merbench.engine.pretraining import check_sizes
from merbench.engine.trial import check_changes, tried, tried_on_macro
from merbench.errors import UserError
from merbench.foldfile import fold_name, remove_unfinished, write
from merbench.method import METHODS, Method
from merbench.presets import resolve
from merbench.results import UNKNOWN, Provenance, Run, commit, environment, folder_of, manifests
from merbench.sample import Fold

ENGINE = "local"
HOPELESS = 3
"""So many folds failed and none finished: the method is broken, and the rest would only fail too."""


@dataclass(frozen=True)
class Plan:
    """A request made ready: its run's folder, how its method is loaded (name or file, and the file's text), its data, its folds.

    ``macro`` is the folder of the macro clips that it is pre-trained on, if it is; ``initial`` the file of weights that it starts from.
    """

    request: Request
    run: Run
    method: str
    source: bytes | None
    prepared: tuple[Path, ...]
    folds: tuple[Fold, ...]
    seeds: int
    devices: tuple[str, ...]
    provenance: Provenance
    macro: Path | None = None
    save_weights: bool = False
    initial: Path | None = None

    @property
    def names(self) -> list[str]:
        """Return the names of all fold files this plan asks for."""
        return [fold_name(fold.held_out, seed) for seed in range(self.seeds) for fold in self.folds]

    @property
    def missing(self) -> list[workers.Task]:
        """Return the tasks whose fold file is not there."""
        finished = self.run.finished()
        tasks = [workers.Task(index, seed) for seed in range(self.seeds) for index in range(len(self.folds))]
        return [task for task in tasks if self.name(task) not in finished]

    def name(self, task: workers.Task) -> str:
        """Return a task's fold name."""
        return fold_name(self.folds[task.fold].held_out, task.seed)

    def told(self, task: workers.Task) -> str:
        """Return whom a task holds out, ``smic/s04``; with its seed where there are several."""
        return self.folds[task.fold].held_out + (f", seed {task.seed}" if self.seeds > 1 else "")


def plan(
    method: str,
    on: str,
    *,
    source: str,
    scheme: str,
    preset: Preset,
    overrides: Sequence[str],
    seeds: int,
    worker_count: int | None,
    root: Path,
    protocol: str = "loso",
    watch: Watch = silent,
    save_weights: bool = False,
    apex: Apex = "middle",
    face: Face = "aligned",
    initial: Path | None = None,
    macro_from: str = "",
) -> Plan:
    """Check a request from end to end, before anything is trained.

    Args:
        method, on, source, scheme, preset, overrides, apex, face: the request; the method by name or by its own file.
        seeds: how many seed indices, from 0.
        worker_count: processes; None for one per GPU, or per core where there is none.
        root: of all runs.
        protocol: how folds are made: ``loso`` or ``lodo``.
        watch: told how far the preparation of the data is.
        save_weights: keep each fold's weights beside its file; no part of the request.
        initial: a file of weights from which every fold starts. The request has its hash; where it lies is written nowhere.
        macro_from: ``casme3`` or ``expressions``, what methods with pre-training learn from first; empty for the one that is set up.

    Raises:
        UserError: anything in the request or the data is wrong.
    """
    loaded = methods.load(method)
    name, constructor = loaded.name, METHODS[loaded.name]
    schemes.check(scheme)
    data = Data(databases.join(databases.databases_of(on)), source, apex, face)
    weights, hashed = (None, "") if initial is None else initials.read(initial)
    request = resolve(
        name,
        constructor,
        data=data,
        scheme=scheme,
        protocol=protocol,
        preset=preset,
        overrides=overrides,
        initial=hashed,
        own=methods.own(method),
    )
    check(protocol, databases.databases_of(on))
    folders = load.ready(data, scheme, watch=watch, workers=worker_count)
    store.check_unchanged(folders)
    prepared = store.load(*folders)
    trial = tried(request, prepared, method, weights)
    folds = folds_of(protocol, prepared.clips)
    if not trial.stages():
        check_training(prepared, trial.inputs, request.training)
    for stage in trial.stages():
        settings = stage.settings(request.training)
        check_training(prepared, trial.inputs, settings)
        if stage.on == "training":
            check_batch(folds, settings.batch, prepared.labels if settings.balance else None, stage.name if stage.batch else "")
    check_changes(request, trial)
    macro, macro_data = _macro(request, trial, folds, method, watch, worker_count, macro_from) if trial.inputs.macro else (None, {})
    inner.check(request, trial, prepared, folds, seeds, None if macro is None else store.load(macro))
    devices = _devices(worker_count)
    versions = {"method": constructor.results_version, "engine": fold.RESULTS_VERSION, **results_versions(prepared)}
    key = run_key(request, prepared.fingerprint, versions, loaded.source_hash, macro_data.get("macro", ""))
    provenance = Provenance(
        request_key=key,
        folds=[fold.held_out for fold in folds],
        clips=len(prepared.clips),
        classes=list(prepared.classes),
        data={
            "annotations": prepared.annotations,
            "fingerprint": prepared.fingerprint,
            "units": prepared.units,
            **({"assumed": assumed} if (assumed := prepared.assumed) else {}),
            **macro_data,
        },
        manifests=manifests(),
        results_versions=versions,
        method_file=loaded.source_hash,
        parameters=sum(p.numel() for p in trial.parameters() if p.requires_grad),
        environment=environment(ENGINE, devices[0].split(":")[0]),
        commit=commit(),
    )
    return Plan(
        request,
        Run(folder_of(root, request, key)),
        method,
        loaded.source,
        folders,
        folds,
        seeds,
        devices,
        provenance,
        macro,
        save_weights,
        initial,
    )


def _macro(
    request: Request, trial: Method, folds: Sequence[Fold], asked: str, watch: Watch, worker_count: int | None, which: str
) -> tuple[Path, dict[str, str]]:
    """Return the folder of the macro clips, and what the provenance says of them.

    Raises:
        UserError: there are none, or the method cannot be pre-trained on them.
    """
    folder = macro_clips.ready(request.data.source, watch=watch, workers=worker_count, which=which)
    store.check_unchanged([folder])
    prepared = store.load(folder)
    macro_clips.check_still(prepared, trial.inputs)
    tried_on_macro(request, trial, prepared, asked)
    check_sizes(prepared, trial.stages(), request.training, folds)
    return folder, {"macro": prepared.fingerprint, **({"macro assumed": assumed} if (assumed := prepared.assumed) else {})}


def execute(planned: Plan) -> Generator[workers.Event, None, None]:
    """Train what is missing and yield what happens; every finished fold is on disk before it is told.

    Raises:
        UserError: another process is at this run, its folds are of another environment, or the folder cannot be written.
    """
    if not planned.missing and planned.run.whole():
        return  # nothing to write: a finished run is read on a read-only disk too
    run, job = planned.run, _job(planned)
    lock = FileLock(run.path / ".lock", timeout=0)
    with run.writing():
        run.path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                "another process is at this very run", where=run.path, remedy="wait for it; what it finishes need not be done again"
            ) from error
    try:
        run.create(planned.request, planned.provenance)
        with run.writing():
            remove_unfinished(run.path, run.path / "folds")
        run.described()  # whatever is wrong there is told before anything is trained for it
        run.check_environment(planned.provenance.environment)
        yield from _work(planned, job)
    finally:
        lock.release()


def _job(planned: Plan) -> workers.Job:
    return workers.Job(
        planned.request,
        planned.method,
        planned.source,
        planned.prepared,
        planned.provenance.environment,
        planned.macro,
        planned.save_weights,
        planned.initial,
    )


def _work(planned: Plan, job: workers.Job) -> Generator[workers.Event, None, None]:
    run, tasks = planned.run, planned.missing
    kept = run.provenance
    if not run.finished():  # nothing of an earlier session counts
        kept = replace(planned.provenance, wall_seconds=kept.wall_seconds)
    elif not kept.hardware:
        kept.hardware = [UNKNOWN]
    kept.failed = {}
    before, begun, failed = kept.wall_seconds, time.monotonic(), 0
    events = workers.run(job, tasks, planned.devices)
    try:
        for event in events:
            with run.writing():
                failed += _keep(planned, kept, event)
                if not isinstance(event, workers.Progress):
                    kept.wall_seconds = before + time.monotonic() - begun
                    run.save(kept)
            yield event
            if failed >= HOPELESS and not run.finished():
                return
    finally:
        events.close()


def _keep(planned: Plan, kept: Provenance, event: workers.Event) -> bool:
    """Write what an event leaves; return whether a fold has failed for good."""
    run, name = planned.run, planned.name(event.task)
    if isinstance(event, workers.Finished):
        if event.weights is not None:  # before the fold's file, which says that the fold is finished
            run.weights_path(name).parent.mkdir(exist_ok=True)
            write(run.weights_path(name), event.weights)
        run.keep(event.result, planned.request, kept)
        (run.path / "failures" / f"{name}.txt").unlink(missing_ok=True)  # it failed before
        kept.costs[name] = event.cost.known
        kept.hardware = sorted({*kept.hardware, event.hardware})
    if not isinstance(event, workers.Failed) or event.again:
        return False
    kept.failed[name] = event.reason
    if event.trace:
        (run.path / "failures").mkdir(exist_ok=True)
        (run.path / "failures" / f"{name}.txt").write_text(event.trace, encoding="utf-8")
    return True


def _devices(count: int | None) -> tuple[str, ...]:
    """Return one device per worker: GPUs in turn where there are any, else the CPU."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        return tuple(f"cuda:{index % gpus}" for index in range(count or gpus))
    return ("cpu",) * (count or processes.cores())
