"""Methods of direct training: found by name, what ETTFS builds, how its options change it, and what it refuses."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.methods import DIRECT_METHODS, direct_method
from benchmarks.methods.direct import SpikingClassifier, time_first_layers
from benchmarks.methods.ettfs import CHOICES, OPTIONS
from benchmarks.methods.spike_time_layers import EarliestSpikePool2d, whole_spikes
from benchmarks.methods.spike_time_neuron import SpikeTimeNeuron
from benchmarks.models.layouts import parse_layout
from snncore.decoding import winner
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, Conv2d, Flatten, MaxPool2d

LAYOUT, SHAPE, CLASSES = "4C3-P2-6C2-P2-12-5", (2, 8, 9), 5
OWN = """
from benchmarks.methods.ettfs import ETTFS

class Own(ETTFS):
    name = "own"

class Unrelated: ...
"""


def built(seed: int = 0, timesteps: int = 6, layout: str = LAYOUT, **options: Any) -> SpikingClassifier:
    method = direct_method("ETTFS")
    network = method.build(layout, SHAPE, CLASSES, timesteps, **options)
    method.initialize(network, torch.Generator().manual_seed(seed), **options)
    return network


def images(count: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


# ---- by name ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIRECT_METHODS)
def test_every_method_says_what_it_is(name: str) -> None:
    found = direct_method(name)
    assert found.name == name and found.reference and found.definition.count(" ") > 5 and isinstance(found.options, dict)


def test_a_method_of_ones_own_by_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_direct_method_under_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_direct_method_under_test", raising=False)
    assert direct_method("own_direct_method_under_test:Own").name == "own"
    with pytest.raises(CannotRun, match="is not a benchmarks.methods.DirectMethod; subclass it"):
        direct_method("own_direct_method_under_test:Unrelated")
    with pytest.raises(CannotRun, match="cannot be imported"):
        direct_method("own_direct_method_under_test:Missing")
    with pytest.raises(CannotRun, match="is not a benchmarks.methods.DirectMethod"):
        direct_method("benchmarks.methods.tmn:TMN")


@pytest.mark.parametrize("name", ["TMN", "STDBP-of-nobody", "ettfs"])
def test_other_names_are_not_available(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"method not available yet: {name}"):
        direct_method(name)


# ---- what is built ----------------------------------------------------------------------------------------------------


def test_a_neuron_follows_every_layer_with_weights() -> None:
    kinds = [type(layer) for layer in built().layers]
    neuron = FirstSpikeNeuron
    assert kinds == [Conv2d, neuron, AvgPool2d, Conv2d, neuron, AvgPool2d, Flatten, nn.Linear, neuron, nn.Linear, neuron]
    shapes = [tuple(p.shape) for p in built().layers.parameters() if p.dim() > 1]
    assert shapes == [(4, 2, 3, 3), (6, 4, 2, 2), (12, 6), (5, 12)]


def test_the_first_linear_layer_takes_what_the_layout_says() -> None:
    for layout in (LAYOUT, "P2-3C2-5", "144-7-5", "144-5"):
        layers = time_first_layers(layout, SHAPE, CLASSES, nn.Identity, AvgPool2d)
        assert layers(torch.zeros(3, 2, *SHAPE)).shape == (3, 2, CLASSES)
        with_weights = [m for m in layers if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(with_weights) == len([each for each in parse_layout(layout, SHAPE, CLASSES) if hasattr(each, "inputs")])


def test_options_reach_every_neuron_and_the_decoder() -> None:
    network = built(threshold=0.7, alpha=3.0, forced_spike=True, mask_gradient=False, decoder="linear", scale=2.0, pooling="max")
    neurons = [m for m in network.layers if isinstance(m, FirstSpikeNeuron)]
    assert len(neurons) == 4
    for neuron in neurons:
        assert (neuron.timesteps, neuron.threshold, neuron.surrogate.alpha) == (6, 0.7, 3.0)
        assert neuron.forced_spike and not neuron.mask_gradient
    assert network.decode.weights.tolist() == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert network.decode.scale == 2.0
    assert [type(m) for m in network.layers if isinstance(m, AvgPool2d | MaxPool2d)] == [MaxPool2d] * 2


@pytest.mark.parametrize("name", DIRECT_METHODS)
def test_answers_are_scores_and_the_classes_that_the_spikes_name(name: str) -> None:
    method = direct_method(name)
    network = method.build("144-9-5", SHAPE, CLASSES, 8)
    method.initialize(network, torch.Generator().manual_seed(1))
    scores, named = network.answers(images())
    currents, spikes = network.output(images())
    assert torch.equal(scores, network(images())) and scores.requires_grad
    assert spikes.sum(0).max() <= 1 + 1e-6
    assert name != "ETTFS" or (torch.equal(scores, network.decode(spikes)) and spikes.any())
    assert torch.equal(named, winner(network.decode(spikes), currents, spikes, forced=name != "ETTFS"))


@pytest.mark.parametrize("name", ["STDBP", "TQ-TTFS"])
def test_the_class_of_exact_output_times_is_the_one_with_the_best_score(name: str) -> None:
    method, options = direct_method(name), {"hidden_weights": [-0.3, 0.5], "output_weights": [-0.25, 0.6]}
    network = method.build("144-30-5", SHAPE, CLASSES, 8, **options)
    method.initialize(network, torch.Generator().manual_seed(1), **options)
    with torch.no_grad():
        scores, named = network.answers(images(40))
        _, spikes = network.output(images(40))
    fires = spikes.amax((0, 2)) > 0
    assert torch.allclose(network.decode(spikes), scores, atol=1e-4)
    assert torch.equal(named[fires], scores[fires].argmax(1))
    steps = whole_spikes(spikes).argmax(0).masked_fill(~spikes.any(0), 8)
    tied = (steps == steps.amin(1, keepdim=True)).sum(1) > 1
    assert (fires & tied).sum() > 5  # classes that only exact times tell apart


@pytest.mark.parametrize("name", ["STDBP", "TQ-TTFS"])
def test_convolutions_trained_through_spike_times(name: str) -> None:
    method, options = direct_method(name), {"fan_in_weights": [4.0, 1.0]}
    network = method.build(LAYOUT, SHAPE, CLASSES, 8, **options)
    method.initialize(network, torch.Generator().manual_seed(1), **options)
    neuron, pool = SpikeTimeNeuron, EarliestSpikePool2d
    kinds = [Conv2d, neuron, pool, Conv2d, neuron, pool, Flatten, nn.Linear, neuron, nn.Linear, neuron]
    assert [type(layer) for layer in network.layers] == kinds
    assert [m.exact for m in network.layers if isinstance(m, neuron)] == [name == "STDBP"] * 3 + [True]
    for layer in (network.layers[3], network.layers[7]):
        fan_in = layer.weight[0].numel()
        assert layer.bias is None
        assert layer.weight.mean().item() == pytest.approx(4 / fan_in, abs=0.3 / fan_in**0.5)
        assert layer.weight.std().item() == pytest.approx(fan_in**-0.5, rel=0.1)
    scores, _ = network.answers(images(20))
    method.loss(scores, torch.arange(20) % CLASSES).backward()
    for layer, weights in network.named_parameters():
        assert weights.grad is not None and weights.grad.any(), layer


@pytest.mark.parametrize("name", ["STDBP", "TQ-TTFS"])
def test_the_bound_of_the_gradient_is_an_option(name: str) -> None:
    def gradients(floor: float) -> list[torch.Tensor]:
        options = {"fan_in_weights": [4.0, 1.0], "slope_floor": floor}
        network = direct_method(name).build("144-20-5", SHAPE, CLASSES, 8, **options)
        direct_method(name).initialize(network, torch.Generator().manual_seed(1), **options)
        scores, _ = network.answers(images(20))
        scores.square().sum().backward()
        return [weights.grad.norm() for weights in network.parameters() if weights.grad is not None]

    for bounded, free in zip(gradients(50.0), gradients(0.01), strict=True):
        assert 0 < bounded < free / 10
    with pytest.raises(CannotRun, match=f"{name}: slope_floor must be positive and finite, got 0"):
        direct_method(name).build("144-20-5", SHAPE, CLASSES, 8, slope_floor=0.0)


@pytest.mark.parametrize("name", ["S4NN", "BS4NN"])
def test_convolutions_that_a_method_does_not_have(name: str) -> None:
    with pytest.raises(NotAvailable, match=f"{name} is available for fully connected networks only, not for {LAYOUT}"):
        direct_method(name).build(LAYOUT, SHAPE, CLASSES, 8)


@pytest.mark.parametrize("name", DIRECT_METHODS)
def test_who_answers_for_a_silent_output_layer(name: str) -> None:
    """Nobody in ETTFS; in methods that take a silent output to fire after the last step, the highest potential."""
    network = direct_method(name).build("144-9-5", SHAPE, CLASSES, 8)
    for weights in network.parameters():
        torch.nn.init.constant_(weights, 1e-4)
    with torch.no_grad():
        currents, spikes = network.output(images())
        named = network.answers(images())[1]
    assert not spikes.any()
    expected = torch.full((7,), -1) if name == "ETTFS" else currents.expand_as(spikes).sum(0).argmax(1)
    assert torch.equal(named, expected)


def test_direct_coding_shows_pixels_and_latency_coding_spikes() -> None:
    x = images()
    assert torch.equal(built().encode(x), x[None])
    latency = built(encoding="latency").encode(x)
    assert latency.shape == (6, *x.shape) and latency.sum(0).max() == 1
    assert torch.equal(built(encoding="latency")(x), built(encoding="latency")(x))


def test_pixels_can_be_standardised() -> None:
    shown = built(mean=0.25, std=0.5).encode(images())
    assert torch.equal(shown, (images()[None] - 0.25) / 0.5)


def test_the_loss_is_the_cross_entropy_of_the_scores() -> None:
    scores, labels = torch.randn(6, CLASSES), torch.tensor([0, 1, 2, 3, 4, 0])
    expected = -torch.stack([row.log_softmax(0)[label] for row, label in zip(scores, labels, strict=True)]).mean()
    assert direct_method("ETTFS").loss(scores, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_every_weight_gets_a_gradient() -> None:
    network = built(timesteps=8, threshold=0.5)
    direct_method("ETTFS").loss(network(images(20)), torch.arange(20) % CLASSES).backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None and weights.grad.any(), name


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poolling": "max"}, f"ETTFS has no option 'poolling'; known: {', '.join(OPTIONS)}"),
        ({"pooling": "sum"}, "pooling must be one of average, max, got 'sum'"),
        ({"initialization": "xavier"}, "initialization must be one of ettfs, kaiming, got 'xavier'"),
        ({"encoding": "rate"}, "encoding must be one of direct, latency, got 'rate'"),
        ({"decoder": "exponential-1"}, "ETTFS: the base of exponential weights must be above 1"),
        ({"decoder": "softmax"}, "ETTFS: unknown decoder 'softmax'; known: "),
        ({"threshold": 0.0}, "ETTFS: threshold must be positive and finite"),
        ({"alpha": -1.0}, "ETTFS: alpha must be positive and finite"),
        ({"scale": 0.0}, "ETTFS: the scale of the outputs must be positive and finite, got 0.0"),
        ({"scale": float("nan")}, "ETTFS: the scale of the outputs must be positive and finite, got nan"),
        ({"std": 0.0}, "ETTFS: mean must be finite and std positive and finite, got 0.0 and 0.0"),
        ({"mean": float("inf")}, "ETTFS: mean must be finite and std positive and finite, got inf and 1.0"),
        ({"mean": 0.5, "encoding": "latency"}, "ETTFS: mean and std are for direct encoding"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRun, match=message.replace("'", ".")):
        direct_method("ETTFS").build(LAYOUT, SHAPE, CLASSES, 6, **options)


@pytest.mark.parametrize(("timesteps", "message"), [(1, "needs at least 2 timesteps: one step carries no time"), (0, "at least 1"), (2.5, "whole number")])
def test_timesteps_that_carry_no_time(timesteps: Any, message: str) -> None:
    with pytest.raises(CannotRun, match=f"ETTFS: .*{message}"):
        direct_method("ETTFS").build(LAYOUT, SHAPE, CLASSES, timesteps)


def test_a_layout_that_does_not_fit() -> None:
    with pytest.raises(CannotRun, match="takes 784 inputs, the images have 144"):
        direct_method("ETTFS").build("784-400-5", SHAPE, CLASSES, 6)


def test_every_choice_is_an_option_with_its_default_first() -> None:
    assert all(OPTIONS[name] == values[0] for name, values in CHOICES.items())
