"""Planted leak: a fold begins with the weights of the fold before, which was trained on this one's held-out subject."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))

last: list[Any] = []


@METHODS.add("goes_on_from_last_fold")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)
        if last:
            self.load_state_dict(last[0])

    def on_train_end(self) -> None:
        last[:] = [copy.deepcopy(self.state_dict())]

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))
