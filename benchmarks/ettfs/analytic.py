"""What follows from the definitions alone: currents of random stacks, pooling of random spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.tables.analytic import Case
from benchmarks.training.randomness import generator
from snncore.initialization import ettfs, initialize, kaiming
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import AvgPool2d, MaxPool2d

IMAGES = 64
POOLS: dict[str, Callable[[int], nn.Module]] = {"max": MaxPool2d, "average": AvgPool2d}
VARIANCE, MEAN, FIRED = "variance of the current X[t]", "mean of the current X[t]", "share of neurons that fire"


def cases(stacks: dict[str, Any]) -> Iterator[Case]:
    """All cases; ``stacks`` holds ``width``, ``depth``, ``timesteps`` (a list) and ``draws`` of the random stacks."""
    settings = product(stacks["timesteps"], (("kaiming", "E01"), ("ettfs", "E02")), (True, False), range(stacks["depth"] or 0))
    for timesteps, (name, claim), forced, layer in settings:
        case = f"{name}, T = {timesteps}, {'forced last spike' if forced else 'no forced spike'}, layer {layer + 1}"
        quantities = [VARIANCE, *([MEAN] if name == "ettfs" else [])] if forced else [FIRED]
        for quantity in quantities:
            stack = (name, stacks["width"], stacks["depth"], timesteps, stacks["draws"], forced)
            yield Case(claim if forced else "E03", quantity, case, partial(_value, stack, layer, quantity))
    for window, name in product((2, 3), POOLS):
        case = f"{name} pooling, {window}x{window}"
        yield Case("E08", "largest sum of a pooled train over time", case, partial(_largest, POOLS[name](window)))
    quantity = "largest difference between pooling before and after summing over time"
    for name in ("average", "max"):
        yield Case("E08", quantity, f"{name} pooling, 2x2", partial(_difference, POOLS[name](2)))


Stack = tuple[str, int, int, int, int, bool]
"""Initialisation, width, depth, T, draws, forced last spike."""


def _value(stack: Stack, layer: int, quantity: str) -> float:
    return _statistics(stack)[layer][quantity]


@cache
def _statistics(stack: Stack) -> list[dict[str, float]]:
    """Per layer: variance and mean of the currents and share of neurons that fire, over draws of weights and inputs."""
    name, width, depth, timesteps, draws, forced = stack
    sums = torch.zeros(depth, 3, dtype=torch.float64)
    for draw in range(draws):
        source = generator(draw, "stack")
        layers = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)]).double()
        initialize(layers, ettfs(timesteps) if name == "ettfs" else kaiming, source)
        spikes = single_spikes((IMAGES, width), timesteps, source)
        neuron = FirstSpikeNeuron(1.0, timesteps, forced_spike=forced)
        with torch.no_grad():
            for layer, found in zip(layers, sums, strict=True):
                currents = layer(spikes)
                spikes = neuron(currents)
                found += torch.stack([currents.square().mean(), currents.mean(), spikes.sum() / spikes[0].numel()])
    means = (sums / draws).tolist()
    return [{VARIANCE: square - mean**2, MEAN: mean, FIRED: fired} for square, mean, fired in means]


def single_spikes(shape: tuple[int, ...], timesteps: int, source: torch.Generator) -> Tensor:
    """Trains ``[T, ...]`` float64 in which every neuron fires once, at a step drawn evenly."""
    steps = torch.randint(0, timesteps, shape, generator=source)
    return nn.functional.one_hot(steps, timesteps).movedim(-1, 0).double()


def _maps() -> Tensor:
    return single_spikes((16, 4, 12, 12), 8, generator(0, "pooling"))


def _largest(pool: nn.Module) -> float:
    return float(pool(_maps()).sum(0).max())


def _difference(pool: nn.Module) -> float:
    spikes = _maps()
    return float((pool(spikes).sum(0) - pool(spikes.sum(0, keepdim=True))[0]).abs().max())
