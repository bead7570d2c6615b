"""Leave one database out: what a fold holds out, and whom it may not learn from under another name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merbench.data import manifest, protocol, schemes
from merbench.data.datamodule import steps_per_epoch
from merbench.errors import UserError
from merbench.foldfile import fold_name
from merbench.results import FOLD_NAME
from merbench.sample import Clip, is_of

SETS = ("smic", "smic-vis", "smic-e", "casme2", "samm", "samm-long", "casme3")


def clips_of(*subjects: str) -> list[Clip]:
    return [Clip(subject.split("/")[0], subject, f"c{index}") for index, subject in enumerate(subjects)]


def homes(clips: list[Clip]) -> set[str]:
    """The databases whose people these are, from the table itself."""
    known = {row["set"]: row["people_of"] for row in manifest.table("persons", ("set", "people_of", "source"))}
    return {known.get(clip.database, clip.database) for clip in clips}


@given(st.lists(st.tuples(st.sampled_from(SETS), st.integers(0, 3)), min_size=1, max_size=40))
def test_every_clip_is_judged_once_and_nobody_is_on_both_sides(drawn: list[tuple[str, int]]) -> None:
    clips = clips_of(*(f"{database}/{subject}" for database, subject in drawn))
    if len(homes(clips)) < 2:
        with pytest.raises(UserError, match="two databases"):
            protocol.lodo(clips)
        return
    folds = protocol.lodo(clips)
    assert sorted(position for fold in folds for position in fold.test) == list(range(len(clips)))
    assert [fold.held_out for fold in folds] == list(dict.fromkeys(clip.database for clip in clips)), "one fold a database, in listed order"
    for fold in folds:
        test, train = [clips[i] for i in fold.test], [clips[i] for i in fold.train]
        assert {clip.database for clip in test} == {fold.held_out}
        assert train, "there is somebody to learn from"
        assert not homes(test) & homes(train), "nobody of the database's people, by whatever name"
        assert {manifest.person_of(clip.subject) for clip in test}.isdisjoint(manifest.person_of(clip.subject) for clip in train)
        assert sorted(fold.train) == list(fold.train)
        assert all(is_of(clip.key, fold.held_out) == (clip in test) for clip in clips)
        left_out = [clip for clip in clips if clip not in train]
        assert homes(left_out) == homes(test), "everybody else is learnt from"


@given(st.lists(st.tuples(st.sampled_from(SETS), st.integers(0, 3)), min_size=1, max_size=40))
def test_names_of_folds_are_files_and_never_those_of_the_other_protocol(drawn: list[tuple[str, int]]) -> None:
    databases, subjects = {database for database, _ in drawn}, {f"{database}/s{subject}" for database, subject in drawn}
    names = [fold_name(held_out, seed) for held_out in (*databases, *subjects) for seed in (0, 1, 10)]
    assert len(set(names)) == len(names)
    assert all(FOLD_NAME.fullmatch(fold_name(held_out, 3)) for held_out in (*databases, *subjects))


def test_what_is_held_out_is_a_subject_or_a_database() -> None:
    assert is_of("casme2/sub01/EP02_01f", "casme2/sub01")
    assert is_of("casme2/sub01/EP02_01f", "casme2")
    for other in ("casme2/sub0", "casme2/sub01/EP02_01f", "casme", "sub01", "casme3", "casme2/", ""):
        assert not is_of("casme2/sub01/EP02_01f", other), other
    assert not is_of("casme2/EP02_01f", "casme2"), "no clip without a subject"


def test_the_counts_of_the_composite() -> None:
    """MEGC2018's hold-out-database evaluation, on the clips of MEGC2019."""
    clips = schemes.scheme("megc3").clips
    folds = protocol.folds_of("lodo", clips)
    assert [(fold.held_out, len(fold.train), len(fold.test)) for fold in folds] == [
        ("smic", 278, 164),
        ("casme2", 297, 145),
        ("samm", 309, 133),
    ]
    assert steps_per_epoch(folds, 64) == 5, "ceil(309 / 64) in every fold: of the largest, whatever fold is trained"
    assert protocol.folds_of("loso", clips) == protocol.loso(clips)


def test_the_people_of_a_held_out_database_are_not_pre_trained_on() -> None:
    judged = clips_of("smic/s01", "casme2/sub01", "samm/006")
    extra = clips_of("smic-e/s01", "smic-e/s99", "samm-long/007", "casme3-macro/spNO.1")
    allowed = {fold.held_out: fold.train for fold in protocol.pretraining(extra, protocol.lodo(judged))}
    assert allowed == {"smic": (2, 3), "casme2": (0, 1, 2, 3), "samm": (0, 1, 3)}, "also not those who have no clip that is judged"
    assert protocol.others(extra, "casme3") == (0, 1, 2)
    assert protocol.others(extra, "smic/s01") == (1, 2, 3), "of a subject, that person alone"


@pytest.mark.parametrize("databases", [("smic",), ("smic", "smic-vis", "smic-e")])
def test_too_few_databases_are_refused_before_anything_is_prepared(databases: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"needs two databases.*there is only smic"):
        protocol.check("lodo", databases)
    protocol.check("loso", databases)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(UserError, match="there is no protocol 'lodoo'") as refusal:
        protocol.folds_of("lodoo", clips_of("smic/s01", "samm/006"))
    assert "lodo" in refusal.value.remedy
