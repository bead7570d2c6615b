"""Clip images for a report, only where they were asked for: they show faces."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merbench.data import contact, databases, store
from merbench.data.prepare import how
from merbench.data.prepared import Prepared
from merbench.data.sources import published_flow
from merbench.errors import UserError
from merbench.results import Run

SIDE = 112
"""Pixels of a picture."""

NOTE = "These pictures show people: where a database's licence forbids to show them, this page may not be shown either."


@dataclass(frozen=True)
class Picture:
    """A picture of a clip.

    Attributes:
        name: what it shows.
        source: a data URI.
    """

    name: str
    source: str


def pictures(run: Run, clips: Iterable[str], root: Path = store.ROOT) -> dict[str, list[Picture]]:
    """Return pictures of some clips by key, from the prepared set that the run learnt from.

    Raises:
        UserError: that set is not here.
    """
    wanted = set(clips)
    prepared = _learnt_from(run, root)
    found: dict[str, list[Picture]] = {}
    for part in prepared.parts or (prepared,):
        for index, clip in enumerate(part.clips):
            if clip.key in wanted:
                found[clip.key] = _of_clip(part, index)
    return found


def _learnt_from(run: Run, root: Path) -> Prepared:
    """Return the prepared set with the fingerprint of a run; nothing is prepared for that.

    Raises:
        UserError: there is none.
    """
    request, provenance = run.described()
    data = request.data
    if data.source == published_flow.NAME:
        choices: Iterable[Sequence[Path]] = ((path,) for path in store.find(root, data.source, request.scheme, data.on))
    else:
        made = how(data.changes)
        choices = itertools.product(
            *(store.find(root, data.source, request.scheme, name, made) for name in databases.databases_of(data.on))
        )
    for paths in choices:
        prepared = store.load(*paths)
        if prepared.fingerprint == provenance.data["fingerprint"]:
            return prepared
    raise UserError(
        f"the clips of this run are not prepared here: no set of {data.on}, {data.source}, has the fingerprint "
        f"{provenance.data['fingerprint'][:6]}",
        where=root.absolute(),
        remedy="go to the folder where it was trained, or leave --images away",
    )


def _of_clip(part: Prepared, index: int) -> list[Picture]:
    if "onset" in part.arrays:
        onset, apex = (np.array(part.arrays[name][index]).transpose(1, 2, 0) for name in ("onset", "apex"))
        flow = np.array(part.arrays["flow"][index]).astype(np.float32)
        flow -= np.nanmedian(flow, axis=(1, 2), keepdims=True)  # mostly the head's motion
        scale = max(float(np.nanpercentile(np.hypot(*flow), 99)), 0.1)
        return [picture("onset", onset), picture("apex", apex), picture(f"flow, up to {scale:.1f} px", contact.coloured(flow, scale))]
    return [picture("flow: u, v, strain", np.array(part.arrays["flow"][index]).transpose(1, 2, 0))]


def picture(name: str, image: NDArray[Any]) -> Picture:
    """Return an image (H, W, 3) uint8, red first, as a picture of `SIDE` pixels.

    Raises:
        ValueError: it cannot be written as PNG.
    """
    import cv2  # here, so that a report without pictures opens without OpenCV

    way = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_NEAREST
    small = cv2.resize(np.ascontiguousarray(image), (SIDE, SIDE), interpolation=way)
    done, content = cv2.imencode(".png", small[..., ::-1])
    if not done:
        raise ValueError(f"the picture {name} cannot be written as PNG")
    return Picture(name, "data:image/png;base64," + base64.b64encode(content.tobytes()).decode())
