"""STBP-tdBN (Zheng et al., AAAI 2021): LIF neurons behind threshold-dependent batch normalisation.

    y = lambda alpha v (x - mu) / sigma + beta        mean and deviation over time, batch and space (Eq. 5)

``alpha`` is 1, and ``1 / sqrt(2)`` where two branches add up. Constants of the authors' laboratory (thiswinex/STBP-simple) but
for the threshold of the paper: v = 1/2, decay 1/4, rectangle of width 1.
"""

from __future__ import annotations

from torch import nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron
from snncore.surrogate import Rectangle
from snncore.time_first import ThresholdBatchNorm2d

THRESHOLD = 0.5


class STBPTdBN(DeepMethod):
    """LIF neurons behind tdBN."""

    name, reference = "STBP-tdBN", "Zheng et al., AAAI 2021"
    definition = "LIF neurons with threshold 1/2 and decay 1/4 behind threshold-dependent batch normalisation"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(THRESHOLD, surrogate=Rectangle(1.0), reset_gradient="spikes")

    def norm(self, channels: int, adds: bool) -> nn.Module:
        """See ``DeepMethod.norm``."""
        return ThresholdBatchNorm2d(channels, THRESHOLD * (0.5**0.5 if adds else 1.0))
