"""Frames of a clip on disk: found by the number in their file name, read as pixels."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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


RARE = 3
"""So many times as many pictures of one name make those of another strays."""

NEAR = 8
"""So many numbers may lie between a frame that is missing and the one that is taken for it: cameras dropped 7 or 8 in a row."""

Apex = Literal["middle", "flow"] | Mapping[str, int]
"""What stands for an apex that a sheet does not give: the middle frame, the frame with most motion, or a table of the user's by clip key,
which overrules the sheet too."""


@dataclass(frozen=True)
class Footage:
    """The files of one clip from which it is prepared.

    Attributes:
        clip: with the frame numbers that are used.
        onset, apex: the two frames that methods compare.
        sequence: `SEQUENCE` frames from onset to offset; where one is missing, the nearest that is there.
        times: their places in the clip, 0 at the onset and 1 at the apex.
        candidates: numbers and files among which the apex is found by motion; empty where it is known. ``apex`` is the middle frame then.
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


def footage(clip: Clip, folder: Path, apex: Apex = "middle") -> Footage:
    """Return the files of a clip whose onset and offset are known; whatever stands for a frame that is not there is told by a flag.

    Args:
        clip: without an apex where its sheet gives none.
        folder: of its frames.
        apex: how a missing apex is replaced.

    Raises:
        UserError: its folder is not there, no frame is near its onset or apex, nothing can stand for its apex, or a table lacks it.
    """
    assert clip.onset is not None, "a source knows where its clips begin"
    assert clip.offset is not None
    there = numbered(folder)
    flags, begin, end = list(clip.flags), clip.onset, clip.offset
    if not isinstance(apex, str) and clip.key in apex:
        if not begin < apex[clip.key] <= end:
            raise UserError(
                f"the table of apexes says {apex[clip.key]} for {clip.key}, which goes from {begin} to {end}",
                where="--apex table",
                remedy="correct its row: an apex is a frame's number, after the onset",
            )
        clip = replace(clip, apex=apex[clip.key])
        flags.append("apex: from the user's table")
    elif not isinstance(apex, str) and clip.apex is None:
        raise UserError(f"the table of apexes lacks {clip.key}, which has none", where="--apex table", remedy="add its row")
    onset = _near(clip, "onset", begin, there, folder, flags)
    offset = min(end, max(there))
    if offset < end:
        flags.append("offset: beyond the frames, the last one is taken")
    inside = [number for number in there if onset < number <= offset]
    if not inside:
        raise UserError(
            f"{clip.key} has no frame between onset and offset ({onset} to {end}) to stand for the apex: the folder has {len(there)}, {_range(there)}",
            where=folder,
            remedy="fetch this clip again",
        )
    candidates: tuple[tuple[int, Path], ...] = ()
    if clip.apex is not None:
        chosen = _near(clip, "apex", clip.apex, inside, folder, flags)
    else:
        wanted_apex = max(middle(onset, offset), onset + 1)
        if apex == "flow":
            chosen = nearest(inside, wanted_apex)
            candidates = tuple((number, there[number]) for number in inside)
        else:
            chosen = _near(clip, "middle", wanted_apex, inside, folder, flags)
            flags.append("apex: middle frame")
    wanted = sequence(onset, offset)
    taken = tuple(nearest(there, number) for number in wanted)
    if taken != wanted:
        flags.append("sequence: nearest frames for missing ones")
    clip = replace(clip, onset=onset, apex=chosen, offset=offset, flags=tuple(flags))
    times = tuple((number - onset) / (chosen - onset) for number in taken)
    return Footage(clip, there[onset], there[chosen], tuple(there[number] for number in taken), times, candidates)


def _near(clip: Clip, name: str, number: int, there: Collection[int], folder: Path, flags: list[str]) -> int:
    """Return a frame's number, or the nearest that is there.

    Raises:
        UserError: none is near.
    """
    found = nearest(there, number)
    if abs(found - number) > NEAR:
        raise UserError(
            f"the {name} frame {number} of {clip.key} is missing: {'the folder has' if name == 'onset' else 'between onset and offset there are'}"
            f" {len(there)} frames {_range(there)}",
            where=folder,
            remedy="fetch this clip again, or correct the frame numbers in the owner's sheet",
        )
    if found != number:
        flags.append(f"{name}: nearest frame for a missing one")
    return found


def _range(there: Collection[int]) -> str:
    return f"from {min(there)} to {max(there)}"


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
    below = guard.Below(where)
    for clip in clips:
        try:
            one = find(clip)
            for path in (
                one.onset.parent,
                *(each for each in one.files if os.path.islink(each)),  # noqa: PTH114  # a third of the time of is_symlink, ten thousand times
            ):  # thousands of files: each followed takes seconds
                try:
                    below.check(path)
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
    found: dict[int, Path] = {}
    for path, digits in _frames_of_one_kind(folder):
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


def _frames_of_one_kind(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """Return a clip's pictures with their numbers, by name: a thumbnail that somebody put there is called otherwise than most, and is none."""
    try:
        with os.scandir(folder) as listed:  # names are sorted, not paths: a tenth of the time, ten thousand times
            inside = sorted(entry.name for entry in listed)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError("the folder of a clip is not there", where=folder, remedy="is the copy complete? fetch this clip again") from error
    except OSError as error:
        raise UserError(f"the folder of a clip cannot be listed: {error.strerror}", where=folder, remedy="may you read it?") from error
    pictures_there = [name for name in inside if name.lower().endswith(ENDINGS) and not name.startswith(".")]
    numbers = [(folder / name, digits) for name in pictures_there if (digits := NUMBER.search(name.rpartition(".")[0]))]
    kinds = Counter(_called(digits) for _, digits in numbers)
    if len(kinds) < 2:
        return numbers
    (most, count), (_, others) = kinds.most_common(2)
    return [each for each in numbers if _called(each[1]) == most] if count > RARE * others else numbers


def _called(digits: re.Match[str]) -> str:
    return digits.string[: digits.start()].casefold()


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
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
