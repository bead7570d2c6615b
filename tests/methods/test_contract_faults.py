"""Each promise, broken on purpose: a check that no fault can fail proves nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.errors import UserError
from merbench.layers import KeyedDropout
from merbench.method import Card, ClosedForm, Method, Outputs, Stage
from tests.contract import CHECKS


class Sound(Method):
    """Keeps every promise; each fault below changes one thing."""

    card = Card("Sound", 2026, "none", "reconstruction", "reconstruction", ("all of it",), parameters={3: 3 * 28 * 28 * 3 + 3})
    inputs = Inputs(flow=Flow(28, strain=True))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.drop = KeyedDropout(0.2)
        self.head = nn.Linear(3 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(self.drop(batch["flow"].flatten(1)))  # type: ignore[no-any-return]


class SoundClosed(ClosedForm):
    card = dataclasses.replace(Sound.card, parameters={})
    inputs = Sound.inputs
    means: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("means", torch.zeros(classes, 3 * 28 * 28))

    def fit(self, batch: Batch) -> None:
        flow = batch["flow"].flatten(1)
        for label in range(self.classes):
            self.means[label] = flow[batch["label"] == label].mean(0)

    def logits(self, batch: Batch) -> Tensor:
        return -torch.cdist(batch["flow"].flatten(1), self.means)


class SoundPretrained(Sound):
    """Learns the seven emotions of macro clips first."""

    card = dataclasses.replace(Sound.card, parameters={}, pretraining=("macro-expressions of CAS(ME)^3",))
    inputs = dataclasses.replace(Sound.inputs, macro=True)

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.felt = nn.Linear(3 * 28 * 28, 7)

    def feel(self, batch: Batch) -> Outputs:
        return {"logits": self.felt(self.drop(batch["flow"].flatten(1)))}

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("emotions", outputs=self.feel, on="macro"), Stage("train"))


class SoundOnBoth(SoundPretrained):
    """Learns from macro clips and training clips together, without labels."""

    def certainty(self, outputs: Outputs, _batch: Batch) -> Outputs:
        return {"total": -outputs["logits"].log_softmax(dim=1).amax(dim=1).mean()}

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("alike", outputs=self.feel, loss=self.certainty, on="training+macro"), Stage("train"))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("method", [Sound, SoundClosed, SoundPretrained, SoundOnBoth])
def test_sound_methods_pass(method: type[Method], check: str) -> None:
    CHECKS[check](method)


class OneLogitTooMany(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes + 1)


class NotFinite(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) / 0


class Detached(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch).detach() + self.head.bias


class Unused(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.spare = nn.Linear(2, 2)


class ClosedWithParameters(SoundClosed):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.spare = nn.Linear(2, 2)


class BatchStatisticsAtEvaluation(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.norm = nn.BatchNorm1d(3 * 28 * 28, track_running_stats=False, affine=False)

    def logits(self, batch: Batch) -> Tensor:
        x = batch["flow"].flatten(1)
        return self.head(self.norm(x) if len(x) > 1 else x)  # type: ignore[no-any-return]


class CentredOverTheBatch(Sound):
    def logits(self, batch: Batch) -> Tensor:
        x = batch["flow"].flatten(1)
        return self.head(x - x.mean(0))  # type: ignore[no-any-return]


class Blind(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits({**batch, "flow": batch["flow"] * 0})


class UnseededStart(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        generator = torch.Generator()
        generator.seed()
        nn.init.normal_(self.head.weight, std=0.01, generator=generator)


class SeedIgnored(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.drop = KeyedDropout(0.0)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)


class GlobalNoise(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) + torch.randn(1) * 1e-9


class StockDropout(Sound):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.drop = nn.Dropout(0.2)  # type: ignore[assignment]


class ForgetsToSave(SoundClosed):
    def fit(self, batch: Batch) -> None:
        super().fit(batch)
        self.scale = float(batch["flow"].std())

    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) * getattr(self, "scale", 1.0)


class Squeezed(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch).squeeze()


class LooksAtValues(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) * (2.0 if batch["flow"].sum().item() > 0 else 1.0)


class RemembersWhatItPredicts(Sound):
    centre: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("centre", torch.zeros(3 * 28 * 28))

    def logits(self, batch: Batch) -> Tensor:
        x = batch["flow"].flatten(1)
        self.centre.lerp_(x.detach().mean(0), 0.1)
        return self.head(x - self.centre)  # type: ignore[no-any-return]


class CountsWhatItPredicts(Sound):
    seen = 0

    def logits(self, batch: Batch) -> Tensor:
        self.seen = self.seen + len(batch["clip"])
        return super().logits(batch)


class LossReadsAParameter(Sound):
    """Honest: a penalty on its own weights."""

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        return {"total": super().loss(outputs, batch)["total"] + 0.1 * self.head.weight.square().mean()}


class Miscounted(Sound):
    card = dataclasses.replace(Sound.card, parameters={3: 1683})


class NoSource(Sound):
    card = dataclasses.replace(Sound.card, paper=" ")


class SilentReconstruction(Sound):
    card = dataclasses.replace(Sound.card, departures=())


class KeepsATensor(Sound):
    def outputs(self, batch: Batch) -> Outputs:
        outputs = super().outputs(batch)
        self.seen = outputs["logits"]
        return outputs


class ChangesItsInput(Sound):
    def logits(self, batch: Batch) -> Tensor:
        batch["flow"] *= 2
        return super().logits(batch)


class ReadsTheLabel(Sound):
    def logits(self, batch: Batch) -> Tensor:
        return super().logits(batch) + batch["label"][:, None] * 0


class NoTotal(Sound):
    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        return {"cross_entropy": super().loss(outputs, batch)["total"]}


class PartIsNoScalar(Sound):
    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        return {**super().loss(outputs, batch), "part": outputs["logits"]}


@pytest.mark.parametrize("check", CHECKS)
def test_an_honest_penalty_is_not_condemned(check: str) -> None:
    CHECKS[check](LossReadsAParameter)


class ThreeEmotions(SoundPretrained):
    """Macro clips have seven."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.felt = nn.Linear(3 * 28 * 28, classes)


