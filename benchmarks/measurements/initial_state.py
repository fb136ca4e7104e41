"""A first-spike network before training: firing rates, membrane potentials and gradients, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data import dataset_spec
from benchmarks.errors import CannotRun
from benchmarks.measurements.base import Arrays, Experiment, Note
from benchmarks.measurements.lab import Lab
from benchmarks.methods.ettfs import ETTFS
from benchmarks.training.randomness import generator
from snncore.coding import latency_spikes
from snncore.neurons.first_spike import FirstSpikeNeuron

LOW, HIGH, BINS = -6.0, 6.0, 96
"""Range and number of bins of the potentials, in units of the threshold; the first and last bin are open."""


@dataclass(frozen=True)
class InitialState(Experiment):
    """The state of a network right after its initialisation, on the first ``images`` training images.

    Args:
        layout: of the network.
        timesteps: T.
        initialization: ``ettfs`` or ``kaiming``.
        encoding: ``direct``, ``latency``, or ``random``: every input fires once, at a random step, whatever the image.
        forced_spike: whether silent neurons fire at the last step.
        images: of the training set, in canonical order.
    """

    layout: str
    timesteps: int
    initialization: str
    encoding: str = "direct"
    forced_spike: bool = False
    images: int = 500

    def cost(self) -> float:
        """See ``Experiment.cost``."""
        return float(10 * self.images * self.timesteps)

    def run(self, lab: Lab, note: Note) -> Arrays:
        """Arrays over the L layers with weights, the last one included.

        Returns:
            ``fired [L]``: share of neurons that fire. ``mean``, ``variance`` ``[L]``: of the potential before firing, over
            neurons, images and steps, in units of the threshold; ``current_variance [L]``: of the currents. ``potential [L,
            BINS]``: histogram of the potential. ``gradient [L]``: median size of the gradient of the loss with respect to the
            weights; ``gradient_mean [L]``: its mean.
        """
        data, classes = lab.images(self.dataset, "train").take(self.images), dataset_spec(self.dataset).classes
        images, labels = next(data.batches([0.0] * data.channels, [1.0] * data.channels, self.images))
        images = images.double()
        options: dict[str, Any] = {"initialization": self.initialization, "forced_spike": self.forced_spike}
        network = ETTFS().build(self.layout, tuple(images.shape[1:]), classes, self.timesteps, **options).double()
        ETTFS().initialize(network, generator(self.seed, "initialization"), **options)
        inputs = self._encoded(images, network.encode)
        states: list[dict[str, Any]] = []
        for module in network.layers:
            if isinstance(module, FirstSpikeNeuron):
                module.register_forward_hook(lambda *passed: states.append(_state(*passed)))
        trains = network.layers(inputs)
        loss = nn.functional.cross_entropy(network.decode(trains), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        weights = [m.weight.grad for m in network.layers if isinstance(m, nn.Linear | nn.Conv2d) and m.weight.grad is not None]
        sizes = [gradient.abs() for gradient in weights]
        return {name: np.array([state[name] for state in states]) for name in states[0]} | {
            "gradient": np.array([float(size.median()) for size in sizes]),
            "gradient_mean": np.array([float(size.mean()) for size in sizes]),
        }

    def _encoded(self, images: Tensor, encode: Any) -> Tensor:
        if self.encoding == "direct":
            encoded: Tensor = encode(images)
            return encoded
        if self.encoding == "latency":
            return latency_spikes(images, self.timesteps)
        if self.encoding != "random":
            raise CannotRun(f"encoding must be one of direct, latency, random, got {self.encoding!r}")
        step = torch.randint(0, self.timesteps, images.shape, generator=generator(self.seed, "input"))
        return nn.functional.one_hot(step, self.timesteps).movedim(-1, 0).to(images)


@torch.no_grad()
def _state(neuron: FirstSpikeNeuron, inputs: tuple[Tensor, ...], spikes: Tensor) -> dict[str, Any]:
    """Statistics of currents, potentials and spikes of a layer of neurons, taken while it runs."""
    currents = inputs[0].expand(neuron.timesteps, *inputs[0].shape[1:])
    potential = currents.cumsum(0) / neuron.threshold
    return {
        "fired": float(spikes.sum()) / spikes[0].numel(),
        "mean": float(potential.mean()),
        "variance": float(potential.var()),
        "current_variance": float(currents.var()),
        "potential": torch.histc(potential.clamp(LOW, HIGH - 1e-9), BINS, LOW, HIGH).numpy(),
    }
