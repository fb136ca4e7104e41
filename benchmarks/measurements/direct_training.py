"""Train a spiking network directly, then run it once on the test set: accuracy, spike times, early exit, operations."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.data.images import ImageSet
from benchmarks.measurements.base import Arrays, Experiment, Note
from benchmarks.measurements.lab import Lab
from benchmarks.measurements.pooling import merge_average_pooling
from benchmarks.measurements.train_counter import TrainCounter
from benchmarks.methods.direct import SpikingClassifier
from benchmarks.methods.ettfs import SingleSpikeWarning
from benchmarks.methods.spike_time_layers import fired_spikes
from benchmarks.training.recipes import Recipe, recipe
from benchmarks.training.spiking_cache import SpikingTask, trained_spiking
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.time_first import AvgPool2d

BATCH = 250


@dataclass(frozen=True)
class DirectTraining(Experiment):
    """One network, from its initialisation to its test accuracy.

    Args:
        layout: of the network.
        method: of training.
        recipe: its name.
        options: of the method, over those of the recipe; ``timesteps`` and ``epochs`` too.
        validation, training: images of the training set to validate and to train on.
        tolerant: go on although layers are silent.
        test_every_epoch: measure on the test set after every epoch too (``test_accuracy [E + 1]``).
    """

    layout: str
    method: str
    recipe: str
    options: tuple[tuple[str, Any], ...] = ()
    validation: int = 5000
    training: int | None = None
    tolerant: bool = False
    test_every_epoch: bool = False

    def chosen(self) -> Recipe:
        """The recipe with the options of this experiment."""
        base, options = recipe(self.recipe), dict(self.options)
        epochs = options.pop("epochs", base.epochs)
        return replace(base, epochs=epochs, options=base.options | options)

    def identity(self) -> dict[str, Any]:
        """See ``Experiment.identity``; with the content of the recipe."""
        return super().identity() | {"recipe": self.chosen().__dict__}

    def cost(self) -> float:
        """Steps in time of all training images, larger for convolutions."""
        chosen = self.chosen()
        images = self.training or 55_000
        return float(3 * images * chosen.epochs * chosen.options["timesteps"] * (20 if "C" in self.layout else 1))

    def run(self, lab: Lab, note: Note) -> Arrays:
        """Arrays of the history (see ``train_spiking``) and those of ``evaluate``.

        Also ``training_images``, and ``failed``: why there is nothing else.
        """
        chosen = self.chosen()
        what = f"{self.dataset} {self.layout} {self.method} seed {self.seed}"

        def progress(step: int, steps: int) -> None:
            note(step / steps, f"{what}, {100 * step / steps:.0f} %")

        what_for = self.validation, self.training, self.tolerant, self.test_every_epoch
        task = SpikingTask(self.dataset, self.layout, self.method, chosen, self.seed, *what_for)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingleSpikeWarning)  # the row itself says so
            trained = trained_spiking(task, lab.offline, progress)
        if trained.network is None:
            return {"failed": np.array(trained.failed)}
        note(1.0, f"{what}, test")
        test = lab.images(self.dataset, "test")
        assert isinstance(test, ImageSet)
        images = self.training or len(lab.images(self.dataset, "train")) - self.validation
        counts = {"training_images": np.array(images), "failed": np.array("")}
        return trained.history | self.tested(trained.network, test) | counts

    def tested(self, network: Any, test: ImageSet) -> Arrays:
        """See ``evaluate``."""
        return evaluate(network, test)


@torch.no_grad()
def evaluate(network: SpikingClassifier, test: ImageSet) -> Arrays:
    """Run a trained network on all test images, average pooling merged away.

    Returns:
        ``correct [N]``: whether the network names the label; False where it names none.
        ``correct_other [N]``: the same with the forced last spike switched over; only where there are first-spike neurons.
        ``decision [N]``: step of the first output spike, from 1; T + 1 where none fires.
        ``tied``, ``silent``: images in which several classes share the highest score; in which no output neuron fires.
        ``spike_steps [L, T + 1]``: spikes of each layer by step, summed over images; in the last place, silent neurons.
        ``accumulates [2]``: of all T steps, and of those until the decision, summed over images.
        ``multiplications``: of the first layer where its input is analog, once per image, summed over images.
    """
    layers = network.layers.to(memory_format=torch.channels_last)
    example = network.encode(test.images[:1].float() / 255)
    merged = merge_average_pooling(layers, example) if any(isinstance(m, AvgPool2d) for m in layers) else layers
    neurons = [m for m in merged if hasattr(m, "threshold")]
    probe = copy.copy(network)
    probe.layers = merged
    timesteps = network.timesteps
    histogram = torch.zeros(len(neurons), timesteps + 1, dtype=torch.float64)
    trains: list[Tensor] = []

    def note(neuron: nn.Module, _: object, spikes: Tensor) -> None:
        trains.append(fired_spikes(neuron, spikes))

    correct, other, decision = [], [], []
    tied = silent = 0
    accumulates, multiplications = torch.zeros(2, dtype=torch.float64), 0.0
    steps = torch.arange(1, timesteps + 1)[:, None]  # [T, 1]
    for start in range(0, len(test), BATCH):
        labels = test.labels[start : start + BATCH]
        images = (test.images[start : start + BATCH].float() / 255).contiguous(memory_format=torch.channels_last)
        trains.clear()
        handles = [neuron.register_forward_hook(note) for neuron in neurons]
        with TrainCounter(merged) as counter:
            currents, spikes = probe.output(images)
        for handle in handles:
            handle.remove()
        for layer, train in enumerate(trains):
            counts = train.flatten(1).sum(1, dtype=torch.float64)
            histogram[layer, :-1] += counts
            histogram[layer, -1] += train[0].numel() - float(train.amax(0).sum(dtype=torch.float64))
        output = trains[-1]
        first = (output.amax(2).cumsum(0) == 0).sum(0) + 1  # [B]
        until = (steps <= first).to(output.dtype)  # [T, B]
        for operations in counter.accumulates.values():
            accumulates += torch.stack([operations.sum(dtype=torch.float64), (operations * until).sum(dtype=torch.float64)])
        multiplications += sum(counter.multiplications.values()) * len(labels)
        scores = network.decode(spikes)
        named = network.named(scores, currents, spikes)  # [B]
        fires = output.amax((0, 2)) > 0  # [B]
        tied += int((((scores == scores.amax(1, keepdim=True)).sum(1) > 1) & fires).sum())
        silent += int((~fires).sum())
        correct.append((named == labels).numpy())
        decision.append(first.to(torch.int16).numpy())
        if any(isinstance(neuron, FirstSpikeNeuron) for neuron in neurons):
            with _forced_switched(neurons):
                currents, output = probe.output(images)
            other.append((network.named(network.decode(output), currents, output) == labels).numpy())
    found: Arrays = {"correct_other": np.concatenate(other)} if other else {}
    return found | {
        "correct": np.concatenate(correct),
        "decision": np.concatenate(decision),
        "tied": np.array(tied),
        "silent": np.array(silent),
        "spike_steps": histogram.numpy(),
        "accumulates": accumulates.numpy(),
        "multiplications": np.array(multiplications),
    }


@contextmanager
def _forced_switched(neurons: list[nn.Module]) -> Iterator[None]:
    """Switch the forced last spike of first-spike neurons over inside the block."""
    switched = [neuron for neuron in neurons if isinstance(neuron, FirstSpikeNeuron)]
    for neuron in switched:
        neuron.forced_spike = not neuron.forced_spike
    try:
        yield
    finally:
        for neuron in switched:
            neuron.forced_spike = not neuron.forced_spike
