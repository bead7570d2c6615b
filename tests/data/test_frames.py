"""Frames on disk: found by their number, read whole or refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from merbench.data import frames, pictures
from merbench.errors import UserError
from merbench.sample import Clip

CLIP = Clip("casme2", "casme2/sub01", "EP02_01f", onset=10, apex=20, offset=45)


def picture(shape: tuple[int, ...] = (24, 32, 3), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def encoded(ending: str, image: NDArray[np.uint8] | None = None) -> bytes:
    return bytes(cv2.imencode(ending, picture() if image is None else image)[1])


def clip_of(folder: Path, *numbers: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"img{number}.jpg").touch()
    return folder


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        frames.read(path)
    assert "cannot be read" in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("image559740.bmp", 559740),
        ("img46.jpg", 46),
        ("006_05562.jpg", 5562),
        ("006_5562.JPG", 5562),
        ("00007.PNG", 7),
        ("0.jpeg", 0),
        ("reg_img12 003.bmp", 3),
    ],
)
def test_a_frame_is_the_number_at_the_end_of_its_name(tmp_path: Path, name: str, number: int) -> None:
    (tmp_path / name).touch()
    assert frames.numbered(tmp_path) == {number: tmp_path / name}


def test_frames_are_in_the_order_of_their_numbers_and_nothing_else_is_a_frame(tmp_path: Path) -> None:
    clip_of(tmp_path, 9, 10, 100, 1)
    for name in ("Thumbs.db", ".img3.jpg", "img4.txt", "cover.jpg", "img5.jpg.part"):
        (tmp_path / name).touch()
    assert list(frames.numbered(tmp_path)) == [1, 9, 10, 100]


def test_two_frames_of_one_number_are_refused_and_both_named(tmp_path: Path) -> None:
    for name in ("img7.jpg", "img007.png", "img8.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"number 7: img007\.png and img7\.jpg") as caught:
        frames.numbered(tmp_path)
    assert caught.value.where == str(tmp_path)


def test_a_folder_that_is_absent_or_empty(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not there"):
        frames.numbered(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="holds no frame"):
        frames.numbered(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20_000_000), st.integers(1, 300))
def test_a_sequence_runs_evenly_from_onset_to_offset(onset: int, length: int) -> None:
    numbers = np.array(frames.sequence(onset, onset + length))
    assert len(numbers) == frames.SEQUENCE
    assert (numbers[0], numbers[-1]) == (onset, onset + length)
    even = onset + length * np.arange(frames.SEQUENCE) / (frames.SEQUENCE - 1)
    assert np.abs(numbers - even).max() <= 0.5 + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1), st.integers(0, 60))
def test_the_nearest_frame_is_nearest_and_of_two_the_earlier(there: set[int], wanted: int) -> None:
    found = frames.nearest(sorted(there, reverse=True), wanted)
    assert found in there
    assert not any(abs(number - wanted) < abs(found - wanted) for number in there)
    assert not (found > wanted and 2 * wanted - found in there)
    assert frames.nearest([wanted + 2, wanted - 2], wanted) == wanted - 2


def test_the_middle() -> None:
    assert frames.middle(10, 20) == 15
    assert frames.middle(10, 21) == 15
    assert frames.middle(7, 8) == 7


def test_footage_takes_the_nearest_where_a_frame_of_the_sequence_is_missing(tmp_path: Path) -> None:
    found = frames.footage(CLIP, clip_of(tmp_path, 10, 14, 20, 25, 30, 36, 41, 45))  # asked: 10 15 20 25 30 35 40 45
    assert [int(path.stem[3:]) for path in found.sequence] == [10, 14, 20, 25, 30, 36, 41, 45]
    assert found.times == pytest.approx([0, 0.4, 1, 1.5, 2, 2.6, 3.1, 3.5])
    assert (found.onset.name, found.apex.name) == ("img10.jpg", "img20.jpg")
    assert found.clip.flags == ("sequence: nearest frames for missing ones",)
    assert len(found.files) == 8, "onset and apex are in the sequence: each file once"


def test_without_an_apex_the_middle_stands_for_it_and_a_flag_says_so(tmp_path: Path) -> None:
    found = frames.footage(Clip("smic", "smic/s01", "x", onset=10, offset=45), clip_of(tmp_path, 10, 26, 29, 45))
    assert found.clip.apex == 26, "27 is not there"
    assert found.clip.flags == (
        "middle: nearest frame for a missing one",
        "apex: middle frame",
        "sequence: nearest frames for missing ones",
    )
    assert found.apex.name == "img26.jpg"


@pytest.mark.parametrize(("there", "offset"), [((10,), 10), ((10,), 45), ((10, 46), 45), ((12, 60), 20)])
def test_a_clip_in_which_nothing_can_move_is_refused(tmp_path: Path, there: tuple[int, ...], offset: int) -> None:
    """One frame as onset and apex gave flow of nothing but zeros, and nobody was told."""
    with pytest.raises(UserError, match="no frame between onset and offset"):
        frames.footage(Clip("smic", "smic/s01", "x", onset=10, offset=offset), clip_of(tmp_path, *there))


def test_a_middle_that_nothing_is_near_is_refused(tmp_path: Path) -> None:
    """The last frame stood for the apex, and the row said middle."""
    with pytest.raises(UserError, match="the middle frame 27 of smic/s01/x is missing: between onset and offset there are 1 frames"):
        frames.footage(Clip("smic", "smic/s01", "x", onset=10, offset=45), clip_of(tmp_path, 10, 45))


def test_a_stray_picture_is_no_frame(tmp_path: Path) -> None:
    """A thumbnail with a number was the first frame of the clip."""
    folder = clip_of(tmp_path, 10, 11, 12, 13)
    (folder / "thumb1.jpg").write_bytes((folder / "img10.jpg").read_bytes())
    assert list(frames.numbered(folder)) == [10, 11, 12, 13]
    (folder / "IMG014.JPG").write_bytes((folder / "img10.jpg").read_bytes())
    assert list(frames.numbered(folder)) == [10, 11, 12, 13, 14]


def test_of_two_frames_the_second_stands_for_the_apex(tmp_path: Path) -> None:
    found = frames.footage(Clip("smic", "smic/s01", "x", onset=10, offset=11), clip_of(tmp_path, 10, 11))
    assert (found.clip.apex, found.clip.flags) == (11, ("apex: middle frame",))


@pytest.mark.parametrize(
    ("there", "lost", "told"),
    [
        ((20, 45), "onset frame 10", "the folder has 2 frames from 20 to 45"),
        ((19, 20, 45), "onset frame 10", "the folder has 3 frames from 19 to 45"),
        ((10, 45), "apex frame 20", "between onset and offset there are 1 frames from 45 to 45"),
        ((10, 11, 29, 45), "apex frame 20", "between onset and offset there are 3 frames from 11 to 45"),
    ],
)
def test_an_onset_or_apex_that_nothing_is_near_is_refused(tmp_path: Path, there: tuple[int, ...], lost: str, told: str) -> None:
    with pytest.raises(UserError, match=f"the {lost} of casme2/sub01/EP02_01f is missing: {told}") as caught:
        frames.footage(CLIP, clip_of(tmp_path, *there))
    assert caught.value.where == str(tmp_path)
    assert "fetch this clip again" in caught.value.remedy


@pytest.mark.parametrize(
    ("there", "onset", "apex", "flags"),
    [
        ((10, 20, 45), 10, 20, ()),
        ((18, 20, 45), 18, 20, ("onset: nearest frame for a missing one",)),
        ((2, 20, 45), 2, 20, ("onset: nearest frame for a missing one",)),
        ((8, 12, 20, 45), 8, 20, ("onset: nearest frame for a missing one",)),
        ((10, 28, 45), 10, 28, ("apex: nearest frame for a missing one",)),
        ((10, 17, 23, 45), 10, 17, ("apex: nearest frame for a missing one",)),
        ((14, 15, 45), 14, 15, ("onset: nearest frame for a missing one", "apex: nearest frame for a missing one")),
        ((18, 19, 45), 18, 19, ("onset: nearest frame for a missing one", "apex: nearest frame for a missing one")),
    ],
)
def test_a_lost_onset_or_apex_is_the_nearest_within_eight_and_told(
    tmp_path: Path, there: tuple[int, ...], onset: int, apex: int, flags: tuple[str, ...]
) -> None:
    """Of two equally near the earlier is taken; the apex is looked for after the onset that is used."""
    found = frames.footage(CLIP, clip_of(tmp_path, *there))
    assert (found.clip.onset, found.clip.apex, found.clip.offset) == (onset, apex, 45)
    assert (found.onset.name, found.apex.name) == (f"img{onset}.jpg", f"img{apex}.jpg")
    assert tuple(flag for flag in found.clip.flags if not flag.startswith("sequence")) == flags
    assert found.times[0] == 0
    assert found.times[-1] == pytest.approx((45 - onset) / (apex - onset))


def test_an_onset_before_the_folder_is_not_the_apex(tmp_path: Path) -> None:
    """The apex of the sheet is 15; the first frame that is there, 17, stands for the onset, and cannot stand for both."""
    found = frames.footage(Clip("a", "a/1", "x", onset=10, apex=15, offset=30), clip_of(tmp_path, 17, 18, 30))
    assert (found.clip.onset, found.clip.apex) == (17, 18)


def test_an_offset_beyond_the_folder_is_the_last_frame_and_told(tmp_path: Path) -> None:
    found = frames.footage(CLIP, clip_of(tmp_path, *range(5, 41)))
    assert (found.clip.offset, found.clip.flags) == (40, ("offset: beyond the frames, the last one is taken",))
    assert found.sequence[-1].name == "img40.jpg"
    inside = frames.footage(CLIP, clip_of(tmp_path, 60))
    assert inside.clip.offset == 45, "what lies behind a gap is not the clip's"


def test_the_middle_is_that_of_what_is_there(tmp_path: Path) -> None:
    clip = Clip("smic", "smic/s01", "x", onset=10, offset=110)
    assert frames.footage(clip, clip_of(tmp_path, *range(10, 31))).clip.apex == 20


def test_by_motion_every_frame_after_the_onset_is_a_candidate_where_no_apex_is_given(tmp_path: Path) -> None:
    folder = clip_of(tmp_path, 4, 10, 14, 20, 45, 46)
    found = frames.footage(Clip("smic", "smic/s01", "x", onset=10, offset=45), folder, "flow")
    assert [number for number, _ in found.candidates] == [14, 20, 45]
    assert set(folder.iterdir()) >= set(found.files) >= {path for _, path in found.candidates}
    assert not any(flag.startswith("apex") for flag in found.clip.flags), "which it is, is told when it is found"
    assert frames.footage(CLIP, folder, "flow").candidates == (), "the sheet gives one"


def test_a_table_of_apexes_overrules_the_sheet_and_has_every_clip_without_one(tmp_path: Path) -> None:
    folder, bare = clip_of(tmp_path, *range(10, 46)), Clip("smic", "smic/s01", "x", onset=10, offset=45)
    for clip in (CLIP, bare):
        found = frames.footage(clip, folder, {clip.key: 31})
        assert (found.clip.apex, found.apex.name, found.clip.flags) == (31, "img31.jpg", ("apex: from the user's table",))
    assert frames.footage(CLIP, folder, {}).clip.apex == 20, "what it does not name is the sheet's"
    with pytest.raises(UserError, match="the table of apexes lacks smic/s01/x, which has none") as caught:
        frames.footage(bare, folder, {CLIP.key: 31})
    assert caught.value.where == "--apex table"


@pytest.mark.parametrize("apex", [0, 9, 10, 46, 10**12])
def test_an_apex_of_the_table_that_cannot_be_is_not_moved(tmp_path: Path, apex: int) -> None:
    """Frame 9 became frame 11, under the name of the user's table."""
    with pytest.raises(UserError, match=rf"the table of apexes says {apex} for casme2/sub01/EP02_01f, which goes from 10 to 45") as caught:
        frames.footage(CLIP, clip_of(tmp_path, *range(5, 60)), {CLIP.key: apex})
    assert caught.value.where == "--apex table"
    assert "correct its row" in caught.value.remedy


