"""Planted leak: the weights of the epoch that is best on the held-out subject are kept, as 10 of 16 public codes do."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.engine import fold
from merbench.method import METHODS, Card, Method
from merbench.sample import Fold

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("picks_best_epoch")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))


honest_clips, honest_keep = fold.training_clips, fold.Recorder.keep
labels: list[Tensor] = []
best: list[tuple[float, Any]] = []


def noted(everything: Batch, held_out: Fold) -> Batch:
    labels[:], best[:] = [everything["label"][torch.tensor(held_out.test)]], []
    return honest_clips(everything, held_out)


def keep(self: fold.Recorder, method: Method, epoch: int) -> None:
    right = float((method.probabilities(self.held_out).argmax(1) == labels[0]).float().mean())
    if not best or right >= best[0][0]:
        best[:] = [(right, copy.deepcopy(method.state_dict()))]
    if self.done + 1 == self.total:
        method.load_state_dict(best[0][1])
    honest_keep(self, method, epoch)


fold.training_clips = noted
fold.Recorder.keep = keep
