"""Networks to count, converted so that every spike is 0 or 1; random weights, whose counts are as good as trained ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.models import build_model
from snncore import SpikingNetwork, convert, opi, tmn


class Shapes(nn.Module):
    """Stride, padding, groups, dilation, a 1x1 convolution, two biases that are missing, all behind spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.strided = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.pointwise = nn.Conv2d(8, 4, 1, bias=False)
        self.hidden = nn.Linear(4 * 8 * 8, 20)
        self.last = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[B, 1, 16, 16]`` to scores ``[B, 10]``."""
        for layer in (self.first, self.strided, self.grouped, self.dilated, self.pointwise):
            x = torch.relu(layer(x))
        return self.last(torch.relu(self.hidden(torch.flatten(x, 1))))


def candidates() -> dict[str, tuple[SpikingNetwork, Tensor]]:
    """Converted networks by name, with images."""
    torch.manual_seed(0)
    made: dict[str, tuple[SpikingNetwork, Tensor]] = {}
    unbiased = nn.Linear(40, 20, bias=False), nn.ReLU(), nn.Linear(20, 5, bias=False)
    perceptron = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), *unbiased)
    binary = tmn(ratio=1.0, ternary=False)
    for name, network, images, method, timesteps in (
        ("perceptron, OPI, T = 16", perceptron, torch.randn(8, 30), opi(), 16),
        ("all shapes, OPI, T = 16", Shapes(), torch.randn(8, 1, 16, 16), opi(), 16),
        ("all shapes, binary momentum neurons, T = 5", Shapes(), torch.randn(8, 1, 16, 16), binary, 5),
        ("ResNet-20, OPI, T = 8", build_model("resnet20", 10), torch.randn(4, 3, 32, 32), opi(), 8),
    ):
        made[name] = convert(network.eval(), [images], method, timesteps), images
    return made
