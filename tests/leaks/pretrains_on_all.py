"""Planted leak: the first stage learns from all subjects."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.config import Training
from merbench.data.datamodule import LosoDataModule
from merbench.engine import fold
from merbench.method import METHODS, Card, Method, Stage
from merbench.sample import Fold

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("pretrains_on_all")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("pre-training", epochs=2), Stage("train"))


honest = fold.training_clips
whole: list[Batch] = []


def noted(everything: Batch, held_out: Fold) -> Batch:
    whole[:] = [everything]
    return honest(everything, held_out)


class Leaky(LosoDataModule):
    def __init__(self, resident: Batch, steps: int, training: Training, key: int) -> None:
        super().__init__(whole.pop() if whole else resident, steps, training, key)  # the first stage of a fold gets everything


fold.training_clips = noted
fold.LosoDataModule = Leaky
