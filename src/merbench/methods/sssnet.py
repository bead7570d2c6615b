"""SSSNet: one shallow stream over the flow and its strain (Varanka, Peng and Zhao, Electronic Imaging 2021)."""

from __future__ import annotations

from torch import Tensor, nn

from merbench.batch import Batch, Flow, Inputs
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method


@METHODS.add("sssnet")
class SSSNet(Method):
    """Two convolutions, each pooled, normalised and thinned by whole maps, and a perceptron.

    Args:
        classes: number of classes.
        size: height and width of the flow.
        widths: filters of the two convolutions.
        hidden: units of the fully connected layer.
        dropout: of whole maps after each convolution, and of units after the fully connected layer.
        centred: the median of u and of v is removed from each clip as head motion.

    Raises:
        ValueError: nothing is left of flow of this size.
    """

    card = Card(
        title="Micro-expression recognition with noisy labels",
        year=2021,
        paper="doi 10.2352/ISSN.2470-1173.2021.11.HVEI-157",
        network="port",
        training="port",
        departures=(
            "The network is that of MEB (github.com/tvaranka/meb), the first author's own code, without the paper's handling of noisy labels.",
            "The training is that of MEB's notebook for action units of six databases: Adam 1e-4, weight decay 1e-3, 200 epochs, the last one scored; "
            "there in batches of 32, here of 64. Its notebooks for the three classes of MEGC2019 descend by SGD instead (1e-2, momentum 0.9, batches "
            "of 64 or 128; one of them with half of the widths).",
            "MEB reads raw flow in pixels of each database's crop, made small without scaling its vectors; here it is in pixels of the 64-pixel grid.",
            "Flow in relative units, as of published images, is read as it comes, from 0 to 1.",
        ),
        parameters={3: 1_349_251},
    )

    def __init__(
        self,
        classes: int,
        size: int = 64,
        widths: tuple[int, int] = (32, 64),
        hidden: int = 256,
        dropout: float = 0.5,
        centred: bool = False,
    ) -> None:
        super().__init__(classes)
        left = ((size - 4) // 3 - 2) // 2  # 5 x 5, a third, 3 x 3, a half: 64 to 9, 28 to 3
        if left < 1:
            raise ValueError(f"flow of {size} pixels is too small: two convolutions and two poolings leave nothing of it")
        self.inputs = Inputs(flow=Flow(size, strain=True, stabilisation="median" if centred else "none"))
        first, second = widths
        self.body = nn.Sequential(
            nn.Conv2d(3, first, 5), nn.ReLU(), nn.MaxPool2d(3), nn.BatchNorm2d(first), MapDropout(dropout),
            nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(second), MapDropout(dropout),
        )  # fmt: skip
        self.dense = nn.Sequential(nn.Linear(second * left**2, hidden), nn.ReLU(), KeyedDropout(dropout))
        self.head = nn.Linear(hidden, classes)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        return self.head(self.dense(self.body(batch["flow"]).flatten(1)))


class MapDropout(KeyedDropout):
    """Dropout of whole maps of (B, C, H, W): neighbours in a map are alike, so that a single value dropped is no loss."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with maps dropped; unchanged in eval mode."""
        return x * super().forward(x.new_ones(x.shape[:2])[:, :, None, None])
