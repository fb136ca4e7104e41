"""Small trained-looking networks, put together from the blocks that real ones are made of, and how to look inside them."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snncore import ConversionMethod, SpikingNetwork, calibrate, convert, tmn
from snncore.conversion import Calibration, Maximum
from snncore.conversion.network import Mode
from snncore.conversion.operations import SpikingLayer
from snncore.neurons import SpikingNeuron
from snncore.quantization import ClipFloorShift

RELUS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "module": nn.ReLU,
    "inplace module": lambda: nn.ReLU(inplace=True),
    "F.relu": lambda: F.relu,
    "F.relu inplace": lambda: lambda x: F.relu(x, inplace=True),
    "torch.relu": lambda: torch.relu,
    "method": lambda: lambda x: x.relu(),
    "inplace method": lambda: lambda x: x.relu_(),
    "F.relu_": lambda: F.relu_,
    "clamp": lambda: lambda x: x.clamp(min=0),
    "torch.clamp": lambda: lambda x: torch.clamp(x, 0.0),
    "clamp of a tensor": lambda: lambda x: torch.clamp(x, min=torch.zeros((), dtype=x.dtype)),
    "clamp_min": lambda: lambda x: x.clamp_min(0),
    "clamp_min_": lambda: lambda x: x.clamp_min_(0.0),
    "threshold": lambda: lambda x: F.threshold(x, 0, 0),
    "Threshold": lambda: nn.Threshold(0.0, 0.0, inplace=True),
    "maximum": lambda: lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum from the left": lambda: lambda x: torch.maximum(torch.zeros(1, dtype=x.dtype), x),
    "max": lambda: lambda x: torch.max(x, torch.tensor(0.0, dtype=x.dtype)),
    "leaky_relu": lambda: lambda x: F.leaky_relu(x, 0.0),
    "where": lambda: lambda x: torch.where(x > 0, x, 0),
    "where of zeros": lambda: lambda x: torch.where(x <= 0, torch.zeros_like(x), x),
}
RELU_GROUPS = [pytest.param(list(RELUS)[i : i + 3], id=", ".join(list(RELUS)[i : i + 3])) for i in range(0, len(RELUS), 3)]
"""Every spelling, three to a network."""
CLIPPED: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], float]] = {
    "ReLU6": (nn.ReLU6, 6.0),
    "inplace ReLU6": (lambda: nn.ReLU6(inplace=True), 6.0),
    "F.relu6": (lambda: F.relu6, 6.0),
    "Hardtanh": (lambda: nn.Hardtanh(0, 1.5), 1.5),
    "F.hardtanh": (lambda: lambda x: F.hardtanh(x, min_val=0.0, max_val=0.75, inplace=True), 0.75),
    "clamp": (lambda: lambda x: x.clamp(0, 2), 2.0),
    "torch.clamp_": (lambda: lambda x: torch.clamp_(x, min=0.0, max=0.5), 0.5),
    "clip": (lambda: lambda x: torch.clip(x, 0, 1), 1.0),
    "bound of a ReLU": (lambda: lambda x: x.relu().clamp(max=1.5), 1.5),
    "minimum of a ReLU": (lambda: lambda x: torch.minimum(F.relu(x), torch.tensor(0.5, dtype=x.dtype)), 0.5),
    "clamp of tensors": (lambda: lambda x: torch.clamp(x, torch.tensor(0.0), torch.tensor(2.0)).to(x.dtype), 2.0),
}
"""ReLUs with an upper bound, and the bound."""


class Activation(nn.Module):
    """ReLU in one of its spellings."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.relu = RELUS[spelling]()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x)


