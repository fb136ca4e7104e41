"""The arc tangent surrogate: the derivative of what it stands for, and SpikingJelly's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snncore.surrogate import ATan, Rectangle, Sigmoid, StraightThrough, Surrogate, Tanh, Triangle

quick = settings(deadline=None, derandomize=True, max_examples=25)
alphas = st.floats(0.05, 20)


@quick
@given(alphas, st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_the_slope_is_the_derivative_of_the_arc_tangent(alpha: float, distances: list[float]) -> None:
    x = torch.tensor(distances, dtype=torch.float64, requires_grad=True)
    step = torch.arctan(math.pi * alpha * x / 2) / math.pi + 0.5
    (expected,) = torch.autograd.grad(step.sum(), x)
    slope = ATan(alpha).slope(x.detach())
    assert slope.dtype == torch.float64 and slope.shape == x.shape
    assert torch.allclose(slope, expected, rtol=1e-12, atol=0)
    assert ATan().alpha == 2.0


def test_the_input_is_not_changed_and_its_dtype_and_shape_are_kept() -> None:
    x = torch.randn(2, 3, 4)
    before = x.clone()
    slope = ATan().slope(x)
    assert (slope.dtype, slope.shape) == (torch.float32, x.shape)
    assert torch.equal(x, before)


def test_far_from_the_threshold_it_is_zero_rather_than_nan() -> None:
    assert ATan().slope(torch.tensor([math.inf, -math.inf, 1e30])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("alpha", [0.5, 2.0, 5.0])
def test_agrees_with_spikingjelly(alpha: float) -> None:
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    x = torch.linspace(-3, 3, 101, dtype=torch.float64, requires_grad=True)
    spikes = surrogate.ATan(alpha)(x)
    (theirs,) = torch.autograd.grad(spikes.sum(), x)
    assert torch.equal(spikes, (x >= 0).double())
    assert torch.allclose(ATan(alpha).slope(x.detach()), theirs, rtol=1e-12)


SMOOTH = {
    Sigmoid(3.0): lambda x: torch.sigmoid(3.0 * x),
    Tanh(2.0): lambda x: (torch.tanh(2.0 * x.clamp(-0.5, 0.5))) / (2 * math.tanh(1.0)) + 0.5,
    StraightThrough(1.5, 0.5): lambda x: (x + 0.5).clamp(-1, 1),
    Rectangle(0.5): lambda x: (x / 0.5 + 0.5).clamp(0, 1),
    Triangle(2.0, 0.5): lambda x: 2.0 * torch.where(x < 0, 1, -1) * (x.abs() - 0.5).clamp(max=0).square() + (x >= 0).double(),
}


@pytest.mark.parametrize("surrogate", SMOOTH, ids=str)
def test_every_slope_is_the_derivative_of_what_it_stands_for(surrogate: Surrogate) -> None:
    x = torch.linspace(-2, 2, 999, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(SMOOTH[surrogate](x).sum(), x)
    assert torch.allclose(surrogate.slope(x.detach()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [ATan, Rectangle, StraightThrough, Triangle, Tanh, Sigmoid])
def test_parameters_of_surrogates_are_positive_and_finite(kind: type[Surrogate]) -> None:
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="positive and finite"):
            kind(value)  # type: ignore[call-arg]
