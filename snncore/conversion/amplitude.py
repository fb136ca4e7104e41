"""Data-based amplitude adjustment: raise a layer's threshold until it no longer leaves much uncoded (CSS paper, App. A.3).

After a pass of the converted network over training images let ``r`` be a percentile (the paper's: 99.9) of a layer's residual
potentials ``u[T]`` in units of its spike amplitude. Where ``r > 1`` the amplitude is multiplied by (CSS Eq. A18, with
``d = r - 1`` and ``S = sum_t beta**(T-t)``)

    1 + d / S                   d > 0.05 S
    1 + d / S - 0.01 + 0.04     0.05 S >= d > 0.01 S
    1 + 4 d / S                 0.01 S >= d > 0

in all layers at once; then the network is converted again, and so on until no layer has ``r > 1``. The paper calls this a
heuristic; nothing says that it settles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from snncore.conversion.calibration import ActivationHistogram
from snncore.neurons import SpikingNeuron

if TYPE_CHECKING:
    from snncore.conversion.network import SpikingNetwork


@dataclass(frozen=True)
class AmplitudeAdjustment:
    """How to adjust: at most so many ``rounds``, by this ``percentile`` of the residual potentials.

    Raises:
        ValueError: fewer rounds than one; a percentile out of (0, 100].
    """

    rounds: int = 20
    percentile: float = 99.9

    def __post_init__(self) -> None:
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, int) or self.rounds < 1:
            raise ValueError(f"amplitude adjustment needs a whole number of rounds, at least 1, got {self.rounds!r}")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"the percentile of amplitude adjustment must be in (0, 100], got {self.percentile!r}")


@dataclass(frozen=True)
class AdjustedAmplitudes:
    """What an adjustment came to.

    Attributes:
        factors: of the amplitude of each layer, by name.
        residuals: percentile of the residual potential of each layer, in units of its amplitude, with these factors.
        rounds: passes over the images with an adjustment after them.
    """

    factors: dict[str, float]
    residuals: dict[str, float]
    rounds: int

    @property
    def unsettled(self) -> list[str]:
        """Layers whose residual still exceeds their amplitude."""
        return [name for name, residual in self.residuals.items() if residual > 1]


def amplitude_factor(residual: float, total: float) -> float:
    """The factor of one round for a residual in units of the amplitude; see the module docstring.

    Args:
        residual: percentile of ``u[T]`` over the amplitude.
        total: ``sum_t beta**(T-t)``.
    """
    share = (residual - 1) / total
    if share <= 0:
        return 1.0
    if share > 0.05:
        return 1 + share
    return 1 + share + 0.03 if share > 0.01 else 1 + 4 * share


def adjust_amplitudes(
    converted: Callable[[dict[str, float]], SpikingNetwork], images: Sequence[Tensor], rule: AmplitudeAdjustment
) -> SpikingNetwork:
    """Convert, look at the residual potentials, adjust; until it settles or the rounds are used up.

    Args:
        converted: factors of the amplitudes by layer (1 where there is none) to the converted network.
        images: batches of training images.
        rule: how.

    Returns:
        The last network, with what happened in its attribute ``adjusted``.
    """
    factors: dict[str, float] = {}
    for done in range(rule.rounds + 1):
        network = converted(factors)
        residuals = _residuals(network, images, rule.percentile)
        network.adjusted = AdjustedAmplitudes({name: factors.get(name, 1.0) for name in residuals}, residuals, done)
        if not network.adjusted.unsettled:
            break
        total = network.code.total
        factors = {name: factors.get(name, 1.0) * amplitude_factor(r, total) for name, r in residuals.items()}
    return network


@torch.no_grad()
def _residuals(network: SpikingNetwork, images: Sequence[Tensor], percentile: float) -> dict[str, float]:
    histograms = {name: ActivationHistogram() for name in network.neurons}

    def observe(name: str, neuron: SpikingNeuron, spikes: Tensor, residual: Tensor) -> None:
        histograms[name].update(residual.clamp(min=0))

    for name, neuron in network.neurons.items():
        neuron.observer = partial(observe, name)
    for batch in images:
        network(batch)
    for neuron in network.neurons.values():
        neuron.observer = None
    return {name: histogram.percentile(percentile) for name, histogram in histograms.items()}
