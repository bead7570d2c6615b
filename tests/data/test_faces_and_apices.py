"""Clips without a face, owners' crops, and apices that are found by motion: what is assumed is stated, never guessed in silence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from merbench.data import apex, faces, flow, frames, load, pieces, prepare, store
from merbench.data.frames import Footage
from merbench.data.prepared import Prepared
from merbench.data.synthetic.script import scenes
from merbench.data.synthetic.write import write_scenes
from merbench.errors import UserError
from tests.conftest import Rendered, once


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flow is a difference, which takes no time, and nobody looks long for a face in a painted picture."""
    look = faces.landmarks

    def difference(onset: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
        changed = other.mean(axis=-1, dtype=np.float32) - onset.mean(axis=-1, dtype=np.float32)
        return np.stack([changed, -changed])

    monkeypatch.setattr(flow, "tvl1", difference)
    monkeypatch.setattr(faces, "landmarks", lambda image: None if image.std() < 2 else look(image))


def copied(rendered: Rendered, root: Path) -> tuple[Footage, ...]:
    shutil.copytree(rendered.root / "casme2", root / "casme2")
    return load.read("casme2", root / "casme2", rendered.clips("casme2"))


def blank(footage: Footage) -> None:
    for path in footage.files:
        cv2.imwrite(str(path), np.full((480, 640, 3), 90, np.uint8))


# a face that is not found


def test_a_face_is_looked_for_in_twice_the_size(rendered: Rendered) -> None:
    image = frames.read(load.read("casme2", rendered.root / "casme2", rendered.clips("casme2"))[0].onset)
    small = cv2.resize(image, None, fx=0.22, fy=0.22, interpolation=cv2.INTER_AREA)
    found, known = faces.landmarks(np.asarray(small, np.uint8)), faces.landmarks(image)
    assert found is not None
    assert known is not None
    assert np.abs(found / 0.22 - known).max() < 20


def test_clips_that_borrow_are_told_or_refused(rendered: Rendered, tmp_path: Path, quick: None) -> None:
    footage = copied(rendered, tmp_path)
    blank(footage[0])
    blank(footage[3])
    lost = [footage[i].clip.key for i in (0, 3)]
    root = tmp_path / "prepared"
    with pytest.raises(UserError, match="no face is found in 2 clips") as caught:
        prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1, lost="refuse")
    assert all(key in caught.value.what for key in lost)
    assert store.find(root, "frames", "few") == []
    made = prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1)
    assert prepare.borrowed(store.load(made)) == lost
    with pytest.raises(UserError, match="no face is found in 2 clips") as again:
        prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1, lost="refuse")
    assert again.value.what == caught.value.what, "also where the set is there already"


def test_every_clip_without_a_face_is_named(rendered: Rendered, tmp_path: Path, quick: None) -> None:
    footage = copied(rendered, tmp_path)
    blank(footage[0])
    many = [replace(footage[0], clip=replace(footage[0].clip, name=f"c{i}")) for i in range(30)] + [footage[1]]
    scheme = replace(rendered.scheme, labels={each.clip.key: 0 for each in many})
    with pytest.raises(UserError) as caught:
        prepare.prepare("frames", scheme, many, root=tmp_path / "prepared", workers=1, lost="refuse")
    assert all(each.clip.key in caught.value.what for each in many[:30])
    assert many[30].clip.key not in caught.value.what


def test_where_all_faces_are_found_the_policy_changes_nothing(rendered: Rendered, tmp_path: Path, quick: None) -> None:
    footage = copied(rendered, tmp_path)
    first = prepare.prepare("frames", rendered.scheme, footage, root=tmp_path / "prepared", workers=1, lost="refuse")
    assert prepare.borrowed(store.load(first)) == []
    assert prepare.prepare("frames", rendered.scheme, footage, root=tmp_path / "prepared", workers=1) == first


# owners' crops


