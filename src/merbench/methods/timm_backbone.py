"""Any image network of timm, from scratch, on the apex frame, on onset and apex, or on the flow: what an off-the-shelf network comes to."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from merbench import backbones
from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.errors import UserError
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method

CHANNELS = {"apex": 3, "onset+apex": 6, "flow": 3}
"""Of the image that the network is given."""


@METHODS.add("timm_backbone")
class TimmBackbone(Method):
    """A network of timm without its own classifier, and a linear layer.

    Args:
        classes: number of classes.
        model: as timm calls it, without the tag of its weights: they are not used.
        reads: the apex in colour; onset and apex, one upon the other; or u, v and strain.
        size: height and width of what is read.
        dropout: before the linear layer.

    Raises:
        UserError: timm has no such model, or the model cannot read this, or it draws random numbers of its own.
    """

    card = Card(
        title="An image network of timm (merbench's own baseline)",
        year=2019,
        paper="PyTorch Image Models (Wightman), doi 10.5281/zenodo.4414861",
        network="own",
        training="own",
        departures=(
            "There is no paper behind this baseline; of each network there is one, which timm names.",
            "Never pre-trained: nothing is downloaded, every weight is learnt from the training subjects.",
            "Dropout and dropped paths within the network are off, since they would draw from the global random state.",
            "Frames are scaled to go from -1 to 1. Flow is read in its own units, the clip's median of u and of v removed as head motion.",
            "Learning rate and weight decay are those of MEB's notebooks for residual networks on flow, which begin from pre-trained weights.",
        ),
    )

    def __init__(
        self,
        classes: int,
        model: str = "resnet18",
        reads: Literal["apex", "onset+apex", "flow"] = "flow",
        size: int = 112,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(classes)
        self.reads = reads
        read_flow = Flow(size, strain=True, stabilisation="median")
        self.inputs = Inputs(flow=read_flow) if reads == "flow" else Inputs(frame=Frame(size, colour=True))
        self.backbone = backbones.build(model, CHANNELS[reads], size)
        width = self._width(model, size)
        self.head = nn.Sequential(KeyedDropout(dropout), nn.Linear(width, classes))

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        return self.head(self.backbone(self.image(batch)))

    def image(self, batch: Batch) -> Tensor:
        """Return what the network reads, (B, 3 or 6, size, size)."""
        if self.reads == "flow":
            return batch["flow"]
        frames = [batch["apex"]] if self.reads == "apex" else [batch["onset"], batch["apex"]]
        return torch.cat(frames, dim=1) * 2 - 1

    def _width(self, model: str, size: int) -> int:
        """Return how many features the network gives.

        Raises:
            UserError: it gives no vector of them.
        """
        found = backbones.tried(self.backbone, model, CHANNELS[self.reads], size)
        if not isinstance(found, Tensor) or found.dim() != 2:
            raise UserError(f"timm's {model} gives no vector of features for an image", where="method.model", remedy="another model")
        return found.shape[1]
