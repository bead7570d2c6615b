"""From frames to a set on disk: what is in it, and what happens when something stops it."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from merbench.data import faces, flow, frames, load, pieces, prepare, prepared, store
from merbench.data.frames import Footage
from merbench.data.manifest import DATABASES
from merbench.data.pieces import Piece
from merbench.errors import UserError
from tests.conftest import Rendered, once

NO_SPACE = OSError(28, "No space left on device")


def footage(rendered: Rendered, database: str, root: Path | None = None) -> tuple[Footage, ...]:
    return load.read(database, (root or rendered.root) / database, rendered.clips(database))


@pytest.fixture(scope="module")
def made(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every database as it is prepared in truth, by one process. Tests do not write into it."""

    def make(root: Path) -> None:
        for name in DATABASES:
            prepare.prepare("synthetic", rendered.scheme, footage(rendered, name), truths=rendered.truths(name), root=root, workers=1)

    root = once(tmp_path_factory, "prepared", make)
    return {name: store.find(root, "synthetic", "few", name)[0] for name in DATABASES}


# what is in it


@pytest.mark.parametrize("database", DATABASES)
def test_a_set_holds_what_is_documented(rendered: Rendered, made: dict[str, Path], database: str) -> None:
    found = store.load(made[database])
    assert {name: (array.dtype.name, array.shape) for name, array in found.arrays.items()} == {
        "onset": ("uint8", (4, 3, 224, 224)),
        "apex": ("uint8", (4, 3, 224, 224)),
        "frames": ("uint8", (4, 8, 3, 112, 112)),
        "times": ("float32", (4, 8)),
        "flow": ("float16", (4, 2, 224, 224)),
        "landmarks": ("float32", (4, 68, 2)),
        "alignment": ("float32", (4, 2, 3)),
        "truth": ("float16", (4, 2, 56, 56)),
    }
    assert (found.on, found.source, found.scheme, found.units) == (database, "synthetic", "few", "pixels")
    assert [clip.key for clip in found.clips] == [clip.key for clip in rendered.clips(database)]
    assert found.labels.tolist() == [rendered.scheme.labels[clip.key] for clip in found.clips]
    assert found.assumed == ("apex: middle frame (4 clips)" if database == "smic" else "")
    assert sorted(path.name for path in made[database].iterdir()) == sorted(["index.json", *(f"{name}.npy" for name in found.arrays)])
    work = made[database].parent / f".work-{database}"
    assert [path.name for path in work.iterdir() if path.name != ".lock"] == [], "finished parts are cleared away"


def test_arrays_belong_together(rendered: Rendered, made: dict[str, Path]) -> None:
    found = store.load(made["casme2"])
    for index, each in enumerate(footage(rendered, "casme2")):
        of = {name: array[index] for name, array in found.arrays.items()}
        image, matrix = frames.read(each.onset), of["alignment"]
        assert (of["onset"] == faces.aligned(image, matrix).transpose(2, 0, 1)).all()
        assert (of["apex"] == faces.aligned(frames.read(each.apex), matrix).transpose(2, 0, 1)).all(), "by the onset's alignment"
        halves = of["onset"].reshape(3, 112, 2, 112, 2).mean(axis=(2, 4))
        assert np.abs(of["frames"][0] - halves).max() <= 1, "a sequence begins at the onset"
        nearest = int(np.abs(of["times"] - 1).argmin())
        assert of["times"][0] == 0
        assert np.abs(of["frames"][nearest].astype(float) - of["apex"].reshape(3, 112, 2, 112, 2).mean(axis=(2, 4))).mean() < 12
        points = faces.landmarks(image)
        assert points is not None
        assert np.allclose(of["landmarks"], faces.moved(points, matrix), atol=1e-3)
        assert np.linalg.norm(of["landmarks"][list(faces.ANCHORS)] - list(faces.ANCHORS.values()), axis=1).mean() < 8
        assert np.isfinite(of["flow"]).all()


