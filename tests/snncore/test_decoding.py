"""Temporal weighting: weights by hand, and who wins, also with ties and silence."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snncore.decoding import TemporalWeighting, exponential, first_spike, linear, uniform, weights, winner
from snncore.neurons.first_spike import FirstSpikeNeuron

quick = settings(deadline=None, derandomize=True, max_examples=25)
DECREASING = ("exponential-1.25", "exponential-2", "exponential-4", "linear", "first-spike")


def trains(times: list[list[int]], timesteps: int) -> Tensor:
    """Spikes ``[T, B, K]`` by spike time, counted from 1; 0 is silence."""
    spikes = torch.zeros(timesteps, len(times), len(times[0]))
    for sample, row in enumerate(times):
        for neuron, time in enumerate(row):
            if time:
                spikes[time - 1, sample, neuron] = 1
    return spikes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exponential-2", [1, 1 / 2, 1 / 4, 1 / 8]),
        ("exponential-10", [1, 1e-1, 1e-2, 1e-3]),
        ("exponential-1.25", [1, 0.8, 0.64, 0.512]),
        ("linear", [1, 3 / 4, 2 / 4, 1 / 4]),
        ("uniform", [1, 1, 1, 1]),
        ("first-spike", [4, 3, 2, 1]),
    ],
)
def test_weights_by_hand(name: str, expected: list[float]) -> None:
    assert weights(name, 4).tolist() == pytest.approx(expected, rel=1e-12)
    assert weights(name, 4).dtype == torch.float64


@quick
@given(st.integers(2, 40), st.floats(1.01, 10))
def test_an_earlier_spike_weighs_more(timesteps: int, base: float) -> None:
    for a in (exponential(timesteps, base), linear(timesteps), first_spike(timesteps)):
        assert (a.diff() < 0).all() and (a > 0).all() and len(a) == timesteps
    assert exponential(timesteps, base)[0] == linear(timesteps)[0] == 1
    assert torch.equal(uniform(timesteps), torch.ones(timesteps, dtype=torch.float64))


@quick
@given(st.integers(2, 20), st.floats(2, 10))
def test_from_base_two_on_an_early_spike_outweighs_all_later_ones(timesteps: int, base: float) -> None:
    a = exponential(timesteps, base)
    for t in range(timesteps - 1):
        assert a[t] > a[t + 1 :].sum()


@pytest.mark.parametrize("base", [1, 0.5, 0, -2, float("inf"), float("nan")])
def test_a_base_that_does_not_decay_is_refused(base: float) -> None:
    with pytest.raises(ValueError, match="base of exponential weights must be above 1"):
        exponential(4, base)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exponential-1", "must be above 1, got 1.0"),
        ("exponential", "unknown decoder 'exponential'; known: exponential-BASE, linear, uniform, first-spike"),
        ("exponential--2", "unknown decoder"),
        ("exponential-2 ", "unknown decoder"),
        ("Linear", "unknown decoder 'Linear'"),
    ],
)
def test_unknown_decoders(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weights(name, 4)


@pytest.mark.parametrize("make", [lambda t: exponential(t, 2), linear, uniform, first_spike])
@pytest.mark.parametrize("timesteps", [0, 2.5, True])
def test_bad_timesteps(make: Callable[[object], Tensor], timesteps: object) -> None:
    with pytest.raises(ValueError, match="timesteps must be a whole number"):
        make(timesteps)


def test_outputs_by_hand() -> None:
    spikes = trains([[1, 3, 0], [2, 2, 4]], 4)
    scores = TemporalWeighting(weights("exponential-2", 4), 8.0)(spikes)
    assert scores.tolist() == [[8, 2, 0], [4, 4, 1]]
    assert TemporalWeighting(weights("first-spike", 4))(spikes).tolist() == [[4, 2, 0], [3, 3, 1]]


@quick
@given(st.integers(2, 9), st.integers(0, 10**6), st.floats(0.1, 10))
def test_outputs_are_the_weighted_sum_in_the_dtype_of_the_spikes(timesteps: int, seed: int, scale: float) -> None:
    random = torch.Generator().manual_seed(seed)
    a = torch.rand(timesteps, generator=random, dtype=torch.float64)
    for dtype in (torch.float32, torch.float64):
        spikes = (torch.rand(timesteps, 3, 5, generator=random) < 0.3).to(dtype)
        expected = sum(scale * a[t] * spikes[t].double() for t in range(timesteps))
        scores = TemporalWeighting(a, scale)(spikes)
        assert scores.dtype == dtype
        assert torch.allclose(scores.double(), expected, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6)


def test_the_gradient_of_a_spike_is_its_weight() -> None:
    spikes = trains([[1, 3]], 3).requires_grad_()
    TemporalWeighting(weights("linear", 3), 3.0)(spikes).sum().backward()
    assert spikes.grad[:, 0].tolist() == [[3, 3], [2, 2], [1, 1]]


def test_weights_are_a_copy_and_no_part_of_the_state() -> None:
    a = weights("linear", 3)
    decode = TemporalWeighting(a)
    a.zero_()
    assert decode.weights[0] == 1 and decode.state_dict() == {} and not list(decode.parameters())


def test_other_timesteps_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 timesteps first"):
        TemporalWeighting(weights("linear", 4))(torch.zeros(3, 2, 5))


def named(times: list[list[int]], currents: list[list[float]], decoder: str = "exponential-2", timesteps: int = 4) -> list[int]:
    """Winners where every output neuron gets a constant current."""
    spikes = trains(times, timesteps)
    constant = torch.tensor(currents).expand(timesteps, *spikes.shape[1:])
    return winner(TemporalWeighting(weights(decoder, timesteps))(spikes), constant, spikes).tolist()


def test_silence_and_ties() -> None:
    """Nobody wins where nobody fires; the highest potential at the spike wins a tie, and the first neuron an exact one."""
    assert named([[0, 0, 0], [0, 0, 4]], [[9.0, 9.0, 0.0]]) == [-1, 2]
    assert named([[0, 0, 0]], [[9.0, 9.0, 0.0]], "uniform") == [-1]
    assert named([[2, 2, 2], [3, 2, 2]], [[0.5, 0.7, 0.6]]) == [1, 1]
    assert named([[2, 2, 3], [2, 3, 2]], [[0.5, 0.4, 0.9]]) == [0, 2]  # neuron 2 of the first sample fires later
    assert named([[2, 2, 0]], [[-0.5, -0.4, 0.9]]) == [1]
    assert named([[1, 3]], [[0.5, 0.4]], "uniform") == [1]  # 0.5 against 1.2: time counts by the potential alone
    assert named([[1, 0]], [[0.5, 0.4]], "uniform") == [0]
    assert named([[0, 2, 2]], [[0.5, 0.5, 0.5]]) == [1]


def test_an_output_layer_that_is_forced_to_fire_answers_by_its_last_potential() -> None:
    """Samples: nobody fires; the earliest spike; a tie. Only the first one is decided by the potential after the last step."""
    spikes = trains([[0, 0, 0], [0, 2, 3], [2, 0, 2]], 3)
    currents = torch.tensor([[0.1, 0.9, 0.2], [0.1, 0.3, 0.2], [0.6, -0.8, 0.3]])[:, None].expand(3, 3, 3)
    scores = TemporalWeighting(weights("linear", 3))(spikes)
    assert currents.sum(0)[0].argmax() == 0 and currents[0, 0].argmax() == 1
    assert winner(scores, currents, spikes, forced=True).tolist() == [0, 1, 2]
    assert winner(scores, currents, spikes).tolist() == [-1, 1, 2]


@quick
@given(st.integers(0, 10**6), st.integers(2, 9), st.sampled_from(DECREASING), st.sampled_from([torch.float32, torch.float64]))
def test_with_decreasing_weights_a_run_may_end_at_the_first_output_spike(seed: int, timesteps: int, name: str, dtype: torch.dtype) -> None:
    """Step by step: the class is known at the first step at which an output neuron fires."""
    currents = torch.randn(timesteps, 40, 10, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 0.4
    neuron = FirstSpikeNeuron(1.0, timesteps)
    spikes = neuron(currents)
    found = winner(TemporalWeighting(weights(name, timesteps))(spikes), currents, spikes).tolist()
    for sample in range(40):
        expected, potential = -1, torch.zeros(10, dtype=dtype)
        for t in range(timesteps):
            potential = potential + currents[t, sample]
            if spikes[t, sample].any():
                expected = int(potential.masked_fill(spikes[t, sample] == 0, -torch.inf).argmax())
                break
        assert found[sample] == expected