class Step(nn.Module):
    """A function of layers given by name: ``Step(lambda self, x: self.conv(x), conv=nn.Conv2d(...))``."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


@dataclass(frozen=True)
class Shape:
    """Channels and side length of a signal."""

    channels: int
    side: int


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


def named(*functions: Any) -> dict[str, Any]:
    """Functions by what they are called in a list of blocks."""
    return {function.__name__.removesuffix("_head").replace("_", " "): function for function in functions}


# Each block: (shape, spelling of ReLU) -> (module, shape behind it).
Block = Callable[[Shape, str], tuple[nn.Module, Shape]]


def plain(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    layers = nn.Sequential(conv(shape.channels, 4), Activation(relu))
    return layers, Shape(4, shape.side)


def normalised(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.Sequential(conv(shape.channels, 4, bias=False), nn.BatchNorm2d(4), Activation(relu)), Shape(4, shape.side)


def pre_activation(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.relu(self.conv(self.relu(self.norm(x))) + self.scale(x))

    block = Step(forward, conv=conv(c, c), norm=nn.BatchNorm2d(c), scale=nn.BatchNorm2d(c), relu=Activation(relu))
    return block, shape


def residual(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels

    def forward(self: Any, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        out += x
        return self.relu2(out)

    layers = {"conv1": conv(c, c), "norm1": nn.BatchNorm2d(c), "conv2": conv(c, c), "norm2": nn.BatchNorm2d(c)}
    return Step(forward, **layers, relu1=Activation(relu), relu2=Activation(relu)), shape


def projected_residual(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels
    shortcut = nn.Sequential(nn.Conv2d(c, 4, 1, 2), nn.BatchNorm2d(4))

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.relu(self.conv2(self.relu(self.conv1(x))).add_(self.shortcut(x)))

    block = Step(forward, conv1=conv(c, 4, 2), conv2=conv(4, 4), shortcut=shortcut, relu=Activation(relu))
    return block, Shape(4, (shape.side + 1) // 2)


def padded_residual(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels

    def forward(self: Any, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
        return self.relu(self.conv2(self.relu(self.conv1(x))) + shortcut)

    block = Step(forward, conv1=conv(c, 4, 2), conv2=conv(4, c + 2), relu=Activation(relu))
    return block, Shape(c + 2, (shape.side + 1) // 2)


def dense(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    block = Step(lambda self, x: torch.cat([x, self.new(x)], 1), new=plain(shape, relu)[0])
    return block, Shape(shape.channels + 4, shape.side)


def two_branches(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    window = min(2, shape.side)

    def forward(self: Any, x: Tensor) -> Tensor:
        return torch.cat((F.avg_pool2d(self.left(x), window), self.pool(self.right(x))), dim=-3)

    parts = {"left": plain(shape, relu)[0], "right": normalised(shape, relu)[0], "pool": nn.AvgPool2d(window)}
    return Step(forward, **parts), Shape(8, shape.side // window)


def shared(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels
    again = Step(lambda self, x: self.relu(self.conv(self.relu(self.conv(x)))), conv=conv(c, c), relu=Activation(relu))
    return again, shape


def functional(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.relu(F.conv2d(x, self.weight, bias=self.bias, padding=1))

    weight, bias = nn.Parameter(torch.zeros(4, shape.channels, 3, 3)), nn.Parameter(torch.zeros(4))
    return Step(forward, weight=weight, bias=bias, relu=Activation(relu)), Shape(4, shape.side)


def arithmetic(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    c = shape.channels

    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.conv(x).mul(0.5) * self.scale.view(1, -1, 1, 1) + self.shift
        y = y / 2 - x
        return self.relu(-y + 0.25) + self.relu(y - self.shift)

    scale, shift = nn.Parameter(torch.zeros(c)), nn.Parameter(torch.zeros(c, 1, 1))
    return Step(forward, conv=conv(c, c), scale=scale, shift=shift, relu=Activation(relu)), shape


def average_pool(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    window = min(2, shape.side)
    return nn.AvgPool2d(window), Shape(shape.channels, shape.side // window)


def max_pool(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.MaxPool2d(3, 2, padding=1), Shape(shape.channels, (shape.side + 1) // 2)


def max_pooled_branch(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    def forward(self: Any, x: Tensor) -> Tensor:
        y = self.first(x)
        return torch.cat([F.max_pool2d(y, kernel_size=3, stride=1, padding=1), y], 1)

    return Step(forward, first=plain(shape, relu)[0]), Shape(8, shape.side)


def padded_average_pool(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.AvgPool2d(3, 2, padding=1), Shape(shape.channels, (shape.side + 1) // 2)


def uneven_average_pool(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), Shape(shape.channels, (shape.side + 1) // 2)


def adaptive_pool(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.AdaptiveAvgPool2d(3), Shape(shape.channels, 3)  # even windows where the side is a multiple of 3


def nothing(shape: Shape, relu: str) -> tuple[nn.Module, Shape]:
    return nn.Sequential(nn.Dropout(0.5), nn.Identity(), Step(lambda _, x: F.dropout(x, 0.5, training=False))), shape


# Blocks whose arithmetic is exact in floating point once all weights are small dyadic numbers.
EXACT_BLOCKS: dict[str, Block] = named(
    *(plain, normalised, pre_activation, residual, projected_residual, padded_residual, dense, two_branches, shared, functional),
    *(arithmetic, average_pool, max_pool, max_pooled_branch, nothing),
)
BLOCKS: dict[str, Block] = EXACT_BLOCKS | named(padded_average_pool, uneven_average_pool, adaptive_pool)

Head = Callable[[Shape, str], nn.Module]


def flatten_head(shape: Shape, relu: str) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.side**2, 3))


def view_head(shape: Shape, relu: str) -> nn.Module:
    hidden = nn.Sequential(nn.Linear(shape.channels * shape.side**2, 6), nn.BatchNorm1d(6), Activation(relu))

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.out(self.hidden(x.view(x.size(0), -1)))

    return Step(forward, hidden=hidden, out=nn.Linear(6, 3))


def mean_head(shape: Shape, relu: str) -> nn.Module:
    return Step(lambda self, x: self.out(x.mean(dim=(2, 3))), out=nn.Linear(shape.channels, 3))


def two_means_head(shape: Shape, relu: str) -> nn.Module:
    weight, bias = nn.Parameter(torch.zeros(3, shape.channels)), nn.Parameter(torch.zeros(3))
    return Step(lambda self, x: F.linear(x.mean(-1).mean(2), self.weight, self.bias), weight=weight, bias=bias)


def global_pool_head(shape: Shape, relu: str) -> nn.Module:
    pool = nn.AdaptiveAvgPool2d(1)
    return Step(lambda self, x: self.out(torch.flatten(self.pool(x), 1)), pool=pool, out=nn.Linear(shape.channels, 3))


def joined_head(shape: Shape, relu: str) -> nn.Module:
    """Concatenates flattened maps and hidden features, whose amplitudes differ."""

    def forward(self: Any, x: Tensor) -> Tensor:
        hidden = self.relu(self.hidden(x.mean((2, 3))))
        return self.out(torch.cat([x.flatten(1), hidden], dim=1))

    features = shape.channels * shape.side**2 + 5
    return Step(forward, hidden=nn.Linear(shape.channels, 5), out=nn.Linear(features, 3), relu=Activation(relu))


def tuple_head(shape: Shape, relu: str) -> nn.Module:
    return Step(lambda self, x: (x, self.out(x.mean((2, 3)))), out=nn.Linear(shape.channels, 3))


def dictionary_head(shape: Shape, relu: str) -> nn.Module:
    return Step(lambda self, x: {"out": self.out(x.mean((2, 3))), "aux": [x.flatten(2)]}, out=nn.Linear(shape.channels, 3))


HEADS: dict[str, Head] = named(
    flatten_head, view_head, mean_head, two_means_head, global_pool_head, joined_head, tuple_head, dictionary_head
)


def build(blocks: Sequence[str], head: str, relu: str | Sequence[str], seed: int, exact: bool = False) -> nn.Module:
    """A network in float64 for images ``[B, 2, 6, 6]``, in evaluation mode.

    ``relu``: the spelling, or several that the blocks and the head take in turn.
    ``exact``: weights and window sizes are powers of two or small multiples of one, so that sums come out the same in any
    order; for images ``[B, 2, 8, 8]``.
    """
    shape, parts = Shape(2, 8 if exact else 6), []
    spellings = itertools.cycle([relu] if isinstance(relu, str) else relu)
    for name in blocks:
        part, shape = BLOCKS[name](shape, next(spellings))
        parts.append(part)
    network = nn.Sequential(*parts, HEADS[head](shape, next(spellings))).double()
    return fill(network, seed, exact).eval()


def fill(network: nn.Module, seed: int = 0, exact: bool = False) -> nn.Module:
    """A network with weights of a trained-looking scale: He-normal weights, small biases, batch norms away from the identity."""
    random = torch.Generator().manual_seed(seed)

    def dyadic(x: Tensor) -> Tensor:
        return (x * 4).round() / 4 if exact else x

    def normal(like: Tensor, std: float) -> Tensor:
        return dyadic(torch.randn(like.shape, generator=random, dtype=torch.float64) * std)

    with torch.no_grad():
        for parameter in network.parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 and parameter[0].numel() > 1 else 0
            parameter.copy_(normal(parameter, math.sqrt(2 / fan_in)) if fan_in else normal(parameter, 0.2))
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                assert module.running_mean is not None and module.running_var is not None
                if exact:
                    module.eps = 0.0
                    module.running_var.fill_(4.0)
                else:
                    module.running_var.copy_(torch.rand(module.running_var.shape, generator=random) + 0.5)
                module.running_mean.copy_(normal(module.running_mean, 0.2))
                if module.weight is not None:
                    module.weight.copy_(dyadic(torch.rand(module.weight.shape, generator=random) + 0.5))
    return network


def images(seed: int, count: int = 3, side: int | None = None, exact: bool = False) -> Tensor:
    """Images ``[count, 2, side, side]`` in float64 with values in [-1, 1]."""
    side = side or (8 if exact else 6)
    x = torch.rand(count, 2, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    return (x * 8).round() / 8 if exact else x


@st.composite
def networks(draw: st.DrawFn, exact: bool = False) -> nn.Module:
    """Networks of one to four blocks."""
    blocks = draw(st.lists(st.sampled_from(list(EXACT_BLOCKS if exact else BLOCKS)), max_size=3))
    last = draw(st.sampled_from(["plain", "residual"]))  # the head sees spikes
    head = draw(st.sampled_from(list(HEADS)))
    relu = draw(st.sampled_from(list(RELUS)))
    seed = draw(st.integers(0, 2**16))
    return build([*blocks, last], head, relu, seed, exact)


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


def _assortment(blocks: Sequence[str]) -> dict[str, tuple[list[str], str, list[str]]]:
    """Networks that together have every block, every head and every spelling of ReLU."""
    count, spelled, heads = (len(blocks) + 1) // 2, itertools.cycle(RELUS), itertools.cycle(HEADS)
    made = {}
    for i in range(count):
        parts = [blocks[i], blocks[(i + count) % len(blocks)], ("plain", "residual")[i % 2]]  # the head sees spikes
        made[", ".join(parts)] = parts, next(heads), [next(spelled) for _ in range(3)]
    return made


ASSORTED = _assortment(list(BLOCKS))
EXACT_ASSORTED = _assortment(list(EXACT_BLOCKS))


@functools.cache
def assorted(name: str, exact: bool = False) -> tuple[nn.Module, Tensor, Calibration]:
    """A network of the assortment, its images, and their calibration: recorded once, to be converted often."""
    parts, head, relus = (EXACT_ASSORTED if exact else ASSORTED)[name]
    network, x = build(parts, head, relus, len(name), exact), images(len(name), exact=exact)
    return network, x, calibrate(network, [x])


# ---- looking inside ---------------------------------------------------------------------------------------------------


def flat(output: Any) -> list[Tensor]:
    """Tensors of an output, in order."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output
    return [tensor for value in values for tensor in flat(value)]


