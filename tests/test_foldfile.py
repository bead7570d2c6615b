from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from merbench import foldfile
from merbench.errors import UserError
from merbench.foldfile import FoldResult, read_fold, read_metadata, write, write_fold


@pytest.fixture
def result() -> FoldResult:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (4, 2)).astype(np.float32)
    return FoldResult(
        held_out="casme2/sub01",
        seed=2,
        clips=("casme2/sub01/EP02_01f", "casme2/sub01/EP19_05f"),
        labels=np.array([1, 0], dtype=np.int64),
        classes=("negative", "positive", "surprise"),
        epochs=np.array([1, 2, 3, 4], dtype=np.int32),
        probabilities=probabilities,
        curve={"train": {"total": [1.5, 0.25, 0.1, 0.05]}},
        weights="ab" * 32,
        environment={"torch": "2.15.0"},
    )


def test_a_fold_goes_round_to_the_bit(tmp_path: Path, result: FoldResult) -> None:
    write_fold(tmp_path / "fold.parquet", result)
    again = read_fold(tmp_path / "fold.parquet")
    assert again.name == result.name == "casme2--sub01--s2"
    assert again.probabilities.tobytes() == result.probabilities.tobytes()
    for field in dataclasses.fields(FoldResult):
        assert np.array_equal(getattr(again, field.name), getattr(result, field.name)), field.name


def test_what_inner_trainings_said_goes_round_and_is_not_there_without_them(tmp_path: Path, result: FoldResult) -> None:
    """Where there are none the bytes are those of the format before them: finished runs stay finished."""
    counts = np.random.default_rng(1).multinomial(9, np.ones(3) / 3, (4, 3)).astype(np.int64)
    path = tmp_path / "fold.parquet"
    write_fold(path, dataclasses.replace(result, inner=counts))
    again, about = read_fold(path), read_metadata(path)
    assert again.inner is not None
    assert (again.inner.tolist(), str(again.inner.dtype), about["format"]) == (counts.tolist(), "int64", 3)
    assert again.probabilities.tobytes() == result.probabilities.tobytes()
    write_fold(path, result)
    about = read_metadata(path)
    assert (about["format"], "inner" in about, read_fold(path).inner) == (2, False, None)


INNER = [
    [[5, 0, 0], [1, 6, 0], [0, 0, 9]],
    [[4, 1, 0], [2, 5, 0], [0, 0, 9]],
    [[5, 0, 0], [1, 6, 0], [0, 0, 9]],
    [[5, 0, 0], [0, 0, 7], [0, 0, 9]],
]
"""What inner trainings may have said in four epochs."""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": 3}, "its keys are"),
        ({"inner": INNER}, "its keys are"),
        ({"format": 4, "inner": INNER}, "its format is 4, this version reads 2 and 3"),
        ({"format": 3, "inner": [[["1"] * 3] * 3] * 4}, "'inner' is not what"),
        ({"format": 3, "inner": [[[1.0] * 3] * 3] * 4}, "'inner' is not what"),
        ({"format": 3, "inner": None}, "'inner' is not what"),
        ({"format": 3, "inner": []}, "one confusion matrix an epoch"),
        ({"format": 3, "inner": INNER[:3]}, "one confusion matrix an epoch"),
        ({"format": 3, "inner": [[[1, 2], [3, 4]]] * 4}, "one confusion matrix an epoch"),
        ({"format": 3, "inner": [*INNER[:3], [[5, 0, 0], [7, 0], [0, 0, 9]]]}, "one confusion matrix an epoch"),
        ({"format": 3, "inner": [*INNER[:3], [[6, -1, 0], [1, 6, 0], [0, 0, 9]]]}, "other clips"),
        ({"format": 3, "inner": [*INNER[:3], [[4, 0, 0], [2, 6, 0], [0, 0, 9]]]}, "other clips"),
        ({"format": 3, "inner": [[[0] * 3] * 3] * 4}, "other clips in other epochs, or none"),
        ({"format": 3, "inner": [[[2**62, 0, 0], [0] * 3, [0] * 3]] * 4}, "other clips in other epochs, or none"),
    ],
)
def test_what_inner_trainings_cannot_have_said_is_refused(tmp_path: Path, result: FoldResult, changes: dict[str, Any], told: str) -> None:
    """Sealed as merbench does it: only what cannot be true finds it."""
    path = tmp_path / "fold.parquet"
    for change, fault in (({"format": 3, "inner": INNER}, ""), (changes, told)):
        write_fold(path, result)
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[b"merbench"]) | change
        about["seal"] = foldfile._seal(about)
        pq.write_table(table.replace_schema_metadata({"merbench": json.dumps(about)}), path, compression="none")
        if not fault:
            assert np.array_equal(read_fold(path).inner, INNER)  # type: ignore[arg-type]
            continue
        with pytest.raises(UserError, match=fault):
            read_fold(path)


def test_an_edited_choice_is_found(tmp_path: Path, result: FoldResult) -> None:
    path = tmp_path / "fold.parquet"
    write_fold(path, dataclasses.replace(result, inner=np.array(INNER)))
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"merbench"]) | {"inner": INNER[::-1]}
    pq.write_table(table.replace_schema_metadata({"merbench": json.dumps(about)}), path, compression="none")
    with pytest.raises(UserError, match="what it says of itself was changed"):
        read_fold(path)


def test_anybody_can_read_it(tmp_path: Path, result: FoldResult) -> None:
    write_fold(tmp_path / "fold.parquet", result)
    table = pq.read_table(tmp_path / "fold.parquet")
    assert table.column_names == ["clip", "epoch", "label", "p_negative", "p_positive", "p_surprise"]
    row = table.slice(3, 1).to_pylist()[0]
    assert (row["clip"], row["epoch"], row["label"]) == ("casme2/sub01/EP19_05f", 2, 0)
    assert row["p_surprise"] == pytest.approx(result.probabilities[1, 1, 2])


def test_the_same_result_is_the_same_bytes(tmp_path: Path, result: FoldResult) -> None:
    for name in ("a", "b"):
        write_fold(tmp_path / name, result)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_what_is_no_fold_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fold.parquet"
    path.write_bytes(content)
    for act in (read_fold, read_metadata):
        with pytest.raises(UserError, match="a fold file cannot be read") as caught:
            act(path)
        assert caught.value.where == str(path)
        assert "delete it" in caught.value.remedy


def test_a_foreign_table_is_no_fold_file(tmp_path: Path, result: FoldResult) -> None:
    path = tmp_path / "fold.parquet"
    write_fold(path, result)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    with pytest.raises(UserError, match="cannot be read"):
        read_fold(path)
    write_fold(path, result)
    table = pq.read_table(path)
    pq.write_table(table.take(list(reversed(range(8)))), path, compression="none")
    with pytest.raises(UserError, match="not ordered"):
        read_fold(path)
