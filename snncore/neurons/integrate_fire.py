"""Integrate-and-fire neuron with soft reset: rate coding.

    u~[t] = u[t-1] + z[t]          integrate                       (TMN paper, Eq. 1 with plain integration)
    s[t]  = 1 if u~[t] >= v        fire
    u[t]  = u~[t] - v s[t]         reset by subtraction

``u[0] = initial * v``. ``initial = 0`` is the plain neuron; ``initial = 0.5`` is the optimised potential initialisation
of Bu et al. (AAAI 2022), which centres the quantisation error.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snncore.coding import RateCode
from snncore.neurons.base import SpikingNeuron


class IntegrateFireNeuron(SpikingNeuron):
    """Soft-reset integrate-and-fire neuron with spikes in {0, 1}.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T.
        initial: ``u[0]`` as a fraction of ``v``.
    """

    def __init__(self, threshold: float, timesteps: int, initial: float = 0.0) -> None:
        super().__init__(threshold, RateCode(timesteps))
        self.initial = float(initial)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, initial={self.initial:g}"

    def start(self, like: Tensor) -> Tensor:
        """Membrane potential ``u[0] [B, ...]``."""
        return torch.full_like(like, self.initial * self.threshold)

    def step(self, current: Tensor | None, state: Tensor, out: Tensor | None = None) -> Tensor:
        """Integrate, fire, reset by subtraction; see the module docstring."""
        if current is not None:
            state.add_(current)
        spikes = torch.ge(state, self.threshold, out=torch.empty_like(state) if out is None else out)
        state.sub_(spikes, alpha=self.threshold)
        return spikes

    def residual(self, state: Tensor) -> Tensor:
        """``u[T] / v``."""
        return state / self.threshold
