"""Leave one database out, from the command to the board: nothing of the held-out database is learnt from."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from merbench import methods, scores
from merbench.batch import Batch
from merbench.board import rows
from merbench.config import Data, Request
from merbench.data import manifest, protocol, replaced
from merbench.data.datamodule import LosoDataModule
from merbench.data.prepared import Prepared, join
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.errors import UserError
from merbench.foldfile import FoldResult, write_fold
from merbench.method import METHODS
from merbench.presets import resolve
from merbench.results import Run, runs_in
from merbench.sample import Clip
from tests.conftest import Answer, Cli, flow_image

TWO = ("--on", "smic+casme2", "--protocol", "lodo", "--workers", "1")
SHORT = ("ststnet", "training.epochs=2", "training.lr=0.01")


def run_of(name: str, split: str = "lodo") -> Run:
    (run,) = (run for run in runs_in(Path("runs")) if run.path.parts[-2] == name and run.path.parts[-3].startswith(split))
    return run


def bench(cli: Cli, *words: str) -> Answer:
    answer = cli("bench", *words)
    assert answer.code == 0, answer.err
    return answer


def files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run.path / "folds").iterdir()}


# runs


def test_a_run_and_its_row(with_flow: Path, cli: Cli) -> None:
    said = bench(cli, "svm_flow", *TWO)
    assert "svm_flow on smic+casme2, lodo, 2 folds: 0 finished before, 2 to do" in said.err
    assert "megc3, lodo: 309 clips, 40 subjects" in said.out
    assert "leave one database out" in said.out
    run = run_of("svm_flow")
    assert run.path.parts[-4:-1] == ("smic+casme2@published-flow", "lodo-megc3", "svm_flow")
    assert set(files(run)) == {"smic--s0.parquet", "casme2--s0.parquet"}
    folds = run.results(["smic--s0", "casme2--s0"])
    assert [(fold.held_out, len(fold.clips)) for fold in folds] == [("smic", 164), ("casme2", 145)]
    row, (smic, casme2) = rows.row_of(run), folds
    for fold in (smic, casme2):
        predicted = fold.probabilities[-1].argmax(-1)
        assert row.readings["last"].parts[fold.held_out] == pytest.approx(
            (
                f1_score(fold.labels, predicted, average="macro"),
                recall_score(fold.labels, predicted, average="macro"),
                accuracy_score(fold.labels, predicted),
            )
        ), "a part is what one held-out database scores: UF1, UAR, and accuracy, which MEGC2018 calls WAR"


@pytest.mark.torture
def test_an_interrupted_run_goes_on_and_workers_move_no_bit(with_flow: Path, cli: Cli) -> None:
    bench(cli, *SHORT, *TWO)
    run = run_of("ststnet")
    whole = files(run)
    run.fold_path("casme2--s0").unlink()
    row = rows.row_of(run)
    assert (row.readings, row.missing, row.subjects) == ({}, 1, 0)
    assert "1 fold missing" in cli("leaderboard", "--format", "md").out
    assert "1 finished before, 1 to do" in bench(cli, *SHORT, *TWO[:-1], "2").err
    assert files(run) == whole
    bench(cli, *SHORT, *TWO, "--seeds", "2")
    assert rows.row_of(run).seeds == (0, 1)
    assert {name: content for name, content in files(run).items() if name.endswith("s0.parquet")} == whole


def test_readings_and_intervals_are_of_subjects(with_flow: Path, cli: Cli) -> None:
    """A fold holds many subjects: neither the oracle's epoch nor the bootstrap may take a database for one."""
    bench(cli, *SHORT[:1], "training.epochs=6", "training.lr=0.01", *TWO)
    run = run_of("ststnet")
    folds = run.results(["smic--s0", "casme2--s0"])
    clips = [clip for fold in folds for clip in fold.clips]
    order = np.argsort(clips)
    subjects = np.array([clip.rsplit("/", 1)[0] for clip in clips])[order]
    databases = np.array([clip.split("/")[0] for clip in clips])[order]
    truth = np.concatenate([fold.labels for fold in folds])[order]
    predicted = np.concatenate([fold.probabilities.argmax(-1) for fold in folds], axis=1)[:, order]
    assert len(set(subjects)) == 40
    row = rows.row_of(run)
    interval = scores.bootstrap(truth, predicted[-1], subjects, databases, 3, scores.uf1)
    assert row.readings["last"].uf1_interval == (interval.low, interval.high)
    best = scores.read("oracle-subject", predicted, truth, subjects, 3)
    by_database = scores.read("oracle-subject", predicted, truth, databases, 3)
    assert row.readings["oracle-subject"].uf1 == pytest.approx(f1_score(truth, best, average="macro"))
    assert not np.array_equal(best, by_database), "this data could not show it"


