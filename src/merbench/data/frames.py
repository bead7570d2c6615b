"""Frames of a clip on disk: found by the number in their file name, read as pixels."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merbench.errors import UserError

SEQUENCE = 8
"""So many frames stand for a whole clip where a method asks for sequences."""

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
NUMBER = re.compile(r"(\d+)$")


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
        UserError: it is not there, cut off, or no 8-bit image.
    """
    import cv2  # here, so that a machine without OpenCV trains from the prepared store

    image = None
    with contextlib.suppress(OSError, cv2.error):
        if path.is_file() and _whole(raw := path.read_bytes()):
            image = cv2.imdecode(np.frombuffer(raw, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError("a frame cannot be read", where=path, remedy="fetch it again: the file is cut off or no image")
    return np.ascontiguousarray(image[:, :, ::-1])  # OpenCV reads blue first


def _whole(raw: bytes) -> bool:
    """Return whether a file ends as its format ends: OpenCV fills what is missing of a cut JPEG or BMP with grey and says nothing."""
    if raw[:2] == b"\xff\xd8":
        return b"\xff\xd9" in raw[-4096:]  # some cameras write notes after the end of the image
    if raw[:2] == b"BM":
        return len(raw) >= int.from_bytes(raw[2:6], "little")
    if raw[:4] == b"\x89PNG":
        return b"IEND" in raw[-64:]
    return False
