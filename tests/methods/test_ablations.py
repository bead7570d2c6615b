"""Each ablation changes what the method puts out: a switch that does nothing is a false row of a table."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from merbench import ablations, methods, streams
from merbench.ablations import Ablation
from merbench.batch import Inputs
from merbench.config import Data
from merbench.data import protocol
from merbench.data.prepared import Prepared
from merbench.engine import fold
from merbench.engine.pretraining import Macro
from merbench.method import METHODS, Method, Stage
from merbench.presets import resolve
from merbench.results import environment
from merbench.sample import EMOTIONS, Clip
from tests.contract import batch_for

for _name in methods.NAMES:
    methods.load(_name)

KEPT = [index for index in range(15) if index % 3 < 2 or index < 6]
"""Clips of a batch: one class has fewer than the others, so that balancing them matters."""

EVERY = [(name, each) for name in methods.NAMES for each in ablations.listed(name)]


@pytest.mark.parametrize("name", [name for name in methods.NAMES if ablations.listed(name)])
def test_every_ablation_gives_other_outputs_than_the_method_and_than_the_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the same few steps of training from the same weights, on a held-out subject; or it asks the data module for other inputs.

    Weights are drawn by their names: a switch that only takes a part away would otherwise draw others for all that come after it, and differ
    by that alone.
    """
    constructor: Any = METHODS[name]
    monkeypatch.setattr(fold, "build", lambda *asked, build=fold.build: drawn_by_name(build(*asked)))
    whole = constructor.stages
    monkeypatch.setattr(constructor, "stages", lambda self: tuple(_short(stage) for stage in whole(self)))
    found = {"the whole method": trained(name, ())}
    for each in ablations.listed(name):
        inputs, outputs = trained(name, each.overrides)
        same = [other for other, (reads, known) in found.items() if reads == inputs and np.array_equal(outputs, known)]
        assert not same, f"{each.name} puts out what {same[0]} does"
        found[each.name] = inputs, outputs


@pytest.mark.parametrize(("name", "ablation"), EVERY, ids=[f"{name}-{each.name}" for name, each in EVERY])
def test_every_ablation_is_a_request_that_full_and_quick_runs_can_make(name: str, ablation: Ablation) -> None:
    for preset in ("full", "quick"):
        request = resolve(name, METHODS[name], data=Data("smic"), preset=preset, overrides=ablation.overrides)
        assert request.changes, f"{ablation.name} changes nothing of preset {preset}"
        with torch.device("meta"):  # without memory or time for the weights
            fold.build(request, 3)


def _short(stage: Stage) -> Stage:
    return dataclasses.replace(stage, epochs=None if stage.epochs is None else min(stage.epochs, 1))


def drawn_by_name(method: Method) -> Method:
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if parameter.dim() > 1:
                generator = torch.Generator().manual_seed(streams.key_of(name, *parameter.shape))
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5)
            elif parameter.min() < parameter.max():
                parameter.zero_()
    return method


def trained(name: str, overrides: tuple[str, ...]) -> tuple[Inputs, NDArray[np.float32]]:
    """Return what is asked of a clip, and the held-out probabilities of a few clips after an epoch of each stage."""
    few = ("training.epochs=1", "training.batch=6")
    request = resolve(name, METHODS[name], data=Data("smic"), preset="quick", overrides=(*few, *overrides))
    inputs = fold.build(request, 3).inputs
    everything: Any = {key: value[KEPT] for key, value in batch_for(inputs, 15).items()}  # type: ignore[index]
    clips = tuple(Clip("smic", f"smic/s{index % 4:02d}", f"c{index}") for index in range(len(KEPT)))
    labels = everything["label"].numpy()
    prepared = Prepared("smic", "synthetic", "megc3", clips, ("negative", "positive", "surprise"), labels, {}, "pixels")
    folds = protocol.loso(clips)
    macro = None
    if inputs.macro:
        felt = batch_for(inputs, 10, len(EMOTIONS), seed=1)
        everybody = tuple(dataclasses.replace(each, train=tuple(range(10)), test=()) for each in folds)
        macro = Macro(felt, everybody, felt["label"].numpy())
    result, _, _ = fold.train(
        request, prepared, everything, folds[0], folds, 0, torch.device("cpu"), environment("local", "cpu"), macro=macro
    )
    return inputs, result.probabilities[-1]
