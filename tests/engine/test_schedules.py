"""Rates by epoch, settings that a stage has of its own, and balanced runs whose held-out subject is replaced."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from merbench.config import Training
from merbench.data import protocol, replaced
from merbench.data.datamodule import LosoDataModule, steps_per_epoch
from merbench.data.prepared import Prepared
from merbench.data.serving import serve
from merbench.engine import fold as engine
from merbench.engine.trial import check_changes
from merbench.errors import UserError
from merbench.foldfile import FoldResult
from merbench.method import METHODS, SHARED, Stage
from tests.conftest import Cli
from tests.engine.test_fold import CPU, request_of, trained


def rates(prepared: Prepared, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> list[float]:
    """Return the rate of each step of a fold, as the optimiser has it."""
    found: list[float] = []

    class Noting(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            found.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(METHODS["ststnet"], "optimizer", lambda self, stage, parameters: Noting(parameters, lr=stage.lr))
    trained(prepared, request_of("ststnet", "training.epochs=6", "training.lr=0.5", *overrides))
    return found


def test_rates_follow_the_schedule_by_epoch(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = math.ceil(max(len(fold.train) for fold in protocol.loso(small.clips)) / 10)
    assert steps > 1

    def by_epoch(*overrides: str) -> list[float]:
        found = rates(small, monkeypatch, "training.batch=10", *overrides)
        epochs = [found[begin : begin + steps] for begin in range(0, len(found), steps)]
        assert [len(set(each)) for each in epochs] == [1] * 6, "one rate an epoch"
        return [each[0] for each in epochs]

    assert by_epoch() == [0.5] * 6
    stepped = by_epoch("training.schedule=step", "training.decay=0.4", "training.decay_every=2")
    assert stepped == pytest.approx([0.5, 0.5, 0.2, 0.2, 0.08, 0.08])
    cosine = by_epoch("training.schedule=cosine")
    assert cosine == pytest.approx([0.25 * (1 + math.cos(math.pi * epoch / 6)) for epoch in range(6)])


def test_a_stage_has_its_own_settings_over_the_requests() -> None:
    training = Training(epochs=7, schedule="cosine", rotate=5, balance=True)
    own = Stage("a", epochs=3, schedule="step", decay=0.5, rotate=0.0, balance=False, crop=0.9)
    settled = own.settings(training)
    assert (settled.epochs, settled.schedule, settled.decay, settled.rotate, settled.balance, settled.crop) == (
        3,
        "step",
        0.5,
        0,
        False,
        0.9,
    )
    assert (settled.decay_every, settled.batch, settled.order) == (training.decay_every, training.batch, training.order)
    filled = own.filled(training)
    assert all(getattr(filled, name) == getattr(settled, name) for name in SHARED)
    assert Stage("b").settings(training) == training
    assert set(SHARED) == {field.name for field in dataclasses.fields(Stage)} & {field.name for field in dataclasses.fields(Training)}


def test_each_stage_is_served_by_its_own_settings(small: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, Training]] = []
    begin = LosoDataModule.__init__

    def look(self: LosoDataModule, resident: Any, steps: int, training: Training, key: int) -> None:
        given.append((steps, training))
        begin(self, resident, steps, training, key)

    monkeypatch.setattr(LosoDataModule, "__init__", look)
    monkeypatch.setattr(METHODS["ststnet"], "stages", lambda self: (Stage("a", epochs=1, batch=9), Stage("b", balance=True, rotate=3.0)))
    request = request_of("ststnet", "training.batch=12")
    trained(small, request)
    folds = protocol.loso(small.clips)
    balanced = [np.bincount(small.labels[list(fold.train)]) for fold in folds]
    assert given == [
        (math.ceil(max(len(fold.train) for fold in folds) / 9), dataclasses.replace(request.training, epochs=1, batch=9)),
        (
            math.ceil(max(np.count_nonzero(each) * each.max() for each in balanced) / 12),
            dataclasses.replace(request.training, balance=True, rotate=3.0),
        ),
    ]


@pytest.mark.parametrize(
    ("change", "stages", "why"),
    [
        ("training.decay=0.5", [Stage("a")], "no stage's schedule is step"),
        ("training.decay_every=3", [Stage("a", schedule="cosine")], "no stage's schedule is step"),
        ("training.crop_at=anywhere", [Stage("a")], "nothing is cropped"),
        ("training.rotate=3", [Stage("a", rotate=1.0)], "each of its stages sets its own"),
        ("training.balance=true", [Stage("a", balance=False), Stage("b", balance=True)], "each of its stages sets its own"),
        ("training.decay=0.5", [], "it is solved at once"),
        ("training.decay=0.5", [Stage("a", schedule="step")], ""),
        ("training.crop_at=anywhere", [Stage("a", crop=0.9)], ""),
        ("training.rotate=3", [Stage("a", rotate=1.0), Stage("b")], ""),
    ],
)
def test_an_override_that_nothing_reads_is_refused(change: str, stages: Sequence[Stage], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS["ststnet"], "stages", lambda self: tuple(stages))
    request = dataclasses.replace(request_of("ststnet", change), changes=(change,))
    if not why:
        return check_changes(request, engine.build(request, 3))
    with pytest.raises(UserError, match=why):
        check_changes(request, engine.build(request, 3))
    return None


def test_a_balanced_fold_never_sees_the_held_out_subject(small: Prepared) -> None:
    """With its clips replaced and its labels others, not a bit of the weights moves: steps are counted by what the scheme says of all folds."""
    request = request_of("ststnet", "training.balance=true", "training.batch=5", "training.crop=1", "training.schedule=step")
    folds = protocol.loso(small.clips)
    whole = serve(small, engine.build(request, 3).inputs)

    def left(everything: Any, prepared: Prepared) -> FoldResult:
        return engine.train(request, prepared, everything, folds[1], folds, 0, CPU, {}, counted=small.labels)[0]

    first = left(whole, small)
    changes: tuple[replaced.By, ...] = ("garbage", "another subject")
    for by in changes:
        other = replaced.replaced(small, folds[1], by)
        most, labels = np.bincount(small.labels).argmax(), other.labels.copy()
        labels[list(folds[1].test)] = most
        other = dataclasses.replace(other, labels=labels)
        assert steps_per_epoch(folds, 5, labels) != steps_per_epoch(folds, 5, small.labels), "counted by these, there would be other steps"
        again = left(serve(other, engine.build(request, 3).inputs), other)
        assert (again.weights, again.curve) == (first.weights, first.curve)
    unbalanced = engine.train(request_of("ststnet", "training.batch=5"), small, whole, folds[1], folds, 0, CPU, {})[0]
    assert unbalanced.weights != first.weights


def test_an_audit_of_a_balanced_run_finds_nothing(with_flow: Any, cli: Cli) -> None:
    answer = cli(
        *("audit", "ststnet", "--on", "smic", "--source", "published-flow", "--folds", "1", "--no-preparation", "--workers", "1"),
        *("training.epochs=2", "training.balance=true", "training.schedule=cosine", "training.order=shuffled"),
    )
    assert answer.code == 0, answer.out + answer.err


def test_every_new_setting_changes_what_is_learnt(small: Prepared) -> None:
    """And runs again to the same bits."""
    result, _ = trained(small, request_of("ststnet"))
    changes = (
        "balance=true",
        "schedule=step training.decay_every=1",
        "schedule=cosine",
        "rotate=10",
        "crop=0.9",
        "crop=0.9 training.crop_at=anywhere",
    )
    found = set()
    for change in changes:
        overrides = f"training.{change}".split()
        first, _ = trained(small, request_of("ststnet", *overrides))
        again, _ = trained(small, request_of("ststnet", *overrides))
        assert first.weights == again.weights
        found.add(first.weights)
    assert len(found | {result.weights}) == len(changes) + 1
