"""Thresholds from the activations of a trained network.

Each ReLU gets a histogram of its outputs. The bins are the float32 numbers with their last mantissa bits cut off, so that
their relative width is 2**-11 everywhere; a histogram takes 4 MB whatever the number of images, does not depend on the
order of the images, and answers any percentile afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from snncore.coding import Code

MANTISSA_BITS = 11
SHIFT = 23 - MANTISSA_BITS
BINS = 1 << (8 + MANTISSA_BITS)


@dataclass
class ActivationHistogram:
    """Counts of non-negative activations; see the module docstring."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.int64))
    zeros: int = 0
    maximum: float = 0.0

    def update(self, activations: Tensor) -> None:
        """Add a batch of activations of any shape (after the ReLU: none negative)."""
        flat = activations.detach().float().reshape(-1)
        positive = flat[flat > 0]
        self.zeros += flat.numel() - positive.numel()
        if positive.numel():
            bins = positive.contiguous().view(torch.int32) >> SHIFT
            self.counts += torch.bincount(bins, minlength=BINS).to("cpu")
            self.maximum = max(self.maximum, float(positive.max()))

    def __add__(self, other: ActivationHistogram) -> ActivationHistogram:
        """Of both sets of activations together."""
        return ActivationHistogram(self.counts + other.counts, self.zeros + other.zeros, max(self.maximum, other.maximum))

    def edges(self) -> Tensor:
        """Lower edges of the bins, ``[BINS]`` float64."""
        return (torch.arange(BINS, dtype=torch.int32) << SHIFT).view(torch.float32).double()

    def percentile(self, q: float, positive_only: bool = False) -> float:
        """The q-th percentile (0..100) to a relative precision of 2**-11; zeros count unless ``positive_only``.

        Interpolates linearly between neighbours, as ``numpy.percentile`` does. Raises ValueError for q out of range.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile is a number from 0 to 100, got {q!r}")
        below = 0 if positive_only else self.zeros
        cumulative = self.counts.cumsum(0) + below
        total = int(cumulative[-1])
        if total == 0:
            return 0.0
        rank = q / 100 * (total - 1)
        low = self._order_statistic(math.floor(rank), cumulative)
        high = self._order_statistic(min(math.floor(rank) + 1, total - 1), cumulative)
        return low + (high - low) * (rank - math.floor(rank))

    def _order_statistic(self, k: int, cumulative: Tensor) -> float:
        """The k-th smallest activation, counted from 0; ``cumulative [BINS]`` counts those up to and with each bin."""
        index = int(torch.searchsorted(cumulative, k, right=True).clamp(max=BINS - 1))
        inside = int(self.counts[index])
        before = int(cumulative[index]) - inside
        if k < before:
            return 0.0
        bins = torch.tensor([index, min(index + 1, BINS - 1)], dtype=torch.int32)
        lower, upper = (bins << SHIFT).view(torch.float32).tolist()
        return min(lower + (upper - lower) * (k - before + 0.5) / max(inside, 1), self.maximum)


class ThresholdRule(Protocol):
    """Chooses the full threshold of a layer."""

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold for activations as counted in ``histogram``, to be sent in ``code``."""


@dataclass(frozen=True)
class Percentile:
    """The q-th percentile of the activations (Rueckauer et al. 2017; TMN and CSS papers: q = 99.99).

    The papers do not say whether zeros count. They do here; ``positive_only`` leaves them out.
    """

    q: float = 99.99
    positive_only: bool = False

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        return histogram.percentile(self.q, self.positive_only)


@dataclass(frozen=True)
class Maximum:
    """The largest activation."""

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        return histogram.maximum


@dataclass(frozen=True)
class LeastSquares:
    """Per-layer search: the threshold with the least mean squared coding error for this code and number of timesteps.

    A value x is sent as one of the levels ``k v / sum_t w[t]`` and clipped to v: the nearest with ``offset = 0.5``, as with
    ``tmn()``, ``tsa()`` or ``opi()``; the next below with ``offset = 0``, as with neurons that start discharged (``rate()``).
    The search runs over ``candidates`` equal fractions of the largest activation.
    """

    candidates: int = 200
    offset: float = 0.5

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        used = histogram.counts.nonzero().squeeze(1)
        if used.numel() == 0:
            return 0.0
        edges = histogram.edges()
        x = (edges[used] + edges[(used + 1).clamp(max=BINS - 1)]) / 2
        weight = histogram.counts[used].double()
        best, best_error = histogram.maximum, float("inf")
        for k in range(1, self.candidates + 1):
            v = histogram.maximum * k / self.candidates
            step = v / code.total
            coded = (torch.floor(x / step + self.offset) * step).clamp(max=v)
            error = float((weight * (x - coded) ** 2).sum())
            if error < best_error:
                best, best_error = v, error
        return best
