"""The most frequent class of the training subjects, always: what accuracy rewards and UF1 does not."""

from __future__ import annotations

import torch
from torch import Tensor

from merbench.batch import Batch
from merbench.method import METHODS, Card, ClosedForm


@METHODS.add("majority")
class Majority(ClosedForm):
    """Says the same for every clip."""

    card = Card(
        title="Majority class (merbench's own floor)",
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

    def fit(self, batch: Batch) -> None:
        """Count the classes."""
        self.counts += torch.bincount(batch["label"], minlength=self.classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes): the log of the class shares, the same for every clip."""
        return torch.log(self.counts / self.counts.sum()).clamp_min(-100).expand(len(batch["clip"]), -1)
