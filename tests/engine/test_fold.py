"""One fold: the same bits whatever else happens, and a held-out subject that nothing fitted has seen."""

from __future__ import annotations

import dataclasses
import os
import random
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from merbench import methods
from merbench.batch import Batch
from merbench.config import Data, Request
from merbench.data import protocol
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.foldfile import FoldResult
from merbench.method import METHODS, Method, Outputs, Stage
from merbench.presets import resolve
from merbench.results import environment

CPU = torch.device("cpu")
methods.load("ststnet")


def request_of(name: str, *overrides: str) -> Request:
    methods.load(name)
    return resolve(name, METHODS[name], data=Data("smic"), preset="quick", overrides=("training.epochs=3", "training.lr=0.01", *overrides))


def trained(prepared: Prepared, request: Request, index: int = 1, seed: int = 0) -> tuple[FoldResult, Method]:
    folds = protocol.loso(prepared.clips)
    everything = serve(prepared, engine.build(request, len(prepared.classes)).inputs)
    result, _, method = engine.train(request, prepared, everything, folds[index], folds, seed, CPU, environment("local", "cpu"))
    return result, method


def same(a: FoldResult, b: FoldResult) -> bool:
    return a.weights == b.weights and a.probabilities.tobytes() == b.probabilities.tobytes() and a.curve == b.curve


def test_what_a_fold_leaves(small: Prepared) -> None:
    result, _ = trained(small, request_of("ststnet"))
    held_out = [clip for clip in small.clips if clip.subject == "smic/s01"]
    assert result.clips == tuple(clip.key for clip in held_out)
    assert result.probabilities.shape == (3, len(held_out), 3)
    assert result.probabilities.dtype == np.float32
    assert np.allclose(result.probabilities.sum(-1), 1)
    assert result.epochs.tolist() == [1, 2, 3]
    assert len(result.curve["train"]["total"]) == 3
    assert result.curve["train"]["total"][0] > result.curve["train"]["total"][-1] > 0


@pytest.mark.parametrize("batch", [4, 100])
def test_recording_every_epoch_or_only_the_last_gives_identical_weights(small: Prepared, batch: int) -> None:
    every, _ = trained(small, request_of("ststnet", f"training.batch={batch}"))
    last, _ = trained(small, request_of("ststnet", f"training.batch={batch}", "training.record=last"))
    assert every.weights == last.weights
    assert last.epochs.tolist() == [3]
    assert every.probabilities[-1].tobytes() == last.probabilities[-1].tobytes()


def test_neither_history_nor_global_state_nor_threads_move_a_bit(small: Prepared) -> None:
    request = request_of("ststnet", "training.batch=7")
    first, _ = trained(small, request)
    trained(small, request, index=3, seed=5)
    torch.manual_seed(123)
    np.random.seed(9)
    random.seed(4)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again, _ = trained(small, request)
        assert torch.get_num_threads() == 2, "the caller's setting is put back"
    finally:
        torch.set_num_threads(before)
    assert same(first, again)


