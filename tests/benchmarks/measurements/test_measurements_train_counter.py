"""Operations of networks of time-first layers, counted synapse by synapse in plain loops."""

import pytest
import torch
from synapse_loops import by_loops, images
from torch import Tensor, nn

from benchmarks.measurements.train_counter import TrainCounter
from benchmarks.methods.spike_time_layers import LatencyLinear
from snncore.coding import latency_spikes
from snncore.neurons import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, Conv2d, Flatten, MaxPool2d


def time_first(pooling: nn.Module) -> nn.Sequential:
    """Strides, padding, dilation and groups, and a pooling that hands on spikes or fractions."""
    torch.manual_seed(4)
    first, second, third, fourth = (FirstSpikeNeuron(0.2, 3) for _ in range(4))
    return nn.Sequential(
        Conv2d(1, 2, 3, padding=1), first, Conv2d(2, 4, 3, stride=2, padding=1, bias=False), second, pooling,
        Conv2d(4, 4, 2, padding=1, groups=2, dilation=2), third, Flatten(), nn.Linear(4 * 3 * 3, 5), fourth, nn.Linear(5, 2),
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
    network = nn.Sequential(nn.Linear(3, 7), FirstSpikeNeuron(1.0, 4))
    train = torch.zeros(4, 2, 3)
    train[0, 0, 1] = train[3, 0, 2] = train[3, 0, 0] = 1
    with TrainCounter(network) as counter:
        network(train)
    assert counter.multiplications == {}
    assert counter.accumulates["0"].tolist() == [[7, 0], [0, 0], [0, 0], [14, 0]]


def test_latency_coded_values_count_like_their_spikes() -> None:
    torch.manual_seed(5)
    values = torch.rand(4, 6) * torch.tensor([0.0, 1, 1, 1, 1, 2])
    layer = nn.Linear(6, 7, bias=False)
    network = nn.Sequential(LatencyLinear(layer, 5), FirstSpikeNeuron(1.0, 5))
    with torch.no_grad(), TrainCounter(network) as counter:
        network(values)
    expected = latency_spikes(values, 5).sum(2) * 7
    assert torch.equal(counter.accumulates["0"], expected) and expected.sum() > 0


def test_multiplications_are_per_image_and_do_not_grow_with_time() -> None:
    for timesteps, batch in ((2, 1), (9, 5)):
        network = nn.Sequential(nn.Linear(6, 4), FirstSpikeNeuron(1.0, timesteps))
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
