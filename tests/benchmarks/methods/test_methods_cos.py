"""The neuron of COS against a restatement of the published rule, one neuron and one step at a time."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.methods.cos import OffsetSpikeNeuron, cos
from snncore import IntegrateFireNeuron, convert
from snncore.conversion import OperationCounter, quantize
from snncore.conversion.network import Mode
from snncore.quantization import ClipFloorShift

quick = settings(deadline=None, derandomize=True, max_examples=25)


def published(currents: list[float], v: float, rho: int) -> tuple[list[int], float]:
    """Spikes and what is left, in units of the threshold as the published code has them."""
    x = [z / v for z in currents]
    membrane, count = 0.5, 0
    at_spikes, at_silence = [], []
    for value in x[:rho]:
        before = membrane + value
        if before >= 1:
            membrane, count = before - 1, count + 1
            at_spikes.append(before)
        else:
            membrane = before
            at_silence.append(before)
    initial = 0.5
    if membrane < 0 and count > 0:
        initial = 0.5 - max(1.0, min(at_spikes) - 0.999)
    if membrane >= 1:
        initial = 0.5 + max(1.0, 1.001 - max(at_silence, default=-1000.0))
    membrane, spikes = initial, []
    for value in x:
        membrane += value
        spikes.append(int(membrane >= 1))
        membrane -= spikes[-1]
    return spikes, membrane


@quick
@given(st.data())
def test_spikes_are_those_of_the_published_rule(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 12))
    rho = data.draw(st.integers(1, steps))
    v = data.draw(st.sampled_from([1.0, 4.0, 0.25]))  # powers of two: the same floats in both units
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    z = v * (torch.randn(steps, 40, generator=source, dtype=torch.float64) * data.draw(st.sampled_from([0.3, 1.0, 2.0])) + 0.4)
    neuron, left = OffsetSpikeNeuron(v, steps, rho), []
    neuron.observer = lambda _, __, residual: left.append(residual)
    spikes = neuron(z)
    expected = [published(column.tolist(), v, rho) for column in z.T]
    assert spikes.T.int().tolist() == [train for train, _ in expected]
    assert left[0].tolist() == pytest.approx([rest for _, rest in expected], abs=1e-9)


def test_by_hand() -> None:
    """v = 1, two steps, from 1/2.

    +0.9, -1.1: 1.4 fires, 0.4; -0.7, below 0 after a spike. Start at 1/2 - max(1, 1.4 - 0.999) = -1/2: 0.4; -0.7: silent.
    -2, +4: -1.5; 2.5 fires, 1.5, still above v. Start at 1/2 + max(1, 1.001 + 1.5) = 3.001: 1.001 fires; 4.001 fires.
    """
    z = torch.tensor([[0.9, -2.0], [-1.1, 4.0]], dtype=torch.float64)
    assert IntegrateFireNeuron(1, 2, 0.5)(z).T.tolist() == [[1, 0], [0, 1]]
    assert OffsetSpikeNeuron(1, 2, 2)(z).T.tolist() == [[0, 0], [1, 1]]


@quick
@given(st.integers(0, 2**16), st.integers(1, 5))
def test_streaming_gives_the_same_spikes(seed: int, rho: int) -> None:
    steps = 6
    z = torch.randn(steps, 3, 4, generator=torch.Generator().manual_seed(seed)) + 0.3
    neuron = OffsetSpikeNeuron(0.8, steps, rho)
    spikes = neuron(z)
    state, train = neuron.start(z[0]), []
    for t in range(steps + rho):
        out, state = neuron.step(z[t] if t < steps else None, state)
        assert (out is None) == (t < rho)
        assert len(state.waiting) <= rho
        if out is not None:
            train.append(out)
    assert torch.equal(torch.stack(train), spikes)
    assert torch.equal(neuron(z.clone(), inplace=True), spikes)
    constant = z[:1].expand(steps, -1, -1)
    assert torch.equal(neuron(constant), neuron(constant.contiguous()))


@pytest.mark.parametrize("rho", [0, 5, 2.0, True])
def test_bad_presimulation(rho: object) -> None:
    with pytest.raises(ValueError, match="presimulation must be a whole number from 1 to timesteps=4"):
        OffsetSpikeNeuron(1.0, 4, rho)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_presimulation_steps_are_charged(mode: Mode) -> None:
    torch.manual_seed(7)
    net, batch = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), torch.randn(3, 4)
    snn = convert(quantize(net, [batch], partial(ClipFloorShift, 4)), [batch], cos(presimulation=2), 4, mode)
    with OperationCounter(snn) as counts:
        snn(batch)
    (steps,) = (layer.accumulates for layer in counts.layers.values() if layer.input == "spikes")
    assert sum(steps[:2]) > 0 and counts.presimulation == 2
    assert counts.per_image().acs == (sum(steps) + sum(steps[:2])) / 3
    assert counts.per_image().macs == (4 + 2) * (4 * 6 + 6) and counts.per_image("once").macs == 4 * 6 + 6
    assert counts.per_image().updates == (4 + 2) * 6
    papers = counts.total(presimulation=False)
    assert (papers.acs, papers.macs, papers.updates) == (sum(steps), 3 * 4 * (4 * 6 + 6), counts.total().updates)