class SilentPretraining(SoundPretrained):
    card = dataclasses.replace(SoundPretrained.card, pretraining=("ImageNet",))


class NotAskedFor(SoundPretrained):
    inputs = Sound.inputs


class MacroLast(SoundPretrained):
    def stages(self) -> tuple[Stage, ...]:
        return super().stages()[::-1]


class MacroForNothing(SoundPretrained):
    def stages(self) -> tuple[Stage, ...]:
        return (Stage("train"),)


class MapsBeyondOne(Sound):
    def maps(self, batch: Batch) -> Outputs:
        return {"flow": 1 + batch["flow"][:, 0].sigmoid()}


class MapsOfTheBatch(Sound):
    """Stretched over all clips: a clip's map depends on its neighbours."""

    def maps(self, batch: Batch) -> Outputs:
        u = batch["flow"][:, 0]
        return {"flow": (u - u.min()) / (u.max() - u.min())}


class MapsWithChannels(Sound):
    def maps(self, batch: Batch) -> Outputs:
        return {"flow": batch["flow"].sigmoid()}


FAULTS: list[tuple[str, type[Method]]] = [
    ("logits_have_the_right_shape", OneLogitTooMany),
    ("logits_have_the_right_shape", NotFinite),
    ("every_parameter_gets_a_gradient", Detached),
    ("every_parameter_gets_a_gradient", Unused),
    ("every_parameter_gets_a_gradient", ClosedWithParameters),
    ("neighbours_do_not_matter", BatchStatisticsAtEvaluation),
    ("neighbours_do_not_matter", CentredOverTheBatch),
    ("one_batch_can_be_learnt", Blind),
    ("same_seed_same_weights", UnseededStart),
    ("same_seed_same_weights", SeedIgnored),
    ("nothing_is_drawn_from_the_global_state", GlobalNoise),
    ("nothing_is_drawn_from_the_global_state", StockDropout),
    ("the_state_dict_goes_round", ForgetsToSave),
    ("a_batch_of_one_works", Squeezed),
    ("two_folds_stacked_equal_two_folds_apart", LooksAtValues),
    ("two_folds_stacked_equal_two_folds_apart", StockDropout),
    ("predicting_changes_nothing", RemembersWhatItPredicts),
    ("predicting_changes_nothing", CountsWhatItPredicts),
    ("parameters_are_as_many_as_printed", Miscounted),
    ("the_card_names_its_source", NoSource),
    ("the_card_names_its_source", SilentReconstruction),
    ("every_parameter_gets_a_gradient", ThreeEmotions),
    ("same_seed_same_weights", ThreeEmotions),
    ("what_it_is_pre_trained_on_is_told", SilentPretraining),
    ("what_it_is_pre_trained_on_is_told", NotAskedFor),
    ("what_it_is_pre_trained_on_is_told", MacroLast),
    ("what_it_is_pre_trained_on_is_told", MacroForNothing),
    ("outputs_and_loss_are_pure", KeepsATensor),
    ("outputs_and_loss_are_pure", ChangesItsInput),
    ("the_label_is_not_read_to_predict", ReadsTheLabel),
    ("the_loss_has_a_total", NoTotal),
    ("the_loss_has_a_total", PartIsNoScalar),
    ("random_layers_are_keyed", StockDropout),
    ("maps_lie_over_the_apex", MapsBeyondOne),
    ("maps_lie_over_the_apex", MapsOfTheBatch),
    ("maps_lie_over_the_apex", MapsWithChannels),
]


@pytest.mark.parametrize(("check", "fault"), FAULTS)
def test_a_broken_promise_is_seen(check: str, fault: type[Method]) -> None:
    with pytest.raises((AssertionError, KeyError, RuntimeError, ValueError, IndexError, UserError)):
        CHECKS[check](fault)


def test_every_promise_has_a_fault() -> None:
    assert {check for check, _ in FAULTS} == set(CHECKS)


@pytest.mark.parametrize(
    "name", ["training_step", "configure_optimizers", "forward", "validation_step", "probabilities", "losses", "seed_layers"]
)
def test_sealed_steps_cannot_be_replaced(name: str) -> None:
    with pytest.raises(TypeError, match=f"replaces {name}, which is sealed"):
        type("Cheat", (Method,), {name: lambda self, *a: None, "__module__": "mine"})


def test_logging_by_hand_is_refused() -> None:
    """Folds that are trained as one have no trainer to log to."""

    class Logs(Sound):
        def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
            self.log("mine", outputs["logits"].mean())
            return super().loss(outputs, batch)

    with pytest.raises((AssertionError, RuntimeError, UserWarning)):
        CHECKS["outputs_and_loss_are_pure"](Logs)


def test_two_methods_of_one_name_are_refused() -> None:
    from merbench import methods
    from merbench.method import METHODS

    def again() -> Any:
        return METHODS.add("ststnet")(Sound)

    methods.load("ststnet")
    with pytest.raises(ValueError, match="two methods are called 'ststnet'"):
        again()
