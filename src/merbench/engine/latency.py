"""How long a trained method takes to judge one clip: a look at its speed that leaves no trace in any result."""

from __future__ import annotations

import statistics
import time

import torch

from merbench import streams
from merbench.batch import Batch
from merbench.engine.isolation import isolated
from merbench.method import Method

REPEATS = 5
BUDGET = 0.5
"""Seconds after which no further repeat is begun."""


def latency(method: Method, clip: Batch, device: torch.device) -> float | None:
    """Return the seconds that a method takes for the probabilities of one clip: a batch of one, in eval mode, the median of warm repeats.

    Flow, faces and landmarks are at hand; only what the method computes of them counts. What the method draws is drawn from a forked random
    state, and it predicts as it did when the held-out clips were looked at, so nothing that it has learnt is moved.

    None where a method of one's own cannot judge one clip alone.

    Args:
        method: trained.
        clip: a batch of one, on ``device``.
        device: CPU or one GPU.
    """
    taken: list[float] = []
    try:
        with isolated(streams.key_of("latency")):
            _judge(method, clip, device)  # warm: first calls load kernels and allocate
            begun = time.perf_counter()
            while len(taken) < REPEATS and (not taken or time.perf_counter() - begun < BUDGET):
                before = time.perf_counter()
                _judge(method, clip, device)
                taken.append(time.perf_counter() - before)
    except Exception:  # noqa: BLE001  # a look at its speed never costs a fold: this one is trained and judged already
        return None
    return statistics.median(taken)


def _judge(method: Method, clip: Batch, device: torch.device) -> None:
    method.probabilities(clip)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
