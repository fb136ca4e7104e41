"""What follows from the definitions alone: currents of random stacks, pooling of random spikes."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.tables.analytic import Case
from benchmarks.training.randomness import generator
from snncore.initialization import Variance, ettfs, initialize, kaiming
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, MaxPool2d

IMAGES = 64


def cases(stacks: dict[str, Any]) -> list[Case]:
    """All cases; ``stacks`` holds ``width``, ``depth``, ``timesteps`` (a list) and ``draws`` of the random stacks."""
    made: list[Case] = []
    for timesteps in stacks.get("timesteps", []):
        size = (stacks["width"], stacks["depth"], timesteps, stacks["draws"])
        for name, claim in (("kaiming", "E01"), ("ettfs", "E02")):
            for forced in (True, False):
                spike = "forced last spike" if forced else "no forced spike"
                for layer in range(stacks["depth"]):
                    case = f"{name}, T = {timesteps}, {spike}, layer {layer + 1}"
                    values = partial(_value, (name, *size, forced), layer)
                    if forced:
                        made.append(Case(claim, "variance of the current X[t]", case, partial(values, 0)))
                        if name == "ettfs":
                            made.append(Case(claim, "mean of the current X[t]", case, partial(values, 1)))
                    else:
                        made.append(Case("E03", "share of neurons that fire", case, partial(values, 2)))
    for window in (2, 3):
        for largest, name in ((True, "max"), (False, "average")):
            case = f"{name} pooling, {window}x{window}"
            made.append(Case("E08", "largest sum of a pooled train over time", case, partial(_pooled, window, largest)))
    quantity = "largest difference between pooling before and after summing over time"
    made.append(Case("E08", quantity, "average pooling, 2x2", partial(_commutes, AvgPool2d(2))))
    made.append(Case("E08", quantity, "max pooling, 2x2", partial(_commutes, MaxPool2d(2))))
    return made


Stack = tuple[str, int, int, int, int, bool]
"""Initialisation, width, depth, T, draws, forced last spike."""


def _value(stack: Stack, layer: int, which: int) -> float:
    return _statistics(stack)[layer][which]


@cache
def _statistics(stack: Stack) -> list[tuple[float, float, float]]:
    """Per layer: variance and mean of the currents and share of neurons that fire, over draws of weights and inputs."""
    name, width, depth, timesteps, draws, forced = stack
    variance: Variance = ettfs(timesteps) if name == "ettfs" else kaiming
    sums = torch.zeros(depth, 3, dtype=torch.float64)
    for draw in range(draws):
        source = generator(draw, "stack")
        layers = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)]).double()
        initialize(layers, variance, source)
        spikes = single_spikes((IMAGES, width), timesteps, source)
        neuron = FirstSpikeNeuron(1.0, timesteps, forced_spike=forced)
        with torch.no_grad():
            for index, layer in enumerate(layers):
                currents = layer(spikes)
                spikes = neuron(currents)
                found = [float(currents.square().mean()), float(currents.mean()), float(spikes.sum() / spikes[0].numel())]
                sums[index] += torch.tensor(found, dtype=torch.float64)
    means = sums / draws
    return [(float(square - mean**2), float(mean), float(fired)) for square, mean, fired in means]


def single_spikes(shape: tuple[int, ...], timesteps: int, source: torch.Generator) -> Tensor:
    """Trains ``[T, ...]`` float64 in which every neuron fires once, at a step drawn evenly."""
    steps = torch.randint(0, timesteps, shape, generator=source)
    return nn.functional.one_hot(steps, timesteps).movedim(-1, 0).double()


def _maps() -> Tensor:
    return single_spikes((16, 4, 12, 12), 8, generator(0, "pooling"))


def _pooled(window: int, largest: bool) -> float:
    pool = MaxPool2d(window) if largest else AvgPool2d(window)
    return float(pool(_maps()).sum(0).max())


def _commutes(pool: nn.Module) -> float:
    spikes = _maps()
    return float((pool(spikes).sum(0) - pool(spikes.sum(0, keepdim=True))[0]).abs().max())
