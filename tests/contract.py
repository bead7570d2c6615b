"""What every method owes: one function per promise, run over the registry and over methods that break it.

A check takes a maker of the method (a class with ``classes`` as its only needed argument) and raises where the promise is broken.
"""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from merbench.batch import Batch, Inputs
from merbench.config import Training
from merbench.engine.pretraining import check_stages
from merbench.layers import Keyed
from merbench.method import ClosedForm, Method, Stage
from merbench.sample import EMOTIONS

Maker = Callable[[int], Method]
CHECKS: dict[str, Callable[[Maker], None]] = {}


def promise(check: Callable[[Maker], None]) -> Callable[[Maker], None]:
    CHECKS[check.__name__] = check
    return check


def build(make: Maker, classes: int = 3, seed: int = 0) -> Method:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method = make(classes)
    method.seed_layers(seed)
    return method


def batch_for(inputs: Inputs, clips: int, classes: int = 3, seed: int = 0) -> Batch:
    """Return clips that satisfy the inputs; motion sits where the class says."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % classes
    batch: Batch = {"label": labels, "clip": torch.arange(clips)}
    if inputs.flow is not None:
        size = inputs.flow.size
        flow = torch.randn(clips, 3 if inputs.flow.strain else 2, size, size, generator=generator)
        for index, label in enumerate(labels.tolist()):
            row = label * size // classes
            flow[index, :, row : row + size // classes] += 2
        batch["flow"] = flow / 8
    if inputs.frame is not None:
        shape = (clips, 3 if inputs.frame.colour else 1, inputs.frame.size, inputs.frame.size)
        batch["onset"] = torch.rand(shape, generator=generator)
        batch["apex"] = batch["onset"].clone()
        for index, label in enumerate(labels.tolist()):  # the same frame, a part of which has moved by a pixel
            row = label * shape[-1] // classes
            part = slice(row, row + shape[-1] // classes)
            batch["apex"][index, :, part] = batch["onset"][index, :, part].roll(1, dims=-1)
        if inputs.frame.sequence:
            mixed = torch.linspace(0, 1, 8).view(1, 8, 1, 1, 1)
            batch["frames"] = (1 - mixed) * batch["onset"].unsqueeze(1) + mixed * batch["apex"].unsqueeze(1)
            batch["times"] = torch.linspace(0, 1.4, 8).expand(clips, 8).contiguous()
    if inputs.landmarks:
        batch["landmarks"] = torch.rand(clips, 68, 2, generator=generator) * inputs.grid
    return batch


def batch_of(stage: Stage, inputs: Inputs, clips: int) -> Batch:
    """Return clips for a stage; macro clips have the seven emotions, whatever the method's classes are, and beside others no label."""
    batch = batch_for(inputs, clips, len(EMOTIONS) if stage.macro else 3)
    return without_labels(batch) if stage.on == "training+macro" else batch


def without_labels(batch: Batch) -> Batch:
    held_out: Batch = {**batch}
    del held_out["label"]
    return held_out


def taught(make: Maker, classes: int = 3, clips: int = 12, seed: int = 0) -> Method:
    """Return the method after it has seen something: fitted, or with moved batch statistics."""
    method = build(make, classes, seed)
    batch = batch_for(method.inputs, clips, classes)
    if isinstance(method, ClosedForm):
        method.fit(batch)
    else:
        method.train()
        for _ in range(3):
            method.outputs(batch)
    return method


@promise
def logits_have_the_right_shape(make: Maker) -> None:
    for classes in (2, 3, 5):
        method = taught(make, classes, clips=3 * classes)
        outputs = method.eval().outputs(batch_for(method.inputs, 7, classes))
        assert outputs["logits"].shape == (7, classes)
        assert torch.isfinite(outputs["logits"]).all()


@promise
def every_parameter_gets_a_gradient(make: Maker) -> None:
    method = build(make).train()
    if isinstance(method, ClosedForm):
        assert not list(method.parameters()), "a closed form descends nothing"
        return
    for _ in range(2):  # a branch whose last normalisation begins at zero, as in residual networks, is reached in the second step
        for stage in method.stages():
            method.begin(stage.filled(Training()))
            batch = batch_of(stage, method.inputs, 12)
            torch.autograd.backward(method.losses(method(batch), batch)["total"])
        torch.optim.SGD(method.parameters(), lr=1e-3).step()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert parameter.grad.abs().sum() > 0, f"{name} gets a gradient of zero"


@promise
def neighbours_do_not_matter(make: Maker) -> None:
    """In eval mode a clip's probabilities do not depend on who stands in its batch, nor on order."""
    method = taught(make)
    batch = without_labels(batch_for(method.inputs, 9))
    whole = method.probabilities(batch)
    for index in range(9):
        one: Batch = {name: value[index : index + 1] for name, value in batch.items()}  # type: ignore[assignment,index]
        assert torch.allclose(method.probabilities(one)[0], whole[index], atol=1e-5), f"clip {index} depends on its neighbours"


