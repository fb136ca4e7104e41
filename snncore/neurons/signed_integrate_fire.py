"""Signed integrate-and-fire neuron: a rate code that takes spikes back.

    u[t] = u[t-1] + z[t]
    s[t] = +1  if u[t] >= v
    s[t] = -1  if u[t] < 0 and n[t-1] > 0          n counts positive minus negative spikes
    u[t] = u[t] - v s[t],  n[t] = n[t-1] + s[t]

from ``u[0] = v / 2``. A neuron that fired on early input which later input takes back ends one spike too high; the negative
spike corrects it, and never below a count of 0, so that the train stands for a ReLU.

QFFS (Li, Ma and Furber, 2022) fires negatively below 0. The code of Fast-SNN (Hu et al., TPAMI 2023) does at ``-0.001`` and
below, in units of the currents, which keeps rounding noise around 0 silent: ``margin``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snncore.coding import RateCode
from snncore.neurons.base import SpikingNeuron


@dataclass
class SignedState:
    """Membrane ``potential`` u and spike ``count`` n, each ``[B, ...]``; u in units of the currents."""

    potential: Tensor
    count: Tensor


class SignedIntegrateFireNeuron(SpikingNeuron):
    """Soft-reset integrate-and-fire neuron with spikes in {-1, 0, 1}.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T.
        margin: a negative spike needs ``u <= -margin``, or ``u < 0`` for 0; in units of the currents.
        initial: ``u[0]`` as a fraction of ``v``.

    Raises:
        ValueError: a parameter out of range.
    """

    def __init__(self, threshold: float, timesteps: int, margin: float = 0.0, initial: float = 0.5) -> None:
        super().__init__(threshold, RateCode(timesteps))
        if not 0 <= margin < float("inf"):
            raise ValueError(f"margin must be 0 or more and finite, got {margin!r}")
        self.margin = float(margin)
        self.initial = float(initial)

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return (
            f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, margin={self.margin:g}, initial={self.initial:g}"
        )

    def start(self, like: Tensor) -> SignedState:
        """Membrane at ``initial * v``, no spike yet."""
        return SignedState(torch.full_like(like, self.initial * self.threshold), torch.zeros_like(like))

    def step(self, current: Tensor | None, state: SignedState, out: Tensor | None = None) -> Tensor:
        """Integrate, fire with either sign, reset by subtraction; see the module docstring."""
        if current is not None:
            state.potential.add_(current)
        below = state.potential <= -self.margin if self.margin else state.potential < 0
        spikes = torch.ge(state.potential, self.threshold, out=torch.empty_like(state.potential) if out is None else out)
        spikes.sub_(below.logical_and_(state.count > 0).to(spikes.dtype))
        state.potential.sub_(spikes, alpha=self.threshold)
        state.count.add_(spikes)
        return spikes

    def residual(self, state: SignedState) -> Tensor:
        """``u[T] / v``."""
        return state.potential / self.threshold
