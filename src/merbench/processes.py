"""Many independent pieces of work over all cores: in any order, interruptible, without orphans."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TypeVar

import joblib

from merbench.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None) -> Iterator[tuple[int, Result]]:
    """Yield (position, result) of every item, as they are finished.

    Closing the iterator, or an exception in its consumer, ends all workers at once; when this process dies, they end by themselves.
    What a killed piece of work leaves on disk is its function's business: write whole and rename.

    Args:
        function: of a module, so that it can be sent to a process.
        items: its arguments.
        workers: processes; None for one per core.

    Raises:
        UserError: a worker was killed; or what ``function`` raises.
    """
    count = min(len(items), workers or cores())
    if count <= 1:  # nothing to share out: no second process, no second import of everything
        yield from ((index, function(item)) for index, item in enumerate(items))
        return
    context = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
    listen, lifeline = context.Pipe(duplex=False)  # nobody writes: its end tells a worker that this process is gone
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(listen,))
    try:
        futures = {pool.submit(function, item): index for index, item in enumerate(items)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed (out of memory?)",
            remedy="run the same command again: what is finished is kept; --workers 1 needs the least memory",
        ) from error
    finally:
        lifeline.close()
        listen.close()
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Return how many cores this process may use: affinity and container limits are minded."""
    return int(joblib.cpu_count(only_physical_cores=True))


def _begin(listen: Connection) -> None:
    """Begin a worker: Ctrl-C is its parent's to decide, one thread a process, no life after the parent's."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(listen,), daemon=True).start()


def end_with_parent(listen: Connection) -> None:
    """End this process when its parent does: the other end of this pipe, to which nobody writes, is closed then."""
    try:
        listen.recv()
    except (EOFError, OSError):
        os._exit(1)
