"""MoExt: motion between two shapes, learned by rebuilding the apex before anything is recognised (Li et al., 2024, arXiv 2407.07345).

What the abstract says is the paper's: a separator parts onset and apex into shape and texture, a motion extractor reads the two shapes, the
apex is rebuilt from the motion and the onset's texture, a contrastive loss stands beside that, both are learnt first and from macro-expressions
too, and then a recognition network that reads the motion is tuned. Every layer and number is ours, and the numbers are arguments. The roles of
shape and texture are read as in learned motion magnification (Oh et al., ECCV 2018). No arguments are what comes with a part's source: halves from
octave to octave and from stage to stage, residual blocks of two convolutions of 3 x 3 (He et al., CVPR 2016), the extractor's last weights, which
begin small (0.01) so that it begins at least squares; nor what is measured only: the tenth of a frame that moves most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from merbench.arguments import check, check_read
from merbench.batch import Batch, Frame, Inputs
from merbench.displacement import agreement, even, least_squares, median, warp
from merbench.layers import KeyedDropout, KeyedUniform
from merbench.method import METHODS, Card, Method, Outputs, Stage

CANONICAL = 224
"""Displacements are handed on in pixels of the aligned face, whatever size they are computed at."""
GREY = 255
"""Grey levels from black to white: errors are told in them."""
MOVING = 0.1
"""Share of a frame that is called its moving part: where TV-L1 flow is longest."""
DRAWS = 6
"""So many draws change a pair of frames."""


@METHODS.add("moext")
class MoExt(Method):
    """Shape and texture apart, the motion between two shapes, the apex rebuilt from it, and recognition on the motion.

    Args:
        classes: number of classes.
        size: height and width of the frames, pixels, a multiple of the motion's cells as they are projected (16 pixels), and of the texture's.
        width: channels of the separator.
        blocks: residual blocks of the separator's trunk and of each of its heads.
        octaves: of the shapes' pyramid from which the displacement starts.
        more: channels of the motion beside its displacement, one at least.
        decoder: residual blocks of the decoder.
        residual: the decoder tells what to add to the onset as the motion moves it; otherwise it makes the whole frame.
        widths: channels of the recognition network's stages, each but the first at half the size.
        pretraining: epochs of pre-training; 0 leaves it out.
        pretraining_batch: clips a step of pre-training, each the others' negative; 0 for as many as in recognition.
        pretraining_lr: its learning rate; 0 for that of recognition.
        macro: pre-training is on macro-expression clips too.
        reconstruction: weight of the rebuilt apex's error, grey levels; 0 leaves texture and decoder out.
        emphasis: how much more a place counts in that error for differing between the frames as places do on average.
        contrastive: weight of the contrastive loss; 0 leaves it out.
        temperature: of the contrastive loss.
        pace: learning rate of separator and extractor in recognition, as a share of the recognition network's; all of it where nothing was
            pre-trained.
        steady: the median of each channel of a clip's motion is subtracted before recognition: what moves everywhere is the head.
        dropout: before the last linear layer.
        motion_cell: pixels of the frame along a cell of the motion, a power of 2 from 2.
        texture_cell: pixels of the frame along a cell of the texture, 1 or 2.
        broad: channels of extractor, texture and decoder, in widths of the separator.
        gain: by which differences of shapes and of textures are turned up, a few grey levels of 255 as they are; what the decoder adds is turned
            down by as much.
        window: height and width of the windows of least squares, pixels of each octave, odd.
        firmness: of least squares, added to the diagonal of each window's equations; squared gradients of shapes of deviation 1.
        cells: along a side of the motion, from which the contrastive loss tells pairs apart.
        projection: hidden units and length of what these become.
        turned: how far a positive pair is turned at most, degrees.
        scaled: by what share of its size it grows or shrinks at most.
        shifted: how far it is moved at most along each side, in halves of that side.
        relit: by how much its brightness changes at most, from black to white 1.
        contrasted: by what share its contrast changes at most.
        parts: along a side of the face, by which recognition reads it: 2 for quarters.

    Raises:
        ValueError, UserError: a number means nothing, or would change nothing.
    """

    later = (
        *("motion_cell", "texture_cell", "broad", "gain", "window", "firmness", "cells", "projection"),
        *("turned", "scaled", "shifted", "relit", "contrasted", "parts", "pretraining_batch", "pretraining_lr"),
    )

    card = Card(
        title="Micro-Expression Recognition by Motion Feature Extraction based on Pre-training (MoExt)",
        year=2024,
        paper="arXiv 2407.07345",
        network="reconstruction",
        training="reconstruction",
        departures=(
            "There is no public code and only the abstract could be read: layers, widths, losses, their weights and the optimiser are ours.",
            "Pre-training is on the training subjects' clips alone unless method.macro=true; the paper's has macro-expressions too. Whoever is held "
            "out is in neither.",
            "The extractor starts from the least-squares displacement (Lucas and Kanade) between the two shapes, in closed form, and corrects it; a "
            "convolutional extractor on the shapes' difference recognised nothing on clips of others (tried on rendered faces).",
            "Motion is told on a grid of a quarter of the frame (method.motion_cell), in a displacement and a few channels more: it cannot hold the "
            "apex, which else could be handed to the decoder as motion.",
            "The decoder is given the onset itself: it moves onset and texture by the displacement and adds what is missing. The paper's is said to "
            "make the apex of texture and motion; method.residual=false does, and in short trainings rebuilds nothing (rendered faces).",
            "Positives of the contrastive loss are the same pair turned, scaled, shifted and relit; negatives are the other clips of the batch.",
            "Recognition is a small residual network on the motion, in whose loss the classes of a batch count alike; separator and extractor go on "
            "learning at a tenth of its rate.",
            "The clip's median motion is subtracted as head motion before recognition; the paper is not known to do so.",
        ),
        pretraining=("macro-expressions of CAS(ME)^3, with method.macro=true",),
    )

    def __init__(
        self,
        classes: int,
        size: int = 112,
        width: int = 12,
        blocks: int = 1,
        octaves: int = 3,
        more: int = 2,
        decoder: int = 2,
        residual: bool = True,
        widths: tuple[int, ...] = (32, 64, 128),
        pretraining: int = 20,
        macro: bool = False,
        reconstruction: float = 1.0,
        emphasis: float = 1.0,
        contrastive: float = 1.0,
        temperature: float = 0.1,
        pace: float = 0.1,
        steady: bool = True,
        dropout: float = 0.3,
        motion_cell: int = 4,
        texture_cell: int = 2,
        broad: int = 2,
        gain: float = 16.0,
        window: int = 5,
        firmness: float = 5e-3,
        cells: int = 4,
        projection: tuple[int, int] = (128, 64),
        turned: float = 9.0,
        scaled: float = 0.1,
        shifted: float = 0.1,
        relit: float = 0.1,
        contrasted: float = 0.2,
        parts: int = 2,
        pretraining_batch: int = 0,
        pretraining_lr: float = 0.0,
    ) -> None:
        super().__init__(classes)
        for name, value, fits, wanted in (
            ("more", more, more > 0, "a whole number from 1: what is no displacement, such as light, needs a channel"),
            ("motion_cell", motion_cell, 2 <= motion_cell <= size and motion_cell.bit_count() == 1, f"a power of 2 from 2 to {size}"),
            ("texture_cell", texture_cell, texture_cell in (1, 2), "1 or 2"),
            ("broad", broad, broad > 0, "a whole number from 1"),
            ("gain", gain, gain > 0, "a number above 0"),
            ("window", window, window % 2 == 1 and 3 <= window <= size, f"an odd number from 3 to the {size} pixels of a frame"),
            ("firmness", firmness, firmness > 0, "a number above 0: where there is no texture, nothing else holds the equations"),
            ("cells", cells, cells > 0, "a whole number from 1"),
            ("projection", projection, min(projection) > 0, "two whole numbers from 1"),
            ("turned", turned, 0 <= turned <= 180, "degrees from 0 to 180"),
            ("scaled", scaled, 0 <= scaled < 1, "a share from 0 to below 1"),
            ("shifted", shifted, 0 <= shifted <= 1, "halves of a side from 0 to 1"),
            ("relit", relit, 0 <= relit <= 1, "a number from 0 to 1, from black to white"),
            ("contrasted", contrasted, 0 <= contrasted < 1, "a share from 0 to below 1"),
            ("parts", parts, parts > 0, "a whole number from 1"),
            ("pretraining_batch", pretraining_batch, pretraining_batch >= 0, "a whole number from 1, or 0 for that of recognition"),
            ("pretraining_lr", pretraining_lr, pretraining_lr >= 0, "a number above 0, or 0 for that of recognition"),
        ):
            check(name, value, fits, wanted)
        if octaves < 1 or size % 2 ** (octaves - 1):
            raise ValueError(f"frames of {size} pixels cannot be halved {octaves - 1} times" if octaves > 0 else "there is no octave")
        if size % (motion_cell * cells) or size % texture_cell:
            raise ValueError(
                f"frames of {size} pixels cannot be parted into cells of {texture_cell}, and of {motion_cell} into {cells} x {cells} parts"
            )
        if not widths or -(-(size // motion_cell) // 2 ** (len(widths) - 1)) < parts:
            raise ValueError(f"{len(widths)} stages of recognition leave no {parts} x {parts} parts of a face of {size} pixels")
        if pretraining and not (reconstruction or contrastive):
            raise ValueError("pre-training with neither reconstruction nor contrastive loss learns nothing; pretraining=0 leaves it out")
        if min(reconstruction, contrastive, emphasis) < 0 or temperature <= 0:
            raise ValueError(
                f"weights are from 0, the temperature is above it: {reconstruction=}, {contrastive=}, {emphasis=}, {temperature=}"
            )
        if not residual and not (pretraining and reconstruction):
            raise ValueError("without reconstruction there is no decoder, and residual=False would change nothing")
        check_read("pretraining_batch", pretraining_batch, 0, pretraining > 0, "there is no pre-training")
        check_read("pretraining_lr", pretraining_lr, 0.0, pretraining > 0, "there is no pre-training")
        if macro and not pretraining:
            raise ValueError("macro clips are pre-trained on, and pretraining=0 leaves that out")
        self.inputs = Inputs(frame=Frame(size, colour=True), macro=macro)
        self.size, self.residual, self.pace, self.steady = size, residual, pace, steady
        self.pretraining, self.reconstruction, self.emphasis = pretraining, reconstruction, emphasis
        self.pretraining_batch, self.pretraining_lr = pretraining_batch, pretraining_lr
        self.contrastive, self.temperature = contrastive, temperature
        rebuilds = pretraining > 0 and reconstruction > 0
        self.motion_cell, self.change = motion_cell, Change(turned, scaled, shifted, relit, contrasted)
        self.separator = Separator(width, blocks, broad, texture_cell, texture=rebuilds)
        self.extractor = Extractor(width, octaves, more, CANONICAL / size, motion_cell, broad, gain, window, firmness)
        self.decoder = Decoder(width, broad, texture_cell, 2 + more, decoder, gain) if rebuilds else None
        self.project = Projection(2 + more, cells, *projection) if pretraining and contrastive else None
        self.changes = KeyedUniform()
        self.recogniser = Recogniser(2 + more, widths, parts, dropout, classes)

    def stages(self) -> tuple[Stage, ...]:
        """Return pre-training on pairs without labels, and recognition."""
        recognition = Stage("recognition")
        if not self.pretraining:
            return (recognition,)
        first = Stage(
            "pre-training",
            epochs=self.pretraining,
            outputs=self.pretraining_outputs,
            loss=self.pretraining_loss,
            on="training+macro" if self.inputs.macro else "training",
            batch=self.pretraining_batch or None,
            lr=self.pretraining_lr or None,
            balance=False,  # there is no label in it, and a clip that is drawn twice would be its own negative
        )
        return (first, recognition)

    def optimizer(self, stage: Stage, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam; in recognition, what was pre-trained takes smaller steps."""
        assert stage.lr is not None
        assert stage.weight_decay is not None
        pretrained = {id(parameter) for part in (self.separator, self.extractor) for parameter in part.parameters()}
        pace = self.pace if self.pretraining and stage.name == "recognition" else 1.0
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in parameters:
            groups[id(parameter) in pretrained].append(parameter)
        paced = [{"params": groups[True], "lr": pace * stage.lr}, {"params": groups[False], "lr": stage.lr}]
        return torch.optim.Adam(paced, weight_decay=stage.weight_decay)

    def pretraining_outputs(self, batch: Batch) -> Outputs:
        """Return the ``rebuilt`` apex (B, 3, H, W), and the projected motion of each pair and of the same pair changed (B, dim each)."""
        onset, apex = batch["onset"], batch["apex"]
        motion, features = self.motion(onset, apex)
        found = {}
        if self.decoder is not None:
            found["rebuilt"] = self.rebuilt(onset, motion, features)
        if self.project is not None:
            found["anchor"] = self.project(motion)
            found["positive"] = self.project(self.motion(*changed(batch, self.changes(onset[:, 0, 0, :DRAWS]), self.change))[0])
        return found

    def pretraining_loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return the rebuilt apex's error in grey levels, more where the frames differ, and the contrastive loss."""
        losses, total = {}, batch["apex"].new_zeros(())
        if "rebuilt" in outputs:
            difference = (batch["apex"] - batch["onset"]).abs()
            weight = 1 + self.emphasis * difference / (difference.mean(dim=(1, 2, 3), keepdim=True) + 1 / GREY)
            losses["reconstruction"] = GREY * (weight * (outputs["rebuilt"] - batch["apex"]).abs()).mean() / (1 + self.emphasis)
            total = total + self.reconstruction * losses["reconstruction"]
        if "anchor" in outputs:
            losses["contrastive"] = info_nce(outputs["anchor"], outputs["positive"], self.temperature)
            total = total + self.contrastive * losses["contrastive"]
        return {**losses, "total": total}

    def logits(self, batch: Batch) -> Tensor:
        """Return (B, classes) unnormalised scores."""
        motion, _ = self.motion(batch["onset"], batch["apex"])
        out: Tensor = self.recogniser(motion - median(motion) if self.steady else motion)
        return out

    def loss(self, outputs: Outputs, batch: Batch) -> Outputs:
        """Return cross-entropy, in which the classes of a batch count alike, however many clips they have."""
        each = functional.cross_entropy(outputs["logits"], batch["label"], reduction="none")
        alike = (batch["label"][:, None] == batch["label"]).to(each.dtype).sum(dim=1)  # clips of the same class
        return {"total": (each / alike).sum() / (1 / alike).sum()}

    def measures(self, batch: Batch) -> Outputs:
        """Return the held-out apex's error as it is rebuilt, in grey levels, beside what the onset in its place would give.

        Light alone is no motion: errors are told too of frames that are evenly relit, each colour by its mean difference from the apex.
        """
        if self.decoder is None:
            return {}
        onset, apex = batch["onset"], batch["apex"]
        motion, features = self.motion(onset, apex)
        made = self.rebuilt(onset, motion, features)
        rebuilt, copied = (GREY * (frame - apex).abs().mean(dim=1) for frame in (made, onset))  # (B, H, W)
        unlearnt = least_squares(_centred(onset), _centred(apex), self.extractor.window, self.extractor.firmness)
        relit, still, moved = (_relit(apex - frame) for frame in (made, onset, warp(onset, -unlearnt)))
        length = batch["tvl1"].square().sum(dim=1)
        moving = (length >= length.flatten(1).quantile(1 - MOVING, dim=1)[:, None, None]).to(copied.dtype)
        found = {
            "error of the rebuilt apex, grey levels": rebuilt.mean(dim=(1, 2)),
            "error of the onset in its place": copied.mean(dim=(1, 2)),
            "rebuilt / onset": _ratio(rebuilt, copied),
            "rebuilt / onset where it moves": _ratio(rebuilt * moving, copied * moving),
            "error of the onset evenly relit": still.mean(dim=(1, 2)),
            "rebuilt / onset, both evenly relit": _ratio(relit, still),
            "rebuilt / onset where it moves, both evenly relit": _ratio(relit * moving, still * moving),
            "onset moved by least squares alone / onset, both evenly relit": _ratio(moved, still),
        }
        if "truth" in batch:  # what is left is noise of two frames, and light that does not fall evenly
            found["error of the onset truly moved and evenly relit"] = _relit(apex - warp(onset, -batch["truth"].nan_to_num())).mean(
                dim=(1, 2)
            )
            found["correlation of the displacement with the truth"] = agreement(self._field(motion), batch["truth"])[2]
            found["correlation of least squares alone with the truth"] = agreement(unlearnt, batch["truth"])[2]
        return found

    def motion(self, onset: Tensor, apex: Tensor) -> tuple[Tensor, Tensor]:
        """Return the motion between two frames (B, 2 + more, H / motion_cell, W / motion_cell), and what the onset's texture is read from."""
        before, features = self.separator(onset)
        after, _ = self.separator(apex)
        return self.extractor(before, after), features

    def rebuilt(self, onset: Tensor, motion: Tensor, features: Tensor) -> Tensor:
        """Return the apex as motion and the onset's texture have it, (B, 3, H, W)."""
        assert self.decoder is not None
        assert self.separator.texture is not None
        field = self._field(motion)
        made: Tensor = self.decoder(motion, self.separator.texture(features), field)
        return warp(onset, -field) + made if self.residual else 0.5 + made

    def _field(self, motion: Tensor) -> Tensor:
        """Return the motion's displacement in pixels of the frame, (B, 2, H, W)."""
        return functional.interpolate(motion[:, :2], scale_factor=float(self.motion_cell), mode="bilinear") * (self.size / CANONICAL)


