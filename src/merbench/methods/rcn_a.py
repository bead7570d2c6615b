"""RCN-A: a recurrent convolution and attention without parameters (Xia, Peng, Khor, Feng and Zhao, TIP 2020, arXiv 2006.09674)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.batch import Batch, Flow, Inputs
from merbench.displacement import stretched
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method, Stage


@METHODS.add("rcn_a")
class RCNA(Method):
    """One convolution, one convolution that recurs, and an attention map made of the first features and the classifier's weights.

    Args:
        classes: number of classes.
        size: height and width of the flow.
        width: filters of every convolution.
        steps: times that the recurrent convolution is applied.
        pool: height and width of the map that is classified.
        dropout: after each pooling.
        attention: what is classified is weighted by place.
        momentum: of stochastic gradient descent.

    Raises:
        ValueError: nothing is left of flow of this size, or the convolution never recurs.
    """

    card = Card(
        title="Revealing the Invisible With Model and Data Shrinking for Composite-Database Micro-Expression Recognition",
        year=2020,
        paper="arXiv 2006.09674, doi 10.1109/TIP.2020.3018222",
        network="port",
        training="port",
        departures=(
            "Network and training are those of the authors' code (github.com/xiazhaoqiang/ParameterFreeRCNs-MicroExpressionRec) with the values "
            "its script is set to: 64 maps, a pooled map of 7 x 7, 100 epochs. Its README runs it with 32 maps, 5 x 5 and 20 epochs.",
            "The authors' flow images are not published, and neither size nor channels are in the code: 60 pixels are MEB's (github.com/tvaranka/meb). "
            "Here the image is u, v and strain, each stretched to go from 0 to 1. A constant motion of the head is lost by that.",
            "An attention map that is the same everywhere is 0; the authors' code divides by zero there.",
        ),
        parameters={3: 55_747},
    )

    def __init__(
        self,
        classes: int,
        size: int = 60,
        width: int = 64,
        steps: int = 2,
        pool: int = 7,
        dropout: float = 0.5,
        attention: bool = True,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(classes)
        if size < 8:
            raise ValueError(f"flow of {size} pixels is too small: a convolution and two poolings leave nothing of it")
        if steps < 1:
            raise ValueError(f"the recurrent convolution is applied {steps} times, not once or more")
        self.inputs = Inputs(
            flow=Flow(size, strain=True, stabilisation="median")
        )  # lost when stretched; with it, relative flow may be mirrored
        self.pool, self.attention, self.momentum = pool, attention, momentum
        self.first = nn.Sequential(nn.Conv2d(3, width, 5), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2), KeyedDropout(dropout))
        self.recurrent = RecurrentConvolution(width, steps)
        self.thin = nn.Sequential(nn.MaxPool2d(2), KeyedDropout(dropout))
        self.head = nn.Linear(width * pool**2, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return stochastic gradient descent with momentum."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        return torch.optim.SGD(parameters, lr=stage.lr, momentum=self.momentum, weight_decay=stage.weight_decay)

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        first = self.first(stretched(batch["flow"]))  # (B, 64, 28, 28)
        x = functional.adaptive_avg_pool2d(self.thin(self.recurrent(first)), self.pool)  # (B, 64, 7, 7)
        if self.attention:
            x = x * self.attention_map(first)
        return self.head(x.flatten(1))

    def attention_map(self, first: Tensor) -> Tensor:
        """Return the attention map (B, 1, pool, pool) in [0, 1]: where the first features are what the classifier looks for.

        Features, weighted as each class weights them, are averaged over channels and stretched to go from 0 to 1; then over classes.

        Args:
            first: (B, width, H, W).
        """
        small = functional.adaptive_avg_pool2d(first, self.pool).unsqueeze(1)
        looked_for = self.head.weight.view(1, self.classes, -1, self.pool, self.pool)
        return stretched((small * looked_for).mean(dim=2)).mean(dim=1, keepdim=True)


class RecurrentConvolution(nn.Module):
    """A 3 x 3 convolution that is applied again and again to its own output and its input.

    Args:
        width: maps in and out.
        steps: times that it is applied.
    """

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.forward_path = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.recurrent_path = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H, W)."""
        state = self.forward_path(x)
        for _ in range(self.steps):
            state = self.recurrent_path(x + state)
        return state
