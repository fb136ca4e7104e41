"""The few-spikes neuron: exact binary expansions, against the published update in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncore import CSSCode, MomentumNeuron

quick = settings(deadline=None, derandomize=True, max_examples=25)


def published(x: Fraction, alpha: Fraction, digits: int) -> list[int]:
    """``v <- v - h[t] z[t]`` with ``T[t] = h[t] = alpha 2**-t``."""
    spikes, v = [], x
    for t in range(1, digits + 1):
        weight = alpha / 2**t
        spikes.append(int(v >= weight))
        v -= weight * spikes[-1]
    return spikes


@quick
@given(st.integers(1, 12), st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]), st.data())
def test_spikes_are_those_of_the_published_neuron_on_any_input_train(
    digits: int, threshold: Fraction, data: st.DataObject
) -> None:
    train = st.lists(st.integers(-16, 16).map(lambda k: k * threshold / 8), min_size=digits, max_size=digits)
    currents = data.draw(st.lists(train, min_size=1, max_size=4))
    ones = 2**digits - 1
    neuron = MomentumNeuron.few_spikes(float(threshold), digits)
    spikes = neuron(torch.tensor([[float(z) for z in each] for each in currents], dtype=torch.float64).T)
    for column, each in zip(spikes.T.int().tolist(), currents, strict=True):
        x = sum((z * 2 ** (digits - t) for t, z in enumerate(each, 1)), Fraction(0)) / ones
        assert column == published(x, threshold * Fraction(2**digits, ones), digits)


@pytest.mark.parametrize("digits", [1, 2, 5, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_binary_number_is_expanded_exactly(digits: int, dtype: torch.dtype) -> None:
    count = 2**digits
    neuron, residuals = MomentumNeuron.few_spikes(count - 1, digits), []
    neuron.observer = lambda _, __, residual: residuals.append(residual)
    spikes = neuron(torch.arange(count, dtype=dtype).expand(digits, -1))  # a constant current is the value itself
    expected = [[int(bit) for bit in f"{k:0{digits}b}"] for k in range(count)]
    assert spikes.T.int().tolist() == expected
    assert CSSCode(digits).decode(spikes, count - 1).tolist() == list(range(count))
    assert residuals[0].abs().max() == 0


def test_values_are_rounded_down_and_clipped() -> None:
    """alpha = 8, three digits: 7 at most; what is below 0 is 0."""
    x = torch.tensor([-3.0, 0.99, 1.0, 4.6, 6.99, 7.0, 7.5, 100.0])
    assert CSSCode(3).decode(MomentumNeuron.few_spikes(7, 3)(x.expand(3, -1)), 7).tolist() == [0, 0, 1, 4, 6, 7, 7, 7]


def test_by_hand() -> None:
    """Train 1, 0, 1 over a weight of 2 and with a bias of 1: 2 (4 + 1) + 7 = 17."""
    train = torch.tensor([[3.0], [1.0], [3.0]])
    assert MomentumNeuron.few_spikes(1, 3)(train)[:, 0].tolist() == [1, 1, 1]  # v = 1: 17 is more than 7
    assert MomentumNeuron.few_spikes(3, 3)(train)[:, 0].tolist() == [1, 0, 1]  # v = 3: 17 / 3 = 5.67


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("digits", range(1, 13))
def test_spikes_and_residual_are_those_of_the_closed_form(digits: int, dtype: torch.dtype) -> None:
    """``alpha 2**-K floor(2**K x / alpha)`` in eighths of a digit, digits themselves included, clipped to [0, v]."""
    units = torch.arange(-16, 8 * 2**digits + 17, dtype=dtype) / 8  # 2**K x / alpha
    threshold = 0.75  # = alpha (1 - 2**-K)
    train = torch.cat([torch.zeros(digits - 1, len(units), dtype=dtype), threshold * units[None]])  # the last step weighs 1
    neuron, residuals = MomentumNeuron.few_spikes(threshold, digits), []
    neuron.observer = lambda _, __, residual: residuals.append(residual)
    spikes = neuron(train)
    floor = units.floor().clamp(0, 2**digits - 1)
    expected = [floor.div(2**t, rounding_mode="floor") % 2 for t in reversed(range(digits))]
    assert torch.equal(spikes, torch.stack(expected))
    assert torch.equal(residuals[0], units - floor)


def test_it_waits_for_its_input() -> None:
    neuron = MomentumNeuron.few_spikes(7, 3)
    state = neuron.start(torch.zeros(2))
    steps = []
    for t in range(6):
        spikes, state = neuron.step(torch.ones(2) if t < 3 else None, state)
        steps.append(spikes)
    assert steps[:3] == [None] * 3
    assert torch.stack(steps[3:]).tolist() == [[0, 0], [0, 0], [1, 1]]  # type: ignore[arg-type]


@pytest.mark.parametrize(("threshold", "timesteps"), [(0.0, 4), (-1.0, 4), (float("inf"), 4), (1.0, 0), (1.0, 2.5)])
def test_bad_arguments(threshold: float, timesteps: int) -> None:
    with pytest.raises(ValueError, match="threshold must be positive|timesteps must be a whole number"):
        MomentumNeuron.few_spikes(threshold, timesteps)
