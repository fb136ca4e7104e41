"""Bytes of live tensors: known sizes by hand, and what the two ways of running a converted network need."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.measurements import LiveMemory
from benchmarks.measurements.live_memory import LiveBytes
from benchmarks.methods import method, threshold_rule
from benchmarks.profiles import NetworkChoice
from snncore import convert

CHOICE = NetworkChoice("CIFAR-10", "ResNet-20", "sklearn/digits", "resnet20-thin", "weights")
KB = 1000  # of 250 float32 numbers
DEPTH = 4


def kilobytes(count: int = 1) -> Tensor:
    return torch.zeros(250 * count)


def test_sizes_of_tensors_add_up() -> None:
    with LiveBytes() as live:
        first = kilobytes()
        second = first.double()
        third = torch.ones(10, dtype=torch.int8)
    assert live.alive == live.peak == 1 * KB + 2 * KB + 10
    assert len(first) + len(second) + len(third) == 510


def test_views_and_operations_in_place_count_once() -> None:
    with LiveBytes() as live:
        x = kilobytes()
        views = [x.view(10, 25), x[3:], x.view(25, 10).T, x.expand(7, 250), x.detach()]
        x.add_(1).mul_(2)
        x[5:9] = 3
        torch.add(x, x, out=x)
    assert live.alive == live.peak == KB and len(views) == 5


def test_a_view_keeps_what_it_shows_alive() -> None:
    with LiveBytes() as live:
        view = kilobytes(4)[:1]
        assert live.alive == 4 * KB
        del view
        assert live.alive == 0


def test_freed_memory_leaves_and_the_peak_stays() -> None:
    with LiveBytes() as live:
        x = kilobytes(3)
        y = x + 1
        assert live.alive == 6 * KB
        del x
        assert live.alive == 3 * KB
        z = y[:250] * 2
        del y
        assert live.alive == KB
        for _ in range(10):
            kilobytes()
        assert live.alive == KB and len(z) == 250
    assert live.peak == 3 * KB * 2
    with LiveBytes() as live:
        x = (kilobytes() + 1) * 2  # a temporary counts while it is there
    assert (live.alive, live.peak) == (KB, 2 * KB) and len(x) == 250


def test_what_is_known_before_counts_nothing_whatever_shows_it() -> None:
    weights, other = kilobytes(5), kilobytes(2)
    with LiveBytes([weights]) as live:
        views = [weights.view(25, 50), weights[3:], weights.mul_(2)]
        assert live.alive == 0
        made = weights * 2
    assert live.alive == 5 * KB
    with LiveBytes() as live:
        views.append(other[1:])
        assert live.alive == 2 * KB  # not known, seen for the first time
    assert len(made) == 1250


def test_several_outputs_of_one_operation_are_all_seen() -> None:
    x = torch.arange(250.0)
    with LiveBytes([x]) as live:
        parts = x.split(50)
        assert live.alive == 0
        values, indices = x.sort()
    assert live.alive == KB + 250 * 8 and len(parts) == 5 and len(values) == len(indices)


def bench() -> Any:
    """Stands in for a lab: a chain of four layers of neurons, six images in batches of four."""
    torch.manual_seed(1)
    layers = [part for _ in range(DEPTH) for part in (nn.Linear(40, 40), nn.ReLU())]
    net, images = nn.Sequential(*layers, nn.Linear(40, 4)).eval(), torch.randn(6, 40)
    return SimpleNamespace(
        converted=lambda _, rule, name, __, steps: convert(net, [images], method(name).conversion(threshold_rule(rule)), steps),
        test_batches=lambda _, start, stop: ((batch, torch.zeros(len(batch))) for batch in images[start:stop].split(4)),
    )


def peak(timesteps: int, mode: Any, images: int = 6) -> tuple[int, int]:
    measured = LiveMemory(CHOICE, "maximum", None, "TSA", (), timesteps, mode).run(bench(), 0, images)
    return int(measured["same_bytes"]), int(measured["same_images"])


def test_step_by_step_memory_does_not_grow_once_the_pipeline_is_full() -> None:
    filling, *full = [peak(t, "single-step")[0] for t in (1, 3 * DEPTH, 5 * DEPTH, 8 * DEPTH)]
    assert filling < full[0] == full[1] == full[2]


def test_layer_by_layer_memory_grows_in_proportion_to_the_steps() -> None:
    eight, sixteen, thirty_two = [peak(t, "multi-step")[0] for t in (8, 16, 32)]
    assert thirty_two - sixteen == pytest.approx(2 * (sixteen - eight), rel=0.01)
    assert sixteen - eight >= 8 * 4 * 40 * 4  # eight more steps of a layer, four images, float32
    assert thirty_two > 2 * peak(32, "single-step")[0]


def test_one_batch_is_measured_and_memory_goes_with_its_images() -> None:
    assert peak(8, "multi-step")[1] == 4
    two, four = peak(8, "multi-step", 2), peak(8, "multi-step", 4)
    assert two[1] == 2 and four[0] == pytest.approx(2 * two[0], rel=0.05)


def test_weights_and_images_are_not_counted() -> None:
    """The whole input train and the trains of a layer are more than T times an image; the weights would be 27 kB more."""
    bytes_of_a_train = 8 * 4 * 40 * 4
    assert bytes_of_a_train < peak(8, "multi-step")[0] < 6 * bytes_of_a_train
