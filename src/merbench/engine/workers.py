"""Folds over processes on one machine: each delivered exactly once, a killed worker's fold tried once more, no orphans."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from merbench.config import Request
from merbench.errors import told
from merbench.foldfile import FoldResult
from merbench.hardware import processor
from merbench.processes import context, deaf, end_with_parent, lifeline, starting
from merbench.results import Cost

TICKS_PER_SECOND = 4
NO_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch, CUDA and the system say in errors of a general kind when memory is refused."""


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
    """What a task left, and what computed it; ``weights`` is the content of their file, where they are asked for."""

    task: Task
    result: FoldResult
    cost: Cost
    hardware: str
    weights: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """Why a task left nothing. ``again``: it is tried once more, in a fresh process. ``trace`` is for whoever wrote the method."""

    task: Task
    reason: str
    trace: str = ""
    again: bool = False


Event = Progress | Finished | Failed


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs to know.

    ``method`` is a name or a file, ``macro`` the folder of macro clips where it asks for them, ``initial`` the file of weights it starts from.
    """

    request: Request
    method: str
    source: bytes | None
    prepared: tuple[Path, ...]
    environment: Mapping[str, str]
    macro: Path | None = None
    save_weights: bool = False
    initial: Path | None = None


@dataclass(eq=False)
class Worker:
    """A process and what it is doing."""

    process: BaseProcess
    pipe: Connection
    device: str
    task: Task | None = None


def warm() -> BaseContext:
    """Begin to import torch and Lightning in the server from which workers are forked, and return its context.

    Called early, that goes on while the caller imports the same. Where there is no fork server, workers are spawned.
    """
    return context(["merbench.engine.fold"])


def run(job: Job, tasks: Sequence[Task], devices: Sequence[str]) -> Generator[Event, None, None]:
    """Do the tasks in worker processes, one per entry of ``devices``, and yield what happens.

    Closing the iterator, or an exception in its consumer, ends all workers. When this process dies, they end by themselves.

    Args:
        job: the run.
        tasks: each is done once; once more after its worker was killed, where memory was refused and where a number was not finite.
        devices: ``cpu`` or ``cuda:0``, one per worker.

    Raises:
        UserError: workers cannot be started.
    """
    made = warm()
    listen, ours = lifeline(made)
    waiting, tried = deque(tasks), set[Task]()
    workers: list[Worker] = []

    def start(device: str) -> None:
        for last in (False, True):
            near, far = made.Pipe()
            process = made.Process(target=_work, args=(far, listen, job, device), daemon=True)  # type: ignore[attr-defined]
            with starting():
                try:
                    process.start()
                except (OSError, EOFError):  # the fork server was killed at this moment: it is started again once
                    near.close()
                    if last:
                        raise
                    continue
                finally:
                    far.close()
            workers.append(Worker(process, near, device))
            _hand_out(workers[-1], waiting)
            return

    def give_up(worker: Worker, failed: Failed) -> Failed:
        """Replace a worker whose task has failed; return whether the task is tried again."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        workers.remove(worker)
        again = failed.again and failed.task not in tried
        tried.add(failed.task)
        if again:
            waiting.appendleft(failed.task)
        if waiting:
            start(worker.device)
        return replace(failed, again=again)

    try:
        for device in devices[: len(tasks)]:
            start(device)
        while any(worker.task for worker in workers):
            ready = set(wait([worker.pipe for worker in workers if worker.task]))
            for worker in [worker for worker in workers if worker.pipe in ready]:
                assert worker.task is not None
                try:
                    event: Event = worker.pipe.recv()
                except (EOFError, OSError):  # it ended: before, between or within a message
                    worker.process.join()
                    event = Failed(worker.task, f"its worker {_ending(worker.process.exitcode)}", again=True)
                if isinstance(event, Failed) and event.again:
                    event = give_up(worker, event)
                elif not isinstance(event, Progress):
                    worker.task = None
                    _hand_out(worker, waiting)  # before the consumer writes the result, so that the worker does not wait for the disk
                yield event
    finally:
        ours.close()
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
        return f"was killed by {name}" + (" (out of memory? fewer --workers need less)" if name == "SIGKILL" else "")
    return f"ended with exit code {code}"


def _worth_another_try(error: BaseException) -> bool:
    """Return whether a fold failed for what may not happen again: memory was refused, or a number was not finite."""
    import torch

    from merbench.engine.fold import NotFiniteError

    if isinstance(error, (NotFiniteError, MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(words in str(error) for words in NO_MEMORY)


def _work(pipe: Connection, listen: Connection, job: Job, device_name: str) -> None:
    """Run in a worker: take tasks until there are no more."""
    deaf()
    threading.Thread(target=end_with_parent, args=(listen,), daemon=True).start()
    try:
        train = _ready(job, device_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the data or the method went away since the run was planned: every fold says so
        _answer(pipe, functools.partial(_refuse, error))
    else:
        _answer(pipe, train)


Train = Callable[[Task, Callable[[float], None]], Finished]


def _ready(job: Job, device_name: str) -> Train:
    """Load what all folds share, and return what trains one."""
    import torch

    from merbench import methods, weights
    from merbench.data import protocol, store
    from merbench.data.serving import serve
    from merbench.engine import fold, initial, pretraining

    methods.load(job.method, job.source)
    prepared = store.load(*job.prepared)
    folds = protocol.folds_of(job.request.protocol, prepared.clips)
    method = fold.build(job.request, len(prepared.classes))
    everything, known = serve(prepared, method.inputs), fold.references_of(method, prepared)
    macro = pretraining.served(store.load(job.macro), method.inputs, folds) if job.macro else None
    state = initial.read(job.initial, job.request.initial)[0] if job.initial else None
    device = torch.device(device_name)
    hardware = " ".join(filter(None, processor())) if device.type == "cpu" else torch.cuda.get_device_name(device)
    gc.freeze()  # what is here now stays: later collections look at a fold's own objects only

    def train(task: Task, tick: Callable[[float], None]) -> Finished:
        result, cost, trained = fold.train(
            job.request,
            prepared,
            everything,
            folds[task.fold],
            folds,
            task.seed,
            device,
            dict(job.environment),
            tick,
            known,
            macro=macro,
            initial=state,
        )
        return Finished(task, result, cost, hardware, weights.packed(trained) if job.save_weights else None)

    return train


def _refuse(error: BaseException, _task: Task, _tick: Callable[[float], None]) -> Finished:
    raise error


def _answer(pipe: Connection, train: Train) -> None:
    """Train what comes through a pipe and send back what happens, until its other end is closed."""
    while True:
        try:
            task: Task = pipe.recv()
        except (EOFError, OSError):
            return
        last = 0.0

        def tick(share: float, task: Task = task) -> None:
            nonlocal last
            if time.monotonic() - last > 1 / TICKS_PER_SECOND:
                last = time.monotonic()
                _send(pipe, Progress(task, share))

        event: Event
        try:
            event = train(task, tick)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a fault of the method or its training: this fold has failed, the others go on
            event = Failed(task, told(error), traceback.format_exc(), _worth_another_try(error))
        _send(pipe, event)
        gc.collect()  # a Trainer and its module hold each other: without this, folds pile up


def _send(pipe: Connection, event: Event) -> None:
    """Send what happened. A parent that is gone hears nothing: that is its end, not a fault of this fold."""
    try:
        pipe.send(event)
    except OSError:
        os._exit(1)
