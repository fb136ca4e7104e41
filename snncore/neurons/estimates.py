"""The momentum neuron on running estimates: the same spikes as from currents, with fewer evaluations of what comes before.

A train read up to step t, its later digits taken as 0, is worth ``E[t] = v sum_{i<=t} w[i] s[i]``, with ``w[i]`` the power
``beta**(T-i)`` over the sum of all.
In these terms a pre-charge of L steps is a look-ahead of L digits:

    s[i] = +-1 where |E_in[min(i+L, T)] - E_out[i-1]| >= ratio w[i] v         (TMN Eq. 7, with u and z resolved)
    E_out[i] = E_out[i-1] + w[i] v s[i]

``E_in[1..L]`` is never read, by this neuron or any behind it: whatever computes the input does so T - L times. Saturation clamps
what is to be coded, the first-spike gate zeroes negative ``E_out``: the sign of a code is that of its first spike (beta >= 2).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from snncore.neurons.blocks import column_blocks
from snncore.neurons.momentum import MomentumNeuron, most_timesteps


class EstimateState(NamedTuple):
    """After a step, ``[B, ...]`` in units of the last step's spike: what was read, what the spikes are worth; the last spikes."""

    given: Tensor
    coded: Tensor
    fired: Tensor
    steps: int = 0


class Estimator:
    """Runs a momentum neuron on estimates.

    Args:
        neuron: the neuron; ``neuron.delay`` is L.

    Raises:
        ValueError: L = T, which leaves no step to be read.
    """

    def __init__(self, neuron: MomentumNeuron) -> None:
        self.neuron, self.timesteps = neuron, neuron.code.timesteps
        self.frames = self.timesteps - neuron.delay
        if self.frames < 1:
            raise ValueError(f"precharge = {neuron.delay} leaves no step of T = {self.timesteps} to be read; use at most T - 1")

    @property
    def _least(self) -> int | None:
        """The smallest value that is coded, in units of the last step's spike; None for all."""
        return 0 if self.neuron.gate == "tsa-relu" else self.neuron.least

    @property
    def unit(self) -> float:
        """What the last step's spike stands for."""
        return self.neuron.threshold / self.neuron.code.total

    def start(self, like: Tensor) -> EstimateState:
        """Before the first step; ValueError for more timesteps than the numbers of ``like`` can tell apart."""
        beta = self.neuron.beta  # 1 of neurons whose spikes all weigh the same
        if beta > 1 and self.timesteps > (most := most_timesteps(beta, 0, like.dtype)):
            raise ValueError(f"T = {self.timesteps} needs more digits than {like.dtype} has; use at most T = {most}")
        return EstimateState(torch.empty_like(like), torch.zeros_like(like), torch.empty_like(like))

    def update(
        self, given: Tensor | None, state: EstimateState, out: Tensor | None = None
    ) -> tuple[Tensor | None, EstimateState]:
        """One firing step: an estimate ``[B, ...]`` read, or None once the last was; ``E_out`` and the state, changed in place.

        ``E_out[1..L]`` is None: nothing behind this neuron reads it.
        """
        neuron, (target, coded, fired, steps) = self.neuron, state
        if given is not None:
            torch.div(given, self.unit, out=target)
            if self._least is not None or neuron.most is not None:
                target.clamp_(self._least, neuron.most)
        weight = neuron.beta ** (self.timesteps - 1 - steps)
        neuron._spikes(torch.sub(target, coded, out=fired), fired, weight)
        coded.add_(fired, alpha=weight)
        state = EstimateState(target, coded, fired, steps + 1)
        if steps < neuron.delay:
            return None, state
        return torch.mul(coded.clamp(min=0) if neuron._signed else coded, self.unit, out=out), state

    def __call__(self, given: Tensor, spikes: Tensor | None = None) -> Tensor:
        """``E_out[L+1..T]`` of ``E_in[L+1..T]``, both ``[T-L, B, ...]``.

        Args:
            given: the estimates; those of a constant may be one expanded over T - L.
            spikes: ``[T, B, ...]``, written unless None.
        """
        out = torch.empty(given.shape, dtype=given.dtype, device=given.device)
        flat, made = given.reshape(self.frames, -1), out.view(self.frames, -1)
        trains = None if spikes is None else spikes.view(self.timesteps, -1)
        for part in column_blocks(flat.shape[1], given.device):  # the state stays in the cache
            self._run(flat[:, part], made[:, part], None if trains is None else trains[:, part])
        return out

    def _run(self, given: Tensor, made: Tensor, trains: Tensor | None) -> None:
        """All steps, ``[T-L, N]``."""
        state = self.start(given[0])
        for i in range(self.timesteps):
            out = made[i - self.neuron.delay] if i >= self.neuron.delay else None
            _, state = self.update(given[i] if i < self.frames else None, state, out)
            if trains is not None:
                trains[i] = state.fired * (state.coded >= 0) if self.neuron._signed else state.fired
