"""What a detector finds before and after conversion, on the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab
from benchmarks.models.fastestdet import detections

AT_ONCE = 8
"""Images that the converted network sees at once: more are slower, as their trains do not fit the cache."""


@dataclass(frozen=True)
class Detection(Measurement):
    """Boxes of the trained and of the converted network; ``method``, ``options`` and ``timesteps`` as in ``ConversionLoss``."""

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: int = 8

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 1.2 * self.timesteps + 1

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Arrays ``each_object [n, 100, 5]`` and, of what is detected, ``each_ann`` and ``each_snn [n, 100, 6]``.

        Rows are left, top, right, bottom and (score,) class, NaN beyond the last; lengths are parts of the image.
        ``squared_error`` and ``squares`` are the sums over all maps of the difference between both networks and of the trained
        one's. ``same_latency`` in steps.
        """
        ann = lab.network(self.network)
        snn = lab.converted(self.network, self.calibration, self.method, self.options, self.timesteps)
        objects, before, after = [], [], []
        squared_error = squares = 0.0
        for images, boxes in lab.test_batches(self.network, start, stop):
            with torch.no_grad():
                exact, spiking = ann(images), torch.cat([snn(part) for part in images.split(AT_ONCE)])
                squared_error += float((spiking - exact).double().square().sum())
                squares += float(exact.double().square().sum())
                before.append(detections(exact).cpu().numpy())
                after.append(detections(spiking).cpu().numpy())
            objects.append(boxes.numpy())
        return {
            "each_object": np.concatenate(objects),
            "each_ann": np.concatenate(before),
            "each_snn": np.concatenate(after),
            "squared_error": np.array(squared_error),
            "squares": np.array(squares),
            "same_latency": np.array(snn.latency),
        }
