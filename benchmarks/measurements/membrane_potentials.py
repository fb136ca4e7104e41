"""How the potentials of a deep spiking network spread, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data.images import ImageSet, network_input
from benchmarks.measurements.base import Arrays
from benchmarks.measurements.deep_training import DeepTraining
from benchmarks.measurements.direct_training import BATCH
from benchmarks.methods.deep import DeepClassifier
from snncore.neurons.leaky import LIFNeuron

EDGES = np.arange(-16, 17) / 4
"""Of the bins, in units of twice the threshold; the first and the last bin are open."""


@dataclass(frozen=True)
class MembranePotentials(DeepTraining):
    """The same network as ``DeepTraining``, with LIF neurons, looked into on the test set."""

    @torch.no_grad()
    def tested(self, network: DeepClassifier, test: ImageSet) -> Arrays:
        """Potentials before the reset, of all neurons, steps and test images.

        Returns:
            ``density [L, BINS]`` over ``EDGES``, ``mean [L]`` and ``std [L]``; layers in the order of computation.
        """
        dtype = self.chosen().dtype
        network.to(dtype)
        sums: dict[nn.Module, Tensor] = {}
        counts: dict[nn.Module, Tensor] = {}
        inner = torch.from_numpy(EDGES[1:-1])

        def note(neuron: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(neuron, LIFNeuron)
            (currents,) = inputs
            state = neuron.start(currents[0])
            for current in currents:
                potential = (neuron.decay * state + current) / (2 * neuron.threshold)
                _, state = neuron.step(current, state)
                flat = potential.double().flatten()
                total = torch.stack([torch.ones_like(flat).sum(), flat.sum(), flat.square().sum()])
                sums[neuron] = sums.get(neuron, torch.zeros_like(total)) + total
                found = torch.bucketize(flat, inner, right=True).bincount(minlength=len(EDGES) - 1)
                counts[neuron] = counts.get(neuron, torch.zeros_like(found)) + found

        handles = [m.register_forward_pre_hook(note) for m in network.modules() if isinstance(m, LIFNeuron)]
        for start in range(0, len(test), BATCH):
            network.answers(network_input(test.images[start : start + BATCH], dtype))
        for handle in handles:
            handle.remove()
        number, first, second = (column[:, None] for column in torch.stack(list(sums.values())).numpy().T)
        mean = first / number
        return {
            "density": torch.stack(list(counts.values())).numpy() / (number * np.diff(EDGES)),
            "mean": mean[:, 0],
            "std": np.sqrt(second / number - mean**2)[:, 0],
        }
