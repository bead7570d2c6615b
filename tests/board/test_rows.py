"""From fold files to a row, against scores computed by hand from the same numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merbench import scores
from merbench.board import render, rows
from merbench.config import Data, Request, Training, run_key
from merbench.errors import UserError
from merbench.foldfile import FoldResult
from merbench.results import Provenance, Run, folder_of

CLASSES = ("negative", "positive", "surprise")
SUBJECTS = tuple(f"{database}/s{index}" for database in ("casme2", "smic") for index in range(5))


def make_run(
    root: Path,
    method: str = "example",
    epochs: int = 4,
    seeds: int = 1,
    quality: float = 0.6,
    key: str = "k0",
    record: str = "every",
    inner: int = 0,
    version: int = 1,
    **request: object,
) -> Run:
    """Write a run of 10 subjects and 60 clips; ``quality`` is the share of clips judged right in the last epoch.

    Inner trainings judged 18 clips of each class, by luck.
    """
    asked = Request(
        method=method,
        arguments={},
        data=Data("smic+casme2"),
        training=Training(epochs=epochs, record=record, inner=inner),  # type: ignore[arg-type]
    )
    asked = dataclasses.replace(asked, **request)  # type: ignore[arg-type]
    versions = {"method": version, "engine": 1}
    name = run_key(asked, key, versions, "")
    run = Run(folder_of(root, asked, name))
    provenance = Provenance(
        request_key=name,
        folds=list(SUBJECTS),
        clips=60,
        classes=list(CLASSES),
        data={"annotations": "a", "fingerprint": key, "units": "relative"},
        manifests={},
        results_versions=versions,
        method_file="",
        parameters=1683,
        environment={},
        commit="",
    )
    run.create(asked, provenance)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, int(quality * 100)])
        for subject in SUBJECTS:
            labels = np.arange(6) % 3
            probabilities = rng.dirichlet(np.ones(3), (epochs, 6)).astype(np.float32)
            right = rng.random(6) < quality
            probabilities[-1][right] = np.eye(3)[labels[right]]
            kept = probabilities if record == "every" else probabilities[-1:]
            result = FoldResult(
                subject,
                seed,
                tuple(f"{subject}/c{i}" for i in range(6)),
                labels.astype(np.int64),
                CLASSES,
                np.arange(1, epochs + 1, dtype=np.int32)[-len(kept) :],
                kept,
                {},
                "w",
                {},
                inner=rng.multinomial(18, np.ones(3) / 3, (len(kept), 3)).astype(np.int64) if inner else None,
            )
            run.keep(result, run.request, provenance)
            provenance.costs[result.name] = {"seconds": 2.0 + seed, "peak_mib": 100.0 + seed}
    run.save(provenance)
    return run


def pooled(run: Run, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Join truth and predictions by epoch by hand."""
    folds = [run.results([f"{subject.replace('/', '--')}--s{seed}"])[0] for subject in SUBJECTS]
    truth = np.concatenate([fold.labels for fold in folds])
    predicted = np.concatenate([fold.probabilities.argmax(-1) for fold in folds], axis=1)
    return truth, predicted, [fold.held_out for fold in folds for _ in fold.clips]


