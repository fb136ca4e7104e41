"""GLIF (Yao et al., NeurIPS 2022): gates mix two kinds of decay, charge and reset; everything is trained, a number a channel.

    u[t] = (1 - a (1 - d)) u[t-1] (1 - c b[t-1]) - (1 - a) l + (1 - g (1 - k[t])) x[t] - (1 - c) r b[t-1],   b = H(u - v)

Decay ``d``, leak ``l``, threshold ``v``, reset ``r``, conductance ``k[t]`` and the gates ``a``, ``g``, ``c`` are logistic
functions of parameters; they start as in the authors' code: gates 0.55, 0.65, 0.55 (soft), d 1/4, v = r = 1/2, l = v / 2T, k 1/2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import TrainableNeuron, fire
from snncore.surrogate import Rectangle


class GLIFNeuron(TrainableNeuron):
    """See the module docstring; its parameters are logits, ``[C, 1, 1]``, and ``[T, C, 1, 1]`` of the conductance."""

    def __init__(self, channels: int, timesteps: int) -> None:
        super().__init__()
        self.threshold = 0.5
        starts = {"a": 0.55, "g": 0.65, "c": 0.55, "d": 0.25, "v": 0.5, "r": 0.5, "l": 0.25 / timesteps}
        for name, start in starts.items():
            setattr(self, name, nn.Parameter(torch.full((channels, 1, 1), start).logit()))
        self.k = nn.Parameter(torch.full((timesteps, channels, 1, 1), 0.5).logit())
        self.surrogate = Rectangle(1.0)

    def start(self, like: Tensor) -> tuple[Tensor, Tensor, int]:
        """Potential, spikes and number of the next step."""
        return torch.zeros_like(like), torch.zeros_like(like), 0

    def step(self, current: Tensor, state: tuple[Tensor, Tensor, int]) -> tuple[Tensor, tuple[Tensor, Tensor, int]]:
        """See ``TrainableNeuron.step``."""
        potential, spikes, t = state
        a, g, c, d, v, r, leak = (getattr(self, name).sigmoid() for name in "agcdvrl")
        kept = (1 - a * (1 - d)) * potential * (1 - c * spikes) - (1 - a) * leak
        potential = kept + (1 - g * (1 - self.k[t].sigmoid())) * current - (1 - c) * r * spikes
        # The threshold is trained too, so the step function is taken of what lies above it.
        spikes = fire(potential - v + self.threshold, self.threshold, self.surrogate)
        return spikes, (potential, spikes, t + 1)


class GLIF(DeepMethod):
    """Gated LIF neurons."""

    name, reference = "GLIF", "Yao et al., NeurIPS 2022"
    definition = "LIF neurons with trained gates between two kinds of decay, charge and reset, a number a channel"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return GLIFNeuron(channels, timesteps)
