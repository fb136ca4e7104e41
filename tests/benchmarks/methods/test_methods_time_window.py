"""The neuron that fires once in its layer's window: against simulations of both published neurons in rational arithmetic."""

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
    BLOCKS,
    Step,
    build,
    conv,
    fill,
    fired,
    images,
    multi_step_spikes,
    relative_error,
    single_step_spikes,
    trained_output,
)
from torch import Tensor, nn

from benchmarks.methods.time_window import TimeCode, TimeWindowNeuron
from snncore import ConversionMethod, convert
from snncore.coding import Code
from snncore.conversion import Maximum
from snncore.conversion.calibration import ActivationHistogram
from snncore.conversion.operations import MaxPool

pytestmark = pytest.mark.filterwarnings("ignore:.*no calibration image activates")
quick = settings(deadline=None, derandomize=True, max_examples=25)

Synapses = list[tuple[Fraction, Fraction]]
"""Weight and spike time of each input."""


def stanojevic(synapses: Synapses, bias: Fraction, window: Fraction) -> Fraction | None:
    """Spike time, None for silence: slope 1 in the window from ``window`` to ``2 window``, inputs come in the one before.

    ``V(t) = sum_j w_j (t - t_j) + (1 - sum_j w_j) (t - window)`` reaches ``window - b``; a neuron that is above it when the
    window opens fires at once.
    """
    at_opening = sum((w * (window - t) for w, t in synapses), Fraction(0))
    after = max(window - bias - at_opening, Fraction(0))
    return None if after >= window else window + after


def yang(synapses: Synapses, bias: Fraction, timesteps: int) -> int | None:
    """Spike step, counted from 0 in the window: step by step, ramps and a threshold that falls from T to 1."""
    potential = sum((w * max(timesteps - t, Fraction(0)) for w, t in synapses), Fraction(0)) + bias
    for step in range(timesteps):
        if potential >= timesteps - step:
            return step
    return None


def trains(steps: list[int], timesteps: int) -> Tensor:
    """One spike each, ``[T, N]``; T for silence."""
    return torch.stack([torch.tensor([float(s == t) for s in steps], dtype=torch.float64) for t in range(timesteps)])


@st.composite
def neurons(draw: st.DrawFn) -> tuple[int, list[Fraction], list[int], Fraction]:
    """T, weights, spike steps (T: silence) and bias, on a scale on which values are 0..T."""
    timesteps = draw(st.integers(2, 12))
    weights = draw(st.lists(st.integers(-12, 12).map(lambda k: Fraction(k, 8)), min_size=1, max_size=5))
    steps = [draw(st.integers(0, timesteps)) for _ in weights]
    return timesteps, weights, steps, draw(st.integers(-16, 16).map(lambda k: Fraction(k, 4)))


def spike_step(neuron: TimeWindowNeuron, weights: list[Fraction], steps: list[int], bias: Fraction) -> tuple[Any, float]:
    """Step of the spike (None for silence) and what the train stands for, in steps, of one neuron with these inputs."""
    timesteps = neuron.code.timesteps
    amplitude = neuron.threshold  # that of the layer before: values 0..T too
    w = torch.tensor([float(x) for x in weights], dtype=torch.float64)
    train = neuron((trains(steps, timesteps) @ w * amplitude + float(bias))[:, None])[:, 0]
    fired = train.nonzero()[:, 0].tolist()
    return (fired[0] if fired else None), float(neuron.code.decode(train, neuron.threshold))


@quick
@given(neurons())
def test_on_a_grid_it_fires_with_the_falling_threshold(drawn: tuple[int, list[Fraction], list[int], Fraction]) -> None:
    timesteps, weights, steps, bias = drawn
    neuron = TimeWindowNeuron(timesteps, timesteps, "down")
    synapses = [(w, Fraction(s)) for w, s in zip(weights, steps, strict=True)]
    expected = yang(synapses, bias, timesteps)
    step, value = spike_step(neuron, weights, steps, bias)
    assert step == expected
    assert value == pytest.approx(0 if expected is None else timesteps - expected, abs=1e-12)


