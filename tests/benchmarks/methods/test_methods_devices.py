"""Every method on a GPU, where there is one, as on a CPU."""

from functools import partial

import pytest
import torch
from torch import nn

from benchmarks.methods import METHODS, method, threshold_rule
from snncore.conversion import OperationCounter, SpikingNetwork, calibrate, quantize
from snncore.quantization import ClipFloorShift

T = 8


def network() -> nn.Module:
    torch.manual_seed(4)
    layers = [nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def converted(name: str, device: str, images: torch.Tensor, timesteps: int = T) -> SpikingNetwork:
    found = method(name)
    net = network()
    if not found.traits().full_precision:
        net = quantize(net, [images], partial(ClipFloorShift, 4)).eval().requires_grad_(False)
    net, images = net.to(device), images.to(device)
    return found.convert(calibrate(net, [images]), threshold_rule("maximum"), timesteps, lambda limit: [images]).to(device)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_runs_where_its_network_is(name: str, device: str) -> None:
    images = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(5))
    here, there = converted(name, "cpu", images), converted(name, device, images)
    with OperationCounter(there) as counts:
        out = there(images.to(device))
    assert out.device.type == device and counts.total().acs > 0
    there.mode = "single-step"
    assert torch.allclose(there(images.to(device)), out, rtol=1e-4, atol=1e-5)
    expected = here(images)
    if method(name).conversion(threshold_rule("maximum")).anytime:  # a run gives every shorter one
        assert torch.allclose(here(images, every_step=True)[4], converted(name, "cpu", images, 5)(images), rtol=1e-4, atol=1e-5)
    assert (out.cpu() - expected).norm() <= 0.1 * expected.norm()  # single spikes may fall on the other side of a threshold
