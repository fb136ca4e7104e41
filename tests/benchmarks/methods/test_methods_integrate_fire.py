"""The integrate-and-fire family: each held to a slow loop over time, layer by layer, on small networks."""

from functools import partial
from typing import Any

import pytest
import torch
from small_networks import watching
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.methods import method, threshold_rule
from benchmarks.published import read_published
from snncore import SpikingNetwork, calibrate
from snncore.conversion import activations, record
from snncore.neurons import IntegrateFireNeuron

RULE = threshold_rule("percentile-99.99")
STEPS = 8


class Net(nn.Module):
    """Stem, a residual block with an identity shortcut, a projected one, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = (nn.Conv2d(i, 3, 3, padding=1) for i in (1, 3, 3))
        self.third, self.shortcut = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 1, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.second(torch.relu(self.first(x))) + x)
        x = torch.relu(self.third(x) + self.shortcut(x))
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Net().double().eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def converted(net: nn.Module, images: Tensor, name: str, steps: int = STEPS, **options: Any) -> SpikingNetwork:
    return method(name).convert(calibrate(net, [images]), RULE, steps, lambda limit: [images], **options)


def fire(currents: Tensor, v: float, initial: Any = 0.0, own: Any = 0.0, hard: bool = False) -> Tensor:
    """Values that integrate-and-fire neurons send, ``[T, B, ...]``, for currents of the same shape."""
    u, sent = torch.zeros_like(currents[0]) + initial, []
    for current in currents:
        u = u + current + own
        spikes = (u >= v).double()
        u = u * (1 - spikes) if hard else u - v * spikes
        sent.append(v * spikes)
    return torch.stack(sent)


def layers(net: Any, images: Tensor, choose: Any, steps: int = STEPS) -> Tensor:
    """Run ``Net`` layer by layer: ``choose(name, currents) -> values sent``; returns the output ``[B, 3]``."""

    def each(layer: nn.Module, x: Tensor) -> Tensor:
        return torch.stack([layer(step) for step in x])

    with torch.no_grad():
        x = choose("relu", each(net.stem, images.expand(steps, *images.shape)))
        y = choose("relu_1", each(net.first, x))
        x = choose("relu_2", each(net.second, y) + x)
        x = choose("relu_3", each(net.third, x) + each(net.shortcut, x))
        return each(net.head, x.flatten(2)).mean(0)


# ---- threshold balancing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "hard"), [("SpikeNorm", True), ("RMP-SNN", False)])
@pytest.mark.parametrize("factor", [1.0, 0.75])
def test_thresholds_are_the_largest_currents_of_the_spiking_network(
    net: nn.Module, images: Tensor, name: str, hard: bool, factor: float
) -> None:
    thresholds: dict[str, float] = {}

    def balance(layer: str, currents: Tensor) -> Tensor:
        thresholds[layer] = factor * float(currents.max())
        return fire(currents, thresholds[layer], hard=hard)

    layers(net, images, balance)
    snn = converted(net, images, name, steps=20, factor=factor, calibration_steps=STEPS)
    assert {layer: neuron.threshold for layer, neuron in snn.neurons.items()} == pytest.approx(thresholds)
    expected = layers(net, images, lambda layer, z: fire(z, thresholds[layer], hard=hard), 20)
    assert torch.allclose(snn(images), expected)


def test_scaled_thresholds_are_those_of_a_factor(net: nn.Module, images: Tensor) -> None:
    scaled = converted(net, images, "RMP-SNN, scaled", calibration_steps=STEPS)
    given = converted(net, images, "RMP-SNN", factor=0.4, calibration_steps=STEPS)
    thresholds = [{name: neuron.threshold for name, neuron in snn.neurons.items()} for snn in (scaled, given)]
    assert thresholds[0] == thresholds[1]
    assert torch.equal(scaled(images), given(images))


def test_spike_norm_is_the_original_with_unit_spikes_on_a_network_without_bias(images: Tensor) -> None:
    """Thresholds balanced on spikes of 1 are ours over that of the layer before; rates are the same."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Flatten(), *[m for i in range(3) for m in (nn.Linear(16, 16, bias=False), nn.ReLU())], nn.Linear(16, 3))
    net = net.double().eval()
    snn = converted(net, images, "SpikeNorm", calibration_steps=STEPS)
    with watching(snn.neurons.values()) as trains:
        snn(images)
    x, before = images.flatten(1).expand(STEPS, 6, 16), 1.0
    with torch.no_grad():
        for layer, neuron, train in zip((net[1], net[3], net[5]), snn.neurons.values(), trains, strict=True):
            currents = layer(x)
            v = float(currents.max())
            x = fire(currents, v, hard=True) / v
            assert v == pytest.approx(neuron.threshold / before)
            assert torch.equal(x.mean(0), train.mean(0))
            before = neuron.threshold


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *(("RMP-SNN", {"factor": factor}, "factor must be above 0 and at most 1") for factor in (0.0, -1.0, 1.5, float("nan"))),
        ("SpikeNorm", {"calibration_steps": 0}, "calibration_steps must be a whole number of at least 1, got 0"),
        ("TTRBR", {"candidates": 0}, "candidates must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_options(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(CannotRun, match=f"{name}: {message}"):
        method(name).conversion(RULE, **options)


# ---- SNN Calibration ----------------------------------------------------------------------------------------------------


def searched(x: Tensor, steps: int) -> float:
    """The grid search of the authors' code over all activations at once."""
    candidates = [float(x.max()) * (1 - 0.01 * i) for i in range(95)]
    errors = [float((x - (x * steps / v).clamp(0, steps).floor() * v / steps).square().mean()) for v in candidates]
    return candidates[errors.index(min(errors))]


@pytest.mark.parametrize("name", ["SNN Calibration", "SNN Calibration (light)"])
def test_calibration_takes_the_mean_error_back_layer_by_layer(net: nn.Module, images: Tensor, name: str) -> None:
    trained, chosen = activations(record(net, images), images), {}

    def calibrate(layer: str, currents: Tensor) -> Tensor:
        v = searched(trained[layer], STEPS)
        shift = v / (2 * STEPS)
        error = (trained[layer] - fire(currents, v, own=shift).mean(0)).mean(0)
        if name.endswith("(light)"):
            chosen[layer] = partial(fire, v=v, own=shift + error.mean((1, 2))[:, None, None])
        else:
            chosen[layer] = partial(fire, v=v, own=shift, initial=STEPS * error)
        return chosen[layer](currents)

    expected = layers(net, images, calibrate)
    snn = converted(net, images, name)
    # Thresholds come from a histogram of bins 2**-11 wide.
    assert all(n.threshold == pytest.approx(chosen[layer].keywords["v"], rel=1e-3) for layer, n in snn.neurons.items())
    assert torch.allclose(snn(images), expected, atol=1e-2)


# ---- TTRBR --------------------------------------------------------------------------------------------------------------


def test_each_threshold_is_the_best_of_the_candidates_on_spiking_input(net: nn.Module, images: Tensor) -> None:
    trained, thresholds = activations(record(net, images), images), {}

    def tune(layer: str, currents: Tensor) -> Tensor:
        target = trained[layer]
        candidates = [float(target.max()) * k / 10 for k in range(1, 11)]
        errors = [float((fire(currents, v).mean(0) - target).square().sum()) for v in candidates]
        thresholds[layer] = candidates[errors.index(min(errors))]
        return fire(currents, thresholds[layer])

    expected = layers(net, images, tune)
    snn = converted(net, images, "TTRBR", candidates=10, restructure=False)
    assert {layer: neuron.threshold for layer, neuron in snn.neurons.items()} == pytest.approx(thresholds)
    assert torch.allclose(snn(images), expected)
    assert len(set(thresholds.values())) == 4


def test_neurons_joined_by_an_identity_shortcut_share_a_threshold(net: nn.Module, images: Tensor) -> None:
    neurons = converted(net, images, "TTRBR").neurons
    assert neurons["relu"].threshold == neurons["relu_2"].threshold
    assert len({neuron.threshold for neuron in neurons.values()}) == 3


# ---- TSC ----------------------------------------------------------------------------------------------------------------


def test_tsc_is_a_network_of_levels_with_durations_for_pixels(net: Any, images: Tensor) -> None:
    snn = converted(net, images, "TSC", 16)
    peak = float(images.abs().max())
    durations = torch.floor(images.abs() / peak * 16 + 0.5)
    levels = torch.stack([images.sign() * (durations > t) for t in range(16)]) * peak
    v = {name: neuron.threshold for name, neuron in snn.neurons.items()}
    with torch.no_grad():
        z = torch.stack([net.stem(step) for step in levels])
        a = fire(z, v["relu"])
        b = fire(torch.stack([net.first(step) for step in a]), v["relu_1"])
        c = fire(torch.stack([net.second(step) for step in b]) + a, v["relu_2"])
        d = fire(torch.stack([net.third(step) + net.shortcut(step) for step in c]), v["relu_3"])
        expected = torch.stack([net.head(step.flatten(1)) for step in d]).mean(0)
    assert torch.allclose(snn(images), expected)


# ---- all ----------------------------------------------------------------------------------------------------------------

NAMES = ("SpikeNorm", "RMP-SNN", "RMP-SNN, scaled", "SNN Calibration", "SNN Calibration (light)", "TTRBR", "TSC")


def test_rows_of_tmn_table_2_find_their_methods() -> None:
    table = read_published("tmn", "table2")
    family = table[table["method"].isin(["OPI", "TSC", "SNN Calibration"])]
    assert len(family) == 10
    for row in family.itertuples():
        assert method(row.method).coding == row.coding


def test_neurons_are_integrate_and_fire(net: nn.Module, images: Tensor) -> None:
    for name in NAMES:
        snn = converted(net, images, name, 2)
        assert all(isinstance(neuron, IntegrateFireNeuron) for neuron in snn.neurons.values())
