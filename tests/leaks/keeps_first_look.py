"""Planted leak: statistics of the clips that are predicted first are kept for ever, outside of parameters and buffers."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("keeps_first_look")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)
        self.seen: list[Tensor] = []

    def logits(self, batch: Batch) -> Tensor:
        flow = batch["flow"].flatten(1)
        if self.training:
            return self.head(flow - flow.mean(0))
        self.seen = self.seen or [flow.mean(0)]
        return self.head(flow - self.seen[0])