def test_training_runs_on_one_thread(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    whole = METHODS["ststnet"].loss

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        threads.add(torch.get_num_threads())
        return whole(self, outputs, batch)

    monkeypatch.setattr(METHODS["ststnet"], "loss", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trained(small, request_of("ststnet"))
    finally:
        torch.set_num_threads(before)
    assert threads == {1}


def test_each_epoch_is_served_in_its_own_order(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[list[int]] = []
    whole = METHODS["ststnet"].loss

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        served.append(batch["clip"].tolist())
        return whole(self, outputs, batch)

    monkeypatch.setattr(METHODS["ststnet"], "loss", spy)
    trained(small, request_of("ststnet", "training.batch=10", "training.order=shuffled"))
    epochs = [[clip for batch in served[start : start + 3] for clip in batch] for start in (0, 3, 6)]
    assert len(served) == 9
    assert len({tuple(epoch) for epoch in epochs}) == 3, "the order is drawn anew"
    assert {tuple(sorted(epoch)) for epoch in epochs} == {protocol.loso(small.clips)[1].train}


def test_initial_weights_differ_between_folds_and_seeds(small: Prepared) -> None:
    """Without a step of training: what is left is the start."""
    request = request_of("ststnet", "training.epochs=1", "training.lr=0")
    starts = []
    for index, seed in ((0, 0), (1, 0), (0, 1), (0, 0)):
        _, method = trained(small, request, index, seed)
        net: Any = method
        starts.append(net.head.weight.detach().clone())
    assert torch.equal(starts[0], starts[3])
    assert not torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


@pytest.mark.parametrize(
    ("name", "value"), [("PL_TRAINER_PRECISION", "bf16-mixed"), ("PL_TRAINER_LIMIT_TRAIN_BATCHES", "1"), ("SLURM_NTASKS", "2")]
)
def test_nothing_is_read_from_the_surroundings(small: Prepared, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Lightning takes unset arguments from PL_TRAINER_* and counts a cluster's tasks: other numbers under the same key."""
    clean, _ = trained(small, request_of("ststnet", "training.batch=10"))
    monkeypatch.setenv(name, value)
    if name.startswith("SLURM"):
        monkeypatch.setenv("SLURM_JOB_NAME", "night")
    again, _ = trained(small, request_of("ststnet", "training.batch=10"))
    assert same(clean, again)
    assert os.environ[name] == value


def test_global_states_are_put_back(small: Prepared) -> None:
    request, folds = request_of("ststnet"), protocol.loso(small.clips)
    everything = serve(small, METHODS["ststnet"].inputs)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    engine.train(request, small, everything, folds[0], folds, 0, CPU, {})
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]


def test_folds_seeds_and_batches_differ(small: Prepared) -> None:
    request = request_of("ststnet", "training.batch=7")
    weights = {trained(small, request, index, seed)[0].weights for index in (0, 1) for seed in (0, 1)}
    weights.add(trained(small, request_of("ststnet", "training.batch=9"), 0, 0)[0].weights)
    assert len(weights) == 5


def damaged(prepared: Prepared, fold: int) -> Prepared:
    """Replace everything of the held-out subject, its labels too, by garbage."""
    test = list(protocol.loso(prepared.clips)[fold].test)
    labels = prepared.labels.copy()
    labels[test] = (labels[test] + 1) % 3
    arrays = {name: array.copy() for name, array in prepared.arrays.items()}
    rng = np.random.default_rng(0)
    for array in arrays.values():
        array[test] = rng.uniform(0, 255 if array.dtype == np.uint8 else 50, array[test].shape).astype(array.dtype)
    return dataclasses.replace(prepared, arrays=arrays, labels=labels)


@pytest.mark.parametrize("name", methods.NAMES)
def test_nothing_fitted_has_seen_the_held_out_subject(small: Prepared, small_faces: Prepared, name: str) -> None:
    request = request_of(name, *(["method.size=28"] if name == "timm_backbone" else []))  # as large as the clips
    prepared = small_faces if engine.build(request, 3).inputs.frame else small
    clean, _ = trained(prepared, request)
    dirty, _ = trained(damaged(prepared, 1), request)
    assert clean.weights == dirty.weights
    assert clean.curve == dirty.curve
    seen, _ = trained(damaged(prepared, 2), request)
    assert seen.weights != clean.weights, "a training subject's garbage must be seen, or this test could not fail"


def test_a_methods_measures_of_held_out_clips_are_kept(small_faces: Prepared) -> None:
    """Of each held-out clip, from the trained weights, and without a trace in them."""
    request = request_of("frl_dgt")
    folds, method = protocol.loso(small_faces.clips), engine.build(request, 3)
    everything, known = serve(small_faces, method.inputs), engine.references_of(method, small_faces)
    other: Batch = {**known, "truth": -known["truth"]}
    results = [
        engine.train(request, small_faces, everything, folds[1], folds, 0, CPU, environment("local", "cpu"), known=each)[0]
        for each in (known, other)
    ]
    assert set(results[0].measures) >= {"correlation with TV-L1", "correlation with the truth", "endpoint error, 224-pixel face"}
    assert all(len(values) == len(folds[1].test) for values in results[0].measures.values())
    assert np.median(results[0].measures["correlation with the truth"]) > 0.5, "least squares alone sees this motion"
    assert np.allclose(results[1].measures["correlation with the truth"], -np.array(results[0].measures["correlation with the truth"]))
    assert same(results[0], results[1]), "what is measured by has moved the weights"


def test_held_out_results_never_reach_lightning(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    whole = engine.Recorder.on_train_epoch_end

    def spy(self: engine.Recorder, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        whole(self, trainer, module)
        names.update(trainer.callback_metrics, trainer.logged_metrics)
        assert not trainer.val_dataloaders

    monkeypatch.setattr(engine.Recorder, "on_train_epoch_end", spy)
    trained(small, request_of("ststnet"))
    assert names == {"total"}


def test_no_batch_in_training_holds_a_held_out_clip(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    whole = METHODS["ststnet"].loss

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        seen.update(batch["clip"].tolist())
        return whole(self, outputs, batch)

    monkeypatch.setattr(METHODS["ststnet"], "loss", spy)
    trained(small, request_of("ststnet"), index=2)
    assert seen == set(protocol.loso(small.clips)[2].train)


class Staged(Method):
    """Two stages: the first draws the weights towards one, with its own loss, epochs and rate."""

    card = METHODS["ststnet"].card
    inputs = METHODS["ststnet"].inputs

    def __init__(self, classes: int, warm: int = 2) -> None:
        super().__init__(classes)
        self.warm = warm
        self.head = torch.nn.Linear(3 * 28 * 28, classes)

    def logits(self, batch: Batch) -> torch.Tensor:
        return self.head(batch["flow"].flatten(1))  # type: ignore[no-any-return]

    def towards_one(self, outputs: Outputs, batch: Batch) -> Outputs:
        distance = (self.head.weight - 1).square().mean()
        return {"total": distance, "distance": distance}

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("warm-up", epochs=self.warm, lr=0.1, batch=9, loss=self.towards_one), Stage("train"))


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setitem(METHODS._entries, "staged", Staged)
    return resolve("staged", Staged, data=Data("smic"), overrides=("training.epochs=2", "training.lr=1e-9"))


def test_stages_have_their_own_loss_epochs_and_rate_and_the_last_is_recorded(small: Prepared, staged: Request) -> None:
    result, method = trained(small, staged)
    assert {stage: {part: len(values) for part, values in parts.items()} for stage, parts in result.curve.items()} == {
        "warm-up": {"total": 2, "distance": 2},
        "train": {"total": 2},
    }
    assert result.epochs.tolist() == [1, 2]
    head: Any = method.head
    assert abs(head.weight.mean() - 1) < 0.5, "the second stage goes on from the first"


def test_stages_draw_their_orders_apart(small: Prepared, staged: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, tuple[int, ...]]] = []
    whole = Method.losses

    def spy(self: Method, outputs: Outputs, batch: Batch) -> Outputs:
        assert self._stage is not None
        served.append((self._stage.name, tuple(batch["clip"].tolist())))
        return whole(self, outputs, batch)

    monkeypatch.setattr(Method, "losses", spy)
    trained(small, resolve("staged", Staged, data=Data("smic"), overrides=("training.epochs=2", "training.batch=9")))
    first = {stage: next(clips for name, clips in served if name == stage) for stage in ("warm-up", "train")}
    assert len(first["warm-up"]) == len(first["train"])
    assert first["warm-up"] != first["train"]


def test_the_number_of_ticks_is_of_all_stages(small: Prepared, staged: Request) -> None:
    folds = protocol.loso(small.clips)
    shares: list[float] = []
    everything = serve(small, Staged.inputs)
    engine.train(staged, small, everything, folds[0], folds, 0, CPU, {}, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0, 1.0]


class Diverges(Staged):
    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        return {"total": super().loss(outputs, batch)["total"] * float("nan")}


def test_a_loss_that_is_not_finite_is_told(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS._entries, "diverges", Diverges)
    request = resolve("diverges", Diverges, data=Data("smic"), overrides=("training.epochs=2",))
    with pytest.raises(engine.FoldError, match="the loss 'total' is nan in epoch 1 of stage 'train'"):
        trained(small, request)


class Remembers(Staged):
    """Keeps a running centre of whatever it sees: looking at the held-out subject would teach it."""

    centre: torch.Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("centre", torch.zeros(3 * 28 * 28))

    def logits(self, batch: Batch) -> torch.Tensor:
        x = batch["flow"].flatten(1)
        self.centre.lerp_(x.detach().mean(0), 0.1)
        return self.head(x - self.centre)  # type: ignore[no-any-return]


class Wide(Staged):
    def logits(self, batch: Batch) -> torch.Tensor:
        return torch.nn.functional.pad(super().logits(batch), (0, 1))


class Unsure(Staged):
    def logits(self, batch: Batch) -> torch.Tensor:
        logits = super().logits(batch)
        return logits if self.training else logits / 0 * 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Remembers, "predicting changes centre: the method would learn from the held-out subject"),
        (Wide, r"have shape \(3, 4\), not \(3, 3\)|have shape \(4, 4\), not \(4, 3\)"),
        (Unsure, "the held-out probabilities of epoch 1 are not finite"),
    ],
)
def test_what_is_no_honest_probability_is_refused(
    small: Prepared, monkeypatch: pytest.MonkeyPatch, method: type[Method], message: str
) -> None:
    monkeypatch.setitem(METHODS._entries, "odd", method)
    with pytest.raises(engine.FoldError, match=message):
        trained(small, resolve("odd", method, data=Data("smic"), overrides=("training.epochs=2",)))


def test_a_method_that_draws_when_it_predicts_does_not_move_its_training(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording runs under a forked random state, so even a careless method has one set of weights."""

    class Careless(Staged):
        def logits(self, batch: Batch) -> torch.Tensor:
            noise = torch.randn(()) + np.random.rand() + random.random()
            return super().logits(batch) * (1 + 0.1 * noise)

    monkeypatch.setitem(METHODS._entries, "careless", Careless)
    weights = set()
    for record in ("every", "last"):
        overrides = ("training.epochs=3", "training.lr=0.01", f"training.record={record}")
        weights.add(trained(small, resolve("careless", Careless, data=Data("smic"), overrides=overrides))[0].weights)
    assert len(weights) == 1


def test_modes_of_frozen_parts_survive_a_look_at_the_held_out_subject() -> None:
    method = Staged(3).train()
    method.head.eval()
    method.probabilities({"flow": torch.rand(2, 3, 28, 28), "clip": torch.arange(2)})
    assert method.training
    assert not method.head.training