def test_a_row_is_the_pooled_score(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    row = rows.row_of(run)
    truth, predicted, subjects = pooled(run)
    last = row.readings["last"]
    assert last.uf1 == pytest.approx(f1_score(truth, predicted[-1], average="macro"))
    assert last.uar == pytest.approx(recall_score(truth, predicted[-1], average="macro"))
    order = np.argsort([f"{subject}/c{index % 6}" for index, subject in enumerate(subjects)])
    sorted_subjects = np.array(subjects)[order]
    databases = np.array([subject.split("/")[0] for subject in sorted_subjects])
    for score, found in ((scores.uf1, last.uf1_interval), (scores.uar, last.uar_interval)):
        expected = scores.bootstrap(truth[order], predicted[-1][order], sorted_subjects, databases, 3, score)
        assert found == (expected.low, expected.high)
    assert last.uf1_interval != last.uar_interval
    for reading, found_score in row.readings.items():
        guess = scores.chance(reading, truth, subjects, 3, 4)  # type: ignore[arg-type]
        assert found_score.chance_uf1 == pytest.approx(guess.uf1, abs=0.06), f"{reading} has the chance of four epochs"
    assert row.readings["oracle-subject"].chance_uf1 > last.chance_uf1 + 0.1
    for database in ("smic", "casme2"):
        here = np.array([subject.startswith(database) for subject in subjects])
        assert last.parts[database][0] == pytest.approx(f1_score(truth[here], predicted[-1][here], average="macro"))
    assert list(last.parts) == ["smic", "casme2"], "in listed order"
    best = scores.read("oracle-subject", predicted, truth, subjects, 3)
    assert row.readings["oracle-subject"].uf1 == pytest.approx(f1_score(truth, best, average="macro"))
    assert np.array(last.confusion).sum() == 60
    assert (row.seconds, row.peak_mib, row.parameters, row.epochs) == (2.0, 100.0, 1683, 4)
    assert row.marks == ("published flow", "partial composite")


def test_seeds_are_averaged_never_pooled(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=3)
    row = rows.row_of(run)
    each = []
    for seed in range(3):
        truth, predicted, _ = pooled(run, seed)
        each.append(f1_score(truth, predicted[-1], average="macro"))
    assert row.seeds == (0, 1, 2)
    assert row.readings["last"].uf1 == pytest.approx(np.mean(each))


def test_one_recorded_epoch_has_no_oracle(tmp_path: Path) -> None:
    assert list(rows.row_of(make_run(tmp_path, record="last")).readings) == ["last"]
    assert rows.row_of(make_run(tmp_path, record="last")).epochs == 4


def test_what_has_one_epoch_has_no_other_to_choose(tmp_path: Path) -> None:
    readings = rows.row_of(make_run(tmp_path, epochs=1)).readings
    assert list(readings) == ["last", "inner"]
    assert readings["inner"] == readings["last"]


def chosen(run: Run, seed: int = 0) -> np.ndarray:
    """Choose each fold's epoch by hand, and return the predictions of it."""
    found = []
    for subject in SUBJECTS:
        fold = run.results([f"{subject.replace('/', '--')}--s{seed}"])[0]
        assert fold.inner is not None
        pairs = [zip(*((t, p) for t in range(3) for p in range(3) for _ in range(matrix[t, p])), strict=True) for matrix in fold.inner]
        found.append(fold.probabilities[int(np.argmax([f1_score(*pair, average="macro") for pair in pairs]))].argmax(-1))
    return np.concatenate(found)


def test_inner_takes_each_folds_own_epoch(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2, epochs=7, inner=3)
    row = rows.row_of(run)
    assert list(row.readings) == ["last", "inner", "oracle-subject", "oracle-epoch"]
    found = row.readings["inner"]
    truth = pooled(run)[0]
    by_hand = [chosen(run, seed) for seed in range(2)]
    assert found.uf1 == pytest.approx(np.mean([f1_score(truth, each, average="macro") for each in by_hand]))
    assert found.uar == pytest.approx(np.mean([recall_score(truth, each, average="macro") for each in by_hand]))
    assert (found.chance_uf1, found.chance_uf1_sd) == (row.readings["last"].chance_uf1, row.readings["last"].chance_uf1_sd)
    assert row == rows.row_of(run), "and so from the summary"
    twin = rows.row_of(make_run(tmp_path, "twin", seeds=2, epochs=7))
    assert list(twin.readings) == ["last", "oracle-subject", "oracle-epoch"]
    assert twin.readings["last"].uf1 != found.uf1


def test_a_run_without_all_folds_has_no_score(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.fold_path("smic--s2--s0").unlink()
    row = rows.row_of(run)
    assert (row.readings, row.seeds, row.missing) == ({}, (), 1)
    assert "1 fold missing" in render.markdown([row])
    assert run.path.name in render.markdown([row])


def test_a_run_in_which_nothing_finished_is_told_too(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for path in (run.path / "folds").iterdir():
        path.unlink()
    assert "10 folds missing" in render.markdown([rows.row_of(run)])
    kept = run.provenance
    kept.failed = {"smic--s1--s0": "reason", "smic--s2--s0": "reason"}
    run.save(kept)
    assert "10 folds missing, 2 of them failed" in render.markdown([rows.row_of(run)])


def test_an_unfinished_seed_does_not_disturb_a_finished_one(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    whole = rows.row_of(make_run(tmp_path / "one", seeds=1)).readings["last"].uf1
    run.fold_path("smic--s2--s1").unlink()
    row = rows.row_of(run)
    assert (row.seeds, row.missing) == ((0,), 1)
    assert row.readings["last"].uf1 == whole


def test_a_changed_request_or_provenance_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    rows.row_of(run)
    text = (run.path / "request.yaml").read_text()
    (run.path / "request.yaml").write_text(text.replace("method: example", "method: better"))
    with pytest.raises(UserError, match="is not the one its folder is named after"):
        rows.row_of(run)
    (run.path / "request.yaml").write_text(text)
    rows.row_of(run)
    good = (run.path / "provenance.json").read_text()
    for damage in ("", "[", "{}", good.replace('"folds": [', '"folds": 3, "x": ['), good.replace("[", "[" * 100_000, 1)):
        (run.path / "provenance.json").write_text(damage)
        with pytest.raises(UserError, match="provenance of a run cannot be read"):
            rows.row_of(run)


def test_strangers_among_the_folds_are_no_folds(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    row = rows.row_of(run)
    for name in ("x.parquet", "x--sfoo.parquet", "smic--s1--s0 (copy).parquet", "smic--s1--s-1.parquet", "note.txt"):
        (run.path / "folds" / name).write_text("stray")
    (run.path / "folds" / "smic--s9--s0.parquet").mkdir()
    assert rows.row_of(run) == row
