"""Whether printed scores can be true: against every matrix there is, and against scores that are."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from merbench import scores
from merbench.board import feasible
from merbench.board.feasible import Printed, judge, matrix_of, printed

SMALL = ((3, 2, 2), (4, 1, 3), (5, 3), (2, 2, 1, 1))


@functools.cache
def every(counts: tuple[int, ...]) -> np.ndarray:
    """Return every confusion matrix of these clips."""
    rows = [[row for row in itertools.product(range(clips + 1), repeat=len(counts)) if sum(row) == clips] for clips in counts]
    return np.array(list(itertools.product(*rows)))


def measured(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return scores.uf1(matrices), scores.uar(matrices), scores.accuracy(matrices)


@pytest.mark.parametrize("counts", SMALL)
def test_against_every_matrix(counts: tuple[int, ...]) -> None:
    """Of scores that are those of a matrix, of those of two, and of any numbers; each given or not."""
    matrices, rng, answers = every(counts), np.random.default_rng(0), set()
    known = measured(matrices)
    for turn in range(100):
        mine, other = rng.integers(len(matrices), size=2)
        values = [known[0][other if turn % 3 else mine], known[1][mine], known[2][mine]] if turn % 4 else rng.random(3)
        asked = [printed(f"{value:.{1 + turn % 4}f}") if rng.random() < 0.8 else None for value in values]
        fits = np.ones(len(matrices), dtype=bool)
        for score, exact in zip(asked, known, strict=True):
            fits &= score is None or score.holds(exact)
        verdict = judge(counts, *asked)
        assert verdict.possible == fits.any(), [score and score.text for score in asked]
        answers.add(verdict.possible)
        if verdict.matrix is not None:
            assert (matrices == verdict.matrix).all((1, 2)).any()
            assert all(score is None or score.holds(exact) for score, exact in zip(asked, measured(verdict.matrix), strict=True))
        else:
            assert verdict.why
        if verdict.uf1 is not None:
            beside = np.ones(len(matrices), dtype=bool)
            for score, exact in zip(asked[1:], known[1:], strict=True):
                beside &= score is None or score.holds(exact)
            assert verdict.uf1[0] <= known[0][beside].min() + 1e-9
            assert verdict.uf1[1] == pytest.approx(known[0][beside].max())
    assert answers == {True, False}


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_what_was_measured_is_possible(data: st.DataObject) -> None:
    """Scores of real predictions, by scikit-learn, rounded as papers round."""
    classes = data.draw(st.integers(2, 5))
    truth = [index for index in range(classes) for _ in range(data.draw(st.integers(1, 30)))]
    predicted = data.draw(st.lists(st.integers(0, classes - 1), min_size=len(truth), max_size=len(truth)))
    places = data.draw(st.integers(2, 5))
    values = (
        f1_score(truth, predicted, average="macro", labels=range(classes), zero_division=0),
        recall_score(truth, predicted, average="macro", labels=range(classes)),
        float(np.mean(np.array(truth) == predicted)),
    )
    asked = [printed(f"{value:.{places}f}") for value in values]
    verdict = judge(np.bincount(truth).tolist(), *asked)
    assert verdict.possible is not False
    if verdict.matrix is not None:
        assert verdict.matrix.sum(1).tolist() == np.bincount(truth).tolist()
        assert all(score.holds(value) for score, value in zip(asked, measured(verdict.matrix), strict=True))
    whole = confusion_matrix(truth, predicted, labels=range(classes))
    again = matrix_of(whole.sum(1), whole.diagonal(), whole.sum(0) - whole.diagonal())
    assert (again >= 0).all()
    assert again.sum(1).tolist() == whole.sum(1).tolist()
    assert again.sum(0).tolist() == whole.sum(0).tolist()
    assert again.diagonal().tolist() == whole.diagonal().tolist()


@pytest.mark.parametrize(
    ("counts", "uf1", "uar", "accuracy", "told"),
    [
        (
            (70, 51, 43),
            "0.2000",
            "0.5280",
            None,
            "with UAR 0.5280 UF1 lies between 0.3983 and 0.5553",
        ),  # LBP-TOP on SMIC, as everyone copies it
        ((88, 32, 25), "0.8382", "0.8686", None, "UF1 lies between 0.8622"),  # STSTNet on CASME II
        ((92, 26, 15), "0.6588", "0.6810", None, "6 sets of hits have UAR 0.6810, none of them UF1 0.6588"),
        ((49, 28, 119, 34, 23), None, None, "0.524", "no whole number of the 253 clips gives accuracy 0.524"),
        ((70, 51, 43), None, "0.9000", "0.8049", "UAR 0.9000 and accuracy 0.8049 exclude each other"),
        ((2, 2), None, "0.6", None, "no hits of 2/2 clips give UAR 0.6"),
        ((1, 1), "0.5", None, None, "nothing has UF1 0.5"),
    ],
)
def test_what_is_impossible_is_told_with_why(
    counts: tuple[int, ...], uf1: str | None, uar: str | None, accuracy: str | None, told: str
) -> None:
    asked = [None if text is None else printed(text) for text in (uf1, uar, accuracy)]
    verdict = judge(counts, *asked)
    assert verdict.possible is False
    assert told in verdict.why


def test_the_log_that_everybody_can_score() -> None:
    """STSTNet's public predictions, whole and in parts; and one unit of the last place beside them is another matter."""
    for counts, uf1, uar in (((250, 109, 83), "0.7209", "0.7250"), ((70, 51, 43), "0.6871", "0.6876"), ((92, 26, 15), "0.5993", "0.6145")):
        assert judge(counts, printed(uf1), printed(uar)).possible
    uars = [f"0.{value:04d}" for value in range(8250, 8360)]
    possible = [judge((88, 32, 25), printed("0.8304"), printed(uar)).possible for uar in uars]
    assert possible[uars.index("0.8304")]
    assert not all(possible)


