"""Frames."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from merbench.data import frames, pictures
from merbench.errors import UserError
from tests.conftest import Cli
from tests.hostile import refused
from tests.hostile.conftest import Copy

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)


def encoded(ending: str, image: np.ndarray = NOISE) -> bytes:
    return bytes(cv2.imencode(ending, image)[1])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 32, height: int = 24, depth: int = 8, colour: int = 2, pixels: bytes | None = None) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"\0" * (height * (width * 3 + 1)) if pixels is None else pixels)
    return pictures.PNG + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


PNG, JPEG, BMP = (encoded(ending) for ending in (".png", ".jpg", ".bmp"))
BROKEN = PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:]

CASES: dict[str, tuple[bytes, str]] = {
    "0 bytes": (b"", "it is empty"),
    "text": (b"404: not found", "no JPEG, PNG or BMP"),
    "a GIF": (b"GIF89a" + bytes(50), "no JPEG, PNG or BMP"),
    "a PNG cut off": (PNG[:-20], "cut off or damaged"),
    "a PNG with a flipped byte": (BROKEN, "cut off or damaged"),
    "a PNG whose pixels do not unpack": (pictures.PNG + PNG[8:33] + chunk(b"IDAT", b"no zlib") + chunk(b"IEND", b""), "damaged"),
    "a PNG with more pixels than it says": (png(pixels=bytes(10**7)), "damaged"),
    "a PNG with too few pixels": (png(pixels=bytes(10)), "damaged"),
    "a PNG of no pixels": (png(width=0), "0 x 24"),
    "a PNG of 60,000 x 60,000": (png(60_000, 60_000, pixels=bytes(100)), "60,000 x 60,000"),
    "a PNG of 16 bits": (encoded(".png", NOISE.astype(np.uint16) * 257), "not of 8 bits"),
    "a JPEG cut off": (JPEG[: len(JPEG) // 2], "cut off"),
    "a JPEG without a size": (b"\xff\xd8\xff\xd9", "0 x 0"),
    "a JPEG of 65,500 x 65,500": (
        JPEG[: JPEG.index(b"\xff\xc0") + 5] + struct.pack(">HH", 65500, 65500) + JPEG[JPEG.index(b"\xff\xc0") + 9 :],
        "65,500",
    ),
    "a BMP cut off": (BMP[:-1], "cut off"),
    "a BMP of 2 ** 31 pixels": (BMP[:18] + struct.pack("<ii", 2**31 - 1, 24) + BMP[26:], "2,147,483,647"),
    "only a BMP's first word": (b"BM", "0 x 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_frame(copy: Copy, cli: Cli, name: str) -> None:
    content, place = CASES[name]
    copy.frame.write_bytes(content)
    refused(cli("prepare", "casme2", "--source", "frames", "--workers", "1"), file=copy.frame, place=place, remedy="fetch it again")


def test_libraries_say_nothing_of_their_own(copy: Copy, capfd: pytest.CaptureFixture[str]) -> None:
    for content, _ in CASES.values():
        copy.frame.write_bytes(content)
        with pytest.raises(UserError):
            frames.read(copy.frame)
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_a_frame_of_another_size(copy: Copy, cli: Cli) -> None:
    (copy.clip / "img20.png").write_bytes(encoded(".png", NOISE[:20]))
    answer = cli("prepare", "casme2", "--source", "frames", "--workers", "1")
    assert answer.code == 2
    assert "is 32 x 20, its onset 32 x 24" in answer.err
    assert str(copy.clip / "img20.png") in answer.err


def test_content_decides_what_an_image_is_and_not_its_name(copy: Copy) -> None:
    for name, content in (("png.jpg", PNG), ("png.bmp", PNG), ("bmp.png", BMP)):
        (copy.clip / name).write_bytes(content)
        assert (frames.read(copy.clip / name) == NOISE[:, :, ::-1]).all()


def test_an_animation_is_its_first_picture(copy: Copy) -> None:
    head = PNG.index(b"IHDR") + 21
    control = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 32, 24, 0, 0, 1, 10, 0, 0))
    later = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 32, 24, 0, 0, 1, 10, 0, 0))
    later += chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(b"\0" * (24 * 97)))
    copy.frame.write_bytes(PNG[:head] + control + PNG[head:-12] + later + PNG[-12:])
    assert (frames.read(copy.frame) == NOISE[:, :, ::-1]).all()
