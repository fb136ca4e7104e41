"""Calibration layer by layer: a rule sees what the finished network does, and what it chooses is what the network runs."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Step, build, conv, fill, images, multi_step_spikes, networks, single_step_spikes, watching
from torch import Tensor, nn

from benchmarks.methods import layerwise, threshold_rule
from benchmarks.methods.layerwise import Layer, LayerRule, LayerwiseMethod, NeuronMaker
from benchmarks.methods.tsc import SwitchEncoder
from snncore import ConversionError, ConversionMethod, IntegrateFireNeuron, SpikingNetwork, calibrate, convert
from snncore.coding import RateCode
from snncore.conversion import activations
from snncore.encoders import InputEncoder

quick = settings(deadline=None, derandomize=True, max_examples=20)
ignore_silent = pytest.mark.filterwarnings("ignore:.*no calibration image activates")


class Seen:
    """A rule that keeps what it sees; thresholds are powers of two, so that sums stay exact."""

    def __init__(self) -> None:
        self.currents: dict[str, Tensor] = {}
        self.activations: dict[str, Tensor] = {}
        self.joined: dict[str, int] = {}

    def __call__(self, layer: Layer) -> NeuronMaker:
        parts = list(layer.batches())
        self.currents[layer.name] = torch.cat([currents for currents, _ in parts], 1)
        self.activations[layer.name] = torch.cat([outputs for _, outputs in parts])
        self.joined[layer.name] = len(layer.joined)
        largest = float(self.currents[layer.name].max())
        return partial(IntegrateFireNeuron, 2.0 ** math.floor(math.log2(largest)) if largest > 0 else 1.0, initial=0.5)


class Own(LayerwiseMethod):
    """A method of that rule; ``steps``: T of the calibration, if not that of the network."""

    name = "own"

    def __init__(self, rule: LayerRule, steps: int | None = None, encoder: Callable[[float, int], InputEncoder] | None = None) -> None:
        self.made, self.own_steps, self.encoder = rule, steps, encoder

    def conversion(self, threshold: Any, **options: Any) -> ConversionMethod:
        return ConversionMethod("own", IntegrateFireNeuron, encoder=self.encoder)

    def rule(self, **options: Any) -> LayerRule:
        return self.made

    def calibrated(self, timesteps: int, **options: Any) -> int:
        return self.own_steps or timesteps


def convert_by(own: Own, network: nn.Module, batches: list[Tensor], timesteps: int) -> SpikingNetwork:
    """Calibrated and converted on the same images."""
    return own.convert(calibrate(network, batches), threshold_rule("maximum"), timesteps, lambda limit: batches)


def currents_of(network: SpikingNetwork, x: Tensor) -> dict[str, Tensor]:
    """Currents ``[T, B, ...]`` of every neuron layer."""
    with watching(network.neurons.values(), inputs=True) as currents:
        network(x)
    return dict(zip(network.neurons, currents, strict=True))


@ignore_silent
@quick
@given(networks(exact=True), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.integers(0, 2**16))
def test_a_rule_sees_what_the_finished_network_does(
    network: nn.Module, timesteps: int, batch: int, encoded: bool, seed: int
) -> None:
    x, seen = images(seed, exact=True), Seen()
    encoder = (lambda _, steps: SwitchEncoder(1.0, steps)) if encoded else None
    calibration, rule = calibrate(network, [x]), threshold_rule("maximum")
    converted = Own(seen, encoder=encoder).convert(calibration, rule, timesteps, lambda limit: x.split(batch))
    expected = currents_of(converted, x)
    assert list(seen.currents) == list(converted.neurons)
    for name, currents in expected.items():
        assert torch.equal(seen.currents[name], currents), name
    trained = activations(calibration.network, x)
    for name, outputs in seen.activations.items():
        assert torch.allclose(outputs, trained[name], rtol=1e-12, atol=1e-12), name


def test_batches_are_cut_so_that_few_steps_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layerwise, "STEPS_AT_ONCE", 8)
    network, sizes = build(["plain", "residual"], "flatten", "module", seed=1), []

    def rule(layer: Layer) -> NeuronMaker:
        sizes.append([currents.shape[:2] for currents, _ in layer.batches()])
        return partial(IntegrateFireNeuron, 1.0)

    convert_by(Own(rule), network, [images(0, 5)], 4)
    assert sizes == [[(4, 2), (4, 2), (4, 1)]] * 3


def test_steps_of_the_calibration_and_of_the_network_can_differ() -> None:
    network, x, seen = build(["plain", "plain"], "flatten", "module", seed=1), images(0), Seen()
    own = Own(seen, steps=6)
    converted = convert_by(own, network, [x], 3)
    assert {currents.shape[0] for currents in seen.currents.values()} == {6}
    assert {neuron.code.timesteps for neuron in converted.neurons.values()} == {3}
    longer = convert_by(own, network, [x], 6)
    for name, currents in currents_of(longer, x).items():
        assert torch.allclose(currents, seen.currents[name])
        assert longer.neurons[name].threshold == converted.neurons[name].threshold


def test_neurons_that_meet_at_sums_are_joined() -> None:
    network, seen = build(["plain", "residual", "residual", "projected residual"], "flatten", "module", seed=1), Seen()
    convert_by(Own(seen), network, [images(0)], 2)
    # The stem and the outputs of two blocks; the neurons inside blocks and those behind a projected shortcut are alone.
    assert list(seen.joined.values()) == [3, 1, 3, 1, 3, 1, 1]


def test_only_trains_that_are_still_read_are_kept() -> None:
    network, x = build(["plain", "residual", "plain", "plain"], "flatten", "module", seed=1), images(0)
    kept: list[int] = []

    def rule(layer: Layer) -> NeuronMaker:
        kept.append(len(engine.trains))
        return partial(IntegrateFireNeuron, 1.0)

    engine = layerwise.LayerwisePass(calibrate(network, [x]), rule, RateCode(2), [x])
    engine.run()
    assert kept == [0, 1, 2, 1, 1]
    assert engine.trains == {} and engine.activations == {}


def test_max_pooling_before_the_first_neuron() -> None:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 3)).double()
    fill(network, 0)
    x, seen = images(1), Seen()
    converted = convert_by(Own(seen), network, [x], 3)
    with torch.no_grad():
        pooled = network[2](network[1](network[0](x)))
    assert torch.allclose(next(iter(seen.activations.values())), pooled)
    for name, currents in currents_of(converted, x).items():
        assert torch.allclose(seen.currents[name], currents)


# ---- potentials and currents per neuron ---------------------------------------------------------------------------------


@ignore_silent
@settings(quick, max_examples=8)
@given(networks(exact=True), st.integers(1, 5), st.integers(0, 2**16))
def test_neurons_with_parameters_of_their_own_stream_the_same_spikes(network: nn.Module, timesteps: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)

    def eighths(*shape: int) -> Tensor:
        return torch.randint(-8, 9, shape, generator=random).double() / 8

    def rule(layer: Layer) -> NeuronMaker:
        shape = next(layer.batches())[1].shape[1:]
        per_channel = eighths(shape[0]).view(-1, *[1] * (len(shape) - 1))
        reset = "hard" if len(layer.name) % 2 else "soft"
        return partial(IntegrateFireNeuron, 2.0, initial=eighths(*shape), reset=reset, current=per_channel)

    x = images(seed, exact=True)
    converted = convert_by(Own(rule), network, [x], timesteps)
    layered = multi_step_spikes(converted, x)
    streamed, _ = single_step_spikes(converted, x)
    assert all(torch.equal(streamed[name], layered[name]) for name in layered)
    assert all(neuron.current is not None for neuron in converted.neurons.values())


# ---- input encoders -----------------------------------------------------------------------------------------------------


def test_a_relu_of_the_encoded_image_is_a_neuron() -> None:
    """Input spikes have signs: they are not what a ReLU lets through as it is."""
    network = Step(lambda self, x: self.out(torch.relu(x).flatten(1)), out=nn.Linear(8, 2)).double()
    fill(network, 0)
    method = ConversionMethod("own", IntegrateFireNeuron, lambda h, _: h.maximum, encoder=SwitchEncoder)
    x = images(0, 4, 2)
    converted = convert(network, [x], method, 4096)
    assert len(converted.neurons) == 1
    assert torch.allclose(converted(x), network(x), atol=1e-2)


def test_a_linear_network_of_encoded_images_decodes_to_the_value_of_the_code() -> None:
    network = nn.Sequential(conv(2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3)).double()
    fill(network, 0)
    x = images(2)
    converted = convert(network, [x], ConversionMethod("own", IntegrateFireNeuron, encoder=SwitchEncoder), 5)
    (currents,) = currents_of(converted, x).values()
    peak = float(x.abs().max())
    rounded = torch.floor(x.abs() / peak * 5 + 0.5) / 5 * peak * x.sign()
    with torch.no_grad():
        assert torch.allclose(currents.mean(0), network[0](rounded))
    assert not torch.allclose(currents[0], currents[4])
    spikes, _ = single_step_spikes(converted, x)
    assert all(torch.equal(train, multi_step_spikes(converted, x)[name]) for name, train in spikes.items())


# ---- bad input ----------------------------------------------------------------------------------------------------------


def never(layer: Layer) -> NeuronMaker:
    raise AssertionError("the long work must not start")


def test_images_are_needed() -> None:
    network, x = build(["plain"], "flatten", "module", seed=1), images(0)
    with pytest.raises(ConversionError, match="got no images; pass batches of training images"):
        Own(never).convert(calibrate(network, [x]), threshold_rule("maximum"), 2, lambda limit: [])


def test_a_network_that_cannot_be_converted_is_refused_before_the_long_work() -> None:
    network = Step(lambda self, x: self.out(torch.sigmoid(torch.relu(self.conv(x)))), conv=conv(2, 3), out=conv(3, 2)).double()
    with pytest.raises(ConversionError, match="needs signed neurons, which own does not have"):
        convert_by(Own(never), network, [images(0)], 2)


def test_a_layer_that_no_image_activates() -> None:
    layer = Layer("dead", 2, None, (), lambda: iter(()))  # type: ignore[arg-type]
    assert layer.positive(0.25) == 0.25
    with pytest.warns(UserWarning, match="dead: no calibration image activates this layer"):
        assert layer.positive(-3.0) == 1.0
