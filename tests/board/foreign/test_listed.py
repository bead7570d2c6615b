"""Predictions beside the clip list: what is missing, doubled, unknown, of another class, or in another order of classes."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from merbench import scores
from merbench.errors import UserError
from tests.board.foreign import NAMES, Row, blocks, delimited, matrix, read, read_matrix, rows, table


def only(warnings: tuple[str, ...], words: str) -> str:
    found = [warning for warning in warnings if words in warning]
    assert len(found) == 1, warnings
    return found[0]


def test_all_clips_of_3db_are_said_to_be_there() -> None:
    found = read(delimited(rows()))
    assert not found.warnings
    assert any("all 442 of 3DB" in note for note in found.notes)
    two = read(delimited(rows(databases=("smic", "casme2"))))
    assert not two.warnings
    assert any("all 309 of smic and casme2" in note for note in two.notes)


def test_a_missing_clip_is_named() -> None:
    written = [row for row in rows() if row.clip not in ("s03_ne_20", "006_1_2")]
    assert only(read(delimited(written)).warnings, "missing").endswith(
        "2 of the 442 clips of 3DB are missing: smic/s03/s03_ne_20, samm/006/006_1_2"
    )


def test_a_doubled_clip_is_named() -> None:
    written = rows()
    found = read(delimited([*written, written[7]]))
    assert written[7].clip in only(found.warnings, "more than once")
    assert len(found.tables[0].clips) == 443


def test_an_unknown_clip_is_named_and_one_that_was_left_out_apart() -> None:
    more = [Row("casme2/sub04", "EP12_01f", 0, 0), Row("casme2/sub01", "EP77_77", 0, 0)]
    found = read(delimited([*rows(), *more]))
    assert "EP77_77" in only(found.warnings, "not among those of MEGC2019")
    assert "EP12_01f" in only(found.warnings, "organisers left out")


def test_another_true_class_is_named() -> None:
    """CapsuleNet's public log has s18_sur_03 as negative."""
    written = [dataclasses.replace(row, truth=0) if row.clip == "s18_sur_03" else row for row in rows()]
    assert "smic/s18/s18_sur_03 (negative, listed surprise)" in only(read(delimited(written)).warnings, "another true class")


@pytest.mark.parametrize("order", [order for order in itertools.permutations(range(3)) if order != (0, 1, 2)])
@pytest.mark.parametrize("write", [delimited, blocks])
def test_another_order_of_numbers_is_found(order: tuple[int, ...], write: object) -> None:
    """Numbers whose true classes are those of the list in another order are taken in that order, and it is said."""
    written = rows(4)
    moved = [dataclasses.replace(row, truth=order[row.truth], predicted=order[row.predicted]) for row in written]
    found = read(write(moved))  # type: ignore[operator]
    assert read_matrix(found) == matrix(written)
    words = ", ".join(f"{place} {NAMES[order.index(place)]}" for place in range(3))
    assert any(f"classes are taken as {words}" in note for note in found.notes)
    assert not any("in the order of MEGC2019" in note for note in found.notes)
    assert not [warning for warning in found.warnings if "named" not in warning]


def test_an_order_that_the_user_gives_is_kept_and_a_wrong_one_told() -> None:
    written = rows(4)
    found = read(delimited(written), classes=("positive", "negative", "surprise"))
    assert found.classes == ("positive", "negative", "surprise")
    assert read_matrix(found) == matrix(written)
    assert "'positive' is negative, 'negative' is positive" in only(found.warnings, "another order")
    turned = [dataclasses.replace(row, truth=(1, 0, 2)[row.truth], predicted=(1, 0, 2)[row.predicted]) for row in written]
    assert not read(delimited(turned), classes=("positive", "negative", "surprise")).warnings


def test_truth_of_some_other_origin_is_no_other_order() -> None:
    rng = np.random.default_rng(0)
    written = [dataclasses.replace(row, truth=int(rng.integers(3))) for row in rows()]
    found = read(delimited(written))
    assert "another true class" in only(found.warnings, "another true class")
    assert any("in the order of MEGC2019" in note for note in found.notes)


def test_numbers_from_one_are_told() -> None:
    written = rows(6)
    found = read(delimited([dataclasses.replace(row, truth=row.truth + 1, predicted=row.predicted + 1) for row in written]))
    assert read_matrix(found) == matrix(written)
    assert any("numbered from 1" in note for note in found.notes)