def test_other_protocols_never_rank_together(with_flow: Path, cli: Cli) -> None:
    bench(cli, "majority", *TWO)
    bench(cli, "majority", "--on", "smic+casme2", "--workers", "1")
    bench(cli, "prior", "--on", "smic+casme2", "--workers", "1")
    board = cli("leaderboard", "--format", "md").out
    tables = {part.splitlines()[0]: part.count("| majority |") + part.count("| prior |") for part in board.split("### ")[1:]}
    assert [(("lodo" in title, "loso" in title), count) for title, count in tables.items()] == [((False, True), 2), ((True, False), 1)], (
        "leaving one subject out stands first"
    )
    lines = list(csv.DictReader(io.StringIO(cli("leaderboard", "--format", "csv").out)))
    assert [(line["protocol"], "leave one database out" in line["marks"]) for line in lines if line["reading"] == "last"] == [
        ("lodo", True),
        ("loso", False),
        ("loso", False),
    ]
    assert len({rows.row_of(run).table for run in runs_in(Path("runs"))}) == 2
    found = cli("compare", run_of("majority").path.name, run_of("prior", "loso").path.name)
    assert found.code == 0, found.err
    assert "309 clips, 40 subjects" in found.out
    assert "protocols differ: lodo against loso; they learnt from other clips" in found.out
    alike = cli("compare", "majority", "prior")
    assert alike.code == 0, alike.err
    assert f"majority ({run_of('majority', 'loso').path.name[:8]}) against prior" in alike.out, (
        "of two runs that which learnt from the same clips"
    )
    assert "protocols differ" not in alike.out


def test_one_database_cannot_be_left_out(with_flow: Path, cli: Cli) -> None:
    for verb in ("bench", "audit"):
        found = cli(verb, "svm_flow", "--on", "smic", "--protocol", "lodo")
        assert found.code == 2
        assert "leaving one database out needs two databases; there is only smic" in found.err
        assert "--on smic+casme2" in found.err
    assert not Path("runs").exists()
    assert not Path("prepared").exists(), "told before anything is prepared"
    assert cli("bench", "svm_flow", "--protocol", "kfold").code == 2


def test_a_clip_of_another_database_in_a_fold_is_refused(with_flow: Path, cli: Cli) -> None:
    bench(cli, "majority", *TWO)
    run = run_of("majority")
    fold = run.results(["smic--s0"])[0]
    strange = dataclasses.replace(fold, clips=("casme2/sub01/EP02_01f", *fold.clips[1:]))
    write_fold(run.fold_path("smic--s0"), strange)
    with pytest.raises(UserError, match="or is not of smic"):
        rows.row_of(run)
    for wrong in (
        dataclasses.replace(fold, clips=fold.clips[1:], labels=fold.labels[1:], probabilities=fold.probabilities[:, 1:]),
        dataclasses.replace(fold, labels=(fold.labels + 1) % 3),
    ):
        write_fold(run.fold_path("smic--s0"), wrong)
        with pytest.raises(UserError, match="clips or labels of smic are not those of megc3"):
            rows.row_of(run)


def test_an_audit_of_it(with_flow: Path, cli: Cli) -> None:
    found = cli("audit", *SHORT, *TWO, "--out", "audit.json")
    assert found.code == 0, found.out + found.err
    findings = json.loads(Path("audit.json").read_text())["findings"]
    verdicts = {finding["promise"]: finding["verdict"] for finding in findings}
    assert verdicts.pop("permuted labels") == "not told", "two folds are too few to tell luck by"
    assert set(verdicts.values()) == {"held"}
    garbage = [finding["subject"] for finding in findings if finding["promise"] == "garbage"]
    assert garbage == ["smic", "casme2"]
    assert cli("audit", "svm_flow", *TWO, "--folds", "smic/s01").code == 2


# leaks


