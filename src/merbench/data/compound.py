"""OLE compound files, in which an old ``.xls`` stands, a ``.doc`` too, and an ``.xlsx`` with a password.

xlrd brings a reader of its own; it follows links in a circle for ever. Sectors and links are those of [MS-CFB], version 5.
"""

from __future__ import annotations

import struct
from array import array

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LAST_SECTOR = 0xFFFFFFFA
"""Numbers from here on are no sectors: an end, a free place, a table's own."""
NOTHING = 0xFFFFFFFF
STREAM = 2


def streams(content: bytes) -> dict[str, bytes]:
    """Return the streams of the root folder by name; those of folders below, which are embedded documents, are left out.

    Raises:
        ValueError: a part lies beyond the end, or links go in a circle.
        struct.error: the head is cut off.
    """
    shift, small_shift = struct.unpack_from("<HH", content, 30)
    if shift not in (9, 12) or small_shift != 6:
        raise ValueError(f"its sectors have 2**{shift} and 2**{small_shift} bytes")
    first_folder, _, cutoff, first_small, _, first_table, _ = struct.unpack_from("<7I", content, 48)
    size = 1 << shift
    sectors = [content[start : start + size] for start in range(size, len(content), size)]
    follows = _table(content, sectors, first_table)
    folder = b"".join(_chain(first_folder, follows, sectors))
    entries = [folder[start : start + 128] for start in range(0, len(folder) - 127, 128)]
    if not entries:
        raise ValueError("its folder is empty")
    small_follows = array("I", b"".join(_chain(first_small, follows, sectors)))
    small = b"".join(_chain(_first(entries[0]), follows, sectors))
    pieces = [small[start : start + 64] for start in range(0, len(small), 64)]
    found = {}
    for entry in _children(entries):
        (length,) = struct.unpack_from("<I", entry, 120)
        chain = _chain(_first(entry), follows, sectors) if length >= cutoff else _chain(_first(entry), small_follows, pieces)
        stream = b"".join(chain)
        if len(stream) < length:
            raise ValueError("a stream is cut off")
        found[_name(entry)] = stream[:length]
    return found


def _table(content: bytes, sectors: list[bytes], first: int) -> array[int]:
    """Return the sector that follows each sector."""
    heads = list(struct.unpack_from("<109I", content, 76))
    seen = set()
    while first < LAST_SECTOR:
        if first in seen:
            raise ValueError("its table goes in a circle")
        seen.add(first)
        *more, first = array("I", _sector(first, sectors))
        heads += more
    found = array("I")
    taken = [head for head in heads if head < LAST_SECTOR]
    if len(set(taken)) < len(taken):
        raise ValueError("its table names a sector twice")
    for head in taken:
        found.frombytes(_sector(head, sectors))
    return found


def _chain(first: int, follows: array[int], sectors: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    while first < LAST_SECTOR:
        found.append(_sector(first, sectors))
        if first >= len(follows) or len(found) > len(sectors):
            raise ValueError("its sectors follow each other in a circle" if first < len(follows) else "a sector is not in its table")
        first = follows[first]
    return found


def _sector(number: int, sectors: list[bytes]) -> bytes:
    if number >= len(sectors) or (len(sectors[number]) < len(sectors[0]) and number < len(sectors) - 1):
        raise ValueError(f"sector {number} lies beyond its end")
    return sectors[number].ljust(len(sectors[0]), b"\0")


def _children(entries: list[bytes]) -> list[bytes]:
    """Return the streams of the root: its entries are a tree of their own."""
    found, seen = [], set()
    waiting = [struct.unpack_from("<I", entries[0], 76)[0]]
    while waiting:
        number = waiting.pop()
        if number == NOTHING:
            continue
        if number in seen or number >= len(entries):
            raise ValueError("its folder goes in a circle")
        seen.add(number)
        entry = entries[number]
        waiting += struct.unpack_from("<II", entry, 68)
        if entry[66] == STREAM:
            found.append(entry)
    return found


def _first(entry: bytes) -> int:
    return int(struct.unpack_from("<I", entry, 116)[0])


def _name(entry: bytes) -> str:
    (length,) = struct.unpack_from("<H", entry, 64)
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
