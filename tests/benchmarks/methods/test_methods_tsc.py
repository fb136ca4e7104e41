"""Temporal switch coding: the simulated levels are those of neurons that integrate a running current from pairs of spikes."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import watching
from torch import nn

from benchmarks.methods.tsc import SpreadEncoder, SwitchCode, SwitchEncoder, TemporalSwitchNeuron
from snncore import ConversionMethod, RateCode, convert
from snncore.conversion import OperationCounter
from snncore.conversion.network import Mode

quick = settings(deadline=None, derandomize=True, max_examples=25)
small = st.integers(-8, 8).map(lambda k: Fraction(k, 8))


def pairs(x: Fraction, timesteps: int) -> dict[int, int]:
    """Spikes of an input value in [-1, 1] by step, counted from 1."""
    duration = int(abs(x) * timesteps + Fraction(1, 2))
    sign = 1 if x > 0 else -1
    spikes = {1: sign} if duration else {}
    return spikes | ({duration + 1: -sign} if 0 < duration < timesteps else {})


def running(
    spikes: list[dict[int, int]], weights: list[list[Fraction]], biases: list[Fraction], threshold: Fraction, timesteps: int
) -> list[dict[int, int]]:
    """A layer of TSC neurons, spike by spike: on and off spikes in, on and off spikes out."""
    sent: list[dict[int, int]] = []
    for row, bias in zip(weights, biases, strict=True):
        running_current, u, on, out = Fraction(0), Fraction(0), 0, {}
        for t in range(1, timesteps + 1):
            running_current += sum((w * train.get(t, 0) for w, train in zip(row, spikes, strict=True)), Fraction(0))
            u += running_current + bias
            fires = int(u >= threshold)
            u -= fires * threshold
            if fires != on:
                out[t] = fires - on
            on = fires
        sent.append(out)
    return sent


@quick
@given(st.data())
def test_a_network_of_levels_is_one_of_on_and_off_spikes(data: st.DataObject) -> None:
    timesteps = data.draw(st.integers(2, 12))
    x = data.draw(st.lists(small, min_size=3, max_size=3))
    first = data.draw(st.lists(st.lists(small, min_size=3, max_size=3), min_size=2, max_size=2))
    second = data.draw(st.lists(st.lists(small, min_size=2, max_size=2), min_size=2, max_size=2))
    biases = data.draw(st.lists(small, min_size=2, max_size=2))

    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        for layer, weights in ((network[0], first), (network[2], second)):
            layer.weight.copy_(torch.tensor([[float(w) for w in row] for row in weights]))  # type: ignore[operator]
            layer.bias.copy_(torch.tensor([float(b) for b in biases]))  # type: ignore[operator]
    image = torch.tensor([[float(value) for value in x]], dtype=torch.float64)
    calibration = [torch.cat([image, torch.ones_like(image)])]  # the largest input value is 1
    method = ConversionMethod("TSC", TemporalSwitchNeuron, lambda histogram, code: 0.5, encoder=SwitchEncoder)
    converted = convert(network, calibration, method, timesteps)
    with watching(converted.neurons.values()) as levels:
        converted(image)

    half = Fraction(1, 2)
    hidden = running([pairs(value, timesteps) for value in x], first, biases, half, timesteps)
    carried = [[w * half for w in row] for row in second]  # spikes stand for their threshold
    last = running(hidden, carried, biases, half, timesteps)
    for train, expected in zip((SwitchCode(timesteps).events(each)[:, 0] for each in levels), (hidden, last), strict=True):
        got = [{t + 1: int(d) for t, d in enumerate(column) if d} for column in train.T.tolist()]
        assert got == expected


def test_events_of_levels_by_hand() -> None:
    levels = torch.tensor([[0, 1], [1, 1], [1, 0], [1, 1], [0, 1]])
    assert SwitchCode(5).events(levels).T.tolist() == [[0, 1, 0, 0, -1], [1, 0, -1, 1, 0]]


@quick
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=9), st.integers(1, 40))
def test_the_encoder_is_right_to_half_a_step_and_sends_one_pair(values: list[float], timesteps: int) -> None:
    x = torch.tensor([values], dtype=torch.float64)
    levels = SwitchEncoder(2.0, timesteps)(x).unflatten(0, (timesteps, 1))
    assert (RateCode(timesteps).decode(levels, 2.0) - x).abs().max() <= 1 / timesteps + 1e-12
    events = SwitchCode(timesteps).events(levels)
    assert events.abs().sum(0).max() <= 2
    assert (events.abs().sum(0) - (events[0] != 0).to(x.dtype)).max() <= 1  # on at the first step or never


@quick
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=5), st.integers(2, 40))
def test_both_are_on_for_a_time_proportional_to_the_value_and_with_its_sign(given_values: list[float], timesteps: int) -> None:
    x = torch.tensor(given_values, dtype=torch.float64)
    expected = x.sign() * torch.floor(timesteps * x.abs() / 2 + 0.5).clamp(max=timesteps)
    for kind in (SwitchEncoder, SpreadEncoder):
        encoder = kind(2.0, timesteps)
        train = torch.stack([encoder.at(x, step) for step in range(timesteps)])
        assert torch.equal(train.sum(0), expected)
        assert set(train.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_one_begins_with_the_window_and_the_other_spreads() -> None:
    x = torch.tensor([1.0])
    first, spread = (torch.stack([kind(2.0, 8).at(x, t) for t in range(8)]).flatten() for kind in (SwitchEncoder, SpreadEncoder))
    assert first.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert spread.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_amplitude(amplitude: float) -> None:
    with pytest.raises(ValueError, match="amplitude must be positive and finite"):
        SwitchEncoder(amplitude, 3)


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_what_is_counted_are_the_spikes_that_switch(mode: Mode) -> None:
    """The levels, of which there are many more, cost nothing while they last."""
    torch.manual_seed(3)
    network, timesteps = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 2)), 24
    batches = torch.randn(4, 5), torch.randn(3, 5)
    method = ConversionMethod("TSC", TemporalSwitchNeuron, encoder=SwitchEncoder)
    converted = convert(network, [torch.cat(batches)], method, timesteps, mode)
    with OperationCounter(converted) as counts:
        for batch in batches:  # what one batch left on must not switch anything in the next
            converted(batch)

    levels = {name: [torch.zeros(timesteps, 0)] for name in ("encode_input", *converted.neurons)}
    converted.mode = "multi-step"
    converted.observer = lambda step, value, at: step and step.name in levels and levels[step.name].append(
        value.unflatten(0, (timesteps, -1)).flatten(1)
    )
    for batch in batches:
        converted(batch)
    trains = {name: torch.cat(parts, 1).round().int() for name, parts in levels.items()}
    switches = {
        name: torch.stack([train[t] - (train[t - 1] if t else 0) for t in range(timesteps)]) for name, train in trains.items()
    }
    for name, fired in counts.neuron_layers.items():
        assert fired.positive == (switches[name] > 0).sum(1).tolist() and fired.negative == (switches[name] < 0).sum(1).tolist()
        assert sum(fired.positive) + sum(fired.negative) < 0.7 * int(trains[name].sum())
    assert list(counts.neuron_layers) == list(converted.neurons) and counts.images == 7
    for (layer, arrived), source, fan_out in zip(counts.layers.items(), levels, (7, 6, 2), strict=True):
        assert arrived.input == "spikes", layer
        assert arrived.accumulates == (fan_out * switches[source].abs().sum(1)).tolist()