@promise
def one_batch_can_be_learnt(make: Maker) -> None:
    method = build(make)
    if method.inputs == Inputs():
        return  # it reads nothing of a clip: a floor to compare with
    batch = batch_for(method.inputs, 9)
    if isinstance(method, ClosedForm):
        method.fit(batch)
    else:
        optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
        for step in range(150):
            if step % 25 == 0 and (method.probabilities(without_labels(batch)).argmax(1) == batch["label"]).all():
                break
            optimizer.zero_grad()
            torch.autograd.backward(method.train().loss(method.outputs(batch), batch)["total"])
            optimizer.step()
    right = method.probabilities(without_labels(batch)).argmax(1) == batch["label"]
    assert right.all(), f"only {int(right.sum())} of 9 clips learnt"


@promise
def same_seed_same_weights(make: Maker) -> None:
    first, again, other = (copy.deepcopy(_trained(make, seed)) for seed in (1, 1, 2))
    same = [torch.equal(a, b) for a, b in zip(_tensors(first), _tensors(again), strict=True)]
    assert all(same), "two trainings with one seed differ"
    if list(first.parameters()):
        assert not all(torch.equal(a, b) for a, b in zip(_tensors(first), _tensors(other), strict=True)), "the seed changes nothing"


@promise
def nothing_is_drawn_from_the_global_state(make: Maker) -> None:
    """Otherwise looking at the held-out subject, or another fold beside it, would change the weights."""
    method = build(make)
    batch = batch_for(method.inputs, 6)
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # type: ignore[index]
    if isinstance(method, ClosedForm):
        method.fit(batch)
    else:
        method.train().loss(method.outputs(batch), batch)
    method.probabilities(without_labels(batch))
    assert torch.equal(torch.get_rng_state(), before[0]), "torch's global random state was used"
    assert np.random.get_state()[1].tolist() == before[1], "numpy's global random state was used"  # type: ignore[index]
    assert random.getstate() == before[2], "Python's global random state was used"


@promise
def the_state_dict_goes_round(make: Maker) -> None:
    method = taught(make, seed=1)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    again = build(make, seed=2)
    again.load_state_dict(torch.load(file, weights_only=True))
    batch = without_labels(batch_for(method.inputs, 5))
    assert torch.equal(method.probabilities(batch), again.probabilities(batch)), "something learnt is not in the state dict"


@promise
def a_batch_of_one_works(make: Maker) -> None:
    method = taught(make)
    batch = batch_for(method.inputs, 1)
    assert method.probabilities(without_labels(batch)).shape == (1, 3)
    if not isinstance(method, ClosedForm):
        total = method.train().loss(method.outputs(batch), batch)["total"]
        assert total.shape == ()
        assert torch.isfinite(total)


@promise
def two_folds_stacked_equal_two_folds_apart(make: Maker) -> None:
    """Outputs, gradients and buffers, in float64, random layers included: what the stacked engine relies on."""
    methods = [build(make, seed=seed).double().train() for seed in (1, 2)]
    if isinstance(methods[0], ClosedForm):
        return
    batches = [_double(batch_for(methods[0].inputs, 6, seed=seed)) for seed in (1, 2)]
    parameters, buffers = stack_module_state([Whole(method) for method in copy.deepcopy(methods)])
    skeleton = Whole(copy.deepcopy(methods[0]))

    def total(p: dict[str, Any], b: dict[str, Any], batch: Batch) -> torch.Tensor:
        loss: torch.Tensor = functional_call(skeleton, (p, b), (batch,))
        return loss

    stacked: Any = {name: torch.stack([each[name] for each in batches]) for name in batches[0]}  # type: ignore[literal-required]
    gradients, totals = torch.vmap(torch.func.grad_and_value(total))(parameters, buffers, stacked)
    for index, (method, batch) in enumerate(zip(methods, batches, strict=True)):
        alone = method.losses(method(batch), batch)["total"]
        torch.autograd.backward(alone)
        assert torch.allclose(totals[index], alone, atol=1e-10), "losses differ"
        for name, parameter in method.named_parameters():
            expected = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            assert torch.allclose(gradients[f"method.{name}"][index], expected, atol=1e-9), f"the gradient of {name} differs"
        for name, buffer in method.named_buffers():
            assert torch.allclose(buffers[f"method.{name}"][index], buffer), f"buffer {name} differs"


