"""Rate codes of quantised networks, held to slow restatements of the published rules, layer by layer and spike by spike."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, fired, images, multi_step_spikes, points, quantized_mlp, single_step_spikes
from torch import Tensor, nn

from benchmarks.methods.cos import OffsetSpikeNeuron, cos
from benchmarks.methods.qcfs import qcfs
from benchmarks.methods.signed_rate import SignedIntegrateFireNeuron, signed_rate
from snncore import ConversionError, ConversionMethod, IntegrateFireNeuron, convert
from snncore.conversion import OperationCounter, calibrate, quantize
from snncore.conversion.network import Mode
from snncore.quantization import ActivationQuantizer, ClipFloorShift, UniformQuantizer

quick = settings(deadline=None, derandomize=True, max_examples=15)
more = settings(quick, max_examples=25)
Train = list[list[int]]
Rule = Callable[[list[float], float], list[int]]
ONE_LAYER = (3, 40, 4)


def qcfs_rule(x: list[float], v: float) -> list[int]:
    """QCFS, Models/layer.py: ``mem = 0.5 v``; ``mem += x``; a spike of size v where ``mem - v >= 0``; ``mem -= spike``."""
    membrane, train = 0.5 * v, []
    for value in x:
        membrane += value
        spike = v if membrane - v >= 0 else 0.0
        membrane -= spike
        train.append(int(spike > 0))
    return train


def cos_rule(currents: list[float], v: float, rho: int) -> tuple[list[int], float]:
    """COS, modules.py, ``MPLayer`` with one pass of correction: spikes, and what is left in units of the threshold."""
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


def signed_rule(currents: list[Any], v: Any, margin: Any) -> tuple[list[int], Any]:
    """Fast-SNN, models/spiking.py, ``Spiking``: spikes, and what is left in units of the threshold."""
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


def simulated(network: nn.Sequential, point: Tensor, timesteps: int, rule: Rule) -> list[Train]:
    """Spike trains ``[layer][neuron][t]`` of one image."""
    signal = [point.tolist()] * timesteps  # [t][input]
    trains = []
    for linear, quantizer in zip(network[0::2], network[1::2], strict=False):
        weight, bias, v = linear.weight.tolist(), linear.bias.tolist(), quantizer.clip.item()
        layer = []
        for row, b in zip(weight, bias, strict=True):
            layer.append(rule([sum(w * s for w, s in zip(row, step, strict=True)) + b for step in signal], v))
        signal = [[v * train[t] for train in layer] for t in range(timesteps)]
        trains.append(layer)
    return trains


PUBLISHED: dict[str, tuple[ConversionMethod, Rule]] = {
    "QCFS": (qcfs(), qcfs_rule),
    "COS, rho = 4": (cos(4), lambda x, v: cos_rule(x, v, 4)[0]),
    "COS, rho = 2": (cos(2), lambda x, v: cos_rule(x, v, 2)[0]),
    "COS, rho = T": (cos(None), lambda x, v: cos_rule(x, v, len(x))[0]),
    "Fast-SNN": (signed_rate(1e-3), lambda x, v: signed_rule(x, v, 1e-3)[0]),
}


@quick
@given(seed=st.integers(0, 2**16), timesteps=st.sampled_from([4, 5, 8]))
def test_every_spike_is_that_of_the_published_rule(seed: int, timesteps: int) -> None:
    network, x = quantized_mlp(seed, 4), points(seed + 1)
    calibration = calibrate(network, [x])
    for name, (method, rule) in PUBLISHED.items():
        spikes = multi_step_spikes(convert(network, calibration, method, timesteps), x)
        for image in range(len(x)):
            expected = simulated(network, x[image], timesteps, rule)
            assert [train[:, image].T.int().tolist() for train in spikes.values()] == expected, name


@quick
@given(seed=st.integers(0, 2**16))
def test_streaming_gives_the_same_spikes(seed: int) -> None:
    ann, x = build(["normalised", "residual"], "flatten", "module", seed, exact=True), images(seed, exact=True)
    network = quantize(ann, [x], partial(ClipFloorShift, 4))
    for module in network.modules():
        if isinstance(module, ActivationQuantizer):
            module.clip.data = torch.exp2(module.clip.data.log2().round())  # keeps the arithmetic exact
    calibration = calibrate(network, [x])
    for name, (method, _) in PUBLISHED.items():
        converted = convert(network, calibration, method, 5)
        multi = multi_step_spikes(converted, x)
        single, _ = single_step_spikes(converted, x)
        assert all(torch.equal(single[layer], train) for layer, train in multi.items()), name


@quick
@given(seed=st.integers(0, 2**16))
def test_rate_codes_give_the_quantised_network_in_as_many_steps_as_levels(seed: int) -> None:
    network, x = quantized_mlp(seed, 4, ONE_LAYER), points(seed)
    calibration = calibrate(network, [x])
    for method in (qcfs(), cos(3), signed_rate()):
        assert torch.equal(convert(network, calibration, method, 4)(x), network(x)), method.name


def test_a_quantiser_on_pooled_spikes_keeps_its_neuron() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), ClipFloorShift(4), nn.AvgPool2d(2), UniformQuantizer(2), nn.Flatten(), nn.Linear(8, 3)
    ).eval()
    assert len(convert(network, [torch.rand(3, 1, 4, 4)], qcfs(), 4).neurons) == 2


def test_max_pooling_commutes_with_a_quantiser() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1)
    network = nn.Sequential(conv, ClipFloorShift(4), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(convert(network, [x], qcfs(), 4)(x), network(x), atol=1e-6)


# ---- the neuron of COS ------------------------------------------------------------------------------------------------


@more
@given(st.data())
def test_spikes_of_cos_are_those_of_the_published_rule(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 12))
    rho = data.draw(st.integers(1, steps))
    v = data.draw(st.sampled_from([1.0, 4.0, 0.25]))  # powers of two: the same floats in both units
    source = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    z = v * (torch.randn(steps, 40, generator=source, dtype=torch.float64) * data.draw(st.sampled_from([0.3, 1.0, 2.0])) + 0.4)
    spikes, left = fired(OffsetSpikeNeuron(v, steps, rho), z)
    expected = [cos_rule(column.tolist(), v, rho) for column in z.T]
    assert spikes.T.int().tolist() == [train for train, _ in expected]
    assert left.tolist() == pytest.approx([rest for _, rest in expected], abs=1e-9)


def test_cos_by_hand() -> None:
    """v = 1, two steps, from 1/2.

    +0.9, -1.1: 1.4 fires, 0.4; -0.7, below 0 after a spike. Start at 1/2 - max(1, 1.4 - 0.999) = -1/2: 0.4; -0.7: silent.
    -2, +4: -1.5; 2.5 fires, 1.5, still above v. Start at 1/2 + max(1, 1.001 + 1.5) = 3.001: 1.001 fires; 4.001 fires.
    """
    z = torch.tensor([[0.9, -2.0], [-1.1, 4.0]], dtype=torch.float64)
    assert IntegrateFireNeuron(1, 2, 0.5)(z).T.tolist() == [[1, 0], [0, 1]]
    assert OffsetSpikeNeuron(1, 2, 2)(z).T.tolist() == [[0, 0], [1, 1]]


@more
@given(st.integers(0, 2**16), st.integers(1, 5))
def test_cos_streams_the_same_spikes(seed: int, rho: int) -> None:
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


# ---- the signed neuron ------------------------------------------------------------------------------------------------


@more
@given(st.data())
def test_signed_spikes_and_residual_are_those_of_the_rule_in_rational_arithmetic(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 16))
    v = data.draw(st.sampled_from([Fraction(1), Fraction(3), Fraction(5, 8)]))
    margin = data.draw(st.sampled_from([Fraction(0), v / 8, v / 4]))
    train = st.lists(st.integers(-24, 24).map(lambda k: k * v / 8), min_size=steps, max_size=steps)
    currents = data.draw(st.lists(train, min_size=1, max_size=5))
    neuron = SignedIntegrateFireNeuron(float(v), steps, float(margin))
    z = torch.tensor([[float(value) for value in each] for each in currents], dtype=torch.float64).T.contiguous()
    expected = [signed_rule(each, v, margin) for each in currents]
    spikes, residual = fired(neuron, z)
    assert spikes.T.int().tolist() == [each for each, _ in expected]
    assert residual.tolist() == pytest.approx([float(left) for _, left in expected], abs=1e-12)
    assert torch.equal(neuron(z.clone(), inplace=True), spikes)
    state = neuron.start(z[0])
    for t in range(steps):
        spike, state = neuron.step(z[t], state)
        assert torch.equal(spike, spikes[t])
    assert (spikes.cumsum(0) >= 0).all()


def test_signed_spikes_by_hand() -> None:
    """v = 4 from 2: +3 -> 5, +1, 1; -4 -> -3, -1, 1; -4 -> -3 silent (count 0); +8 -> 5, +1, 1."""
    z = torch.tensor([3.0, -4.0, -4.0, 8.0])[:, None]
    assert SignedIntegrateFireNeuron(4, 4)(z)[:, 0].tolist() == [1, -1, 0, 1]


def test_the_margin_keeps_rounding_noise_silent() -> None:
    z = torch.tensor([0.5, -0.0005 - 0.0001, 0.0])[:, None]  # 1 -> +1, 0; then just below 0
    assert SignedIntegrateFireNeuron(1, 3)(z)[:, 0].tolist() == [1, -1, 0]
    assert SignedIntegrateFireNeuron(1, 3, margin=1e-3)(z)[:, 0].tolist() == [1, 0, 0]


def test_bad_margin() -> None:
    with pytest.raises(ValueError, match="margin must be 0 or more"):
        SignedIntegrateFireNeuron(1.0, 4, margin=-0.1)


# ---- refusals ---------------------------------------------------------------------------------------------------------


class Untouched(list[Tensor]):
    """Calibration images that nobody may look at."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        raise AssertionError("refused too late")


@pytest.mark.parametrize("method", [qcfs(), cos(), signed_rate()], ids=["QCFS", "COS", "QFFS"])
def test_a_plain_relu_is_refused(method: ConversionMethod) -> None:
    network = nn.Sequential(nn.Linear(3, 3), ClipFloorShift(4), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(ConversionError, match=r"^3 \(ReLU\): .* converts networks of quantised activations"):
        convert(network, [torch.rand(2, 3)], method, 4)


def test_too_few_steps_for_the_presimulation_are_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="presimulation must be a whole number from 1 to timesteps=3"):
        convert(quantized_mlp(0, 4), Untouched(), cos(4), 3)
