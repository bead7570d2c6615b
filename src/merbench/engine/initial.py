"""Weights that a run starts from: a file of the user's, read without running anything in it, known by the hash of its bytes.

Two forms are read: what torch writes (a table of tensors, or one under ``state_dict``), and safetensors, whose header says where each tensor
lies (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from merbench import guard, weights
from merbench.errors import UserError

HEADER = 2**24
"""Bytes of a safetensors header; that of a large network has some 100,000."""

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32}
TYPES |= {"I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
"""Names of types in safetensors."""


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
    """Return the tensors of a safetensors file: eight bytes with the header's length, the header in JSON, then the numbers."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(HEADER, len(content) - 8):
        raise ValueError("it is cut off, or no safetensors file")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict) or len(header) > weights.MOST:
        raise ValueError("its header is no table of tensors")
    numbers = bytearray(content[8 + length :])  # what torch looks into may be written to
    state = {name: _tensor(name, entry, numbers) for name, entry in header.items() if name != "__metadata__"}
    if not state:
        raise ValueError("there is no tensor in it")
    weights.check(state, len(content))
    return state


def _tensor(name: str, entry: Any, numbers: bytearray) -> Tensor:
    told = f"what its header says of '{name[:80]}' cannot be"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in TYPES:
        raise ValueError(told)
    dtype, shape, offsets = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    if not all(isinstance(each, list) and all(type(number) is int and number >= 0 for number in each) for each in (shape, offsets)):
        raise ValueError(told)
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= len(numbers):
        raise ValueError(told)
    count = math.prod(shape)
    if count * dtype.itemsize != offsets[1] - offsets[0]:
        raise ValueError(told)
    if count == 0:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(numbers, dtype=dtype, count=count, offset=offsets[0]).reshape(shape).clone()
