"""Converted networks compute what the trained ones do, on spikes."""

import copy
import math
from typing import Any

import pytest
import torch
from small_networks import (
    ASSORTED,
    Recorder,
    assorted,
    build,
    conv,
    fill,
    full_precharge,
    images,
    layer_of,
    relative_error,
    trained_output,
)
from torch import nn

from snncore import ConversionMethod, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.conversion import Maximum
from snncore.conversion.operations import ChannelAffine, Operation, Sum, Synapses

pytestmark = pytest.mark.filterwarnings("ignore:.*no calibration image activates")


# ---- (a) accuracy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(ASSORTED))
def test_any_network_is_approximated_twice_as_well_with_every_step(name: str) -> None:
    network, x, calibration = assorted(name)
    expected = trained_output(network, x)
    coarse, fine = (relative_error(convert(network, calibration, full_precharge(t), t)(x), expected) for t in (8, 16))
    assert coarse < 0.1
    assert fine < 1e-7 or fine < coarse * 2.0**-8 * 16  # thresholds are float32 maxima: 1e-7 is as good as exact


@pytest.mark.parametrize("name", list(ASSORTED))
def test_the_default_method_and_the_others_agree_with_the_trained_network(name: str) -> None:
    network, x, calibration = assorted(name)
    expected = trained_output(network, x)
    assert relative_error(convert(network, calibration, tmn(2, threshold=Maximum()), 14)(x), expected) < 0.05
    assert relative_error(convert(network, calibration, tsa(3, threshold=Maximum()), 20)(x), expected) < 0.02
    assert relative_error(convert(network, calibration, opi(Maximum()), 256)(x), expected) < 0.1


# ---- (b) spikes only --------------------------------------------------------------------------------------------------


def counts_behind(network: SpikingNetwork, name: str) -> int:
    """How many spikes of one timestep a value may sum up."""
    steps = {step.name: step for step in network.steps}
    step, layer = steps[name], layer_of(network, name)
    below = [counts_behind(network, n) for n in step.inputs if network.kind(n) == "spikes"]
    if isinstance(layer, Sum) and "pool" in layer.node.operation:
        return below[0] * math.prod(layer.node["kernel_size"])
    if isinstance(layer, Sum):
        return below[0] * math.prod(steps[step.inputs[0]].shape) // math.prod(step.shape)
    if isinstance(layer, Operation) and layer.node.operation == "add":
        return sum(below)
    return max(below, default=1)


@pytest.mark.parametrize("method", [tmn(), tsa(), opi()], ids=lambda m: m.name)
@pytest.mark.parametrize("name", list(ASSORTED))
def test_what_is_called_spikes_is_integer_and_what_is_analog_has_no_time(name: str, method: ConversionMethod) -> None:
    network, x, calibration = assorted(name)
    converted = convert(network, calibration, method, 5)
    outputs = Recorder(converted).run(x)
    assert list(outputs) == [step.name for step in converted.steps] == list(converted.layers)
    shapes = {step.name: step.shape for step in converted.steps}
    for step, value in outputs.items():
        kind = converted.kind(step)
        assert value.shape == (3 if kind == "analog" else 15, *shapes[step]), step
        if kind == "spikes":
            assert torch.equal(value, value.round()), step
            assert value.abs().max() <= counts_behind(converted, step), step


RESIDUALS = ["normalised", "residual", "projected residual", "padded residual"]
DENSE = ["plain", "pre activation", "dense", "average pool", "plain"]
BRANCHES = ["plain", "padded average pool", "two branches", "functional", "shared"]


