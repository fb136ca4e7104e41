"""The contract of neurons: a step is pure; layouts, updates in place and streaming change the speed, never the spikes."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snncore import IntegrateFireNeuron, MomentumNeuron
from snncore.neurons import FirstSpikeNeuron, SpikingNeuron, blocks
from snncore.neurons.blocks import column_blocks

quick = settings(deadline=None, derandomize=True, max_examples=100)
SEEDS = st.integers(0, 2**16)

NEURONS: dict[str, Callable[[int], SpikingNeuron]] = {
    "TMN": lambda steps: MomentumNeuron.tmn(1.0, steps, precharge=min(1, steps)),
    "TMN, no pre-charge": lambda steps: MomentumNeuron.tmn(1.0, steps, precharge=0),
    "TMN, long pre-charge": lambda steps: MomentumNeuron.tmn(0.7, steps, precharge=steps),
    "no gate": lambda steps: MomentumNeuron(1.0, steps, gate="none"),
    "binary": lambda steps: MomentumNeuron(1.0, steps, ratio=1.0, ternary=False),
    "TMN, saturated": lambda steps: MomentumNeuron(1.0, steps, most=2),
    "TSA, saturated": lambda steps: MomentumNeuron(1.0, steps, 1.5, gate="tsa-relu", most=1),
    "binary, saturated": lambda steps: MomentumNeuron(1.0, steps, ratio=1.0, ternary=False, most=3),
    "TSA": lambda steps: MomentumNeuron.tsa(1.0, steps),
    "TSA, binary": lambda steps: MomentumNeuron(1.0, steps, beta=1.5, precharge=0, ternary=False, gate="tsa-relu"),
    "IF": lambda steps: IntegrateFireNeuron(1.0, steps),
    "OPI": lambda steps: IntegrateFireNeuron(0.3, steps, initial=0.5),
    "IF, hard reset": lambda steps: IntegrateFireNeuron(0.3, steps, reset="hard", current=0.125),
    "few spikes": lambda steps: MomentumNeuron.few_spikes(0.7, steps),
}


def last(x: Tensor) -> Tensor:
    """Channels last in memory."""
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


# [T, B, C, H, W] -> the same values in another layout.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.contiguous(),
    "channels-last steps": last,
    "channels-last with gaps": lambda x: last(torch.cat([x, x], 1))[:, : x.shape[1]],
    "time last": lambda x: x.permute(1, 2, 3, 4, 0).contiguous().permute(4, 0, 1, 2, 3),
    "every second sample": lambda x: torch.stack([x, x], 2).flatten(1, 2)[:, ::2],
    "batch transposed": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
}


def currents(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Eighths in [-2, 2]: thresholds are met exactly now and then."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-16, 17, shape, generator=random).to(dtype) / 8


def stepwise(neuron: SpikingNeuron, z: Tensor) -> Tensor:
    """Spikes by single steps."""
    return run(neuron, z)[0]


def run(neuron: SpikingNeuron, z: Tensor) -> tuple[Tensor, Any]:
    """Spikes by single steps, each of which must leave its arguments alone, and the last state."""
    state, trains = neuron.start(z[0]), []
    for t in range(neuron.code.timesteps + neuron.delay):
        current = z[t] if t < neuron.code.timesteps else None
        before = copy.deepcopy((current, state))
        spikes, after = neuron.step(current, state)
        assert all(torch.equal(a, b) for a, b in zip(tree_leaves((current, state)), tree_leaves(before), strict=True) if isinstance(a, Tensor))
        assert (spikes is None) == (t < neuron.delay)
        trains += [] if spikes is None else [spikes]
        state = after
    return torch.stack(trains), state


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    rank = draw(st.integers(1, 5))
    return tuple(draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank)))


@quick
@given(st.sampled_from(sorted(NEURONS)), st.integers(1, 8), shapes(), st.sampled_from([torch.float32, torch.float64]), SEEDS)
def test_multi_step_single_step_and_inplace_give_the_same_spikes(
    name: str, steps: int, shape: tuple[int, ...], dtype: torch.dtype, seed: int
) -> None:
    neuron = NEURONS[name](steps)
    z = currents((steps, *shape), dtype, seed)
    before = z.clone()
    spikes = neuron(z)
    assert spikes.shape == z.shape
    assert spikes.dtype == dtype
    assert torch.equal(z, before)
    assert torch.equal(stepwise(neuron, z), spikes)
    assert torch.equal(z, before)
    assert torch.equal(neuron(z), spikes)  # no state survives
    overwritten = z.clone()
    assert torch.equal(neuron(overwritten, inplace=True), spikes)


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("name", sorted(NEURONS))
def test_an_update_that_overwrites_its_current_fires_the_spikes_of_pure_steps(name: str, default: bool) -> None:
    neuron, z = NEURONS[name](4), currents((4, 2, 3))
    update = functools.partial(SpikingNeuron.update, neuron) if default else neuron.update
    state, trains = neuron.start(z[0]), []
    for t in range(4 + neuron.delay):
        current = z[t].clone() if t < 4 else None
        spikes, state = update(current, state, current)
        if spikes is not None:
            assert current is None or (spikes is current) != default
            trains.append(spikes)
    assert torch.equal(torch.stack(trains), stepwise(neuron, z))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("name", sorted(NEURONS))
def test_layouts(name: str, layout: str, inplace: bool) -> None:
    neuron = NEURONS[name](4)
    for shape in ((4, 2, 3, 2, 5), (4, 1, 1, 3, 3), (4, 2, 3, 1, 1)):
        z = currents(shape)
        expected = stepwise(neuron, z)
        arranged = LAYOUTS[layout](z)
        assert torch.equal(arranged, z)
        spikes = neuron(arranged, inplace=inplace)
        assert torch.equal(spikes, expected)
        if not inplace:
            assert torch.equal(arranged, z)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", sorted(NEURONS))
def test_a_constant_current_may_be_one_expanded_step(name: str, channels_last: bool) -> None:
    neuron = NEURONS[name](5)
    step = currents((3, 4, 2, 2))
    step = step.contiguous(memory_format=torch.channels_last) if channels_last else step
    before = step.clone()
    expected = stepwise(neuron, step.repeat(5, 1, 1, 1, 1))
    for inplace in (False, True):  # the one step is shared by all: it must not be written to
        assert torch.equal(neuron(step.expand(5, -1, -1, -1, -1), inplace=inplace), expected)
        assert torch.equal(step, before)


def test_inplace_reuses_the_memory_where_it_can_and_keeps_the_layout() -> None:
    neuron = NEURONS["TMN"](4)
    for layout in ("contiguous", "channels-last steps"):
        z = LAYOUTS[layout](currents((4, 2, 3, 5, 5)))
        spikes = neuron(z, inplace=True)
        assert spikes.data_ptr() == z.data_ptr()
        assert spikes.stride() == z.stride()
        z = LAYOUTS[layout](currents((4, 2, 3, 5, 5)))
        fresh = neuron(z)
        assert fresh.data_ptr() != z.data_ptr()
        assert fresh.stride() == z.stride()


@pytest.mark.parametrize("width", [0, 1, 5, 6, 7, 12])
def test_column_blocks_cover_everything_once(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 6)
    covered = [i for block in column_blocks(width, torch.device("cpu")) for i in range(width)[block]]
    assert covered == list(range(width))
    if width:
        assert list(column_blocks(width, torch.device("cuda"))) == [slice(0, width)]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("name", sorted(NEURONS))
def test_the_observer_gets_spikes_and_residual_in_the_shape_of_the_currents(name: str, layout: str) -> None:
    neuron = NEURONS[name](4)
    z = currents((4, 2, 3, 2, 5))
    seen: list[tuple[SpikingNeuron, Tensor, Tensor]] = []
    neuron.observer = lambda *arguments: seen.append(arguments)
    spikes = neuron(LAYOUTS[layout](z))
    _, state = run(neuron, z)
    ((observed, train, residual),) = seen
    assert observed is neuron
    assert torch.equal(train, spikes)
    assert residual.shape == (2, 3, 2, 5)
    assert torch.equal(residual, neuron.residual(state))
    neuron.observer = None
    neuron(z)
    assert len(seen) == 1


@pytest.mark.parametrize("name", sorted(NEURONS))
def test_two_streams_do_not_mix(name: str) -> None:
    neuron = NEURONS[name](3)
    a, b = currents((3, 7), seed=1), currents((3, 7), seed=2)
    states = [neuron.start(a[0]), neuron.start(b[0])]
    trains: list[list[Tensor]] = [[], []]
    for t in range(3 + neuron.delay):
        for stream, z in enumerate((a, b)):
            out, states[stream] = neuron.step(z[t] if t < 3 else None, states[stream])
            if out is not None:
                trains[stream].append(out)
    assert torch.equal(torch.stack(trains[0]), neuron(a))
    assert torch.equal(torch.stack(trains[1]), neuron(b))


def test_an_empty_batch_stays_empty() -> None:
    for make in NEURONS.values():
        assert make(3)(torch.zeros(3, 0, 4)).shape == (3, 0, 4)


def test_gradients_do_not_flow_and_leaves_are_accepted() -> None:
    z = torch.rand(3, 4, requires_grad=True)
    assert not NEURONS["TMN"](3)(z).requires_grad


@pytest.mark.parametrize("make", [MomentumNeuron, MomentumNeuron.few_spikes, IntegrateFireNeuron, FirstSpikeNeuron])
def test_parameters_out_of_range(make: Callable[[Any, Any], nn.Module]) -> None:
    for threshold in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="threshold must be positive and finite"):
            make(threshold, 4)
    for timesteps in (0, -3, 2.0, 2.5, True):
        with pytest.raises(ValueError, match="timesteps must be a whole number"):
            make(1.0, timesteps)


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (5, 2)])
def test_another_number_of_timesteps_is_refused(shape: tuple[int, ...]) -> None:
    for make in NEURONS.values():
        with pytest.raises(ValueError, match=r"expected currents \[T=4, B, ...\], got a tensor of shape"):
            make(4)(torch.zeros(shape))
