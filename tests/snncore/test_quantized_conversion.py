"""Conversion of quantised networks: held to slow restatements of the published rules, layer by layer and spike by spike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import build, images, multi_step_spikes, relative_error, single_step_spikes
from torch import Tensor, nn

from snncore import ConversionError, ConversionMethod, convert, opi, rate, tmn, tsa

# TODO-MERGE: qcfs, cos, signed_rate, FineTuning and fine_tune_layers come from benchmarks/methods
from snncore.conversion import FineTuning, RecordedNetwork, calibrate, cos, fine_tune_layers, qcfs, quantize, signed_rate
from snncore.neurons import MomentumNeuron
from snncore.quantization import ActivationQuantizer, ClipFloorShift, ClippedReLU, UniformQuantizer

quick = settings(deadline=None, derandomize=True, max_examples=8)
Train = list[list[int]]
Rule = Callable[[list[float], float], list[int]]


def quantized_mlp(seed: int, levels: int, widths: tuple[int, ...] = (3, 6, 5, 4)) -> nn.Sequential:
    """Weights, clips and images in eighths: sums are exact in any order."""
    source = torch.Generator().manual_seed(seed)

    def eighths(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=source, dtype=torch.float64) * scale * 8).round() / 8

    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        linear = nn.Linear(inputs, outputs).double()
        with torch.no_grad():
            linear.weight.copy_(eighths(outputs, inputs))
            linear.bias.copy_(eighths(outputs, scale=0.3))
        clip = 2.0 ** int(torch.randint(-1, 2, (), generator=source))
        layers += [linear, ClipFloorShift(levels, clip)]
    return nn.Sequential(*layers[:-1]).double().eval()


def points(seed: int) -> Tensor:
    return (torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 8).round() / 8


# ---- QCFS, COS and the signed neuron: published rules, one neuron and one step at a time ------------------------------


def qcfs_rule(x: list[float], v: float) -> list[int]:
    """QCFS, Models/layer.py: ``mem = 0.5 v``; ``mem += x``; a spike of size v where ``mem - v >= 0``; ``mem -= spike``."""
    membrane, train = 0.5 * v, []
    for value in x:
        membrane += value
        spike = v if membrane - v >= 0 else 0.0
        membrane -= spike
        train.append(int(spike > 0))
    return train


def cos_rule(rho: int, x: list[float], v: float) -> list[int]:
    """COS, modules.py, ``MPLayer`` with one pass of correction; the potential is in units of v."""
    x = [value / v for value in x]
    membrane, fired, spiking, silent = 0.5, 0, [1000.0], [-1000.0]
    for value in x[:rho]:
        membrane += value
        if membrane >= 1:
            spiking.append(membrane)
            membrane -= 1
            fired += 1
        else:
            silent.append(membrane)
    initial = 0.5
    if membrane < 0 and fired:
        initial -= max(1.0, min(spiking) - 0.999)
    elif membrane >= 1:
        initial += max(1.0, 1.001 - max(silent))
    return qcfs_rule([x[0] + initial - 0.5, *x[1:]], 1.0)


def fast_snn_rule(x: list[float], v: float) -> list[int]:
    """Fast-SNN, models/spiking.py, ``Spiking``."""
    membrane, total, train = 0.5 * v, 0, []
    for value in x:
        membrane += value
        positive = membrane >= v
        membrane -= v * positive
        total += positive
        inhibits = membrane <= -1e-3 and total > 0
        membrane += v * inhibits
        total -= inhibits
        train.append(int(positive) - int(inhibits))
    return train


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
    "COS, rho = 4": (cos(4), partial(cos_rule, 4)),
    "COS, rho = 2": (cos(2), partial(cos_rule, 2)),
    "COS, rho = T": (cos(None), lambda x, v: cos_rule(len(x), x, v)),
    "Fast-SNN": (signed_rate(1e-3), fast_snn_rule),
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
    for node in network.activations:
        clip = network.quantizer(node).clip
        clip.data = torch.exp2(clip.data.log2().round())  # keeps the arithmetic exact
    calibration = calibrate(network, [x])
    for name, (method, _) in PUBLISHED.items():
        converted = convert(network, calibration, method, 5)
        multi = multi_step_spikes(converted, x)
        single, _ = single_step_spikes(converted, x)
        assert all(torch.equal(single[layer], train) for layer, train in multi.items()), name


def test_a_run_gives_every_shorter_one() -> None:
    assert not cos(None).anytime  # its pre-simulation is as long as T
    network, x = quantized_mlp(3, 4), points(4)
    for method in (qcfs(), cos(2), signed_rate()):
        together = convert(network, [x], method, 8)(x, every_step=True)
        for timesteps in (2, 3, 8):
            assert torch.allclose(together[timesteps - 1], convert(network, [x], method, timesteps)(x))


# ---- constant input: the first layer gives its levels exactly ---------------------------------------------------------

ONE_LAYER = (3, 40, 4)


@quick
@given(seed=st.integers(0, 2**16))
def test_rate_codes_give_the_quantised_network_in_as_many_steps_as_levels(seed: int) -> None:
    network, x = quantized_mlp(seed, 4, ONE_LAYER), points(seed)
    calibration = calibrate(network, [x])
    for method in (qcfs(), cos(3), signed_rate()):
        assert torch.equal(convert(network, calibration, method, 4)(x), network(x)), method.name


def off_the_ties(network: nn.Sequential) -> nn.Sequential:
    """Shifts currents by a little, since halfway between two levels TMN may round down."""
    with torch.no_grad():
        network[0].bias.add_(1 / 1024)
    return network


@pytest.mark.parametrize(("timesteps", "levels"), [(1, 1), (2, 3), (3, 7), (4, 15)])
@quick
@given(seed=st.integers(0, 2**16))
def test_tmn_gives_the_quantised_network_where_all_units_are_levels(timesteps: int, levels: int, seed: int) -> None:
    network, x = off_the_ties(quantized_mlp(seed, levels, ONE_LAYER)), points(seed)
    assert torch.allclose(convert(network, [x], tmn(), timesteps)(x), network(x), atol=1e-12)


@pytest.mark.parametrize(("timesteps", "levels"), [(3, 4), (5, 16), (4, 3)])
@quick
@given(seed=st.integers(0, 2**16))
def test_tmn_with_units_to_spare_does_not_clip(timesteps: int, levels: int, seed: int) -> None:
    network, x = off_the_ties(quantized_mlp(seed, levels, ONE_LAYER)), points(seed)
    unit = network[1].clip.item() / levels
    wider = nn.Sequential(network[0], ClipFloorShift(2**timesteps - 1, unit * (2**timesteps - 1)).double(), network[2])
    assert torch.allclose(convert(network, [x], tmn(), timesteps)(x), wider(x), atol=1e-12)


def test_the_threshold_of_tmn_makes_one_unit_of_one_level() -> None:
    neuron = tmn().quantized(2.0, 4, 3)  # type: ignore[misc]
    assert isinstance(neuron, MomentumNeuron)
    assert (neuron.threshold, neuron.delay, neuron.gate) == (2.0 * 7 / 4, 1, "first-spike")


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


# ---- quantised networks from trained ones -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ClipFloorShift, ClippedReLU])
@pytest.mark.parametrize("blocks", [["residual", "dense"], ["arithmetic", "pre-activation"], ["max-pooled branch", "two branches"]])
def test_a_quantised_network_is_the_trained_one_with_other_activations(blocks: list[str], kind: type[ActivationQuantizer]) -> None:
    ann, x = build(blocks, "view", "clamp_min", 3), images(3)
    calibration = calibrate(ann, [x])
    network = quantize(ann, calibration, partial(kind, 255))
    assert isinstance(network, RecordedNetwork) and not network.training
    assert [node.name for node in network.activations] == list(calibration.histograms)
    for node in network.activations:
        assert isinstance(network.quantizer(node), kind)
        assert network.quantizer(node).clip.item() <= calibration.histograms[node.name].maximum * 1.001
    assert relative_error(network(x), ann(x)) < 0.05
    assert calibration.network.fingerprint is not None and not any(calibration.network.quantizer(n) for n in calibration.network.activations)
    network(x).square().sum().backward()
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in network.parameters())
    bare = quantize(calibration.network, None, partial(kind, 255))
    assert {bare.quantizer(node).clip.item() for node in bare.activations} == {1.0}
    bare.load_state_dict(quantize(ann, calibration, partial(kind, 255)).state_dict())
    assert relative_error(bare(x), ann(x)) < 0.05
    assert torch.equal(convert(bare, [x], tmn(), 8)(x), convert(quantize(ann, calibration, partial(kind, 255)), [x], tmn(), 8)(x))


def test_quantisers_in_the_network_itself_are_recorded_as_they_are() -> None:
    network, x = quantized_mlp(3, 4), points(4)
    made = calibrate(network, [x]).network
    assert [type(made.quantizer(node)) for node in made.activations] == [ClipFloorShift] * 2
    assert torch.equal(made(x), network(x))
    assert made.quantizer(made.activations[0]) is not network[1]


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [qcfs(), cos(), signed_rate()], ids=["QCFS", "COS", "QFFS"])
def test_a_plain_relu_is_refused(method: ConversionMethod) -> None:
    network = nn.Sequential(nn.Linear(3, 3), ClipFloorShift(4), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(ConversionError, match=r"^3 \(ReLU\): .* converts networks of quantised activations"):
        convert(network, [torch.rand(2, 3)], method, 4)


@pytest.mark.parametrize(("levels", "timesteps", "needed"), [(4, 2, 3), (16, 4, 5), (7, 2, 3), (8, 3, 4)])
def test_levels_that_do_not_fit_into_the_code_are_refused(levels: int, timesteps: int, needed: int) -> None:
    with pytest.raises(ConversionError, match=rf"the network has {levels}; use T = {needed} or more"):
        convert(quantized_mlp(0, levels), [points(0)], tmn(), timesteps)


def test_too_few_steps_for_the_presimulation_are_refused() -> None:
    with pytest.raises(ValueError, match="presimulation must be a whole number from 1 to timesteps=3"):
        convert(quantized_mlp(0, 4), [points(0)], cos(4), 3)


# ---- layer-wise fine-tuning -------------------------------------------------------------------------------------------


def rates(network: nn.Module, x: Tensor, timesteps: int) -> dict[str, Tensor]:
    converted = convert(network, [x], signed_rate(1e-3), timesteps)
    return {n: s.mean(0) * converted.neurons[n].threshold for n, s in multi_step_spikes(converted, x).items()}


def levels_of(network: nn.Module, x: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda _, __, out: found.append(out.detach()))
        for m in network.modules()
        if isinstance(m, ActivationQuantizer)
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("head", ["flatten", "view", "global pool"])
def test_each_layer_comes_no_further_from_the_quantised_network(head: str) -> None:
    ann, x = build(["plain", "projected residual", "residual"], head, "module", 7), images(8, count=12)
    network = quantize(ann, [x], partial(UniformQuantizer, 2))
    expected = levels_of(network, x)
    neuron = signed_rate(1e-3).quantized
    assert neuron is not None
    tuned = fine_tune_layers(network, [x[:6], x[6:]], neuron, 3, FineTuning(epochs=15, learning_rate=0.05))
    before, after = rates(network, x, 3), rates(tuned, x, 3)
    errors = [
        (float((b - e).square().mean()), float((a - e).square().mean()))
        for b, a, e in zip(before.values(), after.values(), expected, strict=True)
    ]
    assert errors[0] == (0.0, 0.0) or errors[0][0] == errors[0][1]  # the first layer is left alone
    assert errors[1][1] <= errors[1][0]  # tuned on the input that it had before
    assert sum(a for _, a in errors) < sum(b for b, _ in errors)
    assert all(torch.equal(a, b) for a, b in zip(levels_of(network, x), expected, strict=True))  # left as it was


def test_without_training_the_network_stays_as_it_is() -> None:
    network, x = quantized_mlp(2, 3), points(3)
    tuned = fine_tune_layers(network, [x], signed_rate().quantized, 3, FineTuning(epochs=0))  # type: ignore[arg-type]
    assert relative_error(tuned(x), network(x)) == 0


def test_fine_tuning_refuses_what_is_not_quantised_and_no_images() -> None:
    neuron = signed_rate().quantized
    assert neuron is not None
    with pytest.raises(ConversionError, match="fine-tuning needs quantised activations"):
        fine_tune_layers(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)), [points(0)], neuron, 3)
    with pytest.raises(ConversionError, match="no images were given"):
        fine_tune_layers(quantized_mlp(0, 3), [], neuron, 3)
