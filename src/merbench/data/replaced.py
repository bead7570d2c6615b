"""A prepared set in which one subject's clips are something else: what nothing fitted may notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merbench.data.prepared import Prepared
from merbench.sample import Fold

By = Literal["garbage", "another subject"]


def replaced(prepared: Prepared, fold: Fold, by: By, seed: int = 0) -> Prepared:
    """Return the set with every array and label of who is held out replaced; counts, keys and classes stay.

    Garbage is noise: whole numbers over the range of their type, others over twice the range that the subject's clips have, so that means,
    deviations and extremes over all clips move. Labels of garbage are drawn evenly, each other than the true one. Another subject's clips
    come with their labels, repeated where they are fewer.

    Args:
        prepared: as every fold reads it; not changed.
        fold: whose held-out clips are replaced.
        by: what takes its place.
        seed: of garbage.
    """
    rng, test = np.random.default_rng([seed, fold.test[0]]), np.array(fold.test)
    labels = prepared.labels.copy()
    from_where = np.resize(donor(prepared, fold), len(test)) if by == "another subject" else test
    if by == "garbage":
        labels[test] = (labels[test] + rng.integers(1, len(prepared.classes), len(test))) % len(prepared.classes)
    else:
        labels[test] = prepared.labels[from_where]
    parts, begin = [], 0
    giver, there = _part(prepared, from_where)
    for part in prepared.parts or (prepared,):
        inside = (test >= begin) & (test < begin + len(part.clips))
        if inside.any():
            here = test[inside] - begin
            rows = {name: array[there[inside]] for name, array in giver.arrays.items()} if by == "another subject" else {}
            arrays = {name: _changed(array, here, rows.get(name), rng) for name, array in part.arrays.items()}
            part = replace(part, arrays=arrays, labels=labels[begin : begin + len(part.clips)], known="")
        parts.append(part)
        begin += len(part.clips)
    return replace(prepared, parts=tuple(parts), labels=labels, known="") if prepared.parts else replace(parts[0], labels=labels)


def donor(prepared: Prepared, fold: Fold) -> NDArray[np.int64]:
    """Return the positions of the clips of the training subject who has most clips, (n,): of the same database where one is learnt from."""
    database = prepared.clips[fold.test[0]].database
    own = [index for index in fold.train if prepared.clips[index].database == database] or list(fold.train)
    if not own:
        raise ValueError(f"there is nobody beside {fold.held_out}")
    subjects = [prepared.clips[index].subject for index in own]
    most = max(dict.fromkeys(subjects), key=subjects.count)
    return np.array([index for index, subject in zip(own, subjects, strict=True) if subject == most])


def _part(prepared: Prepared, positions: NDArray[np.int64]) -> tuple[Prepared, NDArray[np.int64]]:
    """Return the database that holds clips of one subject, and their positions in it."""
    begin = 0
    for part in prepared.parts or (prepared,):
        if positions[0] < begin + len(part.clips):
            break
        begin += len(part.clips)
    return part, positions - begin


def _changed(array: NDArray[Any], test: NDArray[Any], rows: NDArray[Any] | None, rng: np.random.Generator) -> NDArray[Any]:
    """Return an array with some clips' rows replaced by others; by garbage where there are none."""
    changed = _private(array)
    if rows is not None:
        changed[test] = rows
    elif array.dtype.kind == "f":
        held_out = np.asarray(array[test], dtype=np.float32)
        reach = 2 * (float(np.nanmax(np.abs(held_out), initial=0.0)) or 1.0)
        changed[test] = rng.uniform(-reach, reach, held_out.shape).astype(array.dtype)
    else:
        held = np.iinfo(array.dtype)
        changed[test] = rng.integers(held.min, held.max, (len(test), *array.shape[1:]), dtype=array.dtype, endpoint=True)
    return changed


def _private(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array to write into whose file does not change: of a memory-mapped one only what is written is copied."""
    if isinstance(array, np.memmap):
        assert array.filename is not None
        return np.memmap(array.filename, dtype=array.dtype, mode="c", offset=array.offset, shape=array.shape)
    return array.copy()
