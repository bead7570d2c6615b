"""Weights that a run starts from: a file of the user's, read without running anything in it, known by the hash of its bytes.

Two forms are read: what torch writes (a table of tensors, or one under ``state_dict``), and safetensors, whose header says where each tensor
lies (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from merbench import guard, weights
from merbench.errors import UserError, told, visible

TYPES = {
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
}
"""Of tensors that may be in a file; whether a number is finite can be asked of each of them."""


def read(path: Path, expected_sha256: str = "") -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file by name, and the SHA-256 of its bytes.

    Args:
        path: of the file.
        expected_sha256: of its bytes; empty where it is not known yet.

    Raises:
        UserError: it cannot be read, holds what weights are not, or is not the expected one.
    """
    try:
        content = guard.read(path, weights.LARGEST)
        found = hashlib.sha256(content).hexdigest()
        if expected_sha256 and found != expected_sha256:
            raise ValueError("the file was changed since the run was planned")
        return (_safetensors(content) if path.suffix.lower() == ".safetensors" else _torch(content)), found
    except (OSError, ValueError, RecursionError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise UserError(
            f"initial weights cannot be read: {reason[:200]}",
            where=path,
            remedy="give a state dict: a file of torch.save(model.state_dict(), ...), or one that ends in .safetensors",
        ) from error


def _torch(content: bytes) -> dict[str, Tensor]:
    state = weights.parsed(content)
    inner = state.get("state_dict", state)  # as training scripts keep it, beside the epoch
    if not isinstance(inner, dict) or not inner or not all(isinstance(value, Tensor) for value in inner.values()):
        raise ValueError("it holds no table of names and tensors")
    return inner


def _safetensors(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; the library looks at every offset before it gives out a number."""
    try:
        state = load(content)
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:  # the last three: of types that this torch has not
        raise ValueError(f"no safetensors file, or not the whole of one ({visible(told(error))})") from error
    if not 0 < len(state) <= weights.MOST:
        raise ValueError(
            f"there are {len(state):,} tensors in it, from 1 to {weights.MOST:,} can be" if state else "there is no tensor in it"
        )
    strange = [name for name, tensor in state.items() if tensor.dtype not in TYPES]
    if strange:
        raise ValueError(f"'{strange[0][:80]}' is of the type {state[strange[0]].dtype}, which no method has")
    weights.check(state, len(content))
    return state
