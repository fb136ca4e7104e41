"""Rate codes of quantised networks, held to slow restatements of the published rules, layer by layer and spike by spike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, images, multi_step_spikes, points, quantized_mlp, single_step_spikes
from torch import Tensor, nn

from benchmarks.methods.cos import cos
from benchmarks.methods.qcfs import qcfs
from benchmarks.methods.signed_rate import signed_rate
from snncore import ConversionError, ConversionMethod, convert
from snncore.conversion import calibrate, quantize
from snncore.quantization import ActivationQuantizer, ClipFloorShift, UniformQuantizer

quick = settings(deadline=None, derandomize=True, max_examples=15)
Train = list[list[int]]
Rule = Callable[[list[float], float], list[int]]
ONE_LAYER = (3, 40, 4)


def qcfs_rule(x: list[float], v: float) -> list[int]:
    """QCFS, Models/layer.py: ``mem = 0.5 v``; ``mem += x``; a spike of size v where ``mem - v >= 0``; ``mem -= spike``."""
    membrane, train = 0.5 * v, []
    for value in x:
        membrane += value
        spike = v if membrane - v >= 0 else 0.0
        membrane -= spike
        train.append(int(spike > 0))
    return train


def cos_rule(rho: int, x: list[float], v: float) -> list[int]:
    """COS, modules.py, ``MPLayer`` with one pass of correction; the potential is in units of v."""
    x = [value / v for value in x]
    membrane, fired, spiking, silent = 0.5, 0, [1000.0], [-1000.0]
    for value in x[:rho]:
        membrane += value
        if membrane >= 1:
            spiking.append(membrane)
            membrane -= 1
            fired += 1
        else:
            silent.append(membrane)
    initial = 0.5
    if membrane < 0 and fired:
        initial -= max(1.0, min(spiking) - 0.999)
    elif membrane >= 1:
        initial += max(1.0, 1.001 - max(silent))
    return qcfs_rule([x[0] + initial - 0.5, *x[1:]], 1.0)


def fast_snn_rule(x: list[float], v: float) -> list[int]:
    """Fast-SNN, models/spiking.py, ``Spiking``."""
    membrane, total, train = 0.5 * v, 0, []
    for value in x:
        membrane += value
        positive = membrane >= v
        membrane -= v * positive
        total += positive
        inhibits = membrane <= -1e-3 and total > 0
        membrane += v * inhibits
        total -= inhibits
        train.append(int(positive) - int(inhibits))
    return train


def simulated(network: nn.Sequential, point: Tensor, timesteps: int, rule: Rule) -> list[Train]:
    """Spike trains ``[layer][neuron][t]`` of one image."""
    signal = [point.tolist()] * timesteps  # [t][input]
    trains = []
    for linear, quantizer in zip(network[0::2], network[1::2], strict=False):
        weight, bias, v = linear.weight.tolist(), linear.bias.tolist(), quantizer.clip.item()
        layer = []
        for row, b in zip(weight, bias, strict=True):
            layer.append(rule([sum(w * s for w, s in zip(row, step, strict=True)) + b for step in signal], v))
        signal = [[v * train[t] for train in layer] for t in range(timesteps)]
        trains.append(layer)
    return trains


PUBLISHED: dict[str, tuple[ConversionMethod, Rule]] = {
    "QCFS": (qcfs(), qcfs_rule),
    "COS, rho = 4": (cos(4), partial(cos_rule, 4)),
    "COS, rho = 2": (cos(2), partial(cos_rule, 2)),
    "COS, rho = T": (cos(None), lambda x, v: cos_rule(len(x), x, v)),
    "Fast-SNN": (signed_rate(1e-3), fast_snn_rule),
}


@quick
@given(seed=st.integers(0, 2**16), timesteps=st.sampled_from([4, 5, 8]))
def test_every_spike_is_that_of_the_published_rule(seed: int, timesteps: int) -> None:
    network, x = quantized_mlp(seed, 4), points(seed + 1)
    calibration = calibrate(network, [x])
    for name, (method, rule) in PUBLISHED.items():
        spikes = multi_step_spikes(convert(network, calibration, method, timesteps), x)
        for image in range(len(x)):
            expected = simulated(network, x[image], timesteps, rule)
            assert [train[:, image].T.int().tolist() for train in spikes.values()] == expected, name


@quick
@given(seed=st.integers(0, 2**16))
def test_streaming_gives_the_same_spikes(seed: int) -> None:
    ann, x = build(["normalised", "residual"], "flatten", "module", seed, exact=True), images(seed, exact=True)
    network = quantize(ann, [x], partial(ClipFloorShift, 4))
    for module in network.modules():
        if isinstance(module, ActivationQuantizer):
            module.clip.data = torch.exp2(module.clip.data.log2().round())  # keeps the arithmetic exact
    calibration = calibrate(network, [x])
    for name, (method, _) in PUBLISHED.items():
        converted = convert(network, calibration, method, 5)
        multi = multi_step_spikes(converted, x)
        single, _ = single_step_spikes(converted, x)
        assert all(torch.equal(single[layer], train) for layer, train in multi.items()), name


def test_a_run_gives_every_shorter_one() -> None:
    assert not cos(None).anytime  # its pre-simulation is as long as T
    network, x = quantized_mlp(3, 4), points(4)
    calibration = calibrate(network, [x])
    for method in (qcfs(), cos(2), signed_rate()):
        together = convert(network, calibration, method, 8)(x, every_step=True)
        for timesteps in (2, 3, 8):
            assert torch.allclose(together[timesteps - 1], convert(network, calibration, method, timesteps)(x))


@quick
@given(seed=st.integers(0, 2**16))
def test_rate_codes_give_the_quantised_network_in_as_many_steps_as_levels(seed: int) -> None:
    network, x = quantized_mlp(seed, 4, ONE_LAYER), points(seed)
    calibration = calibrate(network, [x])
    for method in (qcfs(), cos(3), signed_rate()):
        assert torch.equal(convert(network, calibration, method, 4)(x), network(x)), method.name


def test_a_quantiser_on_pooled_spikes_keeps_its_neuron() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), ClipFloorShift(4), nn.AvgPool2d(2), UniformQuantizer(2), nn.Flatten(), nn.Linear(8, 3)
    ).eval()
    assert len(convert(network, [torch.rand(3, 1, 4, 4)], qcfs(), 4).neurons) == 2


def test_max_pooling_commutes_with_a_quantiser() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1)
    network = nn.Sequential(conv, ClipFloorShift(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(convert(network, [x], qcfs(), 4)(x), network(x), atol=1e-6)


# ---- refusals ---------------------------------------------------------------------------------------------------------


class Untouched(list[Tensor]):
    """Calibration images that nobody may look at."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        raise AssertionError("refused too late")


@pytest.mark.parametrize("method", [qcfs(), cos(), signed_rate()], ids=["QCFS", "COS", "QFFS"])
def test_a_plain_relu_is_refused(method: ConversionMethod) -> None:
    network = nn.Sequential(nn.Linear(3, 3), ClipFloorShift(4), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(ConversionError, match=r"^3 \(ReLU\): .* converts networks of quantised activations"):
        convert(network, [torch.rand(2, 3)], method, 4)


def test_too_few_steps_for_the_presimulation_are_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="presimulation must be a whole number from 1 to timesteps=3"):
        convert(quantized_mlp(0, 4), Untouched(), cos(4), 3)
