"""Synaptic operations: counted synapse by synapse in plain loops, and the energies that a paper printed."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from benchmarks.published import read_published
from snncore import convert, rate, tmn
from snncore.conversion import ConversionMethod
from snncore.conversion.operations import AddSpikes, Amplify, SumPool, Total
from snncore.conversion.tracing import module_of
from snncore.counting import Counts, OperationCounter, TrainCounter, energy_mj, fan_out
from snncore.neurons import MomentumNeuron
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, Conv2d, Flatten, MaxPool2d

UNITS = {"M": 1e6, "G": 1e9}
INCONSISTENT_IN_PRINT = (2, 7)


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


def images(size: int = 5) -> Tensor:
    return torch.randn(2, 1, size, size, generator=torch.Generator().manual_seed(1))


def counted(net: nn.Module, method: ConversionMethod, timesteps: int, batch: Tensor) -> tuple[Counts, dict[str, tuple[nn.Module, Tensor]]]:
    """The counts, and for each layer behind spikes the layer with its input ``[T*B, ...]``."""
    snn = convert(net, [batch], method, timesteps)
    inputs: dict[str, tuple[nn.Module, Tensor]] = {}
    for node in snn.graph_module.graph.nodes:
        module = module_of(snn.graph_module, node)
        if isinstance(module, (nn.Conv2d, nn.Linear, SumPool, Total, Amplify, AddSpikes)):
            name = node.name
            if snn.kind(node.args[-1]) == "spikes":
                module.register_forward_hook(lambda m, x, _, name=name: inputs.__setitem__(name, (m, x[-1].clone())))
    with OperationCounter(snn) as counts:
        snn(batch)
    return counts, inputs


def by_loops(module: nn.Module, spikes: Tensor) -> float:
    """``|s|`` added up over every synapse, one at a time."""
    total = 0.0
    for sample in spikes.abs().tolist():
        if isinstance(module, nn.Conv2d):
            total += _convolution(module, sample, module.groups, module.out_channels)
        elif isinstance(module, SumPool):
            total += _windows(sample, module.kernel, module.stride, module.padding, (1, 1))
        elif isinstance(module, nn.Linear):
            total += sum(value for value in sample for _ in range(module.out_features))
        else:
            total += float(torch.tensor(sample).sum())  # one synapse each
    return total


def _convolution(layer: nn.Conv2d, sample: list[list[list[float]]], groups: int, outputs: int) -> float:
    kernel, stride, padding, dilation = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    one_output = _windows(sample, kernel, stride, padding, dilation)  # type: ignore[arg-type]
    return one_output * (outputs // groups)


def _windows(sample, kernel, stride, padding, dilation) -> float:  # type: ignore[no-untyped-def]
    total = 0.0
    for channel in sample:
        height, width = len(channel), len(channel[0])
        rows = (height + 2 * padding[0] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
        columns = (width + 2 * padding[1] - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
        for i, j, di, dj in product(range(rows), range(columns), range(kernel[0]), range(kernel[1])):
            y, x = i * stride[0] + di * dilation[0] - padding[0], j * stride[1] + dj * dilation[1] - padding[1]
            if 0 <= y < height and 0 <= x < width:
                total += channel[y][x]
    return total


@pytest.mark.parametrize("method", [tmn(), rate(0.5)], ids=lambda method: method.name)
@pytest.mark.parametrize("kind", [Plain, Residual])
def test_accumulates_are_those_of_a_loop_over_every_synapse(kind: type[nn.Module], method: ConversionMethod) -> None:
    torch.manual_seed(3)
    counts, inputs = counted(kind().eval(), method, 3, images())
    assert set(counts.accumulates) == set(inputs)
    assert len(inputs) == {"Plain": 4, "Residual": 6}[kind.__name__]
    assert {name: by_loops(*layer) for name, layer in inputs.items()} == counts.accumulates
    assert sum(counts.accumulates.values()) > 0


def test_multiplications_are_those_of_the_first_layer_once() -> None:
    torch.manual_seed(3)
    for timesteps in (1, 4):
        counts, _ = counted(Plain().eval(), tmn(), timesteps, images())
        # weights times output positions, padding and bias included: 2 images of 2 x 5 x 5 outputs
        assert counts.multiplications == {"first": 2 * (2 * 1 * 9 * 25 + 2 * 25)}
        assert counts.images == 2


def test_spikes_and_neurons_are_those_that_an_observer_sees() -> None:
    torch.manual_seed(3)
    batch = images()
    snn = convert(Residual().eval(), [batch], tmn(), 4)
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
    torch.manual_seed(3)
    net, batch = Residual().eval(), images()
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


def test_fan_out_of_a_corner_is_less_than_that_of_the_centre() -> None:
    fan = fan_out(nn.Conv2d(1, 7, 3, padding=1), (1, 4, 4))
    assert fan[0, 0, 0] == 4 * 7 and fan[0, 0, 1] == 6 * 7 and fan[0, 1, 1] == 9 * 7


def test_a_silent_network_accumulates_nothing() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].bias.fill_(5.0)
    snn = convert(net, [torch.randn(4, 3)], tmn(), 3)
    for neuron in snn.neurons.values():
        assert isinstance(neuron, MomentumNeuron)
        neuron.reset = 1e9
    with OperationCounter(snn) as counts:
        snn(torch.randn(2, 3))
    assert sum(counts.accumulates.values()) == 0 and counts.multiplications == {"_0": 2 * (3 * 4 + 4)}


def test_energy_of_the_printed_counts_is_the_printed_energy() -> None:
    printed = read_published("tmn", "table3")
    for _, row in printed.iterrows():
        acs, macs = (_number(row[name]) for name in ("acs_paper", "macs_paper"))
        expected = float(row["energy_mj_paper"])
        off = abs(energy_mj(macs, acs) / expected - 1)
        assert (off > 4e-3) == (row["row"] in INCONSISTENT_IN_PRINT), (row["row"], off)
    assert energy_mj(1e9, 0) == pytest.approx(4.6) and energy_mj(0, 1e9) == pytest.approx(0.9)
    assert energy_mj(1e9, 1e9, mac_pj=12.5, ac_pj=0.077) == pytest.approx(12.577)


def _number(printed: str) -> float:
    if not printed:
        return 0.0
    return float(printed[:-1]) * UNITS[printed[-1]]


# ---- networks of time-first layers ------------------------------------------------------------------------------------


def time_first(pooling: nn.Module) -> nn.Sequential:
    """Strides, padding, dilation and groups, and a pooling that hands on spikes or fractions."""
    torch.manual_seed(4)
    neuron = FirstSpikeNeuron(3, 0.2)
    return nn.Sequential(
        Conv2d(1, 2, 3, padding=1), neuron, Conv2d(2, 4, 3, stride=2, padding=1, bias=False), neuron, pooling,
        Conv2d(4, 4, 2, padding=1, groups=2, dilation=2), neuron, Flatten(), nn.Linear(4 * 3 * 3, 5), neuron, nn.Linear(5, 2),
    )  # fmt: skip


def inputs_of(network: nn.Sequential, x: Tensor) -> dict[str, tuple[nn.Module, Tensor]]:
    found = {}
    for index, layer in enumerate(network):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            found[str(index)] = (layer, x)
        x = layer(x)
    return found


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_train_accumulates_are_those_of_a_loop_over_every_synapse(memory_format: torch.memory_format) -> None:
    network = time_first(MaxPool2d(1)).to(memory_format=memory_format)
    batch = images(6).contiguous(memory_format=memory_format)[None]  # [1, B, 1, 6, 6]
    with torch.no_grad(), TrainCounter(network) as counter:
        network(batch)
    with torch.no_grad():
        layers = inputs_of(network, batch)
    assert list(counter.accumulates) == list(layers)[1:]
    for name, counts in counter.accumulates.items():
        layer, train = layers[name]
        assert counts.shape == (3, 2)
        expected = [[by_loops(layer, train[t, image][None]) for image in range(2)] for t in range(3)]
        assert counts.tolist() == expected
        assert counts.sum() > 0
    # weights times output positions, bias included: 2 x 6 x 6 outputs of the first layer, for one image
    assert counter.multiplications == {"0": 2 * 9 * 36 + 2 * 36}


def test_a_spike_input_costs_accumulates_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 7), FirstSpikeNeuron(4))
    train = torch.zeros(4, 2, 3)
    train[0, 0, 1] = train[3, 0, 2] = train[3, 0, 0] = 1
    with TrainCounter(network) as counter:
        network(train)
    assert counter.multiplications == {}
    assert counter.accumulates["0"].tolist() == [[7, 0], [0, 0], [0, 0], [14, 0]]


def test_multiplications_are_per_image_and_do_not_grow_with_time() -> None:
    for timesteps, batch in ((2, 1), (9, 5)):
        network = nn.Sequential(nn.Linear(6, 4), FirstSpikeNeuron(timesteps))
        with TrainCounter(network) as counter:
            network(torch.rand(1, batch, 6))
        assert counter.multiplications == {"0": 6 * 4 + 4} and counter.accumulates == {}


def test_train_counts_are_of_the_last_batch_and_end_with_the_block() -> None:
    network = time_first(MaxPool2d(1))
    first, second = images(6)[:1][None], images(6)[1:][None]
    with torch.no_grad():
        with TrainCounter(network) as both:
            network(first)
            network(second)
        with TrainCounter(network) as alone:
            network(second)
        kept = {name: counts.clone() for name, counts in alone.accumulates.items()}
        network(first)
    assert both.accumulates.keys() == kept.keys()
    for name, counts in kept.items():
        assert torch.equal(both.accumulates[name], counts) and torch.equal(alone.accumulates[name], counts)


def test_fractions_of_spikes_are_refused() -> None:
    network = time_first(AvgPool2d(2))
    network[5] = Conv2d(4, 4, 1)
    with pytest.raises(ValueError, match="layer 5 sees more than spikes .* merge average pooling"), TrainCounter(network):
        network(4 * images(6).abs()[None])
    assert not any(layer._forward_hooks for layer in network)
