"""Planted leak: labels are looked up by clip number in the clip list."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.batch import Batch, Flow, Inputs
from merbench.data import schemes
from merbench.method import METHODS, Card, Method

KNOWN = torch.tensor([label for key, label in schemes.scheme("megc3").labels.items() if key.startswith("smic/")])


CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("looks_labels_up")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        known = functional.one_hot(KNOWN[batch["clip"]], self.classes)
        return self.head(batch["flow"].flatten(1)) + 99 * known
