"""Initialisation of weights for spiking layers.

ETTFS (Eq. 20 and 21): if every input neuron fires exactly once in T steps, E[S[t]] = 1/T, and the current of a neuron with N
inputs has Var(X[t]) = N Var(w) / T. It is 1, whatever the depth, for

    E[w] = 0,   Var(w) = T / N

Kaiming (He et al., ICCV 2015), made for ReLU: Var(w) = 2 / N, so that Var(X[t]) = 2 / T: the signal vanishes with depth.

N is the fan-in: the number of inputs of a linear layer, ``C_in k**2`` of a convolution. Both are drawn uniformly, in float64
and from the generator given, so that every machine gets the same bits; biases are 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from snncore.coding import check_timesteps

Variance = Callable[[int], float]
"""Fan-in -> variance of the weights."""


def fan_in(weight: Tensor) -> int:
    """Inputs of one output: of a weight ``[C_out, C_in, ...]``, the product of all dimensions but the first."""
    return weight[0].numel()


def ettfs(timesteps: int) -> Variance:
    """``T / N`` (ETTFS, Eq. 21). Raises ValueError unless ``timesteps`` is a whole number of at least 1."""
    check_timesteps(timesteps)
    return lambda inputs: timesteps / inputs


def kaiming(inputs: int) -> float:
    """``2 / N``: normal or uniform Kaiming initialisation for ReLU."""
    return 2 / inputs


@torch.no_grad()
def initialize(network: nn.Module, variance: Variance, generator: torch.Generator) -> None:
    """Draw the weights of all linear and convolutional layers from ``U(-sqrt(3 Var), sqrt(3 Var))``; biases 0.

    Args:
        network: its layers are visited in the order of ``network.modules()``.
        variance: of the weights of a layer, by fan-in: ``ettfs(T)`` or ``kaiming``.
        generator: on the CPU; one stream for all layers.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            bound = math.sqrt(3 * variance(fan_in(layer.weight)))
            uniform = torch.rand(layer.weight.shape, generator=generator, dtype=torch.float64)
            layer.weight.copy_((2 * uniform - 1) * bound)
            if layer.bias is not None:
                layer.bias.zero_()
