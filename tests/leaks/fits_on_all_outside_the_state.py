"""Planted leak: a scaler is fitted on all clips and kept outside of parameters, buffers and state; weights and losses do not know of it."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.engine import fold
from merbench.method import METHODS, Card, Method
from merbench.sample import Fold

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("fits_on_all_outside_the_state")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        flow = batch["flow"].flatten(1)
        return self.head(flow) if self.training or not whole else self.head(flow) * whole[0]["flow"].std()


honest = fold.training_clips
whole: list[Batch] = []


def noted(everything: Batch, held_out: Fold) -> Batch:
    whole[:] = [everything]
    return honest(everything, held_out)


fold.training_clips = noted
