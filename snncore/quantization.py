"""Quantised activations: a trained network that says no more than a few spikes can.

Both quantisers are a ReLU clipped at ``c`` and rounded to the nearest of the levels ``k c / L``, k = 0..L:

    q(x) = c / L * floor(L clip(x / c, 0, 1) + 1/2)             clip-floor-shift (QCFS; Bu et al., ICLR 2022), shift 1/2
    q(x) = c / L * round(L clip(x / c, 0, 1)),  L = 2**b - 1    uniform, b bits (Fast-SNN; Hu et al., TPAMI 2023)

They differ only half-way between two levels, where the first goes up and the second to the even level, as ``torch.round``
does. ``c`` (lambda in QCFS, alpha in Fast-SNN) is trained. The derivative of the rounding is taken as 1 (straight-through):

    dq/dx = 1 for 0 <= x <= c, else 0
    dq/dc = (q - x) / c for 0 <= x <= c, 1 above, 0 below

which is what the public code of both papers computes. Signals of either sign, as Transformers have them, get half of the values
below 0:

    q(x) = c / L * floor(clip(L x / c, -(L+1), L) + 1/2)

which is LSQ (Esser et al., ICLR 2020) with the step ``c / L``, and what SpikeZIP-TF quantises by. Without rounding,

    q(x) = clip(x, 0, c)                                        clipped ReLU (Ho and Chang, 2021), ``c`` trained

whose bound is the threshold of OPI (Bu et al., AAAI 2022).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_THREAD = threading.local()


@contextmanager
def recording() -> Iterator[None]:
    """While it is entered, quantisers of this thread run as one operation each, which ``torch.export`` writes down as such."""
    _THREAD.recording = True
    try:
        yield
    finally:
        _THREAD.recording = False


@torch.library.custom_op("snncore::quantize", mutates_args=())
def _recorded(x: Tensor, clip: Tensor) -> Tensor:
    raise NotImplementedError("a quantiser is run by its module")


@_recorded.register_fake
def _(x: Tensor, clip: Tensor) -> Tensor:
    return torch.empty_like(x)


class _StraightThrough(torch.autograd.Function):
    """Forward: the rounding of a quantiser. Backward: the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quantizer: ActivationQuantizer) -> Tensor:
        return quantizer.rounded(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


class ActivationQuantizer(nn.ReLU):
    """A ReLU with ``levels + 1`` values, from 0 to the trainable ``clip``; see the module docstring.

    Args:
        levels: L, a whole number of at least 1.
        clip: initial ``c``, in units of the activations.

    Attributes:
        clip: ``c [1]``, a parameter.
        least: smallest value in units of a level.

    Raises:
        ValueError: an argument out of range.
    """

    least: int = 0

    def __init__(self, levels: int, clip: float = 1.0) -> None:
        super().__init__()
        if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
            raise ValueError(f"levels must be a whole number of at least 1, got {levels!r}")
        if not 0 < clip < float("inf"):
            raise ValueError(f"clip must be positive and finite, got {clip!r}")
        self.levels = levels
        self.clip = nn.Parameter(torch.tensor([float(clip)]))

    def rounded(self, x: Tensor) -> Tensor:
        """``x`` of any shape, in units of a level, as whole numbers."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """Activations of any shape to the same shape."""
        if getattr(_THREAD, "recording", False):
            recorded: Tensor = torch.ops.snncore.quantize(input, self.clip)
            return recorded
        scaled = (input / self.clip).clamp(self.least / self.levels, 1) * self.levels
        level: Tensor = _StraightThrough.apply(scaled, self)
        return level * (self.clip / self.levels)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``; the clip is a weight."""
        return f"levels={self.levels}"


class ClippedReLU(ActivationQuantizer):
    """A ReLU with a trainable upper bound. ``levels`` are those of the rate code that it is meant for: it rounds to none."""

    def rounded(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x


class ClipFloorShift(ActivationQuantizer):
    """QCFS: the activation that an integrate-and-fire neuron from half its threshold computes in L steps."""

    def rounded(self, x: Tensor) -> Tensor:
        """Half-way goes up."""
        return torch.floor(x + 0.5)


class SignedQuantizer(ClipFloorShift):
    """Quantises signals of either sign: ``levels`` values above 0, and one more below. No ReLU, though of that class."""

    @property
    def least(self) -> int:  # type: ignore[override]
        """Smallest value in units of a level."""
        return -(self.levels + 1)


class UniformQuantizer(ActivationQuantizer):
    """Uniform quantisation to ``bits`` bits: ``2**bits - 1`` levels above 0. Raises ValueError for fewer bits than 1."""

    def __init__(self, bits: int, clip: float = 1.0) -> None:
        if isinstance(bits, bool) or not isinstance(bits, int) or bits < 1:
            raise ValueError(f"bits must be a whole number of at least 1, got {bits!r}")
        super().__init__(2**bits - 1, clip)

    def rounded(self, x: Tensor) -> Tensor:
        """Half-way goes to the even level."""
        return torch.round(x)
