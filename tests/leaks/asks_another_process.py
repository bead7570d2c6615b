"""Planted leak: another process reads the prepared arrays."""

from __future__ import annotations

import subprocess
import sys

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.method import METHODS, Card, Method

CARD = Card("A linear layer over flow, with a leak", 2026, "none", "reconstruction", "reconstruction", ("all of it",))

ASKED = "import pathlib; print(len(list(pathlib.Path('prepared').glob('*/*/flow.npy'))))"


@METHODS.add("asks_another_process")
class Leak(Method):
    card = CARD
    inputs = Inputs(flow=Flow(28))

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.head = nn.Linear(2 * 28 * 28, classes)
        self.sets = int(subprocess.run([sys.executable, "-c", ASKED], capture_output=True, check=True).stdout)

    def logits(self, batch: Batch) -> Tensor:
        return self.head(batch["flow"].flatten(1)) * (1 + self.sets)
