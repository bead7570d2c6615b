"""Weights of a fold: a state dict in a file, read without running anything that stands in it, and known by its hash.

``merbench bench --save-weights`` keeps one file a fold beside the fold files. The hash that each fold file holds tells whether these are
the weights that its probabilities come from.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from merbench import guard
from merbench.errors import UserError
from merbench.foldfile import read_metadata, write
from merbench.method import Method
from merbench.results import Run

LARGEST = 2**32
"""Bytes of a weights file."""

DEEPEST, MOST = 8, 100_000
"""Levels of tables within tables, and entries in them; a state dict has two or three and as many as the network has tensors."""

PLAIN = (str, int, float, bool, type(None))

State = Mapping[str, Any]


def packed(method: Method) -> bytes:
    """Return a method's state dict as the content of a file."""
    content = io.BytesIO()
    torch.save({name: _on_cpu(value) for name, value in method.state_dict().items()}, content)
    return content.getvalue()


def save(method: Method, path: Path) -> None:
    """Write a method's weights whole, under their own name or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, packed(method))


def digest(state: State) -> str:
    """Return the SHA-256 of everything a method has learnt, by name."""
    whole = hashlib.sha256()
    for name, value in _leaves("", state, strict=False):
        if isinstance(value, Tensor):
            array = np.ascontiguousarray(value.detach().cpu().numpy())
            whole.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
        else:
            whole.update(f"{name} {value!r}".encode())
    return whole.hexdigest()


def load(path: Path, expected_sha256: str | None = None) -> dict[str, Any]:
    """Read weights; nothing in the file is run, and it cannot ask for more memory than it is long.

    Args:
        path: of the file.
        expected_sha256: their `digest`; None where it is not known.

    Raises:
        UserError: it is no file of weights, holds what weights are not, is damaged, or is not the expected one.
    """
    try:
        state = parsed(guard.read(path, LARGEST))
        if expected_sha256 is not None and digest(state) != expected_sha256:
            raise ValueError("they are not the weights that the fold was judged with")
        return state
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def parsed(content: bytes) -> dict[str, Any]:
    """Return the state dict of a file; nothing in it is run, and it cannot ask for more memory than it is long.

    Args:
        content: of the file, as torch writes it.

    Raises:
        ValueError: it is no file of weights, holds what weights are not, or is damaged.
    """
    try:
        _check_archive(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not state:
            raise ValueError(f"it holds a {type(state).__name__}, no table of tensors")
        check(state, len(content))
        return state
    except pickle.UnpicklingError as error:
        raise ValueError("it holds a program or objects, not weights: nothing of it was run") from error
    except Exception as error:  # torch raises whatever its parser meets in bytes that somebody else wrote
        raise ValueError((str(error) or type(error).__name__).splitlines()[0][:200]) from error


def check(state: State, length: int) -> None:
    """Refuse what no state dict holds.

    Args:
        state: read from a file.
        length: of the file, in bytes.

    Raises:
        ValueError: its tensors are larger than the file or not finite, or it holds what is neither tensor nor plain.
    """
    leaves = list(_leaves("", state))
    tensors = {name: value for name, value in leaves if isinstance(value, Tensor)}
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > length:
        raise ValueError("its tensors are larger than the file")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"'{name[:80]}' is not finite")


def of_fold(run: Run, name: str) -> dict[str, Any]:
    """Return the weights of a run's fold, seen to be those of its fold file.

    Raises:
        UserError: the fold has none, or others.
    """
    path = run.weights_path(name)
    if not path.is_file():
        raise UserError(
            f"no weights of fold {name} were kept",
            where=path,
            remedy="delete its fold file and run the same command with --save-weights: only this fold is trained",
        )
    return load(path, read_metadata(run.fold_path(name))["weights"])


def put_into(method: Method, state: State, path: Path) -> None:
    """Give a method its weights.

    Args:
        method: built with the arguments with which they were trained.
        state: from `load`.
        path: of the file, for the message.

    Raises:
        UserError: names or shapes are not the method's.
    """
    try:
        method.load_state_dict(dict(state), strict=True)
    except Exception as error:  # a method's own set_extra_state reads what is in the file
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:3]) or type(error).__name__
        raise UserError(
            f"the weights are not those of this method with these arguments: {reason[:300]}",
            where=path,
            remedy="build the method with the arguments in the run's request.yaml",
        ) from error


def _leaves(name: str, value: Any, level: int = 0, *, strict: bool = True) -> Iterator[tuple[str, Any]]:
    """Yield every tensor and other value with its dotted name.

    Raises:
        ValueError: where ``strict``, if one is neither tensor nor plain, or there are too many.
    """
    plain = isinstance(value, (Tensor, *PLAIN)) or (isinstance(value, (tuple, list)) and all(isinstance(item, PLAIN) for item in value))
    if isinstance(value, Mapping):
        if strict and (level > DEEPEST or len(value) > MOST or not all(isinstance(key, str) for key in value)):
            raise ValueError("tables within tables that no state dict has")
        for key in sorted(value) if level else value:
            yield from _leaves(f"{name}.{key}" if level else key, value[key], level + 1, strict=strict)
    elif plain or not strict:
        yield name, value
    else:
        raise ValueError(f"'{name[:80]}' is a {type(value).__name__}")


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    return {name: _on_cpu(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _check_archive(content: bytes) -> None:
    """Refuse an archive whose parts are compressed or lie: torch stores them as they are.

    Raises:
        ValueError: names the part.
    """
    try:
        parts = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except zipfile.BadZipFile as error:
        raise ValueError("it is cut off, or no file of weights") from error
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size:
            raise ValueError(f"its part '{part.filename[:80]}' is compressed, which weights are not")
    if sum(part.file_size for part in parts) > len(content):
        raise ValueError("its parts are larger than the file")


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        f"weights cannot be read: {reason}",
        where=path,
        remedy="delete this file and its fold file, then run the same command with --save-weights: only this fold is trained",
    )
