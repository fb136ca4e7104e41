"""Average pooling merged into weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import watching
from torch import Tensor, nn

from benchmarks.measurements.pooling import merge_average_pooling
from snncore.initialization import ettfs, initialize
from snncore.neurons import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, Conv2d, Dropout, Flatten, MaxPool2d

quick = settings(deadline=None, derandomize=True, max_examples=15)


def single_spikes(*shape: int, timesteps: int = 5, seed: int = 0) -> Tensor:
    """Trains ``[T, ...]`` float64 with at most one spike each; one neuron in T + 1 stays silent."""
    step = torch.randint(0, timesteps + 1, shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(step, timesteps + 1).movedim(-1, 0)[:timesteps].double()


def observed(network: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Output, and the inputs of all layers with weights."""
    layers = [m for m in network if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad(), watching(layers, inputs=True) as seen:
        return network(x), seen


def build(*layers: nn.Module, timesteps: int = 4, seed: int = 0) -> nn.Sequential:
    made = nn.Sequential(*layers).double()
    initialize(made, ettfs(timesteps), torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for layer in made:
            if getattr(layer, "bias", None) is not None:
                layer.bias.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(seed + 1))
    return made


def binary(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())


@quick
@given(st.integers(0, 10**6), st.integers(9, 13), st.integers(9, 13), st.sampled_from([(2, 2), (3, 1), (1, 2)]), st.integers(1, 2))
def test_a_merged_network_fires_the_same_and_sees_spikes_alone(
    seed: int, height: int, width: int, windows: tuple[int, int], stride: int
) -> None:
    first, second = windows
    size = [((side - 2) // first - 2) // stride + 1 for side in (height, width)]
    size = [side // second for side in size]
    if min(size) < 1:
        return
    neuron = FirstSpikeNeuron(1.0, 4)
    network = build(
        Conv2d(1, 4, 3), neuron, AvgPool2d(first),
        Conv2d(4, 6, 2, stride=stride, groups=2), neuron, AvgPool2d(second), Flatten(),
        nn.Linear(6 * size[0] * size[1], 8), neuron, nn.Linear(8, 3, bias=False), neuron,
        seed=seed,
    )  # fmt: skip
    pixels = torch.rand(1, 3, 1, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    merged = merge_average_pooling(network, pixels)
    assert not any(isinstance(layer, AvgPool2d) for layer in merged)
    out, _ = observed(network, pixels)
    again, inputs = observed(merged, pixels)
    assert torch.equal(out, again)
    assert len(inputs) == 4 and not binary(inputs[0])
    assert all(binary(x) for x in inputs[1:])


def test_currents_of_a_merged_network_are_the_same() -> None:
    spikes = single_spikes(3, 2, 11, 8)
    convolution = build(AvgPool2d(2), Conv2d(2, 5, 3))
    merged = merge_average_pooling(convolution, spikes)
    assert merged[0].kernel_size == (6, 6) and merged[0].stride == (2, 2)
    assert torch.allclose(merged(spikes), convolution(spikes), atol=1e-12)
    linear = build(AvgPool2d(3), Flatten(), nn.Linear(2 * 3 * 2, 4))
    merged = merge_average_pooling(linear, spikes)
    assert merged(spikes).shape == (5, 3, 4)
    assert torch.allclose(merged(spikes), linear(spikes), atol=1e-12)


def test_the_network_is_not_changed_and_other_layers_are_shared() -> None:
    network = build(Conv2d(1, 2, 3), FirstSpikeNeuron(1.0, 4), AvgPool2d(2), Conv2d(2, 3, 2), FirstSpikeNeuron(1.0, 4))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    merged = merge_average_pooling(network, torch.rand(1, 2, 1, 8, 8, dtype=torch.float64))
    assert [type(layer) for layer in network] == [Conv2d, FirstSpikeNeuron, AvgPool2d, Conv2d, FirstSpikeNeuron]
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    assert merged[0] is network[0] and merged[1] is network[1] and merged[3] is network[4]
    assert merged[2] is not network[3]


def test_a_merged_network_has_no_dropout() -> None:
    with_dropout = nn.Sequential(AvgPool2d(2), Dropout(0.5), Flatten(), nn.Linear(4, 3)).eval()
    trains = torch.rand(2, 5, 1, 4, 4)
    merged = merge_average_pooling(with_dropout, trains)
    assert not any(isinstance(layer, Dropout) for layer in merged)
    assert torch.allclose(merged(trains), with_dropout(trains), atol=1e-6)


def test_without_average_pooling_nothing_changes() -> None:
    network = build(Conv2d(1, 2, 3), FirstSpikeNeuron(1.0, 4), MaxPool2d(2), Flatten(), nn.Linear(18, 2), FirstSpikeNeuron(1.0, 4))
    merged = merge_average_pooling(network, torch.rand(1, 1, 1, 8, 8, dtype=torch.float64))
    assert list(merged) == list(network)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((AvgPool2d(3, stride=2), Conv2d(1, 2, 2)), "only square windows without overlap"),
        ((AvgPool2d((2, 3)), Conv2d(1, 2, 2)), "only square windows without overlap"),
        ((AvgPool2d(2, padding=1), Conv2d(1, 2, 2)), "cannot be merged"),
        ((AvgPool2d(3, ceil_mode=True), Conv2d(1, 2, 2)), "cannot be merged"),
        ((AvgPool2d(2), Conv2d(1, 2, 3, padding=1)), "its padding or dilation would fall between windows"),
        ((AvgPool2d(2), Conv2d(1, 2, 2, dilation=2)), "its padding or dilation would fall between windows"),
        ((AvgPool2d(2), AvgPool2d(2), Conv2d(1, 2, 2)), "can be merged into a convolution or into Flatten and a linear layer"),
        ((Conv2d(1, 2, 3), AvgPool2d(2)), "can be merged into"),
        ((AvgPool2d(2), FirstSpikeNeuron(1.0, 4), Conv2d(1, 2, 2)), "can be merged into"),
    ],
)
def test_what_cannot_be_merged_is_refused(layers: tuple[nn.Module, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        merge_average_pooling(build(*layers), torch.rand(1, 2, 1, 10, 10, dtype=torch.float64))
