"""Published scores: every line can be true, and those of Micro-Attention are the printed ones."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from merbench.board import published as board
from merbench.board.published import Published, published
from merbench.config import shipped
from merbench.data import manifest, schemes
from merbench.errors import UserError

BY_DATABASE = {"casme2": (25, 15, 99, 26, 20), "samm": (24, 13, 20, 8, 3)}
"""Happiness, surprise, anger, disgust, sadness: the five objective classes, as Table 1 of Micro-Attention's paper counts them."""
POOLED = (49, 28, 119, 34, 23)
TABLE_5 = (
    (81.63, 12.24, 6.12, 0, 0),
    (17.86, 53.57, 10.71, 7.14, 10.71),
    (2.52, 0, 94.12, 1.68, 1.68),
    (17.65, 0, 35.29, 47.06, 0),
    (4.35, 8.70, 43.47, 0, 43.48),
)
"""The confusion of its composite evaluation, in per cent of the true class."""

PEER, COMPLEX, OURS = "ResNet (Peng et al. 2018)", "complex attention (Peng et al. 2018)", "Micro-Attention"
TABLE_2 = {  # WAR of SAMM and CASME II, UAR of SAMM and CASME II, each the database held out
    "LBP-TOP": (0.338, 0.232, 0.327, 0.316),
    "HOOF": (0.441, 0.265, 0.349, 0.346),
    "3D-HOG": (0.353, 0.373, 0.269, 0.187),
    "ELRCN": (0.485, 0.384, 0.382, 0.322),
    PEER: (0.544, 0.578, 0.440, 0.337),
    COMPLEX: (0.529, 0.573, 0.393, 0.319),
    OURS: (0.559, 0.584, 0.427, 0.341),
}
TABLE_4 = {  # accuracy and F1 of the composite
    "LBP-TOP": (0.524, 0.400),
    "HOOF": (0.527, 0.404),
    "3D-HOG": (0.436, 0.271),
    "ELRCN": (0.570, 0.411),
    "Merghani et al.": (0.718, 0.579),
    PEER: (0.747, 0.640),
    COMPLEX: (0.625, 0.489),
    OURS: (0.763, 0.668),
}
TABLE_6 = {  # accuracy and F1 of SAMM, CASME II and SMIC, each trained alone
    PEER: ((0.456, 0.383), (0.622, 0.464), (0.415, 0.406)),
    COMPLEX: ((0.471, 0.306), (0.627, 0.473), (0.494, 0.448)),
    OURS: ((0.485, 0.402), (0.659, 0.539), (0.494, 0.496)),
}
CLIPS = {"samm": 68, "casme2": 185, "smic": 164, "casme2+samm": 253}


def of_the_paper(table: int) -> list[Published]:
    return [one for one in published() if "1811.02360" in one.source and one.source.endswith(f"Table {table}")]


def numbers(one: Published) -> tuple[float | None, ...]:
    return (one.uf1, one.uar, one.accuracy, one.f1)


def test_every_line_is_read() -> None:
    rows = published()
    lines = (shipped("data_manifests") / "published.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(lines) - 1 == 87
    assert all(0 < value < 1 for one in rows for value in numbers(one) if value is not None)
    assert {one.protocol for one in rows} == set(board.PROTOCOLS)
    assert sum(len(of_the_paper(table)) for table in (2, 4, 6)) == 31
    (htnet,) = (one for one in rows if (one.method, one.part) == ("HTNet", "3db"))
    assert (htnet.uf1, htnet.uar, htnet.accuracy, htnet.selection) == (0.8603, 0.8475, None, "oracle")


def test_what_nobody_has_verified_is_not_shown() -> None:
    hidden = [one for one in published() if not one.shown]
    assert {(one.method, one.part, one.status) for one in hidden} == {
        ("FRL-DGT", "smic", "unverified"),
        ("FRL-DGT", "casme2", "unverified"),
    }
    second = {(one.part, one.uf1, one.uar) for one in published() if one.status == "second-hand"}
    assert second == {("3db", 0.812, 0.811), ("samm", 0.772, None)}, "the UAR that nobody quotes is not given"
    assert all(one.note for one in published() if one.status == "second-hand")


def test_the_rows_of_micro_attention_are_those_printed() -> None:
    held_out = {(one.method, one.part): numbers(one) for one in of_the_paper(2)}
    assert held_out == {
        (method, part): (None, uar, war, None)
        for method, (war_samm, war_casme2, uar_samm, uar_casme2) in TABLE_2.items()
        for part, war, uar in (("samm", war_samm, uar_samm), ("casme2", war_casme2, uar_casme2))
    }
    assert {one.method: numbers(one) for one in of_the_paper(4)} == {name: (None, None, *pair) for name, pair in TABLE_4.items()}
    alone = {(one.method, one.part): numbers(one) for one in of_the_paper(6)}
    assert alone == {
        (method, part): (None, None, *pair)
        for method, cells in TABLE_6.items()
        for part, pair in zip(("samm", "casme2", "smic"), cells, strict=True)
    }
    protocols = {(table, one.part): (one.protocol, one.classes) for table in (2, 4, 6) for one in of_the_paper(table)}
    assert protocols == {
        (2, "samm"): ("objective-5-hde", 5),
        (2, "casme2"): ("objective-5-hde", 5),
        (4, "casme2+samm"): ("objective-5-cde", 5),
        (6, "samm"): ("objective-5-loso", 5),
        (6, "casme2"): ("objective-5-loso", 5),
        (6, "smic"): ("smic-loso", 3),
    }
    assert {(one.selection, one.status) for table in (2, 4, 6) for one in of_the_paper(table)} == {("unknown", "published")}


def test_the_pooled_classes_are_those_of_the_two_databases() -> None:
    assert tuple(map(sum, zip(*BY_DATABASE.values(), strict=True))) == POOLED
    assert {name: sum(counts) for name, counts in BY_DATABASE.items()} == {"casme2": 185, "samm": 68}
    assert sum(POOLED) == CLIPS["casme2+samm"]


def test_f1_of_the_composite_is_uf1() -> None:
    """The paper does not say how it averages. Its confusion says it: the mean over classes of F1, pooled over all folds."""
    clips = np.array(TABLE_5) * np.array(POOLED)[:, None] / 100
    whole = clips.round().astype(int)
    assert np.abs(clips - whole).max() < 0.003, "whole numbers of clips"
    assert whole.sum(axis=1).tolist() == list(POOLED)
    right = whole.diagonal()
    assert right.tolist() == [40, 15, 112, 16, 10]
    assert right.sum() / whole.sum() == pytest.approx(0.7628, abs=5e-5)
    f1 = 2 * right / (whole.sum(axis=0) + whole.sum(axis=1))
    assert f1 == pytest.approx([80 / 104, 30 / 51, 224 / 259, 32 / 54, 20 / 38])
    printed = {"macro": f1.mean(), "weighted": (f1 * POOLED).sum() / sum(POOLED), "micro": right.sum() / whole.sum()}
    precision, recall = right / whole.sum(axis=0), right / whole.sum(axis=1)
    printed["of the mean precision and recall"] = 2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean())
    (row,) = (one for one in of_the_paper(4) if one.method == OURS)
    assert [name for name, value in printed.items() if round(value, 3) == row.f1] == ["macro"]
    assert printed["macro"] == pytest.approx(0.6682, abs=5e-5)
    assert round(right.sum() / whole.sum(), 3) == row.accuracy
    assert f"{printed['macro']:.4f}"[1:] in row.note
    assert f"{printed['weighted']:.3f}"[1:] in row.note
    assert f"{recall.mean():.4f}"[1:] in row.note


