"""Neurons trained through spike times: by hand, against exact event-driven references, and against the published rules."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.methods.spike_time_layers import (
    BinaryLinear,
    EarliestSpikePool2d,
    LatencyLinear,
    relative_target_loss,
    relative_targets,
    whole_spikes,
)
from benchmarks.methods.spike_time_neuron import SpikeTimeNeuron
from snncore.coding import latency_spikes
from snncore.neurons import FirstSpikeNeuron

quick = settings(deadline=None, derandomize=True, max_examples=60)
eighths = st.integers(-16, 24).map(lambda k: Fraction(k, 8))
POTENTIALS = ("step", "ramp")


def spike_times(spikes: Tensor) -> Tensor:
    """Step of the first spike, ``[B, ...]`` from trains ``[T, B, ...]`` of whole spikes; T for a silent neuron."""
    first = spikes.max(0)
    return torch.where(first.values > 0, first.indices, len(spikes)).to(spikes.dtype)


def column(*values: float) -> Tensor:
    """Currents ``[T, 1, 1]`` of one neuron."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def train_of(times: list[int], timesteps: int) -> Tensor:
    """Spikes ``[T, 1, N]``; a time of T is silence."""
    spikes = torch.zeros(timesteps, 1, len(times), dtype=torch.float64)
    for neuron, time in enumerate(times):
        if time < timesteps:
            spikes[time, 0, neuron] = 1
    return spikes


def exact_crossing(times: list[int], weights: list[Fraction], threshold: Fraction, end: int) -> Fraction | None:
    """First t at which ``sum w max(t - t_j, 0)`` reaches the threshold, by going from one input spike to the next."""
    potential = slope = Fraction(0)
    for now, after in pairwise([*sorted({t for t in times if t < end}), end]):
        slope += sum(w for t, w in zip(times, weights, strict=True) if t == now)
        if slope > 0 and potential + slope * (after - now) >= threshold:
            return now + (threshold - potential) / slope
        potential += slope * (after - now)
    return None


@pytest.mark.parametrize(
    ("postsynaptic", "threshold", "currents", "time"),
    [
        ("step", 1.0, (0.5, 0.5, 0.5, 0.5), 1),
        ("step", 1.0, (0.5, -0.5, 0.5, 0.5), 3),
        ("step", 1.0, (1.0, 0.0, 0.0, 0.0), 0),
        ("step", 1.0, (0.5, 0.25, 0.0, 0.0), 4),
        ("step", 1.0, (1.5, -1.0, 1.0, 0.0), 0),
        ("ramp", 2.0, (1.0, 0.0, 0.0, 0.0), 2),
        ("ramp", 1.5, (1.0, 0.0, 0.0, 0.0), 2),
        ("ramp", 1.5, (1.0, 0.5, 0.0, 0.0), 2),
        ("ramp", 1.5, (0.0, 1.0, 0.0, 0.0), 3),
        ("ramp", 1.5, (0.0, 0.0, 1.0, 9.0), 4),
        ("ramp", 1.0, (2.0, -9.0, 0.0, 0.0), 1),
    ],
)
def test_traces_by_hand(postsynaptic: str, threshold: float, currents: tuple[float, ...], time: int) -> None:
    neuron = SpikeTimeNeuron(threshold, 4, postsynaptic)  # type: ignore[arg-type]
    assert neuron.times(column(*currents)).item() == time
    assert neuron(column(*currents)).flatten().tolist() == [float(t == time) for t in range(4)]


def test_the_exact_crossing_lies_between_two_steps() -> None:
    currents = torch.cat([column(1, 0, 0, 0), column(1, 1, 0, 0), column(0, 0, 0, 0)], dim=2)
    neuron = SpikeTimeNeuron(1.5, 4, "ramp", exact=True)
    assert neuron.times(currents).tolist() == [[1.5, 1.25, 4.0]]
    assert neuron(currents)[:, 0].T.tolist() == [[0, 0.5, 0.5, 0], [0, 0.75, 0.25, 0], [0, 0, 0, 0]]
    assert whole_spikes(neuron(currents))[:, 0].T.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(("current", "time"), [(1.0, 1), (0.5, 2), (0.75, 4 / 3), (1e9, 1e-9), (0.25, 4)])
