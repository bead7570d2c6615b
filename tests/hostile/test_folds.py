"""Fold files: damaged, edited, or of somewhere else."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from merbench import foldfile
from merbench.errors import UserError
from merbench.foldfile import FoldResult, read_fold, write_fold
from tests.conftest import Cli
from tests.hostile import refused
from tests.hostile.conftest import Runs

NAME = "smic--s2--s0"
Spoil = Callable[[Path], object]


def table(change: Callable[[pa.Table], pa.Table], **how: Any) -> Spoil:
    """Change columns as any program can; the seal is left as it is."""

    def spoil(path: Path) -> None:
        pq.write_table(change(pq.read_table(path)), path, **{"compression": "none", **how})

    return spoil


def column(name: str, values: Callable[[np.ndarray], Any], kind: Any = None) -> Spoil:
    def change(read: pa.Table) -> pa.Table:
        made = values(read[name].to_numpy().copy())
        return read.set_column(read.column_names.index(name), name, pa.array(made, kind or read.schema.field(name).type))

    return table(change)


def put(row: int, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[row] = value
        return values

    return change


def metadata(change: Callable[[dict[str, Any]], object], reseal: bool = False) -> Spoil:
    def spoil(path: Path) -> None:
        read = pq.read_table(path)
        about = json.loads(read.schema.metadata[b"merbench"])
        change(about)
        if reseal:
            about["seal"] = foldfile._seal(about)
        pq.write_table(read.replace_schema_metadata({"merbench": json.dumps(about)}), path, compression="none")

    return spoil


def resealed(**changes: Any) -> Spoil:
    """Write the fold as merbench does, with other content: only what cannot be true finds it."""
    return lambda path: write_fold(path, dataclasses.replace(read_fold(path), **changes))


def of(change: Callable[[FoldResult], FoldResult]) -> Spoil:
    return lambda path: write_fold(path, change(read_fold(path)))


def of_another_run(path: Path) -> None:
    shutil.copy(next(path.parents[3].glob(f"other/*/folds/{NAME}.parquet")), path)


def of_another_subject(path: Path) -> None:
    shutil.copy(path.with_name("smic--s3--s0.parquet"), path)


def better(result: FoldResult) -> FoldResult:
    """Every prediction right."""
    return dataclasses.replace(result, probabilities=np.broadcast_to(np.eye(3, dtype=np.float32)[result.labels], (2, 6, 3)))


COLUMNS, META = "in its columns was changed", "what it says of itself was changed"
CASES: dict[str, tuple[Spoil, str]] = {
    "a flipped probability": (
        table(lambda t: t.set_column(3, "p_negative", t["p_positive"]).set_column(4, "p_positive", t["p_negative"])),
        COLUMNS,
    ),
    "an edited label": (column("label", lambda v: (v + 1) % 3), COLUMNS),
    "a label of one epoch": (column("label", put(0, 2)), "not ordered"),
    "another clip's name": (
        table(lambda t: t.set_column(0, "clip", pa.array([str(c).replace("c0", "c9") for c in t["clip"].to_pylist()]))),
        COLUMNS,
    ),
    "a row dropped": (table(lambda t: t.slice(1)), "not ordered"),
    "a clip dropped": (table(lambda t: t.filter(pa.array(["c0" not in c for c in t["clip"].to_pylist()]))), COLUMNS),
    "an epoch dropped": (table(lambda t: t.slice(6)), COLUMNS),
    "rows in another order": (table(lambda t: t.take(list(reversed(range(12))))), "not ordered"),
    "no rows": (table(lambda t: t.slice(0, 0)), "0 rows"),
    "another subject told": (metadata(lambda a: a.update(subject="smic/s3")), META),
    "another seed told": (metadata(lambda a: a.update(seed=1)), META),
    "another environment told": (metadata(lambda a: a["environment"].update(torch="3.0")), META),
    "another loss told": (metadata(lambda a: a.update(curve={"train": {"total": [0.0]}})), META),
    "other measures told": (metadata(lambda a: a.update(measures={"epe": [0.0] * 6})), META),
    "other weights told": (metadata(lambda a: a.update(weights="0" * 64)), META),
    "classes told in another order": (metadata(lambda a: a["classes"].reverse()), META),
    "without a seal": (metadata(lambda a: a.pop("seal")), "its keys are"),
    "of the format before": (metadata(lambda a: a.update(format=1)), "its format is 1, this version reads 2 and 3"),
    "of a format to come": (metadata(lambda a: a.update(format=4)), "its format is 4, this version reads 2 and 3"),
    "sealed anew, inner trainings nobody asked for": (
        resealed(inner=np.array([[[5, 0, 0], [1, 6, 0], [0, 0, 9]]] * 2)),
        "was changed after this fold was trained",
    ),
    "words for a seed": (metadata(lambda a: a.update(seed="0"), reseal=True), "'seed'"),
    "words for a measure": (metadata(lambda a: a.update(measures={"epe": ["0"] * 6}), reseal=True), "a measure"),
    "nothing told": (table(lambda t: t.replace_schema_metadata({})), "lacks"),
    "no JSON told": (table(lambda t: t.replace_schema_metadata({"merbench": "{"})), "line 1 column 2"),
    "JSON without end told": (table(lambda t: t.replace_schema_metadata({"merbench": "[" * 100_000})), "cannot be read"),
    "a column of another kind": (column("p_negative", lambda v: v, pa.float64()), "its columns are"),
    "a column too many": (table(lambda t: t.append_column("x", t["label"])), "its columns are"),
    "a column too few": (table(lambda t: t.drop_columns(["label"])), "its columns are"),
    "an empty cell": (table(lambda t: t.set_column(1, "epoch", pa.array([None, *t["epoch"].to_pylist()[1:]], pa.int32()))), "is empty"),
    "not finite": (column("p_negative", put(0, np.nan)), "between 0 and 1"),
    "a negative probability": (column("p_negative", put(0, -0.5)), "between 0 and 1"),
    "a probability of seven": (column("p_negative", put(0, 7)), "between 0 and 1"),
    "compressed": (table(lambda t: t, compression="zstd"), "compressed"),
    "a hundred million rows": (
        table(lambda t: pa.table({"clip": pa.nulls(10**8)}).replace_schema_metadata(t.schema.metadata)),
        "100,000,000 rows",
    ),
    "half of it": (lambda path: os.truncate(path, 900), "cannot be read"),
    "no parquet": (lambda path: path.write_text("clip,epoch,label\n"), "cannot be read"),
    "sealed anew, probabilities that sum to two": (of(lambda r: dataclasses.replace(r, probabilities=r.probabilities * 2)), "sum to 1"),
    "sealed anew, a clip twice": (of(lambda r: dataclasses.replace(r, clips=(r.clips[0], *r.clips[:-1]))), "stands in it twice"),
    "sealed anew, a clip of somebody else": (of(lambda r: dataclasses.replace(r, clips=("smic/s3/c0", *r.clips[1:]))), "is not of smic/s2"),
    "sealed anew, a label of no class": (of(lambda r: dataclasses.replace(r, labels=r.labels + 5)), "a label is no class"),
    "sealed anew, an epoch before the first": (resealed(epochs=np.array([0, 1], np.int32)), "before the first"),
    "sealed anew, a measure too few": (resealed(measures={"epe": [1.0]}), "a measure"),
    "of another subject": (of_another_subject, "is fold smic--s3--s0"),
    "of another seed": (resealed(seed=1), "is fold smic--s2--s1"),
    "of another run": (of_another_run, "of run"),
    "of no run": (resealed(run=""), "of run unknown"),
    "for another provenance": (resealed(plan="x"), "was changed after this fold was trained"),
    "other classes": (of(lambda r: dataclasses.replace(r, classes=tuple(reversed(r.classes)))), "was changed after this fold was trained"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_fold_file(runs: Runs, cli: Cli, name: str) -> None:
    spoil, place = CASES[name]
    cli("leaderboard")
    path = runs.run.fold_path(NAME)
    spoil(path)
    refused(cli("compare", "example", "other"), file=path, place=place, remedy="run the same command again")
    board = cli("leaderboard", "--format", "md")
    refused(board, code=0, file=path, place=place, remedy="run the same command again")
    assert "| example |" not in board.out


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_no_fold(runs: Runs, cli: Cli, make: Callable[[Path], object]) -> None:
    path = runs.run.fold_path(NAME)
    path.unlink()
    make(path)
    refused(cli("compare", "example", "other"), file=runs.run.path, place="no seed of this run", remedy="run its command again")


def test_every_byte_is_guarded(runs: Runs) -> None:
    """A byte changed anywhere is either found, or one that means nothing (padding, statistics): no number is ever another."""
    path = runs.run.fold_path(NAME)
    whole, good = path.read_bytes(), read_fold(path)
    found = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            read = read_fold(path)
        except UserError:
            found += 1
            continue
        for field in dataclasses.fields(FoldResult):
            assert np.array_equal(getattr(read, field.name), getattr(good, field.name)), (place, field.name)
    assert found > len(whole) // 7 // 3


def test_a_forger_who_knows_the_seal_is_not_found(runs: Runs, cli: Cli) -> None:
    """A seal is no signature: it finds what was edited, not who writes a file as merbench does. This is said, not hidden."""
    of(better)(runs.run.fold_path(NAME))
    assert cli("compare", "example", "other").code == 0
