"""Conversion of quantised networks by methods that convert any network."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, images, points, quantized_mlp, relative_error
from torch import nn

from snncore import ConversionError, convert, opi, rate, tmn, tsa
from snncore.conversion import RecordedNetwork, calibrate, quantize
from snncore.neurons import MomentumNeuron
from snncore.quantization import ActivationQuantizer, ClipFloorShift, ClippedReLU

quick = settings(deadline=None, derandomize=True, max_examples=3)


ONE_LAYER = (3, 40, 4)


def off_the_ties(network: nn.Sequential) -> nn.Sequential:
    """Shifts currents by a little, since halfway between two levels TMN may round down."""
    with torch.no_grad():
        network[0].bias.add_(1 / 1024)
    return network


@pytest.mark.parametrize(("timesteps", "levels"), [(1, 1), (2, 3), (3, 7), (4, 15), (3, 4), (5, 16), (4, 3)])
@quick
@given(seed=st.integers(0, 2**16))
def test_tmn_gives_the_quantised_network_and_saturates_where_units_are_to_spare(timesteps: int, levels: int, seed: int) -> None:
    network, x = off_the_ties(quantized_mlp(seed, levels, ONE_LAYER)), points(seed)
    assert torch.allclose(convert(network, [x], tmn(), timesteps)(x), network(x), atol=1e-12)


def test_the_threshold_of_tmn_makes_one_unit_of_one_level() -> None:
    neuron = tmn().quantized(2.0, 4, 3)  # type: ignore[misc]
    assert isinstance(neuron, MomentumNeuron)
    assert (neuron.threshold, neuron.delay, neuron.gate, neuron.most) == (2.0 * 7 / 4, 1, "first-spike", 4)
    assert tmn().quantized(2.0, 7, 3).most is None  # type: ignore[misc]


def test_tsa_takes_the_clip_for_its_threshold() -> None:
    network, x = quantized_mlp(1, 4, ONE_LAYER), points(1)
    (neuron,) = convert(network, [x], tsa(), 8).neurons.values()
    assert (neuron.threshold, neuron.beta) == (network[1].clip.item(), 1.5)  # type: ignore[attr-defined]


def test_other_methods_find_their_thresholds_as_ever() -> None:
    network, x = quantized_mlp(1, 4, ONE_LAYER), points(1)
    with torch.no_grad():
        largest = network[:2](x).max().item()
    (neuron,) = convert(network, [x], rate(), 8).neurons.values()
    assert neuron.threshold == pytest.approx(largest, rel=1e-3)
    assert rate().quantized is None
    (neuron,) = convert(network, [x], opi(), 8).neurons.values()
    assert neuron.threshold == network[1].clip.item()


@pytest.mark.parametrize("kind", [ClipFloorShift, ClippedReLU])
@pytest.mark.parametrize("blocks", [["residual", "dense"], ["arithmetic", "pre activation"], ["max pooled branch", "two branches"]])
def test_a_quantised_network_is_the_trained_one_with_other_activations(blocks: list[str], kind: type[ActivationQuantizer]) -> None:
    ann, x = build(blocks, "view", "clamp_min", 3), images(3)
    calibration = calibrate(ann, [x])
    network = quantize(ann, calibration, partial(kind, 255))
    assert isinstance(network, RecordedNetwork) and not network.training
    assert [node.name for node in network.activations] == list(calibration.histograms)
    for node in network.activations:
        assert isinstance(network.quantizer(node), kind)
        assert network.quantizer(node).clip.item() <= calibration.histograms[node.name].maximum * 1.001
    assert relative_error(network(x).detach(), ann(x).detach()) < 0.05
    assert calibration.network.fingerprint is not None
    assert not any(map(calibration.network.quantizer, calibration.network.activations))
    network(x).square().sum().backward()
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in network.parameters())
    bare = quantize(calibration.network, None, partial(kind, 255))
    assert {bare.quantizer(node).clip.item() for node in bare.activations} == {1.0}
    bare.load_state_dict(quantize(ann, calibration, partial(kind, 255)).state_dict())
    assert relative_error(bare(x).detach(), ann(x).detach()) < 0.05
    assert torch.equal(convert(bare, [x], tmn(), 8)(x), convert(quantize(ann, calibration, partial(kind, 255)), [x], tmn(), 8)(x))


def test_quantisers_in_the_network_itself_are_recorded_as_they_are() -> None:
    network, x = quantized_mlp(3, 4), points(4)
    made = calibrate(network, [x]).network
    assert [type(made.quantizer(node)) for node in made.activations] == [ClipFloorShift] * 2
    assert torch.equal(made(x), network(x))
    assert made.quantizer(made.activations[0]) is not network[1]


@pytest.mark.parametrize(("levels", "timesteps", "needed"), [(4, 2, 3), (16, 4, 5), (7, 2, 3), (8, 3, 4)])
def test_levels_that_do_not_fit_into_the_code_are_refused(levels: int, timesteps: int, needed: int) -> None:
    with pytest.raises(ConversionError, match=rf"the network has {levels}; use T = {needed} or more"):
        convert(quantized_mlp(0, levels), [points(0)], tmn(), timesteps)