def relative_error(output: Any, expected: Any) -> float:
    """Root mean square error over the root mean square of what was expected."""
    x, y = (torch.cat([t.reshape(-1) for t in flat(o)]) for o in (output, expected))
    return float((x - y).norm() / y.norm())


@contextmanager
def watching(modules: Iterable[nn.Module], inputs: bool = False) -> Iterator[list[Tensor]]:
    """What modules put out while the block runs, or take, in the order of their calls."""
    seen: list[Tensor] = []

    def note(_: nn.Module, given: Any, *out: Tensor) -> None:
        seen.append((given[0] if inputs else out[0]).detach().clone())

    handles = [m.register_forward_pre_hook(note) if inputs else m.register_forward_hook(note) for m in modules]
    yield seen
    for handle in handles:
        handle.remove()


def fired(neuron: SpikingNeuron, currents: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of a neuron, and what they leave."""
    left: list[Tensor] = []
    neuron.observer = lambda _, __, residual: left.append(residual)
    return neuron(currents), left[0]


class Recorder:
    """Runs a converted network and keeps what every step puts out: ``outputs`` as they come, with their timesteps."""

    def __init__(self, network: SpikingNetwork) -> None:
        self.network = network
        self.steps = {step.name: step for step in network.steps}
        self.parts: dict[str, list[tuple[int | None, Tensor]]] = {}

    def run(self, x: Tensor, mode: Mode = "multi-step") -> dict[str, Tensor]:
        """Values ``[T*B, ...]`` or ``[B, ...]`` by the name of the step."""
        before = self.network.mode, self.network.observer
        self.network.mode, self.network.observer = mode, self._observe
        self.parts = {}
        try:
            self.network(x)
        finally:
            self.network.mode, self.network.observer = before
        for parts in self.parts.values():
            times = [at for at, _ in parts]
            assert times == [None] or times == list(range(self.network.timesteps))
        return {name: torch.cat([value for _, value in parts]) for name, parts in self.parts.items()}

    def _observe(self, step: Any, value: Any, at: int | None) -> None:
        if step is None:
            assert at is None and isinstance(value, Tensor)
        else:
            assert self.steps[step.name] is step
            self.parts.setdefault(step.name, []).append((at, value.clone()))


def layer_of(network: SpikingNetwork, name: str) -> nn.Module:
    """The module of a step."""
    return network.layers[name]


def _spikes(network: SpikingNetwork, values: dict[str, Tensor]) -> dict[str, Tensor]:
    neurons = [name for name, layer in network.layers.items() if isinstance(layer, SpikingLayer)]
    return {name: values[name].unflatten(0, (network.timesteps, -1)) for name in neurons}


def multi_step_spikes(network: SpikingNetwork, x: Tensor) -> dict[str, Tensor]:
    """Spikes ``[T, B, ...]`` of every neuron layer."""
    return _spikes(network, Recorder(network).run(x))


def single_step_spikes(network: SpikingNetwork, x: Tensor) -> tuple[dict[str, Tensor], list[list[Tensor]]]:
    """Spikes ``[T, B, ...]`` of every neuron layer and the output currents of every step, in streaming order."""
    values = Recorder(network).run(x, "single-step")
    outputs = [values[leaf.name].unflatten(0, (network.timesteps, -1)) for leaf in tree_leaves(network.outputs)]
    return _spikes(network, values), [[output[t] for output in outputs] for t in range(network.timesteps)]


# ---- converting them ----------------------------------------------------------------------------------------------------


def full_precharge(timesteps: int) -> ConversionMethod:
    """Every neuron sees its whole input before it fires: coding errors are at most half a step."""
    return tmn(precharge=timesteps, threshold=Maximum())


def trained_output(network: nn.Module, x: Tensor) -> Any:
    with torch.no_grad():
        return network(x.clone())


def assert_converts(network: nn.Module, x: Tensor, tolerance: float = 2e-3) -> SpikingNetwork:
    network = fill(network.double().eval())
    expected = trained_output(network, x)
    converted = convert(network, [x], full_precharge(14), 14)
    for mode in ("single-step", "multi-step"):
        converted.mode = mode  # type: ignore[assignment]
        output = converted(x)
        assert [t.shape for t in flat(output)] == [t.shape for t in flat(expected)]
        assert relative_error(output, expected) < tolerance
    return converted
