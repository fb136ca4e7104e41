"""Memory order of spike trains, and cache blocks for training.

The update of a neuron that is trained reads and writes several trains at every timestep. Done on a large layer, each pass goes
through main memory and takes up to half the time of training. The updates are elementwise, so a layer is cut into blocks whose
state stays in the processor's cache for all timesteps: every current is read once and every spike written once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_ELEMENTS = 1 << 16


def train_strides(currents: Tensor) -> tuple[int, ...]:
    """Strides of a train without gaps, ``[T, ...]``, whose steps have the memory order of those of ``currents``."""
    step = currents[0]
    return (step.numel(), *torch.empty_like(step, device="meta").stride())


def flat(x: Tensor, strides: tuple[int, ...]) -> Tensor:
    """``[T, ...]`` as ``[T, N]`` in the memory order of ``strides`` (``train_strides``), without a copy if ``x`` has it."""
    if x.stride() != strides and x.numel():
        x = x.new_empty_strided(x.shape, strides).copy_(x)
    return x.as_strided((x.shape[0], strides[0]), (strides[0], 1))


def column_blocks(width: int, device: torch.device, elements: int | None = None) -> Iterator[slice]:
    """Column ranges to update one after another: cache-sized on a CPU, everything at once on an accelerator.

    ``elements``: columns of a block, for an update that touches more or less per column than most.
    """
    step = (elements or BLOCK_ELEMENTS) if device.type == "cpu" else max(width, 1)
    for start in range(0, width, step):
        yield slice(start, min(start + step, width))
