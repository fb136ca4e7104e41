"""TMN on quantised networks: as many levels as the network has, whatever T."""

from functools import partial

import pytest
import torch
from small_networks import points, quantized_mlp, trained_output
from torch import nn

from benchmarks.methods import method, threshold_rule
from snncore.conversion import Calibration, SpikingNetwork, calibrate, quantize
from snncore.conversion.network import Mode
from snncore.quantization import ClippedReLU, UniformQuantizer


def converted(calibration: Calibration, timesteps: int, x: torch.Tensor, precharge: int = 1) -> SpikingNetwork:
    return method("TMN").convert(calibration, threshold_rule("maximum"), timesteps, lambda limit: [x], precharge=precharge)


def off_the_ties(network: nn.Sequential) -> nn.Sequential:
    """Shifts currents by a little: halfway between two levels either may be taken."""
    with torch.no_grad():
        for layer in network[0::2]:
            layer.bias.add_(1 / 1024)
    return network


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
@pytest.mark.parametrize("seed", range(3))
def test_a_2_bit_network_comes_out_exactly_whatever_the_timesteps(seed: int, mode: Mode) -> None:
    mlp, x = quantized_mlp(seed, 3), points(seed)
    for i in (1, 3):
        mlp[i] = UniformQuantizer(2, mlp[i].clip.item()).double()
    network = off_the_ties(mlp)
    calibration = calibrate(network, [x])
    expected = trained_output(network, x)
    assert expected.unique(dim=0).size(0) > 1
    for timesteps in (2, 3, 4, 8):
        snn = converted(calibration, timesteps, x, precharge=timesteps)  # every neuron has seen its whole input
        snn.mode = mode
        assert torch.allclose(snn(x), expected, atol=1e-12), timesteps


def test_the_error_on_a_clipped_network_falls_with_the_timesteps() -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(3, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)).double().eval()
    x = torch.randn(40, 3, dtype=torch.float64)
    network = quantize(ann, [x], partial(ClippedReLU, 8))
    calibration = calibrate(network, [x])
    expected = trained_output(network, x)
    errors = [float((converted(calibration, t, x, precharge=t)(x) - expected).detach().norm() / expected.norm()) for t in (2, 3, 4, 8)]
    assert all(later < 0.8 * earlier for earlier, later in zip(errors, errors[1:], strict=False)), errors
    assert errors[-1] < 0.02
