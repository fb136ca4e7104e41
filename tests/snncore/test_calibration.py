"""Thresholds from activations: percentiles, their robustness to order and batching, and bad data."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snncore import ConversionError, CSSCode, MomentumNeuron, RateCode, calibrate, convert, tmn
from snncore.conversion import LeastSquares, Maximum, Percentile, record
from snncore.conversion.calibration import ActivationHistogram, activations

quick = settings(deadline=None, derandomize=True, max_examples=60)
PRECISION = 2.0**-11

activation_values = st.one_of(st.just(0.0), st.floats(2**-100, 2**100, width=32), st.floats(2**-7, 16, width=32))


def histogram(values: Tensor) -> ActivationHistogram:
    result = ActivationHistogram()
    result.update(values)
    return result


def mlp(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def points(count: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))


def close(value: float, expected: float) -> bool:
    return abs(value - expected) <= PRECISION * expected * (1 + 1e-6)


# ---- percentiles ------------------------------------------------------------------------------------------------------


@quick
@given(st.lists(activation_values, min_size=1, max_size=200), st.one_of(st.floats(0, 100), st.sampled_from([0, 50, 99.99, 100])))
def test_percentile_is_that_of_numpy(values: list[float], q: float) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    assert close(histogram(x).percentile(q), float(np.percentile(x.double().numpy(), q)))


@quick
@given(st.lists(activation_values, min_size=1, max_size=200), st.floats(0, 100))
def test_positive_only_leaves_zeros_out(values: list[float], q: float) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    positive = x[x > 0].double().numpy()
    expected = float(np.percentile(positive, q)) if positive.size else 0.0
    assert close(histogram(x).percentile(q, positive_only=True), expected)


def test_percentile_of_many_activations() -> None:
    x = torch.randn(300_000, generator=torch.Generator().manual_seed(0)).relu()
    counted = histogram(x)
    for q in (10, 50, 75, 99, 99.9, 99.99, 100):
        assert close(counted.percentile(q), float(np.percentile(x.double().numpy(), q)))


@pytest.mark.parametrize("q", [-0.1, 100.1, float("nan")])
def test_percentile_out_of_range(q: float) -> None:
    with pytest.raises(ValueError, match="a percentile is a number from 0 to 100"):
        histogram(torch.ones(3)).percentile(q)


def test_an_empty_histogram_and_one_of_zeros() -> None:
    assert ActivationHistogram().percentile(99.99) == 0
    zeros = histogram(torch.zeros(10))
    assert (zeros.percentile(100), zeros.maximum, zeros.zeros) == (0, 0, 10)
    for rule in (Percentile(), Percentile(positive_only=True), Maximum(), LeastSquares()):
        assert rule(zeros, CSSCode(4)) == 0


def test_maximum_is_exact_and_dtype_does_not_matter() -> None:
    x = torch.rand(100, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    assert Maximum()(histogram(x), CSSCode(4)) == x.max().item()
    assert histogram(x.double()).percentile(70) == histogram(x).percentile(70)
    half = x.half()
    assert close(histogram(half).percentile(70), float(np.percentile(half.double().numpy(), 70)))


@settings(quick, max_examples=25)
@given(st.lists(activation_values, min_size=2, max_size=60), st.randoms(use_true_random=False), st.integers(1, 59))
def test_neither_order_nor_batches_matter(values: list[float], random: object, cut: int) -> None:
    x = torch.tensor(values, dtype=torch.float32)
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = histogram(torch.tensor(shuffled, dtype=torch.float32)[:cut])
    other.update(torch.tensor(shuffled, dtype=torch.float32)[cut:].reshape(1, -1))
    one = histogram(x)
    assert torch.equal(one.counts, other.counts)
    assert (one.zeros, one.maximum) == (other.zeros, other.maximum)
    assert all(one.percentile(q) == other.percentile(q) for q in (0, 33, 99.99))


# ---- calibrate --------------------------------------------------------------------------------------------------------


def test_calibrate_counts_what_is_behind_every_relu() -> None:
    net, x = mlp(), points()
    calibration = calibrate(net, [x])
    with torch.no_grad():
        hidden = net[1](net[0](x))
        second = net[3](net[2](hidden))
    assert calibration.images == 40
    assert list(calibration.histograms) == ["relu", "relu_1"]
    for counted, expected in zip(calibration.histograms.values(), (hidden, second), strict=True):
        assert torch.equal(counted.counts, histogram(expected).counts)
        assert counted.zeros == int((expected == 0).sum())
    kept = activations(calibration.network, x)
    assert list(kept) == ["relu", "relu_1"]
    assert torch.equal(kept["relu"], hidden)
    assert torch.equal(kept["relu_1"], second)


@pytest.mark.parametrize("sizes", [[40], [1, 39], [20, 20], [7, 7, 7, 7, 7, 5]])
def test_splitting_the_calibration_images_changes_nothing(sizes: list[int]) -> None:
    x = points().double()
    net = record(mlp().double(), x)
    whole, split = calibrate(net, [x]), calibrate(net, (part for part in x.split(sizes)))
    reversed_order = calibrate(net, list(x.flip(0).split(sizes)))
    for other in (split, reversed_order):
        assert other.images == 40
        for name, counted in whole.histograms.items():
            assert (other.histograms[name].counts - counted.counts).abs().sum() <= 2  # a last bit may cross a bin edge
            assert close(other.histograms[name].percentile(99), counted.percentile(99))


def test_calibrating_leaves_the_network_and_the_images_alone() -> None:
    net, x = mlp().train(), points()
    before, state = x.clone(), {k: v.clone() for k, v in net.state_dict().items()}
    calibrate(net, [x])
    assert net.training
    assert torch.equal(x, before)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


def test_one_calibration_serves_several_conversions() -> None:
    net, x = mlp(), points()
    calibration = calibrate(net, [x])
    for timesteps in (3, 6):
        again = convert(net, calibration, tmn(), timesteps)(x)
        assert torch.equal(again, convert(net, [x], tmn(), timesteps)(x))


# ---- least squares ----------------------------------------------------------------------------------------------------


def coding_error(x: Tensor, v: float, timesteps: int) -> float:
    """Mean squared error of what TMN neurons send for constant currents ``x``."""
    neuron = MomentumNeuron.tmn(v, timesteps)
    decoded = neuron.code.decode(neuron(x.double().expand(timesteps, -1)), v)
    return float((decoded - x.double()).square().mean())


@pytest.mark.parametrize("timesteps", [2, 3, 4, 6])
@pytest.mark.parametrize("spread", ["half-normal", "exponential", "outlier", "uniform"])
def test_least_squares_codes_no_worse_than_a_percentile_or_the_maximum(spread: str, timesteps: int) -> None:
    random = torch.Generator().manual_seed(0)
    x = {
        "half-normal": lambda: torch.randn(20_000, generator=random).relu(),
        "exponential": lambda: -torch.rand(20_000, generator=random).clamp(min=1e-6).log(),
        "outlier": lambda: torch.cat([torch.rand(20_000, generator=random), torch.tensor([12.0])]),
        "uniform": lambda: torch.rand(20_000, generator=random),
    }[spread]()
    counted, code = histogram(x), CSSCode(timesteps)
    best = coding_error(x, LeastSquares()(counted, code), timesteps)
    assert best <= coding_error(x, Maximum()(counted, code), timesteps) * (1 + 1e-3)
    for q in (95, 99, 99.9, 99.99):  # a percentile lies between two of the 200 candidates
        assert best <= coding_error(x, Percentile(q)(counted, code), timesteps) * 1.01


def test_least_squares_clips_outliers_when_steps_are_few_and_keeps_them_when_steps_are_many() -> None:
    x = torch.cat([torch.rand(20_000, generator=torch.Generator().manual_seed(0)), torch.tensor([12.0])])
    counted = histogram(x)
    thresholds = [LeastSquares()(counted, CSSCode(steps)) for steps in (2, 14)]
    assert thresholds[0] < 2 < 11 < thresholds[1]


def test_least_squares_depends_on_the_code() -> None:
    counted = histogram(torch.randn(5_000, generator=torch.Generator().manual_seed(0)).relu())
    assert LeastSquares()(counted, RateCode(4)) < LeastSquares()(counted, CSSCode(8))


# ---- bad data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_broken_image_is_refused(bad: float) -> None:
    x = points()
    x[3, 2] = bad
    with pytest.raises(ConversionError, match="a calibration batch contains NaN or infinity"):
        calibrate(mlp(), [points(), x])


@pytest.mark.parametrize("layer", [0, 2])
def test_a_broken_weight_is_refused_by_the_name_of_the_layer_behind_it(layer: int) -> None:
    net = mlp()
    with torch.no_grad():
        net[layer].weight[1, 1] = math.nan
    with pytest.raises(ConversionError, match=rf"^{layer + 1} \(ReLU\): NaN or infinity in the activations") as caught:
        calibrate(net, [points()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("first", [[], [points()]], ids=["first batch", "later batch"])
def test_an_error_of_the_network_itself_is_one_line(first: list[Tensor]) -> None:
    with pytest.raises(ConversionError, match=r"the trained network fails.*(shapes|images \[B, 4\] and got \[2, 5\])") as caught:
        calibrate(mlp(), [*first, torch.zeros(2, 5)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batches", [[], iter(()), [torch.zeros(0, 4)]])
def test_no_images(batches: object) -> None:
    with pytest.raises(ConversionError, match="no calibration images were given"):
        calibrate(mlp(), batches)  # type: ignore[arg-type]


def test_one_tensor_is_not_a_list_of_batches() -> None:
    with pytest.raises(ConversionError, match=r"batches of images, not one tensor; pass \[images\]"):
        calibrate(mlp(), points())


def test_labels_in_the_batches_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"takes the inputs \(input\) and got 2; pass images alone, without labels"):
        calibrate(mlp(), [(points(), torch.zeros(len(points())))])
    with pytest.raises(ConversionError, match="a calibration batch is a list, not a tensor; pass images alone, without labels"):
        calibrate(mlp(), [[points(), torch.zeros(len(points()))]])  # type: ignore[list-item]


# ---- thresholds in a conversion ---------------------------------------------------------------------------------------


class Sparse(nn.Module):
    """A layer that is silent for nearly every image."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.rare = nn.Linear(1, 1)
        self.out = nn.Linear(1, 1)
        with torch.no_grad():
            self.rare.weight.fill_(1)
            self.rare.bias.fill_(bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rare(x).relu())


def test_a_layer_whose_percentile_is_zero_is_refused_by_name_with_the_way_out() -> None:
    net = Sparse(-0.9995).eval()
    x = torch.linspace(0, 1, 2001)[:, None]  # one activation in 2001 is above 0
    with pytest.raises(ConversionError, match=r"relu: the threshold came out as 0.*use Percentile\(\.\.\., positive_only=True\)"):
        convert(net, [x], tmn(threshold=Percentile(99)))
    converted = convert(net, [x], tmn(threshold=Percentile(99, positive_only=True)))
    assert converted.neurons["relu"].threshold == pytest.approx(0.0005, rel=0.01)


def test_a_layer_that_never_fires_warns_and_stays_silent() -> None:
    net = Sparse(-5.0).eval()
    x = torch.linspace(0, 1, 20)[:, None]
    with pytest.warns(UserWarning, match="relu: no calibration image activates this layer"):
        converted = convert(net, [x], timesteps=6)
    assert torch.allclose(converted(x), net(x))