class Whole(nn.Module):
    """Outputs and loss as one module, so that a loss may read parameters too."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.method.losses(self.method(batch), batch)["total"]


@promise
def predicting_changes_nothing(make: Maker) -> None:
    """A memory that grows when the held-out subject is looked at has learnt from it."""
    method = taught(make)
    before = copy.deepcopy(_everything(method))
    method.probabilities(without_labels(batch_for(method.inputs, 5, seed=9)))
    after = _everything(method)
    changed = [name for name in after if name not in before or not _alike(before[name], after[name])]
    assert not changed, f"predicting changes {changed}"


def _everything(method: Method) -> dict[str, Any]:
    """Return tensors and plain values of a method and its modules, by name."""
    state: dict[str, Any] = {**dict(method.named_parameters()), **dict(method.named_buffers())}
    for name, module in method.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, (int, float, str, tuple, torch.Tensor)):
                state[f"{name}.{attribute}"] = value
    return state


def _alike(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


@promise
def parameters_are_as_many_as_printed(make: Maker) -> None:
    for classes, count in build(make).card.parameters.items():
        found = sum(p.numel() for p in build(make, classes).parameters() if p.requires_grad)
        assert found == count, f"{found:,} parameters with {classes} classes, {count:,} printed"


@promise
def the_card_names_its_source(make: Maker) -> None:
    card = build(make).card
    assert card.title.strip()
    assert card.paper.strip()
    assert 1990 <= card.year <= 2100
    if "reconstruction" in (card.network, card.training):
        assert card.departures, "what is reconstructed is not said"


@promise
def what_it_is_pre_trained_on_is_told(make: Maker) -> None:
    """Asked for, learnt from before the stage that is recorded, and named on the card."""
    method = build(make)
    check_stages(method, "method")
    if method.inputs.macro:
        assert any("macro" in told for told in method.card.pretraining), "the card does not say that it learns from macro-expressions"


@promise
def outputs_and_loss_are_pure(make: Maker) -> None:
    """They keep no tensor and change no input: what is kept cannot be stacked."""
    method = build(make)
    batch = batch_for(method.inputs, 6)
    if isinstance(method, ClosedForm):
        method.fit(batch)
    given = {name: value.clone() for name, value in batch.items()}  # type: ignore[attr-defined]
    kept = _held(method)
    method.train()
    method.loss(method.outputs(batch), batch)
    assert _held(method) == kept, f"it keeps {sorted(_held(method) - kept)}"
    for name, value in given.items():
        assert torch.equal(batch[name], value), f"it changes {name}"  # type: ignore[literal-required]


@promise
def the_label_is_not_read_to_predict(make: Maker) -> None:
    method = taught(make)
    method.probabilities(without_labels(batch_for(method.inputs, 4)))


@promise
def the_loss_has_a_total(make: Maker) -> None:
    method = taught(make)
    batch = batch_for(method.inputs, 6)
    losses = method.loss(method.outputs(batch), batch)
    assert losses["total"].shape == ()
    assert all(value.shape == () for value in losses.values()), "a part is no scalar"


@promise
def maps_lie_over_the_apex(make: Maker) -> None:
    """Where it shows where it looks: one map a clip, in [0, 1], of its own clip alone; and looking changes nothing."""
    method = taught(make).eval()
    batch = without_labels(batch_for(method.inputs, 5))
    before = copy.deepcopy(_everything(method))
    with torch.no_grad():
        maps = method.maps(batch)
        one = method.maps({name: value[2:3] for name, value in batch.items()})  # type: ignore[arg-type,index]
    after = _everything(method)
    assert not [name for name in after if not _alike(before[name], after[name])], "drawing maps changes the method"
    for name, found in maps.items():
        assert found.dim() == 3, f"{name} is no map"
        assert len(found) == 5, f"{name} has not one map a clip"
        assert found.min() >= 0, f"{name} is below 0"
        assert found.max() <= 1, f"{name} is above 1"
        assert torch.allclose(one[name][0], found[2], atol=1e-5), f"{name} depends on neighbours"


@promise
def random_layers_are_keyed(make: Maker) -> None:
    stock = (nn.modules.dropout._DropoutNd, nn.RReLU)
    found = [name for name, module in build(make).named_modules() if isinstance(module, stock) and not isinstance(module, Keyed)]
    assert not found, f"{', '.join(found)}: use merbench.layers.KeyedDropout"


def _trained(make: Maker, seed: int) -> Method:
    method = build(make, seed=seed)
    batch = batch_for(method.inputs, 12)
    if isinstance(method, ClosedForm):
        method.fit(batch)
        return method
    for stage in method.stages():
        filled = stage.filled(Training())
        batch = batch_of(filled, method.inputs, 12)
        method.begin(filled)
        optimizer = method.optimizer(filled, [parameter for parameter in method.parameters() if parameter.requires_grad])
        for _ in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(method.train().losses(method(batch), batch)["total"])
            optimizer.step()
    return method


def _tensors(method: Method) -> list[torch.Tensor]:
    tensors: list[torch.Tensor] = []
    for value in method.state_dict().values():
        tensors += value.values() if isinstance(value, dict) else [value]
    return tensors


def _held(method: Method) -> set[str]:
    """Return where a method or its modules keep tensors outside parameters and buffers, by name and identity."""
    return {
        f"{name}.{attribute}"
        for name, module in method.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, torch.Tensor) or (isinstance(value, (list, dict)) and attribute[0] != "_" and _any_tensor(value))
    }


def _any_tensor(value: Any) -> bool:
    return any(isinstance(item, torch.Tensor) for item in (value.values() if isinstance(value, dict) else value))


def _double(batch: Batch) -> Batch:
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}  # type: ignore[attr-defined,return-value]
