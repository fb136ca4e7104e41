"""What one can keep of a converted network: state dicts, files, copies; and what print shows."""

import io
import re
from typing import Any

import pytest
import torch
from small_networks import Step, build, conv, fill, images
from torch import nn

from snncore import ConversionMethod, MomentumNeuron, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.conversion import Calibration, Maximum, Percentile

BLOCKS = ["residual", "dense", "arithmetic", "max pooled branch", "pre activation"]


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Calibration, Calibration]:
    """A network with two calibrations, of few and of other images."""
    network = build(BLOCKS, "joined", "F.relu", 0)
    first = calibrate(network, [images(0)])
    return network, first, calibrate(first.network, [0.3 * images(5, count=2)])


METHODS: dict[str, ConversionMethod] = {"TMN": tmn(), "TSA": tsa(), "rate": rate(), "OPI": opi(), "binary": tmn(ratio=1.0, ternary=False)}


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
@pytest.mark.parametrize("name", list(METHODS))
def test_a_state_dict_carries_thresholds_and_amplitudes_into_another_conversion(trained: Any, name: str, mode: Any) -> None:
    network, first, second = trained
    one = convert(network, first, METHODS[name], 6, mode)
    other = convert(first.network, second, METHODS[name], 6, mode)
    x = images(1)
    expected = one(x)
    assert not torch.allclose(other(x)[0], expected[0])
    missing = other.load_state_dict(one.state_dict())
    assert not missing.missing_keys and not missing.unexpected_keys
    assert torch.equal(other(x), expected)
    thresholds = [[neuron.threshold for neuron in each.neurons.values()] for each in (one, other)]
    assert thresholds[0] == thresholds[1]
    assert str(other) == str(one)


class OwnNeuron(MomentumNeuron):
    """As TMN's in everything but its name."""


OTHERS: dict[str, tuple[ConversionMethod, int]] = {
    "another T": (tmn(), 5),
    "another code": (rate(), 6),
    "another beta": (tsa(beta=1.2), 6),
    "another kind of neuron": (ConversionMethod("own", OwnNeuron), 6),
    "binary neurons": (tmn(ratio=1.0, ternary=False), 6),
    "few-spikes neurons": (ConversionMethod("FS", MomentumNeuron.few_spikes), 6),
    "another pre-charge": (tmn(precharge=3), 6),
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_a_state_dict_of_another_conversion_is_refused_in_one_line(trained: Any, name: str) -> None:
    network, first, _ = trained
    method, timesteps = OTHERS[name]
    state = convert(network, first, tmn(), 6).state_dict()
    other = convert(network, first, method, timesteps)
    before = other(images(0))
    with pytest.raises((ValueError, RuntimeError), match=r"state dict") as caught:
        other.load_state_dict(state)
    assert "\n" not in str(caught.value)
    if name == "another T":
        assert re.search(r"T = 6.*T = 5.*convert with the same method and timesteps first", str(caught.value))
    assert {neuron.threshold for neuron in other.neurons.values()} == {n.threshold for n in convert(network, first, method, timesteps).neurons.values()}
    assert before.shape == other(images(0)).shape


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_files_keep_everything(trained: Any, mode: Any) -> None:
    network, first, _ = trained
    for method in (tmn(), tsa(), opi()):
        converted = convert(network, first, method, 5, mode)
        file = io.BytesIO()
        torch.save(converted, file)
        file.seek(0)
        again: SpikingNetwork = torch.load(file, weights_only=False)
        x = images(2)
        assert torch.equal(again(x), converted(x))
        assert (again.timesteps, again.latency, again.mode, again.code) == (5, converted.latency, mode, converted.code)
        state = io.BytesIO()
        torch.save(converted.state_dict(), state)
        state.seek(0)
        again.load_state_dict(torch.load(state, weights_only=True))
        assert torch.equal(again(x), converted(x))


def test_print_lists_layers_kinds_and_dense_layers() -> None:
    def forward(self: Any, x: torch.Tensor) -> Any:
        y = torch.relu(self.first(x))
        z = torch.relu(self.third(self.second(y)) + y)
        return self.out(self.pool(z).flatten(1)).softmax(1)

    parts = {"first": conv(2, 4), "second": conv(4, 4), "third": conv(4, 4), "pool": nn.AvgPool2d(6), "out": nn.Linear(4, 3)}
    network = fill(Step(forward, **parts).double().eval())
    converted = convert(network, [images(0)], tmn(threshold=Maximum()), 4)
    lines = str(converted).splitlines()
    assert lines[0] == "SpikingNetwork: T = 4, latency 6, 2 layers of neurons"
    assert lines[1].split() == ["layer", "runs", "sees", "puts", "out"]
    rows = {line.split()[0]: line for line in lines[2:-1]}
    assert list(rows) == [step.name for step in converted.steps]
    for name, sees, puts in (
        ("conv2d", "analog", "analog [4, 6, 6]"),
        ("relu", "analog", "spikes [4, 6, 6]"),
        ("conv2d_1", "spikes", "current [4, 6, 6]"),
        ("conv2d_2", "current", "current [4, 6, 6]"),
        ("avg_pool2d", "spikes", "spikes [4, 1, 1]"),
        ("linear", "spikes", "current [3]"),
        ("softmax", "current", "decoded [3]"),
    ):
        assert re.search(rf"  {sees}  +{re.escape(puts)}$", rows[name]), rows[name]
    assert "MomentumNeuron" in rows["relu"] and "weight [4, 4, 3, 3]" in rows["conv2d_1"]
    assert lines[-1] == "layers that see currents at every step, and multiply: conv2d_2"
    assert str(convert(build(["plain"], "mean", "module", 0), [images(0)])).endswith("and multiply: none")


def test_neurons_may_be_given_by_name(trained: Any) -> None:
    network, first, _ = trained
    plain = convert(network, first, tmn(), 6)
    (name, *_) = plain.neurons
    own = tmn(threshold=Percentile(50)).neuron(2 * plain.neurons[name].threshold, 6)
    converted = convert(network, first, tmn(), 6, neurons={name: own})
    assert converted.neurons[name].threshold == 2 * plain.neurons[name].threshold
    others = [key for key in plain.neurons if key != name]
    assert [converted.neurons[key].threshold for key in others] == [plain.neurons[key].threshold for key in others]
    assert not torch.equal(converted(images(0)), plain(images(0)))
