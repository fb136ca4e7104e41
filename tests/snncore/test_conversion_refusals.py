"""What cannot be converted is refused in one line that names the operation and says what can be done."""

import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_networks import Step, build, conv, fill, images
from torch import Tensor, nn

from snncore import ConversionError, SpikingNetwork, calibrate, convert, tmn, tsa

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()
ADVICE = "replace it by operations that have one, such as ReLU, and train again"


def points(count: int = 6, width: int = 4) -> Tensor:
    return torch.rand(count, width, generator=torch.Generator().manual_seed(0))


def mlp(middle: nn.Module) -> nn.Module:
    return fill(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), middle, nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))


def followed(first: nn.Module, function: Callable[[Tensor], Any], x: Tensor) -> nn.Module:
    """``function`` of the spikes of a hidden layer; behind it come more layers, so that it cannot run on the output."""

    def forward(self: Any, x: Tensor) -> Any:
        made = self.middle(F.relu(self.first(x)))
        return F.relu(self.hidden(made))

    network = Step(forward, first=first, middle=function, hidden=nn.LazyLinear(3))
    network.to(x.dtype).eval()(x)
    return fill(network)


def on_spikes(function: Callable[[Tensor], Any]) -> nn.Module:
    """``function`` of the spikes of a hidden layer of an MLP."""
    return followed(nn.Linear(4, 4), function, points())


def on_maps(function: Callable[[Tensor], Any]) -> nn.Module:
    """``function`` of the spike maps of a hidden convolution."""
    return followed(conv(2, 4), function, images(0))


def refusal(network: nn.Module, x: Tensor | None = None, **arguments: Any) -> str:
    with pytest.raises(ConversionError) as caught:
        convert(network, [points() if x is None else x], **arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


LINE = next(i for i, line in enumerate(HERE, 1) if "made = self.middle(" in line and "HERE" not in line)
PLACE = f"test_conversion_refusals.py:{LINE} `{HERE[LINE - 1].strip()}`: "


MODULES: dict[str, tuple[nn.Module, str]] = {
    "Softsign": (nn.Softsign(), "abs"),
    "PReLU": (nn.PReLU(), "prelu"),
}


@pytest.mark.parametrize("name", list(MODULES))
def test_modules_without_spiking_counterpart(name: str) -> None:
    module, operation = MODULES[name]
    message = refusal(mlp(module))
    assert message.startswith(f"2 ({name}): '{operation}' (node {operation}")
    assert message.endswith(f"has no spiking counterpart; {ADVICE}")


NONE = "has no spiking counterpart"

# name: (function of spikes, node that is named, words of the reason or the advice)
OPERATIONS: dict[str, tuple[Callable[[Tensor], Any], str, str]] = {
    "torch.sin": (lambda x: torch.sin(x), "'sin' (node sin)", NONE),
    "abs": (lambda x: abs(x), "'abs' (node abs_1)", NONE),
    "maximum": (lambda x: torch.maximum(x, x + 1), "'maximum' (node maximum)", NONE),
    "comparison": (lambda x: torch.where(x > 0.5, x, 0), "'gt' (node gt)", NONE),
    "matrix on the left": (lambda x: torch.ones(4, 4) @ x[:, :, None], "'matmul' (node matmul)", "constant matrix from the right"),
    "largest": (lambda x: x.amax(1, keepdim=True), "'amax' (node amax)", NONE),
    "sorted": (lambda x: x.sort(1)[0], "'sort' (node sort)", NONE),
    "rounded quotient": (lambda x: x.div(2, rounding_mode="floor"), "'div' (node div)", "divide without rounding_mode"),
    "MC dropout": (lambda x: F.dropout(x, 0.5), "'native_dropout' (node native_dropout)", NONE),
    "noise": (lambda x: x + torch.rand_like(x), "'rand_like' (node rand_like)", NONE),
}


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_operations_without_spiking_counterpart(name: str) -> None:
    function, node, why = OPERATIONS[name]
    message = refusal(on_spikes(function))
    assert message.startswith(PLACE + node.removesuffix(")"))  # versions of torch number their nodes differently
    assert why in message
    assert re.fullmatch(r".*\)? [^;]+; [^;]+", message)  # what is wrong; what to do


MIXED = "keep the first dimension of every signal"

# name: (function of spikes, words of the message)
BATCH: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "reshape over the batch": (lambda x: x.reshape(-1, 8), MIXED),
    "transposed batch": (lambda x: x.transpose(-2, 1), MIXED),
    "permuted batch": (lambda x: x.permute(1, 0), MIXED),
    "transposing attribute": (lambda x: x.T, MIXED),
    "slice of the batch": (lambda x: x[:3], MIXED),
    "first image": (lambda x: x[0], MIXED),
    "flipped batch": (lambda x: x.flip(0), MIXED),
    "rolled batch": (lambda x: x.roll(1, 0), MIXED),
    "flattened batch": (lambda x: x.flatten(), MIXED),
    "mean over the batch": (lambda x: x - x.mean(0), MIXED),
    "mean over everything": (lambda x: x - x.mean(), MIXED),
    "mean kept": (lambda x: x.mean(0, keepdim=True) + x, MIXED),
    "sum over the batch": (lambda x: x - x.sum(0), MIXED),
    "sum over everything": (lambda x: x * x.sum(), MIXED),
    "chunks of the batch": (lambda x: x.chunk(2)[0], "computes with the number of images in the batch"),
    "split batch": (lambda x: torch.split(x, 2, -2)[0], MIXED),
    "unbound batch": (lambda x: x.unbind(0)[0], MIXED),
    "concatenation of the batch": (lambda x: torch.cat([x, x]), "join along another dimension"),
    "stacked batch": (lambda x: torch.stack([x, x]).flatten(0, 1), MIXED),
    "a fixed number": (lambda x: x.view(6, -1)[:, :4], MIXED),
    "a fixed number in a reshape": (lambda x: torch.reshape(x.flatten(1), (6, 2, -1)), MIXED),
    "three": (lambda x: x.flatten(1).expand(3, -1) if len(x) == 3 else x, "fixed number of images"),
    "number of values": (lambda x: x / x.shape.numel(), "fixed number of images"),
    "len": (lambda x: x / len(x), "write x.size(0) for len(x)"),
}


