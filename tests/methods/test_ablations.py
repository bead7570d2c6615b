"""Each ablation changes what the method puts out: a switch that does nothing is a false row of a table."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from merbench import ablations, methods, streams
from merbench.ablations import Ablation
from merbench.batch import Batch, Frame, Inputs
from merbench.config import Data, Request
from merbench.data import protocol
from merbench.data.prepared import Prepared
from merbench.displacement import median
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
    """After the same few steps of training from the same weights, on a held-out subject; what two of them both read is the same.

    To ask for something and not to use it is not enough. Weights that both have are the same by name: else a part that is built and never used
    would pass, by shifting what the others draw.
    """
    monkeypatch.setattr(fold, "build", functools.partial(_alike, fold.build))
    constructor: Any = METHODS[name]
    whole = constructor.stages
    monkeypatch.setattr(constructor, "stages", lambda self: tuple(_short(stage) for stage in whole(self)))
    found = {"the whole method": trained(name, ())}
    for each in ablations.listed(name):
        outputs = trained(name, each.overrides)
        same = [other for other, known in found.items() if np.array_equal(outputs, known)]
        assert not same, f"{each.name} puts out what {same[0]} does"
        found[each.name] = outputs


@pytest.mark.parametrize(("name", "ablation"), EVERY, ids=[f"{name}-{each.name}" for name, each in EVERY])
def test_every_ablation_is_a_request_that_full_and_quick_runs_can_make(name: str, ablation: Ablation) -> None:
    for preset in ("full", "quick"):
        request = resolve(name, METHODS[name], data=Data("smic"), preset=preset, overrides=ablation.overrides)
        assert request.changes, f"{ablation.name} changes nothing of preset {preset}"
        with torch.device("meta"):  # without memory or time for the weights
            fold.build(request, 3)


def _alike(build: Callable[[Request, int], Method], request: Request, classes: int) -> Method:
    """Return a request's method, the first weights of which follow from their names and shapes; those that are all one number stay."""
    method = build(request, classes)
    for name, parameter in method.named_parameters():
        if parameter.min() < parameter.max():
            drawn = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(streams.key_of(name)))
            parameter.data = drawn * (parameter.shape[0] / parameter.numel()) ** 0.5
    return method


def _short(stage: Stage) -> Stage:
    return dataclasses.replace(stage, epochs=None if stage.epochs is None else min(stage.epochs, 1))


def served(inputs: Inputs, clips: int, classes: int = 3, seed: int = 0) -> Batch:
    """Return clips that satisfy the inputs, each part drawn by itself: what is asked for beside it does not change it."""
    part = functools.partial(batch_for, clips=clips, classes=classes, seed=seed)
    batch = part(Inputs())
    if inputs.flow:
        flow = part(Inputs(flow=dataclasses.replace(inputs.flow, strain=True)))["flow"]
        if inputs.flow.stabilisation == "median":
            flow[:, :2] -= median(flow[:, :2])
        batch["flow"] = flow if inputs.flow.strain else flow[:, :2]
    if inputs.frame:
        frames = part(Inputs(frame=dataclasses.replace(inputs.frame, colour=True, sequence=True)))
        colours = slice(None if inputs.frame.colour else 1)
        batch["onset"], batch["apex"] = frames["onset"][:, colours], frames["apex"][:, colours]
        if inputs.frame.sequence:
            share = torch.tensor([0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 0.8]).view(8, 1, 1, 1)  # it moves most after the apex, and turns back
            batch["frames"] = torch.lerp(batch["onset"].unsqueeze(1), batch["apex"].unsqueeze(1), share)
            batch["times"] = frames["times"]
    if inputs.landmarks:
        batch["landmarks"] = part(Inputs(frame=Frame(inputs.grid), landmarks=True))["landmarks"]
    return batch


def trained(name: str, overrides: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the held-out probabilities of a few clips after an epoch of each stage."""
    few = ("training.epochs=1", "training.batch=6")
    request = resolve(name, METHODS[name], data=Data("smic"), preset="quick", overrides=(*few, *overrides))
    inputs = fold.build(request, 3).inputs
    everything: Any = {key: value[KEPT] for key, value in served(inputs, 15).items()}  # type: ignore[index]
    clips = tuple(Clip("smic", f"smic/s{index % 4:02d}", f"c{index}") for index in range(len(KEPT)))
    labels = everything["label"].numpy()
    prepared = Prepared("smic", "synthetic", "megc3", clips, ("negative", "positive", "surprise"), labels, {}, "pixels")
    folds = protocol.loso(clips)
    macro = None
    if inputs.macro:
        felt = served(inputs, 10, len(EMOTIONS), seed=1)
        everybody = tuple(dataclasses.replace(each, train=tuple(range(10)), test=()) for each in folds)
        macro = Macro(felt, everybody, felt["label"].numpy())
    result, _, _ = fold.train(
        request, prepared, everything, folds[0], folds, 0, torch.device("cpu"), environment("local", "cpu"), macro=macro
    )
    last: NDArray[np.float32] = result.probabilities[-1]
    return last
