"""Amplitude adjustment: the factors of the paper by hand, and rounds that are recomputed from outside."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import build, images
from torch import Tensor, nn

from snncore import ConversionError, SpikingNetwork, calibrate, convert, tsa
from snncore.conversion import AmplitudeAdjustment
from snncore.conversion.amplitude import amplitude_factor
from snncore.conversion.calibration import Maximum

T = 6
ADJUST = partial(tsa, threshold=Maximum())


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


def thresholds(converted: SpikingNetwork) -> dict[str, float]:
    return {name: neuron.threshold for name, neuron in converted.neurons.items()}


# ---- the factor of one round ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residual", "factor"),
    [
        (0.0, 1.0),
        (1.0, 1.0),
        (1.5, 1.02),  # d / S = 0.005: four times that
        (2.0, 1.04),  # 0.01, still four times
        (2.0 + 1e-9, 1.04),  # above it the share and 0.03: no step
        (4.0, 1.06),
        (6.0, 1.08),  # 0.05 belongs to the middle
        (6.0 + 1e-9, 1.05),
        (21.0, 1.2),
        (101.0, 2.0),
    ],
)
def test_factors_by_hand(residual: float, factor: float) -> None:
    """``S = 100``, so that the share ``d / S`` is a hundredth of ``r - 1``."""
    assert amplitude_factor(residual, 100.0) == pytest.approx(factor, rel=1e-9)


def test_a_share_counts_and_not_the_residual_itself() -> None:
    assert amplitude_factor(3.0, 20.0) == pytest.approx(1 + 0.1)
    assert amplitude_factor(1.4, 20.0) == pytest.approx(1 + 0.02 + 0.03)


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


# ---- networks ---------------------------------------------------------------------------------------------------------


def test_a_network_that_leaves_little_is_left_alone() -> None:
    network, x = network_and_images()
    plain = convert(network, [x], ADJUST(2), T)
    adjusted = convert(network, [x], ADJUST(2, adjustment=AmplitudeAdjustment(5, 90)), T)
    assert plain.adjusted is None
    made = adjusted.adjusted
    assert made is not None
    assert (made.rounds, made.unsettled, set(made.factors.values())) == (0, [], {1.0})
    assert made.factors.keys() == plain.neurons.keys() and thresholds(adjusted) == thresholds(plain)
    assert torch.equal(adjusted(x), plain(x))


@pytest.mark.parametrize("batches", [1, 3])
def test_one_round_follows_from_the_residuals_of_the_network_before(batches: int) -> None:
    network, x = network_and_images()
    parts = list(x.chunk(batches))
    before = convert(network, parts, ADJUST(0, ternary=False), T)
    found = residuals_of(before, parts, 99)
    assert max(found.values()) > 1 > min(found.values())
    after = convert(network, parts, ADJUST(0, ternary=False, adjustment=AmplitudeAdjustment(1, 99)), T)
    made = after.adjusted
    assert made is not None and made.rounds == 1
    total = sum(1.5**t for t in range(T))
    assert made.factors == pytest.approx({name: amplitude_factor(r, total) for name, r in found.items()}, rel=1e-3)
    assert made.residuals == pytest.approx(residuals_of(after, parts, 99), rel=1e-3)
    assert made.unsettled == [name for name, residual in made.residuals.items() if residual > 1]


@pytest.mark.parametrize("rounds", [2, 4])
def test_factors_of_several_rounds_multiply_and_are_those_of_the_thresholds(rounds: int) -> None:
    network, x = network_and_images()
    options: dict[str, Any] = {"precharge": 0, "ternary": False}
    initial = thresholds(convert(network, [x], ADJUST(**options), T))
    history = [
        convert(network, [x], ADJUST(**options, adjustment=AmplitudeAdjustment(n)), T).adjusted for n in range(1, rounds + 1)
    ]
    last = convert(network, [x], ADJUST(**options, adjustment=AmplitudeAdjustment(rounds)), T)
    made = last.adjusted
    assert made is not None and made.rounds == rounds and made.unsettled
    total = sum(1.5**t for t in range(T))
    for earlier, later in zip(history, history[1:], strict=False):
        assert earlier is not None and later is not None
        expected = {name: earlier.factors[name] * amplitude_factor(r, total) for name, r in earlier.residuals.items()}
        assert later.factors == pytest.approx(expected, rel=1e-12)
    assert min(made.factors.values()) >= 1 < max(made.factors.values())
    assert thresholds(last) == pytest.approx({name: initial[name] * factor for name, factor in made.factors.items()}, rel=1e-12)


def test_no_observer_is_left_and_the_mode_is_the_one_asked_for() -> None:
    network, x = network_and_images()
    converted = convert(network, [x], ADJUST(0, ternary=False, adjustment=AmplitudeAdjustment(2)), T, mode="single-step")
    assert converted.mode == "single-step"
    assert all(neuron.observer is None for neuron in converted.neurons.values())


def test_images_may_come_apart_from_the_calibration_and_are_needed() -> None:
    network, x = network_and_images()
    calibration, rule = calibrate(network, [x]), AmplitudeAdjustment(1)
    method = ADJUST(0, ternary=False, adjustment=rule)
    with pytest.raises(
        ConversionError, match="TSA adjusts its amplitudes on spiking activity: pass images=, batches of training"
    ):
        convert(network, calibration, method, T)
    apart, together = (
        convert(network, c, method, T, images=i).adjusted for c, i in ((calibration, iter([x])), (iter([x]), None))
    )
    assert apart is not None and apart == together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 1.0}, r"beta must be in \(1, 3\], got 1.0"),
        ({"beta": 0.5}, "beta must be at least 1, got 0.5"),
        ({"beta": 3.1}, r"beta must be in \(1, 3\], got 3.1"),
        ({"precharge": T + 1}, f"precharge must be a whole number from 0 to timesteps={T}, got {T + 1}"),
        ({"precharge": -1}, "precharge must be a whole number"),
    ],
)
def test_options_of_the_method_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    network, x = network_and_images()
    for adjustment in (None, AmplitudeAdjustment(1)):
        with pytest.raises(ValueError, match=message):
            convert(network, [x], tsa(**options, adjustment=adjustment), T)
