"""Pre-training on macro-expression clips: persons.csv is obeyed, whatever a set calls a person; and the door is shut to who did not ask."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from merbench import methods
from merbench.batch import Batch
from merbench.config import Data, Request, canonical, digest, resolve, run_key
from merbench.data import manifest, protocol, store
from merbench.data.datamodule import LosoDataModule, serve
from merbench.data.prepared import Prepared
from merbench.engine import fold as engine
from merbench.engine import pretraining, run
from merbench.engine.witness import Case, Trained, witnessed
from merbench.errors import UserError
from merbench.foldfile import FoldResult, read_fold
from merbench.method import METHODS, Method, Outputs
from merbench.sample import EMOTIONS, Clip
from tests.conftest import Cli

METHOD = '''
import torch

from merbench.batch import Flow, Inputs
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method, Stage


@METHODS.add("feels_first")
class FeelsFirst(Method):
    """Seven emotions of macro-expressions first, then the classes."""

    card = Card("Feels first", 2026, "none", "reconstruction", "reconstruction", ("all of it",), pretraining=("CAS(ME)^3, macro-expressions",))
    inputs = Inputs(flow=Flow(size=14), macro=True)

    def __init__(self, classes: int, epochs: int = 2, batch: int = 4, emotions: int = 7) -> None:
        super().__init__(classes)
        self.epochs, self.batch = epochs, batch
        self.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 14 * 14, 8), torch.nn.Tanh(), KeyedDropout(0.2))
        self.felt, self.head = torch.nn.Linear(8, emotions), torch.nn.Linear(8, classes)

    def logits(self, batch):
        return self.head(self.body(batch["flow"]))

    def feel(self, batch):
        return {"logits": self.felt(self.body(batch["flow"]))}

    def stages(self):
        return (Stage("macro", epochs=self.epochs, batch=self.batch, outputs=self.feel, on="macro"), Stage("train"))
'''
PEOPLE = [f"s{number:02d}" for number in range(1, 6)]
WITHOUT = "smic/s05"
"""Nobody of the macro clips."""
CPU = torch.device("cpu")


def made(on: str, source: str, clips: list[Clip], classes: tuple[str, ...], seed: int) -> Prepared:
    """Return flow whose upper rows move as far as the class says."""
    labels = np.array([(index * 5 + index // 3) % len(classes) for index in range(len(clips))], dtype=np.int64)
    flow = np.random.default_rng(seed).normal(0, 1, (len(clips), 2, 28, 28))
    flow[:, 0, :14] += labels[:, None, None]
    return Prepared(on, source, "megc3", tuple(clips), classes, labels, {"flow": flow.astype(np.float16)}, "pixels")


@pytest.fixture(scope="module")
def judged() -> Prepared:
    """Five people, 15 clips."""
    clips = [Clip("smic", f"smic/{person}", f"c{index}") for person in PEOPLE for index in range(3)]
    return made("smic", "synthetic", clips, ("negative", "positive", "surprise"), seed=0)


@pytest.fixture(scope="module")
def felt() -> Prepared:
    """Macro clips of four of them, and of another person, under the name of a set that persons.csv knows: 2, 3, 4, 5 and 3 clips."""
    people = [*PEOPLE[:4], "s09"]
    clips = [
        Clip("smic-vis", f"smic-vis/{person}", f"m{index}")
        for person, count in zip(people, (2, 3, 4, 5, 3), strict=True)
        for index in range(count)
    ]
    return dataclasses.replace(made("casme3-macro", "synthetic", clips, EMOTIONS, seed=1), scheme="seven-emotions")


def of(person: str, prepared: Prepared) -> list[int]:
    return [index for index, clip in enumerate(prepared.clips) if clip.subject.split("/")[1] == person.split("/")[1]]


def garbage(prepared: Prepared, person: str) -> Prepared:
    """Replace a person's macro clips and their labels."""
    theirs = of(person, prepared)
    flow, labels = prepared.arrays["flow"].copy(), prepared.labels.copy()
    flow[theirs] = np.random.default_rng(7).uniform(-9, 9, flow[theirs].shape)
    labels[theirs] = (labels[theirs] + 1) % len(EMOTIONS)
    return dataclasses.replace(prepared, arrays={"flow": flow}, labels=labels)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A method in its own file; what it registers is forgotten after the test."""
    path = tmp_path / "feels_first.py"
    path.write_text(METHOD)
    yield path
    if sys.modules.pop("merbench_own_feels_first", None):
        METHODS.remove("feels_first")


@pytest.fixture
def request_(file: Path) -> Request:
    methods.load(str(file))
    return asked()


def asked(*overrides: str) -> Request:
    words = ("training.epochs=2", "training.batch=5", "training.lr=0.01", *overrides)
    return resolve("feels_first", METHODS["feels_first"], data=Data("smic", "synthetic"), overrides=words)


@dataclass
class Seen:
    """What a fold's stages were given: clips by batch, and whatever lay ready for them."""

    batches: dict[str, list[list[int]]] = field(default_factory=lambda: {"macro": [], "train": []})
    resident: list[set[int]] = field(default_factory=list)


