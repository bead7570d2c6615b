"""What keeps a fold to itself: nothing outside the request moves a number, and a fold moves nothing outside."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import warnings
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]  # it is, without saying so
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


def bare_trainer(epochs: int | None, device: torch.device, callback: pl.Callback) -> pl.Trainer:
    """Return a bare Trainer.

    Every flag that outlives a Trainer in its process is set, not left to the one before; nothing is read from the surroundings:
    neither PL_TRAINER_* variables, which would change numbers under the same key, nor a cluster's, which would count our workers as its tasks.
    """
    with without_variables("PL_TRAINER_"):
        return pl.Trainer(
            accelerator="cpu" if device.type == "cpu" else "cuda",
            devices=1 if device.type == "cpu" else [device.index or 0],
            max_epochs=epochs,
            callbacks=[callback],
            plugins=[LightningEnvironment()],
            deterministic=True if device.type == "cpu" else "warn",
            benchmark=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )


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
