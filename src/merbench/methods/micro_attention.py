"""Micro-Attention: a small residual network with a spatial attention unit in each block, over the apex frame alone.

Wang, Peng, Bi and Chen, "Micro-attention for micro-expression recognition", Neurocomputing 410 (2020), arXiv 1811.02360. The network is that
of the authors' Caffe file, which their printed parameter counts confirm; where their text says otherwise there is a switch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from merbench.batch import Batch, Frame, Inputs
from merbench.errors import UserError
from merbench.method import METHODS, Card, Method, Outputs, Stage
from merbench.sample import EMOTIONS

HEADS = ("head.", "felt.")
"""What begins anew on other classes."""

UNIT = ".unit."
"""In the names of what the attention units learn: weights from elsewhere were learnt without them."""

COUNTED = ".num_batches_tracked"
"""Torch's count of batches: of other frameworks' weights nobody has it, and with a momentum nothing reads it."""


@METHODS.add("micro_attention")
class MicroAttention(Method):
    """A pre-activated residual network of ten layers; what each block hands on is weighed place by place.

    Args:
        classes: number of classes.
        size: height and width of the grey apex frame, pixels.
        widths: channels of the blocks; each but the first halves the map.
        attention: the units in every block; without them it is the residual network that the paper compares with.
        sigmoid: the map is brought into (0, 1), as the code has it; the text does not.
        joint: the 1 x 1 convolution over the three joined maps of a block gives as many channels as the block has (``code``) or as the three have
            together (``text``, whose mean is over c' = c1 + c2 + c3).
        first_shortcut: of the first block: its input (``identity``, the code) or a 1 x 1 ``convolution`` of it (the text).
        macro_epochs: of pre-training on macro-expressions, without the attention units; 0 leaves it out, and no macro clips are asked for.
        macro_batch: clips a step of pre-training.
        macro_lr: its learning rate, a tenth of it after every 20 epochs.
        momentum: of stochastic gradient descent.
    """

    card = Card(
        title="Micro-attention for micro-expression recognition",
        year=2020,
        paper="doi 10.1016/j.neucom.2020.06.005, arXiv 1811.02360",
        network="paper",
        training="reconstruction",
        departures=(
            "Text and code of the paper differ: the code is followed. first_shortcut, sigmoid and joint make it the text's.",
            "The paper starts from ImageNet, then learns macro-expressions. Here it starts from random weights (MSRA) unless --initial gives others.",
            "Pre-training is off unless macro_epochs says otherwise: the paper's macro sets (CK+, Oulu-CASIA, JAFFE, MUG, five emotions) are not read; "
            "CAS(ME)^3 macro clips or your own expression pictures stand for them, with seven emotions.",
            "The paper gives no number of epochs: 30 here, when two steps of the rate are done and a third changes nothing any more.",
            "Preset full is the paper's training for one database by itself, on pooled databases too, for which the paper has batches of 8, a weight "
            "decay of 5e-6 and corner crops alone: experiments/micro_attention/full.yaml has these and those for held-out databases as overrides.",
            "No macro-expressions are kept for validation; the paper kept a tenth.",
            "Pre-training smooths no images, as the paper does with a window of up to 6 pixels, and has the weight decay of fine-tuning.",
            "Of the four corner crops one is drawn for each clip and epoch. The held-out face is whole, as in the authors' test file.",
            "Running statistics of batch normalisation are torch's (momentum 0.1): Caffe's average over a thousand steps has no meaning in so few.",
            "Faces are aligned by 68 landmarks, as for every method here; the paper has active appearance models.",
        ),
        parameters={3: 5_943_813, 5: 5_944_839},
        pretraining=(
            "macro-expressions of everybody but the held-out person, where macro_epochs is not 0",
            "initial weights from a file of the user's, where --initial gives one",
        ),
    )

    def __init__(
        self,
        classes: int,
        size: int = 224,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        attention: bool = True,
        sigmoid: bool = True,
        joint: Literal["code", "text"] = "code",
        first_shortcut: Literal["identity", "convolution"] = "identity",
        macro_epochs: int = 0,
        macro_batch: int = 50,
        macro_lr: float = 0.01,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(classes)
        if not widths or macro_epochs < 0:
            raise ValueError("there is no block" if not widths else f"{macro_epochs} epochs of pre-training cannot be")
        if not attention and not (sigmoid and joint == "code"):
            raise ValueError(f"without attention there is no map: sigmoid={sigmoid} and joint={joint} would change nothing")
        self.inputs = Inputs(frame=Frame(size), macro=macro_epochs > 0)
        self.macro_epochs, self.macro_batch, self.macro_lr, self.momentum = macro_epochs, macro_batch, macro_lr, momentum
        self.data_norm = nn.BatchNorm2d(1)
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 7, stride=2, padding=3),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),  # as Caffe rounds: 112 to 56 without padding
        )
        units = [Unit(width, 3 if joint == "text" else 1, sigmoid) if attention else None for width in widths]
        first = FirstBlock(widths[0], first_shortcut == "convolution", units[0])
        self.blocks = nn.ModuleList([first, *map(Block, widths[:-1], widths[1:], units[1:])])
        self.tail = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], classes)
        self.felt = nn.Linear(widths[-1], len(EMOTIONS)) if macro_epochs else None
        for module in self.modules():
            begin(module)

    def features(self, batch: Batch, attend: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return what the last layer reads, (B, widths[-1]), and each unit's map, (B, 1, h, w)."""
        x, maps = self.stem(self.data_norm(batch["apex"])), []
        for block in self.blocks:
            x, found = block(x, attend)
            maps += found
        return self.tail(x), maps

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        return self.head(self.features(batch)[0])

    def macro_outputs(self, batch: Batch) -> Outputs:
        """Return scores of the seven emotions, (B, 7), without attention."""
        assert self.felt is not None
        return {"logits": self.felt(self.features(batch, attend=False)[0])}

    def stages(self) -> tuple[Stage, ...]:
        """Return pre-training on macro-expressions, where it is asked for, and fine-tuning."""
        fine = Stage("fine-tuning")
        if not self.macro_epochs:
            return (fine,)
        macro = Stage(
            "macro",
            epochs=self.macro_epochs,
            batch=self.macro_batch,
            lr=self.macro_lr,
            outputs=self.macro_outputs,
            on="macro",
            schedule="step",
            decay=0.1,
            decay_every=20,
            balance=False,
            rotate=10.0,
            crop=1.0,
            brightness=20.0,
        )
        return macro, fine

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return stochastic gradient descent; biases of convolutions and linear layers move twice as fast, as Caffe has them."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        layers = [module for module in self.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
        biases, given = {id(layer.bias) for layer in layers if layer.bias is not None}, list(parameters)
        rest = [parameter for parameter in given if id(parameter) not in biases]
        twice = [parameter for parameter in given if id(parameter) in biases]
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": twice, "lr": 2 * stage.lr}]
        return torch.optim.SGD(groups, lr=stage.lr, momentum=self.momentum, weight_decay=stage.weight_decay)

    def initialise(self, state: Mapping[str, Tensor]) -> None:
        """Take up weights by their names here; heads begin anew where they are missing or of other classes, units where they
        are missing; without attention, units are left out; counts of batches may be missing.

        Raises:
            UserError: anything else is missing, unknown or of another shape.
        """
        own = self.state_dict()
        given = {name: tensor for name, tensor in state.items() if not _is_left_out(name, tensor, own)}
        needed = (name for name in own if not name.startswith(HEADS) and UNIT not in name and not name.endswith(COUNTED))
        wrong = [f"{name} is missing" for name in needed if name not in given]
        wrong += [f"{name} is unknown" for name in given if name not in own]
        wrong += [
            f"{name} has the shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}"
            for name, tensor in given.items()
            if name in own and tensor.shape != own[name].shape
        ]
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise UserError(
                f"the initial weights are not those of micro_attention with these arguments: {'; '.join(wrong[:3])[:300]}{more}",
                where="--initial",
                remedy="give a state dict with its names, as bench --save-weights keeps it; heads and attention units may be missing",
            )
        self.load_state_dict({**own, **given})

    def maps(self, batch: Batch) -> Outputs:
        """Return where each unit looks, (B, h, w); what is not in (0, 1) by itself is stretched to it, clip by clip."""
        _, found = self.features(batch)
        units = [block.unit for block in self.blocks if block.unit is not None]
        shown = [here[:, 0] if unit.sigmoid else _stretched(here[:, 0]) for unit, here in zip(units, found, strict=True)]
        return {f"unit {number}": here for number, here in enumerate(shown, 1)}


class Unit(nn.Module):
    """A micro-attention unit: one map for all channels of a block, made of what the block computes anyway.

    Args:
        width: channels of the block.
        times: the 1 x 1 convolution has so many times the channels of the block.
        sigmoid: see `MicroAttention`.
    """

    def __init__(self, width: int, times: int, sigmoid: bool) -> None:
        super().__init__()
        self.join = nn.Conv2d(3 * width, times * width, 1, bias=False)
        self.sigmoid = sigmoid

    def forward(self, parts: list[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x + x * map, (B, C, h, w), and the map, (B, 1, h, w).

        Args:
            parts: shortcut, first and second convolution of the block, (B, C, h, w) each.
            x: their sum, as a residual block has it.
        """
        weight = self.join(torch.cat(parts, dim=1)).mean(dim=1, keepdim=True)  # in Caffe a frozen convolution of 1 / c
        weight = weight.sigmoid() if self.sigmoid else weight
        return x + x * weight, weight


class Block(nn.Module):
    """A residual block that halves the map: normalised and rectified before its convolutions and its shortcut."""

    def __init__(self, before: int, width: int, unit: Unit | None) -> None:
        super().__init__()
        self.ready = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Conv2d(before, width, 1, stride=2, bias=False)
        self.unit = unit

    def forward(self, x: Tensor, attend: bool) -> tuple[Tensor, list[Tensor]]:
        """Return (B, C, h, w), and the map where there is one and it is asked for."""
        x = self.ready(x)
        first = self.first(x)
        parts = [self.shortcut(x), first, self.second(first)]
        total = parts[0] + parts[2]
        if self.unit is None or not attend:
            return total, []
        out, weight = self.unit(parts, total)
        return out, [weight]


class FirstBlock(Block):
    """The first block: its input comes normalised and rectified, and keeps its size."""

    def __init__(self, width: int, convolution: bool, unit: Unit | None) -> None:
        super().__init__(width, width, unit)
        self.ready = nn.Sequential()
        self.first = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.shortcut = nn.Conv2d(width, width, 1, bias=False) if convolution else nn.Identity()


def begin(module: nn.Module) -> None:
    """Give a layer its first weights as the authors' file does: MSRA for convolutions; Xavier as Caffe has it, and 0.2, for linear layers."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, nn.Linear):
        bound = math.sqrt(3 / module.in_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.constant_(module.bias, 0.2)


def _is_left_out(name: str, tensor: Tensor, own: Mapping[str, Tensor]) -> bool:
    """Return whether weights from elsewhere are of a head of other classes, or of units that this network is built without."""
    if name.startswith(HEADS):
        return name not in own or own[name].shape != tensor.shape
    return UNIT in name and not any(UNIT in each for each in own)


def _stretched(weight: Tensor) -> Tensor:
    low, high = weight.amin(dim=(1, 2), keepdim=True), weight.amax(dim=(1, 2), keepdim=True)
    return (weight - low) / (high - low).clamp_min(1e-12)
