"""Accuracy before and after conversion, on the same images, with the operations that it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measurements.base import Arrays, Measurement
from benchmarks.measurements.lab import Lab
from snncore.conversion import Counts, OperationCounter

MULTI_STEP = 64
"""Up to so many timesteps a layer runs them all at once, which is faster; beyond, memory would grow too large."""


@dataclass(frozen=True)
class ConversionLoss(Measurement):
    """Correctness of the trained and of the converted network.

    ``method`` and its ``options`` (name, value pairs) as in ``benchmarks.methods``. Several ``timesteps`` are measured
    together only for methods whose trains of fewer steps are prefixes of longer ones. ``count`` adds spikes, synaptic
    operations and their energy.
    """

    method: str
    options: tuple[tuple[str, float | bool], ...] = ()
    timesteps: tuple[int, ...] = (8,)
    count: bool = False

    def cost(self) -> float:
        """See ``Measurement.cost``."""
        return 1.2 * max(self.timesteps) + 1

    def run(self, lab: Lab, start: int, stop: int) -> Arrays:
        """Arrays ``each_ann [n]`` and ``each_snn [n, len(timesteps)]``.

        With ``count`` also the sums ``spikes`` (positive, negative), ``neurons`` (neurons times images), ``acs``, ``macs``
        (first layer computed once), ``macs_every_step`` (first layer at each step), ``acs_again`` and ``macs_again`` (what a
        pre-simulation adds to ``acs`` and ``macs_every_step``), ``signs``, ``updates`` and ``dense`` (what the trained network
        multiplies); see ``snncore.energy.Operations``. Where amplitudes
        were adjusted, ``same_adjustment``: rounds, layers that did not settle, the largest residual over the amplitude and the
        largest factor.
        """
        ann = lab.network(self.network)
        snn = lab.converted(self.network, self.calibration, self.method, self.options, max(self.timesteps))
        snn.mode = "multi-step" if max(self.timesteps) <= MULTI_STEP else "single-step"
        prefixes = len(self.timesteps) > 1
        ann_correct, snn_correct = [], []
        counter = OperationCounter(snn)
        counts = Counts()
        for images, labels in lab.test_batches(self.network, start, stop):
            with torch.no_grad():
                ann_correct.append((ann(images).argmax(1).cpu() == labels).numpy())
            if self.count:
                with counter as counts:
                    outputs = snn(images, every_step=prefixes)
            else:
                outputs = snn(images, every_step=prefixes)
            picked = outputs[[t - 1 for t in self.timesteps]] if prefixes else outputs[None]
            snn_correct.append((picked.argmax(2).cpu() == labels).T.numpy())
        arrays: Arrays = {"each_ann": np.concatenate(ann_correct), "each_snn": np.concatenate(snn_correct)}
        if (made := getattr(snn, "adjusted", None)) is not None:
            worst, largest = max(made.residuals.values()), max(made.factors.values())
            arrays["same_adjustment"] = np.array([made.rounds, len(made.unsettled), worst, largest], dtype=np.float64)
        if self.count:
            arrays["spikes"] = np.sum(list(counts.spikes.values()), axis=0)
            arrays["neurons"] = np.array(float(sum(counts.neurons.values()) * counts.images))
            arrays["dense"] = np.array(float(sum(layer.dense for layer in counts.layers.values()) * counts.images))
            total, everything = counts.total(presimulation=False), counts.total()
            arrays["acs"], arrays["macs_every_step"] = np.array(total.acs), np.array(total.macs)
            arrays["acs_again"] = np.array(everything.acs - total.acs)
            arrays["macs_again"] = np.array(everything.macs - total.macs)
            arrays["macs"] = np.array(counts.total("once", presimulation=False).macs)
            arrays["signs"], arrays["updates"] = np.array(total.signs), np.array(total.updates)
        return arrays
