"""Randomness by name: the same bits in any engine, any order, any process.

A draw is a hash of a key and a counter (splitmix64: Steele, Lea and Flood, OOPSLA 2014), written with int64 tensor operations
that wrap, so that it runs on every device, under ``vmap`` and in every supported torch. Keys come from names (method, fold,
seed, purpose), never from the global state: whatever else runs, a fold draws what it would draw alone.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15, splitmix64's increment, as a signed 64-bit number
FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
SECOND = -7723592293110705685  # 0x94D049BB133111EB


def key_of(*names: str | int) -> int:
    """Return a signed 64-bit key for a list of names; a different list gives an unrelated key."""
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)


def words(key: int | Tensor, counters: Tensor) -> Tensor:
    """Return one 64-bit word per counter: int64, shape of ``counters``, uniform over all values.

    Args:
        key: a key, or a tensor of keys that broadcasts with the counters.
        counters: int64, any shape.
    """
    z = (counters + 1) * GOLDEN + key
    z = (z ^ _shift(z, 30)) * FIRST
    z = (z ^ _shift(z, 27)) * SECOND
    return z ^ _shift(z, 31)


def uniform(key: int | Tensor, counters: Tensor) -> Tensor:
    """Return float64 draws in [0, 1), shape of ``counters``, with 53 random bits each."""
    return _shift(words(key, counters), 11).to(torch.float64) * 2.0**-53


def shorts(key: int | Tensor, count: int, device: torch.device) -> Tensor:
    """Return ``count`` draws from -32768 to 32767, int64, uniform; four come from each word, which makes masks cheap."""
    drawn = words(key, torch.arange(-(-count // 4), device=device))
    quarters = [(drawn << place) >> 48 for place in (48, 32, 16, 0)]  # not view(int16), which torch 2.11 cannot do under vmap
    return torch.stack(quarters, dim=-1).flatten()[:count]


def shuffled(key: int, items: Tensor) -> Tensor:
    """Return positions (n,) that bring the items (int64, all different) into an order that depends on key and items alone."""
    return torch.argsort(words(key, items), stable=True)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Shift right without copying the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
