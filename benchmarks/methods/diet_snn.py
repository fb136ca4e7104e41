"""Diet-SNN (Rathi and Roy, 2020): leak and threshold are trained, a number a layer.

    u[t] = l u[t-1] + x[t] - v b[t-1],    b[t] = H(u[t] / v - 1)         soft reset

with the surrogate ``0.3 max(0, 1 - |u / v - 1|)``. The paper starts from a converted network without batch normalisation; here
the neuron is put into the common network, with v = 1 and l = 1 at first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron, fire
from snncore.surrogate import Triangle


class DietNeuron(TrainableNeuron):
    """See the module docstring."""

    threshold = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.v, self.leak = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))
        self.surrogate = Triangle(0.3)

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset."""
        potential = self.leak * state + current
        spikes = fire(potential / self.v, self.threshold, self.surrogate)
        return spikes, potential - self.v * spikes


class DietSNN(DeepMethod):
    """LIF neurons with trained leak and threshold."""

    name, reference = "Diet-SNN", "Rathi and Roy, 2020"
    definition = (
        "LIF neurons with soft reset whose leak and threshold are trained, without the paper's start from a converted network"
    )

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return DietNeuron()
