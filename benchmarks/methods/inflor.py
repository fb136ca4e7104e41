"""InfLoR-SNN (Guo et al., ECCV 2022): a rectifier pulls potentials towards 0 and 1 before they are compared.

    u[t] = u[t-1] - b[t-1] + x[t],    b[t] = H(phi(u[t]) - 1/2)          integrate-and-fire, soft reset (authors' code)
    phi(u) = u**(1/3) above 1,   1 - (1 - u)**(1/3) below 0,   tanh(3 (u - 1/2)) / (2 tanh(3/2)) + 1/2 between

with the straight-through estimator on [0, 1] behind ``phi``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron, fire
from snncore.surrogate import StraightThrough


def rectified(potential: Tensor) -> Tensor:
    """``phi`` of a potential of any shape."""
    above, below = potential.clamp(min=1).pow(1 / 3), 1 - (1 - potential.clamp(max=0)).pow(1 / 3)
    between = torch.tanh(3 * (potential - 0.5)) / (2 * math.tanh(1.5)) + 0.5
    return torch.where(potential > 1, above, torch.where(potential < 0, below, between))


class InfLoRNeuron(TrainableNeuron):
    """See the module docstring."""

    threshold = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.surrogate = StraightThrough()

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset."""
        potential = state + current
        spikes = fire(rectified(potential), self.threshold, self.surrogate)
        return spikes, potential - spikes


class InfLoR(DeepMethod):
    """Integrate-and-fire neurons with rectified potentials."""

    name, reference = "InfLoR-SNN", "Guo et al., ECCV 2022"
    definition = "integrate-and-fire neurons with soft reset that compare a rectified potential"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return InfLoRNeuron()
