"""Multi-scale joint feature network (Li, Wei, Wang and Zhou, Computational Visual Media 7(3), 2021, doi 10.1007/s41095-021-0217-9).

What the abstract says is the paper's: an optical-flow image goes through a backbone, joint feature modules integrate features of different
layers, since micro-expressions differ in amplitude, and the decision fuses the predictions of three such modules with that of the backbone.
Which backbone, which layers and which fusion is ours, and an argument, as is every number of ours. No arguments are the trunk's kernels of 3 x 3, its
halvings and the two convolutions of a block, which are those of residual networks (He et al., CVPR 2016), and that a loss on the fused prediction
weighs 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench import backbones
from merbench.arguments import check, check_read
from merbench.batch import Batch, Flow, Inputs
from merbench.data.augment import mirror
from merbench.displacement import scaled
from merbench.errors import UserError
from merbench.layers import KeyedDropout
from merbench.method import METHODS, Card, Method, Outputs, Stage

STAGES = 4
"""Of the backbone: a joint feature module stands between each and the next."""

MOST = 100
"""Blocks, convolutions, places of a kernel or multiples of a width: more is a slip."""

Third = Literal["magnitude", "strain"]
Fusion = Literal["mean", "learned", "sum"]
Judged = Literal["each", "fused"]


@METHODS.add("msjfn")
class MSJFN(Method):
    """A backbone over the flow image, joint feature modules over its neighbouring stages, and their predictions fused.

    Args:
        classes: number of classes.
        size: height and width of the flow image; published flow has 28.
        backbone: ``trunk`` is a residual network of our own for small images; any other name is timm's, such as ``resnet18`` with a size of 112.
        widths: channels of the trunk's stages.
        stride: of the trunk's stem; 1 throws nothing away before the first stage.
        blocks: residual blocks in each of the trunk's stages; ours.
        joint: channels to which a joint feature module brings each of its two stages.
        kernel: height and width of the convolutions by which a module joins its stages, in places of the finer one, odd; ours.
        convolutions: how many of them, one after another; ours.
        expansion: channels that a module gives, in multiples of ``joint``; 2 are as many as it joins; ours.
        modules: which of the joint feature modules there are; 1 joins the first two stages.
        third: channel of the flow image beside u and v.
        fusion: of the predictions: the mean of their probabilities, a mean with learned weights, or the sum of their logits.
        judged: what the loss is on: each prediction, or the fused one alone.
        module_weight: of the loss on each module's prediction, where that on the backbone's weighs 1; ours.
        dropout: before each last linear layer.
        smoothing: of the labels.
        normalised: each clip's u and v are divided by a quantile of |u| and |v|, and its strain by its own.
        quantile: which one: the share of those values that come to lie within 1; ours.
        mirrored: a clip is judged by itself and its mirror image.

    Raises:
        ValueError: a module is none of 1 to 3, or there twice; or there is none, and a way to fuse is asked for.
        UserError: timm has no such backbone, or it does not suit the image; a number means nothing, or nothing would read it.
    """

    later = ("blocks", "kernel", "convolutions", "expansion", "module_weight", "quantile")

    card = Card(
        title="Multi-scale joint feature network for micro-expression recognition",
        year=2021,
        paper="doi 10.1007/s41095-021-0217-9",
        network="reconstruction",
        training="reconstruction",
        departures=(
            "There is no public code and only the abstract could be read: backbone, layers, joint feature modules, fusion, losses and training are "
            "ours.",
            "The backbone is a small residual network for flow of 28 pixels, from random weights; timm's networks can stand in for it on flow of "
            "any other size (backbone=resnet18 size=112), from random weights too.",
            "A joint feature module brings two neighbouring stages to one width and the finer grid, joins them by a 3 x 3 convolution and reads "
            "their mean; the loss is the sum over all four predictions, the decision the mean of their probabilities.",
            "The flow image is u, v and their length, u and v divided by the 99th percentile of their parts, not an image of eight bits.",
            "The clip's median flow is removed as head motion, training clips are mirrored at random, and a clip is judged by the mean "
            "probabilities of itself and its mirror image; none of this is known of the paper.",
            "AdamW with a falling rate, 20 balanced epochs, label smoothing; chosen on rendered faces whose flow was stretched as published flow is.",
        ),
    )

    def __init__(
        self,
        classes: int,
        size: int = 28,
        backbone: str = "trunk",
        widths: tuple[int, ...] = (16, 32, 64, 128),
        stride: int = 2,
        blocks: int = 1,
        joint: int = 16,
        kernel: int = 3,
        convolutions: int = 1,
        expansion: int = 2,
        modules: tuple[int, ...] = (1, 2, 3),
        third: Third = "magnitude",
        fusion: Fusion = "mean",
        judged: Judged = "each",
        module_weight: float = 1.0,
        dropout: float = 0.5,
        smoothing: float = 0.1,
        normalised: bool = True,
        quantile: float = 0.99,
        mirrored: bool = True,
    ) -> None:
        super().__init__(classes)
        if not set(modules) <= set(range(1, STAGES)) or len(set(modules)) < len(modules):
            raise ValueError(f"joint feature modules {modules}: they are numbered 1 to {STAGES - 1}, and there is one of each")
        if not modules and (fusion != "mean" or judged != "each"):
            raise ValueError(
                f"without joint feature modules there is one prediction: fusion={fusion} and judged={judged} would fuse nothing"
            )
        check("module_weight", module_weight, module_weight > 0, "a weight above 0: what learns nothing would be fused with what does")
        check_read("module_weight", module_weight, 1.0, bool(modules) and judged == "each", "no module has a loss of its own")
        check("quantile", quantile, 0 < quantile <= 1, "a share above 0, at most 1")
        check_read("quantile", quantile, 0.99, normalised, "flow is not normalised")
        check_read("blocks", blocks, 1, backbone == "trunk", f"{backbone} has blocks of its own")
        for name, value, default in (("kernel", kernel, 3), ("convolutions", convolutions, 1), ("expansion", expansion, 2)):
            check_read(name, value, default, bool(modules), "there is no joint feature module")
        self.inputs = Inputs(flow=Flow(size=size, strain=third == "strain", stabilisation="median"))
        self.fusion, self.judged, self.module_weight, self.smoothing = fusion, judged, module_weight, smoothing
        self.normalised, self.quantile, self.mirrored = normalised, quantile, mirrored
        self.backbone: nn.Module
        self.backbone, channels = (Trunk(widths, stride, blocks), widths) if backbone == "trunk" else _timm(backbone, size)
        self.places = sorted(modules)
        pairs = [(channels[i - 1], channels[i]) for i in self.places]
        self.joints = nn.ModuleList(JointFeatureModule(*pair, joint, kernel, convolutions, expansion) for pair in pairs)
        lengths = [channels[-1], *(expansion * joint for _ in pairs)]
        self.heads = nn.ModuleList(nn.Sequential(KeyedDropout(dropout), nn.Linear(length, classes)) for length in lengths)
        self.weights = nn.Parameter(torch.zeros(len(lengths))) if fusion == "learned" else None

    def outputs(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, classes), which are log-probabilities, and ``heads`` (B, 1 + modules, classes): the backbone's logits, the modules'."""
        heads = self._predictions(batch["flow"])
        fused = self._fused(heads)
        if not self.training and self.mirrored:
            fused = torch.logaddexp(fused, self._fused(self._predictions(mirror(batch)["flow"]))) - math.log(2)
        return {"logits": fused, "heads": heads}

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return ``total``: the weighted sum of each prediction's cross-entropy, or the fused one's; learned weights need the latter too."""
        losses = {}
        if self.judged == "fused" or self.weights is not None:
            losses["fused"] = functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=self.smoothing)
        if self.judged == "each":
            heads = outputs["heads"].unbind(1)
            for name, logits in zip(("backbone", *(f"module_{i}" for i in self.places)), heads, strict=True):
                losses[name] = functional.cross_entropy(logits, batch["label"], label_smoothing=self.smoothing)
        weighted = [self.module_weight * loss if name.startswith("module_") else loss for name, loss in losses.items()]
        return {**losses, "total": torch.stack(weighted).sum()}

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return AdamW."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        return torch.optim.AdamW(parameters, lr=stage.lr, weight_decay=stage.weight_decay)

    def _predictions(self, flow: Tensor) -> Tensor:
        """Return (B, 1 + modules, classes) logits."""
        stages = self.backbone(self._image(flow))[-STAGES:]  # fine to coarse
        found = [stages[-1], *(joint(stages[i - 1], stages[i]) for i, joint in zip(self.places, self.joints, strict=True))]
        return torch.stack([head(maps.mean(dim=(2, 3))) for head, maps in zip(self.heads, found, strict=True)], dim=1)

    def _image(self, flow: Tensor) -> Tensor:
        """Return the flow image (B, 3, size, size): u, v and the third channel."""
        motion, strain = flow[:, :2], flow[:, 2:]
        if self.normalised:
            motion, strain = scaled(motion, self.quantile), scaled(strain, self.quantile) if len(strain[0]) else strain
        if len(strain[0]):
            return torch.cat([motion, strain], dim=1)
        return torch.cat([motion, motion.square().sum(dim=1, keepdim=True).sqrt()], dim=1)

    def _fused(self, heads: Tensor) -> Tensor:
        """Return (B, classes) log-probabilities: their exponential is what is recorded."""
        if self.fusion == "sum":
            return functional.log_softmax(heads.sum(dim=1), dim=-1)
        weights = heads.new_zeros(heads.shape[1]) if self.weights is None else self.weights
        shares = functional.log_softmax(weights, dim=0)
        return torch.logsumexp(functional.log_softmax(heads, dim=-1) + shares[:, None], dim=1)


class JointFeatureModule(nn.Module):
    """Joins two neighbouring stages of the backbone: brought to the same width and the finer grid, then convolved together.

    Args:
        fine, coarse: channels of the stages.
        width: channels to which each is brought.
        kernel: height and width of the convolutions together, in places of the finer grid.
        convolutions: how many there are, one after another.
        expansion: channels that come out, in multiples of the width.

    Raises:
        UserError: the kernel has no middle; it, the convolutions or the expansion is none or beyond `MOST`.
    """

    def __init__(self, fine: int, coarse: int, width: int, kernel: int, convolutions: int, expansion: int) -> None:
        super().__init__()
        check("kernel", kernel, kernel % 2 == 1 and 1 <= kernel <= MOST, f"an odd number from 1 to {MOST}")
        check("convolutions", convolutions, 1 <= convolutions <= MOST, f"a whole number from 1 to {MOST}")
        check("expansion", expansion, 1 <= expansion <= MOST, f"a whole number from 1 to {MOST}")
        joined = expansion * width
        self.fine, self.coarse = _convolved(fine, width, 1), _convolved(coarse, width, 1)
        ins = (2 * width, *[joined] * (convolutions - 1))
        self.join = nn.Sequential(*(part for each in ins for part in _convolved(each, joined, kernel)))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return (B, expansion * width, h, w) from (B, fine, h, w) and (B, coarse, h / 2, w / 2)."""
        grown = functional.interpolate(self.coarse(coarse), size=fine.shape[-2:], mode="bilinear")
        joined: Tensor = self.join(torch.cat([self.fine(fine), grown], dim=1))
        return joined