def test_exact_spikes_on_a_step_and_next_to_one(current: float, time: float) -> None:
    neuron = SpikeTimeNeuron(1.0, 4, "ramp", exact=True)
    spikes = neuron(column(current, 0, 0, 0))
    assert neuron.times(column(current, 0, 0, 0)).item() == pytest.approx(time, rel=1e-12)
    mean = (spikes.flatten() * torch.arange(4)).sum().item()
    assert (spikes.sum().item(), mean) == pytest.approx((1, time) if time < 4 else (0, 0), rel=1e-12)
    assert whole_spikes(spikes).sum() == spikes.sum().round()


@quick
@given(st.integers(0, 10**6))
def test_spread_spikes_give_the_potentials_of_continuous_time(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    timesteps = 9
    neuron = SpikeTimeNeuron(1.0, timesteps, "ramp", exact=True)
    currents = torch.randn(timesteps, 1, 12, generator=generator, dtype=torch.float64)
    weights = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    found = (neuron(currents) @ weights).cumsum(0).cumsum(0)[:-1, 0]  # V[t] = sum over s < t of (t - s) X[s], from t = 1
    times = neuron.times(currents)[0]
    assert not torch.equal(times, times.round())
    for t in range(1, timesteps):
        assert torch.allclose(found[t - 1], (t - times).clamp(min=0) @ weights)


@quick
@given(st.integers(0, 10**6))
def test_gradients_of_exact_times_are_those_of_the_simulation(seed: int) -> None:
    """Against finite differences, through two hidden layers."""
    generator = torch.Generator().manual_seed(seed)
    timesteps = 8
    inputs = latency_spikes(torch.rand(2, 5, generator=generator, dtype=torch.float64), timesteps)
    weights = [torch.rand(shape, generator=generator, dtype=torch.float64) * 1.3 - 0.4 for shape in ((5, 6), (6, 6), (6, 3))]
    neuron = SpikeTimeNeuron(1.0, timesteps, "ramp", slope_floor=1e-9, exact=True)

    def run(*layers: Tensor) -> Tensor:
        train = inputs
        for layer in layers[:-1]:
            train = neuron(train @ layer)
        return neuron.times(train @ layers[-1])

    times = run(*weights)
    weights = [layer.requires_grad_() for layer in weights]
    direction = [torch.randn(layer.shape, generator=generator, dtype=torch.float64) for layer in weights]
    gradients = torch.autograd.grad(run(*weights).sum(), weights)
    slope = sum((gradient * way).sum().item() for gradient, way in zip(gradients, direction, strict=True))
    size = 1e-6
    ahead, behind = (run(*(w + sign * size * way for w, way in zip(weights, direction, strict=True))) for sign in (1, -1))
    if torch.equal(ahead < timesteps, behind < timesteps):  # else a neuron falls silent in between
        kink = (ahead + behind - 2 * times).abs().max() / size
        change = (ahead - behind).detach().sum().item() / (2 * size)
        assert slope == pytest.approx(change, rel=1e-4, abs=1e-4 + kink.item())


@quick
@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 9), eighths), min_size=1, max_size=6), st.integers(1, 60))
def test_times_of_a_ramp_are_the_exact_ones_rounded_up(timesteps: int, inputs: list[tuple[int, Fraction]], threshold: int) -> None:
    times, weights = [min(t, timesteps) for t, _ in inputs], [w for _, w in inputs]
    level = Fraction(threshold, 8)
    expected = exact_crossing(times, weights, level, timesteps - 1)
    currents = train_of(times, timesteps) @ torch.tensor([[float(w)] for w in weights], dtype=torch.float64)
    rounded, exact = (SpikeTimeNeuron(float(level), timesteps, "ramp", exact=each) for each in (False, True))
    if expected is None:
        assert rounded.times(currents).item() == exact.times(currents).item() == timesteps
    else:
        assert rounded.times(currents).item() == -(-expected // 1)
        assert exact.times(currents).item() == pytest.approx(float(expected), abs=1e-12)
        assert torch.equal(whole_spikes(exact(currents)), rounded(currents))


@quick
@given(st.integers(2, 7), st.integers(0, 10**6))
def test_a_step_fires_like_the_surrogate_neuron(timesteps: int, seed: int) -> None:
    currents = torch.randn(timesteps, 2, 5, generator=torch.Generator().manual_seed(seed))
    expected = FirstSpikeNeuron(1.0, timesteps)(currents)
    assert torch.equal(SpikeTimeNeuron(1.0, timesteps)(currents), expected)


@pytest.mark.parametrize("postsynaptic", POTENTIALS)
def test_a_layer_wider_than_a_block_and_of_any_shape(postsynaptic: str) -> None:
    currents = torch.randn(3, 2, 5, 90, 90, generator=torch.Generator().manual_seed(0)).requires_grad_()
    neuron = SpikeTimeNeuron(0.8, 3, postsynaptic)  # type: ignore[arg-type]
    spikes = neuron(currents)
    upstream = torch.randn_like(spikes)
    spikes.backward(upstream)
    part = currents.detach()[:, 1:, 3:].clone().requires_grad_()
    neuron(part).backward(upstream[:, 1:, 3:])
    assert torch.equal(spikes[:, 1:, 3:], neuron(part))
    assert torch.equal(currents.grad[:, 1:, 3:], part.grad)


def two_layers(seed: int, timesteps: int, postsynaptic: str) -> tuple[Tensor, Tensor, Tensor, SpikeTimeNeuron, SpikeTimeNeuron]:
    """Times of inputs, weights of two layers, and their neurons; dyadic, so that float64 is exact."""
    generator = torch.Generator().manual_seed(seed)
    times = torch.randint(0, timesteps - 2, (4,), generator=generator)
    first = torch.randint(-3, 9, (6, 4), generator=generator).double() / 8
    second = torch.randint(-3, 9, (3, 6), generator=generator).double() / 8
    hidden = SpikeTimeNeuron(1.0, timesteps, postsynaptic, slope_floor=1e-9)  # type: ignore[arg-type]
    return times, first, second, hidden, SpikeTimeNeuron(1.0, timesteps, postsynaptic, slope_floor=1e-9)  # type: ignore[arg-type]


@quick
@given(st.integers(0, 10**6))
def test_gradients_of_a_ramp_are_those_of_the_exact_times(seed: int) -> None:
    timesteps = 10
    inputs, first, second, hidden, output = two_layers(seed, timesteps, "ramp")
    first.requires_grad_()
    second.requires_grad_()
    middle = hidden(train_of(inputs.tolist(), timesteps) @ first.T)
    times = output.times(middle @ second.T)
    error = torch.arange(1.0, 4.0, dtype=torch.float64)
    (times * error).sum().backward()
    # Exact times t = (v + sum w t_j) / sum w over the causal inputs, where v is the potential that is reached on the grid.
    v, w = first.detach().clone().requires_grad_(), second.detach().clone().requires_grad_()
    hidden_times = spike_times(middle.detach())[0]

    def exact(weights: Tensor, before: Tensor, after: Tensor) -> Tensor:
        fired = after < timesteps
        causal = weights * (before.detach() < after.unsqueeze(1)) * (before.detach() < timesteps)
        reached = (causal * (after.unsqueeze(1) - before)).sum(1).detach()
        slope = torch.where(fired, causal.sum(1), 1)
        return torch.where(fired, (reached + (causal * before).sum(1)) / slope, timesteps)

    reference = exact(w, exact(v, inputs.double(), hidden_times), times[0].detach())
    assert torch.allclose(reference, times[0])
    (reference * error).sum().backward()
    assert torch.allclose(first.grad, v.grad)
    assert torch.allclose(second.grad, w.grad)


@quick
@given(st.integers(0, 10**6))
def test_gradients_of_a_step_are_the_published_rule(seed: int) -> None:
    timesteps = 6
    inputs, first, second, hidden, output = two_layers(seed, timesteps, "step")
    first.requires_grad_()
    second.requires_grad_()
    middle = hidden(train_of(inputs.tolist(), timesteps) @ first.T)
    times = output.times(middle @ second.T)
    error = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    (times * error).sum().backward()
    before = spike_times(middle.detach())
    delta = error * (times < timesteps)
    causal = ((before[0] <= times[0].unsqueeze(1)) & (before[0] < timesteps)).double()
    assert torch.equal(second.grad, -delta.T * causal)
    passed = delta @ (second.detach() * causal)
    causal = (inputs <= before[0].unsqueeze(1)).double()
    assert torch.equal(first.grad, -passed.T * causal)


def test_a_forced_spike_is_later_than_every_input() -> None:
    currents = column(0.5, 0.0, 0.25).requires_grad_()
    neuron = SpikeTimeNeuron(1.0, 3, "step", forced_spike=True)
    assert not neuron(currents).any()
    neuron.times(currents).sum().backward()
    assert currents.grad.flatten().tolist() == [-1, -1, -1]


def test_the_slope_floor_bounds_the_gradient() -> None:
    currents = column(1.0, -0.999, 0.0, 0.0).requires_grad_()
    SpikeTimeNeuron(1.001, 4, "ramp").times(currents).sum().backward()
    assert currents.grad.flatten().tolist() == pytest.approx([-2 / (1.001 / 4), -1 / (1.001 / 4), 0, 0])


@pytest.mark.parametrize("postsynaptic", POTENTIALS)
def test_unit_error_scales_each_sample(postsynaptic: str) -> None:
    currents = torch.rand(8, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, unit = currents.clone().requires_grad_(), currents.clone().requires_grad_()
    error = torch.tensor([[3.0, 4, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0.5, 0, 0]], dtype=torch.float64)
    for x, scaled in ((plain, False), (unit, True)):
        (SpikeTimeNeuron(1.0, 8, postsynaptic, unit_error=scaled).times(x) * error).sum().backward()  # type: ignore[arg-type]
    factors = torch.tensor([1 / 5, 1, 1 / 0.5], dtype=torch.float64).view(1, 3, 1) / 3
    assert torch.allclose(unit.grad, plain.grad * factors)
    assert not unit.grad[:, 1].any() and unit.grad[:, 0].any()


@quick
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_a_pool_passes_the_earliest_train_of_its_window(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    times = torch.randint(0, 6, (2, 3, 5, 4), generator=generator)
    spikes = torch.stack([times == t for t in range(5)]).double().requires_grad_()
    pooled = EarliestSpikePool2d(size)(spikes)
    assert torch.equal(pooled.sum(0) <= 1, torch.ones_like(pooled[0], dtype=torch.bool))
    earliest = -nn.functional.max_pool2d(-times.double(), size)
    assert torch.equal(spike_times(pooled.detach()), earliest)
    upstream = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    pooled.backward(upstream)
    touched = spikes.grad.abs().sum(0) > 0
    assert touched.sum() == earliest.numel()
    assert torch.allclose(nn.functional.avg_pool2d(spikes.grad.flatten(0, 1), size) * size**2, upstream.flatten(0, 1))


def test_relative_targets_by_hand() -> None:
    times = torch.tensor([[4.0, 6, 9, 20], [5, 4, 20, 20], [20, 20, 20, 20], [19, 20, 18, 20]])
    labels = torch.tensor([0, 0, 1, 3])
    targets = relative_targets(times, labels, margin=3, timesteps=20)
    assert targets.tolist() == [[4, 7, 9, 20], [4, 7, 20, 20], [20, 17, 20, 20], [20, 20, 20, 18]]
    expected = sum([1, 1 + 9, 9, 1 + 4 + 4]) / 400 / 4 / 2
    assert relative_target_loss(times, labels, 3, 20).item() == pytest.approx(expected)


def test_binary_weights_have_one_scale_and_pass_the_gradient_on() -> None:
    layer = BinaryLinear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, -0.25], [0.0, 1.25]]))
    signs, scale = layer.binary()
    assert signs.tolist() == [[1, -1], [1, 1]] and scale.item() == 0.5
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    assert layer(x).tolist() == [[-0.5, 1.5]]
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 2], [1, 2]]
    assert x.grad.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("latency", [False, True])
