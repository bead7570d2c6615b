"""Dual-Inception: two streams of inception blocks, one for u and one for v (Zhou, Mao and Xue, FG 2019)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.displacement import stretched
from merbench.layers import InceptionStream
from merbench.method import METHODS, Card, Method


@METHODS.add("dual_inception")
class DualInception(Method):
    """Horizontal and vertical flow images in streams of two inception blocks each, joined and read by a perceptron.

    Args:
        classes: number of classes.
        size: height and width of the flow, a multiple of four.
        widths: filters of each of a block's four paths, block by block.
        hidden: units of the fully connected layer.
        reads: ``both`` components of the flow, or one alone; then there is one stream.

    Raises:
        ValueError: the size cannot be halved once for each block.
    """

    card = Card(
        title="Dual-Inception Network for Cross-Database Micro-Expression Recognition",
        year=2019,
        paper="doi 10.1109/FG.2019.8756579",
        network="port",
        training="port",
        departures=(
            "Network and training are those of the authors' Keras code (github.com/xly135846/MEGC2019). There each stream reads a grey image as "
            "three equal channels; one channel is the same function. The initial weights are torch's, not Keras's.",
            "The authors measure flow between the onset and the frame in the middle of a clip; here it is between onset and apex.",
            "How the authors write flow to 8-bit images is not told: here u and v of each clip are stretched to go from 0 to 1. A constant motion of "
            "the head is lost by that.",
            "The authors hold all other subjects of the held-out subject's database back from training, and keep the epoch that is best on them; "
            "here all other subjects are learnt from and the last epoch counts.",
            "They ask Keras for class weights 'auto', which the version that they name (2.2.4) passes over; classes weigh alike here too.",
        ),
        parameters={3: 6_449_867},
    )

    def __init__(
        self,
        classes: int,
        size: int = 28,
        widths: tuple[int, ...] = (6, 16),
        hidden: int = 1024,
        reads: Literal["both", "u", "v"] = "both",
    ) -> None:
        super().__init__(classes)
        if size % 2 ** len(widths):
            raise ValueError(f"flow of {size} pixels cannot be halved {len(widths)} times")
        self.inputs = Inputs(flow=Flow(size, stabilisation="median"))  # lost when stretched; with it, relative flow may be mirrored
        self.channels = {"both": (0, 1), "u": (0,), "v": (1,)}[reads]
        streams = [InceptionStream(widths) for _ in self.channels]
        self.streams = nn.ModuleList(streams)
        joined = sum(stream.channels for stream in streams) * (size // 2 ** len(widths)) ** 2
        self.dense = nn.Sequential(nn.Linear(joined, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        image = stretched(batch["flow"])
        maps = [stream(image[:, [channel]]) for channel, stream in zip(self.channels, self.streams, strict=True)]  # (B, 64, 7, 7)
        return self.head(self.dense(torch.cat(maps, dim=1).flatten(1)))
