"""Surrogate gradients: what stands for the derivative of the step function in backpropagation.

All are functions of the distance ``x = u - v`` of the potential from the threshold, and of nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


class Surrogate:
    """Subclass with positive parameters as fields, and write ``slope``.

    Attributes:
        elementary: whether ``slope`` takes no more than comparisons, sums and products that are rounded one by one, so that
            compiled code gives the same bits.

    Raises:
        ValueError: a parameter that is not positive and finite.
    """

    elementary: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value!r}")

    def slope(self, distance: Tensor) -> Tensor:
        """The derivative for the distance ``x`` from the threshold, of any shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class ATan(Surrogate):
    """Arc tangent: the step is seen as ``arctan(pi alpha x / 2) / pi + 1/2`` (Fang et al., ICCV 2021, as in SpikingJelly).

    ``alpha``: sharpness; the slope at the threshold is ``alpha / 2``.
    """

    alpha: float = 2.0

    def slope(self, distance: Tensor) -> Tensor:
        """``(alpha / 2) / (1 + (pi alpha x / 2)**2)``."""
        scaled = distance * (math.pi / 2 * self.alpha)
        return (
            torch.addcmul(torch.ones((), dtype=scaled.dtype, device=scaled.device), scaled, scaled)
            .reciprocal_()
            .mul_(self.alpha / 2)
        )


@dataclass(frozen=True)
class Rectangle(Surrogate):
    """``1 / width`` within half a width of the threshold (Wu et al., AAAI 2019, Eq. 27).

    Of width 1 about a threshold of 1/2 it is the straight-through estimator on [0, 1]: ``clamp(u, 0, 1)`` backwards.
    """

    elementary = True
    width: float = 1.0

    def slope(self, distance: Tensor) -> Tensor:
        """``1 / width`` for ``|x| <= width / 2``, else 0."""
        return _between(distance, -self.width / 2, self.width / 2).div_(self.width)


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """1 where the potential is less than ``below`` below the threshold and ``above`` above it.

    About a threshold of 1/2: ``StraightThrough(0.5, 0.5)`` is the estimator on [0, 1], ``StraightThrough(1.5, 0.5)`` on [-1, 1].
    """

    elementary = True
    below: float = 0.5
    above: float = 0.5

    def slope(self, distance: Tensor) -> Tensor:
        """1 for ``-below <= x <= above``, else 0."""
        return _between(distance, -self.below, self.above)


@dataclass(frozen=True)
class Triangle(Surrogate):
    """``height (1 - |x| / reach)`` within ``reach`` of the threshold (Esser et al., PNAS 2016)."""

    elementary = True
    height: float = 1.0
    reach: float = 1.0

    def slope(self, distance: Tensor) -> Tensor:
        """``height max(0, 1 - |x| / reach)``."""
        return (1 - distance.abs() / self.reach).clamp_(min=0).mul_(self.height)


@dataclass(frozen=True)
class Tanh(Surrogate):
    """The step is seen as ``tanh(k x) / (2 tanh(k / 2)) + 1/2`` within 1/2 of the threshold (Dspike: Li et al., NeurIPS 2021)."""

    k: float = 3.0

    def slope(self, distance: Tensor) -> Tensor:
        """``k (1 - tanh(k x)**2) / (2 tanh(k / 2))`` for ``|x| <= 1/2``, else 0."""
        curve = 1 - torch.tanh(distance * self.k).square()
        return curve.mul_(self.k / (2 * math.tanh(self.k / 2))).mul_(distance.abs() <= 0.5)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """Logistic function: the step is seen as ``1 / (1 + exp(-alpha x))`` (SpikingJelly's default, alpha 4)."""

    alpha: float = 4.0

    def slope(self, distance: Tensor) -> Tensor:
        """``alpha s (1 - s)`` with ``s`` the logistic function of ``alpha x``."""
        s = torch.sigmoid(distance * self.alpha)
        return s.mul(1 - s).mul_(self.alpha)


def _between(distance: Tensor, least: float, most: float) -> Tensor:
    # Floats in {0, 1}: on a CPU, torch's operations on bool are several times slower than arithmetic.
    inside = torch.ge(distance, least, out=torch.empty_like(distance))
    return inside.mul_(torch.le(distance, most, out=torch.empty_like(distance)))
