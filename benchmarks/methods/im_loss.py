"""IM-Loss (Guo et al., NeurIPS 2022): currents are pushed to where spikes carry most information.

    L = CE + 0.005 mean over layers of (mean current - 1/(2T))**2         first and last layer left out (authors' code)

LIF neurons with threshold 1/2 and decay 1/4; tanh surrogate, whose k rises in the paper and is 3 in the code and here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron
from snncore.surrogate import Tanh


class ObservedNeuron(LIFNeuron):
    """Remembers the mean of the currents of its last train."""

    def forward(self, currents: Tensor) -> Tensor:
        """See ``LIFNeuron.forward``."""
        self.mean = currents.mean()
        return super().forward(currents)


class IMLoss(DeepMethod):
    """LIF neurons, trained with a penalty on mean currents."""

    name, reference = "IM-Loss", "Guo et al., NeurIPS 2022"
    definition = "LIF neurons with threshold 1/2, decay 1/4 and tanh surrogate; the mean current of a layer is pulled to 1/(2T)"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return ObservedNeuron(surrogate=Tanh(3.0), reset_gradient="spikes")

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """See the module docstring; logits ``[T, B, K]``."""
        assert network is not None
        means = torch.stack([m.mean for m in network.modules() if isinstance(m, ObservedNeuron)][1:-1])
        return super().loss(scores, labels) + 0.005 * (means - 0.5 / len(scores)).square().mean()
