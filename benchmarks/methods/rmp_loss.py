"""RMP-Loss (Guo et al., ICCV 2023): potentials are pulled to the values that spikes can express.

    L = CE + w mean over layers, steps and neurons of min(|u|, |1 - u|)**2

No code is published. The exponent is that of a line left over in the code of IM-Loss; the weight rises in the paper, here it
is 0.1 throughout. LIF neurons with threshold 1/2 and decay 1/4, tanh surrogate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron, TrainableNeuron
from snncore.surrogate import Tanh

WEIGHT = 0.1


class PotentialNeuron(LIFNeuron):
    """LIF neuron that remembers the potentials of its last train, ``[T, B, ...]``."""

    def forward(self, currents: Tensor) -> Tensor:
        """See ``LIFNeuron.forward``."""
        self.seen: list[Tensor] = []
        train = TrainableNeuron.forward(self, currents)
        self.potentials = torch.stack(self.seen)
        return train

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``LIFNeuron.step``."""
        self.seen.append(self.decay * state + current)
        return super().step(current, state)


class RMPLoss(DeepMethod):
    """LIF neurons, trained with a penalty on potentials between 0 and 1."""

    name, reference = "RMP-Loss", "Guo et al., ICCV 2023"
    definition = "LIF neurons with threshold 1/2 and decay 1/4; squared distances of potentials from 0 and 1 are in the loss"
    unconfirmed = "exponent and weight of the penalty"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return PotentialNeuron(surrogate=Tanh(3.0), reset_gradient="spikes")

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """See the module docstring; logits ``[T, B, K]``."""
        assert network is not None
        layers = [m.potentials for m in network.modules() if isinstance(m, PotentialNeuron)]
        penalty = torch.stack([torch.minimum(u.abs(), (1 - u).abs()).square().mean() for u in layers]).mean()
        return super().loss(scores, labels) + WEIGHT * penalty
