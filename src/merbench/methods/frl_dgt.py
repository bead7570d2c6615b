"""FRL-DGT: adaptive displacement generation and transformer fusion (Zhai, Zhao, Long, Xu, He and Zhao, CVPR 2023, arXiv 2304.04420).

What the abstract says is the paper's: onset and apex frames, a convolutional displacement generation module (DGM) trained by
self-supervision and by the recognition loss, regions of action units, three transformer modules (local, global and full-face fusion) with a
fusion layer before attention. Every number is ours, and an argument of the method. No arguments are what comes with a part's
source: halves from octave to octave and from level to level, two convolutions of 3 x 3 with group normalisation on each (U-Net), the constants
and windows of SSIM, weights that begin small (0.02 for positions as in ViT, 0.001 for the DGM's last layer, which begins at least squares).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.arguments import check, check_read
from merbench.batch import Batch, Flow, Frame, Inputs
from merbench.displacement import agreement, crop, dynamic_image, even, least_squares, median, roughness, ssim, warp
from merbench.layers import KeyedDropout, KeyedUniform
from merbench.method import METHODS, Card, Method, Outputs, Stage

CANONICAL = 224
"""Displacements are handed on in pixels of the aligned face, whatever size they are computed at."""

REGIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "twelve": (
        (21,), (22,),  # inner brows: AU 1, 4
        (18,), (25,),  # outer brows: AU 2, 4
        (36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47),  # eyes: AU 5, 7
        (41, 48), (46, 54),  # cheeks: AU 6
        (33,),  # wings of the nose: AU 9, 10
        (48,), (54,),  # corners of the mouth: AU 12, 14, 15, 20
        (57, 8),  # chin: AU 17, 23, 24, 26
    ),
    "nine": (
        (18, 21), (22, 25),  # brows, each in one: AU 1, 2, 4
        (36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47),
        (41, 48), (46, 54),
        (48,), (54,),
        (57, 8),
    ),
}  # fmt: skip
"""Each region's centre is the mean of these landmarks (numbered from 0)."""

Motion = Literal["learned", "tvl1", "dynamic-image"]
Fusion = Literal["before", "after", "none"]
Regions = Literal["twelve", "nine"]


