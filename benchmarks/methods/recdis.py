"""RecDis-SNN (Guo et al., CVPR 2022): the distribution of potentials is kept from degenerating, saturating and mismatching.

    L = CE + w mean over layers of  [max(0, m - v - s) ]**2   all neurons fire or none does: the threshold is outside m +- s
                                  + [max(0, v - m - s)]**2
                                  + [max(0, s - 1)    ]**2   saturation: most potentials are far from the threshold
                                  + [max(0, v / 2 - s)]**2   gradient mismatch: most potentials are in the surrogate's window

with mean ``m`` and deviation ``s`` of a layer's potentials. No code is published and the constants are not printed: ours.
LIF neurons with threshold 1/2 and decay 1/4, rectangle of width 1; w = 0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from benchmarks.methods.rmp_loss import PotentialNeuron

WEIGHT = 0.1


class RecDis(DeepMethod):
    """LIF neurons, trained with penalties on the distribution of potentials."""

    name, reference = "RecDis-SNN", "Guo et al., CVPR 2022"
    definition = (
        "LIF neurons with threshold 1/2 and decay 1/4; hinges on mean and deviation of a layer's potentials are added to the loss"
    )
    unconfirmed = "form and constants of the penalties"

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return PotentialNeuron(reset_gradient="spikes")

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """See the module docstring; logits ``[T, B, K]``."""
        assert network is not None
        layers = [m for m in network.modules() if isinstance(m, PotentialNeuron)]
        penalties = []
        for layer in layers:
            mean, spread, v = layer.potentials.mean(), layer.potentials.std(), layer.threshold
            hinges = torch.stack([mean - v - spread, v - mean - spread, spread - 1, v / 2 - spread])
            penalties.append(hinges.clamp(min=0).square().sum())
        return super().loss(scores, labels) + WEIGHT * torch.stack(penalties).mean()
