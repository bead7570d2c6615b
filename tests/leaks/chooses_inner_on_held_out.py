"""Planted leak: inner trainings judge the held-out subject beside those whom they leave out, so the epoch is chosen on it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.config import Request
from merbench.engine import inner
from merbench.method import METHODS, Card, Method
from merbench.sample import Clip, Fold

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("chooses_inner_on_held_out")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))


honest = inner.split


def split(request: Request, clips: Sequence[Clip], fold: Fold, seed: int) -> tuple[inner.Part, ...]:
    parts = honest(request, clips, fold, seed)
    return tuple(replace(part, fold=replace(part.fold, test=(*part.fold.test, *fold.test))) for part in parts)


inner.split = split
