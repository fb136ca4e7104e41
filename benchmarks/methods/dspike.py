"""Dspike (Li et al., NeurIPS 2021): a family of surrogates between a straight line and a step.

    the step is seen as (tanh(b (u - 1/2)) + tanh(b / 2)) / (2 tanh(b / 2)) on [0, 1]

The paper estimates b every epoch from finite differences; no code of it is published. Here b = 3, as in the code of MPBN and
IM-Loss, which use the same function.
"""

from __future__ import annotations

from torch import nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron
from snncore.surrogate import Tanh


class Dspike(DeepMethod):
    """LIF neurons with the Dspike surrogate."""

    name, reference = "Dspike", "Li et al., NeurIPS 2021"
    definition = "LIF neurons with threshold 1/2 and decay 1/4, Dspike surrogate with b fixed to 3"
    unconfirmed = "the paper's schedule of b"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(surrogate=Tanh(3.0), reset_gradient="spikes")