@pytest.mark.parametrize("database", DATABASES)
def test_the_truth_is_the_renderers_as_the_alignment_maps_it(rendered: Rendered, made: dict[str, Path], database: str) -> None:
    found = store.load(made[database])
    for index, path in enumerate(rendered.truths(database)):
        matrix = found.arrays["alignment"][index].astype(np.float64)
        truth = found.arrays["truth"][index]
        with np.load(path) as record:
            field, skin, origin, step = record["displacement"], record["skin"], record["origin"], float(record["step"])
            landmarks = record["landmarks"]
        for row, column in ((28, 28), (20, 16), (35, 40), (33, 28), (12, 30)):
            face = np.array([column * 4 + 1.5, row * 4 + 1.5])  # the middle of four pixels of the face
            x, y = (np.linalg.solve(matrix[:, :2], face - matrix[:, 2]) - origin) / step
            left, top = int(x), int(y)
            assert skin[top : top + 2, left : left + 2].all(), "these places lie in the face"
            a, b = x - left, y - top
            square = field[:, top : top + 2, left : left + 2]
            there = (
                square[:, 0, 0] * (1 - a) * (1 - b)
                + square[:, 0, 1] * a * (1 - b)
                + square[:, 1, 0] * (1 - a) * b
                + square[:, 1, 1] * a * b
            )
            assert np.allclose(truth[:, row, column], matrix[:, :2] @ there, atol=0.03)
        went = faces.moved(landmarks[1], matrix.astype(np.float32)) - faces.moved(landmarks[0], matrix.astype(np.float32))
        for number in (27, 28, 30, 33):  # told by another part of the record: how the nose went
            column, row = ((faces.moved(landmarks[0], matrix.astype(np.float32))[number] - 1.5) / 4).round().astype(int)
            assert np.abs(truth[:, row, column] - went[number]).max() < 0.15
        assert np.isnan(truth[:, :3, :3]).all(), "beside the face there is no truth"
        assert 0.3 < np.isfinite(truth).mean() < 0.9