class Separator(nn.Module):
    """Parts a frame into its shape, at full size because small motion is lost on a coarser grid, and its texture.

    Args:
        width: channels.
        blocks: residual blocks of the trunk and of each head.
        broad, cell: channels of the texture, in widths, and pixels along one of its cells.
        texture: whether there is a head for it.
    """

    def __init__(self, width: int, blocks: int, broad: int, cell: int, texture: bool) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_conv(3, width), nn.ReLU(), *(Block(width) for _ in range(blocks)))
        self.shape = nn.Sequential(*(Block(width) for _ in range(blocks)))
        wide = (Block(broad * width) for _ in range(blocks))
        self.texture = nn.Sequential(_conv(width, broad * width, stride=cell), nn.ReLU(), *wide) if texture else None

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shape (B, width, H, W) of frames (B, 3, H, W) in [0, 1], and the features from which ``texture`` makes theirs."""
        features = self.trunk(2 * frame - 1)
        return self.shape(features), features


class Extractor(nn.Module):
    """From two shapes to the motion between them: a displacement in pixels of the 224-pixel face, and channels for what is none, such as light.

    Args:
        width: channels of a shape.
        octaves: of the shapes' pyramid whose least-squares displacements are read; the finest is what the correction is added to.
        more: channels beside the displacement.
        scale: pixels of the 224-pixel face for one of the frame.
        cell: pixels of the frame along a cell of the motion.
        broad, gain, window, firmness: as in `MoExt`.
    """

    def __init__(
        self, width: int, octaves: int, more: int, scale: float, cell: int, broad: int, gain: float, window: int, firmness: float
    ) -> None:
        super().__init__()
        self.octaves, self.scale, self.cell, self.gain, self.window, self.firmness = octaves, scale, cell, gain, window, firmness
        wide = broad * width
        ins = (width + 2 * octaves, *(wide for _ in range(cell.bit_length() - 2)))  # as many halves as lead to the cells
        halves = (part for channels in ins for part in (_conv(channels, wide, stride=2), nn.ReLU()))
        self.layers = nn.Sequential(*halves, Block(wide))
        self.correct, self.beside = _conv(wide, 2), _conv(wide, more)
        nn.init.normal_(self.correct.weight, std=1e-2)  # at first the displacement is that of least squares

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Return (B, 2 + more, H / cell, W / cell) from (B, width, H, W) each."""
        fields = self._octaves(_centred(before), _centred(after))
        x = self.layers(torch.cat([self.gain * (after - before), *fields], dim=1))  # turned up: frames differ by a few grey levels of 255
        return torch.cat([functional.avg_pool2d(fields[0], self.cell) + self.correct(x), self.beside(x)], dim=1)

    def _octaves(self, before: Tensor, after: Tensor) -> list[Tensor]:
        """Return the displacement of least squares in ever smaller shapes, each at full size."""
        found = []
        size = before.shape[-2:]
        for octave in range(self.octaves):
            if octave:
                before, after = functional.avg_pool2d(before, 2), functional.avg_pool2d(after, 2)
            field = least_squares(before, after, self.window, self.firmness) * (2**octave * self.scale)
            found.append(functional.interpolate(field, size=size, mode="bilinear") if octave else field)
        return found


