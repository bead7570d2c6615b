"""Both public layouts, and every way in which a copy can be wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from merbench import guard
from merbench.config import Data
from merbench.data import load, places, schemes, store
from merbench.data.sources import published_flow
from merbench.errors import UserError
from tests.conftest import write_flat

SCHEME = schemes.scheme("megc3")


@pytest.fixture
def smic(tmp_path: Path) -> Path:
    """SMIC alone, flat, free to be damaged."""
    return write_flat(tmp_path / "flat", ("smic",))


def refusal(root: Path, databases: tuple[str, ...] = ("smic",)) -> UserError:
    with pytest.raises(UserError) as caught:
        published_flow.read(root, SCHEME, databases)
    assert caught.value.where
    assert caught.value.remedy
    return caught.value


def by_subject(flat: Path, root: Path, databases: tuple[str, ...]) -> Path:
    """Write the layout with a folder per held-out subject; of the training folders, three of each clip's 67."""
    clips = SCHEME.select(databases)
    subjects = list(dict.fromkeys(clip.subject.split("/")[1] for clip in clips))
    for clip in clips:
        own = clip.subject.split("/")[1]
        name = f"{own}_{clip.name} .png"
        for subject in [own, *[other for other in subjects if other != own][:3]]:
            folder = root / subject / ("u_test" if subject == own else "u_train") / str(SCHEME.labels[clip.key])
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(flat / name, folder / name)
    return root


def test_both_layouts_give_the_same_images_and_each_is_read_once(flat_flow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = published_flow.read(flat_flow, SCHEME, ("smic", "casme2", "samm"))
    root = by_subject(flat_flow, tmp_path / "folds", ("smic", "casme2", "samm"))
    opened: list[Path] = []
    whole = guard.read

    def spy(path: Path, limit: int) -> bytes:
        opened.append(path)
        return whole(path, limit)

    monkeypatch.setattr(guard, "read", spy)
    assert (published_flow.read(root, SCHEME, ("smic", "casme2", "samm")) == flat).all()
    assert flat.shape == (442, 3, 28, 28)
    assert len(opened) == len(set(opened)) == 442


def test_red_is_u_green_v_blue_strain(smic: Path) -> None:
    clip = SCHEME.select(("smic",))[5]
    image = np.zeros((28, 28, 3), np.uint8)
    image[3, 20] = (30, 20, 10)  # blue, green, red
    cv2.imwrite(str(smic / f"s01_{clip.name} .png"), image)
    assert published_flow.read(smic, SCHEME, ("smic",))[5, :, 3, 20].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("s01_s01_ne_01 .png", "smic/s01/s01_ne_01"),
        ("s1_s1_ne_01.png", "smic/s01/s01_ne_01"),
        ("s1_ne_01.PNG", "smic/s01/s01_ne_01"),
        ("006_006_1_2 .png", "samm/006/006_1_2"),
        ("6_006_1_2.png", "samm/006/006_1_2"),
        ("006_1_2.png", "samm/006/006_1_2"),
        ("sub01_EP02_01f .png", "casme2/sub01/EP02_01f"),
        ("SUB01_ep02_01F.png", "casme2/sub01/EP02_01f"),
    ],
)
def test_known_spellings(tmp_path: Path, name: str, key: str) -> None:
    (tmp_path / name).touch()
    assert published_flow.locate(tmp_path, SCHEME) == {key: tmp_path / name}


def test_no_two_clips_share_a_spelling() -> None:
    spelled = published_flow._spellings(SCHEME.clips)
    alone = [published_flow._spellings([clip]) for clip in SCHEME.clips]
    assert len(spelled) == sum(len(each) for each in alone)


def test_missing_clips_are_named_one_by_one(smic: Path) -> None:
    for name in ("s03_s03_ne_07 .png", "s20_s20_sur_01 .png"):
        (smic / name).unlink()
    error = refusal(smic)
    assert error.what == "2 of 164 clips have no flow image: smic/s03/s03_ne_07, smic/s20/s20_sur_01"


def test_a_missing_database_is_named_as_a_whole_with_what_can_be_used(smic: Path) -> None:
    error = refusal(smic, ("smic", "casme2"))
    assert error.what == "145 of 309 clips have no flow image: casme2: all 145"
    assert "--on smic" in error.remedy


def test_doubled_clips_are_named_with_both_files(smic: Path) -> None:
    shutil.copy(smic / "s01_s01_ne_01 .png", smic / "s1_ne_01.png")
    error = refusal(smic)
    assert "doubled: smic/s01/s01_ne_01 stands in s01_s01_ne_01 .png and s1_ne_01.png" in error.what


def test_unknown_images_are_named(smic: Path) -> None:
    (smic / "sub04_EP12_01f .png").touch()
    (smic / "holiday.png").touch()
    error = refusal(smic)
    assert "2 flow images do not fit" in error.what
    assert "unknown: holiday.png" in error.what
    assert "unknown: sub04_EP12_01f .png" in error.what, "which the organisers dropped"


