"""SNN Calibration (Li et al., ICML 2021): thresholds by search, then each layer's mean error taken back.

1. Threshold: that of the fractions 1.00, 0.99, ... of the largest activation with the least mean squared error of
   ``clip(floor(x T / v), 0, T) v / T``.
2. Input shift: ``v / 2T`` more current at each step, so that counting rounds to the nearest.
3. Layer by layer, with the layers before it corrected already, the mean over the calibration images of the trained network's
   output minus that of the spiking neuron, either per channel on the bias (*light*) or times T per neuron on the initial
   potential (*advanced*).

As in the authors' code (yhhhli/SNN_Calibration), whose ``advanced`` corrects potentials alone on CIFAR; for ImageNet it also
trains the weights of each layer (Adam, 5000 or more iterations), which is left out here, so that an ImageNet row measures less
than the printed one did. What differs besides: the search is over all calibration images at once rather
than a running mean over batches, so that their order is of no account, and the code, whatever ``--T`` says, calibrates for 32
steps; we calibrate for the T that is run. Biases are corrected by a constant current of the neuron, which is the same.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from benchmarks.methods.layerwise import Layer, LayerRule, LayerwiseMethod, NeuronMaker
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, LeastSquares, ThresholdRule
from snncore.neurons import IntegrateFireNeuron

SEARCH = LeastSquares(candidates=100, offset=0.0)


class SNNCalibration(LayerwiseMethod):
    """The advanced pipeline: initial potentials are corrected. No options."""

    name = "SNN Calibration"
    reference = "Li et al. 2021, A free lunch from ANN"
    coding = "rate"
    default_timesteps = 128

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; ``threshold`` plays no part."""
        return ConversionMethod(self.name, IntegrateFireNeuron)

    def rule(self, **options: object) -> LayerRule:
        """See ``LayerwiseMethod.rule``."""
        return self.corrected

    @staticmethod
    def corrected(layer: Layer) -> NeuronMaker:
        """The neuron with its initial potential set."""
        v, shift = _searched(layer)
        error = _mean_error(layer, IntegrateFireNeuron(v, layer.timesteps, current=shift))
        return partial(IntegrateFireNeuron, v, initial=error * layer.timesteps / v, current=shift)


class SNNCalibrationLight(SNNCalibration):
    """The light pipeline: biases are corrected. No options."""

    name = "SNN Calibration (light)"

    @staticmethod
    def corrected(layer: Layer) -> NeuronMaker:
        """The neuron with its bias corrected."""
        v, shift = _searched(layer)
        error = _mean_error(layer, IntegrateFireNeuron(v, layer.timesteps, current=shift))
        per_channel = error.flatten(1).mean(1).view(-1, *[1] * (error.dim() - 1))
        return partial(IntegrateFireNeuron, v, current=shift + per_channel)


def _searched(layer: Layer) -> tuple[float, float]:
    """Threshold and input shift."""
    v = layer.positive(SEARCH(layer.histogram, RateCode(layer.timesteps)))
    return v, v / (2 * layer.timesteps)


def _mean_error(layer: Layer, neuron: IntegrateFireNeuron) -> Tensor:
    """What the neurons of this layer lack, ``[C, ...]``: the mean over images."""
    total, images = torch.zeros(()), 0
    for currents, activations in layer.batches():
        sent = neuron.code.decode(neuron(currents), neuron.threshold)
        total = total + (activations - sent).double().sum(0)
        images += len(activations)
    return (total / images).to(activations.dtype)

