"""What every spiking neuron for inference has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from snncore.coding import Code, check_positive
from snncore.neurons.blocks import BLOCK_ELEMENTS, column_blocks, train_strides

Observer = Callable[["SpikingNeuron", Tensor, Tensor], None]


class SpikingNeuron(nn.Module):
    """Currents in, spikes out; no state survives a call. For inference: gradients do not flow through the updates.

    Single-step: ``state = start(like)``, then ``spikes, state = step(current, state)`` for ``T + delay`` calls. In the first
    ``delay`` calls the spikes are None (the neuron charges); after the T input steps ``current`` is None.
    Multi-step: ``forward(currents [T, B, ...]) -> spikes [T, B, ...]``, the whole train at once. Both give the same spikes.

    A new neuron writes ``start``, ``step`` and ``residual``; ``update`` only where memory that is used again pays.

    Attributes:
        threshold: full threshold ``v``: what a spike removes from the membrane, and the amplitude with which it is read.
        code: the spike code in which the trains are to be read; ``code.timesteps`` is T.
        delay: steps by which the spikes lag behind the currents (the pre-charge length).
        presimulation: how many of them are a pre-simulation: the first steps of the currents are then needed once more.
        observer: called after a multi-step forward with ``(neuron, spikes [T, B, ...], residual potential [B, ...])``;
            the residual is in units of ``v``. Measurements attach here.
    """

    delay: int = 0
    presimulation: int = 0

    def __init__(self, threshold: float, code: Code) -> None:
        super().__init__()
        self.threshold = check_positive("threshold", threshold)
        self.code = code
        self.observer: Observer | None = None

    @torch.no_grad()
    def forward(self, currents: Tensor, inplace: bool = False) -> Tensor:
        """Spike trains for a whole train of currents.

        Args:
            currents: ``[T, B, ...]`` floating point; a constant current may be one step expanded over T.
            inplace: the currents are not needed any more and may be overwritten.

        Returns:
            spikes ``[T, B, ...]``, each step in the memory order of the currents.

        Raises:
            ValueError: the first dimension is not T, or parameters are those of a layer of another shape.
        """
        if currents.dim() < 2 or currents.shape[0] != self.code.timesteps:
            shape = tuple(currents.shape)
            raise ValueError(f"expected currents [T={self.code.timesteps}, B, ...], got a tensor of shape {shape}")
        strides = train_strides(currents)
        # Currents with gaps or shared memory, such as one step expanded over T, cannot be overwritten.
        spikes = currents if inplace and currents.stride() == strides else currents.new_empty_strided(currents.shape, strides)
        residual = torch.empty_like(spikes[0])
        samples = max(1, BLOCK_ELEMENTS // max(1, currents[0, :1].numel()))
        for part in column_blocks(currents.shape[1], currents.device, samples):  # a wide layer's state stays in the cache
            state = self._run(currents[:, part], spikes[:, part])
            if self.observer is not None:
                residual[part] = self.residual(state)
        if self.observer is not None:
            self.observer(self, spikes, residual)
        return spikes

    def _run(self, currents: Tensor, spikes: Tensor, update: Callable[..., Any] | None = None) -> Any:
        """Write all ``spikes [T, B, ...]``, which may share memory with the currents; return the state after the last step.

        The spikes of step t - delay overwrite currents that have been read already.
        """
        state = self.start(currents[0])
        for t in range(self.code.timesteps + self.delay):
            current, out = currents[t] if t < self.code.timesteps else None, spikes[t - self.delay] if t >= self.delay else None
            fired, state = (update or self.update)(current, state, out)
            if out is not None and fired is not None and fired is not out:
                out.copy_(fired)
        return state

    def start(self, like: Tensor) -> Any:
        """State before the first step, for currents of one step shaped as ``like [B, ...]``."""
        raise NotImplementedError

    def step(self, current: Tensor | None, state: Any) -> tuple[Tensor | None, Any]:
        """One timestep, as a pure function.

        Args:
            current: ``[B, ...]``, or None after the T input steps.
            state: from ``start`` or the step before; left as it is.

        Returns:
            spikes ``[B, ...]``, or None while the neuron charges, and the state after the step.
        """
        raise NotImplementedError

    def update(self, current: Tensor | None, state: Any, out: Tensor | None = None) -> tuple[Tensor | None, Any]:
        """``step`` with a state that is not needed any more and may be changed; spikes may be written to ``out``.

        By default neither is used: a state may keep its currents, which ``out`` may be.
        """
        return self.step(current, state)

    def residual(self, state: Any) -> Tensor:
        """Membrane potential that was left uncoded, ``[B, ...]`` in units of ``v``."""
        raise NotImplementedError


@lru_cache
def largest_below(value: float, dtype: torch.dtype) -> float:
    """The largest number of ``dtype`` below ``value`` rounded to it, so that ``x > result`` means ``x >= value``."""
    rounded = torch.tensor(value, dtype=dtype)
    return float(torch.nextafter(rounded, torch.zeros_like(rounded)))
