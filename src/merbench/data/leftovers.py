"""What lies among prepared data, and how it is removed: what killed processes left, older sets, everything.

Nothing that another process holds is touched, no link is followed, and what merbench did not make stays. A set that is being removed is no
set any more from the first moment on: it gets the name of an unfinished one, which the next command removes where this one is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from merbench import guard
from merbench.data import assemble, store
from merbench.errors import UserError

Kind = Literal["set", "damaged set", "unfinished set", "finished clips", "lock", "link", "not of merbench"]

DEEPEST = 3
"""Folders below the root: ``macro/synthetic/<set>``."""


@dataclass(frozen=True)
class Found:
    """One thing that lies there.

    Attributes:
        path: of it.
        kind: what it is; ``finished clips`` are those of a set that is not whole yet.
        size: bytes.
        clips: how many it holds, where that can be told.
        held: another process works on it.
        of: source, databases, scheme and what was decided about faces and apices, of a set.
        made: when, of a set, nanoseconds.
        superseded: a newer set of the same lies beside it, or it is damaged.
    """

    path: Path
    kind: Kind
    size: int = 0
    clips: int | None = None
    held: bool = False
    of: tuple[str, ...] = ()
    made: int = 0
    superseded: bool = False

    @property
    def leftover(self) -> bool:
        """Return whether it is what a process left that is gone."""
        return self.kind in ("unfinished set", "finished clips", "lock") and not self.held

    @property
    def removable(self) -> bool:
        """Return whether merbench made it and nobody works on it."""
        return self.leftover or self.kind in ("set", "damaged set")


def look(root: Path = store.ROOT) -> list[Found]:
    """Return what lies there, in order of names.

    Raises:
        UserError: the folder cannot be read.
    """
    with _told(root):
        found = list(_look(root, 0)) if root.is_dir() else []
    newest: dict[tuple[object, ...], int] = {}
    for each in found:
        if each.kind == "set":
            newest[each.path.parent, *each.of] = max(each.made, newest.get((each.path.parent, *each.of), 0))
    return [
        replace(each, superseded=each.kind == "damaged set" or (each.kind == "set" and each.made < newest[each.path.parent, *each.of]))
        for each in found
    ]


def remove(found: Iterable[Found], root: Path = store.ROOT) -> Iterator[Found]:
    """Remove what may be removed of this, and yield each thing that is gone; what somebody began to work on since is left alone.

    Raises:
        UserError: the folder cannot be written.
    """
    for each in found:
        if not each.removable or each.path.is_symlink() or not os.path.lexists(each.path):
            continue
        with _told(root):
            try:
                _remove(each)
            except Timeout:
                continue
        yield each


def _remove(found: Found) -> None:
    """Remove one thing.

    Raises:
        Timeout: another process works on it.
        OSError: the system refuses.
    """
    path = found.path
    if found.kind == "finished clips":  # the folder and its lock stay: who waits for a lock must not get one that is gone
        with FileLock(path / ".lock", timeout=0):
            for part in path.iterdir():
                if part.name != ".lock":
                    _erase(part)
        return
    if found.kind in ("set", "damaged set"):
        name = path.with_name(f".unfinished-{secrets.token_hex(8)}")
        with FileLock(f"{name}.lock", timeout=0):
            path.rename(name)
            _erase(name)
            Path(f"{name}.lock").unlink(missing_ok=True)
        return
    lock = path if found.kind == "lock" else Path(f"{path}.lock")
    with FileLock(lock, timeout=0):
        if found.kind == "unfinished set":
            _erase(path)
        lock.unlink(missing_ok=True)


def _erase(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _look(folder: Path, depth: int) -> Iterator[Found]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield Found(path, "link")
        elif path.name.startswith(".unfinished-") and path.is_dir():
            yield Found(path, "unfinished set", _size(path), held=_held(Path(f"{path}.lock")))
        elif path.name.startswith(".unfinished-") and path.suffix == ".lock":
            if not path.with_suffix("").is_dir():
                yield Found(path, "lock", _size(path), held=_held(path))
        elif path.name.startswith(".work-") and path.is_dir():
            parts = [part for part in path.iterdir() if part.name != ".lock"]
            if parts:
                clips = sum(part.suffix == ".npz" and not part.name.startswith(".") for part in parts)
                yield Found(path, "finished clips", _size(path), clips, _held(path / ".lock"))
        elif (path / "index.json").is_file():
            yield _set(path)
        elif path.is_dir() and depth < DEEPEST and not path.name.startswith("."):
            yield from _look(path, depth + 1)
        else:
            yield Found(path, "not of merbench", _size(path))


def _set(path: Path) -> Found:
    """Return what a set is, without a look at its arrays."""
    size = _size(path)
    try:
        file = guard.inside(path, "index.json")
        index = guard.checked(json.loads(guard.read(file, store.LARGEST)), store.INDEX)
        flags = {flag for clip in index["clips"] for flag in clip["flags"] if flag.startswith("apex: ") or flag == assemble.OWNER}
        of = (index["source"], index["on"], index["scheme"], *sorted(flags))
        return Found(path, "set", size, len(index["clips"]), of=of, made=file.stat().st_mtime_ns)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Found(path, "damaged set", size)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; links are not followed."""
    if not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # another process goes on meanwhile
                total += (Path(folder) / name).lstat().st_size
    return total


def _held(lock: Path) -> bool:
    """Return whether somebody holds a lock; one that is a link is left to whoever made it."""
    if lock.is_symlink():
        return True
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


@contextlib.contextmanager
def _told(root: Path) -> Iterator[None]:
    """Say in one message what the system refused."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"prepared data cannot be looked at or removed: {error.strerror or error}",
            where=error.filename or root,
            remedy="make the folder readable and writable; what was not reached is as it was",
        ) from error
