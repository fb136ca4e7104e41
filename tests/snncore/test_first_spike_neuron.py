"""The first-spike neuron against exact arithmetic, by hand, against plain autograd and against SpikingJelly."""

from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snncore.neurons import blocks
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.surrogate import ATan

quick = settings(deadline=None, derandomize=True, max_examples=25)
seeds = st.integers(0, 10**6)
SWITCHES = [(forced, mask) for forced in (False, True) for mask in (True, False)]


def reference(currents: list[Fraction], threshold: Fraction, forced: bool) -> list[int]:
    """Spikes of one neuron, from its potential as a fraction."""
    potential, spikes = Fraction(0), []
    for t, current in enumerate(currents):
        potential += current
        reached = potential >= threshold or (forced and t == len(currents) - 1)
        spikes.append(int(reached and not any(spikes)))
    return spikes


def column(*values: float) -> Tensor:
    """Currents ``[T, 1]`` of one neuron."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


def random_currents(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 0.6 + 0.1


def stepped(neuron: FirstSpikeNeuron, currents: Tensor) -> Tensor:
    """Spikes of the single-step mode."""
    state, train = neuron.start(currents[0]), []
    for t in range(neuron.timesteps):
        spikes, state = neuron.step(currents[t], state)
        train.append(spikes)
    return torch.stack(train)


# ---- spikes -----------------------------------------------------------------------------------------------------------


@quick
@given(st.data())
def test_spikes_are_those_of_the_rational_reference(data: st.DataObject) -> None:
    timesteps = data.draw(st.integers(2, 12))
    threshold = data.draw(st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]))
    forced = data.draw(st.booleans())
    train = st.lists(st.integers(-16, 24).map(lambda k: k * threshold / 8), min_size=timesteps, max_size=timesteps)
    currents = data.draw(st.lists(train, min_size=1, max_size=5))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    values = torch.tensor([[float(x) for x in train] for train in currents], dtype=dtype).T
    neuron = FirstSpikeNeuron(float(threshold), timesteps, forced_spike=forced)
    expected = [reference(train, threshold, forced) for train in currents]
    spikes = neuron(values)
    assert spikes.dtype == dtype
    assert spikes.T.int().tolist() == expected
    assert stepped(neuron, values).T.int().tolist() == expected


@pytest.mark.parametrize(
    ("currents", "free", "forced"),
    [
        ((0.5, 0.25, 0.25, 9.0), (0, 0, 1, 0), (0, 0, 1, 0)),  # a tie with the threshold fires; no second spike
        ((0.5, -2.0, 1.0, 1.0), (0, 0, 0, 0), (0, 0, 0, 1)),  # 0.5, -1.5, -0.5, 0.5
        ((0.5, -2.0, 2.0, 1.0), (0, 0, 0, 1), (0, 0, 0, 1)),  # 0.5, -1.5, 0.5, 1.5: negative potentials persist
        ((1.0, -5.0, 9.0, 0.0), (1, 0, 0, 0), (1, 0, 0, 0)),
        ((0.0, 0.0, 0.0, 0.0), (0, 0, 0, 0), (0, 0, 0, 1)),
        ((-1.0, -1.0, -1.0, -1.0), (0, 0, 0, 0), (0, 0, 0, 1)),
    ],
)
def test_traces_by_hand(currents: tuple[float, ...], free: tuple[int, ...], forced: tuple[int, ...]) -> None:
    assert FirstSpikeNeuron(1.0, 4)(column(*currents))[:, 0].tolist() == list(free)
    assert FirstSpikeNeuron(1.0, 4, forced_spike=True)(column(*currents))[:, 0].tolist() == list(forced)


@quick
@given(seeds, st.integers(2, 6), st.booleans(), st.sampled_from([(7,), (3, 4), (2, 3, 4, 5)]), st.booleans())
def test_multi_step_is_single_step(seed: int, timesteps: int, forced: bool, shape: tuple[int, ...], last: bool) -> None:
    currents = random_currents(timesteps, *shape, seed=seed)
    if last and len(shape) == 4:
        currents = currents.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (timesteps, shape[0]))
        assert not currents.is_contiguous()
    neuron = FirstSpikeNeuron(1.0, timesteps, forced_spike=forced)
    spikes = neuron(currents)
    assert torch.equal(spikes, stepped(neuron, currents))
    assert torch.equal(spikes, neuron(currents.contiguous()))
    constant = currents[:1]
    expanded = constant.expand(timesteps, *shape)
    assert torch.equal(neuron(constant), neuron(expanded.contiguous()))
    assert torch.equal(neuron(constant), neuron(expanded))
    assert torch.equal(neuron(constant), stepped(neuron, expanded))


def test_channels_last_currents_give_channels_last_spikes() -> None:
    currents = torch.randn(4, 2, 3, 5, 5).flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 2))
    for given_currents in (currents, currents[:1]):
        spikes = FirstSpikeNeuron(1.0, 4)(given_currents)
        assert spikes.shape == (4, 2, 3, 5, 5)
        assert spikes.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


# ---- gradients --------------------------------------------------------------------------------------------------------


class Step(torch.autograd.Function):
    """The step function, with the slope of an arc tangent backward."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, alpha: float) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.alpha = alpha
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return upstream[0] * (ctx.alpha / 2) / (1 + (torch.pi * ctx.alpha * distance / 2) ** 2), None