def cropped(rendered: Rendered, root: Path) -> tuple[tuple[Footage, ...], list[tuple[int, int, int, int]]]:
    """Crop every clip to a box around the face of its onset, as owners do, and return left, top, width and height too."""
    footage, boxes = copied(rendered, root), []
    for each, truth in zip(footage, rendered.truths("casme2"), strict=True):
        with np.load(truth) as record:
            points = record["landmarks"][0]
        left, top = np.floor(points.min(axis=0) - np.array([6, 40])).astype(int)
        right, bottom = np.ceil(points.max(axis=0) + np.array([6, 4])).astype(int)
        boxes.append((int(left), int(top), int(right - left), int(bottom - top)))
        for path in each.files:
            image = cv2.imread(str(path))
            assert image is not None
            cv2.imwrite(str(path), image[top:bottom, left:right], [cv2.IMWRITE_JPEG_QUALITY, 100])
    return footage, boxes


def moved_records(rendered: Rendered, boxes: Sequence[tuple[int, int, int, int]], root: Path) -> list[Path]:
    """Return records of the renderer whose frames are the crops."""
    paths = []
    for index, (truth, (left, top, _, _)) in enumerate(zip(rendered.truths("casme2"), boxes, strict=True)):
        with np.load(truth) as record:
            arrays = dict(record)
        arrays["origin"] = arrays["origin"] - np.array([left, top], dtype=arrays["origin"].dtype)
        paths.append(root / f"{index}.npz")
        np.savez(paths[-1], **arrays)
    return paths


def test_pixel_centres_stay_where_they_are() -> None:
    for height, width in ((224, 224), (100, 50), (448, 672)):
        matrix = faces.scaling(height, width)
        corners = np.array([(-0.5, -0.5), (width - 0.5, height - 0.5), ((width - 1) / 2, (height - 1) / 2)], dtype=np.float32)
        assert np.allclose(faces.moved(corners, matrix), [(-0.5, -0.5), (223.5, 223.5), (111.5, 111.5)], atol=1e-3)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    half = cv2.resize(image, (112, 112), interpolation=cv2.INTER_AREA)
    back = faces.aligned(np.asarray(half, np.uint8), faces.scaling(112, 112))
    expected = cv2.resize(half, (224, 224), interpolation=cv2.INTER_LINEAR)
    assert np.abs(back.astype(int) - expected.astype(int)).mean() < 6, "no shift by a part of a pixel"


def test_an_owners_crop_is_kept_and_its_flow_is_in_pixels_of_the_canonical_picture(rendered: Rendered, tmp_path: Path) -> None:
    footage, boxes = cropped(rendered, tmp_path)
    records = moved_records(rendered, boxes, tmp_path)
    made = prepare.prepare("frames", rendered.scheme, footage, truths=records, root=tmp_path / "prepared", workers=1, face="owner")
    found = store.load(made)
    assert [clip.flags for clip in found.clips] == [("face: the owner's crop",)] * 4
    errors = []
    for index, (each, (left, top, width, height)) in enumerate(zip(footage, boxes, strict=True)):
        of = {name: array[index] for name, array in found.arrays.items()}
        assert np.allclose(of["alignment"], faces.scaling(height, width))
        whole = cv2.resize(frames.read(each.onset), (224, 224), interpolation=cv2.INTER_LINEAR)
        assert np.abs(of["onset"].transpose(1, 2, 0).astype(int) - whole).mean() < 3
        with np.load(rendered.truths("casme2")[index]) as record:
            true = (record["landmarks"][0] - (left, top) + 0.5) * (224 / width, 224 / height) - 0.5
            field, skin, origin, step = record["displacement"], record["skin"], record["origin"], float(record["step"])
        assert np.median(np.linalg.norm(of["landmarks"] - true, axis=1)) < 6
        assert np.linalg.norm(of["landmarks"][[36, 45, 30]] - true[[36, 45, 30]], axis=1).max() < 12
        x, y = 111.5 * width / 224 + left, 120 * height / 224 + top  # in the frame before it was cropped, by another way than the matrix
        column, row = round((x - origin[0]) / step), round((y - origin[1]) / step)
        assert skin[row, column]
        wanted = field[:, row, column] * (224 / width, 224 / height)
        assert np.allclose(of["truth"][:, 30, 28], wanted, atol=0.12)
        coarse = of["flow"].astype(np.float32).reshape(2, 56, 4, 56, 4).mean(axis=(2, 4))
        errors.append(np.nanmedian(np.hypot(*(coarse - of["truth"].astype(np.float32)))))
    assert np.median(errors) < 0.35, "pixels"


