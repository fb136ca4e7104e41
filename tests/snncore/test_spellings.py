"""Every operation and every spelling of it: converted, held to the trained network, and on spikes where that can be."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import (
    CLIPPED,
    RELU_GROUPS,
    Recorder,
    Step,
    assert_converts,
    build,
    conv,
    images,
    relative_error,
    trained_output,
)
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from snncore import ConversionError, convert
from snncore.conversion import OperationCounter
from snncore.conversion.operations import ChannelAffine, Synapses

pytestmark = pytest.mark.filterwarnings("ignore:.*no calibration image activates")


# ---- one operation at a time ------------------------------------------------------------------------------------------

CHANNELS = torch.tensor([0.5, -1.0, 2.0, 0.25], dtype=torch.float64).view(4, 1, 1)
SPIKES: dict[str, Any] = {  # what a layer behind them sees
    "stack": lambda y: torch.stack([y, y.flip(3)], 2),
    "concat": lambda y: torch.concat([y, y], 1),
    "concatenate": lambda y: torch.concatenate((y, y), 2),
    "mul by numbers": lambda y: 3 * (y * 0.5).multiply(2),
    "mul per channel": lambda y: y * CHANNELS,
    "div": lambda y: torch.divide(y / 3, 2).div(CHANNELS),
    "true_divide": lambda y: torch.true_divide(y, 4),
    "ones_like": lambda y: y * torch.ones_like(y) * torch.full_like(y, 2.0),
    "constant padding": lambda y: F.pad(y, (1, 0, 2, 1), value=0.0),
    "cropping": lambda y: F.pad(y, (-1, 0, 0, -2)),
    "reflecting padding": lambda y: F.pad(y, (1, 1, 2, 1), mode="reflect"),
    "replicating padding": nn.ReplicationPad2d(1),
    "circular padding": lambda y: F.pad(y, (1, 1, 1, 1), mode="circular"),
    "padded per channel": lambda y: F.pad(y * CHANNELS, (1, 1), value=0.0),
    "padding of channels": lambda y: F.pad(y * CHANNELS, (0, 0, 0, 0, 1, 1)),
    "sum over channels": lambda y: y.sum(1),
    "mean over axes": lambda y: y.mean(axis=(2, 3)),  # type: ignore[call-overload]
    "global pooling by size": lambda y: F.avg_pool2d(y, y.size()[2:]),
    "average pooling by size": lambda y: F.avg_pool2d(y, y.size(2) // 2),
    "average pooling by shape": lambda y: F.avg_pool2d(y, kernel_size=[y.shape[-2] // 3, y.shape[-1]]),
    "max pooling by size": lambda y: F.max_pool2d(y, y.size()[2:]),
    "max pooling by shape": lambda y: F.max_pool2d(y, y.shape[2] // 3, stride=y.shape[3] // 2),
    "adaptive by size": lambda y: F.adaptive_avg_pool2d(y, (y.size(2) // 2, None)),
    "indices of maxima left alone": lambda y: F.max_pool2d(y, 2, return_indices=True)[0],
    "channel shuffle": lambda y: y.view(y.size(0), 2, 2, 6, 6).transpose(1, 2).contiguous().view(y.size(0), -1, 6, 6),
    "channel shuffle by shape": lambda y: y.reshape(y.shape[0], 2, y.shape[1] // 2, *y.shape[2:]).transpose(2, 1).reshape(y.shape),
    "shuffle of amplitudes": lambda y: (y * CHANNELS).view(-1, 2, 2, 6, 6).transpose(1, 2).flatten(1, 2),
    "index of a list": lambda y: y[:, [2, 0, 1]],
    "index_select": lambda y: (y * CHANNELS).index_select(1, torch.tensor([3, 3, 0])),
    "select": lambda y: torch.stack([y.select(1, 2), y[:, -1]], 1),
    "unbind": lambda y: y.unbind(1)[3],
    "narrow and roll": lambda y: y.narrow(2, 1, 4).roll(1, 3).rot90(1, (2, 3)),
    "repeat": lambda y: y.repeat(1, 2, 1, 1).tile(1, 1, 2, 1).repeat_interleave(2, 3),
    "expand": lambda y: y[:, :, None].expand(-1, -1, 2, -1, -1).expand(y.size(0), 4, 2, 6, 6),
    "pixel shuffle": lambda y: F.pixel_unshuffle(F.pixel_shuffle(y, 2), 3),
    "unfold": lambda y: F.unfold(y, 2),
    "swapping axes": lambda y: y.swapaxes(1, 2).swapdims(2, 3).moveaxis(1, 3).mT,
    "unflatten and squeeze": lambda y: y.unflatten(1, (1, 4)).squeeze(1)[..., None].squeeze(-1),
    "viewed like another": lambda y: y.flatten(1).view_as(y.flatten(1)).reshape_as(y).expand_as(y),
    "the batch in every spelling": lambda y: y.view(y.size()[0], -1).view((y.shape[0], -1)).reshape(y.size(0), 12, -1).view(-1, 144),
    "identities": lambda y: y.contiguous().clone().detach().to(y.dtype).cpu().to(y),
}
CURRENTS: dict[str, Any] = {
    "add with alpha": lambda y: torch.add(y, y.flip(2), alpha=2),
    "sub with alpha": lambda y: torch.sub(y, CHANNELS, alpha=0.5),
    "subtract and negate": lambda y: torch.negative(torch.subtract(1, y)) - torch.rsub(y, 2),
    "padding with ones": lambda y: F.pad(y, (1, 1), value=1.0),
    "zeros_like": lambda y: torch.cat([y + torch.zeros_like(y), torch.zeros_like(y)], 1),
    "new_full": lambda y: torch.cat([y, y.new_full((y.size(0), 1, 6, 6), 0.5)], 1),
    "a token of ones": lambda y: torch.cat([torch.ones(y.shape[0], 1, 36, dtype=y.dtype), y.flatten(2)], 1),
    "bilinear": lambda y: F.interpolate(y, scale_factor=2, mode="bilinear"),
    "bilinear with corners": lambda y: F.interpolate(y, size=(9, y.size(3) + 1), mode="bilinear", align_corners=True),
    "bicubic": lambda y: F.interpolate(y, (4, 4), mode="bicubic", antialias=True),
    "area": lambda y: F.interpolate(y, size=(4, 4), mode="area"),
    "uneven windows": lambda y: F.adaptive_avg_pool2d(y, 4),
}


def behind_relu(*functions: Any) -> nn.Module:
    """``functions`` of the spike maps ``[B, 4, 6, 6]`` of a hidden convolution, then a layer, a ReLU and another layer."""

    def forward(self: Any, x: Tensor) -> Tensor:
        maps = F.relu(self.first(x))
        parts = [middle(maps).flatten(1) for middle in (self.middle, *functions[1:])]
        return self.out(F.relu(self.hidden(torch.cat(parts, 1) if functions[1:] else parts[0])))

    parts = {"first": conv(2, 4), "middle": functions[0], "hidden": nn.LazyLinear(5), "out": nn.Linear(5, 3)}
    parts |= {f"middle_{i}": function for i, function in enumerate(functions[1:])}
    network = Step(forward, **parts).double().eval()
    network(images(0))
    return network


def groups(names: Sequence[str], size: int) -> list[Any]:
    """Several that share a network, for speed."""
    return [pytest.param(names[i : i + size], id=", ".join(names[i : i + size])) for i in range(0, len(names), size)]


@pytest.mark.parametrize("names", groups(list(SPIKES), 6))
def test_spikes_stay_spikes(names: list[str]) -> None:
    converted = assert_converts(behind_relu(*(SPIKES[name] for name in names)), images(0))
    assert converted.dense_layers == []
    with OperationCounter(converted) as counts:
        converted(images(0))
    assert counts.current_multiplications == {}


@pytest.mark.parametrize("names", groups(list(CURRENTS), 3))
def test_other_linear_operations_run_on_currents(names: list[str]) -> None:
    converted = assert_converts(behind_relu(*(CURRENTS[name] for name in names)), images(0))
    assert converted.dense_layers == ["linear"]


def test_sums_of_spikes_of_one_amplitude_are_counts_where_layers_read_them() -> None:
    converted = assert_converts(behind_relu(lambda y: y + y.flip(2) + y.flip(3)), images(0))
    assert converted.dense_layers == []
    values = Recorder(converted).run(images(0))
    *_, counts = (values[step.name] for step in converted.steps if step.kind == "spikes" and step.name.startswith("add"))
    assert set(counts.unique().tolist()) > {-1.0, 0.0, 1.0, 2.0}


def test_parts_of_an_image_in_the_first_dimension() -> None:
    """Rows or tokens of an image that share layers, as a batch of their own, which is the output."""

    def forward(self: Any, x: Tensor) -> Tensor:
        b, c, h, w = (y := F.relu(self.first(x))).shape
        rows = F.relu(self.shared(y.transpose(1, 2).reshape(b * h, c * w)))
        return self.out(rows)

    parts = {"first": conv(2, 4), "shared": nn.Linear(24, 5), "out": nn.Linear(5, 3)}
    network = Step(forward, **parts)
    converted = assert_converts(network, images(0))
    more = images(1, count=5)
    assert relative_error(converted(more), trained_output(network, more)) < 0.05


FOLDED: dict[str, Any] = {  # images [B, 4, 6, 6] as batches of their parts, and back
    "rows": (lambda y: y.transpose(1, 2).reshape(y.size(0) * 6, 24), 24, lambda z, b: z.view(b, 6, 5)),
    "channels of one amplitude each": (lambda y: (y * CHANNELS).flatten(2).flatten(0, 1), 36, lambda z, b: z.unflatten(0, (b, 4))),
    "halves": (lambda y: y.reshape(-1, 72), 72, lambda z, b: z.reshape(b, -1)),
}


@pytest.mark.parametrize("name", list(FOLDED))
def test_parts_of_an_image_that_are_folded_into_the_batch_and_back(name: str) -> None:
    fold, width, back = FOLDED[name]

    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(self.shared(fold(F.relu(self.first(x)))))
        y = torch.cat([y, torch.zeros_like(y)[:, :2]], 1)[:, :5]
        return self.out(back(y, x.size(0)).flatten(1))

    network = Step(forward, first=conv(2, 4), shared=nn.Linear(width, 5), out=nn.LazyLinear(3)).double()
    network(images(0))
    converted, more = assert_converts(network, images(1, count=5)), images(1, count=5)
    assert relative_error(converted(more[:2]), trained_output(network, more[:2])) < 2e-3
    parts = 144 // width
    once = []
    for mode in ("multi-step", "single-step"):
        converted.mode = mode  # type: ignore[assignment]
        with OperationCounter(converted) as counts:
            converted(more)
        once.append(counts)
    assert once[0] == once[1]
    assert list(counts.neurons.values()) == [144, parts * 5]
    layer = counts.layers["linear"]
    assert layer.input == ("current" if name.startswith("channels") else "spikes")
    assert (layer.inputs, layer.dense) == (144, 144 * 5 + 5 * parts)
    assert len(layer.accumulates or layer.multiplications) == 14


LAYERS: dict[str, Any] = {
    "transposed": lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
    "transposed, grouped": lambda: nn.ConvTranspose2d(4, 4, 2, groups=2, dilation=2, bias=False),
    "transposed, a series": lambda: nn.Sequential(nn.Flatten(2), nn.ConvTranspose1d(4, 2, 5, 3)),
    "constant matrix": lambda: Step(lambda self, y: y.flatten(1) @ self.w, w=nn.Parameter(torch.zeros(144, 5))),
    "constant matrix over columns": lambda: Step(lambda self, y: torch.matmul(y, self.w), w=nn.Parameter(torch.zeros(6, 5))),
    "addmm": lambda: Step(lambda self, y: torch.addmm(self.b, y.flatten(1), self.w), w=nn.Parameter(torch.zeros(144, 5)), b=nn.Parameter(torch.zeros(5))),
    "mm": lambda: Step(lambda self, y: torch.mm(y.flatten(1), self.w.t()), w=nn.Parameter(torch.zeros(5, 144))),
    "subclass": lambda: type("Own", (nn.Conv2d,), {})(4, 3, 3),
    "standardised weights": lambda: Step(lambda self, y: F.conv2d(y, self.w - self.w.mean((1, 2, 3), True)), w=nn.Parameter(torch.zeros(3, 4, 3, 3))),
    "weight norm": lambda: parametrizations.weight_norm(nn.Conv2d(4, 3, 3)),
    "old weight norm": lambda: nn.utils.weight_norm(nn.Conv2d(4, 3, 3)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Conv2d(4, 3, 3)),
    "old spectral norm": lambda: nn.utils.spectral_norm(nn.Conv2d(4, 3, 3)),
    "pruning": lambda: prune.l1_unstructured(nn.Conv2d(4, 3, 3), "weight", 0.5),
}  # fmt: skip


@pytest.mark.parametrize("names", groups(list(LAYERS), 3))
@pytest.mark.filterwarnings("ignore:.*_norm:FutureWarning", "ignore:.*weight_norm")
def test_layers_whatever_computes_their_weights(names: list[str]) -> None:
    converted = assert_converts(behind_relu(*(LAYERS[name]() for name in names)), images(0))
    layers = [step for step in converted.steps if isinstance(converted.layers[step.name], Synapses)]
    seen = [converted.kind(step.inputs[0]) for step in layers]
    assert seen[: 1 + len(names)] == ["analog", *["spikes"] * len(names)]


def test_hooks_run() -> None:
    network = behind_relu(nn.Conv2d(4, 3, 3))
    network.middle.register_forward_hook(lambda module, inputs, output: output * 3 + inputs[0][:, :3, 1:-1, 1:-1])
    network.first.register_forward_pre_hook(lambda module, inputs: (inputs[0].flip(3) * 2,))
    assert_converts(network, images(0))


@pytest.mark.parametrize("dimension", [0, 1, 2, 3])
def test_operations_on_the_image_itself_run_once(dimension: int) -> None:
    function = [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ReflectionPad2d(1),
        nn.MaxPool2d(2),
        Step(lambda self, x: (x - self.mean) / self.std, mean=torch.tensor([[[0.1]], [[0.2]]]), std=torch.tensor([[[2.0]], [[4.0]]])),
    ][dimension]
    network = nn.Sequential(function, conv(2, 4), nn.ReLU(), conv(4, 2))
    kinds = [step.kind for step in assert_converts(network, images(0)).steps]
    assert kinds.index("spikes") == kinds.count("analog") and kinds[0] == "analog"


# ---- ReLUs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relus", RELU_GROUPS)
def test_every_spelling_of_relu(relus: list[str]) -> None:
    converted = assert_converts(build(["residual", "plain"], "view", relus, 0), images(0))
    assert len(converted.neurons) == 4


# ---- clipped ReLUs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CLIPPED))
def test_clipped_relus_are_neurons_whose_threshold_is_no_more_than_the_bound(name: str) -> None:
    make, bound = CLIPPED[name]
    clip, x = make(), images(0) * 4 * bound
    forward = lambda self, x: self.out(clip(self.second(clip(self.first(x)))).flatten(1))  # noqa: E731
    network = Step(forward, first=conv(2, 4), second=conv(4, 4), out=nn.Linear(144, 3)).double().eval()
    converted = assert_converts(network, x)
    assert list(converted.neurons) == ["clip", "clip_1"] if "clip" in list(converted.neurons) else len(converted.neurons) == 2
    thresholds = [neuron.threshold for neuron in converted.neurons.values()]
    assert thresholds == [bound, bound]  # some activations are clipped
    more = images(1) * 8 * bound
    assert relative_error(converted(more), trained_output(network, more)) < 2e-3


def test_bounds_that_are_no_relu_are_left_alone() -> None:
    for function in (lambda y: y.clamp(-1, 1), lambda y: (y - 1).clamp(max=1.0), lambda y: F.threshold(y, 0.1, 0.0), lambda y: y.clamp(min=0.1)):
        with pytest.raises(ConversionError, match="has no spiking counterpart"):
            convert(behind_relu(function), [images(0)])


# ---- batch norm between spikes and a layer ----------------------------------------------------------------------------


def test_batch_norm_between_spikes_and_a_layer_is_folded_into_amplitudes_and_a_current() -> None:
    """As in DenseNet without its ReLU, or in networks of normalisation after the activation."""

    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.norm1(F.relu(self.first(x)))
        y = self.norm2(self.pool(F.relu(self.second(y))))
        return self.out(self.norm3(F.relu(self.third(y)).flatten(1)))

    parts = {"first": conv(2, 4), "second": conv(4, 4), "third": conv(4, 2, stride=2), "out": nn.Linear(8, 3), "pool": nn.AvgPool2d(2)}
    norms = {"norm1": nn.BatchNorm2d(4), "norm2": nn.BatchNorm2d(4), "norm3": nn.BatchNorm1d(8, affine=False)}
    converted = assert_converts(Step(forward, **parts, **norms), images(0))
    assert converted.dense_layers == []
    assert not any(isinstance(module, ChannelAffine) for module in converted.modules())
    with OperationCounter(converted) as counts:
        converted(images(0))
    assert counts.current_multiplications == {} and list(counts.multiplications) == ["conv2d"]


def test_batch_norm_that_is_also_read_elsewhere() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.norm(F.relu(self.first(x)))
        return self.out((F.relu(self.second(y)) + y).mean((2, 3)))

    parts = {"first": conv(2, 4), "second": conv(4, 4), "out": nn.Linear(4, 3), "norm": nn.BatchNorm2d(4)}
    assert_converts(Step(forward, **parts), images(0))


def test_batch_norm_in_every_spelling() -> None:
    def functional(self: Any, x: Tensor) -> Tensor:
        n = self.norm
        y = F.batch_norm(self.first(x), n.running_mean, n.running_var, n.weight, n.bias, self.training, 0.1, n.eps)
        return self.out(F.relu(y))

    def by_hand(self: Any, x: Tensor) -> Tensor:
        n = self.norm
        scale = n.weight * (n.running_var + n.eps).rsqrt()
        return self.out(F.relu(self.first(x) * scale[:, None, None] + (n.bias - n.running_mean * scale).reshape(1, -1, 1, 1)))

    for forward in (functional, by_hand):
        assert_converts(Step(forward, first=conv(2, 4), norm=nn.BatchNorm2d(4), out=conv(4, 2)), images(0))
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 2)))
    converted = assert_converts(synchronised, images(0))
    assert not any(isinstance(module, ChannelAffine) for module in converted.modules())
