"""Measured beside published: what may be compared, what is said of it, and which published cells cannot be true."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
from pathlib import Path

import pytest

from merbench import methods
from merbench.board import beside as board
from merbench.board import published as listed
from merbench.board.beside import Beside, beside
from merbench.board.flags import class_counts, counts_of, flagged
from merbench.board.published import ours, published
from merbench.board.readings import Score
from merbench.board.rows import Row
from merbench.config import shipped
from merbench.data import manifest
from merbench.errors import UserError
from merbench.method import METHODS
from tests.board.test_ranking import made

PARTS = {"smic": (0.61, 0.62, 0.63), "casme2": (0.71, 0.72, 0.73), "samm": (0.51, 0.52, 0.53)}


def row(method: str, on: str = "3db", scheme: str = "megc3", protocol: str = "loso", **changes: object) -> Row:
    parts = {name: PARTS[name] for name in (PARTS if on == "3db" else on.split("+"))}
    last = Score(0.73, 0.74, 0.75, (0.70, 0.76), (0.71, 0.77), parts, 0.33, 0.04, [])
    readings = {"last": last, "oracle-subject": dataclasses.replace(last, uf1=0.83)}
    placed = {
        "on": on,
        "scheme": scheme,
        "protocol": protocol,
        "path": f"{on}@frames/{protocol}-{scheme}/{method}/0123456789",
        "key": "0123456789",
    }
    return dataclasses.replace(made(method, 0.8), readings=readings, **{**placed, **changes})  # type: ignore[arg-type]


def one(found: Row) -> Beside:
    """Return the only thing that stands beside a row."""
    ((each,), alone) = beside([found])
    assert not alone
    return each


def cells(found: Beside) -> dict[tuple[str, str], tuple[str, float]]:
    return {(cell.part, cell.score): (cell.paper, cell.ours) for cell in found.cells}


def test_our_methods_are_as_near_the_papers_as_their_cards_say() -> None:
    for name, each in ours().items():
        assert any(row.method == name for row in published())
        methods.load(each.method)
        assert (each.network, each.training) == (METHODS[each.method].card.network, METHODS[each.method].card.training)


def test_whole_and_parts_stand_beside_the_paper() -> None:
    found = one(row("featref"))
    assert cells(found) == {
        ("3db", "uf1"): ("0.7838", 0.73),
        ("3db", "uar"): ("0.7832", 0.74),
        ("smic", "uf1"): ("0.7011", 0.61),
        ("smic", "uar"): ("0.7083", 0.62),
        ("casme2", "uf1"): ("0.8915", 0.71),
        ("casme2", "uar"): ("0.8873", 0.72),
        ("samm", "uf1"): ("0.7372", 0.51),
        ("samm", "uar"): ("0.7155", 0.52),
    }
    first = found.cells[0]
    assert first.texts == ("3db", "UF1", "0.7838", "0.7300", "0.700 to 0.760", "-0.0538", "0.8300", "")
    assert found.cells[2].interval is None, "of parts there is none"
    assert found.reasons == (
        "how the paper chose its epoch is not told; most public codes choose it on the held-out subjects (oracle-subject)",
        "our network and training: reconstructed; merbench methods featref tells more",
    )


def test_reasons_are_facts_of_the_two_rows() -> None:
    hasty = row("ststnet", "smic+casme2", source="published-flow", preset="quick")
    hasty = dataclasses.replace(hasty, method="ststnet[widths=[1]]")
    found = one(hasty)
    assert set(cells(found)) == {(part, score) for part in ("smic", "casme2") for score in ("uf1", "uar")}, (
        "not the whole: it has other clips"
    )
    told = "\n".join(found.reasons)
    for reason in (
        "both take the last epoch",
        "public flow images of 28 pixels",
        "ours learnt from smic+casme2, the paper's from 3db",
        "preset quick",
        "changed settings: ststnet[widths=[1]]",
        "our network and training: from public code",
        "of the paper's cells: the printed UAR column is macro precision",
        "of the paper's cells: its eight cells are not of one judgement",
    ):
        assert reason in told
    remarks = {(cell.part, cell.score): cell.remark for cell in found.cells}
    assert remarks["casme2", "uf1"] == "with UAR 0.8686 UF1 lies between 0.8622 and 0.8899"
    assert remarks["smic", "uf1"] == ""


def test_one_database_alone_is_not_all_of_a_paper_but_has_its_part() -> None:
    found = one(row("ststnet", "casme2"))
    assert cells(found) == {("casme2", "uf1"): ("0.8382", 0.73), ("casme2", "uar"): ("0.8686", 0.74)}
    assert "ours learnt from casme2, the paper's from 3db" in found.reasons


def test_what_is_within_our_interval_and_what_is_second_hand_say_so() -> None:
    within = {cell.score: cell.remark for cell in one(row("off_apexnet")).cells if cell.part == "3db"}
    assert within == {"uf1": "within our interval", "uar": ""}
    found = one(row("frl_dgt"))
    assert {cell.part for cell in found.cells} == {"3db", "samm"}, "what nobody has verified is not shown"
    assert all(cell.remark.startswith("second-hand: ") for cell in found.cells)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (row("micro_attention", "casme2+samm", "objective-5"), {("casme2+samm", "accuracy"): ("0.763", 0.75)}),
        (row("micro_attention", "casme2", "objective-5"), {("casme2", "accuracy"): ("0.659", 0.75)}),
        (row("micro_attention", "smic"), {("smic", "accuracy"): ("0.494", 0.75)}),
        (
            row("micro_attention", "casme2+samm", "objective-5", "lodo"),
            {
                ("samm", "uar"): ("0.427", 0.52),
                ("samm", "accuracy"): ("0.559", 0.53),
                ("casme2", "uar"): ("0.341", 0.72),
                ("casme2", "accuracy"): ("0.584", 0.73),
            },
        ),
    ],
)
def test_each_protocol_has_its_own(found: Row, expected: dict[tuple[str, str], tuple[str, float]]) -> None:
    """F1 of unknown average is compared with nothing."""
    assert cells(one(found)) == expected


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (row("ststnet", source="synthetic"), "rendered faces; there is no published number of those"),
        (row("ststnet", source="synthetic", scheme="megc3-mini"), "rendered faces"),
        (row("svm_flow"), "merbench's own, of no paper"),
        (row("msjfn"), "no printed score of this method could be verified"),
        (row("ststnet", scheme="megc3-mini"), "no published score of this method is of megc3-mini, loso"),
        (row("ststnet", protocol="lodo"), "is of megc3, lodo"),
    ],
)
def test_what_cannot_be_compared_is_not(found: Row, told: str) -> None:
    nothing, (said,) = beside([found])
    assert not nothing
    assert told in said
    assert told in board.markdown([found])
    assert beside([dataclasses.replace(found, readings={})]) == ([], []), "without a score nothing is said"


def test_rendered_rows_are_told_in_one_line() -> None:
    """Eleven lines of them stood below one measured row."""
    rendered = [row(name, source="synthetic") for name in ("ststnet", "featref", "svm_flow")]
    assert beside([*rendered, row("svm_flow")])[1] == [
        "svm_flow on 3db: merbench's own, of no paper",
        "3 rows on rendered faces; there is no published number of those",
    ]


def test_texts() -> None:
    rows = [row("featref"), row("svm_flow")]
    text = board.markdown(rows)
    assert "## featref (run 01234567) beside FeatRef, HTNet paper, Table 2" in text
    assert "| 3db | UF1 | 0.7838 | 0.7300 | 0.700 to 0.760 | -0.0538 | 0.8300 |  |" in text
    lines = list(csv.DictReader(io.StringIO(board.as_csv(rows))))
    assert json.loads(board.as_json(rows)) == lines
    assert len(lines) == 8
    assert (lines[0]["run"], lines[0]["published"], lines[0]["gap"], lines[0]["selection"]) == (
        "0123456789",
        "FeatRef",
        "-0.0538",
        "unknown",
    )


def test_which_published_cells_cannot_be() -> None:
    cannot = {(each.one.method, each.one.protocol.split("-")[0], each.one.part) for each in flagged() if each.flags}
    assert cannot == {
        ("LBP-TOP", "megc2019", "smic"),
        ("VGG16", "megc2019", "casme2"),
        ("OFF-ApexNet", "megc2019", "casme2"),
        ("STSTNet", "megc2019", "casme2"),
        ("STSTNet", "megc2019", "samm"),
        ("CapsuleNet", "megc2019", "samm"),
        ("RCN-A", "megc2019", "casme2"),
        ("RCN-A", "megc2019", "samm"),
        *(
            (name, "megc2019", "3db")
            for name in ("LBP-TOP", "Bi-WOOF", "AlexNet", "GoogLeNet", "VGG16", "OFF-ApexNet", "STSTNet", "CapsuleNet", "RCN-A")
        ),
        *((name, "objective", "casme2+samm") for name in ("LBP-TOP", "HOOF", "3D-HOG", "ELRCN", "Merghani et al.")),
    }
    assert all(each.verdict.possible is not None for each in flagged()), "every cell could be told"
    assert {(each.one.method, each.one.part) for each in flagged() if each.one.note.startswith(("impossible", "no whole number"))} <= {
        (method, part) for method, _, part in cannot
    }, "what was found by hand is found"


def test_what_fits_is_known_better_than_it_was_printed() -> None:
    remarks = {each.one.method: each.remarks for each in flagged() if each.remarks}
    assert remarks == {
        "Dual-Inception": ("all eight cells leave one way: 207/65/63 of 250/109/83 clips right, accuracy 0.7579",),
        "EMR": ("all eight cells leave one way: 220/68/70 of 250/109/83 clips right, accuracy 0.8100",),
        "FeatRef": ("all eight cells leave one way: 209/77/67 of 250/109/83 clips right, accuracy 0.7986",),
        "HTNet": ("all eight cells leave one way: 235/88/66 of 250/109/83 clips right, accuracy 0.8801",),
    }


def test_the_clips_of_each_class_are_those_that_are_pinned() -> None:
    counts = {(each.protocol, each.part): counts_of(each) for each in published()}
    assert counts["megc2019-cde", "3db"] == (250, 109, 83)
    assert counts["objective-5-cde", "casme2+samm"] == (49, 28, 119, 34, 23)
    assert class_counts("casme3-4", "casme3") == {"negative": 457, "positive": 55, "surprise": 187, "others": 161}
    assert sum(class_counts("megc3-mini", "3db").values()) == 124
    for scheme, on, told in (
        ("casme3-4", "smic", "is of casme3"),
        ("casme3-4-mini", "casme3", "no class counts"),
        ("x", "smic", "no scheme"),
    ):
        with pytest.raises(UserError, match=told):
            class_counts(scheme, on)


def test_a_damaged_table_of_methods_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data_manifests").mkdir(exist_ok=True)
    path = tmp_path / "published_methods.csv"
    good = (shipped("data_manifests") / "published_methods.csv").read_text()
    for module in (manifest, listed):
        monkeypatch.setattr(module, "shipped", lambda _: tmp_path)
    for line, told in (
        ("STSTNet,ststnet,port,port", "stands there twice"),
        ("New,ststnet,port,guess", "fidelity is unknown"),
        ("New,a,port", "3 cells"),
    ):
        monkeypatch.setattr(listed, "ours", functools.cache(ours.__wrapped__))
        path.write_text(f"{good}{line}\n")
        with pytest.raises(UserError, match=told):
            listed.ours()


def test_what_is_superseded_says_so_beside_a_paper() -> None:
    found = one(row("ststnet", versions=(1, 2), superseded=True))
    assert "ours is of version 1.2, which a later one supersedes" in found.reasons