def test_aligned_faces_and_owners_crops_are_two_sets(rendered: Rendered, tmp_path: Path, quick: None) -> None:
    footage, root = copied(rendered, tmp_path), tmp_path / "prepared"
    aligned = prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1)
    owners = prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1, face="owner")
    assert owners != aligned
    assert prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1) == aligned
    assert prepare.prepare("frames", rendered.scheme, footage, root=root, workers=1, face="owner") == owners


def test_a_crop_without_a_face_borrows_on_the_canonical_picture(rendered: Rendered, tmp_path: Path, quick: None) -> None:
    """Crops of one subject have unlike sizes: pixels of one say nothing in another."""
    footage, boxes = cropped(rendered, tmp_path)
    for path in footage[2].files:
        cv2.imwrite(str(path), np.full((boxes[2][3] * 2, boxes[2][2] * 2, 3), 90, np.uint8))
    found = store.load(prepare.prepare("frames", rendered.scheme, footage, root=tmp_path / "prepared", workers=1, face="owner"))
    assert prepare.borrowed(found) == [footage[2].clip.key]
    assert found.clips[2].flags == ("face: the owner's crop", "face: as in the subject's other clips")
    assert np.allclose(found.arrays["landmarks"][2], found.arrays["landmarks"][3], atol=1e-3)
    assert np.allclose(found.arrays["alignment"][2], faces.scaling(boxes[2][3] * 2, boxes[2][2] * 2))


# apices found by motion


def candidates(footage: Footage) -> tuple[tuple[int, Path], ...]:
    onset, offset = footage.clip.onset, footage.clip.offset
    assert onset is not None
    assert offset is not None
    return tuple((number, path) for number, path in frames.numbered(footage.onset.parent).items() if onset < number <= offset)


