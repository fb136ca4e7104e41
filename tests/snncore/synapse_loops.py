"""Synaptic operations counted one synapse at a time, in plain loops."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from snncore.conversion.operations import SumPool


def images(size: int = 5) -> Tensor:
    return torch.randn(2, 1, size, size, generator=torch.Generator().manual_seed(1))


def by_loops(module: nn.Module, spikes: Tensor) -> float:
    """``|s|`` added up over every synapse, one at a time."""
    total = 0.0
    for sample in spikes.abs().tolist():
        if isinstance(module, nn.Conv2d):
            total += _convolution(module, sample, module.groups, module.out_channels)
        elif isinstance(module, SumPool):
            total += _windows(sample, module.kernel, module.stride, module.padding, (1, 1))
        elif isinstance(module, nn.Linear):
            total += sum(value for value in sample for _ in range(module.out_features))
        else:
            total += float(torch.tensor(sample).sum())  # one synapse each
    return total


def _convolution(layer: nn.Conv2d, sample: list[list[list[float]]], groups: int, outputs: int) -> float:
    kernel, stride, padding, dilation = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    one_output = _windows(sample, kernel, stride, padding, dilation)  # type: ignore[arg-type]
    return one_output * (outputs // groups)


def _windows(sample, kernel, stride, padding, dilation) -> float:  # type: ignore[no-untyped-def]
    total = 0.0
    for channel in sample:
        height, width = len(channel), len(channel[0])
        rows = (height + 2 * padding[0] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
        columns = (width + 2 * padding[1] - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
        for i, j, di, dj in product(range(rows), range(columns), range(kernel[0]), range(kernel[1])):
            y, x = i * stride[0] + di * dilation[0] - padding[0], j * stride[1] + dj * dilation[1] - padding[1]
            if 0 <= y < height and 0 <= x < width:
                total += channel[y][x]
    return total
