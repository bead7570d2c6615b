"""FeatRef: feature refinement (Zhou, Mao, Huang, Zhang and Zhang, Pattern Recognition, 2022, arXiv 2101.04838).

What the abstract says is the paper's: optical flow, an inception module that gives expression-shared features, an expression proposal module
with attention factors and a proposal loss that refines them into expression-specific features, and classification of their fusion. The
inception module is read as the first author's own Dual-Inception network (FG 2019), whose sizes are known. Every other number is ours, and an
argument. No arguments are the inception module's kernels and its halving of the maps, which are the ports', and how deep an expression's branch
is: one hidden layer before the attention factors, one layer each for features and score.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.arguments import check, check_read
from merbench.batch import Batch, Flow, Inputs
from merbench.data.augment import mirror
from merbench.displacement import scaled
from merbench.layers import InceptionStream, KeyedDropout
from merbench.method import METHODS, Card, Method, Outputs, Stage

Fusion = Literal["concatenated", "sum", "score-weighted"]


@METHODS.add("featref")
class FeatRef(Method):
    """Shared features of u and v, refined into features of each expression, which are fused and classified.

    Args:
        classes: number of classes.
        size: height and width of the flow, pixels; 28 as the ports of the Dual-Inception network and published flow have it.
        widths: of the inception blocks' paths; each block halves the maps.
        shared: length of the expression-shared features.
        bottleneck: length of what the attention factors are computed from.
        specific: length of the features of one expression.
        dropout: of the shared features.
        proposals: the expression proposal module; without it the shared features are classified, which is the Dual-Inception network.
        attention: attention factors; without them every expression reads all shared features alike.
        proposal: weight of the proposal loss beside the recognition loss.
        cap: most that a clip weighs in the proposal loss, where one without the expression weighs 1; ours.
        fusion: expression-specific features are laid end to end, summed, or summed by the proposals' scores.
        smoothing: of the labels.
        normalised: each clip's flow is divided by a quantile of its |u| and |v|.
        quantile: which one: the share of those values that come to lie within 1; ours.
        mirrored: a clip is judged by itself and its mirror image.
        rectified: the inception blocks' paths of 1 x 1 alone end with a ReLU.

    Raises:
        ValueError: the proposal loss would be raised, or without proposals something is asked of them.
        UserError: a size, quantile or cap means nothing, or nothing would read it.
    """

    later = ("size", "cap", "quantile")

    card = Card(
        title="Feature Refinement: An Expression-Specific Feature Learning and Fusion Method for Micro-Expression Recognition",
        year=2022,
        paper="arXiv 2101.04838",
        network="reconstruction",
        training="reconstruction",
        departures=(
            "There is no public code and only the abstract could be read: the proposal module's sizes, the attention factors, the proposal loss, "
            "the fusion, losses' weights and training are ours.",
            "The inception module is the first author's Dual-Inception network, sizes by two public ports: u and v in streams of their own, "
            "28 x 28 to 64 maps of 7 x 7 each. The ports differ in whether a path of 1 x 1 alone ends with a ReLU; here it does.",
            "One branch for each class: attention factors are a sigmoid of a perceptron with a bottleneck and multiply the shared features; the "
            "proposal loss is a binary cross-entropy of each branch's score, present clips weighing up to five times, as counted in the batch.",
            "The clip's median flow is removed as head motion, flow is divided by the 99th percentile of its parts, training clips are mirrored at "
            "random, and a clip is judged by the mean logits of itself and its mirror image; none of this is known of the paper.",
            "AdamW with a falling rate, 28 epochs, label smoothing, dropout; all chosen on rendered faces whose flow was stretched as published flow is.",
        ),
    )

    def __init__(
        self,
        classes: int,
        size: int = 28,
        widths: tuple[int, ...] = (6, 16),
        shared: int = 1024,
        bottleneck: int = 128,
        specific: int = 256,
        dropout: float = 0.2,
        proposals: bool = True,
        attention: bool = True,
        proposal: float = 0.5,
        cap: float = 5.0,
        fusion: Fusion = "concatenated",
        smoothing: float = 0.1,
        normalised: bool = True,
        quantile: float = 0.99,
        mirrored: bool = True,
        rectified: bool = True,
    ) -> None:
        super().__init__(classes)
        if proposal < 0:
            raise ValueError(f"a proposal loss that weighs {proposal} would be raised, not lowered")
        if not proposals and not (attention and fusion == "concatenated"):
            raise ValueError(
                f"without proposals nothing is attended to or fused: attention={attention} and fusion={fusion} would change nothing"
            )
        check("widths", widths, len(widths) > 0 and min(widths) > 0, "channels of one block at least, each from 1")
        check("size", size, size >= 2 ** len(widths), f"at least {2 ** len(widths)} pixels: {len(widths)} blocks halve them")
        check("cap", cap, cap > 0, "a weight above 0")
        check_read("cap", cap, 5.0, proposals and proposal > 0, "there is no proposal loss")
        check("quantile", quantile, 0 < quantile <= 1, "a share above 0, at most 1")
        check_read("quantile", quantile, 0.99, normalised, "flow is not normalised")
        self.inputs = Inputs(flow=Flow(size=size, stabilisation="median"))
        self.proposal, self.cap, self.fusion, self.smoothing = proposal, cap, fusion, smoothing
        self.normalised, self.quantile, self.mirrored = normalised, quantile, mirrored
        self.streams = nn.ModuleList(InceptionStream(widths, rectified=rectified) for _ in "uv")
        maps = 2 * 4 * widths[-1] * (size // 2 ** len(widths)) ** 2
        self.shared = nn.Sequential(nn.Linear(maps, shared), nn.ReLU(), KeyedDropout(dropout))
        self.experts = nn.ModuleList(Expert(shared, bottleneck, specific, attention) for _ in range(classes if proposals else 0))
        joined = shared if not proposals else classes * specific if fusion == "concatenated" else specific
        self.head = nn.Linear(joined, classes)

    def outputs(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, classes) and, with proposals, ``scores`` (B, classes): logits of "this is expression k"."""
        outputs = self._judge(batch["flow"])
        if self.training or not self.mirrored:
            return outputs
        reflected = self._judge(mirror(batch)["flow"])
        return {name: (value + reflected[name]) / 2 for name, value in outputs.items()}

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the recognition loss, the proposal loss and ``total``."""
        recognition = functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=self.smoothing)
        if "scores" not in outputs:
            return {"total": recognition}
        proposal = proposal_loss(outputs["scores"], batch["label"], self.cap)
        return {"recognition": recognition, "proposal": proposal, "total": recognition + self.proposal * proposal}

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return AdamW, in one pass over the eight million parameters: the plain loop takes a fifth of an epoch on a CPU."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        return torch.optim.AdamW(parameters, lr=stage.lr, weight_decay=stage.weight_decay, fused=True)

    def _judge(self, flow: Tensor) -> Outputs:
        if self.normalised:
            flow = scaled(flow, self.quantile)
        maps = [stream(flow[:, i : i + 1]).flatten(1) for i, stream in enumerate(self.streams)]
        shared = self.shared(torch.cat(maps, dim=1))  # (B, shared)
        if not self.experts:
            return {"logits": self.head(shared)}
        pairs = [expert(shared) for expert in self.experts]
        scores = torch.cat([score for _, score in pairs], dim=1)  # (B, classes)
        features = torch.stack([feature for feature, _ in pairs], dim=1)  # (B, classes, specific)
        return {"logits": self.head(self._fused(features, scores)), "scores": scores}

    def _fused(self, features: Tensor, scores: Tensor) -> Tensor:
        """Return (B, classes * specific), or (B, specific) where the expressions' features are summed."""
        if self.fusion == "concatenated":
            return features.flatten(1)
        if self.fusion == "score-weighted":
            features = features * torch.sigmoid(scores)[..., None]
        return features.sum(dim=1)


