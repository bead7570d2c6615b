"""Inner trainings: an epoch chosen by who is learnt from, and a fold's own training that does not know of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from merbench import methods
from merbench.batch import Batch, Flow, Inputs
from merbench.config import Data, Request, Training
from merbench.data import manifest, protocol
from merbench.data.datamodule import LosoDataModule
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine import inner, pretraining
from merbench.errors import UserError
from merbench.foldfile import FoldResult
from merbench.method import METHODS, Card, Method, Outputs, Stage
from merbench.presets import resolve
from merbench.sample import Clip, Fold
from tests.conftest import Cli
from tests.engine.test_fold import damaged

CPU = torch.device("cpu")


class Linear(Method):
    """One layer over flow."""

    card = Card("Linear", 2026, "none", "reconstruction", "reconstruction", ("all of it",))
    inputs = Inputs(flow=Flow(size=28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = torch.nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> torch.Tensor:
        return self.head(batch["flow"].flatten(1))  # type: ignore[no-any-return]


@pytest.fixture(scope="module", autouse=True)
def linear() -> Iterator[None]:
    METHODS.add("linear")(Linear)
    yield
    METHODS.remove("linear")


def asked(count: int = 3, *overrides: str) -> Request:
    words = ("training.epochs=3", "training.lr=0.02", "training.batch=9", *([f"training.inner={count}"] if count else []), *overrides)
    return resolve("linear", Linear, data=Data("smic"), overrides=words)


def trained(prepared: Prepared, request: Request, index: int = 1, seed: int = 0, **how: Any) -> FoldResult:
    folds, everything = protocol.loso(prepared.clips), serve(prepared, Linear.inputs)
    return engine.train(request, prepared, everything, folds[index], folds, seed, CPU, {}, **how)[0]


@pytest.fixture(scope="module")
def clean(small: Prepared) -> FoldResult:
    """A fold with two inner trainings."""
    return trained(small, asked(2))


def choice(result: FoldResult) -> list[Any]:
    assert result.inner is not None
    return result.inner.tolist()  # type: ignore[no-any-return]


# who is left out


def people(parts: Sequence[inner.Part]) -> list[frozenset[str]]:
    return [part.people for part in parts]


sets = st.lists(st.sampled_from(["smic", "smic-vis", "smic-nir", "casme2", "samm"]), min_size=1, max_size=5, unique=True)


@settings(max_examples=25, deadline=None)
@given(sets, st.integers(2, 9), st.integers(2, 4), st.integers(0, 3), st.randoms(use_true_random=False))
def test_each_person_is_left_out_once_under_every_name(databases: list[str], each: int, count: int, seed: int, random: Any) -> None:
    clips = [
        Clip(name, f"{name}/s{person:02d}", f"c{clip}")
        for name in databases
        for person in range(each + 1)
        for clip in range(1 + person % 3)
    ]
    random.shuffle(clips)
    request = Request("linear", {}, Data(), training=Training(inner=count))
    fold = protocol.loso(clips)[0]
    learnt_from = {manifest.person_of(clips[index].subject) for index in fold.train}
    if len(learnt_from) < count:
        with pytest.raises(UserError, match=r"needs \d people to learn from"):
            inner.split(request, clips, fold, seed)
        return
    parts = inner.split(request, clips, fold, seed)
    assert [part.number for part in parts] == list(range(1, count + 1))
    assert sorted(index for part in parts for index in part.fold.test) == sorted(fold.train), "each clip is judged once"
    for part in parts:
        left_out, kept = ({manifest.person_of(clips[index].subject) for index in half} for half in (part.fold.test, part.fold.train))
        assert left_out == part.people
        assert not left_out & kept, "nobody stands on both sides"
        assert sorted(part.fold.train + part.fold.test) == sorted(fold.train), "and nobody is lost, nor the held-out subject found"
    for home in {person.partition("/")[0] for person in learnt_from}:
        shares = [sum(person.startswith(f"{home}/") for person in part.people) for part in parts]
        assert max(shares) - min(shares) <= 1, "each database by itself"
    sizes = [len(part.people) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    backwards = clips[::-1]
    (same,) = (each for each in protocol.loso(backwards) if each.held_out == fold.held_out)
    assert people(inner.split(request, backwards, same, seed)) == people(parts), "by names, not by places in a list"


def test_the_split_is_drawn_by_scheme_fold_and_seed_and_is_every_methods() -> None:
    clips = [Clip("smic", f"smic/s{person:02d}", "c") for person in range(16)]
    folds = protocol.loso(clips)
    request = Request("linear", {}, Data(), training=Training(inner=3))
    base = people(inner.split(request, clips, folds[0], 0))
    assert people(inner.split(dataclasses.replace(request, method="another", training=Training(inner=3, lr=9)), clips, folds[0], 0)) == base
    renamed = dataclasses.replace(folds[0], held_out="smic/s99")
    other = [
        people(inner.split(request, clips, renamed, 0)),
        people(inner.split(request, clips, folds[0], 1)),
        people(inner.split(dataclasses.replace(request, scheme="smic-3"), clips, folds[0], 0)),
    ]
    assert base not in other
    assert inner.split(dataclasses.replace(request, training=Training()), clips, folds[0], 0) == ()


# what is trained


def test_a_folds_own_training_is_the_same_bits_with_and_without(small: Prepared, clean: FoldResult) -> None:
    without = trained(small, asked(0))
    assert without.inner is None
    for field in (each.name for each in dataclasses.fields(FoldResult) if each.name != "inner"):
        mine, theirs = getattr(without, field), getattr(clean, field)
        assert mine.tobytes() == theirs.tobytes() if isinstance(mine, np.ndarray) else mine == theirs, field


@dataclasses.dataclass
class Seen:
    """What each of a fold's trainings was given: clips of every step by stage, what lay ready, how far it was, what it left."""

    batches: list[tuple[str, tuple[int, ...]]] = dataclasses.field(default_factory=list)
    resident: list[set[int]] = dataclasses.field(default_factory=list)
    held_out: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    predicted: list[list[Any]] = dataclasses.field(default_factory=list)
    told: list[float] = dataclasses.field(default_factory=list)
    sealed: dict[str, str] = dataclasses.field(default_factory=dict)
    starts: list[str] = dataclasses.field(default_factory=list)


