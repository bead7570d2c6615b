"""Rendered databases on disk: layouts, sheets, and what happens when the writer is stopped."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from openpyxl import load_workbook

from merbench.data.synthetic import layouts, marker, write
from merbench.data.synthetic.anatomy import Person
from merbench.data.synthetic.performance import Performance
from merbench.data.synthetic.render import Camera, Truth
from merbench.data.synthetic.script import PARTS, Scene, scenes
from merbench.data.synthetic.write import Written, write_scenes
from merbench.errors import UserError
from merbench.streams import key_of

FEW = tuple(next(scene for scene in scenes("mini", 0) if scene.part == part) for part in PARTS)
"""One clip of each part."""
NAMES = {
    "smic": r"smic/SMIC_all_raw/HS/s2/micro/(positive|surprise|negative)/s2_(po|sur|ne)_01/image\d{6}\.bmp",
    "casme2": r"casme2/CASME2_RAW_selected/sub02/EP\d\d_\d\df?/img[1-9]\d*\.jpg",
    "samm": r"samm/SAMM/006/006_1_2/006_\d{4,5}\.jpg",
    "casme3": r"casme3/Part_A_ME_clip/frame/spNO\.11_[a-m]_(\d+)/[1-9]\d*\.jpg",
    "macro": r"casme3/Part_A_MaE_clip/frame/spNO\.11_[a-m]_(\d+)/[1-9]\d*\.jpg",
}


class Cheap:
    """Stands for the renderer: a flat image that says which frame it is; counts, and stops where it is told to."""

    def __init__(self) -> None:
        self.rendered: list[tuple[int, int]] = []
        self.stop_after: int | None = None

    def render(self, actor: Person, performance: Performance, camera: Camera, index: int) -> NDArray[np.uint8]:
        if self.stop_after == len(self.rendered):
            raise KeyboardInterrupt
        self.rendered.append((performance.key, index))
        shape = (camera.height, camera.width) if camera.grey else (camera.height, camera.width, 3)
        return np.full(shape, (performance.key + 7 * index) % 251, dtype=np.uint8)

    def truth(self, actor: Person, performance: Performance, camera: Camera, index: int | None = None) -> Truth:
        grid = np.full((2, 3, 4), performance.key % 97 + (index or 0), dtype=np.float32)
        return Truth(np.zeros((2, 68, 2), np.float32), np.zeros(2, np.float32), 4.0, grid, grid, grid[0] > 0)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Cheap:
    """No rendering: for what is about files alone. Works in this process, with one worker."""
    made = Cheap()
    monkeypatch.setattr(write, "render", made.render)
    monkeypatch.setattr(write, "truth_of", made.truth)
    return made


def run(root: Path, script: tuple[Scene, ...] = FEW, **settings: object) -> list[Written]:
    return list(write_scenes(root, script, "mini", **{"workers": 1, **settings}))  # type: ignore[arg-type]


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".synth.lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def rows_of(path: Path, title: str) -> list[tuple[object, ...]]:
    book = load_workbook(path)
    assert book.sheetnames == [title]
    return list(book[title].iter_rows(values_only=True))


def test_frames_lie_and_look_as_their_owners_deliver_them(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path)
    for scene in FEW:
        files = sorted((tmp_path / layouts.folder(scene)).iterdir())
        assert len(files) == len(scene.needed(False))
        for path in files:
            assert re.fullmatch(NAMES[scene.part], path.relative_to(tmp_path).as_posix())
        numbers = sorted(int(re.findall(r"\d+", path.stem)[-1]) for path in files)
        assert tuple(numbers) == scene.needed(False)
        image = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
        assert image is not None
        shapes = {"smic": (480, 640, 3), "casme2": (480, 640, 3), "samm": (650, 960)}
        assert image.shape == shapes.get(scene.part, (720, 1280, 3))
    assert {path.name for path in tmp_path.iterdir()} == {"smic", "casme2", "samm", "casme3", "truth", ".synth.lock"}
    assert not list(tmp_path.rglob("*.unfinished"))


def test_the_sheets_say_what_was_written(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path)
    _, casme2, samm, casme3, macro = FEW
    units = {scene: "+".join(np.load(tmp_path / layouts.truth(scene))["units"]) for scene in FEW}
    header, row = rows_of(tmp_path / "casme2/CASME2-coding-20140508.xlsx", "Sheet1")
    assert header == ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion")
    assert row == ("02", casme2.clip.name, None, casme2.onset, casme2.apex, casme2.offset, None, units[casme2], casme2.emotion)
    rows = rows_of(tmp_path / "samm/SAMM_Micro_FACS_Codes_v2.xlsx", "MICRO_ONLY")
    assert len(rows) == 15
    assert rows[13][:8] == ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro")
    assert rows[13][8:] == ("Action Units", "Estimated Emotion", "Objective Classes", "Notes")
    assert rows[14][:7] == ("006", "006_1_2", 1, samm.onset, samm.apex, samm.offset, samm.offset - samm.onset + 1)
    assert rows[14][8:10] == (units[samm], samm.emotion.capitalize())
    header, row = rows_of(tmp_path / "casme3/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "label")
    assert header == ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
    assert row[:6] == ("spNO.11", casme3.clip.name[0], casme3.onset, casme3.apex, casme3.offset, units[casme3])
    found = rows_of(tmp_path / "casme3/CAS(ME)3_part_A_v2.xlsx", "label")
    assert [row[2] for row in found] == ["Expression type", "Micro-expression", "Macro-expression"]
    assert found[2][3:6] == (macro.onset, macro.apex, macro.offset)


def test_two_workers_write_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    """With the real renderer, on a short clip of the two databases that are quickest to paint."""
    shortest = sorted(scenes("mini", 0), key=lambda scene: len(scene.needed(False)))
    script = tuple(next(scene for scene in shortest if scene.part == part) for part in ("smic", "casme2"))
    for name, settings in (("one", {}), ("two", {"workers": 2}), ("other", {"seed": 1})):
        run(tmp_path / name, script, databases=("smic", "casme2"), **settings)
    one, two, other = (tree(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one.keys() == other.keys()
    pictures = [name for name in one if name.endswith((".bmp", ".jpg", ".npz"))]
    assert len(pictures) > 10
    assert all(one[name] != other[name] for name in pictures)


def test_truth_of_a_rendered_clip(tmp_path: Path) -> None:
    smic = FEW[0]
    run(tmp_path, (smic,), databases=("smic",))
    about = np.load(tmp_path / "truth/smic" / smic.clip.subject.split("/")[1] / f"{smic.clip.name}.npz")
    assert about["landmarks"].shape == (2, 68, 2)
    assert about["displacement"].shape == about["expression"].shape == (2, *about["skin"].shape)
    assert about["camera"].tolist() == [640, 480]
    assert about["frames"].tolist() == [smic.onset, (smic.onset + smic.offset) // 2, smic.apex, smic.offset]
    assert len(about["units"]) == len(about["intensities"]) > 0
    assert np.isfinite(about["displacement"]).all()
    assert np.abs(about["expression"]).max() > 0.1


@pytest.mark.parametrize("stop", [0, 5, 17, 33])
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, cheap: Cheap, stop: int) -> None:
    run(tmp_path / "whole")
    total = len(cheap.rendered)
    cheap.rendered, cheap.stop_after = [], stop
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped")
    about = marker.read(tmp_path / "stopped" / "smic")
    assert about is not None
    assert not about["finished"]
    for scene in FEW:
        folder = tmp_path / "stopped" / layouts.folder(scene)
        assert not folder.exists() or len(list(folder.iterdir())) == len(scene.needed(False)), "half a clip has its name"
    for half in [*(tmp_path / "stopped").rglob(".*.unfinished")]:  # a kill leaves a frame cut off
        lacking = next(scene for scene in FEW if layouts.folder(scene).name == half.name[1:].removesuffix(".unfinished"))
        numbers = (n for n in lacking.needed(False) if not (half / layouts.file_name(lacking, n)).exists())
        (half / f".{layouts.file_name(lacking, next(numbers))}.unfinished").write_bytes(b"half a frame")
    cheap.stop_after = None
    states = run(tmp_path / "stopped")
    assert states[-1].done == len(FEW)
    assert len(cheap.rendered) == len(set(cheap.rendered)) == total, "a frame was rendered twice, or never"
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_what_is_there_is_left_alone_and_what_is_gone_comes_back(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path)
    before = tree(tmp_path)
    cheap.rendered = []
    assert run(tmp_path) == [Written(5, 5)]
    frame = next((tmp_path / layouts.folder(FEW[1])).iterdir())
    for gone in (frame, tmp_path / layouts.truth(FEW[2]), tmp_path / "casme3/CAS(ME)3_part_A_v2.xlsx"):
        gone.unlink()
    states = run(tmp_path)
    assert (states[0].done, states[-1].done) == (3, 5)
    assert len(cheap.rendered) == 1
    assert tree(tmp_path) == before
    (tmp_path / "casme2/CASME2-coding-20140508.xlsx").unlink()
    run(tmp_path)
    assert tree(tmp_path) == before


def test_the_truth_of_an_earlier_rendering_does_not_finish_a_clip(tmp_path: Path, cheap: Cheap) -> None:
    """Somebody deletes the folder of a database, not its truth, and renders other people."""
    run(tmp_path, databases=("smic",))
    shutil.rmtree(tmp_path / "smic")
    cheap.stop_after = len(cheap.rendered) + 3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, databases=("smic",), seed=1)
    assert not (tmp_path / layouts.truth(FEW[0])).exists()


def test_truth_is_of_the_frame_that_readers_take_as_apex(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path)
    for scene in FEW:
        about = np.load(tmp_path / layouts.truth(scene))
        shift = about["displacement"][0, 0, 0] - key_of("synthetic", 0, scene.clip.key) % 97
        assert shift == scene.named_apex - scene.onset
    assert FEW[0].named_apex != FEW[0].apex


@pytest.mark.parametrize(
    ("part", "digits", "name"), [("smic", 6, "image034208.bmp"), ("samm", 5, "006_34208.jpg"), ("casme3", 1, "34208.jpg")]
)
def test_numbers_are_padded_as_in_each_database(part: str, digits: int, name: str) -> None:
    scene = next(scene for scene in FEW if scene.part == part)
    assert layouts.file_name(dataclasses.replace(scene, digits=digits), 34208) == name


def test_all_frames_are_added_to_a_sparse_clip(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path / "sparse")
    sparse = tree(tmp_path / "sparse")
    cheap.rendered = []
    run(tmp_path / "sparse", all_frames=True)
    assert len(cheap.rendered) == sum(scene.length - len(scene.needed(False)) for scene in FEW)
    whole = tree(tmp_path / "sparse")
    run(tmp_path / "whole", all_frames=True)
    assert whole == tree(tmp_path / "whole")
    assert all(whole[name] == content for name, content in sparse.items() if not name.endswith(marker.NAME))
    assert json.loads(whole["samm/synthetic.json"])["all_frames"] is True
    cheap.rendered = []
    run(tmp_path / "sparse")
    assert not cheap.rendered
    assert tree(tmp_path / "sparse") == whole, "asking for less takes nothing away"


def test_the_marker_says_what_a_folder_is(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path, databases=("macro",))
    about = marker.read(tmp_path / "casme3")
    assert about is not None
    assert (about["size"], about["seed"], about["clips"], about["finished"]) == ("mini", 0, 1, True)
    assert list(about["parts"]) == ["macro"]
    run(tmp_path, databases=("casme3",))
    about = marker.read(tmp_path / "casme3")
    assert about is not None
    assert (about["clips"], sorted(about["parts"])) == (2, ["casme3", "macro"])
    assert marker.read(tmp_path / "smic") is None


@pytest.mark.parametrize("name", ["sub01/img1.jpg", "CASME2-coding-20140508.xlsx"])
def test_a_real_database_is_never_touched(tmp_path: Path, cheap: Cheap, name: str) -> None:
    foreign = tmp_path / "casme2" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"real")
    with pytest.raises(UserError, match="did not render"):
        run(tmp_path)
    assert tree(tmp_path) == {f"casme2/{name}": b"real"}
    assert run(tmp_path, databases=("smic",))[-1].done == 1


@pytest.mark.parametrize(("size", "seed"), [("mini", 1), ("full", 0)])
def test_other_settings_are_refused(tmp_path: Path, cheap: Cheap, size: str, seed: int) -> None:
    run(tmp_path, databases=("smic",))
    before = tree(tmp_path)
    with pytest.raises(UserError, match="other settings"):
        next(write.write(tmp_path, size, seed=seed, databases=("samm",)))  # type: ignore[arg-type]
    assert tree(tmp_path) == before


def test_a_damaged_marker_is_one_message(tmp_path: Path, cheap: Cheap) -> None:
    run(tmp_path, databases=("smic",))
    for text in ("{", "[]", '{"size": "mini"}'):
        (tmp_path / "smic" / marker.NAME).write_text(text)
        with pytest.raises(UserError, match="mark of a rendered database cannot be read"):
            run(tmp_path)


def test_a_second_writer_is_told(tmp_path: Path, cheap: Cheap) -> None:
    first: Iterator[Written] = write_scenes(tmp_path, FEW, "mini", workers=1)
    next(first)
    with pytest.raises(UserError, match="another merbench synth"):
        run(tmp_path)
    assert list(first)[-1].done == 5
    assert len(run(tmp_path)) == 1


def test_what_the_disk_refuses_is_one_message(tmp_path: Path, cheap: Cheap, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole, count = marker.whole, 0

    def full(path: Path, content: bytes) -> None:
        nonlocal count
        count += 1
        if count > 20:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(marker, "whole", full)
        with pytest.raises(UserError, match="No space left on device") as caught:
            run(tmp_path)
    assert "finished clips are kept" in str(caught.value)
    assert run(tmp_path)[0].done == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the disk refuses"):
        run(tmp_path / "file" / "below")
