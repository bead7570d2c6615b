"""Files of predictions that are no such thing, or mean harm: one message, exit code 2, nothing executed, within seconds."""

from __future__ import annotations

import os
import pickle
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merbench.board.foreign import files, literal, predictions
from merbench.errors import UserError
from tests.board.foreign import blocks, content, rows, table, under_headers
from tests.conftest import Cli
from tests.hostile import refused

CALL = "__import__('os').mkdir('broken-in')"
HEAD = "subject,truth,pred\n"

CASES: dict[str, tuple[str | bytes, str, str]] = {
    "empty": ("", "it is empty", "CSV"),
    "blank": (" \n\t\n", "it is empty", "CSV"),
    "noughts": (b"\0" * 1000, "it is no text", "CSV"),
    "half of UTF-16": (b"\xff\xfes", "no form is recognised", "CSV"),
    "random bytes": (np.random.default_rng(0).bytes(5000), "it is no text", "CSV"),
    "a pickle": (pickle.dumps({"s01": {"pred": [0], "truth": [0]}}), "a pickle", "run code"),
    "a workbook": (b"PK\x03\x04" + bytes(100), "a zip archive", "write arrays and tensors as CSV"),
    "a tensor file": (b"\x93NUMPY\x01", "a numpy array", "CSV"),
    "a parquet of noise": (b"PAR1" + np.random.default_rng(1).bytes(500) + b"PAR1", "cannot be read", "CSV"),
    "a parquet that says it is large": (b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1", "cannot be read", "CSV"),
    "deep JSON": ("[" * 200_000, "too deep", "CSV"),
    "deep tables": ('{"a":' * 200_000, "too deep", "CSV"),
    "a deep printed list": ("{'s01': {'pred': " + "[" * 200_000, "more than 8 levels", "CSV"),
    "deep tensors in a log": (
        "Subject: s01\nPredicted: " + "tensor(" * 50_000 + "\nGround Truth: [0]",
        "more than 8 levels",
        "CSV",
    ),
    "a long number": (f'[{{"subject": "s01", "truth": {"9" * 6000}, "pred": 0}}]', "a number has 6,000 digits", "CSV"),
    "a long printed number": (f"{{'s01': {{'pred': [{'9' * 6000}], 'truth': [0]}}}}", "6000 digits", "CSV"),
    "a class of a million": (HEAD + "s01,1000000,0\n", "'1000000' is neither", "docs/score.md"),
    "NaN": ('[{"subject": "s01", "truth": NaN, "pred": 0}]', "row 1: the true class is nan", "docs/score.md"),
    "infinity": ('[{"subject": "s01", "truth": 1e999, "pred": 0}]', "row 1: the true class is inf", "docs/score.md"),
    "a call": (CALL, "no form is recognised", "CSV"),
    "a call in a dictionary": (f"{{'s01': {{'pred': [{CALL}], 'truth': [0]}}}}", "is no number, word, list or dictionary", "CSV"),
    "a call in a log": (f"Subject: s01\nPredicted: [{CALL}]\nGround Truth: [0]\n", "is no number, word, list", "CSV"),
    "an attribute": ("{'s01': {'pred': [().__class__], 'truth': [0]}}", "not closed", "CSV"),
    "a call for a subject": (HEAD + f"\"{CALL}\",0,1\n", "may be a subject of any database", "--database NAME"),
    "a formula for a subject": (HEAD + "=cmd|' /C calc'!A0,0,1\n", "may be a subject of any database", "--database NAME"),
    "a formula for a class": (HEAD + "s01,=1+1,1\n", "'=1+1' is neither", "docs/score.md"),
    "a path for a subject": (HEAD + "../../etc,0,1\n", "may be a subject", "--database NAME"),
    "a path for a subject of a database": ("database,subject,truth,pred\nmine,../../etc,0,1\n", "is no name", "--database NAME"),
    "signs that move the cursor": (HEAD + "\x1b[31ms01\x1b[2J,0,1\n", "s01\\x1b[2J", "--database NAME"),
    "signs that turn the line": ('[{"subject": "\\u202es01", "truth": 0, "pred": 1}]', "\\u202es01", "--database NAME"),
    "digits of another script": (HEAD + "s01,\uff10,0\n", "is neither a name nor a number", "docs/score.md"),
    "an open quote": (HEAD + '"' + "a" * 500_000, "field limit", "CSV"),
    "too many columns of classes": (f"subject,truth,{','.join(f'p_{n}' for n in range(900))}\n", "900 columns", "CSV"),
    "too many classes": (HEAD + "".join(f"s01,class {chr(97 + n % 26)}{chr(97 + n // 26)},x\n" for n in range(60)), "61 classes", "docs/score.md"),
    "too many clips": (HEAD + "s01,0,1\n" * 10_001, "10,001 rows and no column 'epoch'", "docs/score.md"),
    "too many lines": (HEAD + "\n" * 2_000_300, "more than 2,000,000 rows", "CSV"),
    "too many subjects": ("database,subject,truth,pred\n" + "".join(f"mine,p{n},0,1\n" for n in range(1001)), "1,001 subjects", "docs/score.md"),
    "header only": (HEAD, "it has 0 rows", "docs/score.md"),
    "a number": ("5", "no form is recognised", "CSV"),
    "a list": ("[1, 2]", "not of records", "CSV"),
    "no subject": ("truth,pred\n0,1\n", "no column names subjects", "column 'subject'"),
    "no truth": ("subject,pred\ns01,1\n", "its header names no column of true classes", "CSV"),
    "true and false": ('[{"subject": "s01", "truth": true, "pred": 0}]', "true or false", "CSV"),
    "blanks without end": ("{" + " " * 300_000 + "'s01': {", "neither JSON", "CSV"),
    "keys without end": ("{ 'a" * 50_000, "neither JSON", "CSV"),
    "a line without end": ("subject, epoch\n" + "x" * 200_000, "no form is recognised", "CSV"),
    "headings without end": ("subject " * 50_000 + "pred " * 50_000, "no form is recognised", "CSV"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_one_message(case: str, here: Path, cli: Cli) -> None:
    text, reason, remedy = CASES[case]
    Path("predictions").write_bytes(content(text))
    refused(cli("score", "predictions"), file="predictions", place=reason, remedy=remedy)
    assert [path.name for path in here.iterdir()] == ["predictions"], "nothing was executed"


@pytest.mark.parametrize("kind", ["absent", "folder", "fifo", "longer"])
def test_what_is_no_file_is_refused(kind: str, here: Path, cli: Cli) -> None:
    path = here / "predictions"
    if kind == "folder":
        path.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "longer":
        with path.open("wb") as file:
            file.truncate(files.LARGEST + 1)
    place = {"folder": "none of a run", "fifo": "no file but", "longer": "longer than", "absent": "No such file"}[kind]
    refused(cli("score", str(path)), file=path, place=place, remedy="")


def test_a_packed_word_that_many_rows_share_is_one_in_memory() -> None:
    """Five hundred rows of one word of three million signs took four gigabytes."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 9000, pa.int32()), ["s01" * 100_000])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"subject": words, "truth": [0] * 9000, "pred": [1] * 9000}), sink, compression="zstd")
    packed = sink.getvalue().to_pybytes()
    assert len(packed) < 100_000
    assert len({id(cell) for cell in files.columns(packed).cells["subject"]}) == 1


def test_one_long_name_does_not_widen_all_rows() -> None:
    """Numpy keeps words in cells as wide as the longest: of two million rows that was more than a gigabyte."""
    peaks = []
    for name in ("short", "short", "x" * 190):  # the first fills what is remembered
        lines = [f"s{n % 20 + 1},{name if n % 100 == 0 else f'c{n % 100}'},{n // 100},0,1" for n in range(4000)]
        content_of = ("subject,clip,epoch,truth,pred\n" + "\n".join(lines)).encode()
        tracemalloc.start()
        predictions.understand(files.columns(content_of), "file")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 2**19, "in cells of four bytes a sign it was 2.8 MiB"


def test_columns_of_no_words_or_numbers_are_refused() -> None:
    for column in ([b"s01"], [[0]], [True], [None]):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"subject": column, "truth": [0], "pred": [1]}), sink)
        with pytest.raises((ValueError, UserError), match=r"neither words nor numbers|is empty"):
            predictions.understand(files.columns(sink.getvalue().to_pybytes()), "file")


PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ",",
        ":",
        "'s01'",
        "'pred'",
        "'truth'",
        "0",
        "1.",
        "tensor(",
        "np.int64(",
        "dtype=torch.int64",
        "...",
        " ",
        "\n",
        "x",
        "'",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_the_grammar_reads_or_refuses(pieces: list[str]) -> None:
    try:
        value, end = literal.parse("".join(pieces))
    except ValueError:
        return
    assert 0 < end <= len("".join(pieces))
    assert isinstance(value, str | int | float | list | dict)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), cut=st.floats(0, 1), put=st.sampled_from(["", "\0", "[", "'", "{", ",", "\n", "\udc80", "9" * 30, "nan"]))
def test_a_spoilt_file_is_read_or_refused(seed: int, cut: float, put: str) -> None:
    """A byte lost, a piece put in: no exception but the one that becomes a message."""
    written = rows(seed, 0.1)
    for text in (blocks(written), under_headers(written), str(table(written))):
        place = int(cut * len(text))
        for spoilt in (text[:place] + put + text[place + 1 :], text[:place]):
            try:
                predictions.understand(files.columns(spoilt.encode(errors="surrogateescape")), "file")
            except (ValueError, UserError):
                continue


def test_standard_input_has_the_same_limits(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 1000)
    read, write = os.pipe()
    feed = threading.Thread(target=lambda: (os.write(write, b"x" * 2000), os.close(write)))
    feed.start()
    with os.fdopen(read, "r") as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        refused(cli("score", "-"), file="standard input", place="longer than 1,000 bytes", remedy="CSV")
    feed.join()