def watched(run: Callable[..., FoldResult]) -> tuple[FoldResult, Seen]:
    seen = Seen()
    losses, begin, keep, start = Method.losses, LosoDataModule.__init__, engine.Recorder.keep, engine.Recorder.__init__
    build = engine.build

    def step(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        assert self._stage is not None
        seen.batches.append((self._stage.name, tuple(batch["clip"].tolist())))
        return losses(self, outputs, batch)

    def serve_(self: LosoDataModule, resident: Batch, *others: Any) -> None:
        seen.resident.append(set(resident["clip"].tolist()))
        begin(self, resident, *others)

    def record(self: engine.Recorder, record: Any, held_out: Batch, tick: Any) -> None:
        assert "label" not in held_out
        seen.held_out.append(tuple(held_out["clip"].tolist()))
        seen.predicted.append([])
        start(self, record, held_out, tick)

    def look(self: engine.Recorder, method: Method, epoch: int) -> None:
        keep(self, method, epoch)
        seen.predicted[-1].append(self.probabilities[-1].argmax(-1))

    def built(request: Request, classes: int) -> Method:
        method = build(request, classes)
        seen.starts.append(engine.weights_digest(method))
        return method

    def seal(stage: str, method: Method, _: Any) -> None:
        seen.sealed[stage] = engine.weights_digest(method)

    with pytest.MonkeyPatch.context() as patch:
        for owner, name, spy in (
            (Method, "losses", step),
            (LosoDataModule, "__init__", serve_),
            (engine.Recorder, "__init__", record),
            (engine.Recorder, "keep", look),
            (engine, "build", built),
        ):
            patch.setattr(owner, name, spy)
        return run(tick=seen.told.append, seal=seal), seen


def test_inner_trainings_are_whole_ones_on_their_own_clips(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "stages", lambda self: (Stage("first", epochs=1, batch=9), Stage("last")))
    request, fold = asked(3), protocol.loso(small.clips)[1]
    result, seen = watched(lambda **how: trained(small, request, **how))
    parts = inner.split(request, small.clips, fold, 0)
    assert seen.held_out == [fold.test, *(part.fold.test for part in parts)], "the fold's own comes first"
    learnt = [set(fold.train), *(set(part.fold.train) for part in parts)]
    assert seen.resident == [clips for clips in learnt for _ in range(2)], "of both stages"
    steps = len(seen.batches) // 4
    for place, clips in enumerate(learnt):
        served = seen.batches[place * steps : (place + 1) * steps]
        assert Counter(name for name, _ in served) == {"first": 3, "last": 9}, "as many steps as the fold's own: an epoch is an epoch"
        for begin in range(0, steps, 3):
            assert sorted(clip for _, batch in served[begin : begin + 3] for clip in batch) == sorted(clips), "each clip once an epoch"
    expected = np.zeros((3, 3, 3), dtype=np.int64)
    for part, epochs in zip(parts, seen.predicted[1:], strict=True):
        truth = small.labels[list(part.fold.test)]
        expected += np.stack([confusion_matrix(truth, predicted, labels=[0, 1, 2]) for predicted in epochs])
    assert choice(result) == expected.tolist()
    assert list(seen.sealed) == [name + of for of in ("", " (inner 1)", " (inner 2)", " (inner 3)") for name in ("first", "last")]
    assert len(set(seen.sealed.values())) == 8
    assert len(set(seen.starts)) == len(seen.starts) == 4, "each from initial weights of its own"
    assert seen.told == [pytest.approx(share / 16) for share in range(1, 17)] + [1.0]


def test_only_the_last_epoch_is_judged_where_only_that_is_recorded(small: Prepared, clean: FoldResult) -> None:
    """An audit asks for it; a run is refused, since there would be nothing to choose."""
    last = trained(small, asked(2, "training.record=last"))
    assert choice(last) == choice(clean)[-1:]
    assert last.weights == clean.weights


# nothing of the held-out subject


def test_garbage_of_the_held_out_subject_moves_no_choice(small: Prepared, clean: FoldResult) -> None:
    """Its frames and labels are all others."""
    dirty, seen = (trained(damaged(small, index), asked(2)) for index in (1, 2))
    assert (choice(dirty), dirty.weights) == (choice(clean), clean.weights)
    assert choice(seen) != choice(clean), "of somebody who is learnt from it does"


def leaking(side: str) -> Callable[..., tuple[inner.Part, ...]]:
    honest = inner.split

    def split(request: Request, clips: Sequence[Clip], fold: Fold, seed: int) -> tuple[inner.Part, ...]:
        def spoilt(half: Fold) -> Fold:
            if side == "train":
                return dataclasses.replace(half, train=(*half.train, *fold.test))
            return dataclasses.replace(half, test=(*half.test, *fold.test))

        return tuple(dataclasses.replace(part, fold=spoilt(part.fold)) for part in honest(request, clips, fold, seed))

    return split


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_planted_leak_would_be_seen(small: Prepared, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out subject is learnt from, or judged, by inner trainings."""
    monkeypatch.setattr(inner, "split", leaking(side))
    request = asked(2, "training.epochs=2", "training.batch=100")
    first, other = (choice(trained(each, request)) for each in (small, damaged(small, 1)))
    assert first != other


def test_macro_clips_of_who_is_left_out_are_not_learnt_from(judged: Prepared, felt: Prepared, file: Any) -> None:
    methods.load(str(file))
    words = ("training.epochs=2", "training.batch=5", "training.inner=2", "method.batch=6")
    request = resolve("feels_first", METHODS["feels_first"], data=Data("smic", "synthetic"), overrides=words)
    folds, inputs = protocol.loso(judged.clips), Inputs(flow=Flow(size=14), macro=True)
    macro = pretraining.served(felt, inputs, folds)

    def run(**how: Any) -> FoldResult:
        return engine.train(request, judged, serve(judged, inputs), folds[0], folds, 0, CPU, {}, macro=macro, **how)[0]

    _, seen = watched(run)
    parts = inner.split(request, judged.clips, folds[0], 0)
    for learnt, part in zip(seen.resident[2::2], parts, strict=True):
        out = {"smic/s91", *part.people}
        assert len(part.people) == 2
        assert learnt == {index for index, clip in enumerate(felt.clips) if manifest.person_of(clip.subject) not in out}
    assert seen.resident[0] == {index for index, clip in enumerate(felt.clips) if manifest.person_of(clip.subject) != "smic/s91"}
    inner.check(request, engine.build(request, 3), judged, folds, 1, felt)
    lean = dataclasses.replace(request, arguments={**request.arguments, "batch": 2})
    with pytest.raises(
        UserError, match=r"an epoch of stage 'macro' has 9 steps, and an inner training of the fold that holds smic/s9. out has"
    ):
        inner.check(lean, engine.build(lean, 3), judged, folds, 1, felt)


# what is refused


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("training.epochs=1",), "has nothing to choose: linear has one epoch"),
        (("training.record=last",), "has nothing to choose: with training.record=last"),
        (("training.batch=2",), r"an epoch of stage 'train' has 13 steps, and an inner training of the fold .* has 1?\d clips"),
    ],
)
def test_where_inner_trainings_make_no_sense(small: Prepared, overrides: tuple[str, ...], told: str) -> None:
    request, folds = asked(2, *overrides), protocol.loso(small.clips)
    with pytest.raises(UserError, match=told) as caught:
        inner.check(request, engine.build(request, 3), small, folds, 3, None)
    assert "leave training.inner out" in caught.value.remedy
    allowed = asked(2, "training.batch=9")
    inner.check(allowed, engine.build(allowed, 3), small, folds, 3, None)
    inner.check(asked(0, *overrides), engine.build(request, 3), small, folds, 3, None)


@pytest.mark.parametrize("count", [1, -3, 21, 10**9])
def test_a_number_that_leaves_nobody_out_or_everybody(count: int) -> None:
    with pytest.raises(UserError, match=r"training\.inner is") as caught:
        asked(count)
    assert "such as 3, or 0 for none" in caught.value.remedy


def test_what_goes_wrong_in_an_inner_training_is_told_as_such(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        """Without all of a fold's clips in a step there is no loss."""
        return {"total": outputs["logits"].sum() * (1 if len(batch["clip"]) > 20 else np.nan)}

    monkeypatch.setattr(Linear, "loss", diverging)
    with pytest.raises(engine.NotFiniteError, match="inner training 1: the loss 'total' is nan in epoch 1 of stage 'train'"):
        trained(small, asked(2, "training.batch=100", "training.epochs=2"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("svm_flow", "training.inner=3"), "does not read training.inner: it is solved at once"),
        (("ststnet", "training.inner=3", "training.epochs=1"), "nothing to choose: ststnet has one epoch"),
        (("ststnet", "training.inner=16"), "needs 16 people to learn from; the fold that holds smic/s01 out has 15"),
    ],
)
def test_a_run_is_refused_before_it_is_begun(with_flow: Path, cli: Cli, words: tuple[str, ...], told: str) -> None:
    answer = cli("bench", *words, "--on", "smic", "--workers", "1")
    assert answer.code == 2
    assert told in answer.err
    assert "do: " in answer.err
    assert not Path("runs").exists()
