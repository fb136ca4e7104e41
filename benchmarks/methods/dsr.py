"""DSR (Meng et al., CVPR 2022): backwards, a neuron is the function that its mean output tends to, not its steps.

    u[t] = u[t-1] + x[t] - o[t-1],    o[t] = V H(u[t] - V/2)        integrate-and-fire, soft reset; V is trained, at least 0.01
    mean of o  ~  clamp(mean of x, 0, V)                            what is differentiated, by x and by V

Constants of the authors' code (qymeng94/DSR) for integrate-and-fire neurons: V = 6 at first, fires at V/2. There the shortest
train has 5 steps; with fewer the mean is far from its limit, so they are refused.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron

LEAST_STEPS = 5


class RateNeuron(TrainableNeuron):
    """Integrate-and-fire neuron with soft reset that is differentiated as a function of its mean current.

    Subclass it, write ``step``, which no gradient passes, and ``mean_output``.
    """

    def forward(self, currents: Tensor) -> Tensor:
        """See ``TrainableNeuron.forward``; ``mean_output`` has all gradients."""
        with torch.no_grad():
            train = super().forward(currents)
        mean = self.mean_output(currents.mean(0))
        return train + (mean - mean.detach())

    def mean_output(self, current: Tensor) -> Tensor:
        """What the mean output tends to, for mean currents ``[B, ...]``."""
        raise NotImplementedError


class DSRNeuron(RateNeuron):
    """See the module docstring."""

    threshold, lower_bound = 6.0, 0.01

    def __init__(self) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.tensor(self.threshold))

    @torch.no_grad()
    def start(self, like: Tensor) -> Tensor:
        """See ``TrainableNeuron.start``; here V is kept above its bound, before every train."""
        self.v.clamp_(min=self.lower_bound)
        return super().start(like)

    @torch.no_grad()
    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset, the spikes are 0 and V."""
        potential = state + current
        spikes = self.v * (potential >= self.v / 2)
        return spikes, potential - spikes

    def mean_output(self, current: Tensor) -> Tensor:
        """See ``RateNeuron.mean_output``."""
        return current.clamp(torch.zeros_like(self.v), self.v)


class DSR(DeepMethod):
    """Integrate-and-fire neurons, trained by the gradient of their mean output."""

    name, reference = "DSR", "Meng et al., CVPR 2022"
    definition = "integrate-and-fire neurons with a trained amplitude V that fire at V/2; backwards a clamp of the mean current"
    least_timesteps = LEAST_STEPS

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return DSRNeuron()
