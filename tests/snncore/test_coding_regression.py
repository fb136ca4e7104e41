"""Numbers that an independent simulation gave, and the formulas behind them."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snncore import ConversionMethod, IntegrateFireNeuron, MomentumNeuron, convert, opi, rate, tmn, tsa
from snncore.conversion import RecordedNetwork, activations, record
from snncore.neurons import SpikingNeuron

# Direct coding of x ~ U(0, 1) with v = 1: mean squared error of the decoded value.
UNIFORM = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000


def direct_error(neuron: SpikingNeuron) -> float:
    spikes = neuron(UNIFORM.expand(neuron.code.timesteps, -1))
    return float((neuron.code.decode(spikes) - UNIFORM).square().mean())


def predictive(precharge: int) -> Callable[[int], SpikingNeuron]:
    return lambda steps: MomentumNeuron.tmn(1.0, steps, precharge)


def plain(precharge: int) -> Callable[[int], SpikingNeuron]:
    return lambda steps: MomentumNeuron(1.0, steps, precharge=precharge, ratio=1.0, ternary=False)


COLUMNS: dict[str, tuple[Callable[[int], SpikingNeuron], dict[int, float]]] = {
    "TMN L=0": (predictive(0), {2: 9.24e-3, 3: 2.02e-3, 4: 7.25e-4, 5: 4.05e-4, 6: 3.12e-4, 8: 2.67e-4}),
    "TMN L=1": (predictive(1), {2: 9.24e-3, 3: 1.70e-3, 4: 3.70e-4, 5: 8.64e-5, 6: 2.10e-5, 8: 1.28e-6}),
    "TMN L=2": (predictive(2), {2: 9.24e-3, 3: 1.70e-3, 4: 3.70e-4, 5: 8.64e-5, 6: 2.10e-5, 8: 1.28e-6}),
    "no TPS L=0": (plain(0), {2: 1.11e-1, 3: 6.61e-2, 4: 5.18e-2, 5: 4.63e-2, 6: 4.38e-2, 8: 4.22e-2}),
    "no TPS L=1": (plain(1), {2: 3.68e-2, 3: 1.00e-2, 4: 4.41e-3, 5: 2.92e-3, 6: 2.41e-3, 8: 2.12e-3}),
    "no TPS L=2": (plain(2), {2: 3.68e-2, 3: 6.80e-3, 4: 1.75e-3, 5: 6.04e-4, 6: 3.11e-4, 8: 1.98e-4}),
    "no TPS L=3": (plain(3), {3: 6.80e-3, 4: 1.48e-3, 5: 3.75e-4, 6: 1.11e-4, 8: 2.70e-5}),
    "rate 2**T": (lambda steps: IntegrateFireNeuron(1.0, 2**steps), {2: 2.08e-2, 3: 5.22e-3, 4: 1.30e-3, 6: 8.15e-5}),
    "OPI 2**T": (lambda steps: IntegrateFireNeuron(1.0, 2**steps, 0.5), {2: 5.21e-3, 3: 1.30e-3, 4: 3.25e-4, 6: 2.04e-5}),
}


@pytest.mark.parametrize("column", list(COLUMNS))
def test_error_of_a_constant_current(column: str) -> None:
    make, expected = COLUMNS[column]
    for steps, value in expected.items():
        assert direct_error(make(steps)) == pytest.approx(value, rel=0.02), steps


@pytest.mark.parametrize("steps", range(1, 9))
def test_error_follows_the_formulas(steps: int) -> None:
    levels, slots = 2**steps - 1, 2**steps
    assert direct_error(predictive(1)(steps)) == pytest.approx(1 / (12 * levels**2), rel=1e-3)
    assert direct_error(IntegrateFireNeuron(1.0, slots)) == pytest.approx(1 / (3 * slots**2), rel=2e-2)
    assert direct_error(IntegrateFireNeuron(1.0, slots, 0.5)) == pytest.approx(1 / (12 * slots**2), rel=2e-2)


# A random ReLU network, 10 layers of 256.
@functools.cache
def deep(depth: int = 10) -> tuple[RecordedNetwork, Tensor]:
    """He weights, biases of standard deviation 0.1, uniform inputs; its first layers, recorded once."""
    random = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(10):
        layer = nn.Linear(256, 256)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(256, 256, generator=random) * math.sqrt(2 / 256))
            layer.bias.copy_(torch.randn(256, generator=random) * 0.1)
        layers += [layer, nn.ReLU()]
    x = torch.rand(256, 256, generator=random)
    return record(nn.Sequential(*layers[: 2 * depth]), x), x


def depth_errors(network: RecordedNetwork, x: Tensor, method: ConversionMethod, steps: int) -> list[float]:
    """Root mean square error of every layer's decoded activations over their root mean square."""
    converted, expected = convert(network, [x], method, steps), activations(network, x)
    errors: list[float] = []
    for name, neuron in converted.neurons.items():

        def compare(neuron: SpikingNeuron, spikes: Tensor, _: Tensor, name: str = name) -> None:
            decoded = neuron.code.decode(spikes, neuron.threshold)
            errors.append(float((decoded - expected[name]).norm() / expected[name].norm()))

        neuron.observer = compare
    converted(x)
    return errors


