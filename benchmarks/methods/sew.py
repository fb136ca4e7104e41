"""SEW ResNet (Fang et al., NeurIPS 2021): a block adds its spikes to those of the shortcut, so that they are whole numbers.

Integrate-and-fire neurons with threshold 1, ATan surrogate and detached reset.
"""

from __future__ import annotations

from torch import nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron
from snncore.surrogate import ATan


class SEW(DeepMethod):
    """Spike-element-wise residual blocks."""

    name, reference = "SEW ResNet", "Fang et al., NeurIPS 2021"
    definition = "integrate-and-fire neurons with threshold 1; blocks add spikes to spikes, which makes them whole numbers"
    sew = True

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(1.0, 1.0, ATan(), reset_gradient="detached")
