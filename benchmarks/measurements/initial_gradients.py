"""How gradients of a deep spiking network change over depth, before any training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data.images import ImageSet, network_input
from benchmarks.measurements.base import Arrays, Experiment, Note
from benchmarks.measurements.lab import Lab
from benchmarks.methods import direct_method
from benchmarks.training.randomness import generator
from snncore.neurons.leaky import TrainableNeuron


@dataclass(frozen=True)
class InitialGradients(Experiment):
    """One backward pass through a network as it is initialised, in float64, on the first training images as one batch."""

    layout: str
    method: str
    timesteps: int
    images: int = 128

    def cost(self) -> float:
        """See ``Experiment.cost``: a step of training."""
        return 60.0 * self.images * self.timesteps

    def run(self, lab: Lab, note: Note) -> Arrays:
        """``gradient [L]``: norm of the loss's gradient in the currents of each neuron layer, in the order of computation."""
        note(0.0, f"{self.dataset} {self.layout} {self.method}, gradients before training")
        train = lab.images(self.dataset, "train")
        assert isinstance(train, ImageSet)
        images, labels = network_input(train.images[: self.images], torch.float64), train.labels[: self.images]
        method = direct_method(self.method)
        network = method.build(self.layout, tuple(images.shape[1:]), int(train.labels.max()) + 1, self.timesteps).double().train()
        method.initialize(network, generator(self.seed, "initialization"))
        currents: list[Tensor] = []

        def note_currents(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            inputs[0].retain_grad()
            currents.append(inputs[0])

        handles = [m.register_forward_pre_hook(note_currents) for m in network.modules() if isinstance(m, TrainableNeuron)]
        scores, _ = network.answers(images)
        method.loss(scores, labels, network).backward()
        for handle in handles:
            handle.remove()
        norms = [float(each.grad.norm()) for each in currents if each.grad is not None]
        return {"gradient": np.array(norms)}