class Decoder(nn.Module):
    """Makes a frame, or what is to be added to one, from motion and texture.

    Args:
        width: channels of a shape; so many stand before the last layer.
        broad, cell: channels of the texture and within the decoder, in widths, and pixels of the frame along one of the texture's cells.
        motion: channels of the motion.
        blocks: residual blocks.
        gain: as in `MoExt`.
    """

    def __init__(self, width: int, broad: int, cell: int, motion: int, blocks: int, gain: float) -> None:
        super().__init__()
        self.cell, self.gain, wide = cell, gain, broad * width
        self.join = nn.Sequential(_conv(2 * wide + motion, wide), nn.ReLU(), *(Block(wide) for _ in range(blocks)))
        self.last = nn.Sequential(_conv(wide, width), nn.ReLU(), _conv(width, 3))

    def forward(self, motion: Tensor, texture: Tensor, field: Tensor) -> Tensor:
        """Return (B, 3, H, W) from motion and texture on their grids, and the motion's displacement (B, 2, H, W), pixels of the frame."""
        carried = warp(texture, -functional.avg_pool2d(field, self.cell) / self.cell)
        motion = functional.interpolate(motion, size=texture.shape[-2:], mode="bilinear")
        x = self.join(torch.cat([carried, self.gain * (carried - texture), motion], dim=1))
        out: Tensor = self.last(functional.interpolate(x, scale_factor=float(self.cell), mode="bilinear")) / self.gain
        return out


