"""Tandem learning (Wu et al., TNNLS 2021): backwards, a spiking layer is the ReLU layer that shares its weights.

    u[t] = u[t-1] + x[t] - b[t-1],    b[t] = H(u[t] - 1)            integrate-and-fire, soft reset (deepspike/tandem_learning)
    number of spikes  ~  max(0, sum of x)                           what is differentiated: the twin's activation

The twin normalises sums over time, with running statistics in the spiking layer; in the common network currents are normalised
over time, in both. Refused for trains shorter than those of DSR, for the same reason.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from benchmarks.methods.dsr import LEAST_STEPS, RateNeuron


class TandemNeuron(RateNeuron):
    """See the module docstring."""

    threshold = 1.0

    @torch.no_grad()
    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset."""
        potential = state + current
        spikes = (potential >= self.threshold).to(potential.dtype)
        return spikes, potential - spikes

    def mean_output(self, current: Tensor) -> Tensor:
        """See ``RateNeuron.mean_output``; the mean of the twin's activation over the steps."""
        return current.relu()


class Tandem(DeepMethod):
    """Integrate-and-fire neurons, trained by the gradient of a ReLU."""

    name, reference = "Tandem learning", "Wu et al., TNNLS 2021"
    definition = "integrate-and-fire neurons with threshold 1; backwards a ReLU of the mean current, normalised over time"
    least_timesteps = LEAST_STEPS

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return TandemNeuron()
