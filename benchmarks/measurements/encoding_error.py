"""How far the decoded spike trains of each layer are from the activations of the trained network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab
from snncore.conversion import activations
from snncore.neurons import SpikingNeuron


@dataclass(frozen=True)
class EncodingError(Measurement):
    """Squared encoding error per layer, in units of the layer's threshold, for several step counts of one method.

    All layers run together: the error of a layer includes what it inherits from those before it. Activations beyond the
    threshold count with their full error.
    """

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: tuple[int, ...] = (4,)

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return sum(1.5 * t + 1 for t in self.timesteps)

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Sums ``squared_error [len(timesteps), layers]``, ``values [layers]`` (their number) and ``images``."""
        errors = []
        for timesteps in self.timesteps:
            snn = lab.converted(self.network, self.calibration, self.method, self.options, timesteps)
            expected: dict[str, Tensor] = {}
            error = {name: torch.zeros((), dtype=torch.float64, device=lab.device) for name in snn.neurons}
            values = dict.fromkeys(snn.neurons, 0.0)
            for name, neuron in snn.neurons.items():
                neuron.observer = partial(_compare, expected, error, name)
            for images, _ in lab.test_batches(self.network, start, stop):
                expected.update(activations(lab.calibration(self.network).network, images))
                snn(images)
                for name in values:
                    values[name] += expected[name].numel()
            for neuron in snn.neurons.values():
                neuron.observer = None
            errors.append(torch.stack(list(error.values())).cpu().numpy())
        return {
            "squared_error": np.stack(errors),
            "values": np.array(list(values.values())),
            "images": np.array(float(stop - start)),
        }


def _compare(
    expected: dict[str, Tensor], error: dict[str, Tensor], name: str, neuron: SpikingNeuron, spikes: Tensor, _: Tensor
) -> None:
    decoded = neuron.code.decode(spikes, neuron.threshold)
    error[name] += ((decoded - expected[name]) / neuron.threshold).double().square().sum()
