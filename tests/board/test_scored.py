"""What is said of predictions: the golden log, a run of merbench's own, claims against scikit-learn, and the paired test."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from merbench.board import archive, claims, compare, rows, scored, scored_text
from merbench.board.foreign.predictions import Predictions
from merbench.board.foreign.runs import of_run
from merbench.errors import UserError
from merbench.results import Run
from tests.board import foreign, test_rows
from tests.board.foreign import Row, delimited, read
from tests.board.test_rows import make_run
from tests.test_scores import MATRIX, PARTS


def golden() -> str:
    """Return the public STSTNet port's log as its authors publish it."""
    lines = []
    with (Path(__file__).parents[1] / "golden" / "ststnet_port.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            lines += [f"{row['subject'].split('/')[1]},{row['truth']},{row['predicted']}"] * int(row["clips"])
    return "\n".join(["subject,y_true,y_pred", *lines])


@pytest.fixture(scope="module")
def said() -> scored.Scored:
    """What is said of the golden log, with its scores claimed and one that is its macro precision."""
    found = read(golden())
    precision = precision_score(found.tables[0].truth, found.tables[0].predicted[-1], average="macro")
    return scored.scored(found, {"UF1": "0.7209", "UAR": f"{precision:.4f}"})


def is_golden(said: scored.Scored) -> None:
    last = said.readings["last"]
    assert last.confusion == MATRIX
    assert (last.uf1, last.uar) == pytest.approx((0.7209, 0.7250), abs=5e-5)
    for database, (_, uf1, uar) in PARTS.items():
        assert last.parts[database][:2] == pytest.approx((uf1, uar), abs=5e-5)
    assert (said.clips, said.subjects, said.databases) == (442, 68, {"smic": 164, "casme2": 145, "samm": 133})


def test_the_golden_log(said: scored.Scored) -> None:
    is_golden(said)
    assert said.readings["last"].uf1_interval == pytest.approx((0.659, 0.775), abs=0.004)
    assert {name: round(value, 3) for name, value in said.averages.items()} == {
        "pooled": 0.721,
        "mean over databases": 0.706,
        "mean over subjects, absent class 1": 0.667,
        "mean over subjects, present classes": 0.618,
        "mean over subjects, absent class 0": 0.422,
    }
    assert [one.holds for one in said.claims] == [True, False]
    assert [said.chance[name].uf1 for name in said.chance] == pytest.approx([0.339, 0.587, 0.711, 0.829], abs=0.015), "traps.md, section 1"
    text = scored_text.text(said, "log.csv")
    for part in ("0.7209  0.659 to 0.77", "195        39        16", "UF1 0.7209 (as claimed): it is pooled UF1", "no clip is named"):
        assert part in text


def test_the_golden_log_as_it_is_published(reference: Path) -> None:
    is_golden(scored.scored(read((reference / "ststnet_python_log.csv").read_bytes())))


def test_of_a_run_it_says_what_its_row_says(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    row, said = rows.row_of(run), scored.scored(of_run(run))
    assert said.readings == row.readings
    assert said.averages == row.averages
    assert (said.clips, said.subjects, said.seeds) == (row.clips, row.subjects, len(row.seeds))
    assert said.epochs == (1, 2, 3, 4)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of ten people who are nobody in MEGC2019, two seeds of four epochs."""
    monkeypatch.setattr(test_rows, "SUBJECTS", tuple(f"{name}{number}" for name in ("casme2/sub", "smic/s") for number in range(41, 46)))
    return make_run(tmp_path, seeds=2)


def as_csv(
    run: Run, names: tuple[str, ...] = ("seed", "epoch", "subject", "clip", "label", "p_negative", "p_positive", "p_surprise")
) -> str:
    """Return a run's fold files as somebody's table."""
    lines = [",".join(names)]
    for fold in run.results(sorted(run.finished())):
        for epoch, probabilities in zip(fold.epochs, fold.probabilities, strict=True):
            for clip, label, values in zip(fold.clips, fold.labels, probabilities, strict=True):
                cells = dict(
                    zip(("seed", "epoch", "subject", "clip", "label"), (fold.seed, epoch, fold.held_out, clip, label), strict=True)
                )
                cells |= dict(zip(("p_negative", "p_positive", "p_surprise"), values, strict=True)) | {"pred": values.argmax()}
                lines.append(",".join(str(cells[name]) for name in names))
    return "\n".join(lines)


def test_predictions_by_epoch_and_seed_have_every_reading(run: Run) -> None:
    said, row = scored.scored(read(as_csv(run))), rows.row_of(run)
    assert said.readings == row.readings
    assert set(said.readings) == {"last", "oracle-subject", "oracle-epoch"}
    assert "oracle" in scored_text.text(said, "x")
    unnamed = scored.scored(read(as_csv(run, ("seed", "epoch", "subject", "label", "pred"))))
    for name, reading in row.readings.items():
        if name != "last":  # ties between guesses are drawn by row
            assert unnamed.readings[name].confusion == reading.confusion
    assert unnamed.readings["last"].confusion == row.readings["last"].confusion


def test_a_fold_file_is_read_as_it_is(run: Run) -> None:
    fold = run.results(["smic--s42--s1"])[0]
    found = read(run.fold_path("smic--s42--s1").read_bytes())
    assert found.classes == fold.classes
    assert found.tables[0].clips.tolist() == sorted(fold.clips)
    assert found.tables[0].predicted.shape == (4, 6)


def test_an_archive_is_read_as_the_run(run: Run) -> None:
    said = scored.scored(read(archive.pack(run)))
    row = rows.row_of(run)
    assert said.readings["last"] == row.readings["last"], "chance too, though one epoch is kept of many"
    assert said.seeds == len(row.seeds)


@pytest.mark.parametrize("seed", range(3))
def test_quantities_against_scikit_learn(seed: int) -> None:
    written = foreign.rows(seed)
    found = read(delimited(written))
    truth, predicted = [row.truth for row in written], [row.predicted for row in written]
    known = claims.quantities(found.tables, found.tables[0].predicted[-1:], 3)
    assert known["pooled UF1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert known["pooled UAR"] == pytest.approx(recall_score(truth, predicted, average="macro"))
    assert known["macro precision"] == pytest.approx(precision_score(truth, predicted, average="macro"))
    assert known["weighted F1"] == pytest.approx(f1_score(truth, predicted, average="weighted"))
    assert known["weighted precision"] == pytest.approx(precision_score(truth, predicted, average="weighted"))
    assert known["accuracy (WAR, micro F1)"] == pytest.approx(f1_score(truth, predicted, average="micro"))
    by: dict[str, list[Row]] = {}
    for row in written:
        by.setdefault(row.subject, []).append(row)
    present = [f1_score([row.truth for row in of], [row.predicted for row in of], average="macro") for of in by.values()]
    assert known["mean over subjects of UF1, present classes"] == pytest.approx(np.mean(present)), "scikit-learn's default"
    databases = {database: [row for row in written if row.subject.startswith(f"{database}/")] for database in ("smic", "casme2", "samm")}
    for name, of in databases.items():
        expected = recall_score([row.truth for row in of], [row.predicted for row in of], average="macro")
        assert known[f"UAR of {name} alone"] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(value=st.floats(0, 1), places=st.integers(2, 6), percent=st.booleans(), cut=st.booleans())
def test_a_printed_score_is_found_rounded_or_cut_off(value: float, places: int, percent: bool, cut: bool) -> None:
    kept = math.floor(value * 10**places + 1e-9) / 10**places if cut else value
    printed = f"{100 * kept:.{places - 2}f}%" if percent else f"{kept:.{places}f}"
    known = {"pooled UF1": value, "pooled UAR": 2.0, "other": value + 10.0**-places * 2}
    one = claims.claim("UF1", printed, "somebody", known)
    assert one.equals[:1] == ("pooled UF1",)
    assert "other" not in one.equals
    assert one.value == pytest.approx(value, abs=1.01 * 10.0**-places)


def test_precision_called_recall(said: scored.Scored) -> None:
    """STSTNet's printed UAR is macro precision (traps.md, section 4)."""
    assert said.claims[1].equals == ("macro precision",)
    assert any("is not the pooled UAR" in warning and "it is macro precision" in warning for warning in said.warnings)
    nothing = claims.claim("UF1", "0.9876", "as claimed", dict(said.quantities))
    assert nothing.equals == ()
    assert not nothing.holds
    assert nothing.nearest[1] == max(value for value in said.quantities.values())


@pytest.mark.parametrize("printed", ["", "x", "-0.1", "101", "nan", "1e-3", "0.7,5", "9" * 400, "\u0660.5"])
def test_what_is_no_score_is_no_claim(printed: str) -> None:
    with pytest.raises(ValueError, match=r"is no score|more than 100"):
        claims.parse(printed)


def test_a_score_that_the_log_states_is_looked_at_and_best_epochs_are_warned_of() -> None:
    for stated, words in (
        (0.123456789012345, "UF1 0.123456789012345 (stated in the file) is not"),
        (12345.5, "the file states a UF1, but '12345.5' is no score"),
    ):
        found = read(json.dumps({"uf1": stated, "predictions": foreign.records(foreign.rows(3, 0.05))}))
        assert any(words in warning for warning in scored.scored(found).warnings)
    text = foreign.blocks(foreign.rows(3), best=True) + "best UF1: 0.9999 | best UAR: 0.1111"
    said = scored.scored(read(text))
    assert {one.source for one in said.claims} == {"stated in the file"}
    assert sum("stated in the file" in warning for warning in said.warnings) == 2
    assert any("chosen that is best on that subject's own test clips" in warning for warning in said.warnings)
    assert "best epochs, as the log says" in scored_text.text(said, "x")


def last_of(run: Run) -> Predictions:
    """Return the last epoch of every seed of a run as somebody's predictions, without the names that merbench gave."""
    found = of_run(run)
    return dataclasses.replace(
        found, tables=tuple(dataclasses.replace(each, predicted=each.predicted[-1:]) for each in found.tables), epochs=()
    )


def test_the_paired_test_is_that_of_two_runs(run: Run, tmp_path: Path) -> None:
    other = make_run(tmp_path, "other", quality=0.9)
    pair = compare.paired(other, run)
    against = scored.versus(last_of(other), run)
    assert against.tests == pair.tests
    assert against.means == pair.means
    assert (against.paired_by, against.seeds) == ("clip", 2)
    assert scored.versus(last_of(run), other).means["UF1"] == pair.means["UF1"][::-1], "all seeds of the file too"


def test_without_clips_the_test_is_by_subject_and_the_same(run: Run, tmp_path: Path) -> None:
    other = make_run(tmp_path, "other", quality=0.9)
    text = as_csv(other, ("subject", "epoch", "label", "pred"))
    found = read("\n".join(line for line in text.splitlines() if ",4," in line or line.startswith("subject")))
    assert not found.named
    against = scored.versus(dataclasses.replace(found, classes=test_rows.CLASSES), run)
    assert against.paired_by == "subject"
    assert against.tests == compare.paired(other, run).tests


def test_classes_in_another_order_are_paired_by_name(run: Run) -> None:
    found = last_of(run)
    moved = [dataclasses.replace(each, truth=(each.truth + 1) % 3, predicted=(each.predicted + 1) % 3) for each in found.tables]
    turned = dataclasses.replace(found, tables=tuple(moved), classes=("surprise", "negative", "positive"))
    test = scored.versus(turned, run).tests["UF1"]
    assert (abs(test.difference) < 1e-12, test.p) == (True, 1)


def test_other_clips_cannot_be_paired(run: Run) -> None:
    found = last_of(run)
    first = found.tables[0]

    def changed(**columns: object) -> Predictions:
        return dataclasses.replace(found, tables=(dataclasses.replace(first, **columns),))  # type: ignore[arg-type]

    clips = np.array([f"{first.clips[0]}x", *first.clips[1:]])
    truth = first.truth.copy()
    truth[0] = (truth[0] + 1) % 3
    for other, reason in (
        (changed(clips=clips), "1 clip is in the file only: casme2/sub41/c0x; 1 clip is in the run only: casme2/sub41/c0"),
        (changed(truth=truth), "1 clip has another true class: casme2/sub41/c0"),
        (dataclasses.replace(changed(truth=truth), named=False), "other numbers of clips or classes of casme2/sub41"),
        (dataclasses.replace(found, classes=("a", "b", "c")), "its classes are negative, positive, surprise"),
    ):
        with pytest.raises(UserError, match="cannot be paired") as caught:
            scored.versus(other, run)
        assert reason in caught.value.what


def test_everything_is_json(said: scored.Scored) -> None:
    whole = json.loads(json.dumps(scored.as_json(said), allow_nan=False))
    assert whole["readings"]["last"]["confusion"] == MATRIX
    assert whole["claims"][0]["nearest"][0]
    few = scored.scored(read("subject,clip,truth,pred\ns01,s01_ne_01,0,0\ns01,s01_ne_02,0,0\n"))
    assert any("no clip has the true class positive, surprise" in warning for warning in few.warnings)
    assert any("1 subject:" in warning for warning in few.warnings)
    assert json.loads(json.dumps(scored.as_json(few), allow_nan=False))["readings"]["last"]["uf1"] is None
    assert "0.0000" not in scored_text.text(few, "x").splitlines()[4], "what has no value is no zero"


def test_a_misspelled_class_is_asked_about() -> None:
    lines = ["subject,clip,truth,pred", *(f"s01,s01_ne_0{n},{name},{name}" for n, name in enumerate(("negative", "positive", "surprise")))]
    odd = scored.scored(read("\n".join([*lines, "s01,s01_ne_04,negative,suprise"])))
    assert "is the class suprise a misspelled surprise? classes are told apart by their names" in odd.warnings
    assert not any("misspelled" in warning for warning in scored.scored(read("\n".join(lines))).warnings)


def test_the_oracle_is_explained_only_where_one_is_shown(said: scored.Scored) -> None:
    last = said.readings["last"]
    explained = "oracle: the epoch was chosen"
    assert explained not in scored_text.text(dataclasses.replace(said, readings={"last": last, "inner": last}), "x")
    assert explained in scored_text.text(dataclasses.replace(said, readings={"last": last, "oracle-epoch": last}), "x")
