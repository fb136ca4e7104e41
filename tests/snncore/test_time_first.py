"""Layers on spike trains: pooling and the single-spike property."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snncore.time_first import AvgPool2d, Conv2d, Dropout, Flatten, MaxPool2d

quick = settings(deadline=None, derandomize=True, max_examples=15)


def single_spikes(*shape: int, timesteps: int = 5, seed: int = 0) -> Tensor:
    """Trains ``[T, ...]`` float64 with at most one spike each; one neuron in T + 1 stays silent."""
    step = torch.randint(0, timesteps + 1, shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(step, timesteps + 1).movedim(-1, 0)[:timesteps].double()


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(3, 4, 3, stride=2, padding=1)),
        (AvgPool2d(2), nn.AvgPool2d(2)),
        (MaxPool2d(3), nn.MaxPool2d(3)),
        (Flatten(), nn.Flatten()),
    ],
)
def test_every_timestep_is_an_image(layer: nn.Module, plain: nn.Module) -> None:
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 2, 3, 7, 6)
    out = layer(x)
    assert torch.allclose(out, torch.stack([plain(step) for step in x]), atol=1e-6)
    assert out.shape[:2] == (4, 2)
    assert torch.allclose(layer(x[:1]), out[:1], atol=1e-6)


@quick
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_an_average_of_single_spikes_sums_to_at_most_one(seed: int, window: int) -> None:
    spikes = single_spikes(2, 3, 6, 7, seed=seed)
    pooled = AvgPool2d(window)(spikes)
    assert pooled.sum(0).max() <= 1 + 1e-12
    assert torch.allclose(pooled.sum(0), nn.functional.avg_pool2d(spikes.sum(0), window))


def test_a_maximum_of_single_spikes_fires_once_for_every_time_in_its_window() -> None:
    spikes = torch.zeros(4, 1, 1, 2, 2)
    for t, (row, column) in zip((0, 1, 3, 3), ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        spikes[t, 0, 0, row, column] = 1
    assert MaxPool2d(2)(spikes).flatten().tolist() == [1, 1, 0, 1]
    assert AvgPool2d(2)(spikes).flatten().tolist() == [0.25, 0.25, 0, 0.5]
    assert MaxPool2d(2)(single_spikes(4, 3, 6, 6)).sum(0).max() > 1


def test_dropout_silences_a_neuron_at_all_steps_or_at_none() -> None:
    torch.manual_seed(0)
    layer, trains = Dropout(0.25), torch.ones(3, 40, 50)
    out = layer(trains)
    assert torch.equal(out, out[:1].expand_as(out))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert 0.2 < float((out == 0).float().mean()) < 0.3
    assert layer.eval()(trains) is trains
