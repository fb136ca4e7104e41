"""Trained amplitudes of spikes, folded away for inference (Ternary Spike paper, Eq. 15-17)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore.neurons.leaky import LIFNeuron


class Scale(nn.Module):
    """A factor that could not be folded into weights."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, spikes: Tensor) -> Tensor:
        """The trains times the factor."""
        return self.factor * spikes


@torch.no_grad()
def fold(neuron: LIFNeuron, *layers: nn.Conv2d | nn.Linear) -> float:
    """Move a trained amplitude into the weights of all layers that read the spikes; returns it.

    ``K * (a B) = (a K) * B``: the neuron then fires 1 and -1 again. Where spikes are read otherwise, by a sum, the factor is
    still due there. 1 and nothing changed where the neuron has no amplitude.
    """
    if neuron.amplitude is None:
        return 1.0
    factor = float(neuron.amplitude)
    neuron.amplitude = None
    for layer in layers:
        layer.weight.mul_(factor)
    return factor
