"""Neuron that fires once in the window of its layer: the time to the first spike carries a value.

Layer l fires in a window of T steps that opens when the window of layer l-1 closes. A value x in ``[0, v]`` is sent as one
spike ``T x / v`` steps before the end of the window, and 0 as silence. An incoming spike switches a constant current on, so
that the potential is the sum of ramps (STDBP's ReL-PSP, ``K(t) = max(t, 0)``) and, once the window before has closed, the
decoded pre-activation. From there two published neurons fire at the same time, which is exactly the ReLU's:

    TTFS mapping (Stanojevic et al., 2024 code): V(t) = sum_j w_j (t_max' - t_j) + (t - t_min)    fires at  (t_max - t_min) - b
    LC-TTFS (Yang et al. 2023):              V    = sum_j w_j K(t_max' - t_j) + b             fires at  t_max - t

with times in units of the value that they stand for. The first is a slope of 1 towards a constant threshold, the second a
constant potential under a threshold that falls with slope 1; before the window, both are kept silent. The bias is a current
here as in all codes; with the weights below it adds up to ``b``. A value above v fires when the window opens.

On a grid of T steps the spike of ``L = T x / v`` comes L steps before the end, L rounded to the nearest whole number (ties
up) or down. ``"continuous"`` keeps L as it is: a spike that falls between two steps is split over both in the proportion that
puts the ramp where the exact spike would put it, so that layers add up exact times.

    V <- V + I,  I <- I + z[t]   read as   V = sum over t of (T - t + 1) z[t],    L = V / A,    A = v (T + 1) / 2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from snncore.coding import Code, check_timesteps
from snncore.neurons import SpikingNeuron

Grid = Literal["nearest", "down", "continuous"]
ROUNDING: dict[Grid, float] = {"nearest": 0.5, "down": 0.0, "continuous": 0.0}
"""What is added to L before it is rounded down."""


@dataclass(frozen=True)
class TimeCode(Code):
    """Time-to-first-spike code: a spike at step t weighs ``2 (T - t + 1) / (T + 1)``; T + 1 values with one spike or none.

    The weights add up to T, as those of rate coding do, so that a constant current decodes to itself. One spike at the first
    step, the largest value, is ``2 / (T + 1)`` of the amplitude.
    """

    beta: float = 1.0

    @property
    def recurrences(self) -> tuple[float, ...]:
        """A ramp is a sum of sums."""
        return (1.0, 1.0)

    def weights(self) -> Tensor:
        """Weights ``[T]`` in float64, first timestep first."""
        return torch.arange(self.timesteps, 0, -1, dtype=torch.float64) * (2 / (self.timesteps + 1))

    def decode(self, spikes: Tensor, amplitude: Tensor | float = 1.0) -> Tensor:
        """Value of spike trains or summed currents ``[T, ...]``; see ``Code.decode``."""
        if spikes.shape[0] != self.timesteps:
            raise ValueError(f"expected {self.timesteps} timesteps first, got a tensor of shape {tuple(spikes.shape)}")
        value = torch.zeros_like(spikes[0])
        for weight, step in zip(self.weights().tolist(), spikes, strict=True):
            value = torch.add(value, step, alpha=weight)
        return value * (amplitude / self.total)

    def decode_prefixes(self, spikes: Tensor, amplitude: Tensor | float = 1.0) -> Tensor:
        """Value after each step, ``[T, ...]``: entry t decodes the first t+1 steps as a code of t+1 timesteps."""
        values, value, slope = [], torch.zeros_like(spikes[0]), torch.zeros_like(spikes[0])
        for count, step in enumerate(spikes, start=1):
            slope = slope + step
            value = value + slope
            values.append(value * (amplitude * 2 / (count * (count + 1))))
        return torch.stack(values)


class WindowState(NamedTuple):
    """State of one layer between two steps, each tensor ``[B, ...]``.

    ``potential`` is V in units of the currents while the neuron charges, then L in steps. ``memory`` is the current I while it
    charges, then what it has sent so far. ``steps`` counts the steps so far.
    """

    potential: Tensor
    memory: Tensor
    steps: int = 0


class TimeWindowNeuron(SpikingNeuron):
    """Integrates for T steps, then fires once within T steps, the earlier the larger its input.

    Args:
        largest: ``v``, the largest value, in units of the currents. ``threshold`` is A of the module docstring: what a spike
            has to be worth in synapses whose weights are those of the trained network.
        timesteps: T, steps of the window, at least 2.
        grid: ``"nearest"`` and ``"down"`` round ``L``; ``"continuous"`` does not, and spikes are split over two steps.

    Raises:
        ValueError: fewer than two timesteps, a largest value that is not positive and finite, an unknown grid.
    """

    def __init__(self, largest: float, timesteps: int, grid: Grid = "nearest") -> None:
        code = TimeCode(check_timesteps(timesteps, least=2))
        if grid not in ROUNDING:
            raise ValueError(f"unknown grid {grid!r}; known: {', '.join(ROUNDING)}")
        super().__init__(float(largest) * (timesteps + 1) / 2, code)
        self.delay = timesteps
        self.grid = grid

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"largest={2 * self.threshold / (self.delay + 1):g}, timesteps={self.delay}, grid={self.grid}"

    def start(self, like: Tensor) -> WindowState:
        """An empty membrane for currents ``like [B, ...]``."""
        return WindowState(torch.zeros_like(like), torch.zeros_like(like))

    def step(self, current: Tensor | None, state: WindowState) -> tuple[Tensor | None, WindowState]:
        """Charge, or fire if it is time; see the module docstring."""
        potential, memory, steps = state.potential, state.memory, state.steps + 1
        if steps <= self.delay:
            assert current is not None
            memory = memory + current
            return None, WindowState(potential + memory, memory, steps)
        if steps == self.delay + 1:
            potential, memory = potential / self.threshold, torch.zeros_like(memory)
        sent = self._sent(potential, 2 * self.delay - steps)
        return sent - memory, WindowState(potential, sent, steps)

    def _sent(self, level: Tensor, left: int) -> Tensor:
        """What a neuron of L = ``level`` has sent when ``left`` steps of its window are left: 0 or 1, or part of a spike."""
        if self.grid == "continuous":
            return (level - left).clamp(0, 1)
        return (level >= left + 1 - ROUNDING[self.grid]).to(level.dtype)

    def residual(self, state: WindowState) -> Tensor:
        """What the spike leaves uncoded, in units of the largest value."""
        level = state.potential
        sent = level if self.grid == "continuous" else torch.floor(level + ROUNDING[self.grid])
        return (level - sent.clamp(0, self.delay)) / self.delay
