"""Momentum neuron: canonic signed spike (CSS) coding with exponential weights that cost nothing.

    u~[t] = beta u[t-1] + z[t]                          momentum         (TMN Eq. 6; CSS Eq. 7)
    s[t]  = +1 if u~[t] >=  theta,  -1 if u~[t] <= -theta                (TMN Eq. 7; CSS Eq. A19-A20)
    u[t]  = u~[t] - beta**L v s[t]                      soft reset by the full threshold

for L pre-charge steps without firing and T steps with it; the input current is present in the first T steps only.
``theta = ratio * beta**L * v`` is the predictive threshold. By Prop. 3.1 of the TMN paper the membrane integrates spikes
weighted by ``beta**(T-t)``, so that ``u[T]`` is what the train leaves uncoded.

Negative values are zeroed (the ReLU) by one of two gates:

- ``first-spike`` (TMN, App. D): a neuron whose first spike is negative stays silent. The sign of the first spike is the
  sign of the coded value only if ``beta >= 2``: then its weight exceeds all later ones together.
- ``tsa-relu`` (CSS, Eq. A23-A24): fire towards ``max(h, 0) - g``, where ``h`` integrates the weighted input and ``g`` the
  weighted output. Valid for every beta, and as long as the digits of both last (``most_timesteps``: T = 32 in float32). Three
  corrections to the printed algorithm: the silent loop runs L steps (printed L + 1), the input and its bias end after T
  steps, and ``g`` grows by the reset size ``beta**L v``.

Presets: ``MomentumNeuron.tmn`` (beta = 2, L = 1, ratio = 1/2, ternary, first-spike gate) and ``MomentumNeuron.tsa``
(beta = 1.5, L = 1, ratio = 1/2, ternary, tsa-relu gate); ``MomentumNeuron.few_spikes`` (beta = 2, L = T, ratio = 1, binary,
no gate).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from snncore.coding import CSSCode
from snncore.neurons.base import SpikingNeuron, largest_below

ROUNDING = 0.1
"""Of a spike's amplitude: how far rounding may move a coded value."""
HEADROOM = 2**4
"""What a weighted input may exceed ``beta**(T + L)`` by before it leaves the range of numbers."""
Gate = Literal["first-spike", "tsa-relu", "none"]
GATES: tuple[Gate, ...] = ("first-spike", "tsa-relu", "none")


class MomentumState(NamedTuple):
    """State of one layer between two steps; each tensor ``[B, ...]`` in units of the currents unless said otherwise.

    ``potential`` is the membrane potential u (with the tsa-relu gate: the weighted input h). ``memory`` is the spikes so far
    read as a number m, whose sign is that of the first spike, where gate or saturation need it; with the tsa-relu gate it is
    the weighted output g. ``steps`` counts the steps so far.
    """

    potential: Tensor
    memory: Tensor | None
    steps: int = 0


