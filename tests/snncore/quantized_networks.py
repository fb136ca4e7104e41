"""Quantised perceptrons whose arithmetic is exact."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore.quantization import ClipFloorShift


def quantized_mlp(seed: int, levels: int, widths: tuple[int, ...] = (3, 6, 5, 4)) -> nn.Sequential:
    """Weights, clips and images in eighths: sums are exact in any order."""
    source = torch.Generator().manual_seed(seed)

    def eighths(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=source, dtype=torch.float64) * scale * 8).round() / 8

    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        linear = nn.Linear(inputs, outputs).double()
        with torch.no_grad():
            linear.weight.copy_(eighths(outputs, inputs))
            linear.bias.copy_(eighths(outputs, scale=0.3))
        clip = 2.0 ** int(torch.randint(-1, 2, (), generator=source))
        layers += [linear, ClipFloorShift(levels, clip)]
    return nn.Sequential(*layers[:-1]).double().eval()


def points(seed: int) -> Tensor:
    return (torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 8).round() / 8
