"""Which clips a rendered database has: counted, never rendered."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from merbench.data import schemes
from merbench.data.frames import middle, sequence
from merbench.data.synthetic import extras, objective
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
    found = [scene for scene in (FULL if size == "full" else MINI) if scene.clip.key in scheme.labels]
    assert [scene.clip.key for scene in found] == [clip.key for clip in scheme.clips]
    assert {scene.clip.key: scheme.classes.index(scene.label) for scene in found} == scheme.labels
    assert (len(found), len(subjects(found))) == (clips, people)


def test_emotions_of_full_are_those_of_the_sheets() -> None:
    casme2 = {"others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2}
    assert Counter(scene.emotion for scene in of("casme2")) == casme2
    samm = {"anger": 57, "others": 26, "happiness": 26, "surprise": 15, "contempt": 12, "disgust": 9, "fear": 8, "sadness": 6}
    assert Counter(scene.emotion for scene in of("samm")) == samm
    assert (len(subjects(of("casme2"))), len(subjects(of("samm")))) == (26, 29)
    judged = {"disgust": 61, "happiness": 32, "repression": 27, "surprise": 25}
    listed = schemes.scheme("megc3").labels
    assert Counter(scene.emotion for scene in of("casme2") if scene.clip.key in listed) == judged
    assert {scene.emotion for scene in of("samm") if scene.clip.subject == "samm/025"} == {"others"}
    relabelled = {scene.clip.key for scene in of("casme2") if scene.emotion == "sadness" and scene.clip.subject == "casme2/sub24"}
    assert relabelled >= extras.RELABELLED
    smic = Counter(scene.emotion for scene in of("smic"))
    assert (smic["happiness"], smic["surprise"]) == (51, 43)
    assert sum(smic[name] for name in ("disgust", "fear", "sadness")) == 70
    assert min(smic.values()) > 10


def test_objective_classes_have_the_owners_counts() -> None:
    for part, people in (("casme2", 26), ("samm", 20)):
        assert Counter(scene.objective for scene in of(part)) == objective.COUNTS[part]
        five = [scene for scene in of(part) if scene.objective in objective.CLASSES[:5]]
        assert len(five) == {"casme2": 185, "samm": 68}[part]
        assert len(subjects(five)) == people
        small = {(scene.objective, scene.clip.subject) for scene in of(part, MINI)}
        assert all(sum(name == each for name, _ in small) >= 2 for each in objective.CLASSES[:5])
    assert {scene.objective for scene in (*of("smic"), *of("casme3"))} == {""}


def test_known_clips_are_where_their_owners_have_them() -> None:
    there = {scene.clip.key: scene for scene in FULL if scene.part != "macro"}
    assert set(extras.KNOWN) | set(extras.FRAMES) | set(extras.FOLLOWS) < set(there)
    assert not set(extras.WITHOUT_ROW) & set(there)
    for key, known in extras.FRAMES.items():
        scene = there[key]
        assert all(want in (None, got) for want, got in zip(known, (scene.onset, scene.apex, scene.offset), strict=True))
    for key, before in extras.FOLLOWS.items():
        assert there[key].onset > there[before].offset
    for key, said in (("casme2/sub04/EP12_01f", "/"), ("casme2/sub05/EP09_05f", there["casme2/sub05/EP09_05f"].onset)):
        assert there[key].said == said
        assert there[key].named_apex == middle(there[key].onset, there[key].offset) in there[key].needed(False)
    assert all(there[key].emotion == "others" for key in extras.FRAMES if "spNO.40" in key or "spNO.216" in key)
    assert there["casme3/spNO.149/d_112"].label in ("negative", "positive", "surprise")


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
        known = {f"casme3/spNO.{number}" for number in extras.CASME3_KNOWN}
        assert subjects(found) == (subjects(of("casme3", script)) if script is FULL else subjects(of("casme3", script)) - known)
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
    assert subjects(of("casme3", MINI)) == {f"casme3/spNO.{number}" for number in (*CASME3_MINI, *extras.CASME3_KNOWN)}
    assert (len(of("casme2", MINI)), len(of("samm", MINI)), len(of("casme3", MINI))) == (54, 47, 31)
    for part in PARTS:
        assert {scene.label for scene in of(part, MINI)} >= {"negative", "positive", "surprise"}
    five = {"casme2": ("happiness", "surprise", "disgust", "repression"), "samm": ("anger", "happiness", "surprise", "contempt")}
    for part, names in five.items():
        assert {scene.emotion for scene in of(part, MINI)} >= {*names, "others"}
    seven = {"happiness", "surprise", "disgust", "anger", "fear", "sadness", "others"}
    assert {scene.emotion for scene in of("casme3", MINI)} == seven


@pytest.mark.parametrize("part", PARTS)
def test_frame_numbers_are_as_in_the_database(part: str) -> None:
    found = of(part)
    low, high = LENGTHS[part]
    assert all(0 < scene.onset < scene.apex < scene.offset for scene in found)
    assert all(low <= scene.length <= high for scene in found if scene.clip.key not in extras.FRAMES)
    assert sum(scene.length for scene in found) / len(found) == pytest.approx((low + high) / 2, rel=0.06)
    assert {scene.digits for scene in found} == {"smic": {6}, "casme2": {1}, "samm": {4, 5}}.get(part, {1})


def test_smic_names_no_apex_and_its_true_one_is_not_the_middle() -> None:
    for scene in of("smic"):
        assert scene.named_apex == middle(scene.onset, scene.offset)
        assert 0 < abs(scene.apex - scene.named_apex) <= max(1, scene.length // 12)
        assert len(str(scene.onset)) in ((7, 8) if scene.clip.subject[-2:] in ("18", "19", "20") else (5, 6))
    assert all(scene.named_apex == scene.apex for scene in FULL if scene.part != "smic" and scene.said is None)


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
        assert {scene.onset, scene.apex, scene.offset, halfway, *sequence(scene.onset, scene.offset), *scene.also} == set(sparse)
        assert list(sparse) == sorted(sparse)
        assert bool(scene.also) == (scene.clip.subject in ("smic/s11", "smic/s14"))
