"""Prepared data on disk: memory-mapped arrays in a folder that exists whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from merbench import guard
from merbench.data.prepared import Prepared, Units, join
from merbench.errors import UserError
from merbench.sample import Clip

ROOT = Path("prepared")
LARGEST = 2**26
"""Bytes of an index."""

Part = tuple[str, int, int | None]
"""Of a clip in a set: the hash of what it was made from (empty where other clips had a hand in it), in which of its files the face was
found, and the apex where it was chosen by motion."""

INDEX: dict[str, Any] = {
    **dict.fromkeys(("on", "source", "scheme", "inputs", "annotations", "fingerprint"), str),
    "how": list[str],
    "pieces": list[list[str | int | None]],
    "clips": list[dict[str, Any]],
    "classes": list[str],
    "labels": list[int],
    "units": Units,
    "arrays": list[str],
    "touched": dict[str, list[int]],
}
CLIP: dict[str, Any] = get_type_hints(Clip)


def folder(root: Path, source: str, on: str, scheme: str, fingerprint: str) -> Path:
    """Return where a set lies: ``prepared/published-flow/smic+casme2-megc3-<fingerprint>``."""
    return root / source / f"{on}-{scheme}-{fingerprint}"


def save(prepared: Prepared, root: Path = ROOT, how: str = "") -> Path:
    """Write a set where it is not there yet, and return its folder. Two writers at once, or a kill, leave no half of it.

    Args:
        prepared: the set.
        root, how: as of `finish`.

    Raises:
        UserError: the folder cannot be written.
    """
    target = folder(root, prepared.source, prepared.on, prepared.scheme, prepared.fingerprint)
    if target.is_dir():
        return target
    with unfinished(root / prepared.source) as made:
        for name, array in prepared.arrays.items():
            np.save(made / f"{name}.npy", array)
        return finish(made, prepared, root, how=how)


@contextlib.contextmanager
def unfinished(parent: Path) -> Iterator[Path]:
    """Give a folder to write a set into; what is still there afterwards, because something failed, is removed.

    Raises:
        UserError: something inside could not be written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(parent)
        made = parent / f".unfinished-{secrets.token_hex(8)}"
        lock = FileLock(f"{made}.lock")
        with lock:  # from before the folder is there until after it is gone: one that nobody holds is dead
            try:
                made.mkdir()
                yield made
            finally:
                shutil.rmtree(made, ignore_errors=True)
                Path(lock.lock_file).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"prepared data cannot be written: {error.strerror or error}",
            where=parent,
            remedy="free some space, or make the folder writable",
        ) from error


def _remove_dead(parent: Path) -> None:
    """Remove the unfinished folders of processes that were killed: each may be as large as a set."""
    for folder in parent.glob(".unfinished-*"):
        if not folder.is_dir():
            continue
        lock = FileLock(f"{folder}.lock", timeout=0)
        with contextlib.suppress(Timeout), lock:
            shutil.rmtree(folder, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)


def finish(made: Path, prepared: Prepared, root: Path, inputs: str = "", how: str = "", pieces: Sequence[Part] = ()) -> Path:
    """Give an unfinished folder, whose arrays are written, its index and its name.

    Args:
        made: from `unfinished`, with one ``<name>.npy`` per array.
        prepared: what lies in it.
        root: of all prepared sets.
        inputs: a hash of what it was made from, so that `made_of` finds it.
        how: the settings with which it was made, so that `find` finds it where what it was made from is away.
        pieces: of each clip, so that another scheme's set takes over what is the same (`parts`).
    """
    target = folder(root, prepared.source, prepared.on, prepared.scheme, prepared.fingerprint)
    index = {
        "on": prepared.on,
        "source": prepared.source,
        "scheme": prepared.scheme,
        "clips": [dataclasses.asdict(clip) for clip in prepared.clips],
        "classes": prepared.classes,
        "labels": prepared.labels.tolist(),
        "units": prepared.units,
        "arrays": sorted(prepared.arrays),
        "inputs": inputs,
        "how": [how],
        "pieces": [list(part) for part in pieces],
        "annotations": prepared.annotations,
        "fingerprint": prepared.fingerprint,
        "touched": _touched(made, prepared.arrays),
    }
    (made / "index.json").write_text(json.dumps(index), encoding="utf-8")
    for path in made.iterdir():
        _flush(path)  # or a power cut after the renaming might leave zeros under a good name
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        _adopt(target, index)
    return target


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _adopt(target: Path, index: dict[str, Any]) -> None:
    """Let a finished set that has the very same content be found by the inputs and settings from which it was just made again."""
    index = {**index, "touched": _touched(target, index["arrays"]), "how": sorted({*index["how"], *_how(target)})}
    fresh = target / f".index.{secrets.token_hex(4)}"
    try:
        fresh.write_text(json.dumps(index), encoding="utf-8")
        _flush(fresh)
        fresh.replace(target / "index.json")
    finally:
        fresh.unlink(missing_ok=True)