def test_printed_accuracies_are_whole_numbers_of_clips_but_where_a_note_says_so() -> None:
    """So WAR is accuracy; and five rows of the composite were not measured on these 253 clips, or are averaged otherwise."""
    unlike = set()
    for one in (one for table in (2, 4, 6) for one in of_the_paper(table)):
        count = CLIPS[one.part]
        assert one.accuracy is not None
        if round(round(one.accuracy * count) / count, 3) != one.accuracy:
            unlike.add((one.method, one.part))
            assert one.note.startswith("no whole number of the 253 clips")
    assert unlike == {(name, "casme2+samm") for name in ("LBP-TOP", "HOOF", "3D-HOG", "ELRCN", "Merghani et al.")}


def test_smic_is_the_164_clips_of_megc3() -> None:
    rows = manifest.table("schemes", ("scheme", "database", "class", "clips", "subjects"))
    smic = [int(row["clips"]) for row in rows if (row["scheme"], row["database"]) == ("megc3", "smic")]
    assert sum(smic) == CLIPS["smic"] == len(schemes.scheme("megc3").select(("smic",)))


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the table to spoil."""
    path = tmp_path / "published.csv"
    path.write_bytes((shipped("data_manifests") / "published.csv").read_bytes())
    for module in (manifest, board):
        monkeypatch.setattr(module, "shipped", lambda _: tmp_path)
    monkeypatch.setattr(board, "published", functools.cache(published.__wrapped__))
    return path


GOOD = "Ours,objective-5-cde,5,casme2+samm,0.5,,0.763,,unknown,published,a paper,"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (GOOD.replace("0.763", "1.763"), "accuracy is '1.763'"),
        (GOOD.replace("0.763", "76.3"), "accuracy is '76.3'"),
        (GOOD.replace("0.763", "-0.1"), "accuracy is '-0.1'"),
        (GOOD.replace("0.763", "nan"), "accuracy is 'nan'"),
        (GOOD.replace("0.763", "\u0660.7"), "accuracy is '\u0660.7'"),
        (GOOD.replace("0.5,,0.763", ",,"), "it has no number"),
        (GOOD.replace("-cde", "-cdd"), "the protocol 'objective-5-cdd' is none of megc2019-cde"),
        (GOOD.replace("unknown", "best"), "the selection 'best' is none of last, oracle, unknown"),
        (GOOD.replace("published", "second-hand, unconfirmed"), "13 cells"),
        (GOOD.replace("published", "rumour"), "the status 'rumour' is none of published, second-hand, unverified"),
        (GOOD.replace(",5,", ",3,"), "objective-5-cde has 5 classes and the parts casme2+samm"),
        (GOOD.replace("casme2+samm", "samm"), "has 5 classes and the parts casme2+samm"),
        (GOOD.replace("a paper", ""), "none of them empty but uf1, uar, accuracy, f1, note"),
        (GOOD.replace("Ours", ""), "none of them empty but"),
        ('LBP-TOP,megc2019-cde,3,3db,0.5,,,,unknown,published,"HTNet paper, Table 2 (read from its image)",', "stands there twice"),
    ],
)
def test_what_cannot_be_true_is_refused_with_its_line(manifests: Path, line: str, told: str) -> None:
    lines = manifests.read_text(encoding="utf-8").splitlines()
    manifests.write_text("\n".join([*lines[:9], GOOD, *lines[9:]]) + "\n", encoding="utf-8")
    assert len(board.published()) == 88, "the line itself is one that may be"
    board.published.cache_clear()
    manifests.write_text("\n".join([*lines[:9], line, *lines[9:]]) + "\n", encoding="utf-8")
    with pytest.raises(UserError) as refusal:
        board.published()
    said = str(refusal.value)
    assert told in said
    assert "line 10" in said
    assert "published.csv" in refusal.value.where
    assert "git checkout" in refusal.value.remedy
