"""Synaptic operations: counted synapse by synapse in plain loops."""

import functools

import pytest
import torch
import torch.nn.functional as F
from small_networks import watching
from synapse_loops import by_loops, images
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from snncore import ConversionMethod, convert, rate, tmn
from snncore.conversion import Counts, OperationCounter, RecordedNetwork, record
from snncore.conversion.counting import SYNAPTIC, fan_out
from snncore.conversion.operations import Synapses


class Plain(nn.Module):
    """Strides, padding, dilation, groups and a missing bias, each in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.strided = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False)
        self.grouped = nn.Conv2d(4, 4, 2, padding=1, groups=2)
        self.dilated = nn.Conv2d(4, 2, 2, dilation=2)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.strided(torch.relu(self.first(x))))
        x = torch.relu(self.dilated(torch.relu(self.grouped(x))))
        return self.last(torch.flatten(x, 1))


class Residual(nn.Module):
    """A residual connection without a layer, pooling in front of a layer, a global mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.branch = nn.Conv2d(2, 2, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.second = nn.Conv2d(2, 3, 1)
        self.last = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(self.branch(x) + x)
        return self.last(torch.relu(self.second(self.pool(x))).mean((2, 3)))


class Upsampling(nn.Module):
    """A transposed convolution with stride, padding, dilation and groups; a product with a constant matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, output_padding=1, bias=False)
        self.weight = nn.Parameter(torch.randn(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.up(torch.relu(self.first(x))))
        return x.flatten(2).mean(2) @ self.weight


@functools.cache
def recorded(kind: type[nn.Module]) -> RecordedNetwork:
    torch.manual_seed(3)
    return record(kind().eval(), images(6 if kind is Functional else 5))


def counted(net: nn.Module, method: ConversionMethod, timesteps: int, batch: Tensor) -> tuple[Counts, dict[str, tuple[nn.Module, Tensor]]]:
    """The counts, and for each layer behind spikes the layer with its input ``[T*B, ...]``."""
    snn = convert(net, [batch], method, timesteps)
    inputs: dict[str, tuple[nn.Module, Tensor]] = {}
    for step in snn.steps:
        module = snn.layers[step.name]
        if isinstance(module, SYNAPTIC) and snn.kind(step.inputs[-1]) == "spikes":
            module.register_forward_hook(lambda m, x, _, name=step.name: inputs.__setitem__(name, (m, x[-1].clone())))
    with OperationCounter(snn) as counts:
        snn(batch)
    return counts, inputs


@pytest.mark.parametrize("method", [tmn(), rate(0.5)], ids=lambda method: method.name)
@pytest.mark.parametrize("kind", [Plain, Residual, Upsampling])
def test_accumulates_are_those_of_a_loop_over_every_synapse(kind: type[nn.Module], method: ConversionMethod) -> None:
    counts, inputs = counted(recorded(kind), method, 3, images())
    assert set(counts.accumulates) == set(inputs)
    assert len(inputs) == {"Plain": 4, "Residual": 6, "Upsampling": 3}[kind.__name__]
    assert {name: by_loops(*layer) for name, layer in inputs.items()} == counts.accumulates
    assert sum(counts.accumulates.values()) > 0


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
@pytest.mark.parametrize("kind", [Plain, Residual, Upsampling])
def test_every_step_is_counted_by_itself(kind: type[nn.Module], mode: str) -> None:
    batch = images()
    _, inputs = counted(recorded(kind), tmn(), 3, batch)
    snn = convert(recorded(kind), [batch], tmn(), 3, mode=mode)  # type: ignore[arg-type]
    with OperationCounter(snn) as counts:
        snn(batch)
    for name, (module, train) in inputs.items():
        layer = counts.layers[name]
        steps = train.unflatten(0, (3, 2))
        assert layer.accumulates == [by_loops(module, step) for step in steps]
        assert layer.positive == [float(step.clamp(min=0).sum()) for step in steps]
        assert layer.negative == [float(-step.clamp(max=0).sum()) for step in steps]
        assert layer.inputs == steps[0, 0].numel()
        assert layer.synapses == by_loops(module, torch.ones_like(steps[0, :1]))
    assert counts.images == 2 and counts.timesteps == 3


class Functional(nn.Module):
    """Convolution, linear layer, pooling, sums, products and concatenation, all of them functions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.kernel = nn.Parameter(torch.randn(4, 2, 3, 3))
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.weight = nn.Parameter(torch.randn(3, 8))
        self.bias = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x * 0.5, self.stem, padding=1))  # [B, 4, 6, 6]
        y = F.conv2d(x, self.kernel, stride=2, padding=1, groups=2)  # [B, 4, 3, 3]
        y = torch.relu(y * self.scale + F.avg_pool2d(x, 2))
        y = torch.cat([y, y], 1)
        return F.linear(y.mean((2, 3)), self.weight, self.bias)