def test_without_clips_subjects_are_counted() -> None:
    found = read(str(table(rows())))
    assert only(found.warnings, "no clip is named")
    assert len(found.warnings) == 1
    assert any("442 of 3DB in all" in note for note in found.notes)
    fewer = [row for row in rows() if row.clip != "s03_ne_20" and row.bare != "sub08"]
    warnings = read(str(table(fewer))).warnings
    assert "1 subject has another number of clips than in MEGC2019: smic/s03 (38, listed 39)" in warnings
    assert "1 of the 68 subjects of 3DB is missing: casme2/sub08" in warnings
    other = [dataclasses.replace(row, truth=0) if row.clip == "s18_sur_03" else row for row in rows()]
    assert "smic/s18" in only(read(str(table(other))).warnings, "of other classes")
    strange = [*rows(), Row("smic/s07", "s07_ne_01", 0, 0)]
    assert "smic/s07" in only(read(str(table(strange))).warnings, "not among those of MEGC2019")


def test_of_other_classes_and_databases_no_list_is_known() -> None:
    text = "subject,clip,truth,pred\n" + "\n".join(f"sub0{n % 5 + 1},EP0{n}_01,{n % 5},{n % 4}" for n in range(9))
    found = read(text)
    assert found.classes == ("0", "1", "2", "3", "4")
    assert any("no clip list is known" in note for note in found.notes)
    named = read(text, classes=("happiness", "surprise", "disgust", "repression", "others"))
    assert named.classes == ("happiness", "surprise", "disgust", "repression", "others")
    for words, classes in (("disgust,others,surprise,happiness,repression", 5), ("x,y", 2)):
        spelled = words.split(",")
        lines = "\n".join(f"sub01,EP0{n}_01,{name},{name}" for n, name in enumerate(spelled))
        found = read("subject,clip,truth,pred\n" + lines)
        assert len(found.classes) == classes
    assert found.classes == ("x", "y")


def test_epochs_and_seeds_are_kept_apart() -> None:
    written = [row for row in rows(1) if row.subject.startswith("smic")]
    lines = ["seed,epoch,subject,clip,truth,pred"]
    for seed, epoch in itertools.product((0, 1), (9, 10, 2)):
        lines += [f"{seed},{epoch},{row.bare},{row.clip},{row.truth},{(row.predicted + epoch + seed) % 3}" for row in written]
    found = read("\n".join(lines))
    assert found.epochs == (2, 9, 10), "by number, not as words"
    assert [table.predicted.shape for table in found.tables] == [(3, 164), (3, 164)]
    wanted = scores.confusion([row.truth for row in written], [(row.predicted + 10 + 1) % 3 for row in written], 3)
    assert scores.confusion(found.tables[1].truth, found.tables[1].predicted[-1], 3).tolist() == wanted.tolist()
    with pytest.raises(UserError, match="epoch 10 of seed 1 has other clips"):
        read(
            "\n".join(lines[: lines.index(next(line for line in lines if line.startswith("1,2,"))) - 1] + lines[-328:]).replace(
                "1,10,s20,s20_sur_05", "1,10,s20,x"
            )
        )
    with pytest.raises(UserError, match="every clip stands there 6 times"):
        read("\n".join(line.split(",", 2)[2] for line in lines))
    unnamed = read("\n".join(",".join(cell for place, cell in enumerate(line.split(",")) if place != 3) for line in lines))
    for one, two in zip(unnamed.tables, found.tables, strict=True):
        for epoch in range(3):
            assert (scores.confusion(one.truth, one.predicted[epoch], 3) == scores.confusion(two.truth, two.predicted[epoch], 3)).all()


def test_of_two_columns_that_may_be_meant_it_is_told_which_was_read() -> None:
    found = read("subject,clip,label,gt,pred\ns01,s01_ne_01,2,0,0\ns01,s01_sur_01,1,2,2\n")
    assert any("true classes are read from 'gt', not from label" in note for note in found.notes)
    assert found.tables[0].truth.tolist() == [0, 2]


def test_a_few_clips_without_a_negative_one_are_not_numbered_from_one() -> None:
    found = read("subject,clip,truth,pred\ns13,s13_po_01,1,1\ns12,s12_sur_01,2,1\n")
    assert [found.classes[place] for place in found.tables[0].truth] == ["surprise", "positive"], "by clip"
    assert not any("numbered from 1" in note for note in found.notes)