def trained(request: Request, judged: Prepared, felt: Prepared | None, index: int) -> tuple[FoldResult, Seen]:
    folds, seen = protocol.loso(judged.clips), Seen()
    inputs = engine.build(request, 3).inputs
    losses, begin = Method.losses, LosoDataModule.__init__

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        assert self._stage is not None
        seen.batches[self._stage.name].append(batch["clip"].tolist())
        return losses(self, outputs, batch)

    def look(self: LosoDataModule, resident: Batch, *others: object) -> None:
        seen.resident.append(set(resident["clip"].tolist()))
        begin(self, resident, *others)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Method, "losses", spy)
        patch.setattr(LosoDataModule, "__init__", look)
        macro = pretraining.served(felt, inputs, folds) if felt else None
        result, _, _ = engine.train(request, judged, serve(judged, inputs), folds[index], folds, 0, CPU, {}, macro=macro)
    return result, seen


# the promise, and that it is seen where it is broken


def nothing_of_the_held_out_person_is_learnt_from(request: Request, judged: Prepared, felt: Prepared) -> None:
    for index, person in enumerate(PEOPLE):
        _, seen = trained(request, judged, felt, index)
        allowed = set(range(len(felt.clips))) - set(of(f"smic/{person}", felt))
        assert {clip for batch in seen.batches["macro"] for clip in batch} == allowed
        assert seen.resident[0] == allowed, "it is not even there"


def garbage_of_the_held_out_person_moves_no_bit(request: Request, judged: Prepared, felt: Prepared) -> None:
    clean, _ = trained(request, judged, felt, 1)
    dirty, _ = trained(request, judged, garbage(felt, "smic/s02"), 1)
    assert (dirty.weights, dirty.curve) == (clean.weights, clean.curve)
    assert dirty.probabilities.tobytes() == clean.probabilities.tobytes()


PROMISES = [nothing_of_the_held_out_person_is_learnt_from, garbage_of_the_held_out_person_moves_no_bit]
Promise = Callable[[Request, Prepared, Prepared], None]


@pytest.mark.parametrize("promise", PROMISES)
def test_nobody_learns_from_the_held_out_persons_macro_clips(promise: Promise, request_: Request, judged: Prepared, felt: Prepared) -> None:
    promise(request_, judged, felt)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("leak", ["all clips", "persons.csv is not read"])
