"""Spike codes: how a spike train of ``T`` timesteps stands for a number, and how many numbers it can stand for.

A code is a weight ``w[t]`` per timestep. A train ``s`` of amplitude ``v`` decodes to the weighted mean

    x = v * sum_t w[t] s[t] / sum_t w[t]

Rate coding has ``w[t] = 1``. Canonic signed spike (CSS) coding has ``w[t] = beta**(T-t)`` and ternary spikes
(TMN paper, Eq. 5 with beta = 2; CSS paper, Def. 1). With this normalisation a bias is the same current at every step in
all codes, and the largest value is ``v`` (all spikes +1).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor


def check_timesteps(timesteps: object) -> int:
    """Return ``timesteps`` as an int. Raises ValueError unless it is a whole number of at least 1."""
    if isinstance(timesteps, bool) or not isinstance(timesteps, int) or timesteps < 1:
        raise ValueError(f"timesteps must be a whole number of at least 1, got {timesteps!r}")
    return timesteps


@dataclass(frozen=True)
class Code:
    """A spike code with exponential weights: ``w[t] = beta**(T-t)`` for t = 1..T (``beta = 1`` is rate coding)."""

    timesteps: int
    beta: float

    def __post_init__(self) -> None:
        check_timesteps(self.timesteps)
        if not self.beta >= 1:
            raise ValueError(f"beta must be at least 1, got {self.beta!r}")

    def weights(self) -> Tensor:
        """Weights ``[T]`` in float64, first timestep first."""
        return float(self.beta) ** torch.arange(self.timesteps - 1, -1, -1, dtype=torch.float64)

    @property
    def total(self) -> float:
        """Sum of the weights: the number of quantisation steps that the amplitude spans."""
        return float(self.weights().sum())

    @property
    def recurrences(self) -> tuple[float, ...]:
        """Beta of each recurrence by which trains are read, one after the other."""
        return (float(self.beta),)

    def events(self, train: Tensor) -> Tensor:
        """The spikes that travel for a train ``[T, ...]``: the train itself."""
        return train

    def decode(self, spikes: Tensor, amplitude: Tensor | float = 1.0) -> Tensor:
        """Value of spike trains or summed currents.

        Args:
            spikes: ``[T, ...]``, time first.
            amplitude: value of a train with a +1 at every step; anything that broadcasts against ``[...]``.

        Returns:
            ``[...]`` in the dtype of ``spikes``.
        """
        if spikes.shape[0] != self.timesteps:
            raise ValueError(f"expected {self.timesteps} timesteps first, got a tensor of shape {tuple(spikes.shape)}")
        value = torch.zeros_like(spikes[0])
        for step in spikes:  # Horner's rule: what a momentum membrane without firing computes
            value = torch.add(step, value, alpha=self.beta)
        return value * (amplitude / self.total)

    def decode_prefixes(self, spikes: Tensor, amplitude: Tensor | float = 1.0) -> Tensor:
        """Value after each step, ``[T, ...]``: entry t decodes the first t+1 steps as a code of t+1 timesteps."""
        values, value, total = [], torch.zeros_like(spikes[0]), 0.0
        for step in spikes:
            value = torch.add(step, value, alpha=self.beta)
            total = total * self.beta + 1.0
            values.append(value * (amplitude / total))
        return torch.stack(values)


@dataclass(frozen=True)
class RateCode(Code):
    """Rate code: the value is the mean of the spikes; ``T + 1`` distinct values."""

    beta: float = 1.0

    def encode(self, x: Tensor) -> Tensor:
        """Evenly spread binary train for values in [0, 1].

        As many spikes as a soft-reset IF neuron fires that is fed ``x`` at every step from half its threshold, but not at
        the same steps.

        Args:
            x: ``[...]``; values are clipped to [0, 1] and rounded to the nearest multiple of 1/T, ties up.

        Returns:
            spikes ``[T, ...]`` in {0, 1}.
        """
        count = torch.floor(x.double().clamp(0, 1) * self.timesteps + 0.5)
        steps = torch.arange(1, self.timesteps + 1, dtype=torch.float64, device=x.device)
        steps = steps.view(-1, *[1] * x.dim())
        passed = torch.floor(count * steps / self.timesteps)
        return torch.diff(passed, dim=0, prepend=torch.zeros_like(passed[:1])).to(x.dtype)


@dataclass(frozen=True)
class CSSCode(Code):
    """Canonic signed spike code: ternary spikes weighted by ``beta**(T-t)``; ``2**(T+1) - 1`` values at beta = 2."""

    beta: float = 2.0

    def encode(self, x: Tensor) -> Tensor:
        """Greedy ternary train for values in [-1, 1], half-threshold rule (TMN Eq. 7 with the whole input known).

        The error is at most half a quantisation step ``1 / (2 * sum_t w[t])`` for ``1 < beta <= 3``.

        Args:
            x: ``[...]``, in units of the amplitude; clipped to [-1, 1].

        Returns:
            spikes ``[T, ...]`` in {-1, 0, 1}.
        """
        remainder = x.double().clamp(-1, 1) * self.total
        spikes = []
        for weight in self.weights().tolist():
            spike = (remainder >= weight / 2).double() - (remainder <= -weight / 2).double()
            remainder = remainder - weight * spike
            spikes.append(spike.to(x.dtype))
        return torch.stack(spikes)


def latency_spikes(x: Tensor, timesteps: int) -> Tensor:
    """Time-to-first-spike code of values in [0, 1]: one spike per value, the earlier the larger the value; 0 stays silent.

    The spike of ``x`` is at step ``floor((1 - x) T)``, counted from 0, at the latest T - 1.

    Args:
        x: ``[...]``; values are clipped to [0, 1].
        timesteps: T.

    Returns:
        spikes ``[T, ...]`` in {0, 1}, in the dtype of ``x``.
    """
    clipped = x.clamp(0, 1)
    step = torch.floor((1 - clipped) * check_timesteps(timesteps)).clamp(max=timesteps - 1)
    step = torch.where(clipped > 0, step, torch.full_like(step, -1))
    steps = torch.arange(timesteps, dtype=step.dtype, device=x.device).view(-1, *[1] * x.dim())
    return (step == steps).to(x.dtype)


def capacity(code: str, timesteps: int) -> int:
    """Number of distinguishable values of ``timesteps`` steps (TMN paper, Fig. 1d).

    Args:
        code: ``"rate"`` and ``"ttfs"`` give T + 1, ``"binary"`` (spikes weighted by powers of two) 2**T,
            ``"css"`` (ternary spikes weighted by powers of two) 2**(T+1) - 1.

    Raises:
        ValueError: unknown code, or fewer than one timestep.
    """
    check_timesteps(timesteps)
    counts = {
        "rate": timesteps + 1,
        "ttfs": timesteps + 1,
        "binary": 2**timesteps,
        "css": 2 ** (timesteps + 1) - 1,
    }
    if code not in counts:
        raise ValueError(f"unknown code {code!r}; known: {', '.join(counts)}")
    return counts[code]


def enumerate_values(code: str, timesteps: int) -> set[int]:
    """Every integer that some spike train of ``code`` stands for, by enumerating all trains (exponential in T).

    TTFS values are counted by spike time, T for the first step down to 1 for the last and 0 for silence.
    """
    check_timesteps(timesteps)
    if code == "ttfs":
        trains = [tuple(int(t == first) for t in range(timesteps)) for first in range(timesteps + 1)]
        weights = [timesteps - t for t in range(timesteps)]
        return {sum(w * s for w, s in zip(weights, train, strict=True)) for train in trains}
    digits, base = {"rate": ((0, 1), 1), "binary": ((0, 1), 2), "css": ((-1, 0, 1), 2)}[code]
    weights = [base ** (timesteps - 1 - t) for t in range(timesteps)]
    return {sum(w * s for w, s in zip(weights, train, strict=True)) for train in product(digits, repeat=timesteps)}
