"""Spike trains from an initial potential, against exact fractions and by hand; networks that take their images this way."""

import functools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, conv, fill, flat, images, multi_step_spikes, single_step_spikes, watching
from torch import Tensor, nn

from snncore import CSSCode, SpikingNetwork, calibrate, convert, tsa
from snncore.conversion import Calibration, Maximum, PotentialEncoder
from snncore.conversion.operations import PresentConstant

quick = settings(deadline=None, derandomize=True, max_examples=60)
HALF = Fraction(1, 2)
BETAS = (Fraction(6, 5), Fraction(3, 2), Fraction(2))
NEAR = Fraction(1, 10**9)


def reference(value: Fraction, amplitude: Fraction, beta: Fraction, timesteps: int, ternary: bool) -> tuple[list[int], bool]:
    """The greedy train of a value, and whether a potential came near a threshold: there floats may decide otherwise.

    Written on what is left of the value, not on the membrane: a spike at step t takes ``theta beta**(T-t)``.
    """
    weights = [beta ** (timesteps - t) for t in range(1, timesteps + 1)]
    theta = amplitude / sum(weights)
    left = min(max(value, -amplitude if ternary else Fraction(0)), amplitude)
    train, near = [], False
    for weight in weights:
        level = theta * weight * (HALF if ternary else 1)
        near |= abs(abs(left) - level) < NEAR * theta * weight
        spike = 1 if left >= level else -1 if ternary and left <= -level else 0
        left -= spike * theta * weight
        train.append(spike)
    return train, near


def train_of(encoder: PotentialEncoder, x: Tensor) -> Tensor:
    """``[T, ...]``."""
    return encoder(x).unflatten(0, (encoder.timesteps, -1))


values = st.lists(st.fractions(-4, 4, max_denominator=1000), min_size=1, max_size=8)
amplitudes = st.sampled_from([Fraction(1), Fraction(5, 2), Fraction(1, 3)])


# ---- the encoder ------------------------------------------------------------------------------------------------------


@settings(quick, max_examples=150)
@given(values, amplitudes, st.sampled_from([*BETAS, Fraction(3)]), st.integers(1, 12), st.booleans())
def test_spikes_are_those_of_exact_fractions(
    given_values: list[Fraction], amplitude: Fraction, beta: Fraction, timesteps: int, ternary: bool
) -> None:
    ternary |= beta > 2
    encoder = PotentialEncoder(float(amplitude), timesteps, float(beta), ternary)
    train = train_of(encoder, torch.tensor([float(v) for v in given_values], dtype=torch.float64))
    for index, value in enumerate(given_values):
        expected, near = reference(value, amplitude, beta, timesteps, ternary)
        assert near or train[:, index].int().tolist() == expected


@pytest.mark.parametrize("ternary", [True, False])
def test_every_quarter_of_a_step_is_exact_at_beta_2(ternary: bool) -> None:
    """An amplitude of ``2**T - 1`` makes theta 1 and all potentials dyadic: also those that meet a threshold."""
    quarters = range(-70, 71)
    train = train_of(PotentialEncoder(15.0, 4, 2.0, ternary), torch.tensor([k / 4 for k in quarters], dtype=torch.float64))
    expected = [reference(Fraction(k, 4), Fraction(15), Fraction(2), 4, ternary)[0] for k in quarters]
    assert train.T.int().tolist() == expected
    assert any(reference(Fraction(k, 4), Fraction(15), Fraction(2), 4, ternary)[1] for k in quarters)


@quick
@given(values, st.sampled_from([1.1, 1.5, 2.0, 2.7, 3.0]), st.integers(1, 16), st.sampled_from([torch.float32, torch.float64]))
def test_one_step_is_that_of_the_whole_train(
    given_values: list[Fraction], beta: float, timesteps: int, dtype: torch.dtype
) -> None:
    encoder = PotentialEncoder(3.0, timesteps, beta)
    x = torch.tensor([float(v) for v in given_values], dtype=dtype)
    before = x.clone()
    whole = train_of(encoder, x)
    assert torch.equal(torch.stack([encoder.at(x, step) for step in range(timesteps)]), whole)
    assert whole.dtype == dtype and torch.equal(x, before)