ROWS: dict[str, tuple[ConversionMethod, int, tuple[float, float, float, float]]] = {
    "TMN T=4": (tmn(1), 4, (0.0738, 0.1030, 0.1625, 0.2120)),
    "TMN T=6": (tmn(1), 6, (0.0185, 0.0264, 0.0409, 0.0545)),
    "TMN T=6 L=0": (tmn(0), 6, (0.0209, 0.1192, 0.3676, 0.5410)),
    "no TPS T=6": (tmn(1, ratio=1.0, ternary=False), 6, (0.0852, 0.2139, 0.5005, 0.7636)),
    "rate T=64": (rate(), 64, (0.0348, 0.0557, 0.1156, 0.2152)),
    "OPI T=64": (opi(), 64, (0.0183, 0.0287, 0.0618, 0.1126)),
    "TSA T=8": (tsa(1), 8, (0.0273, 0.0381, 0.0598, 0.0802)),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_error_over_depth(row: str) -> None:
    """Another random network than the one of the table: the same errors up to a quarter."""
    method, steps, expected = ROWS[row]
    errors = depth_errors(*deep(), method, steps)
    for depth, value in zip((1, 2, 5, 10), expected, strict=True):
        assert errors[depth - 1] == pytest.approx(value, rel=0.25), depth


# Residual potential and predictive threshold (TMN, T = 6, 6 layers).
def residuals(network: RecordedNetwork, x: Tensor, precharge: int, ratio: float) -> Tensor:
    converted = convert(network, [x], tmn(precharge, ratio=ratio), 6)
    left: list[Tensor] = []
    for neuron in converted.neurons.values():
        neuron.observer = lambda _, __, residual: left.append(residual.flatten().abs())
    converted(x)
    assert len(left) == 6
    return torch.cat(left)


RESIDUALS = [
    *[(1, 0.4, 0.2708, 0.1099), (1, 0.5, 0.2529, 0.003), (1, 0.6, 0.2658, 0.1044), (1, 1.0, 1.1995, 0.6325)],
    (0, 0.5, 0.9377, 0.2579),
]


@pytest.mark.parametrize(("precharge", "ratio", "mean", "share"), RESIDUALS)
def test_residual_potential(precharge: int, ratio: float, mean: float, share: float) -> None:
    """Without pre-charge the tail is heavy (99th percentile 10.8 v), and the mean depends on the random network."""
    left = residuals(*deep(6), precharge, ratio)
    assert left.mean().item() == pytest.approx(mean, rel=0.15 if precharge else 0.4)
    assert (left > 0.5 + 1e-5).double().mean().item() == pytest.approx(share, rel=0.15, abs=0.003)


def test_the_half_threshold_confines_the_residual_best() -> None:
    means = {ratio: residuals(*deep(6), 1, ratio).mean().item() for ratio in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)}
    assert min(means, key=means.__getitem__) == 0.5


def test_theorem_3_2() -> None:
    """z ~ U(-c, c), t = 10: E[u] = 0, and E[u**2] is least at the half threshold."""
    for c, expected in ((0.5, 0.0834), (0.75, 1.36), (1.0, 51.1)):
        z = (torch.rand(10, 200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1) * c
        squares = {}
        for ratio in (0.45, 0.5, 0.55):
            seen: list[Tensor] = []
            neuron = MomentumNeuron(1.0, 10, precharge=0, ratio=ratio, gate="none")
            neuron.observer = lambda _, __, residual, seen=seen: seen.append(residual)  # type: ignore[misc]
            neuron(z)
            squares[ratio] = seen[0].square().mean().item()
            assert abs(seen[0].mean().item()) < 5 * math.sqrt(squares[ratio] / z.shape[1])
        assert squares[0.5] < squares[0.45]
        assert squares[0.5] < squares[0.55]
        assert squares[0.5] == pytest.approx(expected, rel=0.05)
