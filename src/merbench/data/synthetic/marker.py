"""``synthetic.json``: the file that says for ever that a database's folder is rendered, by which settings, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from merbench import guard
from merbench.errors import UserError

NAME = "synthetic.json"
ROOTS = {"smic": "smic", "casme2": "casme2", "samm": "samm", "casme3": "casme3", "macro": "casme3", "expressions": "expressions"}
"""The folder of each part, in which its marker lies."""
LARGEST = 2**20
"""Bytes of a mark."""

FACTS: dict[str, Any] = {
    "size": Literal["mini", "full"],
    **dict.fromkeys(("seed", "renderer", "clips"), int),
    **dict.fromkeys(("all_frames", "finished"), bool),
    "parts": dict[str, dict[str, Any]],
}

RENDERER = 2
"""Version of script, renderer and layouts together; raised when the same seed gives other files."""


@dataclass(frozen=True)
class Settings:
    """What a folder was rendered with.

    Attributes:
        size: ``mini`` or ``full``.
        seed: of people and performances.
        all_frames: every frame, not only those that a run can ask for.
    """

    size: str
    seed: int
    all_frames: bool


def read(folder: Path) -> dict[str, Any] | None:
    """Return what a database's folder says of itself; None where it is not marked as rendered.

    Raises:
        UserError: the marker is damaged.
    """
    path = folder / NAME
    try:
        about = json.loads(guard.read(path, LARGEST))
        return guard.checked({name: about[name] for name in FACTS}, FACTS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise UserError("a folder cannot be looked into", where=folder, remedy="may you read it? see its owner and rights") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"the mark of a rendered database cannot be read: {error}",
            where=path,
            remedy=f"delete {folder.name} and run merbench synth again",
        ) from error


def check(root: Path, parts: Sequence[str], settings: Settings) -> None:
    """Refuse to write where something else lies.

    Raises:
        UserError: a folder is not marked as rendered and not empty, or was rendered with other settings.
    """
    for name in dict.fromkeys(ROOTS.values()):
        folder = root / name
        about = read(folder)
        if about is None:
            if any(ROOTS[part] == name for part in parts) and _occupied(folder):
                raise UserError(
                    f"a folder '{name}' is there that merbench did not render: nothing was written",
                    where=folder,
                    remedy="give another folder: a real database is never touched",
                )
            continue
        other = [
            f"{what} {about[what]}, not {value}"
            for what, value in (("size", settings.size), ("seed", settings.seed), ("renderer", RENDERER))
            if about[what] != value
        ]
        if other:
            raise UserError(
                f"this folder was rendered with other settings: {'; '.join(other)}",
                where=folder,
                remedy=f"give another folder, or the settings of this one (--size {about['size']} --seed {about['seed']}), or delete it",
            )


def finished(root: Path, parts: Sequence[str], settings: Settings) -> bool:
    """Return whether all parts are marked as whole, with every frame where that is asked for."""
    for part in parts:
        about = (read(root / ROOTS[part]) or {"parts": {}})["parts"].get(part, {})
        if not about.get("finished") or (settings.all_frames and not about.get("all_frames")):
            return False
    return True


def write(root: Path, clips: Mapping[str, int], settings: Settings, *, finished: bool) -> None:
    """Mark parts as rendered; other parts in the same folder keep what is said of them.

    Args:
        root: of all databases.
        clips: how many each part has.
        settings: of all parts.
        finished: whether every clip and sheet is written.
    """
    for part, count in clips.items():
        folder = root / ROOTS[part]
        folder.mkdir(parents=True, exist_ok=True)
        parts = dict((read(folder) or {"parts": {}})["parts"])
        parts[part] = {"clips": count, "all_frames": settings.all_frames, "finished": finished}
        about = {
            "what": "rendered by merbench synth: no person was filmed",
            "renderer": RENDERER,
            "size": settings.size,
            "seed": settings.seed,
            "all_frames": all(each["all_frames"] for each in parts.values()),
            "clips": sum(each["clips"] for each in parts.values()),
            "finished": all(each["finished"] for each in parts.values()),
            "parts": parts,
        }
        whole(folder / NAME, (json.dumps(about, indent=2, sort_keys=True) + "\n").encode())


def whole(path: Path, content: bytes) -> None:
    """Write a file whole and rename it: what has its name is complete. One writer at a time holds the folder's lock."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # a full disk keeps no half of it
        raise


def _occupied(folder: Path) -> bool:
    """Return whether a folder holds anything but a mark that was never finished."""
    if not folder.is_dir():
        return folder.exists() or folder.is_symlink()
    return any(path.name != f".{NAME}.unfinished" for path in folder.iterdir())