def test_a_train_by_hand() -> None:
    """beta = 3/2, T = 4, weights 27/8, 9/4, 3/2, 1: of A = 65/8 theta is 1. The value 2 waits as ``2 / (81/16) = 32/81``.

    Ternary: u~ = 16/27 fires, u = -11/27; u~ = -11/18 fires, u = 7/18; u~ = 7/12 fires, u = -5/12; u~ = -5/8 fires. The train
    + - + - reads 27/8 - 9/4 + 3/2 - 1 = 13/8. Binary: 16/27 and 8/9 wait, u~ = 4/3 fires, u = 1/3; u~ = 1/2 waits: 3/2.
    """
    two = torch.tensor([2.0], dtype=torch.float64)
    code = CSSCode(4, 1.5)
    for ternary, expected, reads in ((True, [1, -1, 1, -1], 13 / 8), (False, [0, 0, 1, 0], 3 / 2)):
        train = train_of(PotentialEncoder(65 / 8, 4, 1.5, ternary), two)
        assert train[:, 0].tolist() == expected
        assert code.decode(train, 65 / 8).item() == pytest.approx(reads, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 4), "amplitude must be positive and finite, got 0.0"),
        ((-1.0, 4), "amplitude must be positive"),
        ((float("inf"), 4), "amplitude must be positive and finite, got inf"),
        ((float("nan"), 4), "amplitude must be positive"),
        ((1.0, 4, 1.0), r"beta must be in \(1, 3\] for this encoder, got 1.0"),
        ((1.0, 4, 3.1), r"beta must be in \(1, 3\]"),
        ((1.0, 4, 2.1, False), r"beta must be in \(1, 2\] for this encoder, got 2.1"),
        ((1.0, 0), "timesteps must be a whole number of at least 1, got 0"),
    ],
)
def test_arguments_that_make_no_sense(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PotentialEncoder(*arguments)  # type: ignore[arg-type]


# ---- networks ---------------------------------------------------------------------------------------------------------


def first_input(converted: SpikingNetwork, x: Tensor) -> Tensor:
    """``[T, B, ...]`` that the first convolution or its neurons take: spikes, or the current of an image."""
    encoders = [module for module in converted.modules() if isinstance(module, PotentialEncoder)]
    with watching(encoders) as trains, watching(converted.neurons.values(), inputs=True) as currents:
        converted(x)
    return trains[0].unflatten(0, (converted.timesteps, -1)) if trains else currents[0]


def small() -> tuple[nn.Module, Tensor]:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3)).double().eval()
    fill(network, 0)
    return network, images(0)


def test_images_come_in_as_ternary_spikes_scaled_to_the_largest_pixel() -> None:
    network, x = small()
    converted = convert(network, [x, 3 * x], tsa(), 6)
    train = first_input(converted, x)
    assert set(train.unique().tolist()) == {-1.0, 0.0, 1.0}
    peak = 3 * x.abs().max().item()
    assert (converted.code.decode(train, peak) - x).abs().max() <= peak / converted.code.total / 2 + 1e-9
    encoders = [module for module in converted.modules() if isinstance(module, PotentialEncoder | PresentConstant)]
    assert [type(module) for module in encoders] == [PotentialEncoder]


@pytest.mark.parametrize("beta", [1.2, 2.5])
def test_the_input_code_has_the_beta_of_the_neurons_and_stays_signed(beta: float) -> None:
    network, x = small()
    converted = convert(network, [x], tsa(beta=beta, ternary=False), 5)
    (encoder,) = [module for module in converted.modules() if isinstance(module, PotentialEncoder)]
    assert (encoder.code, encoder.ternary, encoder.timesteps) == (converted.code, True, 5)
    assert not any(neuron.ternary for neuron in converted.neurons.values())


def test_images_come_in_as_a_constant_current_where_that_is_asked_for() -> None:
    network, x = small()
    converted = convert(network, [x], tsa(encoding="direct"), 6)
    current = first_input(converted, x)
    assert torch.allclose(current, network[0](x).detach().expand_as(current))  # type: ignore[operator]
    assert not any(isinstance(module, PotentialEncoder) for module in converted.modules())


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown encoding 'poisson'; known: potential, direct"):
        tsa(encoding="poisson")  # type: ignore[arg-type]


@functools.cache
def calibrated(blocks: tuple[str, ...], head: str) -> Calibration:
    return calibrate(build(blocks, head, "module", 1), [images(1)])


# Neurons on the longest path, counted by hand.
DEEP = [
    (("plain", "residual"), "joined", 1 + 2 + 1),
    (("residual", "projected residual"), "flatten", 2 + 2),
    (("dense",), "view", 1 + 1),
]


@pytest.mark.parametrize(("blocks", "head", "depth"), DEEP)
@pytest.mark.parametrize("silent", [0, 1, 3])
@pytest.mark.parametrize("ternary", [True, False])
def test_layer_by_layer_and_step_by_step_are_the_same_and_take_a_silent_period_per_neuron(
    blocks: tuple[str, ...], head: str, depth: int, silent: int, ternary: bool
) -> None:
    calibration, x = calibrated(blocks, head), images(1)
    converted = convert(calibration.network, calibration, tsa(silent, threshold=Maximum(), ternary=ternary), 7)
    layered, (stepped, steps) = multi_step_spikes(converted, x), single_step_spikes(converted, x)
    for name, train in layered.items():
        assert torch.equal(stepped[name], train), name
    expected = flat(converted(x))
    converted.mode = "single-step"
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(flat(converted(x)), expected, strict=True))
    assert converted.latency == depth * silent + 7 and len(steps) == 7