class Trunk(nn.Module):
    """Four stages of residual blocks for small images: each stage after the first halves the grid.

    Args:
        widths: channels of the stages.
        stride: of the stem.
        blocks: in each stage.

    Raises:
        ValueError: there are not as many widths as stages.
        UserError: there is no block, or there are beyond `MOST` in a stage.
    """

    def __init__(self, widths: tuple[int, ...], stride: int, blocks: int) -> None:
        super().__init__()
        if len(widths) != STAGES:
            raise ValueError(f"the trunk has {STAGES} stages, and {len(widths)} widths were given")
        check("blocks", blocks, 1 <= blocks <= MOST, f"a whole number from 1 to {MOST}")
        self.stem = _convolved(3, widths[0], 3, stride)
        ins = (widths[0], *widths[:-1])
        self.blocks, self.stages = blocks, nn.ModuleList()  # block after block: with one a stage they are called as the stages
        for n, (i, o) in enumerate(zip(ins, widths, strict=True)):
            self.stages.append(Residual(i, o, 1 if not n else 2))
            self.stages.extend(Residual(o, o, 1) for _ in range(blocks - 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of each stage, fine to coarse."""
        x, found = self.stem(image), []
        for block in self.stages:
            x = block(x)
            found.append(x)
        return found[self.blocks - 1 :: self.blocks]


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        last = nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.body = nn.Sequential(_convolved(ins, outs, 3, stride), last, nn.BatchNorm2d(outs))
        plain = ins == outs and stride == 1
        self.shortcut = nn.Identity() if plain else nn.Sequential(nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outs, H / stride, W / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def _convolved(ins: int, outs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(ins, outs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outs), nn.ReLU())


def _timm(name: str, size: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a backbone of timm from random weights, which gives the maps of all its stages, and the last stages' channels.

    Raises:
        UserError: timm has none of that name, or its stages are too few, too coarse for the image, or not maps.
    """
    net = backbones.build(name, 3, size, stages=True, argument="backbone")
    found = backbones.tried(net, name, 3, size, argument="backbone")
    last = found[-STAGES:]
    if len(last) < STAGES or any(maps.dim() != 4 or maps.shape[2] != maps.shape[3] for maps in last) or last[-1].shape[-1] < 2:
        shapes = ", ".join(str(tuple(maps.shape[1:])) for maps in found)
        raise UserError(
            f"timm's {name} gives stages of {shapes} for images of {size} pixels; the modules join the last {STAGES}, channels first, none "
            "coarser than 2 x 2",
            where=f"method.backbone={name}, method.size={size}",
            remedy="a larger size, or a convolutional network such as resnet18",
        )
    return net, tuple(maps.shape[1] for maps in last)
