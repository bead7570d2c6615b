"""Which clips a rendered database has: counted, never rendered."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from merbench.data import schemes
from merbench.data.frames import middle, sequence
from merbench.data.synthetic.script import CASME3_MINI, LENGTHS, PARTS, Scene, scenes

FULL = scenes("full", 0)
MINI = scenes("mini", 0)


def of(part: str, script: tuple[Scene, ...] = FULL) -> list[Scene]:
    return [scene for scene in script if scene.part == part]


def subjects(script: list[Scene]) -> set[str]:
    return {scene.clip.subject for scene in script}


@pytest.mark.parametrize(("size", "name", "clips", "people"), [("full", "megc3", 442, 68), ("mini", "megc3-mini", 124, 15)])
def test_three_databases_are_the_list_of_megc2019(size: str, name: str, clips: int, people: int) -> None:
    scheme = schemes.scheme(name)
    found = [scene for scene in (FULL if size == "full" else MINI) if scene.part in ("smic", "casme2", "samm")]
    assert [scene.clip.key for scene in found] == [clip.key for clip in scheme.clips]
    assert {scene.clip.key: scheme.classes.index(scene.label) for scene in found} == scheme.labels
    assert (len(found), len(subjects(found))) == (clips, people)


def test_emotions_of_full_are_those_of_the_sheets() -> None:
    assert Counter(scene.emotion for scene in of("casme2")) == {"disgust": 61, "happiness": 32, "repression": 27, "surprise": 25}
    samm = {"anger": 57, "happiness": 26, "surprise": 15, "contempt": 12, "disgust": 9, "fear": 8, "sadness": 6}
    assert Counter(scene.emotion for scene in of("samm")) == samm
    smic = Counter(scene.emotion for scene in of("smic"))
    assert (smic["happiness"], smic["surprise"]) == (51, 43)
    assert sum(smic[name] for name in ("disgust", "fear", "sadness")) == 70
    assert min(smic.values()) > 10


def test_casme3_has_the_counts_of_sheet_v2() -> None:
    found = of("casme3")
    felt = {"disgust": 250, "surprise": 187, "others": 161, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}
    assert Counter(scene.emotion for scene in found) == felt
    assert Counter(scene.label for scene in found) == {"negative": 457, "surprise": 187, "others": 161, "positive": 55}
    assert len(subjects(found)) == 94
    assert len(subjects([scene for scene in found if scene.label != "others"])) == 88
    counts = Counter(scene.clip.subject for scene in found)
    assert counts.most_common(1) == [("casme3/spNO.160", 57)]
    assert all(scene.clip.name == f"{scene.clip.name[0]}_{scene.onset}" for scene in found)


def test_macro_clips_are_three_of_every_subject_of_casme3() -> None:
    for script in (FULL, MINI):
        found = of("macro", script)
        assert {scene.clip.database for scene in found} == {"casme3"}
        assert subjects(found) == subjects(of("casme3", script))
        classes = Counter((scene.clip.subject, scene.label) for scene in found)
        assert set(classes.values()) == {1}
        assert len(classes) == 3 * len(subjects(found))


def test_clips_of_a_video_do_not_overlap_and_keys_are_unique() -> None:
    assert len({scene.clip.key for scene in FULL}) == len(FULL)
    videos: dict[str, list[tuple[int, int]]] = {}
    for scene in (*of("casme3"), *of("macro")):
        videos.setdefault(scene.clip.key.rsplit("_", 1)[0], []).append((scene.onset, scene.offset))
    for spans in videos.values():
        spans.sort()
        assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_mini_is_a_part_of_full_with_every_class_in_every_database() -> None:
    assert set(MINI) < set(FULL)
    assert subjects(of("casme3", MINI)) == {f"casme3/spNO.{number}" for number in CASME3_MINI}
    assert len(of("casme3", MINI)) == 25
    for part in PARTS:
        assert {scene.label for scene in of(part, MINI)} >= {"negative", "positive", "surprise"}


@pytest.mark.parametrize("part", PARTS)
def test_frame_numbers_are_as_in_the_database(part: str) -> None:
    found = of(part)
    low, high = LENGTHS[part]
    assert all(0 < scene.onset < scene.apex < scene.offset for scene in found)
    assert all(low <= scene.length <= high for scene in found)
    assert sum(scene.length for scene in found) / len(found) == pytest.approx((low + high) / 2, rel=0.06)
    assert {scene.digits for scene in found} == {"smic": {6}, "casme2": {1}, "samm": {4, 5}}.get(part, {1})


def test_smic_names_no_apex_and_its_true_one_is_not_the_middle() -> None:
    for scene in of("smic"):
        assert scene.named_apex == middle(scene.onset, scene.offset)
        assert 0 < abs(scene.apex - scene.named_apex) <= max(1, scene.length // 12)
        assert len(str(scene.onset)) in ((7, 8) if scene.clip.subject[-2:] in ("18", "19", "20") else (5, 6))
    assert all(scene.named_apex == scene.apex for scene in FULL if scene.part != "smic")


def test_of_samm_31_clips_have_five_digits() -> None:
    assert sum(scene.digits == 5 for scene in of("samm")) == 31


def test_another_seed_moves_the_frames_and_nothing_else() -> None:
    other = scenes("full", 1)
    assert [(s.clip.key, s.emotion, s.label, s.digits) for s in other] == [(s.clip.key, s.emotion, s.label, s.digits) for s in FULL]
    assert sum(a.length != b.length for a, b in zip(other, FULL, strict=True)) > 1000
    assert scenes("full", 0) == FULL


def test_frames_that_a_run_needs() -> None:
    for scene in MINI:
        sparse, whole = scene.needed(False), scene.needed(True)
        assert whole == tuple(range(scene.onset, scene.offset + 1))
        assert set(sparse) <= set(whole)
        halfway = middle(scene.onset, scene.offset)
        assert {scene.onset, scene.apex, scene.offset, halfway, *sequence(scene.onset, scene.offset)} == set(sparse)
        assert list(sparse) == sorted(sparse)
