"""Network parts that at least two methods use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from merbench import streams


class Keyed(nn.Module):
    """A stream of randomness of one's own: the engine gives it a key per fold and seed, by its name in the method.

    The key is no part of the saved weights unless ``saved`` says so (for what still draws when it predicts).
    """

    key: Tensor

    def __init__(self, saved: bool = False) -> None:
        super().__init__()
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=saved)

    def seed(self, key: int) -> None:
        """Begin the stream of this key."""
        self.key.fill_(key)


class KeyedDraw(Keyed):
    """A stream of which every call draws anew: a counter stands beside the key."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def seed(self, key: int) -> None:
        """Begin the stream of this key."""
        super().seed(key)
        self.calls.zero_()

    def next_key(self) -> Tensor:
        """Return the key of this call."""
        self.calls.add_(1)
        return streams.words(self.key, self.calls)


class KeyedDropout(KeyedDraw):
    """Dropout whose masks come from a key instead of the global random state.

    ``nn.Dropout`` draws other masks when another fold runs beside it or when the held-out subject is looked at in between;
    these do not, so a fold gives the same weights in any engine. The probability is met to within 1/65536.

    Args:
        p: share of the values set to zero in training; the others are scaled by 1 / (1 - p).

    Raises:
        ValueError: p is not in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability {p} is not in [0, 1)")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x with values dropped, any shape; unchanged in eval mode."""
        if not self.training or self.p == 0:
            return x
        drawn = streams.shorts(self.next_key(), x.numel(), x.device).view(x.shape)
        keep = drawn >= round(self.p * 65536) - 32768
        return x * (keep.to(x.dtype) / (1 - self.p))  # torch.where takes ten times as long on a CPU

    def extra_repr(self) -> str:
        """Show the probability when printed."""
        return f"p={self.p}"


class KeyedUniform(KeyedDraw):
    """Uniform draws for choices that a method makes while it is trained, such as which two frames of a clip are compared."""

    def forward(self, like: Tensor) -> Tensor:
        """Return draws in [0, 1), of the shape, type and device of ``like``."""
        counters = torch.arange(like.numel(), device=like.device).view(like.shape)
        return (streams.uniform(self.next_key(), counters) * 2**24).floor().to(like.dtype) / 2**24  # below 1 in single precision too


class InceptionBlock(nn.Module):
    """Four paths over one map, side by side: 1 x 1; 1 x 1 and 3 x 3; 1 x 1 and 5 x 5; the largest of 3 x 3 and 1 x 1.

    Szegedy et al., CVPR 2015; as in the Dual-Inception network, every path has the same width.

    Args:
        ins: channels that come in.
        width: channels of each path.
        rectified: the path that is 1 x 1 alone ends with a ReLU, as the others do; one of the public ports has none there.
    """

    def __init__(self, ins: int, width: int, rectified: bool = True) -> None:
        super().__init__()
        self.point = nn.Sequential(nn.Conv2d(ins, width, 1), *([nn.ReLU()] if rectified else []))
        self.near = nn.Sequential(nn.Conv2d(ins, width, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(ins, width, 1), nn.ReLU(), nn.Conv2d(width, width, 5, padding=2), nn.ReLU())
        self.peak = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(ins, width, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 4 width, H, W)."""
        return torch.cat([self.point(x), self.near(x), self.wide(x), self.peak(x)], dim=1)


class InceptionStream(nn.Sequential):
    """One stream of the Dual-Inception network: inception blocks, each followed by a maximum over 2 x 2.

    FG 2019, its sizes as two public ports have them. One channel of 28 pixels becomes 64 maps of 7 x 7.

    Args:
        widths: of each path, block by block.
        ins: channels that come in.
        rectified: see `InceptionBlock`.
    """

    def __init__(self, widths: tuple[int, ...] = (6, 16), ins: int = 1, rectified: bool = True) -> None:
        channels = (ins, *(4 * width for width in widths))
        blocks = (InceptionBlock(i, width, rectified) for i, width in zip(channels, widths, strict=False))
        super().__init__(*(part for block in blocks for part in (block, nn.MaxPool2d(2))))
        self.channels = channels[-1]
