"""Faces as owners cut them out: smaller frames under other names, the sheet of SAMM among them. CAS(ME)^3 is handed out whole only."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import PurePosixPath

from merbench.data.synthetic import layouts, sheets
from merbench.data.synthetic.script import Scene
from merbench.data.synthetic.takes import Layout, Take, laid, plain, shown
from merbench.data.synthetic.variants import smic

SMIC, CASME2, SAMM = "SMIC_all_cropped", "casme2/Cropped-updated/Cropped", "samm/SAMM_CROP"


def layout(script: Sequence[Scene], units: sheets.Units, all_frames: bool) -> Layout:
    """Return the whole variant."""
    made, tables, subjects = Layout(), sheets.tables(script, units), set[str]()
    for scene in script:
        if scene.part == "smic":
            _smic(made, scene, all_frames, first=scene.clip.subject not in subjects)
            subjects.add(scene.clip.subject)
        elif scene.part in ("casme2", "samm"):
            subject, name = scene.clip.key.split("/")[1:]
            tree, prefix = (CASME2, "reg_") if scene.part == "casme2" else (SAMM, "")
            said = (scene.onset, scene.named_apex, scene.offset)
            take = laid(
                scene,
                PurePosixPath(tree, subject, name),
                lambda number, scene=scene, prefix=prefix: prefix + layouts.file_name(scene, number),  # type: ignore[misc]
                shown(scene, all_frames),
                said=said,
                crop=True,
            )
            made.add(take, "faces cut out")
        else:
            made.add(plain(scene, all_frames))
    for part, place in (("casme2", "casme2"), ("samm", SAMM), ("casme3", "casme3"), ("macro", "casme3")):
        if any(scene.part == part for scene in script):
            name = sheets.NAMES[part][0]
            made.books[f"{place}/{name}"] = functools.partial(sheets.workbook, *tables[name])
            made.oddities.update(["the sheet among the frames"] * (part == "samm"))
    return made


def _smic(made: Layout, scene: Scene, all_frames: bool, first: bool) -> None:
    for take in smic.short(scene, SMIC, all_frames, prefix="reg_", crop=True):
        made.add(take, "faces cut out")
    if first:  # a subject has something in non_micro too, which is no clip
        subject, _ = smic.bare(scene)
        folder = PurePosixPath("smic", SMIC, smic.HS, subject, "non_micro", f"{subject}_non_01")
        numbers = [scene.onset, scene.offset]
        files = {folder / f"reg_image{number - 9_000:06d}.bmp": number for number in numbers}
        made.add(Take(scene, (), files, (scene.onset, scene.onset, scene.offset), scene.onset, crop=True), "a sibling non_micro")
