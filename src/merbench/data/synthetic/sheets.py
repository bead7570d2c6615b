"""The annotation sheets of rendered databases, with the columns and header rows of their owners'. SMIC's short clips have none.

The owners keep the macro-expressions of CAS(ME)^3 in ``CAS(ME)3_part_A_v2.xls``; no library that is kept writes the old format, so
here it is an ``.xlsx``. Where the facts are silent: SAMM's column Micro says ``Micro - 1/2``; CAS(ME)^3 writes objective classes as SAMM does.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence

from openpyxl import Workbook

from merbench.data.synthetic.script import Scene

Units = Callable[[Scene], Sequence[str]]
"""The action units of a clip in FACS spelling."""
Cells = Sequence[str | int | None]

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


def books(scenes: Sequence[Scene], units: Units) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Return the sheets of a script: part to the path below the folder of all databases and what makes its bytes.

    Args:
        scenes: the clips of all parts; the sheet of macro-expressions holds the micro-expressions too.
        units: action units of a clip.
    """

    def of(*parts: str) -> list[Scene]:
        return [scene for scene in scenes if scene.part in parts]

    return {
        "casme2": ("casme2/CASME2-coding-20140508.xlsx", lambda: _book("Sheet1", _casme2(of("casme2"), units))),
        "samm": ("samm/SAMM_Micro_FACS_Codes_v2.xlsx", lambda: _book("MICRO_ONLY", _samm(of("samm"), units))),
        "casme3": ("casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", lambda: _book("label", _casme3(of("casme3"), units))),
        "macro": ("casme3/CAS(ME)3_part_A_v2.xlsx", lambda: _book("label", _macro(of("casme3", "macro"), units))),
    }


def objective_class(units: Sequence[str]) -> str:
    """Return the objective class, I to VII, of a set of action units (Davison, Merghani and Yap, 2018, shortened)."""
    bare = {int(re.sub(r"\D", "", unit)) for unit in units}
    rules: Mapping[str, bool] = {
        "VI": 20 in bare or {1, 2, 4} <= bare,  # fear
        "I": bool({6, 12} & bare),  # happiness
        "IV": bool({9, 10} & bare),  # disgust
        "II": bool({1, 2, 5, 25} & bare) and not {4, 15} & bare,  # surprise
        "V": 15 in bare or {1, 4} <= bare,  # sadness
        "III": bool({4, 7, 23, 24} & bare),  # anger
    }
    return next((name for name, fits in rules.items() if fits), "VII")


def _casme2(scenes: Sequence[Scene], units: Units) -> list[Cells]:
    rows: list[Cells] = [("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion")]
    for scene in scenes:
        subject = scene.clip.subject.removeprefix("casme2/sub")
        rows.append((subject, scene.clip.name, None, scene.onset, scene.apex, scene.offset, None, "+".join(units(scene)), scene.emotion))
    return rows


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
        facs = units(scene)
        rows.append(
            (
                *(subject, scene.clip.name, int(inducement), scene.onset, scene.apex, scene.offset, scene.length, "Micro - 1/2"),
                *("+".join(facs), scene.emotion.capitalize(), objective_class(facs), None),
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


def _book(title: str, rows: Sequence[Cells]) -> bytes:
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
