"""Amplitude adjustment: the factors of the paper by hand, and rounds that are recomputed from outside."""

from typing import Any

import numpy as np
import pytest
import torch
from small_networks import build, images
from torch import Tensor, nn

from benchmarks.methods import method, threshold_rule
from benchmarks.methods.tsa import AmplitudeAdjustment, adjust_amplitudes, amplitude_factor
from snncore import ConversionMethod, SpikingNetwork, calibrate, convert, tsa
from snncore.thresholds import Maximum

T = 6


def network_and_images() -> tuple[nn.Module, Tensor]:
    return build(["plain", "residual"], "joined", "module", 3), images(3, 12)


def residuals_of(converted: SpikingNetwork, batches: list[Tensor], percentile: float) -> dict[str, float]:
    """The percentile of what neurons leave, negative residuals as 0, by numpy."""
    seen: dict[str, list[Tensor]] = {name: [] for name in converted.neurons}
    for name, neuron in converted.neurons.items():
        neuron.observer = lambda _, __, residual, name=name: seen[name].append(residual.clone())
    for batch in batches:
        converted(batch)
    for neuron in converted.neurons.values():
        neuron.observer = None
    return {
        name: float(np.percentile(torch.cat([r.flatten() for r in found]).clamp(min=0).numpy(), percentile))
        for name, found in seen.items()
    }


def method_of(precharge: int = 1, ternary: bool = True) -> ConversionMethod:
    return tsa(precharge, ternary=ternary, threshold=Maximum())


def adjusted_by(rule: AmplitudeAdjustment, network: nn.Module, batches: list[Tensor], own: ConversionMethod) -> SpikingNetwork:
    """Calibrated, converted and adjusted on the same images."""
    return adjust_amplitudes(calibrate(network, batches), own, T, batches, rule)


def thresholds(converted: SpikingNetwork) -> dict[str, float]:
    return {name: neuron.threshold for name, neuron in converted.neurons.items()}


@pytest.mark.parametrize(
    ("residual", "total", "factor"),
    [
        (0.0, 100, 1.0),
        (1.0, 100, 1.0),
        (1.5, 100, 1.02),  # d / S = 0.005: four times that
        (2.0, 100, 1.04),  # 0.01, still four times
        (2.0 + 1e-9, 100, 1.04),  # above it the share and 0.03: no step
        (4.0, 100, 1.06),
        (6.0, 100, 1.08),  # 0.05 belongs to the middle
        (6.0 + 1e-9, 100, 1.05),
        (21.0, 100, 1.2),
        (101.0, 100, 2.0),
        (3.0, 20, 1.1),
        (1.4, 20, 1.05),
    ],
)
def test_factors_by_hand(residual: float, total: float, factor: float) -> None:
    """They follow from the share ``d / S``, where ``d = r - 1``."""
    assert amplitude_factor(residual, total) == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "a whole number of rounds, at least 1, got 0"),
        ({"rounds": 2.0}, "a whole number of rounds, at least 1, got 2.0"),
        ({"rounds": True}, "got True"),
        ({"percentile": 0}, r"percentile of amplitude adjustment must be in \(0, 100\], got 0"),
        ({"percentile": 100.1}, "got 100.1"),
    ],
)
def test_rules_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AmplitudeAdjustment(**arguments)


def test_a_network_that_leaves_little_is_left_alone() -> None:
    network, x = network_and_images()
    plain = convert(network, [x], method_of(2), T)
    adjusted = adjusted_by(AmplitudeAdjustment(5, 90), network, [x], method_of(2))
    assert not hasattr(plain, "adjusted")
    made = adjusted.adjusted
    assert (made.rounds, made.unsettled, set(made.factors.values())) == (0, [], {1.0})
    assert made.factors.keys() == plain.neurons.keys() and thresholds(adjusted) == thresholds(plain)
    assert torch.equal(adjusted(x), plain(x))


@pytest.mark.parametrize("batches", [1, 3])
def test_one_round_follows_from_the_residuals_of_the_network_before(batches: int) -> None:
    network, x = network_and_images()
    parts = list(x.chunk(batches))
    before = convert(network, parts, method_of(0, ternary=False), T)
    found = residuals_of(before, parts, 99)
    assert max(found.values()) > 1 > min(found.values())
    after = adjusted_by(AmplitudeAdjustment(1, 99), network, parts, method_of(0, ternary=False))
    made = after.adjusted
    assert made.rounds == 1
    total = sum(1.5**t for t in range(T))
    assert made.factors == pytest.approx({name: amplitude_factor(r, total) for name, r in found.items()}, rel=1e-3)
    assert made.residuals == pytest.approx(residuals_of(after, parts, 99), rel=1e-3)
    assert made.unsettled == [name for name, residual in made.residuals.items() if residual > 1]


@pytest.mark.parametrize("rounds", [2, 4])
def test_factors_of_several_rounds_multiply_and_are_those_of_the_thresholds(rounds: int) -> None:
    network, x = network_and_images()
    own, calibration = method_of(0, ternary=False), calibrate(network, [x])
    initial = thresholds(convert(network, calibration, own, T))
    history = [adjust_amplitudes(calibration, own, T, [x], AmplitudeAdjustment(n)).adjusted for n in range(1, rounds + 1)]
    last = adjust_amplitudes(calibration, own, T, [x], AmplitudeAdjustment(rounds))
    made = last.adjusted
    assert made.rounds == rounds and made.unsettled
    total = sum(1.5**t for t in range(T))
    for earlier, later in zip(history, history[1:], strict=False):
        expected = {name: earlier.factors[name] * amplitude_factor(r, total) for name, r in earlier.residuals.items()}
        assert later.factors == pytest.approx(expected, rel=1e-12)
    assert min(made.factors.values()) >= 1 < max(made.factors.values())
    assert thresholds(last) == pytest.approx({name: initial[name] * factor for name, factor in made.factors.items()}, rel=1e-12)


def test_no_observer_is_left_and_the_calibration_is_as_it_was() -> None:
    network, x = network_and_images()
    calibration, own = calibrate(network, [x]), method_of(0, ternary=False)
    first = adjust_amplitudes(calibration, own, T, [x], AmplitudeAdjustment(2))
    assert all(neuron.observer is None for neuron in first.neurons.values())
    assert thresholds(adjust_amplitudes(calibration, own, T, [x], AmplitudeAdjustment(2))) == thresholds(first)


def test_the_option_adjusts_on_training_images_and_0_does_not() -> None:
    network, x = network_and_images()
    calibration, rule, asked = calibrate(network, [x]), threshold_rule("maximum"), []

    def batches(limit: int | None) -> list[Tensor]:
        asked.append(limit)
        return [x]

    plain = method("TSA").convert(calibration, rule, T, batches, precharge=0, negative_spikes=False)
    assert asked == [] and not hasattr(plain, "adjusted")
    made = method("TSA").convert(calibration, rule, T, batches, precharge=0, negative_spikes=False, adjustment=2)
    assert asked == [128]
    expected = adjust_amplitudes(calibration, method_of(0, ternary=False), T, [x], AmplitudeAdjustment(2))
    assert made.adjusted == expected.adjusted and thresholds(made) == thresholds(expected)
