"""Longer recordings: SMIC-E, in which a folder holds some seconds around a clip and a sheet says where it is; CASME II untrimmed, by a private
copy of the sheet; SAMM with file names as irregular as they come.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import PurePosixPath

from merbench.data.synthetic import extras, sheets
from merbench.data.synthetic.script import Scene
from merbench.data.synthetic.sheets import Cells
from merbench.data.synthetic.takes import Layout, Take, laid, retimed, shown
from merbench.data.synthetic.variants import smic
from merbench.data.synthetic.variants.edits import Table, some
from merbench.streams import key_of

SMIC_E = "SMIC-E_raw image"
NOT_IN_IT = ("s01_ne_02", "s02_sur_05", "s03_ne_20")
"""Lost: 161 of the 164 clips are in SMIC-E-HS."""
SECONDS = {"s03_ne_02": ("s03_ne_03",), "s04_ne_04": ("s04_ne_05", "s04_ne_06"), "s09_sur_01": ("s09_sur_02",)}
"""Clips that are the second and third movement of another's video."""
GARBAGE = 5
"""Rows whose third movement is a formula gone wrong."""
WRONG_SPAN = {"s01_ne_03": (650000, 650699)}
WRONG_LABEL = {"s18_sur_03": "negative"}
SECOND_BEFORE_FIRST = "s18_sur_03"
AROUND = 120
"""Frames of HS before the onset of a video's first movement and behind the last one's offset; of VIS and NIR a quarter."""
HEAD = (
    *("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF", "LastF"),
    *("TotalMF1", "TotalMF2", "TotalVL", "Emotion", "Onset3F", "Offset3F"),
)

UPDATED = "CASME2-coding-updated.xlsx"
MOVED = {"casme2/sub07/EP06_01": (56, 89, 116), "casme2/sub12/EP09_02": (161, 176, 206)}
"""Clips that the private copy of the sheet has elsewhere."""
CUT = {"casme2/sub12/EP09_06": 106, "casme2/sub20/EP16_01": 106, "casme2/sub16/EP01_08": 96}
"""Clips that end earlier in it."""
NO_APEX = 21
ADDED = "casme2/sub24/EP02_07"
UNTRIMMED = 6
"""Frames before a clip's onset and behind its offset that are there too."""

IRREGULAR = ("013_1_12", "013_1_8", "017_3_2", "026_1_1", "026_1_2", "035_7_2", "006_1_2")
"""Clips of SAMM whose file names begin with the clip's; the last is ours, for `mini`."""


def layout(script: Sequence[Scene], units: sheets.Units, all_frames: bool) -> Layout:
    """Return the whole variant; CAS(ME)^3 is not in it."""
    made = Layout()
    of = {part: [scene for scene in script if scene.part == part] for part in ("smic", "casme2", "samm")}
    if of["smic"]:
        _smic(made, {scene.clip.name: scene for scene in of["smic"]}, all_frames)
    if of["casme2"]:
        _casme2(made, of["casme2"], units, all_frames)
    if of["samm"]:
        name = sheets.NAMES["samm"][0]
        made.books[f"samm/{name}"] = functools.partial(sheets.workbook, *sheets.tables(script, units)[name])
        mixed = some(of["samm"], 8, 159, lambda scene: scene.clip.key, "mixed")
        for scene in of["samm"]:
            _samm(made, scene, all_frames, mixed=scene in mixed)
    return made


def _smic(made: Layout, scenes: dict[str, Scene], all_frames: bool) -> None:
    later = {name for names in SECONDS.values() for name in names}
    rows: dict[str, list[Cells]] = {camera: [HEAD] for camera in (smic.HS, smic.VIS, smic.NIR)}
    hosts = [scene for name, scene in scenes.items() if name not in (*NOT_IN_IT, *later)]
    garbage = {
        scene.clip.name
        for scene in some([host for host in hosts if host.clip.name not in SECONDS], GARBAGE, 154, lambda scene: scene.clip.key, "garbage")
    }
    for scene in hosts:
        more = [scenes[name] for name in SECONDS.get(scene.clip.name, ()) if name in scenes]
        made.oddities.update(["several clips in a video"] * bool(more))
        for camera in smic.cameras(scene):
            for each in (scene, *more) if camera == smic.HS else (scene,):
                made.add(_of_video(each, scene, camera, all_frames))
            rows[camera].append(_row(made, scene, more, camera, all_frames, wrong=scene.clip.name in garbage))
    for camera, written in rows.items():
        if len(written) > 1:
            name = f"SMIC-{camera}-E_annotation{'_2019' if camera == smic.HS else ''}.xlsx"
            others = [("VIS", rows[smic.VIS]), ("Sheet2", []), ("Sheet3", [])] if camera == smic.HS else []
            made.books[f"smic/{SMIC_E}/{camera}_long/{name}"] = functools.partial(sheets.workbook, camera, written, others)
    made.oddities["long videos with a sheet"] += len(hosts)