@pytest.mark.parametrize("mode", ["multi-step", "single-step"])
def test_functional_operations_count(mode: str) -> None:
    batch, timesteps = images(6), 3
    reference = convert(recorded(Functional), [batch], tmn(), timesteps)
    with watching(reference.neurons.values()) as trains:
        reference(batch)
    snn = convert(recorded(Functional), [batch], tmn(), timesteps, mode=mode)  # type: ignore[arg-type]
    with OperationCounter(snn) as counts:
        snn(batch)
    first, second = (train.flatten(0, 1).abs() for train in trains)
    assert first.sum() > 0 and second.sum() > 0
    kernel = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2)
    found = counts.accumulates
    assert found["conv2d_1"] == by_loops(kernel, first)
    assert found["avg_pool2d"] == float(first.sum())
    assert found["mean"] == 2 * float(second.sum())  # both halves of the concatenation
    assert sum(1 for layer in counts.layers.values() if layer.input == "spikes") == 5
    # the image times 0.5 and the first convolution once; the product of currents at each step
    assert counts.multiplications == {"mul": 2 * 36.0, "conv2d": 2 * 4 * 9 * 36.0}
    assert {name.split("_")[0]: n for name, n in counts.current_multiplications.items()} == {"mul": 2.0 * timesteps * 4 * 9}


def test_a_layer_behind_currents_multiplies_at_each_step() -> None:
    torch.manual_seed(7)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Linear(5, 3))
    batch = torch.randn(3, 4)
    snn = convert(net, [batch], tmn(), 4)
    with OperationCounter(snn) as counts:
        snn(batch)
    assert counts.layers["linear_2"].input == "current"
    assert counts.layers["linear_2"].multiplications == [3 * (5 * 3 + 3.0)] * 4
    once, every = counts.per_image("once"), counts.per_image()
    assert once.macs == (4 * 6 + 6) + 4 * (5 * 3 + 3) and every.macs == 4 * (4 * 6 + 6) + 4 * (5 * 3 + 3)
    assert once.acs == every.acs == counts.accumulates["linear_1"] / 3


def test_neurons_are_updated_while_they_charge() -> None:
    batch = images()
    for precharge in (0, 1, 2):
        snn = convert(recorded(Residual), [batch], tmn(precharge), 4)
        with OperationCounter(snn) as counts:
            snn(batch)
        assert {each.steps for each in counts.neuron_layers.values()} == {4 + precharge}
        assert counts.per_image().updates == (4 + precharge) * sum(counts.neurons.values())
        fired = sum(sum(each) for each in counts.spikes.values())
        ternary = sum((2 if negative else 1) * (positive + negative) for positive, negative in counts.spikes.values())
        assert counts.per_image().signs == ternary / 2 >= fired / 2


