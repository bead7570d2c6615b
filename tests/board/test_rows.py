"""From fold files to a row, against scores computed by hand from the same numbers."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from merbench import scores
from merbench.board import compare, ranking, render, rows
from merbench.config import Data, Request, Training, run_key
from merbench.errors import UserError
from merbench.foldfile import FoldResult, write_fold
from merbench.results import Provenance, Run, folder_of, runs_in
from tests.conftest import Cli

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
    name = run_key(asked, key, {}, "")
    run = Run(folder_of(root, asked, name))
    provenance = Provenance(
        request_key=name,
        folds=list(SUBJECTS),
        clips=60,
        classes=list(CLASSES),
        data={"annotations": "a", "fingerprint": key, "units": "relative"},
        manifests={},
        results_versions={},
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


def test_the_choice_does_not_look_at_the_held_out_subject(tmp_path: Path) -> None:
    """Other labels and predictions of the held-out clips move scores, never the epoch."""
    run = make_run(tmp_path, epochs=7, inner=3)
    folds = run.results([f"{subject.replace('/', '--')}--s0" for subject in SUBJECTS])
    before = rows.predictions(run, folds).chosen
    assert before is not None
    assert len(set(before.tolist())) > 1
    assert np.array_equal(rows.predictions(run, folds[::-1]).chosen, before), "by clip, in whatever order folds are read"  # type: ignore[arg-type]
    assert rows.predictions(run, [*folds[:-1], dataclasses.replace(folds[-1], inner=None)]).chosen is None, "all folds choose, or none"
    rng = np.random.default_rng(0)
    other = [
        dataclasses.replace(fold, labels=rng.permutation(fold.labels), probabilities=rng.permuted(fold.probabilities, axis=2))
        for fold in folds
    ]
    after = rows.predictions(run, other).chosen
    assert np.array_equal(before, after)  # type: ignore[arg-type]


def test_a_fold_without_the_inner_trainings_that_were_asked_for_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, inner=3)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, inner=None))
    with pytest.raises(UserError, match="was changed after this fold was trained"):
        rows.row_of(run)


def test_a_table_by_inner_ranks_who_has_it(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "chooses", inner=3, quality=0.2),
        make_run(tmp_path, "chooses_too", inner=3, quality=0.5),
        make_run(tmp_path, "good", quality=1.0),
        make_run(tmp_path, "closed", epochs=1, quality=0.9),
    ]
    found = ranking.placed(rows.row_of(run) for run in runs)
    ((_, last),) = render.tables(found)
    ((_, by_inner),) = render.tables(found, "inner")
    assert [row.method for row in last][:2] == ["good", "closed"]
    assert (by_inner[0].method, by_inner[-1].method) == ("closed", "good")
    of = [row.readings["inner"].uf1 for row in by_inner[:-1]]
    assert of == sorted(of, reverse=True)
    assert [row.method for row in last if "inner" in row.readings] != [row.method for row in by_inner[:-1]], "these data could not show it"
    lines = [line.split(" | ") for line in render.markdown(found, "inner").splitlines() if line.startswith("|")]
    assert lines[0][6] == "last"
    assert [line[0] for line in lines[2:]] == ["| 1", "| 2-3", "| 2-3", "| ", "| "]
    assert lines[5][1:4] == ["good", "not run", ""]
    assert [line[6] for line in lines[2:6]] == [f"{row.readings['last'].uf1:.4f}" for row in by_inner]
    plain = [line.split(" | ") for line in render.markdown(found).splitlines() if line.startswith("|")]
    assert (plain[0][6], plain[2][1], plain[2][6]) == ("inner", "good", "not run")
    listed = list(csv.DictReader(io.StringIO(render.as_csv(found))))
    assert [(line["method"], line["rankable"]) for line in listed if line["reading"] == "inner"] == [
        (name, "True") for name in ("chooses", "chooses_too", "closed")
    ]


def test_the_commands_read_by_inner(here: Path, cli: Cli) -> None:
    make_run(Path("runs"), "chooses", inner=3)
    make_run(Path("runs"), "good", quality=1.0)
    board = cli("leaderboard", "--reading", "inner")
    assert board.code == 0
    assert board.out.index("chooses") < board.out.index("good")
    assert cli("leaderboard").out.index("chooses") > cli("leaderboard").out.index("good")
    refused = cli("compare", "chooses", "good", "--reading", "inner")
    assert (refused.code, "run it with training.inner=3" in refused.err) == (2, True)
    assert cli("leaderboard", "--reading", "oracle-epoch").code == 2, "it is never ranked"


def test_compare_by_inner(tmp_path: Path) -> None:
    a, b, without = make_run(tmp_path, "a", inner=3), make_run(tmp_path, "b", inner=2, epochs=5), make_run(tmp_path, "without")
    said = compare.compare_runs(a, b, "inner")
    gap = rows.row_of(a).readings["inner"].uf1 - rows.row_of(b).readings["inner"].uf1
    assert "inner epoch, 1 seed" in said
    assert f"{gap:+.4f}" in said
    assert said != compare.compare_runs(a, b)
    with pytest.raises(UserError, match="has no inner trainings"):
        compare.compare_runs(a, without, "inner")
    closed = make_run(tmp_path, "closed", epochs=1)
    gap = rows.row_of(a).readings["inner"].uf1 - rows.row_of(closed).readings["last"].uf1
    assert f"{gap:+.4f}" in compare.compare_runs(a, closed, "inner")


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


def test_a_summary_is_a_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    row = rows.row_of(run)
    summary = run.path / "summary.json"
    with monkeypatch.context() as patched:
        patched.setattr(rows, "_compute", lambda _: pytest.fail("the summary was not used"))
        assert rows.row_of(run) == row
    good = summary.read_text()
    edited = good.replace(f'"uf1": {row.readings["last"].uf1}', '"uf1": 0.99')
    assert edited != good
    for damage in ("", "{", "[" * 100_000, json.dumps({"format": 2}), good.replace('"uf1"', '"uf2"'), edited):
        summary.write_text(damage)
        assert rows.row_of(run) == row
    assert rows.row_of(make_run(tmp_path, quality=0.9)) != row, "other fold files, another row"


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


def test_clips_in_the_wrong_fold_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, clips=tuple(c.replace("s2", "s1") for c in fold.clips)))
    with pytest.raises(UserError, match="stands in it twice, or is not of smic/s2"):
        rows.row_of(run)


def test_folds_of_other_lengths_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    fold = run.results(["smic--s2--s0"])[0]
    write_fold(run.fold_path("smic--s2--s0"), dataclasses.replace(fold, epochs=fold.epochs[1:], probabilities=fold.probabilities[1:]))
    with pytest.raises(UserError, match="other epochs"):
        rows.row_of(run)


def test_rows_are_ranked_within_their_table_only(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, "good", quality=0.9),
        make_run(tmp_path, "better", quality=1.0),
        make_run(tmp_path, "hasty", quality=0.95, preset="quick"),
        make_run(tmp_path, "better", quality=1.0, key="k1"),
    ]
    tables = render.tables(rows.row_of(run) for run in runs)
    assert [[row.method for row in members] for _, members in tables] == [["better", "good"], ["better"], ["hasty"]]
    assert "quick" in tables[2][0]
    assert tables[0][0] != tables[1][0], "other arrays under the same name are another table, and say so"
    assert "partial composite" in tables[0][0]
    assert "published flow" in tables[0][0]
    assert len(runs_in(tmp_path)) == 4


def test_an_override_is_in_the_rows_name(tmp_path: Path) -> None:
    row = rows.row_of(make_run(tmp_path, changes=("c=3.0",)))
    assert row.method == "example[c=3.0]"
    assert "example[c=3.0]" in render.markdown([row])


def test_texts(tmp_path: Path) -> None:
    row = rows.row_of(make_run(tmp_path, "a|b"))
    text = render.markdown([row])
    assert "a\\|b" in text, "a bar in a name does not break the table"
    assert "chance (guesses)" in text
    found = list(csv.DictReader(io.StringIO(render.as_csv([row]))))
    assert [(line["reading"], line["rankable"]) for line in found] == [
        ("last", "True"),
        ("oracle-subject", "False"),
        ("oracle-epoch", "False"),
    ]
    assert float(found[0]["uf1"]) == pytest.approx(row.readings["last"].uf1, abs=1e-6)
    assert json.loads(render.as_json([row]))[0]["readings"]["last"]["uf1"] == row.readings["last"].uf1


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (0.21, "0.2 s"), (250, "4 min 10 s"), (7500, "2 h 5 min")])
def test_durations(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


def test_compare_pairs_by_clip(tmp_path: Path) -> None:
    a, b = make_run(tmp_path, "good", quality=1.0), make_run(tmp_path, "poor", quality=0.2)
    said = compare.compare_runs(compare.find(tmp_path, a.path.name), compare.find(tmp_path, b.path.name[:8]))
    gap = rows.row_of(a).readings["last"].uf1 - rows.row_of(b).readings["last"].uf1
    assert f"{gap:+.4f}" in said
    assert "p = 0.00" in said
    assert "60 clips, 10 subjects" in said
    assert compare.find(tmp_path, "good").path == compare.find(tmp_path, "/".join(a.path.parts[-4:])).path == a.path
    with pytest.raises(UserError, match="there is no run 'zz'"):
        compare.find(tmp_path, "zz")
    keys = [make_run(tmp_path, f"other{index}", epochs=1).path.name for index in range(17)]
    twice = next(key[0] for key in keys if sum(other[0] == key[0] for other in keys) > 1)
    with pytest.raises(UserError, match=rf"runs are called or begin with '{twice}'"):
        compare.find(tmp_path, twice)
