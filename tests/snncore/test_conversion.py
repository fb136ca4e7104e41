"""Converted networks compute what the trained ones do, on spikes."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import RELUS, Recorder, Step, build, conv, fill, flat, images, layer_of, networks, relative_error
from torch import Tensor, fx, nn

from snncore import ConversionMethod, MomentumNeuron, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.coding import Code
from snncore.conversion import Maximum
from snncore.conversion.calibration import ActivationHistogram
from snncore.conversion.operations import SumPool, Total
from snncore.conversion.rewriting import CONVOLUTIONS, ChannelAffine

pytestmark = pytest.mark.filterwarnings("ignore:.*no calibration image activates")
quick = settings(deadline=None, derandomize=True, max_examples=40)


def full_precharge(timesteps: int) -> ConversionMethod:
    """Every neuron sees its whole input before it fires: coding errors are at most half a step."""
    return tmn(precharge=timesteps, threshold=Maximum())


def trained_output(network: nn.Module, x: Tensor) -> Any:
    with torch.no_grad():
        return network(x.clone())


# ---- (a) accuracy -----------------------------------------------------------------------------------------------------


@settings(quick, max_examples=20)
@given(networks(), st.integers(0, 2**16))
def test_any_network_is_approximated_twice_as_well_with_every_step(network: nn.Module, seed: int) -> None:
    x = images(seed)
    expected = trained_output(network, x)
    calibration = calibrate(network, [x])
    coarse, fine = (relative_error(convert(network, calibration, full_precharge(t), t)(x), expected) for t in (8, 16))
    assert coarse < 0.1
    assert fine < 1e-7 or fine < coarse * 2.0**-8 * 16  # thresholds are float32 maxima: 1e-7 is as good as exact


@settings(quick, max_examples=12)
@given(networks(), st.integers(0, 2**16))
def test_the_default_method_and_the_others_agree_with_the_trained_network(network: nn.Module, seed: int) -> None:
    x = images(seed)
    expected = trained_output(network, x)
    calibration = calibrate(network, [x])
    assert relative_error(convert(network, calibration, tmn(2, threshold=Maximum()), 14)(x), expected) < 0.05
    assert relative_error(convert(network, calibration, tsa(3, threshold=Maximum()), 20)(x), expected) < 0.02
    assert relative_error(convert(network, calibration, opi(Maximum()), 256)(x), expected) < 0.1


@pytest.mark.parametrize("method", [method(threshold=Maximum()) for method in (tmn, tsa, rate, opi)], ids=lambda m: m.name)
def test_convergence_of_a_plain_network(method: ConversionMethod) -> None:
    network, x = build(["normalised", "plain"], "mean", "module", seed=3), images(3, count=8)
    calibration = calibrate(network, [x])
    steps = (4, 16, 64) if method.anytime else (4, 8, 12)
    expected = trained_output(network, x)
    coarse, middle, fine = (relative_error(convert(network, calibration, method, t)(x), expected) for t in steps)
    assert coarse > 2 * middle > 4 * fine
    assert fine < 0.05


# ---- (b) spikes only --------------------------------------------------------------------------------------------------


def counts_behind(network: SpikingNetwork, node: fx.Node) -> int:
    """How many spikes of one timestep a value may sum up."""
    layer = layer_of(network, node)
    below = max((counts_behind(network, n) for n in node.all_input_nodes if network.kind(n) == "spikes"), default=1)
    if isinstance(layer, SumPool):
        return below * layer.kernel[0] * layer.kernel[1]
    return below * layer.count if isinstance(layer, Total) else below


@settings(quick, max_examples=20)
@given(networks(), st.integers(0, 2**16), st.sampled_from([tmn(), tsa(), opi()]))
def test_what_is_called_spikes_is_integer_and_what_is_analog_has_no_time(
    network: nn.Module, seed: int, method: ConversionMethod
) -> None:
    x = images(seed)
    converted = convert(network, [x], method, 5)
    recorder = Recorder(converted)
    with torch.no_grad():
        recorder.run(x)
    for node, value in recorder.outputs.items():
        if node.op in ("get_attr", "output") or not isinstance(value, Tensor):
            continue
        kind = converted.kind(node)
        assert value.shape[0] == (3 if kind == "analog" else 15), node
        if kind == "spikes":
            assert torch.equal(value, value.round()), node
            assert value.abs().max() <= counts_behind(converted, node), node


@pytest.mark.parametrize("head", ["flatten", "view", "mean", "two means", "global pool", "joined"])
@pytest.mark.parametrize(
    "blocks",
    [
        ["normalised", "residual", "projected residual", "padded residual"],
        ["plain", "pre-activation", "dense", "average pool", "plain"],
        ["plain", "padded average pool", "two branches", "functional", "shared"],
    ],
    ids=["residual", "dense", "branches"],
)
def test_every_synaptic_layer_but_the_first_sees_spikes_alone(blocks: list[str], head: str) -> None:
    network, x = build(blocks, head, "F.relu", seed=1), images(1)
    converted = convert(network, [x], timesteps=5)
    seen: dict[str, tuple[int, Tensor]] = {}
    analog, layers = [], []
    for node in converted.graph_module.graph.nodes:
        layer = layer_of(converted, node)
        if not isinstance(layer, (*CONVOLUTIONS, nn.Linear, ChannelAffine)):
            continue
        (source,) = node.all_input_nodes
        layers.append(node.name)
        if converted.kind(source) == "analog":
            analog.append(node.name)
            continue

        def keep(_: nn.Module, inputs: tuple[Tensor, ...], name: str = node.name, source: fx.Node = source) -> None:
            seen[name] = counts_behind(converted, source), inputs[0].clone()

        layer.register_forward_pre_hook(keep)
    converted(x)
    assert analog == layers[:1]  # the image
    assert sorted(seen) == sorted(layers[1:])
    for name, (most, spikes) in seen.items():
        assert set(spikes.unique().tolist()) <= set(range(-most, most + 1)), name
    ternary = [spikes for most, spikes in seen.values() if most == 1]
    assert len(ternary) >= 2  # counts only behind a sum pooling
    assert any((spikes < 0).any() for spikes in ternary)


def test_rate_coding_is_binary() -> None:
    network, x = build(["residual", "plain"], "flatten", "module", seed=1), images(1)
    converted = convert(network, [x], rate(), 8)
    recorder = Recorder(converted)
    recorder.run(x)
    trains = [v for n, v in recorder.outputs.items() if converted.kind(n) == "spikes"]
    assert len(trains) >= 3
    assert all(set(train.unique().tolist()) <= {0.0, 1.0} for train in trains)


# ---- (c) the trained network is left alone ----------------------------------------------------------------------------


@settings(quick, max_examples=6)
@given(networks(), st.booleans())
def test_the_trained_network_and_the_images_are_left_alone(network: nn.Module, training: bool) -> None:
    network.train(training)
    x = images(0)
    before, modes = x.clone(), [m.training for m in network.modules()]
    names, state = [n for n, _ in network.named_modules()], {k: v.clone() for k, v in network.state_dict().items()}
    for mode in ("multi-step", "single-step"):
        convert(network, [x], timesteps=3, mode=mode)(x)  # type: ignore[arg-type]
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
    graph = converted.graph_module.graph
    layers = [layer for n in graph.nodes if isinstance(layer := layer_of(converted, n), (nn.Conv2d, nn.Linear))]
    originals = [net[0], net[2], net[5]]
    for i, (layer, original) in enumerate(zip(layers, originals, strict=True)):
        v_below, v = thresholds[i], thresholds[i + 1]
        assert torch.allclose(layer.weight / v, v_below / v * original.weight, rtol=1e-14)
        assert torch.allclose(layer.bias / v, original.bias / v, rtol=1e-14)
    for neuron, activation in zip(converted.neurons.values(), (net[:2], net[:4], net), strict=True):
        sorted_activations = trained_output(activation, x).flatten().numpy()
        assert neuron.threshold == pytest.approx(torch.tensor(sorted_activations).quantile(0.9999).item(), rel=2**-10)


def test_scaling_a_layer_and_its_threshold_together_changes_no_spike() -> None:
    """The factor of a layer is free: dividing weights, bias and threshold by v gives Algorithm 2 to the letter."""
    z = torch.randn(6, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = 0.25
    assert torch.equal(MomentumNeuron.tmn(v, 6)(z), MomentumNeuron.tmn(1.0, 6)(z / v))


# ---- (e) quantised networks are converted without error ---------------------------------------------------------------


class Quantised(nn.Module):
    """Activations are whole multiples of ``unit`` up to ``levels * unit``: integer weights on integer inputs."""

    def __init__(self, seed: int, unit: float) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.first, self.second, self.third = nn.Linear(6, 12), nn.Linear(12, 9), nn.Linear(9, 4)
        for layer in (self.first, self.second, self.third):
            weight = torch.randint(-1, 2, layer.weight.shape, generator=random)
            bias = torch.randint(-2, 3, layer.bias.shape, generator=random)
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias * unit)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.second(F.relu(self.first(x))))
        return self.third(hidden) + hidden[:, :4]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels_bits", [6, 8])
def test_quantised_levels_are_sent_exactly(seed: int, levels_bits: int) -> None:
    """Levels ``k v / (2**T - 1)`` with T = ceil(log2(levels + 1)): no conversion error at all (Quantised ANNs, T = bits)."""
    unit = 0.25
    network = Quantised(seed, unit).double().eval()
    x = torch.randint(-2, 3, (50, 6), generator=torch.Generator().manual_seed(seed)).double() * unit

    def quantiser(histogram: ActivationHistogram, code: Code) -> float:
        assert histogram.maximum <= code.total * unit
        return code.total * unit

    expected = trained_output(network, x)
    converted = convert(network, [x], tmn(precharge=levels_bits, threshold=quantiser), levels_bits)
    assert torch.equal((converted(x) / unit).round() * unit, expected)
    assert torch.allclose(converted(x), expected, rtol=1e-13, atol=1e-13)
    first_layer = nn.Sequential(network.first, nn.ReLU(), network.third.__class__(12, 2).double())
    one_step = convert(first_layer, [x], tmn(threshold=quantiser), levels_bits)  # a constant current needs L = 1 only
    assert torch.allclose(one_step(x), first_layer(x), rtol=1e-12, atol=1e-12)


# ---- families of networks ---------------------------------------------------------------------------------------------


def assert_converts(network: nn.Module, x: Tensor, tolerance: float = 2e-3) -> SpikingNetwork:
    network = network.double().eval()
    fill(network, 0)
    expected = trained_output(network, x)
    for mode in ("multi-step", "single-step"):
        converted = convert(network, [x], full_precharge(14), 14, mode)  # type: ignore[arg-type]
        output = converted(x)
        assert [t.shape for t in flat(output)] == [t.shape for t in flat(expected)]
        assert relative_error(output, expected) < tolerance
    return converted


@pytest.mark.parametrize("spelling", sorted(RELUS))
def test_every_spelling_of_relu(spelling: str) -> None:
    converted = assert_converts(build(["residual", "plain"], "view", spelling, 0), images(0))
    assert len(converted.neurons) == 4


def test_mlp_with_batch_norm_dropout_and_images_viewed_by_their_size() -> None:
    layers = nn.Sequential(nn.Linear(72, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(0.3), nn.Linear(20, 10), nn.ReLU())
    mlp = Step(lambda self, x: self.out(self.layers(x.view(x.size(0), -1))), layers=layers, out=nn.Linear(10, 3))
    converted = assert_converts(mlp, images(0))
    assert not any(isinstance(m, ChannelAffine) for m in converted.modules())  # folded


def test_convolutions_over_time_series() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.norm(self.first(x)))
        y = self.relu(F.conv1d(y, self.weight, stride=2, padding=1) + y[:, :, ::2])
        return self.out(torch.flatten(y.mean(dim=-1, keepdim=True), start_dim=1))

    parts = {"first": nn.Conv1d(2, 6, 3, padding=1), "norm": nn.BatchNorm1d(6), "weight": nn.Parameter(torch.zeros(6, 6, 3))}
    network = Step(forward, **parts, relu=nn.ReLU(inplace=True), out=nn.Linear(6, 3))
    assert_converts(network, torch.rand(4, 2, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1)


def test_grouped_dilated_and_volumetric_convolutions() -> None:
    network = nn.Sequential(
        *(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)),
    )
    assert_converts(network, images(0))
    volume = nn.Sequential(nn.Conv3d(1, 3, 2), nn.BatchNorm3d(3), nn.ReLU(), nn.Conv3d(3, 2, 2), nn.ReLU(), nn.Flatten())
    assert_converts(volume, torch.rand(2, 1, 4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


def test_amplitudes_of_a_concatenation_reach_grouped_convolutions_and_batch_norms() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = torch.cat([self.relu(self.left(x)), self.relu(self.right(x) * 7)], 1)
        return self.relu(self.grouped(y)) + self.relu(self.norm(y))[:, ::2] + self.pool(y)[:, :4]

    parts = {"left": conv(2, 4), "right": conv(2, 4), "grouped": nn.Conv2d(8, 4, 3, padding=1, groups=2)}
    network = Step(forward, **parts, norm=nn.BatchNorm2d(8), pool=nn.AvgPool2d(3, 1, 1), relu=nn.ReLU())
    converted = assert_converts(network, images(0))
    left, right, *_ = (neuron.threshold for neuron in converted.neurons.values())
    assert right > 3 * left


def test_concatenation_of_features_and_along_other_dimensions() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        a, b = self.relu(self.left(x)), self.relu(self.right(x) * 5)
        features = torch.cat([a.flatten(1), torch.flatten(b, 1)], dim=-1)
        wide = torch.cat([a, b, a - b], dim=3)
        return self.out(features) + self.other(wide.mean((2, 3)))

    parts = {"left": conv(2, 3), "right": conv(2, 3), "out": nn.Linear(216, 4), "other": nn.Linear(3, 4)}
    assert_converts(Step(forward, **parts, relu=nn.ReLU()), images(0))


def test_shape_operations() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x))
        b, c, h, w = y.shape
        tokens = y.reshape(b, c, h * w).transpose(1, 2)
        y = self.relu(self.mix(tokens)).permute(0, 2, 1).reshape(b, c, h, w)
        y = F.interpolate(self.shuffle(F.pad(y, (1, 1))), scale_factor=2)
        y = y[:, None].squeeze(1)[..., 1:, :].contiguous().clone()
        return self.out(F.adaptive_avg_pool2d(self.relu(y), 1).squeeze())

    parts = {"conv": conv(2, 4), "mix": nn.Linear(4, 4), "shuffle": nn.ChannelShuffle(2), "out": nn.Linear(4, 3)}
    assert_converts(Step(forward, **parts, relu=nn.ReLU()), images(0))


def test_sizes_other_than_that_of_the_batch() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x)) / x.size(1)
        (b, c), (h, w) = y.shape[:2], y.shape[2:]
        y = self.relu(y.view(x.shape[0], c, -1) * (c / y.shape[1:].numel()) + h).view(y.shape[:1] + (c, h, w))
        y = y.reshape((b, -1)) - y.size()[-1] / y.ndim * self.gain.size(0) / self.gain.abs().shape[0]
        return self.out(torch.reshape(y.view(y.size(0), -1), shape=(y.size(0), c, h * w)).reshape(y.shape))

    gain = nn.Parameter(torch.ones(2))
    network = Step(forward, conv=conv(2, 4), out=nn.Linear(144, 3), relu=nn.ReLU(), gain=gain)
    converted = assert_converts(network, images(0))
    more = images(1, count=7)
    assert relative_error(converted(more), trained_output(network, more)) < 5e-2


SERIES_POOLS: dict[str, Any] = {
    "AvgPool1d": nn.AvgPool1d(2),
    "strided": nn.AvgPool1d(3, stride=2, padding=1),
    "uneven": nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
    "ceil_mode": nn.AvgPool1d(3, 2, ceil_mode=True),
    "F.avg_pool1d": lambda y: F.avg_pool1d(y, 4),
    "F.avg_pool1d with a tuple": lambda y: F.avg_pool1d(y, (3,), stride=(1,), padding=(1,)),
    "AdaptiveAvgPool1d": nn.AdaptiveAvgPool1d(3),
    "uneven adaptive": nn.AdaptiveAvgPool1d(5),
    "F.adaptive_avg_pool1d": lambda y: F.adaptive_avg_pool1d(y, 1),
    "along features": lambda y: F.avg_pool1d(y.flatten(1), 3)[:, None],
}


@pytest.mark.parametrize("name", list(SERIES_POOLS))
def test_average_pooling_of_time_series(name: str) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = torch.cat([self.relu(self.left(x)), self.relu(self.right(x) * 5)], 1)
        return self.pool(y).mean(-1) + self.pool(self.relu(self.left(x)))[:, :1].sum(2)

    parts = {"left": nn.Conv1d(2, 3, 3, padding=1), "right": nn.Conv1d(2, 3, 3, padding=1), "relu": nn.ReLU()}
    network = Step(forward, **parts, pool=copy.deepcopy(SERIES_POOLS[name]))
    x = torch.rand(4, 2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    converted = assert_converts(network, x)
    sums = [module for module in converted.modules() if isinstance(module, SumPool)]
    assert len(sums) == (0 if "uneven" in name or name in ("ceil_mode", "along features") else 2)
    if name in ("AdaptiveAvgPool1d", "F.adaptive_avg_pool1d"):
        with pytest.raises((ValueError, RuntimeError), match="calibrated with feature maps of"):
            converted(x[:, :, :9])


@pytest.mark.parametrize(
    "upsample", [nn.Upsample(scale_factor=2), nn.Upsample(size=(9, 7)), nn.Upsample((5, 5), mode="nearest-exact")], ids=str
)
def test_nearest_upsampling(upsample: nn.Module) -> None:
    network = Step(lambda self, x: self.out(self.up(F.relu(self.conv(x)))), conv=conv(2, 4), up=upsample, out=conv(4, 3))
    converted = assert_converts(network, images(0))
    kinds = {node.name: converted.kind(node) for node in converted.graph_module.graph.nodes}
    assert kinds["up"] == "spikes"


def chunked(y: Tensor) -> tuple[Tensor, Tensor]:
    left, right = y.chunk(2, dim=1)
    return left, right


SPLITS: dict[str, Any] = {
    "chunk": chunked,
    "torch.chunk": lambda y: torch.chunk(y, 2, -3),
    "torch.chunk by keyword": lambda y: torch.chunk(input=y, chunks=2, dim=1),
    "unequal chunks": lambda y: (y.chunk(3, 1)[0], y.chunk(3, 1)[-1]),
    "split": lambda y: y.split(4, 1),
    "split in named sizes": lambda y: y.split([3, 5], dim=1),
    "torch.split by keyword": lambda y: torch.split(tensor=y, split_size_or_sections=y.shape[1] // 2, dim=1),
    "along the rows": lambda y: y.chunk(2, 2),
}


@pytest.mark.parametrize("name", list(SPLITS))
def test_splitting_channels(name: str) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        maps = self.relu(self.conv(x))
        joined = torch.cat([maps[:, ::2], self.relu(self.other(x) * 6)], 1)  # one amplitude per channel
        a, b, c, d = SPLITS[name](maps)[0], SPLITS[name](maps)[1], SPLITS[name](joined)[0], SPLITS[name](joined)[1]
        return torch.cat([part.mean((2, 3)) for part in (a, b, c, d, SPLITS[name](self.conv(x))[1])], 1)

    network = Step(forward, conv=conv(2, 8), other=conv(2, 4), relu=nn.ReLU())
    converted = assert_converts(network, images(0))
    kinds = [converted.kind(node) for node in converted.graph_module.graph.nodes if "chunk" in node.name or "split" in node.name]
    assert {"spikes", "current", "analog"} <= set(kinds)


def test_a_split_network_of_two_paths() -> None:
    """As in ShuffleNet and CSPNet: one half is left alone."""

    def forward(self: Any, x: Tensor) -> Tensor:
        left, right = self.relu(self.first(x)).chunk(2, dim=1)
        return self.out(self.shuffle(torch.cat([left, self.relu(self.second(right))], 1)).sum((2, 3)))

    parts = {"first": conv(2, 8), "second": conv(4, 4), "shuffle": nn.ChannelShuffle(2), "out": nn.Linear(8, 3)}
    converted = assert_converts(Step(forward, **parts, relu=nn.ReLU()), images(0))
    assert len(converted.neurons) == 2


def test_sums_over_dimensions() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x))
        joined = torch.cat([y, self.relu(-self.conv(x) * 3)], 1)
        features = [y.sum((2, 3)), torch.sum(joined, dim=(-1, -2)), joined.sum(1).flatten(1), (y - 1).sum(3, keepdim=True).flatten(1)]
        return self.out(torch.cat(features, 1))

    network = Step(forward, conv=conv(2, 4), out=nn.Linear(4 + 8 + 36 + 24, 3), relu=nn.ReLU())
    converted = assert_converts(network, images(0))
    assert len([module for module in converted.modules() if isinstance(module, Total)]) == 2


@pytest.mark.parametrize("negate", [torch.neg, torch.negative, lambda x: x.neg(), lambda x: x.clone().neg_()])
def test_negation(negate: Any) -> None:
    network = Step(lambda self, x: self.out(F.relu(negate(F.relu(self.conv(x))) + 1)), conv=conv(2, 4), out=conv(4, 3))
    assert_converts(network, images(0))


def test_linear_layers_over_tokens_with_batch_norm_along_dimension_1() -> None:
    """Batch norm of ``[B, C, L]`` normalises C, the linear layer before it acts on L: they must not be folded."""
    network = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU())
    network.append(nn.Linear(6, 3))
    assert_converts(network, torch.rand(5, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def test_per_channel_amplitudes_before_a_linear_layer_over_tokens() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = torch.cat([self.relu(self.first(x)), self.relu(self.first(x) * 6)], 1)  # [B, 2C, L]
        return self.out(self.relu(self.second(y)))

    parts = {"first": nn.Linear(6, 4), "second": nn.Linear(4, 8), "out": nn.Linear(8, 2)}
    x = torch.rand(5, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_converts(Step(forward, **parts, relu=nn.ReLU()), x)


def test_expressions_of_parameters() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x)) * self.gain.exp().view(1, -1, 1, 1) + self.position[:, :, :6].abs()
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self.relu(F.conv2d(y, weight, padding=1) / self.gain.exp()[:, None, None] - self.position[0, :, :1, :1])

    parts = {"gain": torch.zeros(4), "position": torch.zeros(1, 4, 8, 6), "weight": torch.zeros(4, 4, 3, 3)}
    network = Step(forward, conv=conv(2, 4), relu=nn.ReLU(), **{k: nn.Parameter(v) for k, v in parts.items()})
    assert_converts(network, images(0))


def test_calls_by_keyword() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(input=self.conv(input=x), inplace=True)
        pooled = F.avg_pool2d(input=y, kernel_size=2, stride=1, padding=1)[:, :, 1:, 1:]
        y = torch.add(input=pooled, other=torch.mul(y, other=0.5))
        y = torch.cat(tensors=[y, F.relu(input=-y + 1)], dim=1)
        return self.out(input=torch.mean(input=y, dim=(2, 3)))

    assert_converts(Step(forward, conv=conv(2, 4), out=nn.Linear(8, 3)), images(0))


def test_relu_of_a_relu_is_no_second_neuron() -> None:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.ReLU(), nn.Linear(36, 3))
    assert len(assert_converts(network, images(0)).neurons) == 1


def test_a_shared_layer_keeps_one_set_of_weights_in_the_trained_network_and_two_scales_in_the_spiking_one() -> None:
    layer = nn.Linear(5, 5)
    network = Step(lambda self, x: self.layer(F.relu(self.layer(F.relu(self.layer(x))))), layer=layer)
    converted = assert_converts(network, torch.rand(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    weights = [m.weight for m in converted.modules() if isinstance(m, nn.Linear)]
    assert len(weights) == 3
    assert torch.equal(weights[0], layer.weight)
    assert not torch.equal(weights[1], weights[2])


def test_max_pooling_right_behind_the_first_relu() -> None:
    """As in the stem of the torchvision ResNets."""

    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.pool(self.relu(self.norm(self.conv(x))))
        return self.out(torch.flatten(self.relu(self.second(y) + y), 1))

    parts = {"conv": conv(2, 4, bias=False), "norm": nn.BatchNorm2d(4), "second": conv(4, 4), "out": nn.Linear(36, 3)}
    network = Step(forward, **parts, pool=nn.MaxPool2d(3, 2, 1), relu=nn.ReLU(inplace=True))
    converted = assert_converts(network, images(0))
    assert len(converted.neurons) == 2
    layers = {"conv": conv(2, 4), "out": nn.Linear(36, 3)}
    functional = Step(lambda self, x: self.out(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1)), **layers)
    assert_converts(functional, images(0))
    before = nn.Sequential(nn.MaxPool2d(2), conv(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    assert_converts(before, images(0))


def test_outputs_keep_their_structure() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        y = self.relu(self.conv(x))
        return {"features": y, "scores": [self.out(y.mean((2, 3))), (y.flatten(1),)]}

    network = Step(forward, conv=conv(2, 4), out=nn.Linear(4, 3), relu=nn.ReLU())
    converted = assert_converts(network, images(0))
    output = converted(images(0))
    assert list(output) == ["features", "scores"]
    assert isinstance(output["scores"], (list, tuple))
    assert isinstance(output["scores"][1], tuple)


def test_float32_networks() -> None:
    network, x = build(["residual", "plain"], "mean", "module", 0).float(), images(0).float()
    converted = convert(network, [x], full_precharge(12), 12)
    output = converted(x)
    assert output.dtype == torch.float32
    assert relative_error(output, trained_output(network, x)) < 1e-3


def test_channels_last_networks_give_the_same_output() -> None:
    network, x = build(["residual", "two branches", "plain"], "mean", "module", 0), images(0)
    plain = convert(network, [x], timesteps=6)(x)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    y = x.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(convert(last, [y], timesteps=6)(y), plain, rtol=1e-9)


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
    for mode in ("multi-step", "single-step"):
        each = convert(network, [x], timesteps=4, mode=mode)(x, every_step=True)  # type: ignore[arg-type]
        assert each["out"].shape == (4, 3, 3)
        assert each["aux"][0].shape == (4, 3, 4, 36)


def test_latency_counts_the_neurons_on_the_longest_path() -> None:
    x = images(0)
    for precharge in (0, 1, 2, 3):
        residual = convert(build(["residual", "residual"], "view", "module", 0), [x], tmn(precharge), 6)
        assert residual.latency == 6 + 5 * precharge  # two per block and one in the head
        assert residual.timesteps == 6
    assert convert(build(["residual"], "mean", "module", 0), [x], rate(), 9).latency == 9


def test_neurons_are_named_after_their_relu_in_order() -> None:
    converted = convert(build(["plain", "residual"], "view", "module", 0), [images(0)], timesteps=4)
    assert [type(n).__name__ for n in converted.neurons.values()] == ["MomentumNeuron"] * 4
    assert list(converted.neurons) == list(calibrate(build(["plain", "residual"], "view", "module", 0), [images(0)]).histograms)


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_copies_and_pickles_run_as_the_original(mode: Any) -> None:
    network, x = build(["residual", "padded residual"], "joined", "module", 0), images(0)
    converted = convert(network, [x], timesteps=4, mode=mode)
    expected = converted(x)
    file = io.BytesIO()
    torch.save(converted, file)
    file.seek(0)
    for other in (copy.deepcopy(converted), torch.load(file, weights_only=False)):
        assert torch.equal(other(x), expected)
        other.mode = "single-step" if mode == "multi-step" else "multi-step"
        assert torch.allclose(other(x), expected, rtol=1e-12)
        assert other.latency == converted.latency


def test_batches_of_any_size_and_no_gradients() -> None:
    network, x = build(["residual"], "view", "module", 0), images(0, count=4)
    for mode in ("multi-step", "single-step"):
        converted = convert(network, [x], timesteps=4, mode=mode)  # type: ignore[arg-type]
        whole = converted(x)
        assert not whole.requires_grad
        assert not converted.training
        for size in (1, 2, 3):
            parts = torch.cat([converted(part) for part in x.split(size)])
            assert torch.allclose(parts, whole, rtol=1e-9, atol=1e-12)


def test_images_of_another_size_run_where_that_is_well_defined_and_are_refused_where_windows_were_counted() -> None:
    small, large = images(0), images(0, side=9)
    anywhere = Step(lambda self, x: self.last(F.relu(self.first(x))), first=conv(2, 4), last=conv(4, 2)).double().eval()
    fill(anywhere, 0)
    converted = convert(anywhere, [small, large], full_precharge(12), 12)
    assert relative_error(converted(large), trained_output(anywhere, large)) < 1e-3
    for head in ("mean", "two means", "global pool"):
        converted = convert(build(["plain"], head, "module", 0), [small], timesteps=4)
        with pytest.raises((ValueError, RuntimeError), match="calibrated with feature maps of"):
            converted(large)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_networks_on_an_accelerator() -> None:
    for blocks in (["residual", "two branches", "pre-activation"], ["dense", "arithmetic", "adaptive pool"]):
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