class _Largest(TorchDispatchMode):
    """Remembers the largest tensor that is made, views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = function(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(out):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, x.untyped_storage().nbytes())
        return out


def test_memory_of_counting_does_not_grow_with_time() -> None:
    torch.manual_seed(3)
    batch = images(12).contiguous(memory_format=torch.channels_last)
    made = []
    for timesteps in (2, 16):
        snn = convert(Residual().eval().to(memory_format=torch.channels_last), [batch], tmn(), timesteps)
        counter = OperationCounter(snn)
        largest = _Largest()
        observe = counter._observe

        def watched(*arguments: object, observe: object = observe, largest: _Largest = largest) -> None:
            with largest:
                observe(*arguments)  # type: ignore[operator]

        counter._observe = watched  # type: ignore[method-assign, assignment]
        with counter:
            snn(batch)
        made.append(largest.bytes)
    assert made[0] == made[1] > 0


def test_one_counter_at_a_time() -> None:
    snn = convert(recorded(Residual), [images()], tmn(), 2)
    with OperationCounter(snn) as counts:
        with pytest.raises(RuntimeError, match="observed already"), OperationCounter(snn):
            pass
        snn(images())
    assert counts.images == 2 and snn.observer is None


def test_counting_does_not_change_the_output() -> None:
    for mode in ("multi-step", "single-step"):
        snn = convert(recorded(Residual), [images()], tmn(), 4, mode=mode)  # type: ignore[arg-type]
        plain = snn(images(), every_step=True)
        with OperationCounter(snn):
            assert torch.equal(snn(images(), every_step=True), plain)


def test_spikes_and_neurons_are_those_that_an_observer_sees() -> None:
    batch = images()
    snn = convert(recorded(Residual), [batch], tmn(), 4)
    seen: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for name, neuron in snn.neurons.items():

        def observe(_: object, spikes: Tensor, __: Tensor, name: str = name) -> None:
            seen[name] = [float((spikes > 0).sum()), float((spikes < 0).sum())]
            sizes[name] = spikes[0, 0].numel()

        neuron.observer = observe
    with OperationCounter(snn) as counts:
        snn(batch)
    assert counts.spikes == seen and counts.neurons == sizes
    assert sum(negative for _, negative in seen.values()) > 0


def test_batches_add_up_and_counting_ends_with_the_block() -> None:
    net, batch = recorded(Residual), images()
    snn = convert(net, [batch], tmn(), 3)
    whole, parts = OperationCounter(snn), OperationCounter(snn)
    with whole as counts:
        snn(batch)
    for image in batch.split(1):
        with parts as sums:
            snn(image)
    snn(batch)
    assert sums == counts


def test_channels_last_images_give_the_same_counts() -> None:
    torch.manual_seed(3)
    net, batch = Plain().eval(), images()
    plain, _ = counted(net, tmn(), 3, batch)
    last, _ = counted(net.to(memory_format=torch.channels_last), tmn(), 3, batch.to(memory_format=torch.channels_last))
    assert plain == last


def synapses_of(layer: nn.Module, x: Tensor) -> Synapses:
    """The layer that runs in the place of ``layer``, behind spikes."""
    network = nn.Sequential(nn.ReLU(), layer, nn.ReLU()).eval()
    snn = convert(network, [x], timesteps=2)
    return next(module for module in snn.layers.values() if isinstance(module, Synapses))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(2, 3, 3, padding=2, dilation=2),
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        nn.Conv2d(2, 3, 3, padding="same"),
        nn.Conv3d(2, 2, 2),
        nn.ConvTranspose1d(2, 3, 3, stride=2),
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), groups=2, output_padding=1),
        nn.Linear(5, 7),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_fan_out_is_the_gradient_of_ones(layer: nn.Module) -> None:
    shape = (5,) if isinstance(layer, nn.Linear) else (layer.in_channels, *[5] * (layer.weight.dim() - 2))
    found = fan_out(synapses_of(layer, torch.rand((3, *shape))), shape)
    x = torch.zeros((1, *shape), requires_grad=True)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    assert torch.equal(found, gradient[0].double())


def test_circular_padding_is_a_copy_in_front_of_the_layer() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")
    assert fan_out(synapses_of(layer, torch.rand(2, 2, 5, 5)), (2, 7, 7))[:, 3, 3].tolist() == [27, 27]
