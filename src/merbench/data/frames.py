"""Frames of a clip on disk: found by the number in their file name, read as pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench import guard
from merbench.data import pictures
from merbench.errors import UserError
from merbench.sample import Clip

SEQUENCE = 8
"""So many frames stand for a whole clip where a method asks for sequences."""

TOLD = 12
"""So many clips are named in one message."""

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
NUMBER = re.compile(r"([0-9]+)$")
DIGITS = 12
"""Of a frame's number; the longest known has eight."""


@dataclass(frozen=True)
class Footage:
    """The files of one clip from which it is prepared.

    Attributes:
        clip: with the frame numbers that are used.
        onset, apex: the two frames that methods compare.
        sequence: `SEQUENCE` frames from onset to offset; where one is missing, the nearest that is there.
        times: their places in the clip, 0 at the onset and 1 at the apex.
        candidates: numbers and files among which the apex is found by motion; empty where the sheet or the middle says it. ``apex`` is one
            of them for the time being, and ``times`` count to it.
    """

    clip: Clip
    onset: Path
    apex: Path
    sequence: tuple[Path, ...]
    times: tuple[float, ...]
    candidates: tuple[tuple[int, Path], ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return every file that is read, each once."""
        return tuple(dict.fromkeys((self.onset, self.apex, *self.sequence, *(path for _, path in self.candidates))))


def footage(clip: Clip, folder: Path) -> Footage:
    """Return the files of a clip whose onset and offset are known. Without an apex, the middle frame stands for it, and a flag says so.

    Raises:
        UserError: its folder, its onset or its apex is not there, or no frame can stand for its apex.
    """
    onset, offset = clip.onset, clip.offset
    assert onset is not None, "a source knows where its clips begin"
    assert offset is not None
    there = numbered(folder)
    for name, number in (("onset", onset), ("apex", clip.apex)):
        if number is not None and number not in there:
            raise UserError(
                f"the {name} frame {number} of {clip.key} is missing: the folder has {len(there)} frames from {min(there)} to {max(there)}",
                where=folder,
                remedy="fetch this clip again, or correct the frame numbers in the owner's sheet",
            )
    if clip.apex is None:
        apex = nearest(there, middle(onset, offset))
        if apex == onset:
            raise UserError(
                f"{clip.key} has no frame between onset and offset to stand for the apex: the folder has {len(there)}",
                where=folder,
                remedy="fetch this clip again",
            )
        clip = replace(clip, apex=apex, flags=(*clip.flags, "apex: middle frame"))
    wanted = sequence(onset, offset)
    chosen = tuple(nearest(there, number) for number in wanted)
    if chosen != wanted:
        clip = replace(clip, flags=(*clip.flags, "sequence: nearest frames for missing ones"))
    assert clip.apex is not None
    span = max(clip.apex - onset, 1)
    times = tuple((number - onset) / span for number in chosen)
    return Footage(clip, there[onset], there[clip.apex], tuple(there[number] for number in chosen), times)


def gathered(clips: Iterable[Clip], find: Callable[[Clip], Footage], where: Path) -> tuple[Footage, ...]:
    """Return the footage of all clips, or say of every clip that has none why.

    Args:
        clips: in listed order.
        find: raises UserError for a clip that cannot be used.
        where: the database's folder, for the message.

    Raises:
        UserError: one message for all clips that cannot be used.
    """
    found: list[Footage] = []
    wrong: list[UserError] = []
    for clip in clips:
        try:
            one = find(clip)
            for path in one.files:
                try:
                    guard.within(where, path)
                except ValueError as error:
                    raise UserError(
                        f"a frame of {clip.key} is not in the database's folder: {error}",
                        where=path,
                        remedy="put the frames themselves there; the database's folder as a whole may be a link",
                    ) from error
            found.append(one)
        except UserError as error:
            wrong.append(error)
    refuse(wrong, len(wrong) + len(found), where)
    return tuple(found)


def refuse(wrong: Sequence[UserError], total: int, where: Path) -> None:
    """Say of every clip that cannot be used why, in one message; nothing where there is none.

    Raises:
        UserError: there is one.
    """
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        listed = "\n  ".join(f"{error.what} ({error.where})" for error in wrong[:TOLD])
        more = f"\n  and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        raise UserError(f"{len(wrong)} of {total} clips cannot be used:\n  {listed}{more}", where=where, remedy=wrong[0].remedy)


def tree(root: Path, names: Iterable[str], child: str) -> Path:
    """Return the folder of clips within a database's folder: the first of these names that has such a child, the folder itself last.

    Args:
        root: what the user named.
        names: relative folders, the best first; owners' archives unpack into them, sometimes twice nested.
        child: pattern of what must lie in it, such as ``sub[0-9][0-9]``.

    Raises:
        UserError: the folder is not there, is empty, or holds nothing of that shape.
    """
    if not root.is_dir():
        raise UserError("a database's folder is not there", where=root, remedy="merbench data set NAME PATH")
    listed = list(names)
    for name in [*listed, *(f"{name}/{name}" for name in listed), "."]:
        if any((root / name).glob(child)):
            return root / name
    holds = sorted(path.name for path in root.iterdir())[:5]
    raise UserError(
        f"the folder {'is empty' if not holds else 'holds ' + ', '.join(holds)}: no folder of subjects ({child}) in it",
        where=root,
        remedy=f"name the folder that holds {listed[0]}",
    )


def nearest(there: Iterable[int], wanted: int) -> int:
    """Return the number that is nearest to the wanted one; of two equally near, the earlier."""
    return min(there, key=lambda number: (abs(number - wanted), number))


def sequence(onset: int, offset: int) -> tuple[int, ...]:
    """Return `SEQUENCE` frame numbers from onset to offset, evenly spaced and rounded; a short clip repeats some."""
    return tuple(int(number) for number in np.rint(np.linspace(onset, offset, SEQUENCE)))


def middle(onset: int, offset: int) -> int:
    """Return the frame half way: what stands for the apex where a database names none."""
    return (onset + offset) // 2


def numbered(folder: Path) -> dict[int, Path]:
    """Return a clip's frames by the number at the end of their file name, in order; padding and prefix do not matter.

    Raises:
        UserError: there is no such folder, no frame in it, or two frames have one number.
    """
    if not folder.is_dir():
        raise UserError("the folder of a clip is not there", where=folder, remedy="is the copy complete? fetch this clip again")
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        digits = NUMBER.search(path.stem) if path.suffix.lower() in ENDINGS and not path.name.startswith(".") else None
        if digits is None:
            continue
        number = int(digits[1])
        if len(digits[1]) > DIGITS:
            raise UserError(f"the number of a frame has {len(digits[1])} digits: {path.name}", where=folder, remedy="take this file out")
        if number in found:
            raise UserError(
                f"two frames have the number {number}: {found[number].name} and {path.name}", where=folder, remedy="take one of them out"
            )
        found[number] = path
    if not found:
        raise UserError(
            f"the folder of a clip holds no frame ({', '.join(ENDINGS)} with a number)", where=folder, remedy="fetch this clip again"
        )
    return dict(sorted(found.items()))


def read(path: Path) -> NDArray[np.uint8]:
    """Return a frame as (H, W, 3) uint8, red first; a grey one has three equal channels.

    Raises:
        UserError: it is not there, cut off, too large, or no 8-bit image.
    """
    import cv2  # here, so that a machine without OpenCV trains from the prepared store

    try:
        image = pictures.read(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image.dtype != np.uint8:
            raise ValueError(f"its pixels are {image.dtype}, not of 8 bits")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"a frame cannot be read: {reason}", where=path, remedy="fetch it again: the file is cut off or no 8-bit image"
        ) from error
    return np.ascontiguousarray(image[:, :, ::-1])  # OpenCV reads blue first
