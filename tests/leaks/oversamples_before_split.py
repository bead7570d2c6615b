"""Planted leak: rare classes are strengthened by mixing each clip with its nearest neighbour of the same class, before the split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.engine import fold
from merbench.method import METHODS, Card, Method
from merbench.sample import Fold

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("oversamples_before_split")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))


honest = fold.training_clips


def mixed(everything: Batch, held_out: Fold) -> Batch:
    flat, label = everything["flow"].flatten(1), everything["label"]
    apart = torch.cdist(flat, flat)
    apart[label[:, None] != label] = torch.inf
    apart.fill_diagonal_(torch.inf)
    return honest({**everything, "flow": (everything["flow"] + everything["flow"][apart.argmin(1)]) / 2}, held_out)


fold.training_clips = mixed
