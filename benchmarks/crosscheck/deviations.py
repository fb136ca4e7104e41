"""Where syops-counter deviates from the operations that there are: each in a case small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.crosscheck.syops_side import counted, per_image
from snncore import time_first
from snncore.neurons import IntegrateFireNeuron


@dataclass(frozen=True)
class Deviation:
    """One deviation: what syops says and what there is, each ``(accumulates, multiply-accumulates)``, predicted by hand.

    ``measure`` runs syops on the case.
    """

    name: str
    why: str
    measure: Callable[[], tuple[float, float]]
    syops: tuple[float, float]
    exact: tuple[float, float]


def _layer(layer: nn.Module, *calls: Tensor) -> Callable[[], tuple[float, float]]:
    """Counts of one layer over some calls."""

    def measure() -> tuple[float, float]:
        return counted(layer, lambda: [layer(x) for x in calls]).get(layer, (0.0, 0.0))

    return measure


class _Residual(nn.Module):
    """Functional operations: convolution, sum, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, 1, H, W]``."""
        return F.avg_pool2d(F.conv2d(x, self.weight) + x, 2)


def _whole(network: nn.Module, x: Tensor) -> Callable[[], tuple[float, float]]:
    return lambda: per_image(network, lambda: network(x))


def _integrate_and_fire() -> tuple[float, float]:
    """SpikingJelly's neuron for two steps of three neurons: what syops charges for its updates."""
    import importlib

    neuron: Any = importlib.import_module("syops.ops").IFNode()  # the one of SpikingJelly's neurons that it knows
    return counted(neuron, lambda: [neuron(torch.rand(1, 3)) for _ in range(2)])[neuron]


def deviations() -> list[Deviation]:
    """All of them; the images are 3x3 with one spike in a corner where nothing else is said."""
    corner = torch.zeros(1, 1, 3, 3)
    corner[0, 0, 0, 0] = 1
    ternary = corner.clone()
    ternary[0, 0, 2, 2] = -1
    batch = torch.zeros(4, 6)
    batch[:, 0] = 1
    padded, pointwise = nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Conv2d(1, 2, 1, bias=False)
    return [
        Deviation(
            "padding",
            "zeros of padding count as inputs: 81 operations at a rate of 1/9, though the corner reaches 4 outputs",
            _layer(padded, corner), (9, 0), (4, 0),
        ),
        Deviation(
            "bias", "9 additions of the bias times the rate 1/9, on top of the spike's 1",
            _layer(nn.Conv2d(1, 1, 1), corner), (2, 0), (1, 0),
        ),
        Deviation(
            "bias of a linear layer", "5 outputs get their bias once per call, not for each of 4 images; times the rate 1/6",
            _layer(nn.Linear(6, 5), batch), (20 + 5 / 6, 0), (20, 0),
        ),
        Deviation(
            "negative spikes", "three values are no spikes: 18 multiply-accumulates instead of 4 accumulates",
            _layer(pointwise, ternary), (0, 18), (4, 0),
        ),
        Deviation(
            "spikes with an amplitude above 1", "no spikes either, since they exceed 1",
            _layer(pointwise, 2 * corner), (0, 18), (2, 0),
        ),
        Deviation(
            "spikes with an amplitude below 1", "the mean of the tensor is the rate times the amplitude, here 0.5",
            _layer(pointwise, 0.5 * corner), (1, 0), (2, 0),
        ),
        Deviation(
            "pooled spikes", "averages over windows of 4 take more than two values; 9 spikes reach 2 outputs each",
            _layer(pointwise, torch.tensor([0.0, 0.25, 0.5]).expand(1, 1, 3, 3)), (0, 18), (18, 0),
        ),
        Deviation(
            "black and white images", "an analog input of two values within [0, 1] is taken for spikes",
            _layer(pointwise, torch.tensor([0.25, 0.75, 0.75]).expand(1, 1, 3, 3)), (10.5, 0), (0, 18),
        ),
        Deviation(
            "constant first layer", "charged at each of 3 calls, though its result is the same",
            _layer(pointwise, *[torch.linspace(0, 1, 9).view(1, 1, 3, 3)] * 3), (0, 54), (0, 18),
        ),
        Deviation(
            "functional operations", "F.conv2d, sums and F.avg_pool2d are not seen: a spike over 2 synapses, then a pooled sum",
            _whole(_Residual(), corner), (0, 0), (2, 4),
        ),
        Deviation(
            "subclasses of layers", "only the very types are known, no subclass such as a time-first convolution",
            _layer(time_first.Conv2d(1, 2, 1, bias=False), corner[None]), (0, 0), (2, 0),
        ),
        Deviation(
            "neurons of other libraries", "ours are not seen; their 6 updates are no accumulates and counted apart here",
            _layer(IntegrateFireNeuron(1.0, 2), torch.rand(2, 1, 3)), (0, 0), (0, 0)
        ),
        Deviation(
            "neurons of SpikingJelly", "each of 6 updates is an accumulate, added to those of synapses",
            _integrate_and_fire, (6, 0), (0, 0),
        ),
        Deviation(
            "time as first dimension", "the images are counted along the first dimension: 1 image of 4 steps is taken for 4",
            _whole(nn.Sequential(nn.Linear(6, 5, bias=False)), batch), (5, 0), (20, 0),
        ),
    ]  # fmt: skip
