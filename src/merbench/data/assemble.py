"""The clips of a database, each in a file of its own, put together as a prepared set."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from merbench.data import store
from merbench.data.frames import Footage
from merbench.data.pieces import APEX_AT, FACE_IN, Arrays, Piece, stored
from merbench.data.prepared import Prepared
from merbench.data.schemes import Scheme
from merbench.sample import Clip

OWNER = "face: the owner's crop"
BORROWED = "face: as in the subject's other clips"
ELSEWHERE = "face: found in another frame of the clip"
MOTION = "apex: largest motion"


def assemble(
    source: str,
    scheme: Scheme,
    footage: Sequence[Footage],
    pieces: Sequence[Piece],
    guessed: set[int],
    keys: Sequence[str],
    inputs: str,
    how: str,
    root: Path,
) -> Path:
    """Put the clips' arrays together, one file for each name, and return the folder.

    They are written from first to last: of a memory-mapped file a full disk is told by a signal that ends the process.
    """
    labels = np.array([scheme.labels[each.clip.key] for each in footage], dtype=np.int64)
    clips: list[Clip] = []
    parts: list[store.Part] = []
    with store.unfinished(root / source) as made:
        with contextlib.ExitStack() as open_files:
            files: dict[str, BinaryIO] = {}
            for index, (each, piece) in enumerate(zip(footage, pieces, strict=True)):
                arrays = stored(piece)
                chosen = int(arrays[APEX_AT].item()) if APEX_AT in arrays else None
                parts.append(("" if index in guessed else keys[index], int(arrays[FACE_IN].item()), chosen))
                clips.append(_told(each.clip, piece, arrays, guessed=index in guessed))
                for name, array in arrays.items():
                    if name not in files:
                        files[name] = open_files.enter_context((made / f"{name}.npy").open("wb"))
                        header = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(pieces), *array.shape)}
                        np.lib.format.write_array_header_1_0(files[name], header)
                    files[name].write(array.tobytes())
        mapped = {name: np.load(made / f"{name}.npy", mmap_mode="r") for name in files}
        whole = Prepared(clips[0].database, source, scheme.name, tuple(clips), scheme.classes, labels, mapped, "pixels")
        return store.finish(made, whole, root, inputs, how, parts)


def _told(clip: Clip, piece: Piece, arrays: Arrays, *, guessed: bool) -> Clip:
    """Return a clip with what its preparation found and assumed; arrays that say nothing else are taken out."""
    elsewhere, apex = bool(arrays.pop(FACE_IN).item()), arrays.pop(APEX_AT, None)
    flags = list(clip.flags)
    if apex is not None:
        flags = [*(flag for flag in flags if not flag.startswith("apex: ")), MOTION]
        clip = replace(clip, apex=int(apex.item()))
    if piece.face == "owner":
        flags.append(OWNER)
    if guessed or elsewhere:
        flags.append(BORROWED if guessed else ELSEWHERE)
    return replace(clip, flags=tuple(flags))
