"""DSR and tandem learning: spikes step by step, gradients of the mean; by hand and beside other implementations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.errors import NotAvailable
from benchmarks.methods import direct_method
from benchmarks.methods.dsr import DSRNeuron
from benchmarks.methods.tandem import TandemNeuron


def results(neuron: nn.Module, currents: Tensor, weights: Tensor) -> list[Tensor]:
    """Spikes, and gradients of currents and parameters of a weighted sum of them."""
    x = currents.clone().requires_grad_()
    spikes = neuron(x)
    return [spikes.detach(), *torch.autograd.grad((spikes * weights).sum(), [x, *neuron.parameters()])]


def random_trains(steps: int = 6) -> Tensor:
    """Currents, some of which exceed V, and weights; the latter mean something else at every step."""
    return 3 * torch.randn(2, steps, 40, 30, generator=torch.Generator().manual_seed(0)) + 1


def test_dsr_by_hand() -> None:
    neuron = DSRNeuron()
    #  u, V = 6:  2.5,  5 fires (-1),  1.5,  4 fires (-2);  second neuron: mean 7 > V;  third: mean < 0
    currents = torch.tensor([[2.5, 7.0, -1.0]]).expand(4, 3)
    spikes, gradient, slope = results(neuron, currents, torch.tensor([[1.0, 2.0, 3.0]]).expand(4, 3))
    assert spikes.tolist() == [[0, 6, 0], [6, 6, 0], [0, 6, 0], [6, 6, 0]]
    assert gradient.tolist() == [[1, 0, 0]] * 4  # mean of the weights where 0 <= mean <= V
    assert float(slope) == 8  # sum of the weights where the mean is above V


def test_dsr_is_spikingjellys() -> None:
    module = pytest.importorskip("spikingjelly.activation_based.neuron.dsr")
    theirs, (currents, weights) = module.DSRIFNode(T=6, v_threshold=1.5, v_threshold_lower_bound=0.01), random_trains()
    neuron = DSRNeuron()
    neuron.v.data.fill_(1.5)
    for found, expected in zip(results(neuron, currents, weights), results(theirs, currents, weights), strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_amplitude_of_dsr_has_a_lower_bound() -> None:
    neuron = DSRNeuron()
    neuron.v.data.fill_(-1.0)
    assert neuron(torch.ones(5, 3)).unique().tolist() == [pytest.approx(0.01)]


def test_tandem_by_hand() -> None:
    #  u: 0.6,  1.2 fires (0.2),  0.8,  1.4 fires (0.4);  second: 3, 5, 7, 9 fires at each;  third: below 0
    currents = torch.tensor([[0.6, 3.0, -1.0]]).expand(4, 3)
    spikes, gradient = results(TandemNeuron(), currents, torch.tensor([[1.0, 2.0, 3.0]]).expand(4, 3))
    assert spikes.tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert gradient.tolist() == [[1, 2, 0]] * 4


def test_tandem_has_the_gradient_of_a_relu_network_on_spike_counts() -> None:
    """Two layers: with the same spikes, weights change as in the twin of the authors' code, which sees sums over time."""
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(8, 8, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2))
    inputs = (torch.rand(6, 5, 8, generator=generator) < 0.5).double()
    weights = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    neuron = TandemNeuron()
    hidden = neuron(inputs @ first)
    loss = (neuron(hidden @ second).sum(0) * weights).sum()
    found = torch.autograd.grad(loss, [first, second])

    def twin(counts: Tensor, weight: Tensor, spikes: Tensor) -> Tensor:
        activation = (counts @ weight).relu()
        return activation + (spikes.sum(0) - activation).detach()  # forwards the number of spikes

    with torch.no_grad():
        trains = [neuron(inputs @ first)]
        trains.append(neuron(trains[0] @ second))
    counts = twin(twin(inputs.sum(0), first, trains[0]), second, trains[1])
    expected = torch.autograd.grad((counts * weights).sum(), [first, second])
    assert all(torch.allclose(*pair, rtol=1e-12, atol=1e-12) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["DSR", "Tandem learning"])
def test_single_steps_give_the_spikes_of_the_train_and_short_trains_are_refused(name: str) -> None:
    method, (currents, _) = direct_method(name), random_trains()
    neuron = method.neuron(1, False, 6)
    state, spikes = neuron.start(currents[0]), []
    for current in currents:
        fired, state = neuron.step(current, state)
        spikes.append(fired)
    assert torch.equal(torch.stack(spikes), neuron(currents))
    with pytest.raises(NotAvailable, match=f"^{name} needs at least 5 timesteps, got 4$"):
        method.build("ResNet20-w2-s1", (1, 8, 8), 10, 4)
