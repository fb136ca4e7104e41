"""What was counted while a spiking network ran, by layer and by step, and what it adds up to.

An accumulate (AC) is one spike arriving over one synapse: the count of a layer is ``sum |s| * fan-out``, with the fan-out
of every input position counted exactly. A multiply-accumulate (MAC) is what a layer needs whose input is real-valued: with
direct coding the first one, whose result is the same at every step, so that a machine may compute it once or at each step;
papers charge it at each. MACs follow the convention of syops-counter: weights times output positions, padding and bias
included; the bias of a layer behind spikes and the sum of two currents are charged nothing, since both end in the potential
that the spikes are added to anyway.

A neuron is updated at every step of its input and in the steps of its delay: pre-charge, or pre-simulation. After a
pre-simulation it reads the first steps of its currents once more. A machine that does not keep those currents has them sent
twice, and is charged their operations twice (``Counts.total``); papers leave that out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from snncore.energy import Operations

Input = Literal["spikes", "constant", "current"]
Presentation = Literal["once", "every step"]


@dataclass
class LayerCounts:
    """Operations of one layer. Lists go over the timesteps and sum over all images that ran.

    Attributes:
        input: ``spikes``; ``constant``, real values that are the same at every step; ``current``, real values that change.
        inputs: input values of one image.
        synapses: connections of one image's input values; what a step costs if every value counts. Padding is no input.
        dense: the same by the convention of papers and syops-counter: padding and bias included.
        positive, negative: spikes that arrived, each counted by its size (pooled spikes are larger than 1).
        accumulates: spikes times the synapses that they reached.
        multiplications: of one presentation, a single entry, where the input is ``constant``.
    """

    input: Input
    inputs: int
    synapses: int
    dense: int
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)
    accumulates: list[float] = field(default_factory=list)
    multiplications: list[float] = field(default_factory=list)


@dataclass
class NeuronCounts:
    """Spikes and updates of one layer of neurons. Lists go over the timesteps and sum over all images that ran.

    Attributes:
        neurons: of one image.
        steps: updates of each neuron: timesteps, and pre-charge or pre-simulation steps.
        presimulation: how many of them are pre-simulation steps.
        ternary: whether the neuron compares with a threshold of either sign (its attribute of that name).
        positive, negative: spikes that were fired.
    """

    neurons: int
    steps: int
    presimulation: int = 0
    ternary: bool = False
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)


@dataclass
class Counts:
    """What ran through a network: ``layers`` of synapses and layers of ``neuron_layers`` by name, sums over ``images``."""

    images: int = 0
    timesteps: int = 0
    layers: dict[str, LayerCounts] = field(default_factory=dict)
    neuron_layers: dict[str, NeuronCounts] = field(default_factory=dict)

    @property
    def accumulates(self) -> dict[str, float]:
        """Per layer behind spikes, over all timesteps."""
        return {name: math.fsum(layer.accumulates) for name, layer in self.layers.items() if layer.input == "spikes"}

    @property
    def multiplications(self) -> dict[str, float]:
        """Per layer behind constant values, for one presentation."""
        return {name: math.fsum(layer.multiplications) for name, layer in self.layers.items() if layer.input == "constant"}

    @property
    def current_multiplications(self) -> dict[str, float]:
        """Per layer behind real values that change from step to step, over all timesteps."""
        return {name: math.fsum(layer.multiplications) for name, layer in self.layers.items() if layer.input == "current"}

    @property
    def spikes(self) -> dict[str, list[float]]:
        """Per neuron layer, ``[positive, negative]`` over all timesteps."""
        return {name: [math.fsum(each.positive), math.fsum(each.negative)] for name, each in self.neuron_layers.items()}

    @property
    def neurons(self) -> dict[str, int]:
        """Per neuron layer, of one image."""
        return {name: each.neurons for name, each in self.neuron_layers.items()}

    @property
    def presimulation(self) -> int:
        """Pre-simulation steps of the network."""
        return max((each.presimulation for each in self.neuron_layers.values()), default=0)

    def total(self, first_layer: Presentation = "every step", presimulation: bool = True) -> Operations:
        """Operations of all images together.

        Args:
            first_layer: how often layers behind constant values are computed: ``once``, or at ``every step``, as papers charge
                them.
            presimulation: charge the operations of the steps that neurons with a pre-simulation read twice again.
        """
        again = [step % self.timesteps for step in range(self.presimulation)] if presimulation else []
        presentations = self.timesteps + len(again) if first_layer == "every step" else 1
        acs = macs = signs = updates = 0.0
        for layer in self.layers.values():
            acs += math.fsum(layer.accumulates)
            macs += math.fsum(layer.multiplications) * (presentations if layer.input == "constant" else 1)
            if layer.input != "constant":
                acs += sum(layer.accumulates[step] for step in again if layer.input == "spikes")
                macs += sum(layer.multiplications[step] for step in again if layer.input == "current")
        for each in self.neuron_layers.values():
            negative = math.fsum(each.negative)
            signs += (math.fsum(each.positive) + negative) * (2 if each.ternary or negative else 1)
            updates += each.neurons * each.steps * self.images
        return Operations(macs, acs, signs, updates)

    def per_image(self, first_layer: Presentation = "every step") -> Operations:
        """Operations of one image on average; see ``total``."""
        sums, images = self.total(first_layer), max(self.images, 1)
        return Operations(sums.macs / images, sums.acs / images, sums.signs / images, sums.updates / images)


def add(counts: list[float], step: int, value: float) -> None:
    """Add to the entry of a step of a list that grows as needed."""
    counts.extend([0.0] * (step + 1 - len(counts)))
    counts[step] += value
