"""MPBN (Guo et al., ICCV 2023): batch normalisation of the potential just before it is compared with the threshold.

    u[t] = u[t-1] (1 - b[t-1]) / 4 + x[t],    b[t] = H(BN(u[t]) - 1/2)        one normalisation a layer, shared by all steps

The reset acts on the raw potential. Tanh surrogate with k = 3.
"""

from __future__ import annotations

from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron, fire
from snncore.surrogate import Tanh


class MPBNNeuron(TrainableNeuron):
    """See the module docstring."""

    threshold, decay = 0.5, 0.25

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.surrogate = Tanh(3.0)

    def step(self, current: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See ``TrainableNeuron.step``; the state is the potential after the reset."""
        potential = self.decay * state + current
        spikes = fire(self.norm(potential), self.threshold, self.surrogate)
        return spikes, potential * (1 - spikes)


class MPBN(DeepMethod):
    """LIF neurons with normalised potentials."""

    name, reference = "MPBN", "Guo et al., ICCV 2023"
    definition = "LIF neurons with threshold 1/2 and decay 1/4 that compare the batch-normalised potential"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return MPBNNeuron(channels)
