"""PLIF (Fang et al., ICCV 2021): LIF neurons whose time constant is trained.

    u[t] = u[t-1] (1 - b[t-1]) + k (x[t] - u[t-1] (1 - b[t-1])),    k = sigmoid(w)          one w a layer, k = 1/2 at first

Threshold 1, ATan surrogate, detached reset. The paper's voting layer and squared error are replaced by the common loop's mean
logits and cross-entropy.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron, fire
from snncore.surrogate import ATan


class PLIFNeuron(TrainableNeuron):
    """See the module docstring; ``w`` is the logit of ``k``."""

    threshold = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))
        self.surrogate = ATan()

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset."""
        potential = state + self.w.sigmoid() * (current - state)
        spikes = fire(potential, self.threshold, self.surrogate)
        return spikes, potential * (1 - spikes.detach())


class PLIF(DeepMethod):
    """LIF neurons with a trained time constant."""

    name, reference = "PLIF", "Fang et al., ICCV 2021"
    definition = (
        "LIF neurons with threshold 1 and a trained time constant a layer; cross-entropy instead of the paper's squared error"
    )

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return PLIFNeuron()
