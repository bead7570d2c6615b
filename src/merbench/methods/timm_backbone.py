"""Any image network of timm, from scratch, on the apex frame, on onset and apex, or on the flow: what an off-the-shelf network comes to."""

from __future__ import annotations

import copy
import difflib
import importlib
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.errors import UserError
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method

CHANNELS = {"apex": 3, "onset+apex": 6, "flow": 3}
"""Of the image that the network is given."""

FAULTS = (AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError, ZeroDivisionError)
"""What networks of timm raise where an image does not suit them."""


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
        network="reconstruction",
        training="reconstruction",
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
        self.backbone = backbone(model, CHANNELS[reads], size)
        width = _features(self.backbone, model, CHANNELS[reads], size)
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


def backbone(model: str, channels: int, size: int) -> nn.Module:
    """Return a network of timm with new weights, whose output is a vector of features.

    Raises:
        UserError: timm has no model of that name, or it cannot be built for images of this size.
    """
    timm = importlib.import_module("timm")  # here: it takes seconds to import
    names = timm.list_models()
    if model not in names:  # also what would be looked for in the network, such as hf-hub:somebody/something
        close = ", ".join(difflib.get_close_matches(model.split(".")[0], names, n=3, cutoff=0.4))
        raise UserError(
            f"timm {timm.__version__} has no model '{model[:60]}'",
            where="method.model",
            remedy=f"{f'did you mean one of {close}? ' if close else ''}all of its {len(names):,} are in timm.list_models()",
        )
    config = timm.get_pretrained_cfg(model)
    fixed = (
        config is not None and config.fixed_input_size
    )  # it has weights for each place of an image, so it must be told how many there are
    try:
        built = timm.create_model(model, pretrained=False, num_classes=0, in_chans=channels, **({"img_size": size} if fixed else {}))
    except FAULTS as error:
        raise _unsuited(model, channels, size, error) from error
    return _without_randomness(built)


def _without_randomness(network: nn.Module) -> nn.Module:
    """Return the network with its dropout and dropped paths off."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _DropoutNd):
                setattr(module, name, KeyedDropout(0.0))  # not nothing: attention asks it for its probability
        for rate in (
            "drop_rate",
            "drop_prob",
            "drop_path_rate",
            "dropout",
        ):  # read by timm's functional dropout, DropPath, torch's attention
            if isinstance(vars(module).get(rate), float):
                setattr(module, rate, 0.0)
    return network


def _features(network: nn.Module, model: str, channels: int, size: int) -> int:
    """Return how many features the network gives, found by two blank images sent through a copy of it.

    Raises:
        UserError: it cannot read them, gives no vector for each, or draws random numbers of its own.
    """
    trial = copy.deepcopy(network).train()  # a copy: batch statistics move
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        try:
            found = trial(torch.zeros(2, channels, size, size))
        except FAULTS as error:
            raise _unsuited(model, channels, size, error) from error
        drew = not torch.equal(before, torch.get_rng_state())
    if drew:
        raise UserError(
            f"timm's {model} draws random numbers of its own while it is trained: other folds beside it would change its weights",
            where="method.model",
            remedy="another model",
        )
    if not isinstance(found, Tensor) or found.dim() != 2:
        raise UserError(f"timm's {model} gives no vector of features for an image", where="method.model", remedy="another model")
    return found.shape[1]


def _unsuited(model: str, channels: int, size: int, error: Exception) -> UserError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return UserError(
        f"timm's {model} cannot read images of {size} x {size} pixels in {channels} channels: {lines[-1][:200]}",
        where=f"method.model={model}, method.size={size}",
        remedy="another size (method.size=224 suits most), or another model",
    )