def unrolled(currents: Tensor, threshold: float, alpha: float, forced: bool, mask_gradient: bool) -> Tensor:
    """Eq. 4, 6 and 7 one step after another; autograd does the rest."""
    potential, mask, spikes = torch.zeros_like(currents[0]), torch.zeros_like(currents[0]), []
    for t, current in enumerate(currents):
        potential = potential + current
        last = forced and t == len(currents) - 1
        reached = torch.ones_like(potential) if last else Step.apply(potential - threshold, alpha)
        spikes.append(reached * (1 - (mask if mask_gradient else mask.detach())))
        mask = mask + spikes[-1]
    return torch.stack(spikes)


@quick
@given(seeds, st.integers(2, 9), st.floats(0.2, 3), st.floats(0.3, 6), st.sampled_from(SWITCHES))
def test_gradients_are_those_of_autograd_through_the_equations(
    seed: int, timesteps: int, threshold: float, alpha: float, switches: tuple[bool, bool]
) -> None:
    ours = random_currents(timesteps, 2, 9, seed=seed).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    upstream = random_currents(timesteps, 2, 9, seed=seed + 1)
    spikes = FirstSpikeNeuron(threshold, timesteps, ATan(alpha), *switches)(ours)
    expected = unrolled(theirs, threshold, alpha, *switches)
    assert torch.equal(spikes, expected)
    spikes.backward(upstream)
    expected.backward(upstream)
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    assert ours.grad.any()


@pytest.mark.parametrize(("forced", "mask"), SWITCHES)
def test_the_gradient_of_a_constant_current_is_the_sum_over_time(forced: bool, mask: bool) -> None:
    constant = random_currents(1, 2, 3, 4, 4, seed=3).requires_grad_()
    train = constant.detach().expand(6, 2, 3, 4, 4).clone().requires_grad_()
    neuron = FirstSpikeNeuron(1.0, 6, ATan(), forced, mask)
    upstream = random_currents(6, 2, 3, 4, 4, seed=4)
    neuron(constant).backward(upstream)
    neuron(train).backward(upstream)
    assert constant.grad.shape == constant.shape
    assert torch.allclose(constant.grad, train.grad.sum(0, keepdim=True), rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_gradient_does_not_depend_on_the_memory_format(steps: int) -> None:
    plain = random_currents(steps, 2, 3, 4, 4, seed=5)
    last = plain.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (steps, 2))
    upstream = random_currents(5, 2, 3, 4, 4, seed=6)
    upstreams = [upstream, upstream.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (5, 2))]
    upstreams.append(upstream.transpose(3, 4).contiguous().transpose(3, 4))
    gradients = []
    for currents in (plain, last):
        for above in upstreams:
            leaf = currents.clone(memory_format=torch.preserve_format).requires_grad_()
            FirstSpikeNeuron(1.0, 5)(leaf).backward(above)
            gradients.append(leaf.grad)
    for gradient in gradients[1:]:
        assert torch.equal(gradient, gradients[0])


def test_an_expanded_upstream_gradient_is_accepted_and_currents_are_not_changed() -> None:
    currents = random_currents(4, 3, 5).requires_grad_()
    expected = currents.detach().clone().requires_grad_()
    FirstSpikeNeuron(1.0, 4)(currents).sum().backward()
    assert torch.equal(currents, expected)
    unrolled(expected, 1.0, 2.0, False, True).sum().backward()
    assert torch.allclose(currents.grad, expected.grad)


def test_gradients_by_hand() -> None:
    """v = 1, alpha = 2; H = 0, 1, 1: fires at step 2. Slopes: q(-1) = 1 / (1 + pi^2), q(0) = 1.

    Step 1, still silent, would displace the spike of step 2: (g1 - g2) q(-1). Step 2 would displace that of step 3: (g2 - g3).
    """
    q = 1 / (1 + torch.pi**2)
    g = column(3.0, 5.0, 11.0)
    through, cut = column(0.0, 1.0, 0.0).requires_grad_(), column(0.0, 1.0, 0.0).requires_grad_()
    FirstSpikeNeuron(1.0, 3)(through).backward(g)
    FirstSpikeNeuron(1.0, 3, mask_gradient=False)(cut).backward(g)
    assert through.grad[:, 0].tolist() == pytest.approx([(3 - 5) * q + (5 - 11), 5 - 11, 0])
    assert cut.grad[:, 0].tolist() == pytest.approx([3 * q + 5, 5, 0])