def lamp_put_out(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (3, H, W) as (H, W, 3) without slow changes of brightness: TV-L1 takes those of the rendered lamp for motion."""
    grey = image.astype(np.float32).mean(axis=0)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 8)
    even = fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 8)) + 2)
    return np.asarray((even * 40 + 128).clip(0, 255), dtype=np.uint8)[..., None].repeat(3, axis=-1)


@pytest.mark.parametrize("database", DATABASES)
def test_what_the_frames_show_is_the_truth(made: dict[str, Path], database: str) -> None:
    """Frames, alignment, truth, and the sign of flow, all at once: nothing here knows the renderer."""
    of = {name: array[1] for name, array in store.load(made[database]).arrays.items()}
    truth = of["truth"].astype(np.float32)
    seen = flow.tvl1(*(lamp_put_out(of[name]) for name in ("onset", "apex")))
    coarse = seen.reshape(2, 56, 4, 56, 4).mean(axis=(2, 4))
    error, other = (np.nanmedian(np.hypot(*(field - truth))) for field in (coarse, -coarse))
    assert error < 0.15, "pixels of the face of 224"
    assert error < other / 2


def test_the_flow_in_the_store_is_that_of_its_frames(made: dict[str, Path]) -> None:
    arrays = store.load(made["samm"]).arrays
    assert (flow.tvl1(*(arrays[name][1].transpose(1, 2, 0) for name in ("onset", "apex"))).astype(np.float16) == arrays["flow"][1]).all()
    coarse = arrays["flow"].astype(np.float32).reshape(4, 2, 56, 4, 56, 4).mean(axis=(3, 5))
    away = np.hypot(*(coarse - arrays["truth"].astype(np.float32)).transpose(1, 0, 2, 3))
    assert np.nanmedian(away) < 0.3, "over all clips: where the lamp swings most, one clip may be worse"


def test_any_number_of_workers_makes_the_same_set(rendered: Rendered, made: dict[str, Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    two = prepare.prepare(
        "synthetic",
        rendered.scheme,
        footage(rendered, "casme2"),
        truths=rendered.truths("casme2"),
        root=tmp_path,
        watch=lambda _, done, total: told.append((done, total)),
        workers=2,
    )
    assert two.name == made["casme2"].name
    assert told == [(done, 4) for done in range(5)]
    for name in store.load(two).arrays:
        assert (two / f"{name}.npy").read_bytes() == (made["casme2"] / f"{name}.npy").read_bytes()


def test_a_second_run_does_nothing(rendered: Rendered, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "make", lambda piece: pytest.fail(f"{piece.clip} is made again"))
    monkeypatch.setattr(faces, "check_installed", lambda: pytest.fail("dlib is not needed"))
    again = prepare.prepare(
        "synthetic",
        rendered.scheme,
        footage(rendered, "casme2"),
        truths=rendered.truths("casme2"),
        root=made["casme2"].parents[1],
        workers=1,
    )
    assert again == made["casme2"]


def test_what_a_clip_is_made_from_is_in_its_key(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each, truth = footage(rendered, "casme2")[0], rendered.truths("casme2")[0]

    def key(of: Footage, record: Path | None = None, face: pieces.Face = "aligned") -> str:
        return prepare._key(of, record, prepare._settings(face))

    keys = {key(each, truth), key(each), key(footage(rendered, "casme2")[1]), key(each, None, "owner")}
    keys.add(key(replace(each, times=(*each.times[:-1], 9.0))))
    keys.add(key(replace(each, candidates=((5, each.apex),))))
    keys.add(key(replace(each, candidates=((6, each.apex),))))
    monkeypatch.setattr(prepare, "_versions", lambda: {"dlib-bin": "another"})
    keys.add(key(each))
    monkeypatch.setitem(flow.SETTINGS, "lambda", 0.16)
    keys.add(key(each))
    monkeypatch.setitem(faces.ANCHORS, 30, (112.0, 124.0))
    keys.add(key(each))
    assert len(keys) == 10
    assert key(each) in keys


# what can go wrong: flow is a difference here, which takes no time


def difference(onset: NDArray[np.uint8], apex: NDArray[np.uint8]) -> NDArray[np.float32]:
    changed = apex.mean(axis=-1, dtype=np.float32) - onset.mean(axis=-1, dtype=np.float32)
    return np.stack([changed, -changed])


class Workshop:
    """A copy of CASME II that may be damaged, and what is made of it by one process."""

    def __init__(self, rendered: Rendered, root: Path) -> None:
        self.rendered, self.root = rendered, root
        self.store = root / "prepared"
        self.work = self.store / "frames" / ".work-casme2"
        self.made: list[str] = []
        shutil.copytree(rendered.root / "casme2", root / "casme2")

    def clips(self) -> tuple[Footage, ...]:
        return footage(self.rendered, "casme2", self.root)

    def run(self, truths: Sequence[Path] = ()) -> Path:
        return prepare.prepare("frames", self.rendered.scheme, self.clips(), truths=truths, root=self.store, workers=1)

    def refusal(self, truths: Sequence[Path] = ()) -> UserError:
        with pytest.raises(UserError) as caught:
            self.run(truths)
        assert caught.value.where
        assert caught.value.remedy
        assert store.find(self.store, "frames", "few") == []
        assert not list(self.store.rglob(".unfinished-*"))
        return caught.value

    def parts(self) -> list[str]:
        return sorted(path.name for path in self.work.iterdir() if path.name != ".lock")

    def blank(self, name: str) -> None:
        for path in (self.root / "casme2" / "CASME2_RAW_selected" / name).iterdir():
            cv2.imwrite(str(path), np.full((480, 640, 3), 90, np.uint8))


@pytest.fixture
def shop(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    found = Workshop(rendered, tmp_path)
    make, look = pieces.make, faces.landmarks

    def spy(piece: Piece) -> bool:
        found.made.append(piece.clip)
        return make(piece)

    def quick(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        return None if image.std() < 2 else look(image)  # dlib takes long to find nothing

    monkeypatch.setattr(prepare, "make", spy)
    monkeypatch.setattr(flow, "tvl1", difference)
    monkeypatch.setattr(faces, "landmarks", quick)
    return found


@contextlib.contextmanager
def stopped(at: str) -> Iterator[None]:
    """Ctrl-C when a function of the store is reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, at, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            yield


def test_a_changed_frame_gives_another_set(shop: Workshop) -> None:
    first = shop.run()
    assert shop.run() == first
    assert len(shop.made) == 4
    path = shop.clips()[1].apex
    image = cv2.imread(str(path))
    assert image is not None
    cv2.imwrite(str(path), 255 - image)
    second = shop.run()
    assert second != first
    a, b = (store.load(each) for each in (first, second))
    changed = [(a.arrays["apex"][index] != b.arrays["apex"][index]).any() for index in range(4)]
    assert changed == [False, True, False, False]
    assert "truth" not in a.arrays, "nobody knows it of recorded faces"


def test_another_scheme_takes_over_the_clips_that_both_have(shop: Workshop, tmp_path: Path) -> None:
    """Not a byte is other than in a set made from the frames alone."""
    whole, clips = shop.rendered.scheme, shop.clips()
    fewer = replace(whole, name="fewer", clips=tuple(each.clip for each in clips[1:]))
    first = shop.run()
    taken = prepare.prepare("frames", fewer, clips[1:], root=shop.store, workers=1)
    assert (len(shop.made), taken != first) == (4, True)
    alone = prepare.prepare("frames", fewer, clips[1:], root=tmp_path / "alone", workers=1)
    assert len(shop.made) == 7
    assert alone.name == taken.name
    assert {path.name: path.read_bytes() for path in alone.glob("*.npy")} == {path.name: path.read_bytes() for path in taken.glob("*.npy")}


def test_what_is_taken_over_is_not_what_was_guessed_or_changed(shop: Workshop) -> None:
    """A guess hangs on the subject's other clips; an edited set is believed in nothing."""
    shop.blank("sub06/EP02_31")
    first, clips = shop.run(), shop.clips()
    fewer = replace(shop.rendered.scheme, name="fewer")
    shop.made.clear()
    prepare.prepare("frames", fewer, clips[1:], root=shop.store, workers=1)
    assert shop.made == ["casme2/sub06/EP02_31"] * 2
    array = np.load(first / "onset.npy")
    array[0] = 0
    np.save(first / "onset.npy", array)
    shop.made.clear()
    prepare.prepare("frames", replace(fewer, name="other"), clips[:1], root=shop.store, workers=1)
    assert shop.made == [clips[0].clip.key]


def test_other_annotations_give_another_set(shop: Workshop) -> None:
    first = shop.run()
    again = tuple(replace(each, clip=replace(each.clip, emotion="other")) for each in shop.clips())
    assert prepare.prepare("frames", shop.rendered.scheme, again, root=shop.store, workers=1) != first


def test_a_clip_without_a_face_is_aligned_as_its_subjects_other_clips_and_flagged(shop: Workshop) -> None:
    shop.blank("sub06/EP02_31")
    found = store.load(shop.run())
    assert [clip.flags for clip in found.clips] == [(), (), ("face: as in the subject's other clips",), ()]
    assert found.assumed == "face: as in the subject's other clips (1 clips)"
    assert np.allclose(found.arrays["landmarks"][2], found.arrays["landmarks"][3], atol=0.1)
    assert np.allclose(found.arrays["alignment"][2], found.arrays["alignment"][3], atol=0.05)
    assert np.abs(found.arrays["alignment"][2] - found.arrays["alignment"][0]).max() > 0.05, "of its own subject only"
    assert shop.made.count("casme2/sub06/EP02_31") == 2


def test_a_guess_is_not_kept_when_the_other_clips_change(shop: Workshop) -> None:
    """It was found again by the name of the clip alone, so that the set depended on what had been stopped before."""
    shop.blank("sub06/EP02_31")
    with stopped("finish"):
        shop.run()
    for path in shop.clips()[3].onset.parent.iterdir():
        image = cv2.imread(str(path))
        assert image is not None
        cv2.imwrite(str(path), np.roll(image, 20, axis=1))
    found = store.load(shop.run())
    assert np.allclose(found.arrays["alignment"][2], found.arrays["alignment"][3], atol=0.05)


def test_a_face_may_be_found_in_a_later_frame_than_the_onset(shop: Workshop) -> None:
    cv2.imwrite(str(shop.clips()[2].onset), np.full((480, 640, 3), 90, np.uint8))
    found = store.load(shop.run())
    assert found.clips[2].flags == ("face: found in another frame of the clip",)
    assert found.arrays["onset"][2].std() < 2
    assert found.arrays["apex"][2].std() > 10


def test_a_subject_without_any_face_is_one_message(shop: Workshop) -> None:
    shop.blank("sub06/EP02_31")
    shop.blank("sub06/EP16_05")
    error = shop.refusal()
    assert "no face is found in 2 clips" in error.what
    assert "casme2/sub06/EP02_31, casme2/sub06/EP16_05" in error.what
    assert "sub02" not in error.what


def test_a_truncated_frame_is_named_and_the_others_are_kept(shop: Workshop) -> None:
    path = shop.clips()[2].sequence[3]
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert shop.refusal().where == str(path)
    assert len(shop.parts()) == 3, "all others"
    path.write_bytes(raw)
    shop.made.clear()
    shop.run()
    assert shop.made == ["casme2/sub06/EP02_31"]


def test_all_faults_of_frames_are_told_at_once(shop: Workshop) -> None:
    for index in (0, 2):
        shop.clips()[index].apex.write_bytes(b"")
    cv2.imwrite(str(shop.clips()[1].apex), np.zeros((470, 640, 3), np.uint8))
    error = shop.refusal()
    assert "3 of 4 clips cannot be used" in error.what
    assert error.what.count("a frame cannot be read") == 2
    assert "is 640 x 470" in error.what


def test_a_record_of_other_frames_is_refused(shop: Workshop) -> None:
    """A sheet that was changed after rendering: truth and flow would be compared over different times."""
    clips = list(shop.clips())
    clips[1] = replace(clips[1], clip=replace(clips[1].clip, apex=(clips[1].clip.apex or 0) + 1))
    with pytest.raises(UserError, match="was rendered with onset"):
        prepare.prepare("frames", shop.rendered.scheme, clips, truths=shop.rendered.truths("casme2"), root=shop.store, workers=1)


def test_a_copy_with_new_times_is_prepared_once_and_then_found(shop: Workshop) -> None:
    """Other times, the same bytes: the same set; it was made anew with each command for ever."""
    first = shop.run()
    for each in shop.clips():
        os.utime(each.onset, (1, 1))
    shop.made.clear()
    assert shop.run() == first
    assert len(shop.made) == 4
    assert shop.run() == first
    assert len(shop.made) == 4, "found by what it was last made from"
    store.check_unchanged([first])


def test_a_set_moved_to_another_source_is_refused(shop: Workshop) -> None:
    """Rendered faces under the name of recorded ones would stand on the board without their mark."""
    made = shop.run()
    moved = shop.store / "synthetic" / made.name
    shutil.copytree(made, moved)
    with pytest.raises(UserError, match="changed or moved"):
        store.check_unchanged([moved])


def test_a_frame_of_another_size_is_named(shop: Workshop) -> None:
    path = shop.clips()[1].apex
    cv2.imwrite(str(path), np.zeros((470, 640, 3), np.uint8))
    error = shop.refusal()
    assert "a frame of casme2/sub02/EP09_01 is 640 x 470, its onset 640 x 480" in error.what
    assert error.where == str(path)


def test_a_link_to_nothing_is_named(shop: Workshop) -> None:
    path = shop.clips()[1].apex
    path.unlink()
    path.symlink_to(path.with_name("gone.jpg"))
    error = shop.refusal()
    assert "casme2/sub02/EP09_01" in error.what
    assert error.where == str(path)


@pytest.mark.parametrize("damage", ["cut", "stream", "empty"])
def test_a_damaged_record_of_the_renderer_is_named(shop: Workshop, damage: str) -> None:
    truths = [shop.root / f"{index}.npz" for index in range(4)]
    for path, original in zip(truths, shop.rendered.truths("casme2"), strict=True):
        shutil.copy(original, path)
    raw = truths[0].read_bytes()
    begin = raw.index(b"displacement.npy") + 60
    truths[0].write_bytes({"cut": raw[:-30], "stream": raw[:begin] + b"\xff" * 40 + raw[begin + 40 :], "empty": b""}[damage])
    error = shop.refusal(truths)
    assert "record of a rendered clip cannot be read" in error.what
    assert error.where == str(truths[0])


def test_a_damaged_part_is_named(shop: Workshop) -> None:
    with stopped("finish"):
        shop.run()
    part = shop.work / shop.parts()[0]
    part.write_bytes(part.read_bytes()[:1000])
    assert shop.refusal().where == str(part)
    part.unlink()
    shop.run()


def test_another_process_that_prepares_the_same_is_told(shop: Workshop) -> None:
    shop.work.mkdir(parents=True)
    with FileLock(shop.work / ".lock"):
        assert "another process is preparing casme2" in shop.refusal().what
    assert shop.made == []
    shop.run()


def test_a_folder_that_cannot_be_written_is_one_message(shop: Workshop) -> None:
    shop.store.mkdir()
    (shop.store / "frames").write_text("a file stands in the way")
    assert "cannot be written" in shop.refusal().what


def test_a_disk_that_is_full_while_a_clip_is_written(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if len(shop.made) == 3:
            write(path, content[:1000])
            raise NO_SPACE
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert "No space left on device" in shop.refusal().what
    assert len(shop.parts()) == 2, "no half of a clip takes the little space there is"
    shop.made.clear()
    shop.run()
    assert len(shop.made) == 2


def test_a_disk_that_is_full_while_the_set_is_written(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays were memory-mapped: of those a full disk is told by SIGBUS, which ends the process without a word."""
    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array_header_1_0", lambda *_: (_ for _ in ()).throw(NO_SPACE))
        patch.setattr(np.lib.format, "open_memmap", lambda *_, **__: pytest.fail("memory-mapped for writing"))
        assert "No space left on device" in shop.refusal().what
    shop.made.clear()
    shop.run()
    assert shop.made == [], "every clip was kept"


def parts_of(work: Path) -> list[str]:
    return sorted(path.name for path in work.glob("[!.]*.npz")) if work.is_dir() else []


def test_a_killed_run_leaves_no_set_and_is_gone_on_with(
    rendered: Rendered, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {
        "source": "synthetic",
        "scheme": rendered.scheme,
        "footage": footage(rendered, "samm"),
        "truths": rendered.truths("samm"),
        "root": tmp_path / "prepared",
        "workers": 1,
    }
    (tmp_path / "asked").write_bytes(pickle.dumps(asked))
    script = "import pathlib, pickle, sys; from merbench.data.prepare import prepare; prepare(**pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()))"
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "asked")])
    work, deadline = tmp_path / "prepared/synthetic/.work-samm", time.monotonic() + 120
    while len(parts_of(work)) < 2 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -9, "it was killed in the middle"
    kept = parts_of(work)
    assert 2 <= len(kept) < 4
    assert store.find(tmp_path / "prepared", "synthetic", "few") == []
    (work / ".half.npz").write_bytes(b"what a kill leaves of a file that was being written")
    make, remade = pieces.make, []

    def spy(piece: Piece) -> bool:
        remade.append(piece.target.name)
        return make(piece)

    monkeypatch.setattr(prepare, "make", spy)
    found = prepare.prepare(**asked)
    assert sorted([*kept, *remade]) == sorted({*kept, *remade}), "what was finished is not made again"
    assert len(kept) + len(remade) == 4
    assert found.name == made["samm"].name, "the same set as without a kill"
    assert [path.name for path in work.iterdir()] in ([".lock"], [])


# what was changed afterwards


@pytest.fixture
def copied(made: dict[str, Path], tmp_path: Path) -> Path:
    """A set with its times of change, free to be damaged."""
    return Path(shutil.copytree(made["casme2"], tmp_path / made["casme2"].parent.name / made["casme2"].name))


def test_an_untouched_set_is_not_read_again(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        @staticmethod
        def sha256(*_: object) -> None:
            pytest.fail("gigabytes are hashed again")

    monkeypatch.setattr(prepared, "hashlib", Refusing)
    store.check_unchanged([copied])


@pytest.mark.parametrize("name", ["onset", "flow", "truth"])
def test_an_edited_array_is_noticed(copied: Path, name: str) -> None:
    array = np.load(copied / f"{name}.npy")
    array[1, 0, 20, 20] = 7 if array[1, 0, 20, 20] != 7 else 8
    np.save(copied / f"{name}.npy", array)
    with pytest.raises(UserError, match="they were changed") as caught:
        store.check_unchanged([copied])
    assert caught.value.where == str(copied)


def test_an_array_that_was_only_touched_is_the_same(copied: Path) -> None:
    os.utime(copied / "flow.npy")
    assert store.load(copied).known == ""
    store.check_unchanged([copied])


@pytest.mark.parametrize(("old", "new"), [('"labels": [', '"labels": [1, '), ('"EP09_01"', '"EP09_02"'), ('"apex": ', '"apex": 1')])
def test_edited_annotations_are_noticed(copied: Path, old: str, new: str) -> None:
    path = copied / "index.json"
    text = path.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    if "labels" in old:
        begin = text.index(new) + len(new)
        end = text.index("]", begin)
        text = text[:begin] + ", ".join(text[begin:end].split(", ")[1:]) + text[end:]
    path.write_text(text)
    with pytest.raises(UserError, match="they were changed"):
        store.check_unchanged([copied])
