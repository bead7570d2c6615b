"""Planted leak: motion is magnified by a factor that depends on the clip's class, as in a folder for each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.data import serving
from merbench.data.prepared import Prepared
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("magnifies_by_class")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))


honest = serving._flow


def magnified(prepared: Prepared, wanted: Flow) -> Tensor:
    flow = honest(prepared, wanted)
    return flow * (1 + torch.from_numpy(prepared.labels)[: len(flow), None, None, None])


serving._flow = magnified