def test_a_layer_wider_than_a_block_gives_the_same_spikes_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, upstream = random_currents(4, 3, 70).requires_grad_(), random_currents(4, 3, 70, seed=1)
    spikes = FirstSpikeNeuron(1.0, 4)(whole)
    spikes.backward(upstream)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 32)
    parts = whole.detach().clone().requires_grad_()
    again = FirstSpikeNeuron(1.0, 4)(parts)
    again.backward(upstream)
    assert torch.equal(spikes, again) and torch.equal(whole.grad, parts.grad)


# ---- SpikingJelly -----------------------------------------------------------------------------------------------------


def spikingjelly_node(threshold: float, alpha: float) -> Any:
    """SpikingJelly's node with a firing mask and no reset."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")

    class FirstSpikeNode(neuron.SimpleBaseNode):
        def __init__(self) -> None:
            super().__init__(threshold, None, surrogate.ATan(alpha), step_mode="m")
            self.register_memory("fired", 0.0)

        def neuronal_charge(self, x: Tensor) -> None:
            self.v = self.v + x

        def neuronal_fire(self) -> Tensor:
            spike = super().neuronal_fire() * (1.0 - self.fired)
            self.fired = self.fired + spike
            return spike

        def neuronal_reset(self, spike: Tensor) -> None:
            pass

    return FirstSpikeNode()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("threshold", "alpha"), [(1.0, 2.0), (0.75, 4.0)])
def test_a_network_agrees_with_spikingjelly_in_spikes_and_gradients(threshold: float, alpha: float, dtype: torch.dtype) -> None:
    theirs = [spikingjelly_node(threshold, alpha) for _ in range(2)]
    ours = [FirstSpikeNeuron(threshold, 8, ATan(alpha)) for _ in range(2)]
    torch.manual_seed(0)
    layers = [nn.Linear(12, 20, dtype=dtype), nn.Linear(20, 5, dtype=dtype)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(4)
    inputs = random_currents(8, 6, 12, dtype=dtype)
    upstream = random_currents(8, 6, 5, seed=1, dtype=dtype)

    def run(neurons: list[Any]) -> tuple[list[Tensor], list[Tensor]]:
        trains, x = [], inputs
        for layer, neuron in zip(layers, neurons, strict=True):
            x = neuron(layer(x))
            trains.append(x)
        weights = [p for layer in layers for p in layer.parameters()]
        return trains, list(torch.autograd.grad(x, weights, upstream))

    (spikes, gradients), (expected, expected_gradients) = run(ours), run(theirs)
    for mine, other in zip(spikes, expected, strict=True):
        assert 0.1 < other.sum(0).mean() < 0.95
        assert torch.equal(mine, other)
    for mine, other in zip(gradients, expected_gradients, strict=True):
        assert other.any()
        assert torch.allclose(mine, other, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-5 * float(other.abs().max()))


# ---- bad input --------------------------------------------------------------------------------------------------------


def test_one_step_carries_no_time() -> None:
    with pytest.raises(ValueError, match="at least 2 timesteps: one step carries no time"):
        FirstSpikeNeuron(1.0, 1)


@pytest.mark.parametrize("shape", [(3, 2, 5), (5, 2), (0, 2), ()])
def test_currents_of_another_number_of_steps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected currents \[T=4, ...\] or \[1, ...\], got a tensor of shape"):
        FirstSpikeNeuron(1.0, 4)(torch.zeros(shape))


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("step", [0, 3])
def test_nan_is_no_silence(step: int, forced: bool) -> None:
    currents = torch.full((4, 2, 5), 0.1)
    neuron = FirstSpikeNeuron(1.0, 4, forced_spike=forced)
    neuron(currents)
    currents[step, 1, 2] = float("nan")
    for run in (neuron, partial(stepped, neuron)):
        with pytest.raises(ValueError, match="the currents contain NaN"):
            run(currents)
    infinite = torch.full((4, 1), float("inf"))
    assert neuron(torch.cat([infinite, -infinite], 1)).sum(0).tolist() == [1, float(forced)]


def test_one_step_too_many() -> None:
    neuron = FirstSpikeNeuron(1.0, 2)
    current = torch.zeros(1, 3)
    state = neuron.start(current)
    _, state = neuron.step(current, state)
    _, state = neuron.step(current, state)
    with pytest.raises(ValueError, match="2 timesteps, got one more"):
        neuron.step(current, state)


def test_repr_names_the_parameters() -> None:
    assert repr(FirstSpikeNeuron(2.0, 4, ATan(3.0))) == "FirstSpikeNeuron(threshold=2, timesteps=4, alpha=3)"
    assert "forced_spike" in repr(FirstSpikeNeuron(1.0, 4, forced_spike=True))