def test_red_comes_first_and_grey_has_three_equal_channels(tmp_path: Path) -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = (30, 20, 10)  # OpenCV writes blue first
    cv2.imwrite(str(tmp_path / "1.png"), image)
    read = frames.read(tmp_path / "1.png")
    assert read.shape == (4, 6, 3)
    assert read[1, 2].tolist() == [10, 20, 30]
    for ending in (".jpg", ".bmp", ".png"):
        (tmp_path / f"2{ending}").write_bytes(encoded(ending, picture((24, 32))))
        grey = frames.read(tmp_path / f"2{ending}")
        assert grey.shape == (24, 32, 3)
        assert (grey == grey[..., :1]).all()
        assert grey.std() > 10


@pytest.mark.parametrize("ending", [".jpg", ".bmp", ".png"])
def test_a_frame_that_was_cut_anywhere_is_refused(tmp_path: Path, ending: str) -> None:
    path, raw = tmp_path / f"7{ending}", encoded(ending)
    path.write_bytes(raw)
    whole = frames.read(path)
    for length in (0, 1, 2, 20, 200, len(raw) // 2, len(raw) * 9 // 10, len(raw) - 12):
        path.write_bytes(raw[:length])
        refusal(path)
    if ending != ".png":
        path.write_bytes(raw[:-1])
        refusal(path)
        path.write_bytes(raw + b"notes of the camera" * 9)
        assert (frames.read(path) == whole).all()


@pytest.mark.parametrize("ending", [".jpg", ".bmp", ".png"])
def test_a_cut_is_seen_without_opencv(ending: str) -> None:
    """OpenCV 4 fills what is missing with grey and says nothing; OpenCV 5 refuses."""
    raw = encoded(ending)
    assert pictures.whole(raw)
    assert not any(pictures.whole(raw[:length]) for length in range(len(raw)))


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path) -> None:
    thumbnail, raw = encoded(".jpg", picture((8, 8, 3))), encoded(".jpg")
    begin = 6 + len(thumbnail)
    raw = raw[:2] + b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail + raw[2:]
    (tmp_path / "7.jpg").write_bytes(raw)
    assert frames.read(tmp_path / "7.jpg").shape == (24, 32, 3)
    scan = raw.rindex(b"\xff\xda")
    assert begin < scan
    assert not any(pictures.whole(raw[:length]) for length in range(scan + 2, len(raw)))


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    for name, content in (("1.jpg", b""), ("2.jpg", b"not an image at all"), ("3.bmp", b"BM"), ("4.jpg", b"\xff\xd8\xff\xd9")):
        (tmp_path / name).write_bytes(content)
        refusal(tmp_path / name)
    (tmp_path / "5.jpg").mkdir()
    refusal(tmp_path / "5.jpg")
    (tmp_path / "6.jpg").symlink_to(tmp_path / "gone.jpg")
    refusal(tmp_path / "6.jpg")
    refusal(tmp_path / "nowhere.jpg")


def test_sixteen_bits_are_refused_not_cut_to_eight(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "1.png"), deep)
    assert "8-bit" in refusal(tmp_path / "1.png").remedy
