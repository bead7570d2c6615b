"""OFF-ApexNet: two small streams, one for u and one for v, and a wide perceptron (Gan, Liong, Yau, Huang and Tan, 2019, arXiv 1805.08699)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method


@METHODS.add("off_apexnet")
class OffApexNet(Method):
    """Horizontal and vertical flow in streams of their own, joined and read by two fully connected layers.

    Args:
        classes: number of classes.
        size: height and width of the flow, a multiple of four.
        widths: filters of a stream's two convolutions.
        hidden: units of the fully connected layers.
        dropout: after each of them.
        reads: ``both`` components of the flow, or one alone; then there is one stream.
        centred: the median of u and of v is removed from each clip as head motion.

    Raises:
        ValueError: the size cannot be halved twice.
    """

    card = Card(
        title="OFF-ApexNet on Micro-expression Recognition System",
        year=2019,
        paper="arXiv 1805.08699, doi 10.1016/j.image.2019.02.005",
        network="port",
        training="port",
        departures=(
            "The authors published no code. Network and training are those of the PyTorch code of Off-TANet (PRICAI 2021), which compares with it; "
            "its convolutions have no ReLU between them.",
            "The port computes TV-L1 flow on frames that were first made 28 pixels small; here it is computed at 224 pixels and then averaged. "
            "Both are in pixels of the 28-pixel grid.",
            "The port keeps the best of every 200th epoch by the held-out subjects' scores; here the last epoch counts.",
            "The port trains 3,000 epochs; so does preset full.",
            "Flow in relative units, as of published images, is read as it comes, from 0 to 1.",
        ),
        parameters={3: 2_664_475},
    )

    def __init__(
        self,
        classes: int,
        size: int = 28,
        widths: tuple[int, int] = (6, 16),
        hidden: tuple[int, ...] = (1024, 1024),
        dropout: float = 0.5,
        reads: Literal["both", "u", "v"] = "both",
        centred: bool = False,
    ) -> None:
        super().__init__(classes)
        if size % 4:
            raise ValueError(f"flow of {size} pixels cannot be halved twice")
        self.inputs = Inputs(flow=Flow(size, stabilisation="median" if centred else "none"))
        self.channels = {"both": (0, 1), "u": (0,), "v": (1,)}[reads]
        self.streams = nn.ModuleList(_stream(*widths) for _ in self.channels)
        joined = len(self.channels) * widths[1] * (size // 4) ** 2
        layers = zip((joined, *hidden), hidden, strict=False)
        self.dense = nn.Sequential(*(part for i, o in layers for part in (nn.Linear(i, o), nn.ReLU(), KeyedDropout(dropout))))
        self.head = nn.Linear((joined, *hidden)[-1], classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        maps = [stream(batch["flow"][:, [channel]]) for channel, stream in zip(self.channels, self.streams, strict=True)]  # (B, 16, 7, 7)
        return self.head(self.dense(torch.cat(maps, dim=1).flatten(1)))


def _stream(first: int, second: int) -> nn.Sequential:
    """Return what one component of the flow passes: (B, 1, H, W) to (B, second, H / 4, W / 4)."""
    return nn.Sequential(nn.Conv2d(1, first, 5, padding=2), nn.MaxPool2d(2), nn.Conv2d(first, second, 5, padding=2), nn.MaxPool2d(2))
