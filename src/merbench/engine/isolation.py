"""What keeps a fold to itself: nothing outside the request moves a number, and a fold moves nothing outside."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def isolated(key: int) -> Iterator[None]:
    """Seed the global random states, and put them back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices):
        random.seed(key)
        np.random.seed(key % 2**32)
        torch.manual_seed(key)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextlib.contextmanager
def without_variables(prefix: str) -> Iterator[None]:
    """Hide environment variables, and put them back afterwards."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(prefix)}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread in torch and in the numeric libraries: gradients of convolutions have other bits with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says at every fit: which devices there are, and advice that does not apply to a fold."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6 with torch 2.15, once a process
            yield
    finally:
        logger.setLevel(level)
