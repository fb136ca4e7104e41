"""Few-spikes neuron: the binary expansion of a value, most significant digit first (Stoeckl and Maass, Nature MI 2021).

With K = T steps, ``alpha`` the range of values and x the neuron's input,

    V[1] = x;   z[t] = 1 if V[t] >= T[t];   V[t+1] = V[t] - h[t] z[t];   output = sum over t of d[t] z[t]
    for a ReLU:  T[t] = h[t] = d[t] = alpha 2**-t,   t = 1..K

so that the output is ``alpha 2**-K floor(2**K x / alpha)``, clipped to ``[0, v]`` with ``v = alpha (1 - 2**-K)``: all digits
one. A potential that equals its threshold fires, as in that closed form. The neuron needs its whole input before its
first spike: for T steps it reads the trains of the layer before as binary numbers, ``V <- 2 V + z[t]``, then it fires for T
steps at the thresholds ``2**(T-t) v``, which are ``alpha 2**-t`` in units of that sum. It is the momentum neuron with a
pre-charge of T steps, binary spikes, ratio 1 and no gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snncore.coding import CSSCode
from snncore.neurons.base import SpikingNeuron


@dataclass
class FewSpikesState:
    """``potential`` V ``[B, ...]`` in units of the currents, the last of which weighs 1; ``steps`` so far."""

    potential: Tensor
    steps: int = 0


class FewSpikesNeuron(SpikingNeuron):
    """Greedy binary code of the weighted input, with spikes in {0, 1}.

    Args:
        threshold: ``v``, the largest value, in units of the currents.
        timesteps: T, digits.
    """

    def __init__(self, threshold: float, timesteps: int) -> None:
        super().__init__(threshold, CSSCode(timesteps))
        self.delay = timesteps

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"threshold={self.threshold:g}, timesteps={self.code.timesteps}"

    def start(self, like: Tensor) -> FewSpikesState:
        """An empty membrane for currents ``like [B, ...]``."""
        return FewSpikesState(torch.zeros_like(like))

    def step(self, current: Tensor | None, state: FewSpikesState, out: Tensor | None = None) -> Tensor | None:
        """Read a digit of the input or write one of the output; see the module docstring."""
        potential = state.potential
        if current is not None:
            torch.add(current, potential, alpha=2, out=potential)
        state.steps += 1
        if state.steps <= self.delay:
            return None
        weight = 2.0 ** (2 * self.delay - state.steps) * self.threshold
        spikes = torch.ge(potential, weight, out=torch.empty_like(potential) if out is None else out)
        potential.sub_(spikes, alpha=weight)
        return spikes

    def residual(self, state: FewSpikesState) -> Tensor:
        """What the digits leave uncoded, in units of ``v``: of the last digit."""
        return state.potential / self.threshold
