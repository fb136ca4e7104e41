"""What a network answers before and after conversion, on the same images: accuracy, agreement and the error of the logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab

AT_ONCE = 25
"""Images that the converted network sees at once, so that its memory does not grow with the profile's batch."""


@dataclass(frozen=True)
class Answers(Measurement):
    """Answers of the trained and of the converted network; ``method``, ``options`` and ``timesteps`` as in ``ConversionLoss``."""

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: int = 8

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 2 * self.timesteps + 1

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Arrays ``each_ann``, ``each_snn`` and ``each_same [n]``: whether a network names the label, whether both name the same.

        ``squared_error`` and ``squares``: sums over all logits of the difference squared, and of the trained network's squares.
        ``same_latency`` in steps.
        """
        ann = lab.network(self.network)
        snn = lab.converted(self.network, self.calibration, self.method, self.options, self.timesteps)
        found: dict[str, list[np.ndarray]] = {"each_ann": [], "each_snn": [], "each_same": []}
        squared_error = squares = 0.0
        for images, labels in lab.test_batches(self.network, start, stop):
            with torch.no_grad():
                exact, spiking = ann(images), torch.cat([snn(part) for part in images.split(AT_ONCE)])
            squared_error += float((spiking - exact).double().square().sum())
            squares += float(exact.double().square().sum())
            before, after = exact.argmax(1).cpu(), spiking.argmax(1).cpu()
            for name, right in zip(found, (before == labels, after == labels, before == after), strict=True):
                found[name].append(right.numpy())
        sums = {"squared_error": np.array(squared_error), "squares": np.array(squares), "same_latency": np.array(snn.latency)}
        return {name: np.concatenate(parts) for name, parts in found.items()} | sums