def test_a_planted_leak_is_seen(
    promise: Promise, leak: str, request_: Request, judged: Prepared, felt: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = protocol.loso(judged.clips)
    monkeypatch.setattr(protocol, "loso", lambda _: folds)  # the leak is in pre-training alone
    if leak == "all clips":
        monkeypatch.setattr(protocol, "others", lambda clips, _: tuple(range(len(clips))))
    else:
        monkeypatch.setattr(manifest, "_people", dict)
    with pytest.raises(AssertionError):
        promise(request_, judged, felt)


def test_other_peoples_macro_clips_are_learnt_from(request_: Request, judged: Prepared, felt: Prepared) -> None:
    """Or garbage that moves nothing would prove nothing."""
    clean, dirty = (trained(request_, judged, macro, 1)[0] for macro in (felt, garbage(felt, "smic/s03")))
    assert clean.weights != dirty.weights
    totals = trained(asked("method.epochs=12"), judged, felt, 1)[0].curve["macro"]["total"]
    assert totals[-1] < totals[0] - 0.1, "its labels are the emotions"


def test_every_fold_takes_the_same_steps_in_pre_training(request_: Request, judged: Prepared, felt: Prepared) -> None:
    steps = math.ceil(len(felt.clips) / 4)  # of the fold whose person has no macro clips: N_max is over all of them
    assert steps != math.ceil((len(felt.clips) - 5) / 4), "this data could not show it"
    orders: set[tuple[int, ...]] = set()
    for index, person in enumerate(PEOPLE):
        _, seen = trained(request_, judged, felt, index)
        batches = seen.batches["macro"]
        assert len(batches) == 2 * steps
        assert max(map(len, batches)) - min(map(len, batches)) <= 1
        allowed = sorted(set(range(len(felt.clips))) - set(of(f"smic/{person}", felt)))
        epochs = [[clip for batch in batches[part : part + steps] for clip in batch] for part in (0, steps)]
        assert [sorted(epoch) for epoch in epochs] == [allowed, allowed], "each clip once an epoch"
        orders.update(map(tuple, epochs))
    assert len(orders) == 2 * len(PEOPLE), "each epoch of each fold has an order of its own"


def test_neither_history_nor_order_of_folds_moves_a_bit(request_: Request, judged: Prepared, felt: Prepared) -> None:
    request = asked("training.mirror=true")
    first, _ = trained(request, judged, felt, 2)
    trained(request, judged, felt, 0)
    torch.manual_seed(5)
    again, _ = trained(request, judged, felt, 2)
    assert (first.weights, first.curve) == (again.weights, again.curve)
    plain, _ = trained(request_, judged, felt, 2)
    assert plain.curve["macro"] != first.curve["macro"], "macro clips are mirrored too"


def test_the_last_stage_is_on_the_training_subjects(request_: Request, judged: Prepared, felt: Prepared) -> None:
    result, seen = trained(request_, judged, felt, 1)
    assert {clip for batch in seen.batches["train"] for clip in batch} == set(protocol.loso(judged.clips)[1].train)
    assert result.epochs.tolist() == [1, 2]
    assert {stage: len(parts["total"]) for stage, parts in result.curve.items()} == {"macro": 2, "train": 2}
    with pytest.raises(engine.FoldError, match="stage 'macro' is on macro clips, and none were given"):
        trained(request_, judged, None, 1)


def test_who_does_not_ask_has_the_key_and_the_bits_of_before(
    judged: Prepared, felt: Prepared, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"method": 1, "engine": 1}
    before = canonical(request_)
    del before["changes"]
    whole = {"request": before, "data": "f" * 16, "versions": versions, "method_file": ""}
    assert run_key(request_, "f" * 16, versions) == digest(whole)
    assert run_key(request_, "f" * 16, versions, macro="e" * 16) not in {
        digest(whole),
        run_key(request_, "f" * 16, versions, macro="d" * 16),
    }

    constructor = METHODS["feels_first"]
    monkeypatch.setattr(constructor, "stages", Method.stages)
    monkeypatch.setattr(constructor, "inputs", dataclasses.replace(constructor.inputs, macro=False))
    without, beside = trained(request_, judged, None, 1), trained(request_, judged, felt, 1)
    assert without[0].weights == beside[0].weights
    assert without[0].probabilities.tobytes() == beside[0].probabilities.tobytes()
    assert without[1] == beside[1]


# whole runs, from what is prepared


@pytest.fixture
def stored(here: Path, judged: Prepared, felt: Prepared, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with both sets in its store; return the folder of the macro clips."""
    for name in ("SYNTHETIC", "CASME3", "SMIC"):
        monkeypatch.delenv(f"MERBENCH_{name}", raising=False)
    store.save(judged)
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
    assert "feels_first" in cli("leaderboard").out, "the board finds request, provenance and key in one"

    for path in stored.iterdir():
        path.unlink()
    stored.rmdir()
    store.save(garbage(felt, "smic/s02"), Path("prepared/macro"))
    assert cli(*words, "--workers", "1", "--runs", "again").code == 0
    again = {path.stem: path for path in Path("again").rglob("*.parquet")}
    assert {path.parents[1].name for path in first.values()}.isdisjoint(path.parents[1].name for path in again.values()), "another key"
    same = {name for name, path in first.items() if path.read_bytes() == again[name].read_bytes()}
    assert same == {"smic--s02--s0"}
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


def test_without_macro_clips_nothing_is_planned(stored: Path, file: Path) -> None:
    stored.rename(stored.parents[2] / "elsewhere")
    with pytest.raises(UserError, match="no rendered macro-expression clips are set up") as caught:
        planned(file)
    assert "merbench synth" in caught.value.remedy


def test_macro_clips_of_one_person_alone_are_refused(stored: Path, file: Path, felt: Prepared) -> None:
    own = of("smic/s04", felt)
    alone = dataclasses.replace(
        felt, clips=tuple(felt.clips[i] for i in own), labels=felt.labels[own], arrays={"flow": felt.arrays["flow"][own]}
    )
    stored.rename(stored.parents[2] / "elsewhere")
    store.save(alone, Path("prepared/macro"))
    with pytest.raises(UserError, match="all macro clips are of smic/s04"):
        planned(file, "method.batch=9")


# an audit


def witness(plan: run.Plan, change: str, index: int) -> Trained:
    return witnessed(Case(plan.request, plan.method, plan.source, plan.prepared, index, change, "cpu", macro=plan.macro))  # type: ignore[arg-type]


def test_an_audit_serves_the_macro_clips_and_changes_those_of_the_held_out_person(
    stored: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        lambda asked, folds: tuple(dataclasses.replace(f, train=leaky(asked, f.subject)) for f in folds),
    )
    assert witness(plan, "garbage", 1).weights["macro"] != witness(plan, "nothing", 1).weights["macro"], "a leak is seen"
    assert witness(plan, "garbage", PEOPLE.index(WITHOUT.split("/")[1])).failed == "", "who has no macro clips"