@quick
@given(neurons())
def test_it_fires_at_the_time_of_the_slope_of_one(drawn: tuple[int, list[Fraction], list[int], Fraction]) -> None:
    timesteps, weights, steps, bias = drawn
    synapses = [(w, Fraction(s)) for w, s in zip(weights, steps, strict=True)]
    exact = stanojevic(synapses, bias, Fraction(timesteps))
    coded = Fraction(0) if exact is None else 2 * timesteps - exact
    relu = min(max(sum((w * (timesteps - t) for w, t in synapses), bias), Fraction(0)), Fraction(timesteps))
    assert coded == relu  # the published map is the ReLU
    _, value = spike_step(TimeWindowNeuron(timesteps, timesteps, "continuous"), weights, steps, bias)
    assert value == pytest.approx(float(coded), abs=1e-12)
    step, _ = spike_step(TimeWindowNeuron(timesteps, timesteps), weights, steps, bias)
    rounded = math.floor(coded + Fraction(1, 2))
    assert step == (None if rounded == 0 else timesteps - rounded)


def test_by_hand() -> None:
    """T = 4, v = 8, so that a step is worth 2; A = 20. Input 7.1 / 2 = 3.55 steps: 4 rounded, 3 rounded down."""
    current = torch.tensor([7.1, 0.9, 1.0, -5.0, 80.0], dtype=torch.float64).expand(4, -1)
    nearest, down = TimeWindowNeuron(8, 4), TimeWindowNeuron(8, 4, "down")
    assert nearest.threshold == 20
    assert nearest(current).T.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert down(current).T.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    exact = TimeWindowNeuron(8, 4, "continuous")(current)
    assert exact[:, 0].tolist() == pytest.approx([0.55, 0.45, 0, 0])  # between the first two steps
    assert TimeCode(4).decode(exact, 20).tolist() == pytest.approx([7.1, 0.9, 1.0, 0, 8])


@pytest.mark.parametrize("grid", ["nearest", "down", "continuous"])
def test_one_spike_at_most_and_what_it_leaves(grid: Any) -> None:
    x = torch.linspace(-1, 3, 401, dtype=torch.float64)
    neuron = TimeWindowNeuron(2, 16, grid)
    spikes, residual = fired(neuron, x.expand(16, -1))
    assert spikes.min() >= 0 and spikes.sum(0).max() <= 1 + 1e-12
    if grid != "continuous":
        assert set(spikes.unique().tolist()) == {0, 1}
    decoded = neuron.code.decode(spikes, neuron.threshold)
    worst = {"nearest": 1 / 16, "down": 1 / 8, "continuous": 1e-12}[grid]
    assert (decoded - x.clamp(0, 2)).abs().max() <= worst * (1 + 1e-9)
    assert torch.allclose(residual, (x - decoded) / 2, atol=1e-12)


def test_a_code_of_times() -> None:
    code = TimeCode(3)
    assert code.weights().tolist() == [1.5, 1.0, 0.5] and code.total == 3  # a bias adds up to itself
    train = torch.tensor([[1.0, 0, 0, 0, 2], [0, 1, 0, 0, 2], [0, 0, 1, 0, 2]])
    assert code.decode(train, 2 * 3).tolist() == pytest.approx([3, 2, 1, 0, 12])
    prefixes = code.decode_prefixes(train)
    for t in (1, 2, 3):
        assert torch.allclose(prefixes[t - 1], TimeCode(t).decode(train[:t]))
    with pytest.raises(ValueError, match="expected 3 timesteps first"):
        code.decode(train[:2])


def ttfs(grid: Any = "nearest") -> ConversionMethod:
    return ConversionMethod("TTFS", lambda v, steps: TimeWindowNeuron(v, steps, grid), Maximum())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("timesteps", [2, 7])
def test_networks_with_exact_times_are_exact(timesteps: int, dtype: torch.dtype) -> None:
    blocks = ["normalised", "max pool", "projected residual", "max pooled branch", "average pool", "dense"]
    network, x = build(blocks, "joined", "module", seed=4).to(dtype), images(4).to(dtype)
    expected = trained_output(network, x)
    for mode in ("multi-step", "single-step"):
        converted = convert(network, [x], ttfs("continuous"), timesteps, mode)  # type: ignore[arg-type]
        assert relative_error(converted(x), expected) < 1e-5


