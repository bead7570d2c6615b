"""Many independent pieces of work over all cores: in any order, interruptible, without orphans."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import TypeVar

from merbench.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask for an end: Ctrl-C, a scheduler or an init system, a closed terminal. Each may go to every process of a group."""

ENVIRONMENT = {
    # one thread a process: in a fold two give gradients of convolutions other bits, and two processes are faster than two threads
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives every large tensor back to the system and faults it in again at the next step; keeping up to 256 MiB makes steps faster
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    # what deterministic CUDA matrix products ask for
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def context(preload: Sequence[str] = ()) -> BaseContext:
    """Return where processes are started from: a fork server, running from now on, or spawning where there is none.

    Args:
        preload: modules that the fork server imports; only the first call of a process is heard.

    Raises:
        UserError: the fork server cannot be started.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["merbench.forked", *preload])
    with starting():
        from multiprocessing import forkserver

        forkserver.ensure_running()
    return made


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Set what started processes inherit, and put it back in this one: `ENVIRONMENT`, and deafness to `ENDINGS` until `deaf` is called.

    A fork server that was killed is started again by the first process that is asked of it, so every start belongs in here.

    Raises:
        UserError: a process cannot be started.
    """
    resource_tracker.ensure_running()  # when it begins it unblocks signals, which must not happen in here
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    except (OSError, EOFError) as error:
        raise UserError(
            f"worker processes cannot be started: {getattr(error, 'strerror', None) or error or 'the fork server was killed'}",
            where=f"the folder for temporary files ({os.environ.get('TMPDIR') or tempfile.tempdir or 'TMPDIR'}), /dev/shm, memory",
            remedy="free some space in these, or set TMPDIR to a folder with a short name that can be written; then run the same command",
        ) from error
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def deaf() -> None:
    """Leave every request to end to the parent, which ends this process: otherwise a signal to the whole group would look like a failure.

    What this process itself may start, such as a program that a user's method calls, hears them as usual.
    """
    for number in ENDINGS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)


def lifeline(made: BaseContext) -> tuple[Connection, Connection]:
    """Return a pipe to which nobody writes: that its second end is closed tells those who hold the first that this process is gone."""
    listen, ours = made.Pipe(duplex=False)
    util.Finalize(None, ours.close, exitpriority=0)  # multiprocessing, at its end, waits for processes that it asks in vain to end
    return listen, ours


def each(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None, preload: Sequence[str] = ()
) -> Iterator[tuple[int, Result]]:
    """Yield (position, result) of every item, as they are finished.

    Closing the iterator, or an exception in its consumer, ends all workers at once; when this process dies, they end by themselves.
    What a killed piece of work leaves on disk is its function's business: write whole and rename.

    Args:
        function: of a module, so that it can be sent to a process.
        items: its arguments.
        workers: processes; None for one per core.
        preload: as of `context`.

    Raises:
        UserError: a worker was killed; or what ``function`` raises.
    """
    count = min(len(items), workers or cores())
    if count <= 1:  # nothing to share out: no second process, no second import of everything
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    made = context(preload)
    listen, ours = lifeline(made)
    with starting():
        pool = ProcessPoolExecutor(count, mp_context=made, initializer=_begin, initargs=(listen,))
    futures: dict[Future[Result], int] = {}
    try:
        for index, item in enumerate(items):
            with starting():
                futures[pool.submit(function, item)] = index
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed (out of memory?)",
            remedy="run the same command again: what is finished is kept; --workers 1 needs the least memory",
        ) from error
    finally:
        ours.close()
        listen.close()
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Return how many cores this process may use: affinity and container limits are minded."""
    import joblib  # here, since it takes a tenth of a second that commands without workers need not wait

    return int(joblib.cpu_count(only_physical_cores=True))


def _begin(listen: Connection) -> None:
    """Begin a worker: its end is its parent's to decide, one thread a process, no life after the parent's."""
    deaf()
    threading.Thread(target=end_with_parent, args=(listen,), daemon=True).start()
    import cv2

    cv2.setNumThreads(1)


def end_with_parent(listen: Connection) -> None:
    """End this process when its parent does: the other end of this pipe, to which nobody writes, is closed then."""
    try:
        listen.recv()
    except (EOFError, OSError):
        os._exit(1)
