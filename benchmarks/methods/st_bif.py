"""ST-BIF: the signed ternary bipolar integrate-and-fire neuron of SpikeZIP-TF (You et al., ICML 2024), on quantised networks.

A neuron keeps what it was given, in units of its step s and half a step ahead, and how many steps it sent, A:

    q~[t] = q[t-1] + z[t] / s,   q[0] = 1/2,   A[0] = 0
    s[t] = +1 if q~[t] >= 1 and A[t-1] < A_max,  -1 if q~[t] < 0 and A[t-1] > A_min,  else 0
    q[t] = q~[t] - s[t],   A[t] = A[t-1] + s[t]

Every spike is worth s. A train read up to step t is worth ``s A[t]``, so that with ``E[t]`` the running sum of the input

    A[t] = A[t-1] + sign(clip(floor(E[t] / s + 1/2), A_min, A_max) - A[t-1]):

each step brings the output one level nearer to the quantised sum. Functions and products are given ``f(E[t]) - f(E[t-1])`` with
``f(E[0]) := 0``, constants in full at the first step: what ``snncore.conversion.estimates`` runs with T estimates. Once inputs
stand still for as many steps as there are levels, the network is the quantised one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.methods.base import Method
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import SpikingNeuron


class STBIFState(NamedTuple):
    """``q`` and ``A``, each ``[B, ...]``, in steps."""

    potential: Tensor
    sent: Tensor


class STBIFNeuron(SpikingNeuron):
    """See the module docstring.

    Args:
        step: s, in units of the currents.
        timesteps: T.
        least, most: A_min and A_max.
    """

    beta, gate = 1.0, "none"  # of running estimates: all spikes weigh the same

    def __init__(self, step: float, timesteps: int, least: int, most: int) -> None:
        super().__init__(step * timesteps, RateCode(timesteps))  # a spike at each step is worth T steps
        self.size, self.least, self.most = float(step), least, most

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"step={self.size:g}, timesteps={self.code.timesteps}, least={self.least}, most={self.most}"

    def start(self, like: Tensor) -> STBIFState:
        """See ``SpikingNeuron.start``."""
        return STBIFState(torch.full_like(like, 0.5), torch.zeros_like(like))

    def step(self, current: Tensor | None, state: STBIFState) -> tuple[Tensor, STBIFState]:
        """One step of the equations."""
        assert current is not None  # there is no pre-charge
        potential = state.potential + current / self.size
        up, down = (potential >= 1) & (state.sent < self.most), (potential < 0) & (state.sent > self.least)
        spikes = up.to(current) - down.to(current)
        return spikes, STBIFState(potential - spikes, state.sent + spikes)

    def residual(self, state: STBIFState) -> Tensor:
        """What was given and not sent, in units of ``threshold``."""
        return (state.potential - 0.5) / self.code.timesteps

    _signed = False

    def _spikes(self, potential: Tensor, out: Tensor | None = None, amplitude: float | None = None) -> Tensor:
        """Spikes of ``E / s - A``, as far as the levels reach: half a step is rounded up."""
        return torch.floor(potential + 0.5, out=out).sign_()


class STBIF(Method):
    """Needs a quantised network; no options."""

    name = "ST-BIF"
    reference = "You et al. 2024, SpikeZIP-TF"
    coding = "rate"
    default_timesteps = 64

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; steps are those of the network."""

        def unsigned(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
            return STBIFNeuron(clip / levels, timesteps, 0, levels)

        def signed(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
            return STBIFNeuron(clip / levels, timesteps, -(levels + 1), levels)

        def neuron(v: float, timesteps: int) -> SpikingNeuron:
            return STBIFNeuron(v / timesteps, timesteps, 0, timesteps)

        return ConversionMethod(self.name, neuron, threshold, quantized=unsigned, full_precision=False, signed_quantized=signed)
