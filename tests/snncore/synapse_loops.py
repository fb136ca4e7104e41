"""Synaptic operations counted one synapse at a time, in plain loops."""

from itertools import product

import torch
from torch import Tensor, nn

from snncore.conversion.operations import Sum, Synapses


def images(size: int = 5) -> Tensor:
    return torch.randn(2, 1, size, size, generator=torch.Generator().manual_seed(1))


def by_loops(module: nn.Module, spikes: Tensor) -> float:
    """``|s|`` added up over every synapse, one at a time."""
    total = 0.0
    operation = module.node.operation if isinstance(module, Synapses) else None
    for sample in spikes.abs().tolist():
        if isinstance(module, nn.Conv2d):
            window = module.kernel_size, module.stride, module.padding, module.dilation
            total += _windows(sample, *window) * (module.out_channels // module.groups)
        elif operation == "conv2d":
            node = module.node
            window = tuple(module.weight.shape[2:]), node["stride"], node["padding"], node["dilation"]
            total += _windows(sample, *window) * (len(module.weight) // node["groups"])
        elif operation == "conv_transpose2d":
            total += _windows_of_inputs(sample, module) * module.weight.shape[1]
        elif isinstance(module, Sum) and "pool" in module.node.operation:
            total += _windows(sample, *(module.node[name] for name in ("kernel_size", "stride", "padding")), (1, 1))
        elif isinstance(module, nn.Linear) or operation in ("linear", "matmul"):
            outputs = module.out_features if isinstance(module, nn.Linear) else module.node.shape[-1]
            total += sum(value for value in sample for _ in range(outputs))
        else:
            total += float(torch.tensor(sample).sum())  # one synapse each
    return total


def _windows_of_inputs(sample: list[list[list[float]]], module: Synapses) -> float:
    """Of a transposed convolution: what each input reaches."""
    total, node = 0.0, module.node
    _, height, width = node.shape
    for channel in sample:
        for (y, row), (di, dj) in product(enumerate(channel), product(*map(range, module.weight.shape[2:]))):
            for x, value in enumerate(row):
                i = y * node["stride"][0] + di * node["dilation"][0] - node["padding"][0]
                j = x * node["stride"][1] + dj * node["dilation"][1] - node["padding"][1]
                total += value if 0 <= i < height and 0 <= j < width else 0.0
    return total


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
