"""Planted leak: what was seen when predicting is kept outside of parameters and buffers, and used in training."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("remembers_held_out")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.seen: list[Tensor] = []
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        flow = batch["flow"].flatten(1)
        if not self.training:
            self.seen = [flow.mean(0)]
        elif self.seen:
            flow = flow - self.seen[0]
        return self.head(flow)
