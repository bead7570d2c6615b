"""Folds over processes on one machine: each delivered exactly once, a killed worker's fold tried once more, no orphans."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from merbench.config import Request
from merbench.errors import told
from merbench.foldfile import FoldResult
from merbench.processes import end_with_parent
from merbench.results import Cost

ENVIRONMENT = {
    # one thread a fold: two give gradients of convolutions other bits, and two processes are faster than two threads
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives every large tensor back to the system and faults it in again at the next step; keeping up to 256 MiB makes steps faster
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    # what deterministic CUDA matrix products ask for
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
TICKS_PER_SECOND = 4


@dataclass(frozen=True)
class Task:
    """One fold of one seed; ``fold`` is its position in the protocol."""

    fold: int
    seed: int


@dataclass(frozen=True)
class Progress:
    """How far a task is, from 0 to 1."""

    task: Task
    share: float


@dataclass(frozen=True)
class Finished:
    """What a task left; ``weights`` is the content of their file, where they are asked for."""

    task: Task
    result: FoldResult
    cost: Cost
    weights: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """Why a task left nothing. ``again``: it is tried once more. ``trace`` is for whoever wrote the method."""

    task: Task
    reason: str
    trace: str = ""
    again: bool = False


Event = Progress | Finished | Failed


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs to know; ``method`` is a name or a file."""

    request: Request
    method: str
    source: bytes | None
    prepared: tuple[Path, ...]
    environment: Mapping[str, str]
    save_weights: bool = False


@dataclass(eq=False)
class Worker:
    """A process and what it is doing."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None


def warm() -> BaseContext:
    """Begin to import torch and Lightning in the server from which workers are forked, and return its context.

    Called early, that goes on while the caller imports the same. Where there is no fork server, workers are spawned.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["merbench.engine.fold"])
    with _workers_environment():
        from multiprocessing import forkserver

        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _workers_environment() -> Iterator[None]:
    """Set what a fork server, and so its workers, inherit; and put it back in this process."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run(job: Job, tasks: Sequence[Task], devices: Sequence[str]) -> Generator[Event, None, None]:
    """Do the tasks in worker processes, one per entry of ``devices``, and yield what happens.

    Closing the iterator, or an exception in its consumer, ends all workers. When this process dies, they end by themselves.

    Args:
        job: the run.
        tasks: each is done once; after its worker was killed, once more.
        devices: ``cpu`` or ``cuda:0``, one per worker.
    """
    context = warm()
    listen, lifeline = context.Pipe(duplex=False)  # nobody writes: its end tells a worker that this process is gone
    waiting, tried = deque(tasks), set[Task]()
    workers: list[Worker] = []

    def start(device: str) -> Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, listen, job, device), daemon=True)  # type: ignore[attr-defined]
        with _workers_environment():  # a fork server that was killed is started again here
            process.start()
        theirs.close()
        worker = Worker(process, ours)
        workers.append(worker)
        return worker

    try:
        idle = [(device, start(device)) for device in devices[: len(tasks)]]
        device_of = {worker: device for device, worker in idle}
        for _, worker in idle:
            _hand_out(worker, waiting)
        while any(worker.task for worker in workers):
            ready = set(wait([worker.pipe for worker in workers if worker.task]))
            for worker in [worker for worker in workers if worker.pipe in ready]:
                assert worker.task is not None
                try:
                    event: Event = worker.pipe.recv()
                except (EOFError, OSError):  # it ended: before, between or within a message
                    task = worker.task
                    worker.process.join()
                    workers.remove(worker)
                    first = task not in tried
                    tried.add(task)
                    yield Failed(task, f"its worker was {_ending(worker.process.exitcode)}", again=first)
                    if first:
                        waiting.appendleft(task)
                    if waiting:
                        replacement = start(device_of[worker])
                        device_of[replacement] = device_of[worker]
                        _hand_out(replacement, waiting)
                    continue
                if not isinstance(event, Progress):
                    worker.task = None
                    _hand_out(worker, waiting)  # before the consumer writes the result, so that the worker does not wait for the disk
                yield event
    finally:
        lifeline.close()
        listen.close()
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.pipe.close()


def _hand_out(worker: Worker, waiting: deque[Task]) -> None:
    """Give the next task to a worker. If it is dead already, reading its pipe will say so: the task counts as tried."""
    if waiting:
        worker.task = waiting.popleft()
        with contextlib.suppress(OSError):
            worker.pipe.send(worker.task)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with exit code {code}"


def _work(pipe: Connection, listen: Connection, job: Job, device_name: str) -> None:
    """Run in a worker: take tasks until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal group; the parent decides
    threading.Thread(target=end_with_parent, args=(listen,), daemon=True).start()

    import torch

    from merbench import methods, weights
    from merbench.data import protocol, store
    from merbench.data.datamodule import serve
    from merbench.engine import fold

    methods.load(job.method, job.source)
    prepared = store.load(*job.prepared)
    folds = protocol.loso(prepared.clips)
    method = fold.build(job.request, len(prepared.classes))
    everything, known = serve(prepared, method.inputs), fold.references_of(method, prepared)
    device = torch.device(device_name)
    gc.freeze()  # what is here now stays: later collections look at a fold's own objects only
    while True:
        try:
            task: Task = pipe.recv()
        except EOFError:
            return
        last = 0.0

        def tick(share: float, task: Task = task) -> None:
            nonlocal last
            if time.monotonic() - last > 1 / TICKS_PER_SECOND:
                last = time.monotonic()
                pipe.send(Progress(task, share))

        event: Event
        try:
            result, cost, trained = fold.train(
                job.request, prepared, everything, folds[task.fold], folds, task.seed, device, dict(job.environment), tick, known
            )
            event = Finished(task, result, cost, weights.packed(trained) if job.save_weights else None)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a fault of the method or its training: this fold has failed, the others go on
            event = Failed(task, told(error), traceback.format_exc())
        pipe.send(event)
        gc.collect()  # a Trainer and its module hold each other: without this, folds pile up