@pytest.mark.parametrize("name", list(BATCH))
def test_what_mixes_images_or_fixes_their_number(name: str) -> None:
    function, why = BATCH[name]
    message = refusal(on_spikes(function))
    assert why in message
    assert message.startswith("test_conversion_refusals.py:") or message.startswith("Step works for a fixed number of images alone")


BATCH_SIZES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "size(0)": (lambda x: x / x.size(0), "'div'"),
    "size(dim=-2)": (lambda x: x + x.size(dim=-2), "'add'"),
    "size of a computed dimension": (lambda x: x + x.size(x.ndim - 2), "'add'"),
    "shape[0]": (lambda x: x * x.shape[0], "'mul'"),
    "shape[-2]": (lambda x: x.shape[-2] * x, "'mul'"),
    "size()[0]": (lambda x: x.div(x.size()[0]), "'div'"),
    "in an expression": (lambda x: x * (1 + 2 / (x.size(0) * x.size(1))), "'mul'"),
    "in place": (lambda x: (x + 1).div_(x.size(0)), "'div'"),
    "of a current": (lambda x: x * (x + x).size(0), "'mul'"),
    "with a constant": (lambda x: x + torch.ones(4) * x.size(0), "'mul'"),
    "multiple of the batch": (lambda x: x.repeat(1, x.size(0))[:, :4], "'repeat'"),
}


@pytest.mark.parametrize("name", list(BATCH_SIZES))
def test_signals_that_depend_on_the_number_of_images(name: str) -> None:
    """In multi-step mode the first dimension of spikes and currents holds timesteps times images."""
    function, operation = BATCH_SIZES[name]
    message = refusal(on_spikes(function), points(count=4))
    assert message.startswith(f"{PLACE}{operation} computes with the number of images in the batch; what becomes of an image must not")
    assert message.endswith("use a constant, and the size of the batch only as the first size of a reshape or view")


def test_the_number_of_the_images_themselves() -> None:
    network = Step(lambda self, x: F.relu(self.first(x)) * x.shape[0], first=nn.Linear(4, 4))
    assert "'mul' computes with the number of images in the batch" in refusal(network)


MAPS: dict[str, tuple[Callable[[Tensor], Any], str, str]] = {
    "indices of maxima": (
        lambda x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0 + x[:, :, ::2, ::2],
        "an operation gives several results",
        "the first alone",
    ),
    "InstanceNorm": (nn.InstanceNorm2d(4), "'instance_norm'", NONE),
    "normalised": (lambda x: F.normalize(x), "'linalg_vector_norm'", NONE),
    "sampled": (lambda x: F.grid_sample(x, torch.zeros(x.size(0), 2, 2, 2, dtype=x.dtype), align_corners=False), "'grid_sampler'", NONE),
    "another precision": (lambda x: x.float().double(), "'_to_copy'", NONE),
    "weights that are signals": (lambda x: F.conv2d(x[:, :2], x[:1, :2, :3, :3]), "mixes the images", MIXED),
}


@pytest.mark.parametrize("name", list(MAPS))
def test_operations_on_maps_without_spiking_counterpart(name: str) -> None:
    function, operation, why = MAPS[name]
    message = refusal(on_maps(function), images(0))
    assert operation in message
    assert why in message


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        w = self.weights(F.adaptive_avg_pool2d(x, 1))
        return x * w.erf()