def three() -> Prepared:
    """Three databases, each prepared by itself, as those from frames are: 36 clips."""
    parts = []
    for place, name in enumerate(manifest.DATABASES):
        clips = tuple(Clip(name, f"{name}/s{index // 3}", f"c{index}") for index in range(9 + 3 * place))
        labels = np.array([(index * 5 + index // 3) % 3 for index in range(len(clips))], dtype=np.int64)
        images = np.stack([flow_image(label, np.random.default_rng([place, index])) for index, label in enumerate(labels)])
        flow = np.ascontiguousarray(images[:, :, :, ::-1].transpose(0, 3, 1, 2))
        parts.append(Prepared(name, "published-flow", "megc3", clips, manifest.CLASSES, labels, {"flow": flow}, "relative"))
    return join(parts, "3db")


def request_of(name: str) -> Request:
    methods.load(name)
    words = ("training.epochs=2", "training.batch=7") if name == "ststnet" else ()
    return resolve(name, METHODS[name], data=Data("3db"), protocol="lodo", overrides=words)


def trained(name: str, prepared: Prepared, index: int) -> FoldResult:
    request, folds = request_of(name), protocol.folds_of("lodo", prepared.clips)
    everything = serve(prepared, engine.build(request, 3).inputs)
    return engine.train(request, prepared, everything, folds[index], folds, 0, torch.device("cpu"), {})[0]


@pytest.mark.parametrize("name", ["ststnet", "svm_flow"])
@pytest.mark.parametrize("by", ["garbage", "another subject"])
def test_what_is_learnt_does_not_depend_on_the_held_out_database(name: str, by: replaced.By) -> None:
    whole = three()
    for index, fold in enumerate(protocol.lodo(whole.clips)):
        other = replaced.replaced(whole, fold, by)
        clean, dirty = trained(name, whole, index), trained(name, other, index)
        assert (clean.weights, clean.curve) == (dirty.weights, dirty.curve)
        assert clean.probabilities.tobytes() != dirty.probabilities.tobytes(), "what is judged did change"
    last = protocol.lodo(whole.clips)[2]
    moved = replaced.replaced(whole, dataclasses.replace(last, test=last.train[:3], train=last.test), by)
    assert trained(name, moved, 2).weights != trained(name, whole, 2).weights, "who is learnt from is seen"


def test_the_leak_of_one_clip_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, honest = three(), protocol.others
    fold = protocol.lodo(whole.clips)[0]
    other = replaced.replaced(whole, fold, "garbage")
    monkeypatch.setattr(protocol, "others", lambda clips, held_out: (fold.test[0], *honest(clips, held_out)))
    assert trained("ststnet", whole, 0).weights != trained("ststnet", other, 0).weights


def test_training_is_given_the_other_databases_and_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = three(), list[tuple[Counter[int], int]]()
    begin = LosoDataModule.__init__

    def look(self: LosoDataModule, resident: Batch, steps: int, *others: Any) -> None:
        seen.append((Counter(resident["clip"].tolist()), steps))
        begin(self, resident, steps, *others)

    monkeypatch.setattr(LosoDataModule, "__init__", look)
    for index, name in enumerate(manifest.DATABASES):
        result = trained("ststnet", whole, index)
        assert result.held_out == name
        given, steps = seen.pop()
        assert given == Counter(position for position, clip in enumerate(whole.clips) if clip.database != name)
        assert steps == 4, "ceil(27 / 7): of the largest fold, in every fold"


def test_folds_have_streams_of_their_own() -> None:
    """The seed derives from the fold's name: the same clips under another name of a fold are learnt in another order."""
    whole = three()
    folds = protocol.lodo(whole.clips)
    renamed = (dataclasses.replace(folds[0], held_out="another"), *folds[1:])
    request = request_of("ststnet")
    everything = serve(whole, engine.build(request, 3).inputs)
    digests = {
        engine.train(request, whole, everything, fold, folds, 0, torch.device("cpu"), {})[0].weights for fold in (folds[0], renamed[0])
    }
    assert len(digests) == 2


def test_another_database_takes_the_held_out_ones_place() -> None:
    whole = three()
    fold = protocol.lodo(whole.clips)[0]
    donors = replaced.donor(whole, fold)
    assert {whole.clips[index].subject for index in donors} == {"casme2/s0"}, "nobody else of smic is learnt from"
    other = replaced.replaced(whole, fold, "another subject")
    before, after = (np.concatenate(list(each.blocks("flow"))) for each in (whole, other))
    assert np.array_equal(after[list(fold.test)], before[np.resize(donors, len(fold.test))])
    assert np.array_equal(after[list(fold.train)], before[list(fold.train)])
    assert np.array_equal(other.labels[list(fold.test)], whole.labels[np.resize(donors, len(fold.test))])
