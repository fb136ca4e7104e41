"""Accuracy of a converted network after each step of its output, with all layers running at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab


@dataclass(frozen=True)
class PipelinedAccuracy(Measurement):
    """Correctness of the running output; ``method``, ``options`` and ``timesteps`` as in ``ConversionLoss``."""

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: int = 12

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 2.0 * self.timesteps

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Arrays ``each_ann [n]`` and ``each_snn [n, T]``, by the first t output steps.

        ``same_first``: at which step, counted from 1, the first output comes.
        """
        ann = lab.network(self.network)
        snn = lab.converted(self.network, self.calibration, self.method, self.options, self.timesteps)
        before, snn.mode = snn.mode, "single-step"  # the network is shared
        ann_correct, snn_correct = [], []
        for images, labels in lab.test_batches(self.network, start, stop):
            with torch.no_grad():
                ann_correct.append((ann(images).argmax(1).cpu() == labels).numpy())
            snn_correct.append((snn(images, every_step=True).argmax(2).cpu() == labels).T.numpy())
        snn.mode = before
        return {
            "each_ann": np.concatenate(ann_correct),
            "each_snn": np.concatenate(snn_correct),
            "same_first": np.array(snn.latency - snn.timesteps + 1),
        }