class Projection(nn.Module):
    """Motion in cells x cells parts as a vector of length 1, by which pairs are told apart."""

    def __init__(self, motion: int, cells: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.cells = cells
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(cells**2 * motion, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, motion: Tensor) -> Tensor:
        """Return (B, dim)."""
        return functional.normalize(self.layers(functional.avg_pool2d(motion, motion.shape[-1] // self.cells)), dim=1)


class Recogniser(nn.Module):
    """A residual network (ResNet-18's blocks, fewer and narrower) on the motion, read by parts x parts of the face."""

    def __init__(self, motion: int, widths: tuple[int, ...], parts: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.parts = parts
        pairs = enumerate(zip((motion, *widths[:-1]), widths, strict=True))
        self.stages = nn.Sequential(nn.BatchNorm2d(motion), *(Step(ins, outs, 2 if place else 1) for place, (ins, outs) in pairs))
        self.head = nn.Sequential(nn.Flatten(), KeyedDropout(dropout), nn.Linear(parts**2 * widths[-1], classes))

    def forward(self, motion: Tensor) -> Tensor:
        """Return (B, classes)."""
        x = self.stages(motion)
        side, step = x.shape[-1], x.shape[-1] // self.parts
        out: Tensor = self.head(functional.avg_pool2d(x, side - (self.parts - 1) * step, step))  # of an odd side quarters share the middle
        return out


class Step(nn.Module):
    """Residual block with batch normalisation, its shortcut a 1 x 1 convolution."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        first, second = nn.Conv2d(ins, outs, 3, stride, padding=1, bias=False), nn.Conv2d(outs, outs, 3, padding=1, bias=False)
        self.layers = nn.Sequential(first, nn.BatchNorm2d(outs), nn.ReLU(), second, nn.BatchNorm2d(outs))
        self.shortcut = nn.Sequential(nn.Conv2d(ins, outs, 1, stride, bias=False), nn.BatchNorm2d(outs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outs, H / stride, W / stride)."""
        return functional.relu(self.layers(x) + self.shortcut(x))


class Block(nn.Module):
    """Residual block without normalisation: how far something moves is a matter of size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H, W)."""
        out: Tensor = x + self.layers(x)
        return out


@dataclass(frozen=True)
class Change:
    """How far a positive pair is changed at most: degrees, shares of its size, halves of a side, from black to white, shares of its contrast."""

    turned: float
    scaled: float
    shifted: float
    relit: float
    contrasted: float


def changed(batch: Batch, draws: Tensor, most: Change) -> tuple[Tensor, Tensor]:
    """Return onset and apex turned, scaled, shifted and relit: each pair in its own way, both frames of it alike, or it would be motion.

    Args:
        batch: with ``onset`` and ``apex``.
        draws: (B, DRAWS), in [0, 1); a half changes nothing.
        most: how far.
    """
    turn, scale, right, down, light, contrast = ((2 * draws - 1)[:, place, None, None] for place in range(DRAWS))
    turn, scale = math.radians(most.turned) * turn, 1 + most.scaled * scale
    cos, sin = scale * torch.cos(turn), scale * torch.sin(turn)
    side = torch.linspace(-1, 1, batch["onset"].shape[-1], device=draws.device, dtype=draws.dtype)
    y, x = side[:, None], side
    right, down = most.shifted * right, most.shifted * down
    places = torch.stack([cos * x - sin * y + right, sin * x + cos * y + down], dim=-1)  # (B, H, W, 2), from -1 to 1
    onset, apex = (
        0.5 + (1 + most.contrasted * contrast[..., None]) * (frame - 0.5) + most.relit * light[..., None]
        for frame in (
            functional.grid_sample(frame, places, align_corners=True, padding_mode="border") for frame in (batch["onset"], batch["apex"])
        )
    )
    return onset, apex


def info_nce(anchor: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE both ways: each pair is to be known among all of the batch after its change, and before it."""
    alike = anchor @ positive.T / temperature  # (B, B)
    there, back = (functional.log_softmax(x, dim=1).diagonal().mean() for x in (alike, alike.T))
    return -(there + back) / 2


def _ratio(rebuilt: Tensor, copied: Tensor) -> Tensor:
    return rebuilt.sum(dim=(1, 2)) / copied.sum(dim=(1, 2)).clamp_min(1e-6)


def _relit(left: Tensor) -> Tensor:
    """Return the grey levels (B, H, W) that are left of a difference of frames (B, 3, H, W) when each colour's mean is taken away."""
    return GREY * (left - left.mean(dim=(2, 3), keepdim=True)).abs().mean(dim=1)


def _centred(shape: Tensor) -> Tensor:
    """Return a shape without each channel's mean and of deviation 1: light that changes everywhere is no motion."""
    return even(shape - shape.mean(dim=(2, 3), keepdim=True))


def _conv(ins: int, outs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(ins, outs, 3, stride, padding=1)