def test_currents_of_binary_weights_do_not_depend_on_the_order_of_summation(latency: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    layer, turned = BinaryLinear(400, 10, bias=False), BinaryLinear(400, 10, bias=False)
    order = torch.randperm(400, generator=generator)
    x = torch.rand(20, 400, generator=generator).gt(0.6).float()
    with torch.no_grad():
        layer.weight.uniform_(-0.03, 0.05, generator=generator)
        turned.weight.copy_(layer.weight[:, order])
    a, b = (LatencyLinear(each, 4) if latency else each for each in (layer, turned))
    assert torch.equal(a(x), b(x[:, order]))


@pytest.mark.parametrize("kind", [nn.Linear, BinaryLinear])
def test_latency_coded_values_without_trains(kind: type[nn.Linear]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.randint(-20, 140, (5, 12), generator=generator).double() / 120).clamp(min=0)
    x[2] = 0
    layer = kind(12, 4, bias=False).double()
    currents = LatencyLinear(layer, 7)(x)
    upstream = torch.randn(7, 5, 4, generator=generator, dtype=torch.float64)
    (sparse,) = torch.autograd.grad(currents, layer.weight, upstream)
    expected = layer(latency_spikes(x, 7))
    (dense,) = torch.autograd.grad(expected, layer.weight, upstream)
    assert torch.allclose(currents, expected) and torch.allclose(sparse, dense)


@pytest.mark.parametrize("postsynaptic", POTENTIALS)
@pytest.mark.parametrize("kind", [nn.Linear, BinaryLinear])
def test_training_separates_two_patterns(postsynaptic: str, kind: type[nn.Linear]) -> None:
    torch.manual_seed(0)
    labels = torch.arange(16) % 2
    x = 0.6 * torch.rand(16, 12)
    x[labels == 0, :6] += 0.3
    x[labels == 1, 6:] += 0.3
    timesteps = 16
    threshold = 1.0 if postsynaptic == "step" else 6.0
    first, second = kind(12, 20, bias=False), kind(20, 2, bias=False)
    for layer in (first, second):
        nn.init.uniform_(layer.weight, -0.3, 0.6)
    hidden = SpikeTimeNeuron(threshold, timesteps, postsynaptic)  # type: ignore[arg-type]
    output = SpikeTimeNeuron(threshold, timesteps, postsynaptic, forced_spike=True)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], 0.02)
    best = 10.0
    for _ in range(120):
        times = output.times(second(hidden(LatencyLinear(first, timesteps)(x))))
        loss = nn.functional.cross_entropy(-10.0 / timesteps * times, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        best = min(best, loss.item())
    assert best < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timesteps": 1}, "at least 2 timesteps"),
        ({"timesteps": 4, "threshold": 0.0}, "threshold must be positive"),
        ({"timesteps": 4, "threshold": float("nan")}, "threshold must be positive"),
        ({"timesteps": 4, "postsynaptic": "alpha"}, "unknown postsynaptic potential 'alpha'; known: step, ramp"),
        ({"timesteps": 4, "slope_floor": 0.0}, "slope_floor must be positive"),
        ({"timesteps": 4, "exact": True}, "exact times need the ramp"),
    ],
)
def test_bad_parameters_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpikeTimeNeuron(**({"threshold": 1.0} | arguments))


