"""Integrate-and-fire neuron that calibrates its offset spike (COS; Hao et al., ICLR 2023).

A neuron that sees its input in an unlucky order fires once too often or too rarely. Each layer first runs ``rho`` steps of
pre-simulation on the first steps of its input train, from ``u[0] = v / 2``. If the membrane ends

- below 0 and the neuron fired, it fired too often: ``u[0]`` is lowered so far that one spike is lost,

    u[0] = v/2 - max(v, min over firing steps of u~[t] - 0.999 v)

- at ``v`` or above, it fired too rarely: ``u[0]`` is raised so far that one spike is won,

    u[0] = v/2 + max(v, 1.001 v - max over silent steps of u~[t])

where ``u~[t]`` is the potential before the reset. Then the T steps are run from there, on the same train from its beginning.
T does not count the pre-simulation. As in the public code (ANN2SNN_COS): a neuron that fired at every step of the
pre-simulation and still is at ``v`` or above has no silent step, whose potential then counts as ``-1000 v``, so that it goes
on firing. The code holds the T steps of a layer in memory before it runs the next; with one step after another, a layer
waits ``rho`` steps for its input and keeps the last ``rho`` currents.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snncore.coding import RateCode
from snncore.neurons.base import SpikingNeuron

ABSENT = 1000.0
BELOW, ABOVE = 0.999, 1.001


@dataclass
class OffsetState:
    """State of one layer; tensors ``[B, ...]`` in units of the currents.

    ``potential``: membrane. ``lowest`` and ``highest``: potential before the reset, least over the firing and largest over
    the silent steps of the pre-simulation. ``waiting``: currents that the T steps have still to see.
    """

    potential: Tensor
    lowest: Tensor
    highest: Tensor
    steps: int = 0
    waiting: deque[Tensor] = field(default_factory=deque)


class OffsetSpikeNeuron(SpikingNeuron):
    """Soft-reset integrate-and-fire neuron with pre-simulation; spikes in {0, 1}.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T, at least ``presimulation``.
        presimulation: ``rho``, steps of pre-simulation.

    Raises:
        ValueError: fewer steps than the pre-simulation needs, or no pre-simulation.
    """

    def __init__(self, threshold: float, timesteps: int, presimulation: int = 4) -> None:
        super().__init__(threshold, RateCode(timesteps))
        if isinstance(presimulation, bool) or not isinstance(presimulation, int) or not 1 <= presimulation <= timesteps:
            raise ValueError(
                f"presimulation must be a whole number from 1 to timesteps={timesteps}, got {presimulation!r}: "
                "it runs on the first steps of the train"
            )
        self.delay = self.presimulation = presimulation

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, presimulation={self.presimulation}"

    def start(self, like: Tensor) -> OffsetState:
        """Membrane at ``v / 2``, nothing seen."""
        far = ABSENT * self.threshold
        u = torch.full_like(like, self.threshold / 2)
        return OffsetState(u, torch.full_like(like, far), torch.full_like(like, -far))

    def step(self, current: Tensor | None, state: OffsetState, out: Tensor | None = None) -> Tensor | None:
        """One step; None during the pre-simulation. See the module docstring."""
        state.steps += 1
        if current is not None:
            state.waiting.append(current)
        if state.steps <= self.delay:
            self._presimulate(state)
            return None
        state.potential.add_(state.waiting.popleft())
        spikes = torch.ge(state.potential, self.threshold, out=torch.empty_like(state.potential) if out is None else out)
        state.potential.sub_(spikes, alpha=self.threshold)
        return spikes

    def _presimulate(self, state: OffsetState) -> None:
        v, u = self.threshold, state.potential
        u.add_(state.waiting[-1])
        fires = u >= v
        torch.minimum(state.lowest, u.masked_fill(~fires, ABSENT * v), out=state.lowest)
        torch.maximum(state.highest, u.masked_fill(fires, -ABSENT * v), out=state.highest)
        u.sub_(fires.to(u.dtype), alpha=v)
        if state.steps < self.delay:
            return
        too_often = (u < 0) & (state.lowest < ABSENT * v)
        too_rarely = u >= v
        down = (state.lowest - BELOW * v).clamp(min=v)
        up = (ABOVE * v - state.highest).clamp(min=v)
        u.fill_(v / 2).sub_(down * too_often).add_(up * too_rarely)

    def residual(self, state: OffsetState) -> Tensor:
        """``u[T] / v``."""
        return state.potential / self.threshold
