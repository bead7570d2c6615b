"""How long a clip takes is looked at after everything else, and leaves no trace."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from merbench import methods
from merbench.batch import Batch
from merbench.data import protocol
from merbench.data.datamodule import held_out_clips
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine import latency as looked
from merbench.engine.latency import latency
from merbench.foldfile import FoldResult
from merbench.method import METHODS, Method
from merbench.results import Cost, environment
from merbench.weights import digest
from tests.engine.test_fold import CPU, request_of, same

methods.load("svm_flow")


def trained(prepared: Prepared, name: str) -> tuple[FoldResult, Cost, Method]:
    request, folds = request_of(name), protocol.loso(prepared.clips)
    everything = serve(prepared, engine.build(request, 3).inputs)
    return engine.train(request, prepared, everything, folds[1], folds, 0, CPU, environment("local", "cpu"))


@pytest.mark.parametrize("name", ["ststnet", "svm_flow"])
def test_it_is_measured_and_moves_nothing(small: Prepared, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    result, cost, method = trained(small, name)
    assert cost.clip_seconds is not None
    assert 0 < cost.clip_seconds < 5
    assert digest(method.state_dict()) == result.weights
    monkeypatch.setattr(engine, "latency", lambda *_: None)
    without, bare, _ = trained(small, name)
    assert bare.clip_seconds is None
    assert same(result, without)


def one(prepared: Prepared, method: Method) -> Batch:
    folds = protocol.loso(prepared.clips)
    batch = held_out_clips(serve(prepared, method.inputs), folds[1])
    clip: Batch = {"flow": batch["flow"][:1], "clip": batch["clip"][:1]}
    return clip


def test_one_clip_is_judged_in_eval_mode_and_warm(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    method = METHODS["ststnet"](3)
    method.train()
    modes, sizes, logits = [], [], type(method).logits

    def seen(self: Method, batch: Batch) -> torch.Tensor:
        modes.append(self.training)
        sizes.append(len(batch["flow"]))
        torch.rand(1), np.random.random(), random.random()
        found: torch.Tensor = logits(self, batch)
        return found

    monkeypatch.setattr(type(method), "logits", seen)
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]  # the old generator has a table
    before = digest(method.state_dict())
    assert latency(method, one(small, method), CPU)
    assert modes == [False] * (1 + looked.REPEATS), "once to warm up"
    assert set(sizes) == {1}
    assert method.training
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[index]
    assert random.getstate() == states[2]
    assert digest(method.state_dict()) == before
    modes.clear()
    monkeypatch.setattr(looked, "BUDGET", 0)
    assert latency(method, one(small, method), CPU)
    assert len(modes) == 2, "what is slow is looked at once"


def test_a_method_that_cannot_judge_one_clip_loses_nothing(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    method = METHODS["ststnet"](3)
    monkeypatch.setattr(type(method), "logits", lambda *_: 1 / 0)
    assert latency(method, one(small, method), CPU) is None