def _of_video(scene: Scene, host: Scene, camera: str, all_frames: bool) -> Take:
    """Return a clip in the folder of its video, with a few frames from before and behind it."""
    numbers = smic.numbered(scene, camera, all_frames)
    first, last = min(numbers), max(numbers)
    said = (first, None, last)
    around = AROUND if camera == smic.HS else AROUND // 4
    numbers |= {max(1, first - away): scene.onset for away in (around, around // 2, 1)}
    numbers |= {last + away: numbers[last] for away in (1, around // 2, around)} if scene.clip.name not in _followed() else {}
    subject, (_, name) = scene.clip.subject.split("/")[1], smic.bare(host)
    folder = PurePosixPath("smic", SMIC_E, f"{camera}_long", f"SMIC-{camera}-E", subject, name)
    if scene is not host:
        numbers = {number: source for number, source in numbers.items() if number >= first - 1}
    called = [smic.called(scene, camera, "-e"), *([scene.clip.key] if camera == smic.HS else [])]  # where SMIC-E stands for SMIC
    return laid(scene, folder, lambda number: f"image{number:06d}.jpg", numbers, said=said, called=called, grey=camera == smic.NIR)


def _followed() -> set[str]:
    """Return the clips behind which another one comes in the same video."""
    return {before.rsplit("/", 1)[1] for before in extras.FOLLOWS.values()}


def _row(made: Layout, scene: Scene, more: Sequence[Scene], camera: str, all_frames: bool, wrong: bool) -> Cells:
    numbers = smic.numbered(scene, camera, all_frames)
    first, last, (subject, name) = min(numbers), max(numbers), smic.bare(scene)
    around = AROUND if camera == smic.HS else AROUND // 4
    second: tuple[int | None, int | None] = (None, None)
    third: tuple[int | str | None, int | str | None] = (None, None)
    if more and camera == smic.HS:
        second = (more[0].onset, more[0].offset)
        third = (more[1].onset, more[1].offset) if len(more) > 1 else third
    if scene.clip.name == SECOND_BEFORE_FIRST:
        second = (first - around // 2, first - around // 4)
        made.oddities["a second movement before the first"] += camera == smic.HS
    if wrong and camera == smic.HS:
        third = (-426679 + first % 1000, "#VALUE!")
        made.oddities["a formula gone wrong"] += 1
    end = max(last, *(each.offset for each in more)) if more and camera == smic.HS else last
    span = (max(1, first - around), end + around)
    if camera == smic.HS and scene.clip.name in WRONG_SPAN:
        span = WRONG_SPAN[scene.clip.name]
        made.oddities["a span without its clip"] += 1
    label = scene.label
    if scene.clip.name in WRONG_LABEL and camera != smic.NIR:
        label = WRONG_LABEL[scene.clip.name]
        made.oddities["a label that the name denies"] += 1
    lengths = (last - first + 1, second[1] - second[0] + 1 if second[0] and second[1] else None, span[1] - span[0] + 1)
    return (subject, name, None, first, last, *second, None, *span, *lengths, label, *third)


def _casme2(made: Layout, played: Sequence[Scene], units: sheets.Units, all_frames: bool) -> None:
    table = Table(sheets.tables(played, units)["CASME2-coding-20140508.xlsx"], played, made)
    known = {*MOVED, *CUT, *extras.KNOWN}
    fit = [scene for scene in played if scene.clip.key not in known]
    for index, scene in enumerate(some(fit, NO_APEX - 1, 241, lambda scene: scene.clip.key, "no apex")):
        table.set("no apex", scene.clip.key, "ApexFrame", "/" if index % 2 else None)
    made.oddities["no apex"] += any(scene.said == "/" for scene in played)
    for key, moved in MOVED.items():
        for column, value in zip(("OnsetFrame", "ApexFrame", "OffsetFrame"), moved, strict=True):
            table.set("other frames than in the owners' sheet" if column == "OnsetFrame" else "", key, column, value)
    for key, end in CUT.items():
        table.set("other frames than in the owners' sheet", key, "OffsetFrame", end)
    for scene in played:
        onset, apex, offset = (table.cell(scene.clip.key, f"{name}Frame") for name in ("Onset", "Apex", "Offset"))
        assert isinstance(onset, int)
        assert isinstance(offset, int)
        numbers = retimed(scene, all_frames, MOVED[scene.clip.key]) if scene.clip.key in MOVED else shown(scene, all_frames)
        subject, name = scene.clip.key.split("/")[1:]
        made.add(_untrimmed(scene, subject, name, numbers, (onset, apex, offset)), "untrimmed")
    _, subject, name = ADDED.split("/")
    scene = next((each for each in played if each.clip.subject == f"casme2/{subject}"), played[0])
    numbers, said = retimed(scene, all_frames, extras.WITHOUT_ROW[ADDED]), extras.WITHOUT_ROW[ADDED]
    made.add(_untrimmed(scene, subject, name, numbers, said, [ADDED]), "a row of which the owners' sheets know nothing")
    place = sum(each.clip.key < ADDED for each in played)
    table.rows.insert(place, ["24", name, None, *said, None, "4+7", "disgust"])
    made.books[f"casme2/{UPDATED}"] = functools.partial(sheets.workbook, table.title, table.all())


def _untrimmed(
    scene: Scene, subject: str, name: str, numbers: dict[int, int], said: tuple[int, object, int], called: Sequence[str] = ()
) -> Take:
    first, last = min(numbers), max(numbers)
    before = dict.fromkeys(range(max(1, first - UNTRIMMED), first), scene.onset)
    behind = {last + away: scene.offset for away in range(1, UNTRIMMED + 1)}
    folder = PurePosixPath("casme2/CASME2-RAW", subject, name)
    return laid(scene, folder, "img{}.jpg".format, {**before, **numbers, **behind}, said=said, called=called)


def _samm(made: Layout, scene: Scene, all_frames: bool, mixed: bool) -> None:
    irregular = scene.clip.name in IRREGULAR
    made.oddities.update(["irregular file names"] * irregular + ["mixed padding"] * mixed)

    def name(number: int) -> str:
        start = scene.clip.name if irregular else scene.clip.name[:3]
        digits = 4 + key_of("synthetic", "padding", number) % 2 if mixed else scene.digits
        return f"{start}_{number:0{digits}d}.jpg"

    subject, clip = scene.clip.key.split("/")[1:]
    folder = PurePosixPath("samm/SAMM", subject, clip)
    made.add(laid(scene, folder, name, shown(scene, all_frames), said=(scene.onset, scene.apex, scene.offset)))
