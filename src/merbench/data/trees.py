"""Where in a user's folder the clips of a database lie: found by what is in it, since archives unpack under many names."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from merbench import guard
from merbench.data import frames, pictures
from merbench.errors import UserError

DEEPEST = 6
"""Folders below the one that the user names; the owners' deepest way to a subject has five."""

MOST = 5_000
"""So many folders are looked into: a home directory is not searched for hours."""

FIRST = 50
"""Of a folder's files, these tell whether it holds frames."""

HEADER = 2**16
"""Bytes in which an image's size stands."""

CROPPED = "reg_"
"""How the owners' crops of SMIC and CASME II are named: ``reg_img46.jpg``."""


@dataclass(frozen=True)
class Tree:
    """A folder of subjects.

    Attributes:
        path: of the folder.
        clip: of one clip in it, by which it was recognised.
        crop: whether its frames are faces that the owners cut out.
        clips: how many are in it, where there are several trees to choose from.
    """

    path: Path
    clip: Path
    crop: bool
    clips: int = 0


def find(root: Path, subject: re.Pattern[str], clips: Callable[[Path], Iterator[Path]], whole: tuple[int, int]) -> tuple[Tree, ...]:
    """Return every folder of subjects, the nearest first; of two equally near, by name.

    Args:
        root: what the user named.
        subject: what a subject's folder is called, whole name.
        clips: yields the folders of a subject's clips; a subject without any is none.
        whole: width and height of a frame as recorded; a crop has less than half of its pixels.

    Raises:
        UserError: the folder is not there.
    """
    if not root.is_dir():
        raise UserError("a database's folder is not there", where=root, remedy="merbench data set NAME PATH")
    found: list[Tree] = []
    looked, level = 0, [root]
    for _ in range(DEEPEST + 1):
        below: list[Path] = []
        for folder in level:
            if _leaf(folder):
                continue
            looked += 1
            if looked > MOST and found:
                return tuple(found)
            if looked > MOST:
                raise UserError(
                    f"the folder holds more than {MOST:,} folders without a database", where=root, remedy="name the database's own folder"
                )
            inside = _folders(root, folder)
            people = [path for path in inside if subject.fullmatch(path.name)]
            clip = next(itertools.chain.from_iterable(clips(path) for path in people), None)
            if clip is not None:
                found.append(Tree(folder, clip, _crop(clip, whole)))
            below += [path for path in inside if not subject.fullmatch(path.name)]
        level = below
    if len(found) > 1:
        found = [replace(tree, clips=sum(1 for person in subjects(tree.path, subject) for _ in clips(person))) for tree in found]
    return tuple(found)


def chosen(trees: tuple[Tree, ...], root: Path, crop: bool, what: str) -> Tree:
    """Return the tree that is read: recorded frames, or the owners' crops where these are asked for; of several that with most clips.

    A copy that has crops alone is read by them; its faces are looked for and aligned all the same.

    Raises:
        UserError: there is none; says what the folder holds instead.
    """
    fitting = [tree for tree in trees if tree.crop] if crop else trees
    if fitting:
        return min(fitting, key=lambda tree: (tree.crop, -tree.clips))
    if trees:
        raise UserError(
            "the copy has no frames that its owners cropped", where=root, remedy="leave out --face owner, or add them to the copy"
        )
    holds = sorted(path.name for path in root.iterdir())[:5]
    raise UserError(
        f"the folder {'is empty' if not holds else 'holds ' + ', '.join(holds)}: no {what} in it",
        where=root,
        remedy="name the folder that holds the database as its owners delivered it (docs/data.md)",
    )


def subjects(tree: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the folders in a folder that are called so, by name; files and dead links under such names are none.

    Raises:
        UserError: it may not be read.
    """
    try:
        with os.scandir(tree) as listed:
            return sorted(Path(entry.path) for entry in listed if pattern.fullmatch(entry.name) and entry.is_dir())
    except OSError as error:
        raise UserError(f"a folder cannot be listed: {error.strerror}", where=tree, remedy="may you read it?") from error


def has_frames(folder: Path) -> bool:
    """Return whether a frame lies in a folder; the first few files decide, whatever lies there."""
    return _first_frame(folder) is not None


def named(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by their name in lower case."""
    return {path.name.casefold(): path for path in _folders(folder, folder)}


def _leaf(folder: Path) -> bool:
    """Return whether no other folder need be looked for in one: it has none, or is full of frames, as a video that has thousands."""
    try:
        with os.scandir(folder) as listed:
            first = list(itertools.islice(listed, FIRST))
            full = len(first) < FIRST or sum(_is_frame(entry.name) for entry in first) > FIRST / 2
            return full and not any(entry.is_dir() for entry in first)
    except OSError:
        return False


def _is_frame(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() in frames.ENDINGS and frames.NUMBER.search(path.stem) is not None and not name.startswith(".")


def _folders(root: Path, folder: Path) -> list[Path]:
    """Return the folders within one that are not hidden and lead nowhere else, by name."""
    try:
        with os.scandir(folder) as listed:
            inside = sorted((entry.path, entry.is_symlink()) for entry in listed if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return []
    return [Path(path) for path, link in inside if not link or _leads_within(root, Path(path))]


def _leads_within(root: Path, link: Path) -> bool:
    """Return whether a link leads to what lies below a root; what is no link does, and following a thousand folders takes a while."""
    try:
        guard.within(root, link)
    except ValueError:
        return False
    return True


def _first_frame(folder: Path) -> Path | None:
    try:
        with os.scandir(folder) as listed:
            for entry in itertools.islice(listed, FIRST):
                if _is_frame(entry.name) and entry.is_file():
                    return Path(entry.path)
    except OSError:
        pass
    return None


def _crop(clip: Path, whole: tuple[int, int]) -> bool:
    frame = _first_frame(clip)
    if frame is None:
        return False
    if frame.name.startswith(CROPPED):
        return True
    try:
        with frame.open("rb") as file:
            width, height = pictures.size(file.read(HEADER))
    except OSError:
        return False
    return 0 < width * height < whole[0] * whole[1] / 2
