"""Operations that real networks are made of, each converted in both modes and held to the trained network."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import (
    Step,
    assert_converts,
    build,
    conv,
    fill,
    flat,
    full_precharge,
    images,
    relative_error,
    trained_output,
)
from torch import Tensor, nn

from snncore import convert
from snncore.conversion.operations import Sum, Synapses

pytestmark = pytest.mark.filterwarnings("ignore:.*no calibration image activates")


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
    sums = [module for module in converted.modules() if isinstance(module, Sum) and "pool" in module.node.operation]
    assert len(sums) == (0 if "uneven" in name or name in ("ceil_mode", "along features") else 2)
    with pytest.raises(ValueError, match=r"recorded for images \[B, 2, 12\] and got \[4, 2, 9\]; calibrate and convert it with"):
        converted(x[:, :, :9])


@pytest.mark.parametrize(
    "upsample", [nn.Upsample(scale_factor=2), nn.Upsample(size=(9, 7)), nn.Upsample((5, 5), mode="nearest-exact")], ids=str
)
def test_nearest_upsampling(upsample: nn.Module) -> None:
    network = Step(lambda self, x: self.out(self.up(F.relu(self.conv(x)))), conv=conv(2, 4), up=upsample, out=conv(4, 3))
    converted = assert_converts(network, images(0))
    (kind,) = [step.kind for step in converted.steps if "upsample" in step.name]
    assert kind == "spikes"


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
    kinds = [step.kind for step in converted.steps if step.name.startswith("split")]
    assert {"spikes", "analog"} <= set(kinds)


def test_sums_over_dimensions() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x))
        joined = torch.cat([y, self.relu(-self.conv(x) * 3)], 1)
        features = [y.sum((2, 3)), torch.sum(joined, dim=(-1, -2)), joined.sum(1).flatten(1), (y - 1).sum(3, keepdim=True).flatten(1)]
        return self.out(torch.cat(features, 1))

    network = Step(forward, conv=conv(2, 4), out=nn.Linear(4 + 8 + 36 + 24, 3), relu=nn.ReLU())
    converted = assert_converts(network, images(0))
    assert len([module for module in converted.modules() if isinstance(module, Sum)]) == 2


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


def test_relu_of_a_relu_is_no_second_neuron() -> None:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.ReLU(), nn.Linear(36, 3))
    assert len(assert_converts(network, images(0)).neurons) == 1


def test_a_shared_layer_keeps_one_set_of_weights_in_the_trained_network_and_two_scales_in_the_spiking_one() -> None:
    layer = nn.Linear(5, 5)
    network = Step(lambda self, x: self.layer(F.relu(self.layer(F.relu(self.layer(x))))), layer=layer)
    converted = assert_converts(network, torch.rand(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    weights = [m.weight for m in converted.layers.values() if isinstance(m, Synapses)]
    assert len(weights) == 3
    assert torch.equal(weights[0], layer.weight)
    assert not torch.equal(weights[1], weights[2])


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


def test_channels_last_networks_give_the_same_output() -> None:
    network, x = build(["residual", "two branches", "plain"], "mean", "module", 0), images(0)
    plain = convert(network, [x], timesteps=6)(x)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    y = x.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(convert(last, [y], timesteps=6)(y), plain, rtol=1e-9)


# ---- parts of published networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["sum", "parts", "module"])
def test_learned_weights_of_a_fusion(spelling: str) -> None:
    """As in BiFPN: non-negative weights, normalised, computed from parameters when the network runs."""

    def forward(self: Any, x: Tensor) -> Tensor:
        w = self.relu(self.w) if spelling == "module" else F.relu(self.w)
        a, b = F.relu(self.a(x)), F.relu(self.b(x))
        if spelling == "parts":
            fused = (w[0] * a + w[1] * b) / (w[0] + w[1] + 1e-4)
        else:
            w = w / (torch.sum(w, dim=0) + 1e-4)
            fused = w[0] * a + w[1] * b
        return self.out(F.relu(self.c(fused)).mean((2, 3)))

    parts = {"a": conv(2, 4), "b": conv(2, 4), "c": conv(4, 4), "out": nn.Linear(4, 3), "relu": nn.ReLU()}
    network = Step(forward, **parts, w=nn.Parameter(torch.zeros(2)))
    converted = assert_converts(network, images(0))
    assert len(converted.neurons) == 3
    fill(network, 0)
    with torch.no_grad():
        network.w.copy_(torch.tensor([1.0, 0.5]))
    again = convert(network, [images(0)], full_precharge(14), 14)
    assert relative_error(again(images(0)), trained_output(network, images(0))) < 2e-3


HEADS_BEHIND: dict[str, Any] = {
    "softmax": lambda z: z.softmax(1),
    "log_softmax": lambda z: F.log_softmax(z, dim=-1),
    "sigmoid": torch.sigmoid,
    "square": lambda z: z**2,
    "normalised": lambda z: F.normalize(z),
    "two": lambda z: {"scores": z, "sure": z.softmax(1).max(1)[0], "class": z.argmax(1)},
    "product": lambda z: (z * z.sigmoid()).sum(1),
}


@pytest.mark.parametrize("name", list(HEADS_BEHIND))
def test_what_comes_after_the_last_layer_runs_on_the_decoded_output(name: str) -> None:
    network = Step(lambda self, x: HEADS_BEHIND[name](self.out(F.relu(self.first(x)).flatten(1))), first=conv(2, 4), out=nn.Linear(144, 3))
    network = fill(network.double().eval())
    x = images(0)
    converted = convert(network, [x], full_precharge(14), 14)
    expected = trained_output(network, x)
    assert any(step.kind == "decoded" for step in converted.steps)
    for mode in ("multi-step", "single-step"):
        converted.mode = mode  # type: ignore[assignment]
        output, each = converted(x), converted(x, every_step=True)
        for found, wanted, train in zip(flat(output), flat(expected), flat(each), strict=True):
            assert found.dtype == wanted.dtype
            assert torch.allclose(found, wanted, rtol=2e-3, atol=2e-3)
            assert torch.equal(train[-1], found) or torch.allclose(train[-1], found, rtol=1e-9)
            assert train.shape == (14, *wanted.shape)


def test_a_softmax_of_spikes_runs_on_the_decoded_output_too() -> None:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), nn.Flatten(), nn.Softmax(1))
    assert [step.kind for step in assert_converts(network, images(0)).steps][-1] == "decoded"
