"""Real Spike (Guo et al., ECCV 2022): binary spikes times an amplitude that is trained, one number a channel.

u[t] = u[t-1] (1 - b[t-1]) + x[t],    o[t] = a b[t]        integrate-and-fire, detached reset, a = 1 at first (authors' code)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron


class RealSpikeNeuron(LIFNeuron):
    """See the module docstring; the amplitude is ``[C, 1, 1]``."""

    def __init__(self, channels: int) -> None:
        super().__init__(decay=1.0, reset_gradient="detached")
        self.channel_amplitude = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, currents: Tensor) -> Tensor:
        """Trains ``[T, B, C, H, W]``."""
        return self.channel_amplitude * super().forward(currents)


class RealSpike(DeepMethod):
    """Binary spikes with a trained amplitude a channel."""

    name, reference = "Real Spike", "Guo et al., ECCV 2022"
    definition = "integrate-and-fire neurons with threshold 1/2 whose spikes have a trained amplitude a channel"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return RealSpikeNeuron(channels)