@quick
@given(st.sampled_from(sorted(BLOCKS)), st.integers(0, 2**16))
def test_any_block_with_exact_times_is_exact(block: str, seed: int) -> None:
    network, x = build(["plain", block, "residual"], "mean", "module", seed), images(seed)
    expected = trained_output(network, x)
    assert relative_error(convert(network, [x], ttfs("continuous"), 3)(x), expected) < 1e-5


def test_the_grid_halves_its_error_with_twice_the_steps() -> None:
    network, x = build(["normalised", "max pool", "residual"], "mean", "module", seed=1), images(1, count=8)
    expected = trained_output(network, x)
    coarse, fine = (relative_error(convert(network, [x], ttfs(), t)(x), expected) for t in (16, 256))
    assert coarse < 0.2 and fine < coarse / 6


def test_latency_is_a_window_per_layer() -> None:
    network = nn.Sequential(conv(2, 3), nn.ReLU(), conv(3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2)).double()
    fill(network, 0)
    assert convert(network, [images(0)], ttfs(), 64).latency == 3 * 64
    deeper = Step(lambda self, x: self.body(x), body=network).double()
    assert convert(deeper, [images(0)], ttfs(), 5).latency == 3 * 5


# ---- max-pooling and streaming ----------------------------------------------------------------------------------------

POOLS = [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1, 1, dilation=1), nn.MaxPool2d((2, 3), ceil_mode=True)]


@quick
@given(st.sampled_from(POOLS), st.integers(2, 9), st.integers(0, 2**16))
def test_of_single_spikes_the_earliest_passes(pool: nn.Module, steps: int, seed: int) -> None:
    times = torch.randint(0, steps + 1, (2, 3, 5, 6), generator=torch.Generator().manual_seed(seed)).double()
    trains = torch.stack([(times == t).double() for t in range(steps)])
    pooled = MaxPool(pool, steps, TimeCode(steps).recurrences)(trains.flatten(0, 1)).unflatten(0, (steps, 2))
    earliest = -pool(-times)
    assert torch.equal(pooled, torch.stack([(earliest == t).double() for t in range(steps)]))


def test_graded_currents_of_a_time_code() -> None:
    currents = torch.randn(6, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    code, pool = TimeCode(6), nn.MaxPool2d(2)
    pooled = MaxPool(pool, 6, code.recurrences)(currents.flatten(0, 1)).unflatten(0, (6, 2))
    assert torch.allclose(code.decode(pooled), pool(code.decode(currents)), atol=1e-12)


@pytest.mark.parametrize("shortcut", ["residual", "projected residual", "padded residual", "dense", "max pool", "max pooled branch"])
def test_streams_the_same_spikes_and_pools_the_earliest(shortcut: str) -> None:
    def power_of_two(histogram: ActivationHistogram, code: Code) -> float:
        return 2.0 ** torch.tensor(histogram.maximum).log2().floor().item() if histogram.maximum else 0.0

    network, x = build([shortcut, "residual"], "joined", "module", seed=2, exact=True), images(2, exact=True)
    converted = convert(network, [x], ConversionMethod("TTFS", TimeWindowNeuron, power_of_two), 5, mode="single-step")
    expected = multi_step_spikes(converted, x)
    spikes, _ = single_step_spikes(converted, x)
    assert list(spikes) == list(expected)
    assert all(torch.equal(train, expected[name]) for name, train in spikes.items())
    assert all(set(train.unique().tolist()) <= {0.0, 1.0} for train in expected.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1), "needs at least 2 timesteps: one step carries no time"),
        ((1.0, 0), "timesteps must be a whole number"),
        ((0.0, 8), "threshold must be positive"),
        ((math.inf, 8), "threshold must be positive"),
        ((1.0, 8, "up"), "unknown grid 'up'; known: nearest, down, continuous"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeWindowNeuron(*arguments)