class MomentumNeuron(SpikingNeuron):
    """Momentum neuron with predictive ternary spikes, pre-charge and ReLU gate.

    Args:
        threshold: full threshold ``v``, in units of the currents.
        timesteps: T, firing steps.
        beta: amplification of the membrane potential per step, > 1 and <= 3.
        precharge: L, steps of integration before the first spike, 0 <= L <= T.
        ratio: predictive over full threshold, in (0, 1].
        ternary: spikes in {-1, 0, 1}; otherwise {0, 1}.
        gate: ``"first-spike"``, ``"tsa-relu"`` or ``"none"`` (negative codes pass).
        most, least: largest and smallest value that a train may stand for, in units of the last step's spike; None for all
            ones and all minus ones. Without a gate alone: gates end at 0.

    Raises:
        ValueError: a parameter out of range; the first-spike gate with beta < 2, where it is not a ReLU; ``least`` with a gate.
    """

    def __init__(
        self,
        threshold: float,
        timesteps: int,
        beta: float = 2.0,
        precharge: int = 1,
        ratio: float = 0.5,
        ternary: bool = True,
        gate: Gate = "first-spike",
        most: int | None = None,
        least: int | None = None,
    ) -> None:
        super().__init__(threshold, CSSCode(timesteps, float(beta)))
        if not 1 < beta <= 3:
            raise ValueError(f"beta must be in (1, 3], got {beta!r}")
        if isinstance(precharge, bool) or not isinstance(precharge, int) or not 0 <= precharge <= timesteps:
            raise ValueError(f"precharge must be a whole number from 0 to timesteps={timesteps}, got {precharge!r}")
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio must be in (0, 1], got {ratio!r}")
        if gate not in GATES:
            raise ValueError(f"unknown gate {gate!r}; known: {', '.join(GATES)}")
        if gate == "first-spike" and beta < 2:
            raise ValueError(f"the first-spike gate is a ReLU only for beta >= 2, got {beta!r}; use gate='tsa-relu'")
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ValueError(f"most must be a whole number of at least 1, got {most!r}")
        if least is not None and (isinstance(least, bool) or not isinstance(least, int) or least > 0 or gate != "none"):
            raise ValueError(f"least must be a whole number of at most 0, of a neuron without a gate, got {least!r}")
        self.beta = float(beta)
        self.delay = precharge
        self.ratio = float(ratio)
        self.ternary = ternary
        self.gate = gate
        self.most, self.least = most, least
        self.reset = self.beta**precharge * self.threshold

    @classmethod
    def tmn(cls, threshold: float, timesteps: int, precharge: int = 1) -> MomentumNeuron:
        """The ternary momentum neuron of the TMN paper."""
        return cls(threshold, timesteps, beta=2.0, precharge=precharge, gate="first-spike")

    @classmethod
    def tsa(cls, threshold: float, timesteps: int, precharge: int = 1) -> MomentumNeuron:
        """The ternary self-amplifying neuron of the CSS paper; its silent period is the pre-charge."""
        return cls(threshold, timesteps, beta=1.5, precharge=precharge, gate="tsa-relu")

    @classmethod
    def few_spikes(cls, threshold: float, timesteps: int) -> MomentumNeuron:
        """The few-spikes neuron of Stoeckl and Maass: the binary digits of its whole input, most significant first."""
        return cls(threshold, timesteps, precharge=timesteps, ratio=1.0, ternary=False, gate="none")

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return (
            f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, beta={self.beta:g}, precharge={self.delay}, "
            f"ratio={self.ratio:g}, ternary={self.ternary}, gate={self.gate}"
            + ("" if self.most is None else f", most={self.most}")
            + ("" if self.least is None else f", least={self.least}")
        )

    def start(self, like: Tensor) -> MomentumState:
        """Discharged membrane, ``u[0] = 0``.

        Raises ValueError for more timesteps than the numbers of ``like`` can hold (``most_timesteps``).
        """
        if self.code.timesteps > (most := most_timesteps(self.beta, self.delay, like.dtype, self.gate)):
            kind = "digits" if self.gate == "tsa-relu" else "range"
            raise ValueError(
                f"T = {self.code.timesteps} at beta = {self.beta:g} needs more {kind} than {like.dtype} has; "
                f"use at most T = {most}"
            )
        needs_memory = self.gate == "tsa-relu" or self._saturates or self._signed
        return MomentumState(torch.zeros_like(like), torch.zeros_like(like) if needs_memory else None)

    def step(self, current: Tensor | None, state: MomentumState) -> tuple[Tensor | None, MomentumState]:
        """One step of the equations in the module docstring; no spikes during the pre-charge."""
        u, memory, steps = state
        return self.update(current, MomentumState(u.clone(), None if memory is None else memory.clone(), steps))

    def update(
        self, current: Tensor | None, state: MomentumState, out: Tensor | None = None
    ) -> tuple[Tensor | None, MomentumState]:
        """``step`` in place."""
        spikes, state = self._fired(current, state, out)
        if spikes is not None and self._signed and state.memory is not None:
            spikes.mul_(_not_negative(state.memory))
        return spikes, state

    def _fired(self, current: Tensor | None, state: MomentumState, out: Tensor | None) -> tuple[Tensor | None, MomentumState]:
        """The spikes of a step before the first-spike gate; changes the state in place."""
        u, memory, steps = state.potential, state.memory, state.steps + 1
        u = u.mul_(self.beta) if current is None else torch.add(current, u, alpha=self.beta, out=u)
        if steps <= self.delay:
            return None, MomentumState(u, memory, steps)
        rest = torch.empty_like(u) if out is None else out  # what the spikes are to code
        floor, cap = self._bounds(steps)
        if memory is not None and self.gate == "tsa-relu":  # the potential is h, the memory g
            s = self._spikes(torch.clamp(u, 0, cap * self.reset, out=rest).sub_(memory.mul_(self.beta)), rest)
            return s, MomentumState(u, memory.add_(s, alpha=self.reset), steps)
        if memory is not None and self._saturates:
            left = torch.mul(memory, -self.beta, out=rest)
            low = None if self.least is None else (left + floor).mul_(self.reset)
            torch.clamp(u, low, left.add_(cap).mul_(self.reset), out=rest)
        s = self._spikes(rest if self._saturates else u, rest)
        u.sub_(s, alpha=self.reset)
        return s, MomentumState(u, memory if memory is None else torch.add(s, memory, alpha=self.beta, out=memory), steps)

    @property
    def _signed(self) -> bool:
        """Whether negative codes have to be silenced by the sign of the first spike."""
        return self.gate == "first-spike" and self.ternary

    @property
    def _saturates(self) -> bool:
        return self.most is not None or self.least is not None

    def _bounds(self, steps: int) -> tuple[float, float]:
        """``least`` and ``most`` times ``beta**(k-T)`` at the k-th firing step, infinite where they are None."""
        weight = self.beta ** (steps - self.delay - self.code.timesteps)
        floor = -math.inf if self.least is None else self.least * weight
        return floor, math.inf if self.most is None else self.most * weight

    def _spikes(self, potential: Tensor, out: Tensor, amplitude: float | None = None) -> Tensor:
        """Spikes of potentials, in units in which the reset is ``amplitude``."""
        theta = self.ratio * (amplitude or self.reset)
        if not self.ternary:
            return torch.ge(potential, theta, out=out)
        # hardshrink zeroes |u| <= lambda, but a potential that equals the threshold must fire.
        return torch.ops.aten.hardshrink.out(potential, largest_below(theta, potential.dtype), out=out).sign_()

    def _run(self, currents: Tensor, spikes: Tensor, update: Callable[..., Any] | None = None) -> MomentumState:
        """The first-spike gate is applied to the finished train: the sign of the memory is final."""
        state: MomentumState = super()._run(currents, spikes, self._fired)
        if self._signed and state.memory is not None:
            spikes.mul_(_not_negative(state.memory))
        return state

    def residual(self, state: MomentumState) -> Tensor:
        """``u[T] / (beta**L v)``; with the tsa-relu gate ``(max(h, 0) - g) / (beta**L v)``."""
        if self.gate == "tsa-relu" and state.memory is not None:
            return (state.potential.clamp(min=0) - state.memory) / self.reset
        return state.potential / self.reset


def _not_negative(memory: Tensor) -> Tensor:
    """1 where ``m >= 0``, else 0: three vectorised passes, faster than a mask."""
    return memory.sign().add_(1).clamp_(max=1)


def most_timesteps(beta: float, precharge: int, dtype: torch.dtype = torch.float32, gate: Gate = "tsa-relu") -> int:
    """The largest T that numbers of ``dtype`` can hold.

    The weighted input grows as ``beta**t``. The tsa-relu gate fires on its difference from the weighted output: both are rounded
    to so many digits, whereas an amplitude, which the difference is to be coded to within ``ROUNDING`` of, stays as small as
    it is. The other gates subtract spikes at once and need the range of the numbers alone.
    """
    numbers = torch.finfo(dtype)
    largest = ROUNDING / numbers.eps if gate == "tsa-relu" else numbers.max / HEADROOM
    return math.floor(math.log(largest) / math.log(beta)) - precharge
