"""Subjects, databases and clips as people spell them."""

from __future__ import annotations

import pytest

from merbench.board.foreign import people
from merbench.data import manifest
from merbench.errors import UserError
from tests.board.foreign import read

SUBJECTS = {
    "s1": "smic/s01",
    "s01": "smic/s01",
    "S20": "smic/s20",
    "sub01": "casme2/sub01",
    "sub1": "casme2/sub01",
    "SUB26": "casme2/sub26",
    "006": "samm/006",
    "spNO.1": "casme3/spNO.1",
    "spNo.160": "casme3/spNO.160",
    "smic_s1": "smic/s01",
    "casme2_sub01": "casme2/sub01",
    "CASME2-sub01": "casme2/sub01",
    "SMIC_HS_s01": "smic/s01",
    "samm_006": "samm/006",
    "samm_6": "samm/006",
    "SAMM/6": "samm/006",
    "casme2/1": "casme2/sub01",
    "CAS(ME)^3/spNO.7": "casme3/spNO.7",
    "smic-vis/s11": "smic-vis/s11",
}


@pytest.mark.parametrize("text", SUBJECTS)
def test_a_subjects_database_is_told_by_its_spelling(text: str) -> None:
    assert people.subject_of(text, None, None) == SUBJECTS[text]


@pytest.mark.parametrize("text", ["1", "12", "6.0", "p01", "EP01", "1234"])
def test_who_may_be_of_any_database_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="any database"):
        people.subject_of(text, None, None)
    with pytest.raises(UserError) as caught:
        read(f"subject,truth,pred\n{text},0,1\n")
    assert "row 1" in caught.value.what
    assert "--database NAME" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "database", "expected"),
    [
        ("1", "casme2", "casme2/sub01"),
        ("6.0", "samm", "samm/006"),
        ("006", "samm", "samm/006"),
        ("160", "casme3", "casme3/spNO.160"),
        ("12", "smic", "smic/s12"),
        ("s11", "smic-e", "smic-e/s11"),
        ("s11", "samm", "smic/s11"),
        ("sub01", "samm", "casme2/sub01"),
        ("S-03", "mmew", "mmew/S-03"),
        ("s11", "mmew", "mmew/s11"),
        ("sub01", "casme", "casme/sub01"),
        ("006", "dfme", "dfme/006"),
    ],
)
def test_a_named_database_is_of_those_whose_spelling_does_not_tell(text: str, database: str, expected: str) -> None:
    assert people.subject_of(text, None, database) == expected


def test_a_named_database_that_nobody_is_of_is_no_silence() -> None:
    """Else predictions of CASME would be scored as those of CASME II."""
    found = read("subject,clip,truth,pred\nsub01,a,0,1\ns02,b,1,1\n", database="casme")
    assert found.tables[0].clips.tolist() == ["casme/s02/b", "casme/sub01/a"]
    assert people.subject_in("s01_x", "casme") == "casme/s01"
    with pytest.raises(UserError, match=r"no subject is of samm.*the first is casme2/sub06"):
        read("subject,truth,pred\nsub06,0,1\n", database="samm")


def test_who_cannot_be_told_is_not_blamed_on_the_clip() -> None:
    with pytest.raises(UserError, match="'7' may be a subject of any database"):
        read("subject,clip,truth,pred\n7,EP01,0,1\n")


def test_a_column_of_databases_decides() -> None:
    assert people.subject_of("1", "casme2", None) == "casme2/sub01"
    assert people.subject_of("20", "smic", "samm") == "smic/s20"
    with pytest.raises(ValueError, match="row of samm"):
        people.subject_of("casme2/sub01", "samm", None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("CASME II", "casme2"), ("CASME2", "casme2"), ("casme-ii", "casme2"), ("CAS(ME)^3", "casme3"), ("CAS(ME)3", "casme3")),
        *(("SMIC-HS", "smic"), ("SMIC_HS_E", "smic-e"), ("smic-vis", "smic-vis"), ("SAMM", "samm"), ("MMEW", "mmew"), ("4DME", "4dme")),
    ],
)
def test_databases_have_one_name(text: str, name: str) -> None:
    assert people.database_of(text) == name


@pytest.mark.parametrize("text", ["", " ", "a/b", "..", "\x1b[31m", "x" * 50, "データ"])
def test_what_is_no_database_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        people.database_of(text)


def test_every_listed_clip_is_found_however_it_is_spelled() -> None:
    listed: dict[str, list[str]] = {}
    for clip, _ in manifest.megc2019():
        listed.setdefault(clip.subject, []).append(clip.name)
    for subject, names in listed.items():
        database, who = subject.split("/")
        for name in names:
            spelled = [
                name,
                f"{who}_{name}",
                f"{who}_{name} .png",
                f"{subject}/{name}",
                f"{database}_{who}_{name}.jpg",
                f"D:\\flow\\{who}\\{name}.PNG",
                name.lower(),
            ]
            if database == "smic":
                spelled.append("s" + name[1:].lstrip("0"))
            if database == "samm":
                spelled.append(name.lstrip("0"))
            for text in spelled:
                assert people.clip_of(text, subject, names) == name, text


def test_a_clip_that_no_list_has_keeps_its_name_without_its_subjects() -> None:
    assert people.clip_of("sub03_EP99_01.avi", "casme2/sub03") == "EP99_01"
    assert people.clip_of("spNO.1_a_355", "casme3/spNO.1") == "a_355"
    assert people.clip_of("s1_ne_99", "smic/s01") == "s01_ne_99"
    for bad in ("", "..", "\x1b[2J", "a" * 250):
        with pytest.raises(ValueError, match="name"):
            people.clip_of(bad, "casme2/sub03")


@pytest.mark.parametrize(
    ("clip", "subject"),
    [
        *(("s01_ne_01", "smic/s01"), ("s1_po_02", "smic/s01"), ("006_1_2", "samm/006"), ("sub01_EP02_01f.png", "casme2/sub01")),
        *(("casme2/sub01/EP02_01f", "casme2/sub01"), ("samm_006_006_1_2", "samm/006"), ("spNO.1_a_355", "casme3/spNO.1")),
    ],
)
def test_a_clip_may_tell_whose_it_is(clip: str, subject: str) -> None:
    assert people.subject_in(clip, None) == subject
    assert read(f"clip,truth,pred\n{clip},0,1\n").tables[0].subjects.tolist() == [subject]


def test_a_bare_number_is_told_by_its_clip() -> None:
    """CapsuleNet's log has ``smic 20``, others ``20`` beside ``s20_ne_01``."""
    found = read("subject,clip,truth,pred\n20,s20_ne_01,0,1\n6,006_1_2,0,0\n")
    assert found.tables[0].clips.tolist() == ["samm/006/006_1_2", "smic/s20/s20_ne_01"]


def test_without_subjects_nothing_is_scored() -> None:
    for text in ("truth,pred\n0,1\n", "clip,truth,pred\nEP02_01f,1,1\n"):
        with pytest.raises(UserError) as caught:
            read(text)
        assert "subject" in caught.value.remedy
