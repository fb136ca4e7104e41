"""What every spiking neuron of this project has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from snncore.coding import Code
from snncore.neurons.blocks import column_blocks, flat_view, neuron_row, time_matrices

Observer = Callable[["SpikingNeuron", Tensor, Tensor], None]


class SpikingNeuron(nn.Module):
    """Currents in, spikes out; no state survives a call. For inference: gradients do not flow through the updates.

    Multi-step: ``forward(currents [T, B, ...]) -> spikes [T, B, ...]``, the whole train at once.
    Single-step: ``state = start(like)``, then ``step(current, state)`` for ``T + delay`` calls. The first ``delay`` calls
    return None (the neuron charges); after the T input steps ``current`` is None. Both give the same spikes.

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
        threshold = float(threshold)
        if not 0 < threshold < float("inf"):
            raise ValueError(f"threshold must be positive and finite, got {threshold!r}")
        self.threshold = threshold
        self.code = code
        self.observer: Observer | None = None

    @torch.no_grad()
    def forward(self, currents: Tensor, inplace: bool = False) -> Tensor:
        """Spike trains for a whole train of currents.

        Args:
            currents: ``[T, B, ...]`` floating point; a constant current may be one step expanded over T.
            inplace: the currents are not needed any more and may be overwritten.

        Returns:
            spikes ``[T, B, ...]``.

        Raises:
            ValueError: the first dimension is not T, or parameters are those of a layer of another shape.
        """
        if currents.dim() == 0 or currents.shape[0] != self.code.timesteps:
            shape = tuple(currents.shape)
            raise ValueError(f"expected currents [T={self.code.timesteps}, ...], got a tensor of shape {shape}")
        z, s, spikes = time_matrices(currents, inplace)
        residual = torch.empty_strided(spikes.shape[1:], spikes.stride()[1:], dtype=spikes.dtype, device=spikes.device)
        residual_row = flat_view(residual[None])
        assert residual_row is not None
        constants = [neuron_row(constant, spikes) for constant in self.constants()]
        for block in column_blocks(z.shape[1], z.device):
            left_over = self._update(z[:, block], s[:, block], *(row[block] for row in constants))
            if self.observer is not None:
                residual_row[0, block] = self.residual(left_over)
        if self.observer is not None:
            self.observer(self, spikes, residual)
        return spikes

    def constants(self) -> tuple[Tensor, ...]:
        """Parameters that differ between the neurons of a layer, as ``_update`` takes them after z and s, ``[N]`` each.

        Each broadcasts against one sample. None by default: then ``_update`` need not know of them.
        """
        return ()

    def _update(self, z: Tensor, s: Tensor) -> Any:
        """Write spikes ``s [T, N]`` for currents ``z [T, N]`` (may share memory); return the state after the last step."""
        state = self.start(z[0])
        for t in range(self.code.timesteps + self.delay):
            # The spikes of step t - delay overwrite currents that have been read already.
            out = s[t - self.delay] if t >= self.delay else None
            self.step(z[t] if t < self.code.timesteps else None, state, out)
        return state

    def start(self, like: Tensor) -> Any:
        """State before the first step, for currents of one step shaped as ``like [B, ...]``."""
        raise NotImplementedError

    def step(self, current: Tensor | None, state: Any, out: Tensor | None = None) -> Tensor | None:
        """One timestep; changes ``state`` in place.

        Args:
            current: ``[B, ...]``, or None after the T input steps.
            state: from ``start``.
            out: where to write the spikes; may be ``current`` itself.

        Returns:
            spikes ``[B, ...]``, or None while the neuron charges.
        """
        raise NotImplementedError

    def residual(self, state: Any) -> Tensor:
        """Membrane potential that was left uncoded, ``[B, ...]`` in units of ``v``."""
        raise NotImplementedError


@lru_cache
def largest_below(value: float, dtype: torch.dtype) -> float:
    """The largest number of ``dtype`` below ``value`` rounded to it, so that ``x > result`` means ``x >= value``."""
    rounded = torch.tensor(value, dtype=dtype)
    return float(torch.nextafter(rounded, torch.zeros_like(rounded)))
