"""What cannot be converted is refused in one line that names the operation and says what can be done."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import Step, build, conv, fill, images
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from snncore import ConversionError, CSSCode, MomentumNeuron, SpikingNetwork, calibrate, convert, tmn, tsa
from snncore.conversion import Percentile


def points(count: int = 6, width: int = 4) -> Tensor:
    return torch.rand(count, width, generator=torch.Generator().manual_seed(0))


def filled(network: nn.Module) -> nn.Module:
    fill(network, 0)
    return network


def mlp(middle: nn.Module) -> nn.Module:
    return filled(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), middle, nn.Linear(4, 4)))


def on_spikes(function: Callable[[Tensor], Any]) -> nn.Module:
    """``function`` of the spikes of a hidden layer of an MLP."""
    return filled(Step(lambda self, x: function(F.relu(self.first(x))), first=nn.Linear(4, 4)))


def on_maps(function: Callable[[Tensor], Any]) -> nn.Module:
    """``function`` of the spike maps of a hidden convolution."""
    return filled(Step(lambda self, x: function(F.relu(self.first(x))), first=conv(2, 4)).double())


def on_maps_module(module: nn.Module) -> nn.Module:
    return nn.Sequential(conv(2, 4), nn.ReLU(), module).double()


def refusal(network: nn.Module, x: Tensor | None = None, **arguments: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        convert(network.eval(), [points() if x is None else x], **arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


REPLACE = "replace it and train again"

# name: (network, node that is named, words of the advice)
OPERATIONS: dict[str, tuple[nn.Module, str, str]] = {
    "SiLU": (mlp(nn.SiLU()), "'SiLU' (node _2)", REPLACE),
    "GELU": (mlp(nn.GELU()), "'GELU' (node _2)", REPLACE),
    "LeakyReLU": (mlp(nn.LeakyReLU()), "'LeakyReLU' (node _2)", REPLACE),
    "ReLU6": (mlp(nn.ReLU6()), "'ReLU6' (node _2)", REPLACE),
    "Softmax": (mlp(nn.Softmax(dim=1)), "'Softmax' (node _2)", REPLACE),
    "LayerNorm": (mlp(nn.LayerNorm(4)), "'LayerNorm' (node _2)", REPLACE),
    "GroupNorm": (mlp(nn.GroupNorm(2, 4)), "'GroupNorm' (node _2)", REPLACE),
    "torch.sin": (on_spikes(torch.sin), "'sin' (node sin)", REPLACE),
    "torch.sigmoid": (on_spikes(torch.sigmoid), "'sigmoid' (node sigmoid)", REPLACE),
    "sigmoid method": (on_spikes(lambda x: x.sigmoid()), "'sigmoid' (node sigmoid)", REPLACE),
    "F.silu": (on_spikes(F.silu), "'silu' (node silu)", REPLACE),
    "sigmoid_ as a statement": (on_spikes(lambda x: (torch.sigmoid_(x), x)[1]), "'sigmoid_' (node sigmoid_)", REPLACE),
    "power": (on_spikes(lambda x: x**2), "'pow' (node pow_1)", REPLACE),
    "abs": (on_spikes(abs), "'abs' (node", REPLACE),
    "maximum": (on_spikes(lambda x: torch.maximum(x, x + 1)), "'maximum' (node maximum)", REPLACE),
    "matrix product": (on_spikes(lambda x: x[:, None] @ x[:, :, None]), "'matmul' (node matmul)", REPLACE),
    "transposing attribute": (on_spikes(lambda x: x.T), "'getattr' (node getattr_1)", REPLACE),
    "data attribute": (on_spikes(lambda x: x.data), "'getattr' (node getattr_1)", REPLACE),
    "argmax": (on_spikes(lambda x: x.argmax(1)), "'argmax' (node argmax)", REPLACE),
    "product of two signals": (on_spikes(lambda x: x * x), "'mul' (node mul)", "of two signals is not linear"),
    "product with another signal": (on_spikes(lambda x: x * (x + 1)), "'mul' (node mul)", "of two signals is not linear"),
    "quotient of a signal": (on_spikes(lambda x: 1 / (x + 2)), "'truediv' (node truediv)", "of two signals is not linear"),
    "rounded quotient": (on_spikes(lambda x: x.div(2, rounding_mode="floor")), "'div' (node div)", "without rounding_mode"),
    "sum with alpha": (on_spikes(lambda x: torch.add(x, x, alpha=2)), "'add' (node add)", "write it as a product and a sum"),
    "MC dropout": (on_spikes(lambda x: F.dropout(x, 0.5)), "'dropout' (node dropout)", REPLACE),
    "reshape over the batch": (on_spikes(lambda x: x.reshape(-1, 8)), "'reshape' (node reshape)", "keep the first dimension"),
    "transposed batch": (on_spikes(lambda x: x.transpose(-2, 1)), "'transpose' (node transpose)", "keep the first dimension"),
    "permuted batch": (on_spikes(lambda x: x.permute(1, 0)), "'permute' (node permute)", "keep the first dimension"),
    "slice of the batch": (on_spikes(lambda x: x[:3]), "'getitem' (node getitem)", "keep the first dimension"),
    "flattened batch": (on_spikes(lambda x: x.flatten()), "'flatten' (node flatten)", "keep the first dimension"),
    "mean over the batch": (on_spikes(lambda x: x - x.mean(0)), "'mean' (node mean)", "without the first"),
    "mean over everything": (on_spikes(lambda x: x.mean()), "'mean' (node mean)", "name the dimensions to average over"),
    "sum over the batch": (on_spikes(lambda x: x - x.sum(0)), "'sum' (node sum_1)", "name the dimensions to sum over"),
    "sum over everything": (on_spikes(lambda x: x.sum()), "'sum' (node sum_1)", "name the dimensions to sum over"),
    "chunks of the batch": (on_spikes(lambda x: x.chunk(2)[0]), "'chunk' (node chunk)", "split along another dimension"),
    "split batch": (on_spikes(lambda x: torch.split(x, 2, -2)[0]), "'split' (node split)", "split along another dimension"),
    "parts as a whole": (on_spikes(lambda x: x.chunk(2, 1)), "'chunk' (node chunk)", "unpack them: a, b = x.chunk(2, 1)"),
    "some of the parts": (on_spikes(lambda x: x.split(1, 1)[:2]), "'split' (node split)", "unpack them"),
    "joined parts": (on_spikes(lambda x: torch.cat(x.chunk(2, 1), 1)), "'chunk' (node chunk)", "unpack them"),
    "MC dropout of channels": (on_spikes(lambda x: F.dropout1d(x[:, None])), "'dropout1d' (node dropout1d)", REPLACE),
    "concatenation of the batch": (on_spikes(lambda x: torch.cat([x, x])), "'cat' (node cat)", "along another dimension"),
}
MAPS: dict[str, tuple[nn.Module, str, str]] = {
    "indices of maxima": (on_maps_module(nn.MaxPool2d(2, return_indices=True)), "'MaxPool2d' (node _2)", "drop return_indices"),
    "computed windows": (on_maps(lambda x: F.max_pool2d(x, x.size(2) // 2)), "(node max_pool2d)", "windows as numbers"),
    "bilinear interpolation": (
        on_maps(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        "'interpolate' (node interpolate)",
        "use mode='nearest'",
    ),
    "positional bilinear": (on_maps(lambda x: F.interpolate(x, None, 2, "bilinear")), "'interpolate'", "use mode='nearest'"),
    "Upsample": (on_maps_module(nn.Upsample(scale_factor=2, mode="bilinear")), "'Upsample' (node _2)", "use mode='nearest'"),
    "UpsamplingBilinear2d": (
        on_maps_module(nn.UpsamplingBilinear2d(scale_factor=2)),
        "'UpsamplingBilinear2d' (node _2)",
        "use mode='nearest'",
    ),
    "padding with ones": (on_maps(lambda x: F.pad(x, (1, 1), value=1.0)), "'pad' (node pad)", "pad with zeros"),
    "reflecting padding": (on_maps(lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")), "'pad' (node pad)", "pad with zeros"),
    "InstanceNorm": (nn.Sequential(conv(2, 4), nn.ReLU(), nn.InstanceNorm2d(4)).double(), "'InstanceNorm2d' (node _2)", REPLACE),
    "transposed convolution": (
        nn.Sequential(conv(2, 4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2)).double(),
        "'ConvTranspose2d' (node _2)",
        REPLACE,
    ),
}


def unpacked(x: Tensor) -> Tensor:
    batch, width = x.size()
    return x * (width / batch)


def unpacked_slice(x: Tensor) -> Tensor:
    batch, width = x.shape[:2]
    return x - batch - width


BATCH_SIZES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "size(0)": (lambda x: x / x.size(0), "'truediv' (node truediv)"),
    "size(dim=-2)": (lambda x: x + x.size(dim=-2), "'add' (node add)"),
    "size of a computed dimension": (lambda x: x + x.size(x.ndim - 2), "'add' (node add)"),
    "shape[0]": (lambda x: x * x.shape[0], "'mul' (node mul)"),
    "shape[-2]": (lambda x: x.shape[-2] * x, "'mul' (node mul)"),
    "shape[:-1][0]": (lambda x: x - x.shape[:-1][0], "'sub' (node sub)"),
    "size()[0]": (lambda x: x.div(x.size()[0]), "'div' (node div)"),
    "unpacking": (unpacked, "'mul' (node mul)"),
    "unpacking of a slice": (unpacked_slice, "'sub' (node sub)"),
    "in an expression": (lambda x: x * (1 + 2 / (x.size(0) * x.size(1))), "'mul' (node mul_1)"),
    "number of values": (lambda x: x / x.shape.numel(), "'truediv' (node truediv)"),
    "in place": (lambda x: (x + 1).div_(x.size(0)), "'div' (node div_)"),
    "of a current": (lambda x: x * (x + x).size(0), "'mul' (node mul)"),
    "with a constant": (lambda x: x + torch.ones(4) * x.size(0), "'mul' (node mul)"),
    "index": (lambda x: x[:, : x.size(0)], "'getitem' (node getitem)"),
    "second size of a shape": (lambda x: x.view(x.size(0), x.size(0), -1).flatten(1), "'view' (node view)"),
    "size of a pooling": (lambda x: F.adaptive_avg_pool1d(x[:, None], x.size(0)), "(node adaptive_avg_pool1d)"),
    "output": (lambda x: (x, x.size(0)), "'output' (node output)"),
}


@pytest.mark.parametrize("name", list(BATCH_SIZES))
def test_signals_that_depend_on_the_number_of_images(name: str) -> None:
    """In multi-step mode the first dimension of spikes and currents holds timesteps times images."""
    function, node = BATCH_SIZES[name]
    message = refusal(on_spikes(function), points(count=4))
    assert node in message
    assert "computes with the number of images in the batch (node " in message
    assert "use a constant, and the size of the batch only as the first size of a reshape or view" in message


def test_the_number_of_the_images_themselves() -> None:
    network = Step(lambda self, x: F.relu(self.first(x)) * x.shape[0], first=nn.Linear(4, 4))
    assert "computes with the number of images in the batch (node getitem)" in refusal(network)


def test_len() -> None:
    message = refusal(on_spikes(lambda x: x / len(x)))
    assert message.startswith("len() of relu cannot be recorded; write ndim for")


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_operations_without_spiking_counterpart(name: str) -> None:
    network, node, advice = OPERATIONS[name]
    message = refusal(network)
    assert node in message
    assert advice in message


@pytest.mark.parametrize("sizes", [[1], [1, 1], [1, 5], [2], [3, 4]])
@pytest.mark.parametrize("name", ["view", "reshape", "modules"])
def test_a_fixed_number_of_images_is_found_whatever_the_first_batch(name: str, sizes: list[int]) -> None:
    first = sizes[0]
    network = {
        "view": on_spikes(lambda x: x.view(first, -1)[:, :4]),
        "reshape": on_spikes(lambda x: torch.reshape(x.flatten(1), (first, 2, -1))),
        "modules": nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Flatten(0), nn.Unflatten(0, (first, -1))),
    }[name]
    message = r"(mixes samples of|changes) the batch|fails on \d images, though not on \d \(keep the first dimension"
    with pytest.raises(ConversionError, match=message) as caught:
        convert(network.eval(), points(sum(sizes)).split(sizes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(MAPS))
def test_operations_on_maps_without_spiking_counterpart(name: str) -> None:
    network, node, advice = MAPS[name]
    message = refusal(network, images(0))
    assert node in message
    assert advice in message


# ---- networks that cannot be recorded ---------------------------------------------------------------------------------


def test_control_flow_that_depends_on_the_data() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() if x.sum() > 0 else x

    message = refusal(Branching())
    assert message.startswith("Branching cannot be recorded by torch.fx (")
    assert message.endswith("remove control flow that depends on the data from its forward")


def test_assignment_into_a_tensor() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(self.first(x))
        y[:, 0] = 0
        return y

    assert "cannot be recorded by torch.fx" in refusal(Step(forward, first=nn.Linear(4, 4)))


def test_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, other: Tensor) -> Tensor:
            return (image + other).relu()

    assert "takes several inputs (image, other); wrap it" in refusal(Two())


@pytest.mark.parametrize(
    "change",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        nn.utils.weight_norm,
        lambda layer: layer.register_forward_hook(lambda *_: None) and layer,
    ],
    ids=["weight norm", "spectral norm", "pruning", "old weight norm", "hook"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weights_that_are_computed_when_the_layer_runs(change: Callable[[nn.Module], nn.Module]) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), change(nn.Linear(4, 4)))
    with torch.no_grad():
        expected = network.eval()(points())
    message = refusal(network)
    assert message.startswith("_2: a parametrization or a hook may change what this layer computes; make it permanent")
    with torch.no_grad():
        assert torch.equal(network(points()), expected)  # and the network still works


def test_a_network_that_cannot_be_copied() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5))
    network(points())  # the pruned weight now carries a gradient
    message = refusal(network)
    assert message.startswith("Sequential cannot be copied (")
    assert message.endswith("make computed weights permanent first (prune.remove, remove_weight_norm)")


def test_batch_norm_without_running_statistics() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU())
    assert refusal(network).startswith("_1: batch normalisation without running statistics depends on the batch; train with")


@pytest.mark.parametrize("network", [nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.Linear(4, 2))])
def test_no_relu_at_all(network: nn.Module) -> None:
    assert refusal(network) == "the network has no ReLU to replace by spiking neurons: there is nothing to convert"


@pytest.mark.parametrize("output", [lambda _: 3, lambda x: x.size(1), lambda x: x], ids=["constant", "size", "image"])
def test_no_operation_at_all(output: Callable[[Tensor], Any]) -> None:
    assert "has no ReLU to replace" in refusal(Step(lambda _, x: output(x)))


def test_one_output_without_relu() -> None:
    network = Step(lambda self, x: (F.relu(self.first(x)), self.first(x)), first=nn.Linear(4, 4))
    assert "an output of the network does not depend on any ReLU" in refusal(network)


# ---- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timesteps", [0, -1, 1.5, True, "8", None])
def test_timesteps(timesteps: Any) -> None:
    with pytest.raises(ValueError, match=r"timesteps must be a whole number of at least 1, got"):
        convert(mlp(nn.ReLU()), [points()], timesteps=timesteps)


@pytest.mark.parametrize("mode", ["multistep", "", None, "single"])
def test_mode(mode: Any) -> None:
    with pytest.raises(ValueError, match="unknown mode .*; known: multi-step, single-step"):
        convert(mlp(nn.Identity()), [points()], mode=mode)


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_images(mode: Any, bad: float) -> None:
    converted = convert(mlp(nn.Identity()), [points()], mode=mode)
    x = points()
    x[1, 1] = bad
    with pytest.raises(ValueError, match="the input contains NaN or infinity; look at the data and its normalisation"):
        converted(x)


def test_unknown_percentile_and_precharge() -> None:
    with pytest.raises(ValueError, match="a percentile is a number from 0 to 100"):
        convert(mlp(nn.Identity()), [points()], tmn(threshold=Percentile(999)))
    with pytest.raises(ValueError, match="precharge must be a whole number"):
        convert(mlp(nn.Identity()), [points()], tmn(precharge=-1))


@pytest.mark.parametrize("method", [tmn, tsa])
def test_a_precharge_longer_than_the_input_lasts(method: Any) -> None:
    for precharge in (0, 3):
        neurons = convert(mlp(nn.Identity()), [points()], method(precharge=precharge), 3).neurons.values()
        assert [neuron.delay for neuron in neurons] == [precharge]
    unread = iter([points()])
    with pytest.raises(ValueError, match="precharge must be a whole number from 0 to timesteps=3, got 4"):
        convert(mlp(nn.Identity()), unread, method(precharge=4), 3)
    assert len(list(unread)) == 1  # found before the images were looked at


# ---- calibrations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 5)),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 4)),
        nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Identity(), nn.Linear(4, 4)),
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
    ],
    ids=["width", "more ReLUs", "bias", "other place"],
)
def test_a_calibration_of_another_network(other: nn.Module) -> None:
    calibration = calibrate(other, [points()])
    with pytest.raises(ConversionError, match="the calibration of this Sequential comes from another network; calibrate"):
        convert(mlp(nn.Identity()), calibration)
    convert(other, calibration)


def test_a_calibration_serves_the_same_architecture_with_other_weights() -> None:
    calibration = calibrate(mlp(nn.Identity()), [points()])
    assert isinstance(convert(mlp(nn.Identity()), calibration), SpikingNetwork)


def test_no_calibration_images() -> None:
    with pytest.raises(ConversionError, match="no calibration images were given; pass batches of training images"):
        convert(mlp(nn.Identity()), [])


def test_a_sparse_layer_with_a_zero_percentile() -> None:
    network = mlp(nn.Identity())
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.copy_(torch.tensor([1.0, -1, -1, -1]))
    message = refusal(network, method=tmn(threshold=Percentile(50)))
    assert message.startswith("_1: the threshold came out as 0, since nearly all activations are 0; use Percentile(")


# ---- neurons and codes that do not fit --------------------------------------------------------------------------------


def test_running_a_neuron_for_another_number_of_timesteps() -> None:
    with pytest.raises(ValueError, match=r"expected currents \[T=4, B, ...\]"):
        MomentumNeuron.tmn(1.0, 4)(torch.zeros(5, 2))


def test_decoding_another_number_of_timesteps() -> None:
    with pytest.raises(ValueError, match="expected 4 timesteps first"):
        CSSCode(4).decode(torch.zeros(5, 2))


def test_refusals_leave_the_network_alone() -> None:
    network = build(["residual"], "mean", "inplace module", 0)
    broken = nn.Sequential(network, nn.Softmax(dim=1)).train()
    state = {k: v.clone() for k, v in broken.state_dict().items()}
    with pytest.raises(ConversionError):
        convert(broken, [images(0)])
    assert broken.training
    assert all(operator.eq(v.tolist(), state[k].tolist()) for k, v in broken.state_dict().items())