def test_too_many_ways_are_not_called_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasible, "FEW", 40)
    monkeypatch.setattr(feasible, "MOST", 40)
    verdicts = [judge((20, 15, 10), printed(f"{value:.4f}"), printed("0.6111")) for value in np.linspace(0.2, 0.8, 13)]
    assert {verdict.possible for verdict in verdicts} <= {True, None}
    assert all(verdict.uf1 is None or verdict.possible is None for verdict in verdicts)


def test_counts_beyond_all_bounds_are_answered_soon() -> None:
    for counts in ((999,) * 7, (10**9, 10**9, 10**9)):
        assert judge(counts, uar=printed("0.5123"), accuracy=printed("0.9123")).possible is not True
    assert judge((999,) * 7, printed("0.9990"), printed("0.5123")).possible is None


def test_seven_classes_are_judged_too() -> None:
    verdict = judge((55, 187, 250, 64, 86, 57, 161), printed("0.5123"), printed("0.4712"), printed("51.2%"))
    assert verdict.possible
    assert verdict.matrix is not None
    assert scores.uf1(verdict.matrix) == pytest.approx(0.5123, abs=5.1e-5)
    assert scores.uar(verdict.matrix) == pytest.approx(0.4712, abs=5.1e-5)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0.8603", 0.86025, 0.86035),
        (".86", 0.855, 0.865),
        ("86.03%", 0.86025, 0.86035),
        ("86 %", 0.855, 0.865),
        ("0.20", 0.195, 0.205),
        ("1.000", 0.9995, 1.0005),
    ],
)
def test_a_score_is_as_wide_as_its_last_place(text: str, low: float, high: float) -> None:
    score = printed(text)
    assert (score.low, score.high) == pytest.approx((low, high), abs=1e-11)
    cut = printed(text, cut=True)
    assert (cut.low, cut.high) == pytest.approx(((low + high) / 2, high + (high - low) / 2), abs=1e-11)


@pytest.mark.parametrize("text", ["", "x", "86.03", "1.2", "101%", "-0.5", "nan", "1e-3", "0,86", "\u0660.5", "0.86 03", "0." + "1" * 400])
def test_what_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no score as papers print it|more than 1"):
        printed(text)


def test_both_ends_of_rounding_are_allowed() -> None:
    """Half of 16 clips is 0.5; 0.03125 is printed as 0.0312 by some and 0.0313 by others: neither is impossible."""
    for text in ("0.0312", "0.0313"):
        assert judge((32, 32), accuracy=printed(text), uar=printed(text)).possible
    assert isinstance(printed("0.5"), Printed)
