"""The integrate-and-fire neuron against rational arithmetic, by hand, and against SpikingJelly."""

from fractions import Fraction
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import fired

from snncore import IntegrateFireNeuron
from snncore.neurons.integrate_fire import Reset

quick = settings(deadline=None, derandomize=True, max_examples=60)


def reference(
    currents: list[Fraction], threshold: Fraction, initial: Fraction, reset: str = "soft", own: Fraction = Fraction(0)
) -> tuple[list[int], Fraction]:
    u, spikes = initial * threshold, []
    for z in currents:
        u += z + own
        spikes.append(int(u >= threshold))
        u -= (threshold if reset == "soft" else u) * spikes[-1]
    return spikes, u / threshold


@quick
@given(st.data())
def test_spikes_and_residual_are_those_of_the_rational_reference(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 20))
    threshold = data.draw(st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]))
    initial = data.draw(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1, 4), Fraction(-1)]))
    train = st.lists(st.integers(-16, 24).map(lambda k: k * threshold / 8), min_size=steps, max_size=steps)
    currents = data.draw(st.lists(train, min_size=1, max_size=5))
    reset = data.draw(st.sampled_from(["soft", "hard"]))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    neuron = IntegrateFireNeuron(float(threshold), steps, float(initial), reset)
    spikes, residual = fired(neuron, torch.tensor([[float(z) for z in train] for train in currents], dtype=dtype).T)
    expected = [reference(train, threshold, initial, reset) for train in currents]
    assert spikes.dtype == dtype
    assert spikes.T.int().tolist() == [train for train, _ in expected]
    assert residual.tolist() == pytest.approx([float(left) for _, left in expected], rel=1e-6)


def test_by_hand() -> None:
    """v = 4, T = 4, current 3.  From 0: 3; 6 -> 1, 2; 5 -> 1, 1; 4 -> 1 (tie), 0.  From 2: 5 -> 1, 1; 4 -> 1, 0; 3; 6 -> 1.

    Hard reset: 3; 6 -> 1, 0; 3; 6 -> 1, 0.  What exceeds 4 is lost: 2 spikes in 4 steps where soft reset has 3.
    """
    current = torch.full((4, 1), 3.0)
    assert IntegrateFireNeuron(4, 4, reset="hard")(current)[:, 0].tolist() == [0, 1, 0, 1]
    assert IntegrateFireNeuron(4, 4)(current)[:, 0].tolist() == [0, 1, 1, 1]
    assert IntegrateFireNeuron(4, 4, initial=0.5)(current)[:, 0].tolist() == [1, 1, 0, 1]


@settings(quick, max_examples=25)
@given(st.data())
def test_parameters_of_each_neuron_are_those_of_the_reference(data: st.DataObject) -> None:
    """Channels-last, constant and contiguous currents; potentials per neuron, currents per channel."""
    steps, shape = data.draw(st.integers(1, 6)), (2, 3, 2, 2)
    random = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    layout = data.draw(st.sampled_from(["contiguous", "channels-last", "constant", "constant channels-last"]))
    reset = data.draw(st.sampled_from(["soft", "hard"]))

    def eighths(*size: int) -> torch.Tensor:
        return torch.randint(-16, 25, size, generator=random).double() / 8

    currents = eighths(steps, *shape)
    if "channels-last" in layout:
        currents = currents.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    if "constant" in layout:
        currents = currents[:1].expand(steps, *shape)
    initial, own = eighths(*shape[1:]), eighths(shape[1], 1, 1)
    spikes, residual = fired(IntegrateFireNeuron(1.5, steps, initial, reset, own), currents)
    for b, c, h, w in product(*map(range, shape)):
        train = [Fraction(float(z)) for z in currents[:, b, c, h, w]]
        start, extra = Fraction(float(initial[c, h, w])), Fraction(float(own[c, 0, 0]))
        expected, left = reference(train, Fraction(3, 2), start, reset, extra)
        assert spikes[:, b, c, h, w].tolist() == expected
        assert float(residual[b, c, h, w]) == pytest.approx(float(left), rel=1e-12, abs=1e-12)


def test_parameters_of_another_layer() -> None:
    neuron = IntegrateFireNeuron(1.0, 2, initial=torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match=r"layer of shape \(3, 4, 4\), not of \(3, 5, 5\); calibrate with images of this size"):
        neuron(torch.zeros(2, 1, 3, 5, 5))


def test_parameters_follow_the_network_to_another_place() -> None:
    neuron = IntegrateFireNeuron(1.0, 2, initial=torch.full((3,), 0.5), current=0.25)
    assert list(neuron.state_dict()) == ["initial"]
    assert "initial=tensor of shape (3,), reset=soft, current=0.25" in repr(neuron)
    assert "threshold=2, timesteps=4, initial=0.5" in repr(IntegrateFireNeuron(2, 4, 0.5))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor([0.0, float("nan")])])
def test_parameters_that_are_not_finite(value: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="initial must be finite"):
        IntegrateFireNeuron(1.0, 2, initial=value)
    with pytest.raises(ValueError, match="current must be finite"):
        IntegrateFireNeuron(1.0, 2, current=value)


def test_unknown_reset() -> None:
    with pytest.raises(ValueError, match="unknown reset 'zero'; known: soft, hard"):
        IntegrateFireNeuron(1.0, 2, reset="zero")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("initial", "reset"), [(0.0, "soft"), (0.5, "soft"), (0.0, "hard")])
def test_agrees_with_spikingjelly_bit_for_bit(initial: float, reset: Reset, dtype: torch.dtype) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    theirs = neuron.IFNode(v_threshold=0.75, v_reset=None if reset == "soft" else 0.0, step_mode="m").eval()
    theirs.v = initial * 0.75
    random = torch.Generator().manual_seed(0)
    currents = torch.randn(32, 5, 7, 3, generator=random, dtype=dtype) * 0.5 + 0.3
    ours = IntegrateFireNeuron(0.75, 32, initial, reset)
    with torch.no_grad():
        expected = theirs(currents)
    spikes, left = fired(ours, currents)
    assert 0.2 < spikes.mean() < 0.8
    assert torch.equal(spikes, expected)
    assert torch.allclose(left * 0.75, theirs.v, rtol=1e-5, atol=1e-6)