def test_bad_input_is_refused() -> None:
    neuron = SpikeTimeNeuron(1.0, 4)
    for shape in ((3, 2, 5), (4,), (1, 2)):
        with pytest.raises(ValueError, match=r"expected currents \[T=4, B, ...\]"):
            neuron(torch.zeros(shape))
    with pytest.raises(ValueError, match="margin"):
        relative_targets(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), 0, 4)
    with pytest.raises(ValueError, match="kernel_size"):
        EarliestSpikePool2d(0)
    with pytest.raises(ValueError, match=r"\[T, B, C, H, W\]"):
        EarliestSpikePool2d(2)(torch.zeros(4, 3, 6, 6))
    with pytest.raises(ValueError, match="no bias"):
        LatencyLinear(nn.Linear(3, 2), 4)
    with pytest.raises(ValueError, match=r"expected values \[B, 3\]"):
        LatencyLinear(nn.Linear(3, 2, bias=False), 4)(torch.zeros(2, 4))


@pytest.mark.parametrize("postsynaptic", POTENTIALS)
@pytest.mark.parametrize("step", [0, 3])
def test_nan_is_no_silence(step: int, postsynaptic: str) -> None:
    currents = torch.full((4, 2, 5), 0.1)
    neuron = SpikeTimeNeuron(1.0, 4, postsynaptic)  # type: ignore[arg-type]
    neuron(currents)
    currents[step, 1, 2] = float("nan")
    with pytest.raises(ValueError, match="the currents contain NaN"):
        neuron(currents)


def test_parameters_are_printed() -> None:
    neuron = SpikeTimeNeuron(2.0, 8, "ramp", forced_spike=True)
    assert repr(neuron) == "SpikeTimeNeuron(threshold=2, timesteps=8, ramp, forced_spike)"
