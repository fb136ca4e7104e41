"""The signed integrate-and-fire neuron against rational arithmetic and by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.methods.signed_rate import SignedIntegrateFireNeuron
from snncore import RateCode

quick = settings(deadline=None, derandomize=True, max_examples=25)


def reference(currents: list[Fraction], v: Fraction, margin: Fraction) -> tuple[list[int], Fraction]:
    """The loop of the published code, one neuron and one step at a time."""
    membrane, total, train = v / 2, 0, []
    for z in currents:
        membrane += z
        spike = 0
        if membrane >= v:
            membrane -= v
            spike += 1
        total += spike
        if (membrane <= -margin if margin else membrane < 0) and total > 0:
            membrane += v
            total -= 1
            spike -= 1
        train.append(spike)
    return train, membrane / v


@quick
@given(st.data())
def test_spikes_and_residual_are_those_of_the_rational_reference(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 16))
    v = data.draw(st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]))
    margin = data.draw(st.sampled_from([Fraction(0), v / 8, v / 4]))
    train = st.lists(st.integers(-24, 24).map(lambda k: k * v / 8), min_size=steps, max_size=steps)
    currents = data.draw(st.lists(train, min_size=1, max_size=5))
    neuron, residuals = SignedIntegrateFireNeuron(float(v), steps, float(margin)), []
    neuron.observer = lambda _, __, residual: residuals.append(residual)
    z = torch.tensor([[float(value) for value in each] for each in currents], dtype=torch.float64).T.contiguous()
    expected = [reference(each, v, margin) for each in currents]
    spikes = neuron(z)
    assert spikes.T.int().tolist() == [each for each, _ in expected]
    assert residuals[0].tolist() == pytest.approx([float(left) for _, left in expected], abs=1e-12)
    assert torch.equal(neuron(z.clone(), inplace=True), spikes)
    state = neuron.start(z[0])
    for t in range(steps):
        fired, state = neuron.step(z[t], state)
        assert torch.equal(fired, spikes[t])
    assert (spikes.cumsum(0) >= 0).all()


def test_by_hand() -> None:
    """v = 4 from 2: +3 -> 5, +1, 1; -4 -> -3, -1, 1; -4 -> -3 silent (count 0); +8 -> 5, +1, 1."""
    z = torch.tensor([3.0, -4.0, -4.0, 8.0])[:, None]
    assert SignedIntegrateFireNeuron(4, 4)(z)[:, 0].tolist() == [1, -1, 0, 1]


def test_the_margin_keeps_rounding_noise_silent() -> None:
    z = torch.tensor([0.5, -0.0005 - 0.0001, 0.0])[:, None]  # 1 -> +1, 0; then just below 0
    assert SignedIntegrateFireNeuron(1, 3)(z)[:, 0].tolist() == [1, -1, 0]
    assert SignedIntegrateFireNeuron(1, 3, margin=1e-3)(z)[:, 0].tolist() == [1, 0, 0]


@quick
@given(st.integers(1, 15), st.lists(st.floats(-2, 3), min_size=1, max_size=9))
def test_a_constant_current_is_rounded_to_the_nearest_level(steps: int, values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    decoded = RateCode(steps).decode(SignedIntegrateFireNeuron(1, steps)(x.expand(steps, -1)))
    assert (decoded - x.clamp(0, 1)).abs().max() <= 0.5 / steps + 1e-12


def test_bad_margin() -> None:
    with pytest.raises(ValueError, match="margin must be 0 or more"):
        SignedIntegrateFireNeuron(1.0, 4, margin=-0.1)
