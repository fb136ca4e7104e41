"""Ternary Spike (Guo et al., AAAI 2024): LIF neurons that fire 1, 0 and -1, with an amplitude that may be trained; controls.

    u[t] = u[t-1] (1 - |b[t-1]|) / 4 + x[t],     b[t] = sign(u[t]) if |u[t]| >= 1/2, else 0,     o[t] = a b[t]      Eq. 13, 14

The authors' code compares ``|u| / V_th`` with 1/2 at ``V_th`` = 1, differentiates ``b`` as ``clamp(u, -1, 1)`` (binary spikes:
``clamp(u, 0, 1)``) and the reset as ``|b|``; the amplitude starts at 1 and scales what leaves the neuron after the reset.
"""

from __future__ import annotations

from torch import nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron, TernaryLIFNeuron
from snncore.surrogate import StraightThrough


class BinarySpike(DeepMethod):
    """Spikes in {0, 1}."""

    name, reference = "Binary spike", "Guo et al., AAAI 2024"
    definition = "LIF neurons with threshold 1/2 and decay 1/4, hard reset, straight-through on [0, 1]"


class BinaryWide(BinarySpike):
    """Control: as much gradient as ternary spikes let through."""

    name, reference = "Binary spike, wide surrogate", "ours"
    definition = "as Binary spike, straight-through on [-1, 1]"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(surrogate=StraightThrough(1.5, 0.5))


class TernarySpike(DeepMethod):
    """Spikes in {-1, 0, 1}."""

    name, reference = "Ternary spike", "Guo et al., AAAI 2024"
    definition = "as Binary spike, with spikes -1 below -1/2, straight-through on [-1, 1]"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return TernaryLIFNeuron()


class TrainableTernarySpike(TernarySpike):
    """Spikes in {-a, 0, a}."""

    name = "Trainable ternary spike"
    definition = "as Ternary spike, times an amplitude that is trained, one number a layer"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return TernaryLIFNeuron(trainable_amplitude=True)


class TernaryScalars(TernarySpike):
    """Control: batch normalisation takes any scale away, so that amplitudes before a convolution should change nothing."""

    name, reference = "Ternary spike, scalars on shortcuts and logits", "ours"
    definition = "as Ternary spike, with amplitudes that are trained only where spikes reach a shortcut or the classifier"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return TernaryLIFNeuron(trainable_amplitude=reaches_sum)
