"""Pre-training on macro-expression clips: persons.csv is obeyed, whatever a set calls a person; and the door is shut to who did not ask."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from merbench import methods
from merbench.batch import Batch, Flow, Inputs
from merbench.config import Data, Request, digest, identity, run_key
from merbench.data import manifest, protocol
from merbench.data.datamodule import LosoDataModule
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine import pretraining
from merbench.foldfile import FoldResult
from merbench.method import METHODS, Method, Outputs
from merbench.presets import resolve
from tests.engine.conftest import BOTH, PEOPLE, garbage, of

CPU = torch.device("cpu")
Flow14 = Inputs(flow=Flow(size=14))


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
    served: list[Batch] = field(default_factory=list, compare=False)
    labelled: list[bool] = field(default_factory=list)


def trained(request: Request, judged: Prepared, felt: Prepared | None, index: int) -> tuple[FoldResult, Seen]:
    folds, seen = protocol.loso(judged.clips), Seen()
    inputs = engine.build(request, 3).inputs
    losses, begin = Method.losses, LosoDataModule.__init__

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        assert self._stage is not None
        seen.batches[self._stage.name].append(batch["clip"].tolist())
        seen.labelled.append("label" in batch)
        return losses(self, outputs, batch)

    def look(self: LosoDataModule, resident: Batch, *others: object) -> None:
        seen.resident.append(set(resident["clip"].tolist()))
        seen.served.append(resident)
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
    dirty, _ = trained(request, judged, garbage(felt, "smic/s92"), 1)
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
    clean, dirty = (trained(request_, judged, macro, 1)[0] for macro in (felt, garbage(felt, "smic/s93")))
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


# both sets together


@pytest.fixture
def both(file: Path) -> Request:
    file.write_text(BOTH)
    methods.load(str(file))
    return asked()


def test_on_both_sets_each_clip_comes_once_an_epoch_and_nothing_of_the_held_out_person(
    both: Request, judged: Prepared, felt: Prepared
) -> None:
    folds, own, more = protocol.loso(judged.clips), serve(judged, Flow14), serve(felt, Flow14)
    shares = [set(fold.train) | ({15 + i for i in range(len(felt.clips))} - {15 + i for i in of(fold.held_out, felt)}) for fold in folds]
    steps = math.ceil(max(map(len, shares)) / 4)
    assert steps != math.ceil(min(map(len, shares)) / 4), "this data could not show it"
    orders: set[tuple[int, ...]] = set()
    for index, allowed in enumerate(shares):
        _, seen = trained(both, judged, felt, index)
        batches, resident = seen.batches["macro"], seen.served[0]
        assert len(batches) == 2 * steps
        assert max(map(len, batches)) - min(map(len, batches)) <= 1
        epochs = [[clip for batch in batches[part : part + steps] for clip in batch] for part in (0, steps)]
        assert [sorted(epoch) for epoch in epochs] == [sorted(allowed)] * 2
        assert sorted(resident["clip"].tolist()) == sorted(allowed), "it is not even there"
        for clip, flow in zip(resident["clip"].tolist(), resident["flow"], strict=True):
            assert torch.equal(flow, own["flow"][clip] if clip < 15 else more["flow"][clip - 15]), "a number stands for its clip"
        orders.update(map(tuple, epochs))
        assert seen.labelled == [False] * 2 * steps + [True] * (len(seen.labelled) - 2 * steps), "the sets have other classes"
        assert {clip for batch in seen.batches["train"] for clip in batch} == set(folds[index].train)
    assert len(orders) == 2 * len(PEOPLE)


def test_on_both_sets_garbage_of_the_held_out_person_moves_no_bit(both: Request, judged: Prepared, felt: Prepared) -> None:
    garbage_of_the_held_out_person_moves_no_bit(both, judged, felt)
    clean, dirty = (trained(both, judged, macro, 1)[0] for macro in (felt, garbage(felt, "smic/s93")))
    assert clean.weights != dirty.weights, "others are learnt from"
    by_class, seen = trained(asked("training.order=by-class"), judged, felt, 1)
    assert by_class.curve["macro"] == clean.curve["macro"], "what has no classes is shuffled"
    assert by_class.curve["train"] != clean.curve["train"]
    balanced, _ = trained(asked("training.balance=true"), judged, felt, 1)
    assert balanced.curve["macro"] == clean.curve["macro"], "and not balanced"
    assert len(seen.batches["macro"]) == len(set(map(tuple, seen.batches["macro"])))


def test_who_does_not_ask_has_the_key_and_the_bits_of_before(
    judged: Prepared, felt: Prepared, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"method": 1, "engine": 1}
    before = identity(request_)
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
