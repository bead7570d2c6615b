"""Every scheme comes to its pinned counts from every sheet that gives it, and what comes to others says which clips differ."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from merbench.data import copies, databases, places, schemes
from merbench.data.copies import Copy
from merbench.data.prepared import Prepared
from merbench.errors import UserError

Phantoms = Callable[[str], Path]

FIVE = ("disgust", "happiness", "repression", "surprise", "others")
GIVEN = [
    ("main", "smic", "megc3", {"negative": 70, "positive": 51, "surprise": 43}, 16),
    ("main", "casme2", "megc3", {"negative": 88, "positive": 32, "surprise": 25}, 24),
    ("main", "samm", "megc3", {"negative": 92, "positive": 26, "surprise": 15}, 28),
    ("main", "casme2", "casme2-5", dict(zip(FIVE, (63, 32, 27, 25, 99), strict=True)), 26),
    ("main", "casme2", "casme2-5-2019", dict(zip(FIVE, (63, 32, 27, 28, 99), strict=True)), 26),
    ("main", "casme2", "objective-5", {"happiness": 25, "surprise": 15, "anger": 99, "disgust": 26, "sadness": 20}, 26),
    ("main", "samm", "objective-5", {"happiness": 24, "surprise": 13, "anger": 20, "disgust": 8, "sadness": 3}, None),
    ("main", "samm", "samm-5", {"anger": 57, "other": 26, "happiness": 26, "surprise": 15, "contempt": 12}, None),
    ("main", "casme3", "casme3-3", {"negative": 457, "positive": 55, "surprise": 187}, 88),
    ("main", "casme3", "casme3-4", {"negative": 457, "positive": 55, "surprise": 187, "others": 161}, 94),
    ("nested", "casme2", "megc3", {"negative": 88, "positive": 32, "surprise": 25}, 24),
    ("nested", "casme3", "casme3-3", {"negative": 457, "positive": 55, "surprise": 187}, 88),
    ("nested", "casme3", "casme3-3-v1", {"negative": 496, "positive": 60, "surprise": 199}, None),
    ("nested", "casme3", "casme3-4-v1", {"negative": 496, "positive": 60, "surprise": 199, "others": 166}, None),
    ("odd", "casme3", "casme3-4", {"negative": 457, "positive": 55, "surprise": 187, "others": 161}, 94),
    ("odd", "smic-vis", "smic-vis-3", {"negative": 23, "positive": 28, "surprise": 20}, 8),
    ("odd", "smic-nir", "smic-nir-3", {"negative": 23, "positive": 28, "surprise": 20}, 8),
    ("long", "smic-e", "smic-e-3", {"negative": 65, "positive": 51, "surprise": 41}, 16),
    ("long", "casme2", "megc3", {"negative": 88, "positive": 32, "surprise": 25}, 24),
]


def survey(phantoms: Phantoms, variant: str, database: str) -> tuple[Copy, ...]:
    return places.survey(database, phantoms(variant) / databases.known()[database].place)


@pytest.mark.parametrize(("variant", "database", "name", "counts", "people"), GIVEN)
def test_the_counts_of_the_field(
    phantoms: Phantoms, variant: str, database: str, name: str, counts: dict[str, int], people: int | None
) -> None:
    """As papers and the owners' sheets have them: each row of this list stands in docs/data.md."""
    found, _ = schemes.of(name, database, survey(phantoms, variant, database))
    assert Counter(found.classes[found.labels[clip.key]] for clip in found.clips) == counts
    assert {clip.database for clip in found.clips} == {database}
    if people is not None:
        assert len({clip.subject for clip in found.clips}) == people


def test_micro_attentions_protocols_have_their_253_clips(phantoms: Phantoms) -> None:
    found = [schemes.of("objective-5", database, survey(phantoms, "main", database))[0] for database in ("casme2", "samm")]
    assert [len(each.clips) for each in found] == [185, 68]
    assert len({each.classes for each in found}) == 1


def test_seven_emotions_of_casme3(phantoms: Phantoms) -> None:
    found, _ = schemes.of("casme3-7", "casme3", survey(phantoms, "odd", "casme3"))
    counts = Counter(found.classes[found.labels[clip.key]] for clip in found.clips)
    assert sorted(counts.values()) == [55, 57, 64, 86, 161, 187, 250]
    assert counts["others"] == 161, "three of them are spelled Others"


def test_the_list_of_htnet_is_apart(phantoms: Phantoms) -> None:
    """687 of 699: all three clips of one person, and nine of two others, which its authors left out without a word."""
    copy = survey(phantoms, "main", "casme3")[0]
    whole, _ = schemes.of("casme3-3", "casme3", [copy])
    with pytest.raises(UserError, match=r"negative: 457 clips, not 449; positive: 55 clips, not 54; surprise: 187 clips, not 184"):
        schemes.of("casme3-3-htnet", "casme3", [copy])
    of_class = {index: [clip.key for clip in whole.clips if whole.labels[clip.key] == index] for index in range(3)}
    people = Counter(clip.subject for clip in whole.clips)
    alone = next(subject for subject, count in people.items() if count == 1)
    gone = {clip.key for clip in whole.clips if clip.subject == alone}
    for index, count in enumerate((8, 1, 3)):
        left = count - sum(whole.labels[key] == index for key in gone)
        gone |= set([key for key in of_class[index] if people[key.rsplit("/", 1)[0]] > 20][:left])
    less = replace(copy, entries=tuple(entry for entry in copy.entries if entry.clip.key not in gone))
    found, _ = schemes.of("casme3-3-htnet", "casme3", [less])
    assert len(found.clips) == 687