@pytest.mark.parametrize(
    ("blocks", "head"),
    [
        *((RESIDUALS, "flatten"), (DENSE, "view"), (BRANCHES, "mean")),
        *((RESIDUALS, "two means"), (DENSE, "global pool"), (BRANCHES, "joined")),
    ],
    ids=lambda given: given if isinstance(given, str) else given[1],
)
def test_every_synaptic_layer_but_the_first_sees_spikes_alone(blocks: list[str], head: str) -> None:
    network, x = build(blocks, head, "F.relu", seed=1), images(1)
    converted = convert(network, [x], timesteps=5)
    sources = [step.inputs[0] for step in converted.steps if isinstance(layer_of(converted, step.name), (Synapses, ChannelAffine))]
    assert [converted.kind(source) for source in sources] == ["analog", *["spikes"] * (len(sources) - 1)]
    assert converted.dense_layers == []
    outputs = Recorder(converted).run(x)
    ternary = [outputs[source] for source in sources[1:] if counts_behind(converted, source) == 1]
    assert len(ternary) >= 2  # counts only behind a sum pooling
    assert any((spikes < 0).any() for spikes in ternary)


# ---- (c) the trained network is left alone ----------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", list(ASSORTED)[:3])
def test_the_trained_network_and_the_images_are_left_alone(name: str, training: bool) -> None:
    network = build(*ASSORTED[name], seed=0).train(training)
    x = images(0)
    before, modes = x.clone(), [m.training for m in network.modules()]
    names, state = [n for n, _ in network.named_modules()], {k: v.clone() for k, v in network.state_dict().items()}
    converted = convert(network, [x], timesteps=3)
    for mode in ("multi-step", "single-step"):
        converted.mode = mode  # type: ignore[assignment]
        converted(x)
    assert torch.equal(x, before)
    assert [m.training for m in network.modules()] == modes
    assert [n for n, _ in network.named_modules()] == names
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


# ---- (d) Algorithm 2 --------------------------------------------------------------------------------------------------


def test_weights_are_those_of_algorithm_2_up_to_the_factor_of_the_layer() -> None:
    """``W = v[l-1] / v[l] W^`` and ``b = b^ / v[l]`` for a neuron of threshold 1 (TMN paper, Algorithm 2)."""
    net = nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 5), nn.ReLU()).double()
    fill(net, 0)
    x = images(0, count=5)
    converted = convert(net, [x], timesteps=6)
    thresholds = [1.0, *(neuron.threshold for neuron in converted.neurons.values())]
    layers = [layer for layer in converted.layers.values() if isinstance(layer, Synapses)]
    originals = [net[0], net[2], net[5]]
    for i, (layer, original) in enumerate(zip(layers, originals, strict=True)):
        v_below, v = thresholds[i], thresholds[i + 1]
        assert torch.allclose(layer.weight / v, v_below / v * original.weight, rtol=1e-14)
        assert torch.allclose(layer.bias / v, original.bias / v, rtol=1e-14)
    for neuron, activation in zip(converted.neurons.values(), (net[:2], net[:4], net), strict=True):
        sorted_activations = trained_output(activation, x).flatten().numpy()
        assert neuron.threshold == pytest.approx(torch.tensor(sorted_activations).quantile(0.9999).item(), rel=2**-10)


# ---- the converted network as an object -------------------------------------------------------------------------------


def test_every_step_decodes_prefixes_and_for_rate_coding_each_is_a_shorter_network() -> None:
    network, x = build(["residual"], "mean", "module", 0), images(0)
    calibration = calibrate(network, [x])
    for mode in ("multi-step", "single-step"):
        converted = convert(network, calibration, opi(), 12, mode)  # type: ignore[arg-type]
        each = converted(x, every_step=True)
        assert each.shape == (12, 3, 3)
        assert torch.allclose(each[-1], converted(x), rtol=1e-12)
        for steps in (1, 5, 12):
            assert torch.allclose(each[steps - 1], convert(network, calibration, opi(), steps)(x), rtol=1e-9, atol=1e-12)


def test_every_step_keeps_the_structure_of_the_output() -> None:
    network, x = build(["plain"], "dictionary", "module", 0), images(0)
    calibration = calibrate(network, [x])
    for mode in ("multi-step", "single-step"):
        each = convert(network, calibration, timesteps=4, mode=mode)(x, every_step=True)  # type: ignore[arg-type]
        assert each["out"].shape == (4, 3, 3)
        assert each["aux"][0].shape == (4, 3, 4, 36)


