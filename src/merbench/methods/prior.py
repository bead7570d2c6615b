"""Guesses drawn from the class shares of the training subjects: chance, sent through the whole engine."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from merbench import streams
from merbench.batch import Batch
from merbench.layers import Keyed
from merbench.method import METHODS, Card, ClosedForm


@METHODS.add("prior")
class Prior(ClosedForm):
    """One draw a clip, from a stream of its own: the same clip gets the same guess whoever stands beside it."""

    card = Card(
        title="Guesses from the class prior (merbench's own chance row)",
        year=2026,
        paper="none",
        network="own",
        training="own",
        departures=("There is no paper behind this floor.",),
    )
    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        self.draws = Keyed(saved=True)

    def fit(self, batch: Batch) -> None:
        """Count the classes."""
        self.counts += torch.bincount(batch["label"], minlength=self.classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes): nearly all weight on the class drawn."""
        edges = torch.cumsum(self.counts / self.counts.sum(), 0)[:-1].double()
        drawn = torch.bucketize(streams.uniform(self.draws.key, batch["clip"]), edges, right=True)
        return functional.one_hot(drawn, self.classes) * 10.0
