"""Train a deep spiking network directly, then run it once on the test set: accuracy, firing rates, amplitudes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.data.images import ImageSet, network_input
from benchmarks.measurements.base import Arrays
from benchmarks.measurements.direct_training import BATCH, DirectTraining
from benchmarks.methods.deep import DeepClassifier
from benchmarks.models.folding import folded
from snncore.neurons.leaky import LIFNeuron, TrainableNeuron


@dataclass(frozen=True)
class DeepTraining(DirectTraining):
    """One residual network, from its initialisation to its test accuracy."""

    def cost(self) -> float:
        """See ``DirectTraining.cost``."""
        return 20 * super().cost()

    @torch.no_grad()
    def tested(self, network: DeepClassifier, test: ImageSet) -> Arrays:
        """Run a trained network on all test images.

        Returns:
            ``correct [N]``: whether the network names the label.
            ``fired [L]``: share of neurons and steps with a spike, by layer; ``sizes [L]``: neurons of a layer.
            ``amplitudes [L]``: trained ones, NaN where there is none. Layers in the order of computation.
            ``folded [M]``: of the first images, whether logits are within 1e-12 of the largest with all amplitudes folded into
            kernels, in float64; only where there are any.
        """
        neurons = [m for m in network.modules() if isinstance(m, TrainableNeuron)]
        fired: dict[nn.Module, float] = {}
        sizes: dict[nn.Module, int] = {}

        def note(neuron: nn.Module, _: object, spikes: Tensor) -> None:
            fired[neuron] = fired.get(neuron, 0.0) + float(spikes.count_nonzero()) / len(spikes)
            sizes[neuron] = spikes[0, 0].numel()

        handles = [neuron.register_forward_hook(note) for neuron in neurons]
        correct = []
        dtype = self.chosen().dtype  # in that of training: in float32 a turned spike depends on the machine
        network.to(dtype)
        for start in range(0, len(test), BATCH):
            named = network.answers(network_input(test.images[start : start + BATCH], dtype))[1]
            correct.append((named == test.labels[start : start + BATCH]).numpy())
        for handle in handles:
            handle.remove()
        amplitudes = [m.amplitude if isinstance(m, LIFNeuron) else None for m in fired]
        same = {"folded": _same_folded(network, test.images[:BATCH])} if any(a is not None for a in amplitudes) else {}
        return same | {
            "correct": np.concatenate(correct),
            "fired": np.array([total / (len(test) * sizes[neuron]) for neuron, total in fired.items()]),
            "sizes": np.array(list(sizes.values())),
            "amplitudes": np.array([np.nan if each is None else float(each) for each in amplitudes]),
        }


def _same_folded(network: DeepClassifier, images: Tensor) -> NDArray[np.bool_]:
    exact = copy.deepcopy(network).double()
    images = network_input(images, torch.float64)
    expected = exact(images)
    exact.layers, _ = folded(exact.layers)
    off = (exact(images) - expected).abs().amax(1)  # [B]
    return (off <= 1e-12 * expected.abs().max()).numpy()
