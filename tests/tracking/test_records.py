"""What wandb is told, without wandb: against the fold files and the board's row."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merbench.board.rows import row_of
from merbench.config import Training
from merbench.results import Run
from merbench.tracking import records
from tests.board.test_rows import make_run, pooled

CURVE = {"warm": {"total": [3.0, 2.0]}, "fit": {"total": [1.0, 0.5, 0.25, 0.125], "extra": [4.0, 3.0, 2.0, 1.0]}}


def with_curves(root: Path, seeds: int = 1) -> Run:
    """Write a run of 10 subjects whose folds have losses of two stages; those of each fold are its number times `CURVE`."""
    run = make_run(root, seeds=seeds)
    for number, fold in enumerate(run.results(sorted(run.finished())), 1):
        curve = {stage: {part: [number * each for each in values] for part, values in parts.items()} for stage, parts in CURVE.items()}
        run.keep(dataclasses.replace(fold, curve=curve), run.request, run.provenance)
    return run


def test_who_a_run_is_says_nothing_of_the_machine(tmp_path: Path) -> None:
    arguments = {"weights": "/home/somebody/w.pt", "deep": [{"at": "~/w.pt"}], "fine": "a/b", "c": 3}
    changes = ("weights=/home/somebody/my w.pt", "c=3")
    run = make_run(tmp_path, arguments=arguments, changes=changes, training=Training(epochs=4))
    told = records.begin(run, run.request, run.provenance, "p")
    assert told["name"] == "example[weights=(a path),c=3]"
    assert told["config"]["arguments"] == {"weights": "(a path)", "deep": [{"at": "(a path)"}], "fine": "a/b", "c": 3}
    del told["folder"]  # where wandb keeps its own files, for its process alone
    text = json.dumps(told)
    assert "somebody" not in text
    assert str(tmp_path) not in text
    assert told["config"]["training"]["epochs"] == 4
    assert told["group"] == "smic+casme2, published-flow, megc3, loso, full, data k0"
    assert told["tags"] == ["smic", "casme2", "published flow", "megc3", "loso", "full"]


@pytest.mark.parametrize(
    "path", ["../../home/somebody/w.pt", "./w.pt", "C:/Users/w", r"C:\Users\w", r"\\disk\w", "$HOME/w", "~me/w", "file:///w"]
)
def test_a_path_is_not_told_however_it_is_written(path: str) -> None:
    assert records._without_paths(f"example[weights={path},c=.5]") == "example[weights=(a path),c=.5]"
    assert records._discreet({"weights": [path], "lr": "a/b"}) == {"weights": ["(a path)"], "lr": "a/b"}


def test_a_run_that_goes_on_is_the_same_run_and_another_environment_is_another(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    first = records.begin(run, run.request, run.provenance, "p")["id"]
    later = dataclasses.replace(run.provenance, wall_seconds=9.0, commit="other")
    assert records.begin(run, run.request, later, "p")["id"] == first
    elsewhere = dataclasses.replace(run.provenance, environment={"device": "cuda"})
    assert records.begin(run, run.request, elsewhere, "p")["id"] != first
    other = make_run(tmp_path, key="k1")
    assert records.begin(other, other.request, other.provenance, "p")["id"] != first


def test_after_each_fold_the_scores_so_far_are_the_pooled_ones(tmp_path: Path) -> None:
    run, so_far = with_curves(tmp_path, seeds=2), records.SoFar()
    folds = run.results(sorted(run.finished(), key=lambda name: (name[-1], name)))
    blocks = [block for fold in folds for block in so_far.fold(fold, 1.5)]
    assert [block["name"] for block in blocks] == [fold.name for fold in folds]
    truth, predicted = list[int](), list[int]()
    for number, (fold, block) in enumerate(zip(folds, blocks, strict=True), 1):
        if number == 11:  # another seed is another score
            truth, predicted = [], []
        truth += fold.labels.tolist()
        predicted += fold.probabilities[-1].argmax(-1).tolist()
        first, seed = block["rows"][0], fold.seed
        assert (first["fold"], first["folds"], first["fold/clips"], first["fold/seconds"]) == (fold.name, number, 6, 1.5)
        assert first[f"so far/seed {seed}/uf1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
        assert first[f"so far/seed {seed}/uar"] == pytest.approx(recall_score(truth, predicted, average="macro"))
        assert f"so far/seed {1 - seed}/uf1" not in first
    assert list(so_far.fold(folds[3], 1.5)) == [], "a fold is told once"


def test_losses_are_one_row_an_epoch(tmp_path: Path) -> None:
    run = with_curves(tmp_path)
    fold = run.results(["casme2--s0--s0"])[0]
    (block,) = records.SoFar().fold(fold, None)
    name = fold.name
    assert "fold/seconds" not in block["rows"][0]
    assert block["rows"][1:] == [
        {"epoch": 1, f"loss/warm/total/{name}": 3.0, f"loss/fit/total/{name}": 1.0, f"loss/fit/extra/{name}": 4.0},
        {"epoch": 2, f"loss/warm/total/{name}": 2.0, f"loss/fit/total/{name}": 0.5, f"loss/fit/extra/{name}": 3.0},
        {"epoch": 3, f"loss/fit/total/{name}": 0.25, f"loss/fit/extra/{name}": 2.0},
        {"epoch": 4, f"loss/fit/total/{name}": 0.125, f"loss/fit/extra/{name}": 1.0},
    ]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rows = records.by_epoch({"loss": [float(each) for each in range(900)]})
    assert len(rows) == records.LONGEST_CURVE
    assert (rows[0], rows[-1]) == ({"epoch": 1, "loss": 0.0}, {"epoch": 900, "loss": 899.0})
    assert all(row["loss"] == row["epoch"] - 1 for row in rows)
    assert records.by_epoch({}) == []


def test_what_is_not_defined_is_left_out(tmp_path: Path) -> None:
    """A class that no fold has shown yet makes UF1 NaN, which is no number in JSON."""
    fold = make_run(tmp_path).results(["smic--s1--s0"])[0]
    one = dataclasses.replace(
        fold, clips=fold.clips[:1], labels=np.array([0]), probabilities=np.repeat(np.eye(3, dtype=np.float32)[None, :1], 4, axis=0)
    )
    (block,) = records.SoFar().fold(one, float("nan"))
    assert block["rows"] == [{"fold": "smic--s1--s0", "folds": 1, "fold/clips": 1, "fold/accuracy": 1.0}]


def test_a_whole_run_is_told_as_the_board_has_it(tmp_path: Path) -> None:
    run = with_curves(tmp_path, seeds=2)
    row = row_of(run)
    told = list(records.closing(run, row))
    json.dumps(told, allow_nan=False)
    seeds, tables, tags, summary = told[:2], told[2], told[3], told[4]["values"]
    for seed, block in enumerate(seeds):
        truth, predicted, _ = pooled(run, seed)
        assert block["name"] == f"seed {seed}"
        assert [line["epoch"] for line in block["rows"]] == [1, 2, 3, 4]
        for line, here in zip(block["rows"], predicted, strict=True):
            assert line[f"all folds/seed {seed}/uf1"] == pytest.approx(f1_score(truth, here, average="macro"))
    mean = np.mean([number for number in range(1, 21) if number % 2])  # folds are numbered by name: those of a seed are every second
    assert [line["all folds/seed 0/loss/fit/total"] for line in seeds[0]["rows"]] == pytest.approx([mean, mean / 2, mean / 4, mean / 8])
    assert tags["tags"][-1] == "partial composite"
    last = row.readings["last"]
    assert (summary["uf1"], summary["uf1 low"], summary["uf1 high"]) == (last.uf1, *last.uf1_interval)
    assert summary["oracle-subject/uf1"] == row.readings["oracle-subject"].uf1
    assert (summary["seeds"], summary["missing"], summary["state"]) == (2, 0, "whole")
    assert tables["confusion"]["confusion"]["counts"] == last.confusion
    predictions = tables["tables"]["predictions"]
    assert len(predictions["data"]) == 120
    lines = [dict(zip(predictions["columns"], line, strict=True)) for line in predictions["data"]]
    assert sum(line["right"] for line in lines) == np.trace(np.array(last.confusion))
    assert all(line["predicted"] == max(("negative", "positive", "surprise"), key=lambda name: line[f"p {name}"]) for line in lines)


def test_a_run_with_missing_folds_has_no_score(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.fold_path("smic--s2--s0").unlink()
    (told,) = records.closing(run, row_of(run))
    assert (told["values"]["state"], told["values"]["missing"]) == ("incomplete", 1)
    assert "uf1" not in told["values"]


def test_a_table_holds_whole_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, seeds=3)
    monkeypatch.setattr(records, "LONGEST_TABLE", 130)
    tables = next(told for told in records.closing(run, row_of(run)) if told["do"] == "tables")
    assert {line[2] for line in tables["tables"]["predictions"]["data"]} == {0, 1}
    assert len(tables["tables"]["predictions"]["data"]) == 120
