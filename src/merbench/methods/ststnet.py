"""STSTNet: three shallow streams over the flow image (Liong, Gan, See, Khor and Huang, FG 2019, arXiv 1902.03634, section III)."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.displacement import stretched
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method


@METHODS.add("ststnet")
class STSTNet(Method):
    """Streams of 3, 5 and 8 filters, joined, pooled and read by one linear layer.

    Args:
        classes: number of classes.
        widths: filters of each stream.
        dropout: after each stream's pooling.
    """

    card = Card(
        title="Shallow Triple Stream Three-dimensional CNN (STSTNet) for Micro-expression Recognition",
        year=2019,
        paper="arXiv 1902.03634, doi 10.1109/FG.2019.8756567",
        network="port",
        training="port",
        departures=(
            "The network and its training are those of the authors' PyTorch port; the paper itself trained in MATLAB.",
            "The three streams are computed as one convolution: they read the same image and differ in width only, so side by side they are "
            "one layer of 16 filters, the same function with the same initial distribution, at a third of the calls.",
            "An epoch's two steps are nearly equal; the port cuts 256 clips and the remainder.",
            "Within a class, clips come in listed order; the port takes the order of its file system.",
        ),
        parameters={3: 1683},
    )
    inputs = Inputs(flow=Flow(size=28, strain=True))

    def __init__(self, classes: int, widths: tuple[int, ...] = (3, 5, 8), dropout: float = 0.5) -> None:
        super().__init__(classes)
        filters = sum(widths)
        self.streams = nn.Sequential(
            nn.Conv2d(3, filters, 3, padding=2),
            nn.ReLU(),
            nn.BatchNorm2d(filters),
            nn.MaxPool2d(3, stride=3, padding=1),
            KeyedDropout(dropout),
        )
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(5 * 5 * filters, classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        x = self.streams(stretched(batch["flow"]) * 255)  # (B, 16, 10, 10), of 8-bit images as the port's are
        return self.head(self.pool(x).flatten(1))
