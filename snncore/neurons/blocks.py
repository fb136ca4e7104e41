"""Cache blocking for multi-step neuron updates.

A neuron update reads and writes its state at every timestep. Done on a whole layer, each pass goes through main memory and
can cost more than the convolutions. The updates are elementwise, so a layer is cut into blocks whose state stays in the
processor's cache for all timesteps: every current is read once and every spike written once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_ELEMENTS = 1 << 16


def time_matrices(currents: Tensor, inplace: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Flat views of a layer's currents and of the spikes to be written, in the memory order of the currents.

    Args:
        currents: ``[T, ...]``; contiguous, channels-last within each step, or one step expanded over T (stride 0).
        inplace: write the spikes over the currents where the layout permits.

    Returns:
        currents ``[T, N]``, spikes ``[T, N]`` and the same spikes as ``[T, ...]``.
    """
    timesteps, shape = currents.shape[0], currents.shape[1:]
    constant = timesteps > 1 and currents.stride(0) == 0
    if not constant and inplace and (flat := flat_view(currents)) is not None:
        return flat, flat, currents
    channels_last = len(shape) == 4 and currents[0].is_contiguous(memory_format=torch.channels_last)
    if channels_last:
        order = (timesteps, shape[0], shape[2], shape[3], shape[1])
        spikes = currents.new_empty(order).permute(0, 1, 4, 2, 3)
    else:
        spikes = currents.new_empty(currents.shape)
        currents = currents[:1].contiguous().expand_as(currents) if constant else currents.contiguous()
    out = flat_view(spikes)
    flat = flat_view(currents[:1] if constant else currents)
    assert out is not None
    if flat is None:  # e.g. channels-last steps with gaps between them
        flat = flat_view(torch.empty_like(spikes).copy_(currents))
        assert flat is not None
    return flat.expand(timesteps, -1), out, spikes


def flat_view(x: Tensor) -> Tensor | None:
    """``[T, ...]`` as ``[T, N]`` without a copy, or None where the layout does not permit it."""
    if x.is_contiguous():
        return x.view(x.shape[0], -1)
    if x.dim() == 5:
        moved = x.permute(0, 1, 3, 4, 2)
        if moved.is_contiguous():
            return moved.view(x.shape[0], -1)
    return None


def neuron_row(value: Tensor, spikes: Tensor) -> Tensor:
    """A parameter of the neurons of one sample as ``[N]`` for the whole batch, in the memory order of the spikes.

    Args:
        value: broadcasts against one sample, as ``[]``, ``[C, 1, 1]`` or ``[C, H, W]``.
        spikes: ``[T, B, ...]``, from ``time_matrices``.

    Raises:
        ValueError: the shapes do not fit.
    """
    row = torch.empty_strided(spikes.shape[1:], spikes.stride()[1:], dtype=spikes.dtype, device=spikes.device)
    try:
        row.copy_(value)
    except RuntimeError as error:
        shapes = f"{tuple(value.shape)}, not of {tuple(spikes.shape[2:])}"
        why = f"the neurons have parameters for a layer of shape {shapes}; calibrate with images of this size"
        raise ValueError(why) from error
    flat = flat_view(row[None])
    assert flat is not None
    return flat[0]


def column_blocks(width: int, device: torch.device, elements: int | None = None) -> Iterator[slice]:
    """Column ranges to update one after another: cache-sized on a CPU, everything at once on an accelerator.

    ``elements``: columns of a block, for an update that touches more or less per column than most.
    """
    step = (elements or BLOCK_ELEMENTS) if device.type == "cpu" else max(width, 1)
    for start in range(0, width, step):
        yield slice(start, min(start + step, width))