def test_other_counts_are_told_with_the_clips_that_differ(phantoms: Phantoms) -> None:
    with pytest.raises(UserError) as caught:
        schemes.of("casme2-5", "casme2", survey(phantoms, "nested", "casme2"))
    assert "surprise: 28 clips, not 25" in caught.value.what
    assert all(f"casme2/sub24/{name} is surprise here" in caught.value.what for name in ("EP07_01", "EP07_04f", "EP10_03"))
    assert "casme2-5-2019" in caught.value.remedy
    with pytest.raises(UserError, match="casme2/sub24/EP02_07 has a row here and none in the owners'"):
        schemes.of("casme2-5", "casme2", survey(phantoms, "long", "casme2"))
    with pytest.raises(UserError, match=r"CASME2-coding-20140508\.xlsx has no objective classes"):
        schemes.of("objective-5", "casme2", survey(phantoms, "odd", "casme2"))


def test_the_clips_of_a_listed_scheme_that_a_copy_lacks_are_named(phantoms: Phantoms) -> None:
    copy = survey(phantoms, "main", "smic")[0]
    less = replace(copy, entries=copy.entries[2:])
    gone = ", ".join(entry.clip.key for entry in copy.entries[:2])
    assert schemes.differences("megc3", "smic", [less]) == [f"2 of 164 clips are not there: {gone}"]
    assert schemes.differences("megc3", "smic", [copy], {copy.entries[0].clip.key}) == [
        f"1 of 164 clips cannot be prepared: {copy.entries[0].clip.key}"
    ]


def test_a_word_that_no_table_knows_is_named(phantoms: Phantoms) -> None:
    copy = survey(phantoms, "main", "samm")[0]
    first = copy.entries[0]
    strange = replace(copy, entries=(replace(first, clip=replace(first.clip, emotion="Bliss")), *copy.entries[1:]))
    with pytest.raises(
        UserError, match=rf"1 clips whose emotion no table knows: {first.clip.key} \('Bliss', SAMM_Micro_FACS_Codes_v2.xlsx"
    ):
        schemes.of("samm-5", "samm", [strange])


def test_a_scheme_does_not_depend_on_how_the_sheet_is_sorted(phantoms: Phantoms) -> None:
    copy = survey(phantoms, "main", "casme2")[0]
    entries = list(copy.entries)
    random.Random(0).shuffle(entries)
    found, other = (schemes.of("casme2-5", "casme2", [each])[0] for each in (copy, replace(copy, entries=tuple(entries))))
    assert (found.clips, found.labels) == (other.clips, other.labels)


def test_the_sheet_that_gives_the_scheme_is_taken(phantoms: Phantoms) -> None:
    copies = survey(phantoms, "main", "casme2")
    assert [copy.edition for copy in copies] == ["2014", "2019"]
    for name, edition in (("megc3", "2014"), ("casme2-5", "2014"), ("casme2-5-2019", "2019"), ("objective-5", "2019")):
        assert schemes.of(name, "casme2", copies)[1].edition == edition, name


def test_the_first_look_of_a_scheme_has_every_class_and_few_people(phantoms: Phantoms) -> None:
    for name, database in (("casme2-5-mini", "casme2"), ("samm-5-mini", "samm"), ("casme3-3-mini", "casme3")):
        found, _ = schemes.of(name, database, survey(phantoms, "main", database))
        assert len({clip.subject for clip in found.clips}) <= 5
        assert set(found.labels.values()) == set(range(len(found.classes))), name


def test_what_is_no_scheme_or_not_of_a_database() -> None:
    with pytest.raises(UserError, match="there is no scheme 'casme2-6'") as caught:
        schemes.check("casme2-6")
    assert "casme2-5" in caught.value.remedy
    with pytest.raises(UserError, match="scheme samm-5 is of samm, not of casme2"):
        schemes.of("samm-5", "casme2", ())
    assert schemes.databases("objective-5") == ("casme2", "samm")
    assert schemes.databases("casme3-7") == ("casme3",)


def test_two_editions_of_a_sheet_give_two_fingerprints(phantoms: Phantoms) -> None:
    """The same 145 clips with the same classes: what else a sheet says of them tells the editions apart, its order does not."""
    first, second = survey(phantoms, "main", "casme2")
    entries = tuple(sorted(first.entries, key=lambda entry: entry.clip.key, reverse=True))

    def fingerprint(copy: Copy) -> str:
        made, _ = schemes.of("megc3", "casme2", [copy])
        clips = tuple(each.clip for each in copies.footage(copy, made.clips))
        labels = np.array([made.labels[clip.key] for clip in clips])
        return Prepared("casme2", "frames", "megc3", clips, made.classes, labels, {}, "pixels").annotations

    assert fingerprint(first) == fingerprint(replace(first, entries=entries)) != fingerprint(second)


def test_a_first_look_at_every_listed_scheme_has_whole_people_of_it() -> None:
    for name in filter(schemes.is_listed, schemes.names()):
        made = schemes.scheme(name)
        whole = schemes.scheme(name.removesuffix("-mini"))
        people = {clip.subject for clip in made.clips}
        assert made.name == name
        assert made.labels == {clip.key: whole.labels[clip.key] for clip in whole.clips if clip.subject in people}
        assert (len(made.clips) < len(whole.clips)) == schemes.is_mini(name)