@METHODS.add("frl_dgt")
class FRLDGT(Method):
    """Displacement of onset and apex, regions of action units, and three transformers that fuse them.

    Args:
        classes: number of classes.
        size: height and width of the frames, pixels.
        widths: channels of the DGM's levels; each has half the size of the one before, the first half the size of the frames.
        octaves: of the image pyramid from which the DGM starts.
        reach: the largest displacement that the DGM can add to that of least squares, in pixels of the 224-pixel face.
        side: height and width of a region, in distances between the eyes.
        dim: length of a token.
        depth: layers of each transformer.
        heads: of each layer.
        dropout: before the last linear layer.
        smoothing: of the labels.
        self_supervised: weight of the DGM's own loss beside the recognition loss.
        pull: share of the recognition loss's gradient that reaches the DGM: with all of it, displacements leave the motion for the label.
        smooth: weight of the displacement's roughness within the DGM's own loss.
        warm_up: epochs in which the DGM alone is trained, on random pairs of frames of the training clips.
        near: in training, a share of the apex frames is replaced by another frame at most so far from the apex, in spans from onset to apex.
        steady: the median displacement of each clip is subtracted before regions are cut: what moves everywhere is the head.
        motion: ``learned`` by the DGM, or what the paper compares it with: ``tvl1``, optical flow in its place, or ``dynamic-image``, all frames in one.
        fusion: tokens are mixed linearly ``before`` attention, ``after`` it, or not at all (``none``: a plain transformer).
        local: patches of a region attend to each other; without, they are averaged.
        globe: regions attend to each other; without, they stay apart until the face is read.
        full_face: patches of the whole displacement are read with the regions; without, the regions are averaged.
        apex: the ``annotated`` one, or ``spotted``: the frame that has moved most, by least squares.
        shift: another frame is taken for the apex, the nearest of those read to a place so far from it, in spans from onset to apex; later
            where positive.
        regions: of action units, ``twelve`` as in `REGIONS`, or ``nine``: each brow is one, and the nose is none.
        grid: cells along a side of a region.
        patch: cells along a side of one of its patches; divides the grid.
        face_grid: cells along a side of the whole face's displacement, as full-face fusion reads it.
        face_patch: cells along a side of one of its patches; divides the face's grid.
        expansion: hidden units of a transformer layer's perceptron, in lengths of a token.
        groups: of channels that are normalised together within the DGM, at most; fewer where a level's channels cannot be parted so.
        gain: by which the difference of two frames, whose deviation is 1, is turned up before the DGM reads it.
        belief: how sharply the DGM can choose between octaves: what its scores of them are multiplied by before the softmax.
        window: height and width of the windows of least squares, pixels of each octave, odd.
        firmness: of least squares, added to the diagonal of each window's equations; squared gradients of frames whose deviation is 1.
        structure: share of SSIM in the photometric loss; the rest is L1 (as in Godard et al., CVPR 2017).
        swapped: share of the apexes that are replaced in training, see near; fewer where no other frame is that near.
        warm_up_batch: clips a step of the warm-up; 0 for as many as in recognition.
        warm_up_lr: its learning rate; 0 for that of recognition.

    Raises:
        ValueError, UserError: a number means nothing, or would change nothing.
    """

    later = (
        *("regions", "grid", "patch", "face_grid", "face_patch", "expansion"),
        *("groups", "gain", "belief", "window", "firmness", "structure", "swapped", "warm_up_batch", "warm_up_lr"),
    )

    card = Card(
        title="Feature Representation Learning with Adaptive Displacement Generation and Transformer Fusion for Micro-Expression Recognition",
        year=2023,
        paper="arXiv 2304.04420, doi 10.1109/CVPR52729.2023.02115",
        network="reconstruction",
        training="reconstruction",
        departures=(
            "There is no public code and only the abstract could be read: layers, widths, regions, tokens, losses and optimiser are ours.",
            "The DGM starts from the least-squares displacement (Lucas and Kanade) at four octaves, in closed form; the U-Net blends these place by "
            "place and adds at most a pixel. From the frames alone it learnt no motion within this training (tried on rendered faces). The record of "
            "a run on rendered faces has the endpoint error of least squares alone beside the trained one's.",
            "A tenth of the recognition loss's gradient reaches the DGM: with all of it, its displacement left the true motion (rendered faces).",
            "Self-supervision warps the apex back onto the onset: L1 and SSIM on frames of equal brightness, edge-aware smoothness.",
            "The DGM learns alone first, on random pairs of frames of the training clips; afterwards half of the apexes that are learnt from are "
            "replaced by frames near them.",
            "Fusion before attention is read as a learned linear mixing of the tokens ahead of self-attention, within its residual branch.",
            "Twelve square regions around landmarks of the onset (method.regions=nine: nine), cut from the displacement; their size follows the "
            "distance between the eyes.",
            "The clip's median displacement is subtracted as head motion before regions are cut; the paper is not known to do so.",
        ),
    )

    def __init__(
        self,
        classes: int,
        size: int = 112,
        widths: tuple[int, ...] = (32, 64, 128, 128),
        octaves: int = 4,
        reach: float = 1.0,
        side: float = 0.55,
        dim: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.3,
        smoothing: float = 0.1,
        self_supervised: float = 10.0,
        pull: float = 0.1,
        smooth: float = 0.05,
        warm_up: int = 15,
        near: float = 0.2,
        steady: bool = True,
        motion: Motion = "learned",
        fusion: Fusion = "before",
        local: bool = True,
        globe: bool = True,
        full_face: bool = True,
        apex: Literal["annotated", "spotted"] = "annotated",
        shift: float = 0.0,
        regions: Regions = "twelve",
        grid: int = 28,
        patch: int = 7,
        face_grid: int = 56,
        face_patch: int = 8,
        expansion: int = 2,
        groups: int = 8,
        gain: float = 4.0,
        belief: float = 10.0,
        window: int = 5,
        firmness: float = 5e-3,
        structure: float = 0.85,
        swapped: float = 0.5,
        warm_up_batch: int = 0,
        warm_up_lr: float = 0.0,
    ) -> None:
        super().__init__(classes)
        for name, value, fits, wanted in (
            ("patch", patch, patch > 0 and grid > 0 and grid % patch == 0, f"a number from 1 that divides grid={grid}"),
            (
                *("face_patch", face_patch, face_patch > 0 and face_grid > 0 and face_grid % face_patch == 0),
                f"a number from 1 that divides face_grid={face_grid}",
            ),
            ("expansion", expansion, expansion > 0, "a whole number from 1"),
            ("groups", groups, groups > 0, "a whole number from 1"),
            ("gain", gain, gain > 0, "a number above 0"),
            ("belief", belief, belief > 0, "a number above 0"),
            ("window", window, window % 2 == 1 and 3 <= window <= size, f"an odd number from 3 to the {size} pixels of a frame"),
            ("firmness", firmness, firmness > 0, "a number above 0: where there is no texture, nothing else holds the equations"),
            ("structure", structure, 0 <= structure <= 1, "a share from 0 to 1"),
            ("swapped", swapped, 0 <= swapped <= 1, "a share from 0 to 1"),
            ("widths", widths, len(widths) > 0 and min(widths) > 0, "channels of one level at least, each from 1"),
            ("dim", dim, dim > 0, "a whole number from 1"),
            ("heads", heads, heads > 0 and dim % heads == 0, f"a number from 1 that divides dim={dim}"),
            ("warm_up_batch", warm_up_batch, warm_up_batch >= 0, "a whole number from 1, or 0 for that of recognition"),
            ("warm_up_lr", warm_up_lr, warm_up_lr >= 0, "a number above 0, or 0 for that of recognition"),
        ):
            check(name, value, fits, wanted)
        warms_up = warm_up > 0 and motion == "learned"
        check_read("warm_up_batch", warm_up_batch, 0, warms_up, "there is no warm-up")
        check_read("warm_up_lr", warm_up_lr, 0.0, warms_up, "there is no warm-up")
        if shift <= -1:
            raise ValueError(f"an apex shifted by {shift} spans lies at the onset or before it")
        if motion != "learned" and (apex != "annotated" or shift):
            raise ValueError(f"with motion={motion} no frame is chosen for the apex: apex={apex} and shift={shift} would change nothing")
        if min(self_supervised, smooth) < 0 or not 0 <= pull <= 1:
            raise ValueError(f"weights of losses are from 0, shares from 0 to 1: {self_supervised=}, {smooth=}, {pull=}")
        frames = Frame(size, colour=True, sequence=True)
        self.inputs = Inputs(flow=Flow(size, pixels=True), landmarks=True) if motion == "tvl1" else Inputs(frame=frames, landmarks=True)
        self.motion, self.apex, self.shift, self.warm_up_batch, self.warm_up_lr = motion, apex, shift, warm_up_batch, warm_up_lr
        self.size, self.side, self.near, self.steady = size, side, near, steady
        self.regions, self.grid, self.swapped, self.structure = REGIONS[regions], grid, swapped, structure
        self.smoothing, self.self_supervised, self.pull, self.smooth, self.warm_up = smoothing, self_supervised, pull, smooth, warm_up
        if motion == "learned":
            if octaves < 1 or size % 2 ** (octaves - 1):
                raise ValueError(f"frames of {size} pixels cannot be halved {octaves - 1} times" if octaves > 0 else "there is no octave")
            self.displace = DGM(widths, octaves, reach * size / CANONICAL, groups, gain, belief, window, firmness)
            self.pairs, self.swaps = KeyedUniform(), KeyedUniform()
        channels = 3 if motion == "dynamic-image" else 2
        count = len(self.regions)
        self.local = LocalFusion(channels, count, grid, patch, dim, depth if local else 0, heads, fusion, expansion)
        self.globe = GlobalFusion(count, dim, depth if globe else 0, heads, fusion, expansion)
        self.face = FullFaceFusion(channels, count, face_grid, face_patch, dim, depth, heads, fusion, expansion) if full_face else None
        self.head = nn.Sequential(nn.LayerNorm(dim), KeyedDropout(dropout), nn.Linear(dim, classes))

    def stages(self) -> tuple[Stage, ...]:
        """Return the warm-up of the DGM on random pairs of frames, and recognition."""
        recognition = Stage("recognition")
        if not self.warm_up or self.motion != "learned":
            return (recognition,)
        first = Stage(
            "warm-up",
            epochs=self.warm_up,
            batch=self.warm_up_batch or None,
            lr=self.warm_up_lr or None,
            outputs=self.warm_up_outputs,
            loss=self.warm_up_loss,
        )
        return (first, recognition)

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return AdamW."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        return torch.optim.AdamW(parameters, lr=stage.lr, weight_decay=stage.weight_decay)

    def warm_up_outputs(self, batch: Batch) -> Outputs:
        """Return the displacement between two random frames of each clip, the earlier first."""
        places = self.pairs(batch["times"]).argsort(dim=1, stable=True)[:, :2]  # two different ones of T
        first, second = places.sort(dim=1).values.unbind(1)
        before, after = _pick(batch["frames"], first), _pick(batch["frames"], second)
        return {"before": before, "after": after, "displacement": self.displace(before, after)}

    def warm_up_loss(self, outputs: Outputs, _batch: Batch) -> Outputs:
        """Return the DGM's own loss."""
        return self._self_supervision(outputs)

    def outputs(self, batch: Batch) -> Outputs:
        """Return ``logits`` (B, classes) and, of a learned one, ``displacement`` (B, 2, size, size), pixels of the frame grid, with its frames."""
        if self.motion != "learned":
            known = batch["flow"] * (CANONICAL / self.size) if self.motion == "tvl1" else dynamic_image(batch["frames"])
            return {"logits": self._read(known, batch["landmarks"])}
        before, after = batch["onset"], self._near_apex(batch) if self.training else self._apex(batch, self._place(batch))
        displacement = self.displace(before, after)
        motion = (self.pull * displacement + (1 - self.pull) * displacement.detach()) * (CANONICAL / self.size)
        return {"logits": self._read(motion, batch["landmarks"]), "before": before, "after": after, "displacement": displacement}

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return cross-entropy with smoothed labels, and the DGM's own loss beside it."""
        recognition = functional.cross_entropy(outputs["logits"], batch["label"], label_smoothing=self.smoothing)
        if self.motion != "learned":
            return {"total": recognition}
        own = self._self_supervision(outputs)
        return {**own, "recognition": recognition, "total": recognition + self.self_supervised * own["total"]}

    def measures(self, batch: Batch) -> Outputs:
        """Return how the displacement from annotated onset to apex, whichever frame is recognised, agrees with TV-L1 flow and with the truth.

        Both references are of that pair of frames; the truth is known of rendered clips.
        """
        if self.motion != "learned":
            return {}
        displacement, scale = self.displace(batch["onset"], batch["apex"]), CANONICAL / self.size
        found = {"correlation with TV-L1": agreement(displacement, batch["tvl1"])[2]}
        if "truth" in batch:
            error, nothing, correlation = agreement(displacement, batch["truth"])
            begin, _, _ = agreement(self.displace.untrained(batch["onset"], batch["apex"]), batch["truth"])
            found["correlation with the truth"] = correlation
            found["endpoint error, 224-pixel face"] = error * scale
            found["endpoint error of zero flow"] = nothing * scale
            found["endpoint error of least squares alone"] = begin * scale
        return found

    def maps(self, batch: Batch) -> Outputs:
        """Return how far each place of the face is displaced, as a share of what moves most, (B, size, size); nothing where none is learned."""
        if self.motion != "learned":
            return {}
        displacement = self.outputs(batch)["displacement"]
        moved = (displacement - median(displacement) if self.steady else displacement).square().sum(dim=1).sqrt()  # what is read
        return {"displacement": moved / moved.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)}

    def _read(self, motion: Tensor, landmarks: Tensor) -> Tensor:
        """Return (B, classes) unnormalised scores from motion of the whole face, (B, 2 or 3, size, size)."""
        if self.steady:
            motion = motion - median(motion)
        regions = self.globe(self.local(self._regions(motion, landmarks)))
        fused = regions.mean(dim=1) if self.face is None else self.face(motion, regions)
        logits: Tensor = self.head(fused)
        return logits

    def _regions(self, motion: Tensor, landmarks: Tensor) -> Tensor:
        """Return the motion of the regions of action units, (B, R, 2 or 3, grid, grid)."""
        centres = torch.stack([landmarks[:, list(region)].mean(dim=1) for region in self.regions], dim=1)
        eyes = landmarks[:, 36:42].mean(dim=1) - landmarks[:, 42:48].mean(dim=1)
        return crop(motion, centres, self.side * eyes.square().sum(dim=1).sqrt(), size=self.grid)

    def _place(self, batch: Batch) -> Tensor:
        """Return where in the clip its apex is taken to be, (B,): 1 is where the annotation has it."""
        if self.apex == "annotated":
            return torch.full_like(batch["times"][:, 0], 1 + self.shift)
        frames = batch["frames"]
        with torch.no_grad():
            moved = self.displace.untrained(batch["onset"].repeat_interleave(frames.shape[1], dim=0), frames.flatten(0, 1))
            lengths = (moved - median(moved)).square().sum(dim=1).sqrt().mean(dim=(1, 2)).view(frames.shape[:2])
        return batch["times"].gather(1, lengths.argmax(dim=1, keepdim=True))[:, 0] + self.shift

    def _apex(self, batch: Batch, place: Tensor) -> Tensor:
        """Return the frame at a place in the clip, or the nearest (B, C, H, W)."""
        if self.apex == "annotated" and not self.shift:
            return batch["apex"]
        return _pick(batch["frames"], (batch["times"] - place[:, None]).abs().argmin(dim=1))

    def _near_apex(self, batch: Batch) -> Tensor:
        """Return the apex, or for a share of the clips another frame near it (B, C, H, W)."""
        place = self._place(batch)
        distance = (batch["times"] - place[:, None]).abs()
        draws = self.swaps(batch["times"])
        chosen = torch.where(distance <= self.near, draws, draws - 2).argmax(dim=1)  # one of the near frames; any, where none is near
        allowed = (distance.gather(1, chosen[:, None])[:, 0] <= self.near) & (draws[:, 0] < self.swapped)
        return torch.where(allowed[:, None, None, None], _pick(batch["frames"], chosen), self._apex(batch, place))

    def _self_supervision(self, outputs: Outputs) -> Outputs:
        """Return the photometric loss of the apex warped back onto the onset, and the displacement's roughness."""
        before, after, displacement = even(outputs["before"]), even(outputs["after"]), outputs["displacement"]
        warped = warp(after, displacement)
        light = (1 - self.structure) * (before - warped).abs().mean()
        photometric = light + self.structure * (1 - ssim(before, warped)).mean() / 2
        rough = roughness(displacement, before)
        return {"photometric": photometric, "rough": rough, "total": photometric + self.smooth * rough}


