"""Surrogate gradients: what stands for the derivative of the step function in backpropagation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ATan:
    """Arc tangent: the step is seen as ``arctan(pi alpha x / 2) / pi + 1/2`` (Fang et al., ICCV 2021, as in SpikingJelly).

    Args:
        alpha: sharpness; the slope at the threshold is ``alpha / 2``.

    Raises:
        ValueError: ``alpha`` is not positive and finite.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {self.alpha!r}")

    def slope(self, distance: Tensor) -> Tensor:
        """``(alpha / 2) / (1 + (pi alpha x / 2)**2)`` for the distance ``x`` from the threshold, of any shape."""
        scaled = distance * (math.pi / 2 * self.alpha)
        return torch.addcmul(torch.ones((), dtype=scaled.dtype, device=scaled.device), scaled, scaled).reciprocal_().mul_(
            self.alpha / 2
        )
