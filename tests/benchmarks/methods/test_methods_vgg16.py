"""torchvision's VGG-16 converts with its max-pooling: its own layers and forward, with few channels."""

from __future__ import annotations

from types import MethodType

import pytest
import torch
from torch import Tensor, nn

from benchmarks.methods import method, threshold_rule
from snncore import calibrate, convert
from snncore.conversion.operations import MaxPool, SumPool

models = pytest.importorskip("torchvision.models")
PLAN = [4, 4, "M", 6, 6, "M", 6, 6, 6, "M", 8, 8, 8, "M", 8, 8, 8, "M"]


class Narrow(nn.Module):
    """VGG-16 without the large linear layers that torchvision would fill first."""

    def __init__(self) -> None:
        super().__init__()
        self.features = models.vgg.make_layers(PLAN)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        linear = [nn.Linear(8, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 5)]
        self.classifier = nn.Sequential(*linear)

    def forward(self, x: Tensor) -> Tensor:
        """As torchvision's."""
        out: Tensor = MethodType(models.VGG.forward, self)(x)
        return out


def vgg16() -> nn.Module:
    random = torch.Generator().manual_seed(0)
    network = Narrow().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            scale = (2 / parameter[0].numel()) ** 0.5 if parameter.dim() > 1 else 0.1
            parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64) * scale)
    return network


def test_vgg16_of_torchvision() -> None:
    network = vgg16()
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    calibration = calibrate(network, [x])
    with torch.no_grad():
        expected = network(x)
    bounds = {"TMN": (16, 0.02), "OPI": (64, 0.5), "FS-Conversion": (16, 0.02), "TTFS Mapping": (64, 0.5), "LC-TTFS": (64, 0.6)}
    errors = {}
    for name, (timesteps, _) in bounds.items():
        converted = convert(network, calibration, method(name).conversion(threshold_rule("maximum")), timesteps)
        kinds = [type(module) for module in converted.modules()]
        assert (kinds.count(MaxPool), kinds.count(SumPool), len(converted.neurons)) == (5, 1, 15)
        errors[name] = float((converted(x) - expected).norm() / expected.norm())
    assert all(errors[name] < bound for name, (_, bound) in bounds.items()), errors
