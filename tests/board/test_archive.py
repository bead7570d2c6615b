"""A run in one file: what is in it is what the run scored, and whoever changes it is found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score, recall_score

from merbench.board import archive, rows
from merbench.errors import UserError
from tests.board.test_rows import CLASSES, make_run, pooled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    run = make_run(tmp_path / "runs", seeds=2)
    archive.save(run, tmp_path / "deep" / "one.parquet")
    return tmp_path / "deep" / "one.parquet"


def test_its_columns_alone_give_the_scores_of_the_row(tmp_path: Path, path: Path) -> None:
    run = make_run(tmp_path / "runs", seeds=2)
    last = rows.row_of(run).readings["last"]
    table = pq.read_table(path)
    predicted = np.stack([table[f"p_{name}"].to_numpy() for name in CLASSES], axis=-1).argmax(-1)
    truth = np.array([CLASSES.index(name) for name in table["truth"].to_pylist()])
    f1, recall = [], []
    for seed in (0, 1):
        of = table["seed"].to_numpy() == seed
        f1.append(f1_score(truth[of], predicted[of], average="macro"))
        recall.append(recall_score(truth[of], predicted[of], average="macro"))
        assert sorted(predicted[of].tolist()) == sorted(pooled(run, seed)[1][-1].tolist()), "of the last epoch"
    assert np.mean(f1) == pytest.approx(last.uf1, abs=1e-12)
    kept = archive.read(path)
    assert kept.score() == pytest.approx((last.uf1, last.uar), abs=1e-12)
    assert kept.score() == pytest.approx((np.mean(f1), np.mean(recall)), abs=1e-12)
    assert (kept.seeds, len(kept.clips), kept.classes) == ((0, 1), 60, CLASSES)
    assert kept.row["readings"]["oracle-subject"]["uf1"] == rows.row_of(run).readings["oracle-subject"].uf1
    assert kept.request == (run.path / "request.yaml").read_text()


def test_it_is_the_same_file_each_time_and_says_nothing_of_the_machine(tmp_path: Path, path: Path) -> None:
    run = make_run(tmp_path / "elsewhere", seeds=2)
    assert archive.pack(run) == path.read_bytes()
    assert str(tmp_path).encode() not in path.read_bytes()


def test_an_unfinished_run_has_none(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.fold_path("smic--s2--s0").unlink()
    with pytest.raises(UserError, match="no seed of this run"):
        archive.save(run, tmp_path / "one.parquet")
    assert not (tmp_path / "one.parquet").exists()


def _rewritten(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path)


def test_a_changed_number_is_found(path: Path) -> None:
    table = pq.read_table(path)
    values = {name: table[name].to_pylist() for name in table.column_names}
    for column, first in (
        ("p_negative", 1.0 - values["p_negative"][0]),
        ("truth", "surprise" if values["truth"][0] != "surprise" else "positive"),
        ("clip", "casme2/s0/c9"),
    ):
        index = table.schema.get_field_index(column)
        changed = pa.array([first, *values[column][1:]], table.schema.field(column).type)
        _rewritten(path, table.set_column(index, table.schema.field(column), changed))
        with pytest.raises(UserError, match="changed after it was written"):
            archive.read(path)
    about = json.loads(table.schema.metadata[b"merbench-archive"])
    about["row"]["readings"]["last"]["uf1"] = 0.99
    _rewritten(path, table.replace_schema_metadata({"merbench-archive": json.dumps(about)}))
    with pytest.raises(UserError, match="says of itself was changed"):
        archive.read(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"seed,clip\n0,a\n", b"PAR1" + bytes(200) + b"PAR1"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(UserError, match="an archive cannot be read"):
        archive.read(tmp_path / "x.parquet")


def test_another_parquet_file_is_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="it lacks b'merbench-archive'"):
        archive.read(tmp_path / "x.parquet")


def resealed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what an archive says of itself, and seal it anew: anybody can."""
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"merbench-archive"])
    change(about)
    about["seal"] = archive._seal(about)
    _rewritten(path, table.replace_schema_metadata({"merbench-archive": json.dumps(about)}))


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no reading": lambda about: about["row"]["readings"].pop("last"),
    "a list of readings": lambda about: about["row"].update(readings=[]),
    "parts that are none": lambda about: about["row"]["readings"]["last"].update(parts=3),
    "a score in words": lambda about: about["row"]["readings"]["last"].update(uf1="high"),
    "an interval of three": lambda about: about["row"]["readings"]["last"].update(uf1_interval=[0, 1, 2]),
    "averages of lists": lambda about: about["row"].update(averages={"pooled": [1, 2]}),
    "no measures": lambda about: about["row"].pop("measures"),
    "a scheme that is a number": lambda about: about["row"].update(scheme=3),
    "another key": lambda about: about["row"].update(key="k9"),
    "a provenance with a path": lambda about: about["provenance"].update(host="here"),
    "fewer clips than its run has": lambda about: about["provenance"].update(clips=59),
    "folds that are numbers": lambda about: about["provenance"].update(folds=[1]),
    "a request that is none": lambda about: about.update(request="!!python/object:os.system {}"),
}


def test_what_is_sealed_anew_is_still_looked_at(path: Path) -> None:
    """`merbench check` would end with a traceback."""
    whole = path.read_bytes()
    resealed(path, lambda about: None)
    archive.read(path)
    for what, change in CHANGES.items():
        path.write_bytes(whole)
        resealed(path, change)
        with pytest.raises(UserError, match="an archive cannot be read"):
            pytest.fail(f"{what}: {archive.read(path)}"[:200])


def test_a_long_name_that_many_rows_repeat_is_not_unpacked(path: Path) -> None:
    """As a file it is small, and so are the sizes that it tells; as text it is a hundred gigabytes."""
    table, rows = pq.read_table(path), 100_000
    name = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 1_000_000]))
    columns = {
        each: name if each == "clip" else table[each].slice(0, 1).combine_chunks().take(pa.array(np.zeros(rows, np.int32)))
        for each in table.column_names
    }
    _rewritten(path, pa.table(columns).replace_schema_metadata(table.schema.metadata))
    assert path.stat().st_size < 2**20
    with pytest.raises(UserError, match="too long"):
        archive.read(path)
