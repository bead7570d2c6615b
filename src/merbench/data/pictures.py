"""Images as bytes: looked over before anything is unpacked, since a file of a kilobyte can ask for gigabytes."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench import guard

LARGEST = 2**27
"""Bytes of an image file: a frame of SAMM's camera, not compressed, has seven million."""

PIXELS = 2**25
"""Width times height of a frame: sixteen times those of SAMM's camera, 2040 x 1088."""

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"BM"


def read(path: Path, mode: int, kinds: tuple[bytes, ...] = (PNG, JPEG, BMP)) -> NDArray[Any]:
    """Return an image as OpenCV unpacks it; by its content, whatever its name ends with.

    Args:
        path: of a JPEG, PNG or BMP file.
        mode: of ``cv2.imdecode``.
        kinds: how the file may begin.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is none of them, not whole, damaged, or too large.
    """
    import cv2  # here, so that a machine without OpenCV trains from the prepared store

    raw = guard.read(path, LARGEST)
    if not raw:
        raise ValueError("it is empty")
    if not raw.startswith(kinds):
        raise ValueError("it is no JPEG, PNG or BMP" if len(kinds) > 1 else "it is no PNG")
    width, height = size(raw)
    if width * height > PIXELS or not width * height:
        raise ValueError(f"it says that it is {width:,} x {height:,} pixels; at most {PIXELS:,} are read")
    if not whole(raw):
        raise ValueError("it is cut off or damaged")
    image = None
    with contextlib.suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(raw, dtype=np.uint8), mode)
    if image is None:
        raise ValueError("it is damaged")
    return np.asarray(image)


def size(raw: bytes) -> tuple[int, int]:
    """Return width and height as the file's header tells them; 0 where it tells none."""
    if raw.startswith(PNG):
        return int.from_bytes(raw[16:20], "big"), int.from_bytes(raw[20:24], "big")
    if raw.startswith(BMP):
        return abs(int.from_bytes(raw[18:22], "little", signed=True)), abs(int.from_bytes(raw[22:26], "little", signed=True))
    place = 2
    while place + 9 <= len(raw) and raw[place] == 0xFF:  # a JPEG is a chain of segments; the one that begins a frame has the size
        kind, length = raw[place + 1], int.from_bytes(raw[place + 2 : place + 4], "big")
        if kind == 0xFF:
            place += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(raw[place + 7 : place + 9], "big"), int.from_bytes(raw[place + 5 : place + 7], "big")
        else:
            place += 2 + length
    return 0, 0


def whole(raw: bytes) -> bool:
    """Return whether a file ends as its format ends: OpenCV 4 fills what is missing of a cut JPEG or BMP with grey and says nothing."""
    if raw.startswith(JPEG):
        return raw.rfind(b"\xff\xd9") > raw.rfind(b"\xff\xda")  # it ends after its last scan begins; a thumbnail ends before that
    if raw.startswith(BMP):
        return len(raw) >= max(14, int.from_bytes(raw[2:6], "little"))
    return raw.startswith(PNG) and _png(raw)


def _png(raw: bytes) -> bool:
    """Return whether every part of a PNG has its checksum and its pixels unpack: libpng would write its own words to the terminal."""
    place, packed = len(PNG), []
    while place + 12 <= len(raw):
        length = int.from_bytes(raw[place : place + 4], "big")
        kind, body = raw[place + 4 : place + 8], raw[place + 8 : place + 8 + length]
        if len(body) < length or zlib.crc32(kind + body).to_bytes(4, "big") != raw[place + 8 + length : place + 12 + length]:
            return False
        if kind == b"IDAT":
            packed.append(body)
        if kind == b"IEND":
            return _unpacks(packed, _unpacked_size(raw), exactly=not raw[28])
        place += 12 + length
    return False


def _unpacked_size(raw: bytes) -> int:
    """Return the most bytes that the pixels of a PNG have: lines with a byte before each, and a few more where they are interlaced."""
    (width, height), depth, colour = size(raw), raw[24], raw[25]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 4)
    line = (width * channels * depth + 7) // 8 + 1
    return line * height + (16 * (height + width + 16) if raw[28] else 0)


def _unpacks(packed: list[bytes], most: int, *, exactly: bool) -> bool:
    unpacker = zlib.decompressobj()
    try:
        for body in packed:
            while body:
                most -= len(unpacker.decompress(body, 2**20))
                body = unpacker.unconsumed_tail  # what was left of it
                if most < 0:
                    return False
    except zlib.error:
        return False
    return unpacker.eof and not (exactly and most)