class DGM(nn.Module):
    """Displacement generation module: a U-Net from two frames to the displacement between them.

    At each octave of an image pyramid the displacement of least squares is known in closed form, fine and noisy or coarse and steady. The
    net sees these, says place by place which to believe, and adds what they miss.

    Args:
        widths: channels of the U-Net's levels.
        octaves: of the pyramid.
        reach: the largest displacement that the net can add, pixels of the frame grid.
        groups, gain, belief, window, firmness: as in `FRLDGT`.
    """

    def __init__(
        self, widths: tuple[int, ...], octaves: int, reach: float, groups: int, gain: float, belief: float, window: int, firmness: float
    ) -> None:
        super().__init__()
        self.octaves, self.reach, self.gain, self.belief, self.window, self.firmness = octaves, reach, gain, belief, window, firmness
        ins = (6 + 2 * octaves, *widths[:-1])
        self.down = nn.ModuleList(_block(i, o, groups, stride=2) for i, o in zip(ins, widths, strict=True))
        self.up = nn.ModuleList(_block(deep + fine, fine, groups) for fine, deep in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.last = nn.Conv2d(widths[0], octaves + 2, 3, padding=1)  # at half the size: motion is smoother than the face
        nn.init.normal_(self.last.weight, std=1e-3)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Return (B, 2, H, W): what is at x in ``before`` is at x + displacement in ``after`` (B, 3, H, W each, in [0, 1])."""
        before, after = even(before), even(after)
        known = self._octaves(before, after)
        x = torch.cat([before, self.gain * (after - before), *known], dim=1)  # both frames, their small difference turned up
        levels = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        for block, fine in zip(self.up, levels[-2::-1], strict=True):
            x = functional.interpolate(x, size=fine.shape[-2:], mode="bilinear")
            x = block(torch.cat([x, fine], dim=1))
        x = functional.interpolate(self.last(x), size=before.shape[-2:], mode="bilinear")
        belief = torch.softmax(self.belief * x[:, 2:], dim=1).unsqueeze(2)  # (B, octaves, 1, H, W)
        return (belief * torch.stack(known, dim=1)).sum(dim=1) + self.reach * torch.tanh(x[:, :2])

    def untrained(self, before: Tensor, after: Tensor) -> Tensor:
        """Return the mean of the least-squares displacements, (B, 2, H, W): where training begins."""
        return torch.stack(self._octaves(even(before), even(after))).mean(dim=0)

    def _octaves(self, before: Tensor, after: Tensor) -> list[Tensor]:
        return [self._octave(before, after, 2**octave) for octave in range(self.octaves)]

    def _octave(self, before: Tensor, after: Tensor, factor: int) -> Tensor:
        """Return the displacement of least squares in an image that is smaller by a factor, at full size."""
        before_small, after_small = functional.avg_pool2d(before, factor), functional.avg_pool2d(after, factor)
        found = least_squares(before_small, after_small, self.window, self.firmness) * factor
        return functional.interpolate(found, size=before.shape[-2:], mode="bilinear")


def _block(ins: int, outs: int, groups: int, stride: int = 1) -> nn.Sequential:
    """Return two 3 x 3 convolutions with group normalisation, in as many groups as part the channels."""
    groups = math.gcd(groups, outs)
    first, second = nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False), nn.Conv2d(outs, outs, 3, padding=1, bias=False)
    return nn.Sequential(first, nn.GroupNorm(groups, outs), nn.ReLU(), second, nn.GroupNorm(groups, outs), nn.ReLU())


class FusionLayer(nn.Module):
    """Transformer layer with fusion before attention ("Fu-B-Attn"): tokens are mixed linearly, then attend, then pass a perceptron.

    Args:
        tokens, dim, heads: sizes.
        fusion: where tokens are mixed: ``before`` attention, ``after`` it, or ``none``.
        expansion: hidden units of the perceptron, in lengths of a token.
    """

    def __init__(self, tokens: int, dim: int, heads: int, fusion: Fusion, expansion: int) -> None:
        super().__init__()
        self.fusion = fusion
        self.mix = nn.Parameter(torch.eye(tokens)) if fusion != "none" else None  # at first each token is itself
        self.before, self.after = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.think = nn.Sequential(nn.Linear(dim, expansion * dim), nn.GELU(), nn.Linear(expansion * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, tokens, dim)."""
        fused = self.before(self.mix @ x if self.mix is not None and self.fusion == "before" else x)
        attended = self.attend(fused, fused, fused, need_weights=True)[0]  # with weights: the path that many folds at once can take
        x = x + (self.mix @ attended if self.mix is not None and self.fusion == "after" else attended)
        return x + self.think(self.after(x))


class LocalFusion(nn.Module):
    """Within a region: its patches attend to each other and become one vector; weights are shared between regions."""

    def __init__(
        self, channels: int, regions: int, grid: int, patch: int, dim: int, depth: int, heads: int, fusion: Fusion, expansion: int
    ) -> None:
        super().__init__()
        patches = (grid // patch) ** 2
        self.embed = nn.Conv2d(channels, dim, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(patches, dim))
        self.region = nn.Parameter(0.02 * torch.randn(regions, 1, dim))
        self.layers = nn.Sequential(*(FusionLayer(patches, dim, heads, fusion, expansion) for _ in range(depth)))

    def forward(self, regions: Tensor) -> Tensor:
        """Return (B, R, dim) from (B, R, 2 or 3, grid, grid)."""
        batch, count = regions.shape[:2]
        tokens = self.embed(regions.flatten(0, 1)).flatten(2).transpose(1, 2)  # (B R, patches, dim)
        tokens = tokens.unflatten(0, (batch, count)) + self.position + self.region
        return self.layers(tokens.flatten(0, 1)).mean(dim=1).unflatten(0, (batch, count))


class GlobalFusion(nn.Module):
    """Between regions: one token each."""

    def __init__(self, regions: int, dim: int, depth: int, heads: int, fusion: Fusion, expansion: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(FusionLayer(regions, dim, heads, fusion, expansion) for _ in range(depth)))

    def forward(self, regions: Tensor) -> Tensor:
        """Return (B, R, dim) from (B, R, dim)."""
        out: Tensor = self.layers(regions)
        return out


class FullFaceFusion(nn.Module):
    """The whole displacement in patches, the regions' tokens and a class token: what the class token has gathered is read."""

    def __init__(
        self, channels: int, regions: int, grid: int, patch: int, dim: int, depth: int, heads: int, fusion: Fusion, expansion: int
    ) -> None:
        super().__init__()
        self.grid, patches = grid, (grid // patch) ** 2
        self.embed = nn.Conv2d(channels, dim, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(patches, dim))
        self.token = nn.Parameter(0.02 * torch.randn(1, dim))
        self.layers = nn.Sequential(*(FusionLayer(1 + regions + patches, dim, heads, fusion, expansion) for _ in range(depth)))

    def forward(self, motion: Tensor, regions: Tensor) -> Tensor:
        """Return (B, dim) from (B, 2 or 3, H, W) and (B, R, dim)."""
        small = functional.interpolate(motion, size=(self.grid, self.grid), mode="bilinear", antialias=True)
        patches = self.embed(small).flatten(2).transpose(1, 2) + self.position
        token = self.token.expand(len(motion), 1, -1)
        out: Tensor = self.layers(torch.cat([token, regions, patches], dim=1))
        return out[:, 0]


def _pick(frames: Tensor, places: Tensor) -> Tensor:
    """Return one frame of each clip, (B, C, H, W), from (B, T, C, H, W) and (B,)."""
    index = places[:, None, None, None, None].expand(-1, 1, *frames.shape[2:])
    return frames.gather(1, index)[:, 0]