def test_the_line_of_the_users_own_forward_and_the_path_of_its_module_are_named() -> None:
    network = nn.Sequential(nn.Sequential(conv(2, 4), nn.ReLU()), nn.ModuleDict({"gate": Gate()})["gate"], conv(4, 4), nn.ReLU())
    line = next(i for i, text in enumerate(HERE, 1) if "return x * w.erf()" in text and "HERE" not in text)
    message = refusal(network.double(), images(0))
    assert message == f"test_conversion_refusals.py:{line} `{HERE[line - 1].strip()}`, 1 (Gate): 'erf' (node erf) {NONE}; {ADVICE}"


# ---- networks that cannot be recorded ---------------------------------------------------------------------------------


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x.relu()
        return x


class Counting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.relu()
        return y * y.sum().item()


@pytest.mark.parametrize("kind", [Branching, Counting])
def test_control_flow_and_numbers_that_depend_on_the_data(kind: type[nn.Module]) -> None:
    text = "if x.sum() > 0:" if kind is Branching else "return y * y.sum().item()"
    line = next(i for i, found in enumerate(HERE, 1) if found.strip() == text)
    message = refusal(kind())
    assert message.startswith(f"test_conversion_refusals.py:{line} `{text}`: ")
    assert kind is Counting or "Branching decides by the values of its signals what to compute; remove that from its forward" in message


def test_assignment_into_a_tensor() -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = F.relu(self.first(x))
        y[:, 0] = 0
        return F.relu(self.first(y))

    assert "(node " in refusal(Step(forward, first=nn.Linear(4, 4)))


@pytest.mark.parametrize(
    "forward",
    [lambda self, image, other: (image + other).relu(), lambda self, image, *, other: (image + other).relu(), lambda self: self.weight],
    ids=["two", "keyword", "none"],
)
def test_other_inputs_than_the_network_takes(forward: Any) -> None:
    network = type("Two", (nn.Module,), {"forward": forward})()
    found = refusal(network)
    assert re.fullmatch(r"the network takes the inputs \((image, other)?\) and got 1; pass images alone, without labels, a tuple of all, or a dict by name", found)
    with pytest.raises(ConversionError, match=r"and got image, mask; pass images alone, without labels, a tuple of all, or a dict"):
        convert(network, [{"image": points(), "mask": points()}])


class Noting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return x.relu() * self.seen


def test_buffers_that_change_while_the_network_runs() -> None:
    network = nn.Sequential(nn.Linear(4, 4), Noting(), nn.Linear(4, 4))
    message = refusal(network)
    assert message == "the network changes its buffers (1.seen) while it runs; make it a function of the images"
    assert network[1].seen == 0


def test_a_network_in_training_mode_that_cannot_be_copied() -> None:
    network = mlp(nn.Identity()).train()
    network.extra = network[0](points())  # a tensor with a gradient
    message = refusal(network)
    assert message.startswith("Sequential cannot be copied (")
    assert message.endswith("call .eval() on it before it is converted")
    convert(network.eval(), [points()])


def test_batch_norm_without_running_statistics() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU())
    assert refusal(network) == "1 (BatchNorm1d): batch normalisation without running statistics depends on the batch; train with them"


LINEAR = [nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.Linear(4, 2))]
NOTHING = [Step(lambda _, x: 3), Step(lambda _, x: x.size(1)), Step(lambda _, x: x)]


@pytest.mark.parametrize("network", LINEAR + NOTHING)
def test_no_relu_at_all(network: nn.Module) -> None:
    assert refusal(network) == "the network has no ReLU to replace by spiking neurons: there is nothing to convert"


def test_one_output_without_relu() -> None:
    network = Step(lambda self, x: (F.relu(self.first(x)), self.first(x)), first=nn.Linear(4, 4))
    assert "an output of the network does not depend on any ReLU" in refusal(network)


def test_a_network_that_fails_on_its_images() -> None:
    assert "the trained network fails" in refusal(mlp(nn.Identity()), points(width=5))


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


@pytest.mark.parametrize("method", [tmn, tsa])
def test_a_precharge_longer_than_the_input_lasts(method: Any) -> None:
    for precharge in (0, 3):
        neurons = convert(mlp(nn.Identity()), [points()], method(precharge=precharge), 3).neurons.values()
        assert [neuron.delay for neuron in neurons] == [precharge] * 2
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


# ---- the trained network ----------------------------------------------------------------------------------------------


def test_refusals_leave_the_network_alone() -> None:
    network = build(["residual"], "mean", "inplace module", 0)
    broken = nn.Sequential(network, nn.Softsign(), nn.Linear(3, 3), nn.ReLU()).double().train()
    state = {k: v.clone() for k, v in broken.state_dict().items()}
    with pytest.raises(ConversionError):
        convert(broken, [images(0)])
    assert broken.training
    assert all(operator.eq(v.tolist(), state[k].tolist()) for k, v in broken.state_dict().items())
