"""Every form reads back to the matrix that it was written from, whatever the order of its rows."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench.board.foreign import files
from tests.board.foreign import (
    FORMS,
    Row,
    blocks,
    by_subject,
    content,
    delimited,
    matrix,
    probable,
    read,
    read_matrix,
    rows,
    table,
    under_headers,
)

NAMELESS = {name for name in FORMS if "dictionary" in name and "clips" not in name} | {name for name in FORMS if name.startswith("blocks")}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), keep=st.sampled_from((1.0, 0.3, 0.1)))
def test_a_form_reads_back(form: str, seed: int, keep: float) -> None:
    written = rows(seed, keep)
    if len({row.truth for row in written} | {row.predicted for row in written}) < 3:
        return
    found = read(FORMS[form](written))
    assert read_matrix(found) == matrix(written)
    assert found.named == (form not in NAMELESS)
    assert found.classes == ("negative", "positive", "surprise")
    assert {*found.tables[0].subjects.tolist()} == {row.subject for row in written}
    if found.named:
        assert {*found.tables[0].clips.tolist()} == {f"{row.subject}/{row.clip}" for row in written}
        assert bool(found.warnings) == (len(written) < 442)


@pytest.mark.parametrize("form", ["comma", "records", "clips, each under its header", "logits", "parquet"])
def test_shuffled_rows_change_nothing(form: str) -> None:
    written = rows(3)
    first = read(FORMS[form](written))
    mixed = written[:]
    random.Random(1).shuffle(mixed)
    second = read(FORMS[form](mixed))
    for one, two in zip(first.tables, second.tables, strict=True):
        assert (one.clips == two.clips).all()
        assert (one.truth == two.truth).all()
        if form != "logits":  # other numbers are drawn for another order
            assert (one.predicted == two.predicted).all()
    assert (first.notes, first.warnings) == (second.notes, second.warnings)


def test_predictions_are_of_their_clips() -> None:
    """Rows of a clip keep together: swapping the cells of a column is another file."""
    written = rows(5)
    found = read(delimited(written)).tables[0]
    told = dict(zip(found.clips.tolist(), found.predicted[-1].tolist(), strict=True))
    assert told == {f"{row.subject}/{row.clip}": row.predicted for row in written}


def test_scores_that_a_log_states_are_kept() -> None:
    text = blocks(rows(1)).replace("Final Evaluation: ", "UF1: 0.3333 | UAR: 0.4444")
    assert dict(read(text).stated) == {"uf1": "0.3333", "uar": "0.4444"}
    best = blocks(rows(1), best=True) + "UF1: 0.3 | UAR: 0.4\nbest UF1: 0.5 | best UAR: 0.6\n"
    found = read(best)
    assert found.best
    assert dict(found.stated) == {"uf1": "0.5", "uar": "0.6"}, "those of the predictions that are read"


def test_of_a_log_with_both_the_last_epoch_counts() -> None:
    written = rows(2)
    lines = []
    for line in blocks(written).splitlines():
        lines += [line, "Best Predicted    : " + line.split(":")[1].replace("1", "0")] if line.startswith("Predicted") else [line]
    found = read("\n".join(lines))
    assert read_matrix(found) == matrix(written)
    assert not found.best
    assert any("passed over" in note for note in found.notes)


def test_a_log_may_begin_with_a_bracket() -> None:
    written = rows(2)
    for above in ("['s01', 's02']\n", "[Epoch 1] Training accuracy: 0.5\n", "{'lr': 0.1}\n"):
        assert read_matrix(read(above + blocks(written))) == matrix(written)
        assert read_matrix(read(above + under_headers(written))) == matrix(written)


def test_colours_of_a_terminal_and_excels_line_are_passed_over() -> None:
    written = rows(2)
    coloured = "\n".join(f"\x1b[32m{line}\x1b[0m" for line in blocks(written).splitlines())
    assert read_matrix(read(coloured)) == matrix(written)
    assert read_matrix(read("sep=;\n" + delimited(written, ";"))) == matrix(written)


@pytest.mark.parametrize(
    "text",
    [
        "{'s01': {'pred': '" + "\\'" * 100_000,
        "{'s01': {'pred': [" + "1" * 30_000 + "a",
        "Subject: s01\nPredicted" + " " * 100_000 + "\nGround Truth : [0]",
        "Subject: s01\n" + "best " * 20_000 + "\nGround Truth : [0]",
        "{ '" * 30_000,
    ],
)
def test_no_text_takes_long_or_much(text: str) -> None:
    """A word was kept to be gone back into, a hundred bytes a character; digits were tried against one another."""
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"cut off|no number|no predicted|no form|neither JSON"):
        files.columns(content(text))
    assert time.process_time() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 30 * len(text)
    tracemalloc.stop()


def test_an_interrupted_log_tells_whom_it_lacks() -> None:
    written = rows(2)
    text = blocks(written)
    cut = text[: text.rindex("Ground Truth")]
    found = read(cut)
    last = [*by_subject(written)][-1]
    assert any("without predictions" in note and last in note for note in found.notes)
    assert any("1 of the 68 subjects of 3DB is missing" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (blocks(rows(1)) + blocks(rows(2)), "comes a second time"),
        (blocks(rows(1)).replace("Predicted    : [", "Predicted    : [1, ", 1), "true and .* predicted classes"),
        (blocks(rows(1)).replace("Predicted    : [", "Predicted    : [..., ", 1), "shortened"),
        (blocks(rows(1)).replace("Ground Truth : ", "Ground Truth : [] \nGround Truth : ", 1), "twice"),
        (f"{table(rows(1))}\n{table(rows(2))}", "something follows|two dictionaries"),
        (f"x\n{table(rows(1))}\n{table(rows(2))}", "two dictionaries"),
        (str(table(rows(1))).replace("'s02'", "'s01'", 1), "stands there twice"),
        (str(table(rows(1)))[:-30], "cut off|missing|not closed"),
        ('{"s01": {"pred": [0, 1], "truth": [0]}}', "other lengths"),
        ('{"s01": {"pred": [0], "truth": [0]}, "s01": {"pred": [1], "truth": [0]}}', "stands there twice"),
        ('{"s01": {"pred": [0], "truth": [0]}, "s02": 3}', "nor subjects with 'pred'"),
        ('[{"subject": "s01", "truth": 0, "pred": 1}, {"subject": "s01", "truth": 0}]', "record 2 has other keys"),
        ('[{"subject": "s01", "truth": 0, "pred": true}]', "true or false"),
        ("subject,truth,pred\ns01,0,1\ns01,0\n", "line 3 has 2 cells"),
        ("subject,truth,truth,pred\ns01,0,1,1\n", "two columns"),
        ("subject,truth,Truth,pred\ns01,0,1,1\n", "two columns"),
        ("Sub;Vid;Emotion;Guess\ns01;a;0;0\n", "its header names no column of predicted classes; 'Vid', 'Guess' are not known"),
        ("subject,video,mood\ns01,a,0\n", "its header names no column of true and none of predicted classes; 'mood' is not known"),
        ("subject,clip,p_no,p_yes\ns01,a,0.2,0.8\n", "its header names no column of true classes$"),
        ("# ours\nsubject,video,path,pred\ns01,a,b,0\n", "its header names no column of true classes$"),
        (',subject,"guess, ours"\n0,s01,1\n', "none of predicted classes; 'guess, ours' is not known"),
        ("subject,truth,pred," + ",".join(map(str, range(10_000))) + "\n", "its header has more than 1,000 columns"),
        ("Label, 3, epoch\nUF1 0.5\n", "no form is recognised; it begins 'Label, 3, epoch'"),
        ("s01,0,1\ns01,0,2\n", "no form is recognised; it begins 's01,0,1'"),
        ("[..........17] correctnum:3 . zongshu:5\n", "not which class"),
        ("\tSubject s01 has the accuracy:0.5000\n", "not which class"),
        ("smic s01\nUF1 0.5\n", "no line"),
        ("['s01', 's02']\n", "not of records"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        files.columns(content(text))


def test_an_empty_cell_is_no_class() -> None:
    for cell in ("", "nan", "-1", "1.5", "99999999", "=1+1", "__import__('os')", "0x1"):
        text = delimited([Row("smic/s01", "s01_ne_01", 0, 1)]).replace(",0,1", f",0,{cell}")
        with pytest.raises(Exception, match="row 1: the predicted class"):
            read(text)
    for cell in ("", "nan", "inf", "x", "1e999"):
        text = probable(rows(1), ("p_0", "p_1", "p_2"))
        head, first, rest = text.split("\n", 2)
        with pytest.raises(Exception, match="row 1: the probability of 1"):
            read("\n".join([head, ",".join([*first.split(",")[:4], cell, first.split(",")[5]]), rest]))
