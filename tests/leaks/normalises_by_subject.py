"""Planted leak: what is served of a clip is normalised over its subject's clips, the held-out one's too."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.data import serving
from merbench.data.prepared import Prepared
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))


@METHODS.add("normalises_by_subject")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1))


honest = serving._flow


def normalised(prepared: Prepared, wanted: Flow) -> Tensor:
    flow = honest(prepared, wanted)
    for subject in {clip.subject for clip in prepared.clips}:
        own = [index for index, clip in enumerate(prepared.clips) if clip.subject == subject]
        flow[own] = flow[own] - flow[own].mean(0)
    return flow


serving._flow = normalised