def _how(path: Path) -> tuple[str, ...]:
    """Return all settings that give this set; none where its index is damaged."""
    try:
        return tuple(guard.checked(json.loads(guard.read(path / "index.json", LARGEST)), INDEX)["how"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def load(*paths: Path) -> Prepared:
    """Open a set, or several databases as one; arrays are memory-mapped, so that processes share them.

    Raises:
        UserError: it is not there or damaged.
    """
    parts = [_load(path) for path in paths]
    if len(parts) == 1:
        return parts[0]
    from merbench.data.databases import join as name_of

    return join(parts, name_of(tuple(part.on for part in parts)))


def check_unchanged(paths: Sequence[Path]) -> None:
    """Refuse a set whose content is not what its folder says: its source, databases, scheme and fingerprint.

    Arrays that nobody touched since they were written are not read for that.

    Raises:
        UserError: names the folder.
    """
    for path in paths:
        found = _load(path)
        if path != folder(path.parents[1], found.source, found.on, found.scheme, found.fingerprint):
            raise UserError(
                "prepared data are not those of their name: they were changed or moved",
                where=path,
                remedy="delete this folder; it is made again",
            )


def schemes_of(root: Path, source: str) -> set[str]:
    """Return the schemes of which a source has finished sets."""
    found = (re.fullmatch(r"[a-z0-9+]+-(.+)-[0-9a-f]{16}", path.parent.name) for path in (root / source).glob("*/index.json"))
    return {match[1] for match in found if match}


def find(root: Path, source: str, scheme: str, on: str = "*", how: str | None = None) -> list[Path]:
    """Return the finished sets of a source and scheme, for a machine that has no copy of the database.

    Args:
        root: of all sets.
        source, scheme: names.
        on: databases; ``*`` for any.
        how: the settings with which they were made; None for any.
    """
    name = re.compile(f"{'.+' if on == '*' else re.escape(on)}-{re.escape(scheme)}-[0-9a-f]{{16}}")  # megc3 is not megc3-mini
    found = sorted(path.parent for path in (root / source).glob("*/index.json") if name.fullmatch(path.parent.name))
    return found if how is None else [path for path in found if how in _how(path)]


def parts(root: Path, source: str, on: str) -> Iterator[tuple[Prepared, list[Part]]]:
    """Yield every finished, unchanged set of a database, of any scheme, with the parts of which it was made."""
    for path in sorted(path.parent for path in (root / source).glob(f"{on}-*/index.json")):
        try:
            found = _load(path)
            listed = json.loads(guard.read(path / "index.json", LARGEST))["pieces"]
        except (UserError, OSError, ValueError, KeyError):
            continue
        if found.known and len(listed) == len(found.clips):
            yield found, [(str(key), int(place), chosen) for key, place, chosen in listed]


def made_of(root: Path, source: str, on: str, scheme: str, inputs: str) -> Path | None:
    """Return the finished set that was made from these inputs; None where there is none."""
    for path in find(root, source, scheme, on):
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):  # a damaged set is made anew
            if json.loads(guard.read(path / "index.json", LARGEST)).get("inputs") == inputs:
                return path
    return None


def _load(path: Path) -> Prepared:
    try:
        index: dict[str, Any] = guard.checked(json.loads(guard.read(path / "index.json", LARGEST)), INDEX)
        if {len(index["clips"]), len(index["labels"])} != {len(index["clips"])} or not all(
            0 <= i < len(index["classes"]) for i in index["labels"]
        ):
            raise ValueError("its labels are not those of its clips")
        arrays = {name: _mapped(path, name) for name in index["arrays"]}
        prepared = Prepared(
            on=index["on"],
            source=index["source"],
            scheme=index["scheme"],
            clips=tuple(_clip(clip) for clip in index["clips"]),
            classes=tuple(index["classes"]),
            labels=np.array(index["labels"], dtype=np.int64),
            arrays=arrays,
            units=index["units"],
        )
        lengths = {len(prepared.clips), len(prepared.labels), *(len(array) for array in prepared.arrays.values())}
        if len(lengths) > 1:
            raise ValueError(f"clips, labels and arrays have unlike lengths {sorted(lengths)}")
        untouched = index.get("touched") == _touched(path, prepared.arrays) and index.get("annotations") == prepared.annotations
        return dataclasses.replace(prepared, known=index["fingerprint"]) if untouched else prepared
    except (OSError, EOFError, ValueError, KeyError, TypeError, OverflowError, RecursionError, SyntaxError) as error:
        raise UserError(f"prepared data cannot be read: {error}", where=path, remedy="delete this folder; it is made again") from error


def _clip(told: object) -> Clip:
    """Return a clip of the index, whose names can be those of folders.

    Raises:
        ValueError: they cannot.
    """
    told = guard.checked(told, CLIP)
    database, _, subject = told["subject"].partition("/")
    if guard.plain(told["database"]) != database:
        raise ValueError(f"subject '{told['subject'][:60]}' is not of {database[:60]}")
    guard.plain(subject)
    guard.plain(told["name"])
    return Clip(**{**told, "flags": tuple(told["flags"]), "units": tuple(told["units"])})


def _mapped(path: Path, name: str) -> NDArray[Any]:
    """Map an array that lies in a set's folder. What it says of its size is as large as its file, or numpy refuses.

    Raises:
        ValueError: its name or a link leads elsewhere; and what numpy raises on what is no array.
    """
    array = np.load(guard.inside(path, f"{name}.npy"), mmap_mode="r", allow_pickle=False)
    if type(array) is not np.memmap or array.dtype.kind not in "fiub" or not array.ndim:
        raise ValueError(f"{name}.npy is no array of numbers")
    return array


def _touched(path: Path, names: Sequence[str] | dict[str, Any]) -> dict[str, list[int]]:
    """Return size and time of change of each array: as long as they stand, gigabytes need not be hashed again."""
    stats = {name: (path / f"{name}.npy").stat() for name in sorted(names)}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}
