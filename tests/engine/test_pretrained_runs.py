"""Whole runs and audits of a method that is pre-trained on macro clips, from what is prepared."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from merbench.data import prepare, protocol, schemes, serving, store
from merbench.data.prepared import Prepared
from merbench.engine import run
from merbench.engine.witness import Case, Trained, witnessed
from merbench.errors import UserError
from merbench.foldfile import read_fold
from merbench.sample import Clip
from tests.conftest import Cli
from tests.engine.conftest import BOTH, METHOD, PEOPLE, WITHOUT, garbage, of


@pytest.fixture
def stored(here: Path, judged: Prepared, felt: Prepared, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with both sets in its store; return the folder of the macro clips."""
    for name in ("SYNTHETIC", "CASME3", "SMIC"):
        monkeypatch.delenv(f"MERBENCH_{name}", raising=False)
    labels = {clip.key: int(label) for clip, label in zip(judged.clips, judged.labels, strict=True)}
    few = schemes.Scheme("megc3", judged.classes, judged.clips, labels, "these tests")
    monkeypatch.setattr(schemes, "listed_part", lambda *_: few)
    store.save(judged, how=prepare.how(()))
    return store.save(felt, Path("prepared/macro"))


def planned(file: Path, *overrides: str, source: str = "synthetic") -> run.Plan:
    words = ["training.epochs=2", "training.batch=5", *overrides]
    return run.plan(
        str(file), "smic", source=source, scheme="megc3", preset="full", overrides=words, seeds=1, worker_count=1, root=Path("runs")
    )


def test_a_run_tells_what_it_was_pre_trained_on_and_obeys_persons(stored: Path, file: Path, felt: Prepared, cli: Cli) -> None:
    """Through the command line, with workers: garbage for one person's macro clips is another run, and that person's fold the same."""
    words = ("bench", str(file), "--source", "synthetic", "--on", "smic", "training.epochs=2", "training.batch=5")
    found = cli(*words, "--workers", "2")
    assert found.code == 0, found.err
    first = {path.stem: path for path in Path("runs").rglob("*.parquet")}
    assert len(first) == len(PEOPLE)
    told = planned(file)
    assert told.missing == []
    assert told.provenance.data["macro"] == store.load(stored).fingerprint
    assert told.provenance.results_versions["serving"] == serving.RESULTS_VERSION
    assert "feels_first" in cli("leaderboard").out, "the board finds request, provenance and key in one"

    for path in stored.iterdir():
        path.unlink()
    stored.rmdir()
    store.save(garbage(felt, "smic/s92"), Path("prepared/macro"))
    assert cli(*words, "--workers", "1", "--runs", "again").code == 0
    again = {path.stem: path for path in Path("again").rglob("*.parquet")}
    assert {path.parents[1].name for path in first.values()}.isdisjoint(path.parents[1].name for path in again.values()), "another key"
    same = {name for name, path in first.items() if read_fold(path).weights == read_fold(again[name]).weights}
    assert same == {"smic--s92--s0"}
    assert all(read_fold(path).weights for path in again.values())


def test_macro_clips_that_are_not_those_of_their_name_are_refused(stored: Path, file: Path) -> None:
    flow = np.load(stored / "flow.npy")
    np.save(stored / "flow.npy", flow + 1)
    with pytest.raises(UserError, match="not those of their name"):
        planned(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", macro=True", "", "stage 'macro' is on macro clips, and the method does not ask for them"),
        (', Stage("train"))', ",)", "the last stage, 'macro', is on macro clips"),
        (', on="macro"', "", "the method asks for macro clips, and no stage is on them"),
        ('"macro")', '"training+macro")', "KeyError: 'label'"),
        ("emotions: int = 7", "emotions: int = 3", "IndexError: Target 6 is out of bounds"),
        ("batch: int = 4", "batch: int = 1", "the smallest fold has 12 clips"),
        ("Flow(size=14)", "Flow(size=14), landmarks=True", "the method reads landmarks"),
    ],
)
def test_what_cannot_be_pre_trained_is_refused_before_anything_is_trained(
    stored: Path, file: Path, old: str, new: str, message: str
) -> None:
    assert METHOD.count(old) == 1
    file.write_text(METHOD.replace(old, new))
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        planned(file)
    assert caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", macro=True", "", "stage 'macro' is on macro clips, and the method does not ask for them"),
        (', Stage("train"))', ",)", "the last stage, 'macro', is on macro clips"),
        ("batch: int = 4", "batch: int = 1", "an epoch has 29 steps, and the smallest fold has 24 clips"),
    ],
)
def test_a_stage_on_both_sets_is_refused_for_the_same_reasons(stored: Path, file: Path, old: str, new: str, message: str) -> None:
    assert BOTH.count(old) == 1
    file.write_text(BOTH.replace(old, new))
    with pytest.raises(UserError, match=re.escape(message)):
        planned(file)


def test_without_macro_clips_nothing_is_planned(stored: Path, file: Path) -> None:
    stored.rename(stored.parents[2] / "elsewhere")
    with pytest.raises(UserError, match="no rendered macro-expression clips are set up") as caught:
        planned(file)
    assert "merbench synth" in caught.value.remedy


def test_macro_clips_of_one_person_alone_are_refused(stored: Path, file: Path, felt: Prepared) -> None:
    own = of("smic/s94", felt)
    alone = dataclasses.replace(
        felt, clips=tuple(felt.clips[i] for i in own), labels=felt.labels[own], arrays={"flow": felt.arrays["flow"][own]}
    )
    stored.rename(stored.parents[2] / "elsewhere")
    store.save(alone, Path("prepared/macro"))
    with pytest.raises(UserError, match="all macro clips are of smic/s94"):
        planned(file, "method.batch=9")


# an audit


def witness(plan: run.Plan, change: str, index: int) -> Trained:
    return witnessed(Case(plan.request, plan.method, plan.source, plan.prepared, index, change, "cpu", macro=plan.macro))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [METHOD, BOTH], ids=["alone", "both"])
def test_an_audit_serves_the_macro_clips_and_changes_those_of_the_held_out_person(
    text: str, stored: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(text)
    plan = planned(file)
    clean = witness(plan, "nothing", 1)
    assert clean.failed == ""
    assert list(clean.weights) == ["macro", "train"]
    for change in ("again", "garbage", "another subject", "last epoch only"):
        assert witness(plan, change, 1).weights == clean.weights
    others, clips = protocol.others, store.load(stored).clips

    def leaky(asked: tuple[Clip, ...], held_out: str) -> tuple[int, ...]:
        return tuple(range(len(clips))) if asked == clips else others(asked, held_out)

    monkeypatch.setattr(
        protocol,
        "pretraining",
        lambda asked, folds: tuple(dataclasses.replace(f, train=leaky(asked, f.held_out)) for f in folds),
    )
    assert witness(plan, "garbage", 1).weights["macro"] != witness(plan, "nothing", 1).weights["macro"], "a leak is seen"
    assert witness(plan, "garbage", PEOPLE.index(WITHOUT.split("/")[1])).failed == "", "who has no macro clips"
