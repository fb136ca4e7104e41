"""QFFS, and the neuron of Fast-SNN: rate coding of quantised networks with neurons that take spikes back.

Both convert a network with uniformly quantised activations to signed integrate-and-fire neurons, threshold = clip, from half
the threshold, with T = L steps for L levels:

    u[t] = u[t-1] + z[t]                           from u[0] = v / 2
    s[t] = +1  if u[t] >= v
    s[t] = -1  if u[t] < 0 and n[t-1] > 0          n counts positive minus negative spikes
    u[t] = u[t] - v s[t],  n[t] = n[t-1] + s[t]

A neuron that fired on early input which later input takes back ends one spike too high; the negative spike corrects it, and
never below a count of 0, so that the train stands for a ReLU. The methods were published a year apart and differ here in two
things: when a negative spike is due, and the fine-tuning of Fast-SNN (``benchmarks.methods.fast_snn``).

QFFS (Li, Ma and Furber, Front. Neurosci. 2022; no code found): a negative spike is due below 0, which removes the "occasional
noise" of spikes that later input disowns.

Fast-SNN: at ``-0.001`` and below, in units of the currents, which keeps rounding noise around 0 silent (``margin``).
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from benchmarks.methods.base import Method
from benchmarks.methods.qcfs import quantized_rate
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import SpikingNeuron


class SignedState(NamedTuple):
    """Membrane ``potential`` u and n, the spikes ``sent``, each ``[B, ...]``; u in units of the currents."""

    potential: Tensor
    sent: Tensor


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
        return f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, margin={self.margin:g}, initial={self.initial:g}"

    def start(self, like: Tensor) -> SignedState:
        """Membrane at ``initial * v``, no spike yet."""
        return SignedState(torch.full_like(like, self.initial * self.threshold), torch.zeros_like(like))

    def step(self, current: Tensor | None, state: SignedState) -> tuple[Tensor, SignedState]:
        """Integrate, fire with either sign, reset by subtraction; see the module docstring."""
        u, n = state.potential if current is None else state.potential + current, state.sent
        below = u <= -self.margin if self.margin else u < 0
        s = (u >= self.threshold).to(u.dtype) - (below & (n > 0)).to(u.dtype)
        return s, SignedState(torch.sub(u, s, alpha=self.threshold), n + s)

    def residual(self, state: SignedState) -> Tensor:
        """``u[T] / v``."""
        return state.potential / self.threshold


def signed_rate(margin: float = 0.0) -> ConversionMethod:
    """As ``qcfs`` with spikes that are taken back: QFFS (``margin = 0``) and Fast-SNN (``margin = 0.001``)."""
    return quantized_rate("signed rate", lambda clip, levels, timesteps: SignedIntegrateFireNeuron(clip, timesteps, margin))


class QFFS(Method):
    """Needs a quantised network; no options."""

    name = "QFFS"
    reference = "Li, Ma and Furber 2022, quantization framework for fast SNNs"
    coding = "rate"
    default_timesteps = 4
    margin: ClassVar[float] = 0.0

    def conversion(self, threshold: ThresholdRule, **options: object) -> ConversionMethod:
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return signed_rate(self.margin)

