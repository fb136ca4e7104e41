"""TET (Deng et al., ICLR 2022): the loss of every step instead of the loss of the mean.

    L = (1 - l) mean over t of CE(o[t], y) + l mean over t of MSE(o[t], v)         l = 1e-3, v = 1 (the authors' code)

LIF neurons with decay 1/2 and threshold 1, triangular surrogate of height and reach 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.methods.deep import DeepMethod
from snncore.neurons.leaky import LIFNeuron
from snncore.surrogate import Triangle

WEIGHT, THRESHOLD = 1e-3, 1.0


class TET(DeepMethod):
    """LIF neurons, trained by the loss of every step."""

    name, reference = "TET", "Deng et al., ICLR 2022"
    definition = (
        "LIF neurons with threshold 1 and decay 1/2; cross-entropy of every step, and 1e-3 of the logits' distance from 1"
    )

    def neuron(self, channels: int, reaches_sum: bool, timesteps: int) -> nn.Module:
        """See ``DeepMethod.neuron``."""
        return LIFNeuron(THRESHOLD, 0.5, Triangle(), reset_gradient="spikes")

    def loss(self, scores: Tensor, labels: Tensor, network: nn.Module | None = None) -> Tensor:
        """See the module docstring; logits ``[T, B, K]``."""
        steps = F.cross_entropy(scores.flatten(0, 1), labels.repeat(len(scores)))
        return (1 - WEIGHT) * steps + WEIGHT * F.mse_loss(scores, torch.full_like(scores, THRESHOLD))
