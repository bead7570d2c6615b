"""SMIC-HS as its owners deliver it: ``SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/image559740.bmp``.

100 frames a second, 640 x 480 colour. A clip's folder holds the expression from onset to offset; there is no sheet to read and no apex:
the middle frame stands for it and the clip is flagged. Li, Pfister, Huang, Zhao and Pietikäinen, FG 2013.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from merbench.data.frames import Footage, footage, gathered, numbered, tree
from merbench.errors import UserError
from merbench.sample import Clip

NAME = "smic"
TREES = ("SMIC_all_raw/HS", "HS")


def read(root: Path, clips: Sequence[Clip]) -> tuple[Footage, ...]:
    """Return the files of these clips, in listed order.

    Raises:
        UserError: a folder is missing, doubled or empty; every clip concerned is named.
    """
    folders = tree(root, TREES, "s*/micro")

    def find(clip: Clip) -> Footage:
        subject, name = (re.sub(r"^s0*", "s", text) for text in (clip.subject.split("/")[1], clip.name))
        found = sorted(path for path in (folders / subject / "micro").glob(f"*/{name}") if path.is_dir())
        if len(found) != 1:
            what = "has no folder" if not found else f"has {len(found)} folders: {', '.join(path.parent.name for path in found)}"
            raise UserError(
                f"{clip.key} {what}", where=folders / subject / "micro", remedy="is the copy complete? each clip lies in one class folder"
            )
        there = numbered(found[0])
        return footage(replace(clip, onset=min(there), offset=max(there)), found[0])

    return gathered(clips, find, root)