@pytest.fixture(scope="module")
def every_frame(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> tuple[Footage, ...]:
    """Four clips of CASME II with all their frames, and nobody who names the apex."""
    keys = {clip.key for clip in rendered.clips("casme2")}

    def make(root: Path) -> None:
        script = [scene for scene in scenes("mini", 0) if scene.clip.key in keys]
        for _ in write_scenes(root, script, "mini", databases=("casme2",), all_frames=True, workers=2):
            pass

    root = once(tmp_path_factory, "every-frame", make)
    found = load.read("casme2", root / "casme2", rendered.clips("casme2"))
    return tuple(replace(each, candidates=candidates(each)) for each in found)


def test_an_apex_is_found_by_motion(rendered: Rendered, every_frame: tuple[Footage, ...], tmp_path: Path, quick: None) -> None:
    truths = rendered.truths("casme2")
    found = store.load(prepare.prepare("synthetic", rendered.scheme, every_frame, truths=truths, root=tmp_path / "prepared", workers=1))
    away = []
    for index, (each, clip) in enumerate(zip(every_frame, found.clips, strict=True)):
        onset, named, chosen = each.clip.onset or 0, each.clip.apex or 0, clip.apex or 0
        assert clip.flags == ("apex: largest motion",)
        assert chosen in dict(each.candidates)
        away.append(abs(chosen - named) / len(each.candidates))
        of = {name: array[index] for name, array in found.arrays.items()}
        assert (of["apex"] == faces.aligned(frames.read(dict(each.candidates)[chosen]), of["alignment"]).transpose(2, 0, 1)).all()
        numbers = frames.sequence(onset, each.clip.offset or 0)
        assert np.allclose(of["times"], [(number - onset) / (chosen - onset) for number in numbers], atol=1e-5), "1 is the chosen apex"
        assert np.isfinite(of["truth"]).any() == (chosen == named), "truth of another frame is no truth"
    assert np.median(away) < 0.25, "of the clip; one that stands in the middle for all is no worse on rendered clips"


def smooth(seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (224, 224, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.asarray(np.clip((blurred - blurred.mean()) * 6 + 127, 0, 255), dtype=np.uint8)


TEMPLATE = np.array(
    [(111.5 + 80 * np.cos(a), 120 + 80 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    + [(x, 75.0) for x in np.linspace(50, 173, 10)]
    + [(111.5, y) for y in (88, 100, 112, 123)]
    + [(x, 134.0) for x in np.linspace(100, 123, 5)]
    + [(60.5 + 10 * i, 90.0) for i in range(4)]
    + [(70.0, 94.0)] * 2
    + [(132.5 + 10 * i, 90.0) for i in range(4)]
    + [(150.0, 94.0)] * 2
    + [(111.5 + 25 * np.cos(a), 160 + 10 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 20)],
    dtype=np.float32,
)


def mouth(onset: NDArray[np.uint8], by: float, *, head: float = 0, eyes: float = 0) -> NDArray[np.uint8]:
    """Return a face whose mouth went up by so many pixels, whose head went to the right, and whose lids went down."""
    y, x = np.mgrid[:224, :224].astype(np.float32)
    lids = sum(np.exp(-((x - at) ** 2 + (y - 90) ** 2) / (2 * 8**2)) for at in (75.5, 147.5))
    down = -by * np.exp(-((x - 111.5) ** 2 + (y - 160) ** 2) / (2 * 18**2)) + eyes * lids
    return np.asarray(cv2.remap(onset, x - head, (y - down).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


def test_the_largest_motion_is_that_of_the_face() -> None:
    onset = smooth()
    assert apex.largest(onset, (mouth(onset, by) for by in (0.5, 2.0, 1.0)), TEMPLATE) == 1
    assert apex.largest(onset, [mouth(onset, 0.2, head=4), mouth(onset, 1.5), mouth(onset, 0)], TEMPLATE) == 1, "a head is no expression"
    assert apex.largest(onset, [mouth(onset, 0.2, eyes=6), mouth(onset, 1.5), mouth(onset, 0)], TEMPLATE) == 1, "nor a blink"
    darker = np.asarray((mouth(onset, 0.1) * np.linspace(0.6, 1, 224)[:, None]).astype(np.uint8))
    assert apex.largest(onset, [darker, mouth(onset, 1.5)], TEMPLATE) == 1, "nor a lamp"


def test_of_equal_motion_the_earlier_is_taken() -> None:
    onset = smooth()
    assert apex.largest(onset, [onset.copy() for _ in range(12)], TEMPLATE) == 0, "a still clip"
    assert apex.largest(onset, [onset, mouth(onset, 1), mouth(onset, 1)], TEMPLATE) == 1
    assert apex.largest(onset, [mouth(onset, 1)], TEMPLATE) == 0


def test_one_wild_frame_of_many_is_no_apex() -> None:
    onset = smooth()
    rise = [mouth(onset, 2 * np.sin(np.pi * i / 40)) for i in range(1, 40)]
    rise[5] = smooth(1)
    assert abs(apex.largest(onset, rise, TEMPLATE) - 19) <= 4


@pytest.mark.parametrize("kept", [1, 2])
def test_few_candidates(rendered: Rendered, every_frame: tuple[Footage, ...], tmp_path: Path, quick: None, kept: int) -> None:
    """One candidate is the apex; the onset is none as long as there is another."""
    few = []
    for each in every_frame:
        some = [pair for pair in each.candidates if pair[1] == each.apex]
        few.append(replace(each, candidates=((each.clip.onset or 0, each.onset), *some) if kept == 2 else tuple(some)))
    found: Prepared = store.load(prepare.prepare("synthetic", rendered.scheme, few, root=tmp_path / "prepared", workers=1))
    assert [clip.apex for clip in found.clips] == [each.clip.apex for each in every_frame]
    assert np.allclose(found.arrays["times"], [each.times for each in every_frame])


def test_an_apex_of_its_own_subjects_other_clip_is_no_candidate(every_frame: tuple[Footage, ...], tmp_path: Path, quick: None) -> None:
    """Frames of another size, such as another clip's, are refused by name."""
    strange = tmp_path / "img99.jpg"
    cv2.imwrite(str(strange), np.zeros((470, 640, 3), np.uint8))
    each = replace(every_frame[0], candidates=(*every_frame[0].candidates[:2], (99999, strange)), apex=every_frame[0].candidates[0][1])
    piece = pieces.Piece(
        each.clip.key,
        each.onset,
        each.apex,
        each.sequence,
        each.times,
        None,
        tmp_path / "a.npz",
        (each.clip.onset or 0, 0),
        (),
        each.candidates,
    )
    with pytest.raises(UserError, match="is 640 x 470") as caught:
        pieces.make(piece)
    assert caught.value.where == str(strange)
