"""LIF neurons, binary and ternary: by hand, step by step against the whole train, and beside SpikingJelly's."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snncore.neurons.leaky import LIFNeuron, TernaryLIFNeuron, TrainableNeuron
from snncore.surrogate import ATan, Rectangle, Sigmoid, StraightThrough, Surrogate, Tanh, Triangle

quick = settings(deadline=None, derandomize=True, max_examples=40)
CONVENTIONS = ("abs", "spikes", "detached")
SURROGATES = (Rectangle(), StraightThrough(1.5, 0.5), ATan(), Triangle(0.3, 2.0), Tanh(), Sigmoid())


def trains(neuron: LIFNeuron, currents: Tensor, weights: Tensor, whole: bool) -> list[Tensor]:
    """Spikes, gradient of the currents and of the amplitude, of a weighted sum of spikes."""
    x = currents.clone().requires_grad_()
    spikes = neuron(x) if whole else TrainableNeuron.forward(neuron, x)
    wanted = [x] if neuron.amplitude is None else [x, neuron.amplitude]
    return [spikes.detach(), *torch.autograd.grad((spikes * weights).sum(), wanted)]


@quick
@given(
    st.integers(1, 6), st.booleans(), st.booleans(), st.sampled_from(CONVENTIONS), st.sampled_from(SURROGATES),
    st.floats(0, 1), st.floats(0.1, 2), st.integers(0, 99),
)  # fmt: skip
def test_the_whole_train_is_the_steps(
    t: int, ternary: bool, trained: bool, convention: Literal["abs"], surrogate: Surrogate, decay: float, v: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    currents, weights = torch.randn(2, t, 3, 2, 4, 4, generator=generator, dtype=torch.float64)
    kind = TernaryLIFNeuron if ternary else LIFNeuron
    neuron = kind(v, decay, surrogate, trained, convention).double()
    if neuron.amplitude is not None:
        neuron.amplitude.data.fill_(1.3)
    whole, steps = (trains(neuron, currents, weights, each) for each in (True, False))
    assert torch.equal(whole[0], steps[0])
    for found, expected in zip(whole[1:], steps[1:], strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


def official(currents: Tensor, ternary: bool) -> Tensor:
    """The update of the Ternary Spike paper's code by plain autograd: threshold 1/2 of 1, decay 1/4, clamp backwards."""
    potential, spikes, train = torch.zeros_like(currents[0]), torch.zeros_like(currents[0]), []
    for current in currents:
        potential = 0.25 * (potential * (1 - spikes.abs())) + current
        smooth = potential.clamp(-1 if ternary else 0, 1)
        hard = (potential >= 0.5).double() - ((potential <= -0.5).double() if ternary else 0)
        spikes = hard.detach() + smooth - smooth.detach()
        train.append(spikes)
    return torch.stack(train)


@pytest.mark.parametrize("ternary", [False, True])
def test_spikes_and_gradients_are_those_of_the_authors_update(ternary: bool) -> None:
    currents, weights = torch.randn(2, 4, 50, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = currents.clone().requires_grad_()
    spikes = official(x, ternary)
    (gradient,) = torch.autograd.grad((spikes * weights).sum(), x)
    found = trains((TernaryLIFNeuron if ternary else LIFNeuron)(), currents, weights, True)
    assert torch.equal(found[0], spikes.detach().round())
    assert torch.allclose(found[1], gradient, rtol=1e-12, atol=1e-12)


def test_a_trace_by_hand() -> None:
    currents = torch.tensor([0.4, 0.3, 0.5, -0.2, -0.45, -0.1])[:, None]
    #  u binary: 0.4, 0.4 (silent), 0.6 (fires), -0.2, -0.5, -0.225
    assert LIFNeuron()(currents).flatten().tolist() == [0, 0, 1, 0, 0, 0]
    assert TernaryLIFNeuron()(currents).flatten().tolist() == [0, 0, 1, 0, -1, 0]


def test_it_fires_at_the_threshold_and_the_amplitude_scales_what_leaves() -> None:
    currents = torch.tensor([[0.5, -0.5, 0.49999997]])
    neuron = TernaryLIFNeuron(trainable_amplitude=True)
    assert neuron.amplitude is not None
    neuron.amplitude.data.fill_(1.75)
    assert neuron(currents).tolist() == [[1.75, -1.75, 0.0]]
    assert LIFNeuron()(currents).tolist() == [[1.0, 0.0, 0.0]]


def test_a_current_expanded_over_time_is_one_that_stays() -> None:
    current = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    expanded = current.expand(4, *current.shape)
    assert torch.equal(TernaryLIFNeuron()(expanded), TernaryLIFNeuron()(expanded.contiguous()))


def test_one_tensor_of_the_train_is_kept_for_the_gradient() -> None:
    currents = torch.randn(5, 2, 8, requires_grad=True)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        TernaryLIFNeuron(trainable_amplitude=True)(currents)
    assert [tensor.numel() for tensor in kept if tensor.numel() > 1] == [currents.numel()]


def test_spikingjelly_fires_alike_and_differentiates_otherwise() -> None:
    """Two surrogates, one at each threshold, are added there; here the nearer threshold alone counts."""
    module = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    if not hasattr(module, "TernaryLIFNode"):
        pytest.skip("this SpikingJelly has no ternary neuron")
    theirs = module.TernaryLIFNode(
        tau=4 / 3, decay_input=False, v_threshold=0.5, v_reset=0.0, surrogate_function=surrogate.Sigmoid(4.0), step_mode="m"
    )
    currents, weights = torch.randn(2, 6, 40, 30, generator=torch.Generator().manual_seed(2))
    x = currents.clone().requires_grad_()
    spikes = theirs(x)
    (gradient,) = torch.autograd.grad((spikes * weights).sum(), x)
    functional.reset_net(theirs)
    found = trains(TernaryLIFNeuron(surrogate=Sigmoid(4.0), reset_gradient="spikes"), currents, weights, True)
    assert torch.equal(found[0], spikes.detach())
    assert not torch.allclose(found[1], gradient, rtol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"decay": 1.5}, "decay must be in"),
        ({"decay": float("nan")}, "decay must be in"),
        ({"reset_gradient": "soft"}, "reset_gradient must be"),
    ],
)
def test_parameters_that_make_no_sense(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LIFNeuron(**arguments)
