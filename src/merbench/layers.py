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