class Expert(nn.Module):
    """One expression's branch of the proposal module: which shared features matter for it, its own features, and whether it is there.

    Args:
        shared: length of the shared features.
        bottleneck: length of what the attention factors are computed from.
        specific: length of the expression's own features.
        attention: with attention factors.
    """

    def __init__(self, shared: int, bottleneck: int, specific: int, attention: bool) -> None:
        super().__init__()
        squeeze, excite = nn.Linear(shared, bottleneck), nn.Linear(bottleneck, shared)
        self.attention = nn.Sequential(squeeze, nn.ReLU(), excite, nn.Sigmoid()) if attention else None
        self.refine = nn.Sequential(nn.Linear(shared, specific), nn.ReLU())
        self.score = nn.Linear(specific, 1)

    def forward(self, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expression's features (B, specific) and the logit of its presence (B, 1)."""
        if self.attention is not None:
            shared = self.attention(shared) * shared
        features = self.refine(shared)
        return features, self.score(features)


def proposal_loss(scores: Tensor, label: Tensor, cap: float) -> Tensor:
    """Return the binary cross-entropy of "this is expression k", a scalar, the mean over clips and expressions.

    A clip that has the expression weighs as much more as there are clips without it for each that has it, counted in the batch.

    Args:
        scores: (B, K), logits.
        label: (B,), below K.
        cap: most that a clip weighs.
    """
    present = (label[:, None] == torch.arange(scores.shape[1], device=scores.device)).to(scores.dtype)  # (B, K)
    count = present.sum(dim=0)
    weight = ((len(label) - count) / count.clamp_min(1)).clamp_max(cap)
    return functional.binary_cross_entropy_with_logits(scores, present, pos_weight=weight)
