"""What is left on the membranes after the last step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab
from snncore.neurons import SpikingNeuron

BIN_WIDTH = 0.02
BINS = 60
SCOPES = ("all", "spiking")


@dataclass(frozen=True)
class ResidualPotential(Measurement):
    """Residual membrane potential ``u[T]`` in units of the reset, i.e. of the full threshold.

    Scope ``all``: every neuron, also those that code a negative value and are silenced. Scope ``spiking``: neurons that
    sent at least one spike for the image.
    """

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: int = 6

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 1.5 * self.timesteps

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Sums over images and neurons.

        ``sums [2 scopes, 5]``: number, sum of ``|u|``, sum of ``u**2``, numbers with ``|u| > 1/2`` and ``|u| > 1``.
        ``neurons [N]`` the sum of ``|u|`` per neuron and ``images`` their number, for the distribution over neurons.
        """
        snn = lab.converted(self.network, self.calibration, self.method, self.options, self.timesteps)
        sums = torch.zeros(len(SCOPES), 5, dtype=torch.float64, device=lab.device)
        per_neuron: dict[str, Tensor] = {}

        def observe(name: str, _: SpikingNeuron, spikes: Tensor, residual: Tensor) -> None:
            spiking = (spikes != 0).any(0)
            for scope, mask in enumerate((torch.ones_like(spiking), spiking)):
                size = torch.where(mask, residual.abs(), 0.0).double()
                above = (size > 0.5).sum(), (size > 1).sum()
                sums[scope] += torch.stack([mask.sum(), size.sum(), size.square().sum(), *above])
            total = residual.abs().double().sum(0).flatten()
            per_neuron[name] = per_neuron.get(name, torch.zeros_like(total)) + total

        for name, neuron in snn.neurons.items():
            neuron.observer = partial(observe, name)
        for images, _ in lab.test_batches(self.network, start, stop):
            snn(images)
        for neuron in snn.neurons.values():
            neuron.observer = None
        neurons = torch.cat([per_neuron[name] for name in snn.neurons])
        return {"sums": sums.cpu().numpy(), "neurons": neurons.cpu().numpy(), "images": np.array(float(stop - start))}


def density(arrays: Arrays) -> NDArray[np.float64]:
    """Density ``[BINS]`` over neurons of their mean residual ``|u|``, in bins of ``BIN_WIDTH`` from 0; the last is open."""
    means = arrays["neurons"] / arrays["images"]
    edges = np.arange(BINS + 1) * BIN_WIDTH
    counts, _ = np.histogram(np.minimum(means, edges[-1] - BIN_WIDTH / 2), bins=edges)
    result: NDArray[np.float64] = counts / (len(means) * BIN_WIDTH)
    return result
