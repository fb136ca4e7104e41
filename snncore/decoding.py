"""Temporal weighting: what a train of output spikes is worth (ETTFS paper, Eq. 22 and 23).

    O_k = sum over t of a[t] S_k[t],      a[1] = 1

    exponential   a[t] = base**(1 - t)        an earlier spike outweighs any later one for base >= 2
    linear        a[t] = (T + 1 - t) / T
    uniform       a[t] = 1                    counts spikes; blind to time
    first-spike   a[t] = T + 1 - t            ranks neurons by their spike time, in steps; T + 1 for silence

The paper prints neither the base nor the normalisation. We set the first weight to 1 and leave the scale of the outputs to the
classifier that reads them. In T steps an output takes T + 1 values, so that several neurons often share the largest; among
them wins the one whose membrane potential was highest when it fired (the rule of S4NN).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from snncore.coding import check_timesteps

NAMES = ("exponential-BASE", "linear", "uniform", "first-spike")


def exponential(timesteps: int, base: float) -> Tensor:
    """Weights ``base**(1 - t)``, ``[T]`` float64. Raises ValueError unless ``base`` is finite and above 1."""
    if not 1 < base < float("inf"):
        raise ValueError(f"the base of exponential weights must be above 1, got {base!r}: earlier spikes must weigh more")
    return float(base) ** -torch.arange(check_timesteps(timesteps), dtype=torch.float64)


def linear(timesteps: int) -> Tensor:
    """Weights ``(T + 1 - t) / T``, ``[T]`` float64."""
    return first_spike(timesteps) / timesteps


def uniform(timesteps: int) -> Tensor:
    """Weights 1, ``[T]`` float64."""
    return torch.ones(check_timesteps(timesteps), dtype=torch.float64)


def first_spike(timesteps: int) -> Tensor:
    """Weights ``T + 1 - t``, ``[T]`` float64: the decoded value falls by one for every step that the spike comes later."""
    return torch.arange(check_timesteps(timesteps), 0, -1, dtype=torch.float64)


def weights(name: str, timesteps: int) -> Tensor:
    """Weights by name: ``exponential-2`` (any base), ``linear``, ``uniform``, ``first-spike``. ValueError for others."""
    if match := re.fullmatch(r"exponential-(\d+(?:\.\d+)?)", name):
        return exponential(timesteps, float(match[1]))
    known = {"linear": linear, "uniform": uniform, "first-spike": first_spike}
    if name not in known:
        raise ValueError(f"unknown decoder {name!r}; known: {', '.join(NAMES)}")
    return known[name](timesteps)


class TemporalWeighting(nn.Module):
    """Spike trains ``[T, B, K]`` to outputs ``[B, K]``: ``scale * sum over t of a[t] S[t]``.

    Args:
        weights: ``a``, ``[T]``.
        scale: by which the outputs are multiplied before a softmax, its inverse temperature.

    Raises:
        ValueError: a scale that is not positive and finite.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        if not 0 < float(scale) < float("inf"):
            raise ValueError(f"the scale of the outputs must be positive and finite, got {scale!r}")
        self.register_buffer("weights", weights.clone(), persistent=False)
        self.scale = float(scale)

    def forward(self, spikes: Tensor) -> Tensor:
        """Outputs ``[B, K]``. Raises ValueError unless ``spikes`` has T steps."""
        if spikes.shape[0] != len(self.weights):
            raise ValueError(f"expected {len(self.weights)} timesteps first, got a tensor of shape {tuple(spikes.shape)}")
        return torch.tensordot(self.weights.to(spikes.dtype) * self.scale, spikes, dims=1)


def winner(scores: Tensor, currents: Tensor, spikes: Tensor, forced: bool = False) -> Tensor:
    """The class that a network of first-spike neurons names: the largest score, ties by the potential at the spike.

    Args:
        scores: decoded outputs ``[B, K]``.
        currents: of the output neurons, by which their potentials grow, ``[T, B, K]``, or ``[1, B, K]`` where they stay the same.
        spikes: of the output neurons, ``[T, B, K]``, at most one each.
        forced: an output layer that stays silent is taken to fire after the last step (S4NN): the highest potential wins.

    Returns:
        classes ``[B]``; -1 where no output neuron fires and none is forced to, so that silence never counts as an answer.
    """
    currents = currents.expand_as(spikes)
    potential = currents.cumsum(0)  # [T, B, K]
    lead = (potential * spikes).sum(0)  # [B, K]
    tied = (scores == scores.amax(1, keepdim=True)) & (spikes.amax(0) > 0)
    chosen = lead.masked_fill(~tied, -torch.inf).argmax(1)
    return torch.where(tied.any(1), chosen, potential[-1].argmax(1) if forced else -1)
