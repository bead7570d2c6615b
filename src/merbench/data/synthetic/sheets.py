"""The annotation sheets of rendered databases, with the columns and header rows of their owners'. SMIC's short clips have none.

The owners keep the macro-expressions of CAS(ME)^3 in ``CAS(ME)3_part_A_v2.xls``; no library that is kept writes the old format, so
here it is an ``.xlsx``. Where the facts are silent: SAMM's column Micro says ``Micro - 1/2``; CAS(ME)^3 writes objective classes as SAMM does.
"""

from __future__ import annotations

import functools
import io
import re
import zipfile
from collections.abc import Callable, Sequence

from openpyxl import Workbook

from merbench.data.synthetic import marker
from merbench.data.synthetic.extras import RELABELLED
from merbench.data.synthetic.objective import CLASSES, objective_class
from merbench.data.synthetic.script import Scene

Units = Callable[[Scene], Sequence[str]]
"""The action units of a clip in FACS spelling."""
Cells = Sequence[str | int | None]

NAMES = {
    "casme2": ("CASME2-coding-20140508.xlsx", "CASME2-coding-20190701.xlsx"),
    "samm": ("SAMM_Micro_FACS_Codes_v2.xlsx",),
    "casme3": ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",),
    "macro": ("CAS(ME)3_part_A_v2.xlsx",),
}
"""The sheets of each part, as their owners call them but for the last one's ending."""

DATE = "2014-05-08T00:00:00Z"
"""In every workbook: the same rows are the same bytes."""

SAMM_NOTES = (
    "Rendered by merbench synth: no person was filmed.",
    "",
    "Onset Frame: number of the first frame of the movement",
    "Apex Frame: number of the frame of its greatest extent",
    "Offset Frame: number of its last frame",
    "Duration: frames from onset to offset, both counted",
    "Action Units: FACS, joined by +; L and R for one side only",
    "Objective Classes: by action units alone",
    *[""] * 5,
)
"""13 rows that stand above SAMM's header."""


def books(scenes: Sequence[Scene], units: Units) -> dict[str, dict[str, Callable[[], bytes]]]:
    """Return the sheets of a script: for each part, paths below the folder of all databases and what makes their bytes.

    Args:
        scenes: the clips of all parts; the sheet of macro-expressions holds the micro-expressions too.
        units: action units of a clip.
    """
    made = tables(scenes, units)
    return {
        part: {f"{marker.ROOTS[part]}/{name}": functools.partial(workbook, *made[name]) for name in names} for part, names in NAMES.items()
    }


def tables(scenes: Sequence[Scene], units: Units) -> dict[str, tuple[str, list[Cells]]]:
    """Return every sheet's title and rows, header and notes included, by its file name.

    Args:
        scenes: the clips of all parts.
        units: action units of a clip.
    """

    def of(*parts: str) -> list[Scene]:
        return [scene for scene in scenes if scene.part in parts]

    return {
        "CASME2-coding-20140508.xlsx": ("Sheet1", _casme2(of("casme2"), units)),
        "CASME2-coding-20190701.xlsx": ("Sheet1", _casme2_2019(of("casme2"), units)),
        "SAMM_Micro_FACS_Codes_v2.xlsx": ("MICRO_ONLY", _samm(of("samm"), units)),
        "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx": ("label", _casme3(of("casme3"), units)),
        "CAS(ME)3_part_A_v2.xlsx": ("label", _macro(of("casme3", "macro"), units)),
    }


def _casme2(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    rows: list[Cells] = [("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion")]
    for scene in scenes:
        subject = scene.clip.subject.removeprefix("casme2/sub")
        rows.append((subject, scene.clip.name, None, scene.onset, _apex(scene), scene.offset, None, "+".join(units(scene)), scene.emotion))
    return rows


def _casme2_2019(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    """Return the sheet of 2019: three clips of sub24 are surprise, and a column is added."""
    head, *rows = _casme2(scenes, units)
    numbers = {name: number for number, name in enumerate(CLASSES, 1)}
    return [
        (*head, "Objective Classes"),
        *(
            (*row[:-1], "surprise" if scene.clip.key in RELABELLED else scene.emotion, numbers[scene.objective])
            for scene, row in zip(scenes, rows, strict=True)
        ),
    ]


def _apex(scene: Scene) -> int | str:
    return scene.apex if scene.said is None else scene.said


def _samm(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    rows: list[Cells] = [(note or None,) for note in SAMM_NOTES]
    rows.append(
        (
            *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro"),
            *("Action Units", "Estimated Emotion", "Objective Classes", "Notes"),
        )
    )
    for scene in scenes:
        subject, inducement, _ = scene.clip.name.split("_")
        facs, emotion = units(scene), "other" if scene.emotion == "others" else scene.emotion
        rows.append(
            (
                *(subject, scene.clip.name, int(inducement), scene.onset, scene.apex, scene.offset, scene.length, "Micro - 1/2"),
                *("+".join(facs), emotion.capitalize(), scene.objective, None),
            )
        )
    return rows


def _casme3(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    head = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
    return [head, *(_casme3_row(scene, units) for scene in scenes)]


def _macro(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    rows: list[Cells] = [("Subject", "Filename", "Expression type", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")]
    for scene in scenes:
        subject, video, *rest = _casme3_row(scene, units)
        rows.append((subject, video, "Macro-expression" if scene.part == "macro" else "Micro-expression", *rest))
    return rows


def _casme3_row(scene: Scene, units: Units) -> Cells:
    video, _ = scene.clip.name.split("_")
    facs = units(scene)
    emotion = {"happiness": "happy", "sadness": "sad"}.get(scene.emotion, scene.emotion)
    frames = (scene.onset, scene.apex, scene.offset)
    return (scene.clip.subject.removeprefix("casme3/"), video, *frames, "+".join(facs), objective_class(facs), emotion)


def workbook(title: str, rows: Sequence[Cells]) -> bytes:
    """Return a workbook of one sheet. openpyxl writes the time into it in three places; here it is always the same."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(row)
    made, fixed = io.BytesIO(), io.BytesIO()
    book.save(made)
    with zipfile.ZipFile(made) as before, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:(created|modified)[^>]*>)[^<]*", rb"\g<1>" + DATE.encode(), content)
            after.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return fixed.getvalue()
