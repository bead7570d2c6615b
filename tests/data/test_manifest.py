"""The clip list, its pinned counts, and folds."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merbench.data import manifest, protocol, schemes
from merbench.errors import UserError
from merbench.sample import Clip

COUNTS = {"smic": (70, 51, 43, 16), "casme2": (88, 32, 25, 24), "samm": (92, 26, 15, 28)}


def test_megc3_has_its_published_counts() -> None:
    scheme = schemes.scheme("megc3")
    assert len(scheme.clips) == len(scheme.labels) == 442
    assert len({clip.subject for clip in scheme.clips}) == 68
    for database, counts in COUNTS.items():
        clips = scheme.select((database,))
        labels = Counter(scheme.labels[clip.key] for clip in clips)
        assert (*(labels[i] for i in range(3)), len({clip.subject for clip in clips})) == counts


def test_fold_structure_of_the_composite() -> None:
    """8 subjects have one clip, 23 one class, 16 all three (facts/datasets.md, section 3.1)."""
    scheme = schemes.scheme("megc3")
    clips, classes = Counter(clip.subject for clip in scheme.clips), {clip.subject: set[int]() for clip in scheme.clips}
    for clip in scheme.clips:
        classes[clip.subject].add(scheme.labels[clip.key])
    assert sum(count == 1 for count in clips.values()) == 8
    assert Counter(len(found) for found in classes.values())[1] == 23
    assert Counter(len(found) for found in classes.values())[3] == 16
    assert (clips["smic/s03"], clips["casme2/sub17"]) == (39, 31)


def test_the_two_clips_that_the_organisers_dropped_are_not_listed() -> None:
    keys = schemes.scheme("megc3").labels
    assert "casme2/sub04/EP12_01f" not in keys
    assert "casme2/sub05/EP09_05f" not in keys
    assert "casme2/sub05/EP12_03f" in keys, "which a library drops instead"


def test_the_manifest_is_the_organisers_list(reference: Path) -> None:
    with (reference / "combined_3class_gt.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    theirs = {f"{d}/{f'{int(s):03d}' if d == 'samm' else s}/{clip}": int(label) for d, s, clip, label in rows}
    assert dict(schemes.scheme("megc3").labels) == theirs


def test_clip_names_alone_are_not_unique() -> None:
    clips = schemes.scheme("megc3").select(("casme2",))
    assert len({clip.name for clip in clips}) < len(clips) == len({clip.key for clip in clips})


def test_other_counts_are_refused_and_told() -> None:
    scheme = schemes.megc3()
    first = scheme.clips[0]
    with pytest.raises(UserError, match="smic negative: 69 clips, not 70"):
        schemes.check_counts(dataclasses.replace(scheme, clips=scheme.clips[1:]))
    moved = {**scheme.labels, first.key: 2}
    with pytest.raises(UserError, match="smic negative: 69 clips, not 70; smic surprise: 44 clips, not 43"):
        schemes.check_counts(dataclasses.replace(scheme, labels=moved))
    stranger = Clip("smic", "smic/s07", "x")
    with pytest.raises(UserError, match="17 subjects, not 16"):
        schemes.check_counts(dataclasses.replace(scheme, clips=(*scheme.clips, stranger), labels={**scheme.labels, stranger.key: 0}))


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'megc3'"):
        schemes.scheme("mecg3")
    with pytest.raises(UserError, match="did you mean 'casme2'"):
        manifest.databases_of("smic+casme")
    with pytest.raises(UserError, match="named twice"):
        manifest.databases_of("3db+smic")
    with pytest.raises(UserError, match="name is empty"):
        manifest.databases_of("smic+")


@pytest.mark.parametrize(
    ("on", "joined"),
    [("3db", "3db"), ("casme2+smic", "smic+casme2"), ("samm+smic+casme2", "3db"), ("SMIC", "smic"), ("samm + smic", "smic+samm")],
)
def test_a_composite_has_one_name(on: str, joined: str) -> None:
    assert manifest.join(manifest.databases_of(on)) == joined


@given(st.lists(st.tuples(st.sampled_from(["smic", "samm"]), st.integers(0, 6)), min_size=1, max_size=40))
def test_every_clip_is_judged_once_and_no_subject_is_on_both_sides(drawn: list[tuple[str, int]]) -> None:
    clips = [Clip(database, f"{database}/{subject}", f"c{index}") for index, (database, subject) in enumerate(drawn)]
    if len({clip.subject for clip in clips}) < 2:
        with pytest.raises(UserError, match="two subjects"):
            protocol.loso(clips)
        return
    folds = protocol.loso(clips)
    assert sorted(position for fold in folds for position in fold.test) == list(range(len(clips)))
    for fold in folds:
        assert {clips[i].subject for i in fold.test} == {fold.held_out}
        assert fold.held_out not in {clips[i].subject for i in fold.train}
        assert len(fold.train) + len(fold.test) == len(clips)


def test_subjects_of_two_databases_are_two_subjects() -> None:
    """'1', '01' and '001' collide when a database is left out of the name (traps.md, section 7)."""
    folds = protocol.loso([Clip("smic", "smic/1", "a"), Clip("samm", "samm/1", "a")])
    assert [fold.held_out for fold in folds] == ["smic/1", "samm/1"]


def test_a_changed_manifest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schemes.csv").write_text("scheme,database\nmegc3,smic\n")
    monkeypatch.setattr(manifest, "shipped", lambda folder: tmp_path)
    with pytest.raises(UserError, match="columns are scheme, database"):
        schemes.scheme("megc3")
    (tmp_path / "schemes.csv").unlink()
    with pytest.raises(UserError, match="the manifest 'schemes' is missing"):
        schemes.check_counts(schemes.megc3())


def test_the_same_person_under_another_name_is_not_learnt_from() -> None:
    """SMIC's three cameras filmed the same people; a composite of two of them would test on whom it knows."""
    names = ("smic/s11", "smic-vis/s11", "smic-vis/s12", "samm/011")
    clips = [Clip(name.split("/")[0], name, str(index)) for index, name in enumerate(names)]
    folds = {fold.held_out: fold for fold in protocol.loso(clips)}
    assert (folds["smic/s11"].train, folds["smic/s11"].test) == ((2, 3), (0,))
    assert (folds["smic-vis/s11"].train, folds["smic-vis/s11"].test) == ((2, 3), (1,))
    assert folds["samm/011"].train == (0, 1, 2)


def test_one_person_under_two_names_is_no_protocol() -> None:
    with pytest.raises(UserError, match="there are 1"):
        protocol.loso([Clip("smic", "smic/s11", "a"), Clip("smic-nir", "smic-nir/s11", "b")])


def test_macro_clips_of_the_held_out_person_are_not_learnt_from() -> None:
    extra = [Clip("casme3", f"casme3-macro/spNO.{number}", "a") for number in (1, 2)]
    assert protocol.others(extra, "casme3/spNO.1") == (1,)
    assert protocol.others(extra, "casme2/sub01") == (0, 1)


def test_nobody_of_the_shipped_list_is_there_twice() -> None:
    subjects = {clip.subject for clip in schemes.scheme("megc3").clips}
    assert len({manifest.person_of(subject) for subject in subjects}) == len(subjects)