def test_other_files_do_not_disturb(smic: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store", "README.txt", "._s01_s01_ne_01 .png"):
        (smic / name).write_text("x")
    assert len(published_flow.read(smic, SCHEME, ("smic",))) == 164


@pytest.fixture
def folds(smic: Path, tmp_path: Path) -> Path:
    return by_subject(smic, tmp_path / "folds", ("smic",))


def test_a_clip_in_another_subjects_test_folder_is_a_leak_and_named(folds: Path) -> None:
    other = folds / "s02" / "u_test" / "0"
    other.mkdir(exist_ok=True)
    (folds / "s01/u_test/0/s01_s01_ne_01 .png").rename(other / "s01_s01_ne_01 .png")
    assert "in the test folder of another subject" in refusal(folds).what


def test_a_clip_in_another_class_folder_is_named(folds: Path) -> None:
    (folds / "s01/u_test/0/s01_s01_ne_01 .png").rename(folds / "s01/u_test/1/s01_s01_ne_01 .png")
    assert "mislabelled: s01/u_test/1/s01_s01_ne_01 .png is in class folder 1, not 0" in refusal(folds).what


def test_a_clip_that_is_only_in_training_folders_is_missing(folds: Path) -> None:
    (folds / "s01/u_test/0/s01_s01_ne_01 .png").unlink()
    assert "smic/s01/s01_ne_01" in refusal(folds).what


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"no image", "cannot be read"),
        (cv2.imencode(".png", np.zeros((28, 28, 3), np.uint8))[1].tobytes()[:40], "cannot be read"),
        (cv2.imencode(".png", np.zeros((28, 28), np.uint8))[1].tobytes(), "28 x 28 uint8"),
        (cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes(), "64 x 64 x 3 uint8"),
        (cv2.imencode(".png", np.zeros((28, 28, 3), np.uint16))[1].tobytes(), "28 x 28 x 3 uint16"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(smic: Path, content: bytes, message: str) -> None:
    path = smic / "s01_s01_ne_01 .png"
    path.write_bytes(content)
    error = refusal(smic)
    assert message in error.what
    assert error.where == str(path)


def test_what_is_no_file_is_named(smic: Path) -> None:
    path = smic / "s01_s01_ne_01 .png"
    path.unlink()
    os.mkfifo(path)
    assert refusal(smic).where == str(path), "a pipe is not waited for"
    path.unlink()
    path.symlink_to(path)
    assert refusal(smic).where == str(path)


def test_both_layouts_at_once_are_refused_and_an_empty_folder_is_not(smic: Path, folds: Path) -> None:
    (smic / "s01" / "u_test").mkdir(parents=True)
    assert len(published_flow.read(smic, SCHEME, ("smic",))) == 164
    shutil.copytree(folds / "s02", smic / "s02")
    assert "both layouts at once" in refusal(smic).what


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    assert "holds no flow image" in refusal(tmp_path).what
    assert "is not there" in refusal(tmp_path / "nowhere").what


def test_the_fingerprint_does_not_depend_on_the_layout(here: Path, smic: Path, folds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for root in (smic, folds):
        monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(root))
        made.append(load.ready(Data("smic"), "megc3"))
    assert made[0] == made[1]
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(smic))
    path = smic / "s01_s01_ne_01 .png"
    cv2.imwrite(str(path), np.zeros((28, 28, 3), np.uint8))
    assert load.ready(Data("smic"), "megc3") != made[0], "one other image is another set"


def test_a_machine_without_the_images_trains_from_the_prepared_store(here: Path, smic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(smic))
    made = load.ready(Data("smic"), "megc3")
    monkeypatch.delenv("MERBENCH_PUBLISHED_FLOW")
    assert load.ready(Data("smic"), "megc3") == made
    assert places.complete("published-flow", "megc3") == "smic"
    with pytest.raises(UserError, match="no data are set up"):
        load.ready(Data("samm"), "megc3")


def test_a_set_on_disk_is_whole_or_not_there(here: Path, smic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(smic))
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left on device"):
        load.ready(Data("smic"), "megc3")
    assert not [path for path in (here / "prepared").rglob("*") if path.name != "published-flow"]
    monkeypatch.undo()


def test_a_damaged_set_is_one_message(here: Path, smic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERBENCH_PUBLISHED_FLOW", str(smic))
    (made,) = load.ready(Data("smic"), "megc3")
    (made / "flow.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UserError, match="prepared data cannot be read"):
        store.load(made)


def test_real_images_in_both_layouts(reference: Path, tmp_path: Path) -> None:
    flat = reference / "flow28"
    root = by_subject(flat, tmp_path / "folds", ("smic", "casme2"))
    first = published_flow.read(flat, SCHEME, ("smic", "casme2"))
    assert (first == published_flow.read(root, SCHEME, ("smic", "casme2"))).all()
    assert first.shape == (309, 3, 28, 28)
    assert first.min((2, 3)).max() == 0, "each channel is stretched to 0..255"
    assert first.max((2, 3)).min() == 255