def test_latency_counts_the_neurons_on_the_longest_path() -> None:
    x = images(0)
    calibration = calibrate(build(["residual", "residual"], "view", "module", 0), [x])
    for precharge in (0, 1, 2, 3):
        residual = convert(calibration.network, calibration, tmn(precharge), 6)
        assert residual.latency == 6 + 5 * precharge  # two per block and one in the head
        assert residual.timesteps == 6
    assert convert(build(["residual"], "mean", "module", 0), [x], rate(), 9).latency == 9


def test_batches_of_any_size_and_no_gradients() -> None:
    network, x = build(["residual"], "view", "module", 0), images(0, count=4)
    converted = convert(network, [x], timesteps=4)
    for mode in ("multi-step", "single-step"):
        converted.mode = mode  # type: ignore[assignment]
        whole = converted(x)
        assert not whole.requires_grad
        assert not converted.training
        for size in (1, 2, 3):
            parts = torch.cat([converted(part) for part in x.split(size)])
            assert torch.allclose(parts, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("head", ["flatten", "mean", "global pool"])
def test_images_of_another_size_and_one_without_its_batch_are_refused(head: str) -> None:
    small, large = images(0), images(0, side=9)
    network = build(["plain"], head, "module", 0)
    calibration = calibrate(network, [small])
    modes: tuple[Any, ...] = ("multi-step", "single-step")
    for runs in (*(convert(network, calibration, timesteps=4, mode=mode) for mode in modes), calibration.network):
        for given, message in (
            (large, r"recorded for images \[B, 2, 6, 6\] and got \[3, 2, 9, 9\]; calibrate and convert it with images of this size$"),
            (small[:, :1], r"and got \[3, 1, 6, 6\]"),
            (small[0, 0], r"and got \[6, 6\]"),
            (small[0], r"^got one image \[2, 6, 6\] without the dimension of the batch; pass images\[None\]$"),
        ):
            with pytest.raises(ValueError, match=message) as caught:
                runs(given)
            assert "\n" not in str(caught.value)
    if head == "mean":
        again = convert(network, [large], full_precharge(12), 12)
        assert relative_error(again(large), trained_output(network, large)) < 1e-3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_networks_on_an_accelerator() -> None:
    for blocks in (["residual", "two branches", "pre activation"], ["dense", "arithmetic", "adaptive pool"]):
        network, x = build(blocks, "joined", "module", 0), images(0)
        on_cpu = convert(network, [x], timesteps=6)(x)
        for mode in ("multi-step", "single-step"):
            device = convert(copy.deepcopy(network).cuda(), [x.cuda()], timesteps=6, mode=mode)  # type: ignore[arg-type]
            assert torch.allclose(device(x.cuda()).cpu(), on_cpu, rtol=1e-6)


# ---- SpikingJelly's converter -----------------------------------------------------------------------------------------


def test_as_good_as_the_converter_of_spikingjelly() -> None:
    """Same network, same maximum activations as thresholds, rate coding: both converge to the trained network."""
    ann2snn = pytest.importorskip("spikingjelly.activation_based.ann2snn")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    network = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 4))
    fill(network, 0)
    x = torch.rand(64, 8, generator=torch.Generator().manual_seed(0))
    expected = trained_output(network, x)
    recipe = ann2snn.RateCodingRecipe(dataloader=[(x, torch.zeros(64))], mode="max")
    theirs = ann2snn.Converter(recipe).convert(copy.deepcopy(network)).eval()
    steps = 256
    functional.reset_net(theirs)
    with torch.no_grad():
        mean = sum(theirs(x) for _ in range(steps)) / steps
    their_error = relative_error(mean, expected)
    our_error = relative_error(convert(network, [x], rate(threshold=Maximum()), steps)(x), expected)
    assert their_error < 0.05
    assert our_error < 0.05
    assert math.isclose(our_error, their_error, rel_tol=0.5)
