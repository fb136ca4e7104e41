"""QFFS and Fast-SNN: rate coding of quantised networks with neurons that take spikes back.

Both convert a network with uniformly quantised activations to signed integrate-and-fire neurons
(``snncore.neurons.signed_integrate_fire``), threshold = clip, from half the threshold, with T = L steps for L levels. They were
published a year apart and differ here in two things: when a negative spike is due, and the fine-tuning of Fast-SNN.

QFFS (Li, Ma and Furber, Front. Neurosci. 2022; no code found): a neuron below 0 that has fired more than it took back sends a
negative spike, which removes the "occasional noise" of spikes that later input disowns.

Fast-SNN (Hu et al., TPAMI 2023; code yangfan-hu/Fast-SNN): the same at -0.001 and below. Its rows are fine-tuned layer by layer
after conversion (``snncore.conversion.fine_tuning``); "Fast-SNN, not fine-tuned" is the same without.

Decided: weights keep full precision, as in all methods here, though Fast-SNN quantises them too (powers of two; 8 bits in the
first and last layer); the network is fine-tuned to its number of levels at once, not through 4 and 3 bits; layers are tuned on
the calibration images instead of the whole training set.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, FineTuning, fine_tune_layers, signed_rate
from snncore.conversion.calibration import ThresholdRule


class QFFS(Method):
    """Needs a quantised network; no options."""

    name = "QFFS"
    reference = "Li, Ma and Furber 2022, quantization framework for fast SNNs"
    coding = "rate"
    default_timesteps = 4
    margin: ClassVar[float] = 0.0

    def conversion(self, threshold: ThresholdRule, **options: object) -> ConversionMethod:
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return signed_rate(self.margin)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``: a layer answers in the step in which its input comes."""
        return Steps(timesteps, 0, 0, timesteps)


class FastSNNUntuned(QFFS):
    """Needs a quantised network; no options."""

    name = "Fast-SNN, not fine-tuned"
    reference = "Hu et al. 2023, signed neurons alone"
    default_timesteps = 7
    margin = 1e-3


class FastSNN(FastSNNUntuned):
    """Needs a quantised network. Option: ``epochs`` (1) over the calibration images, per layer."""

    name = "Fast-SNN"
    reference = "Hu et al. 2023, signed neurons and layer-wise fine-tuning"

    def prepare(  # type: ignore[override]
        self, ann: nn.Module, images: Iterable[Tensor], timesteps: int, epochs: int = 1
    ) -> nn.Module:
        """See ``Method.prepare``."""
        quantized = signed_rate(self.margin).quantized
        assert quantized is not None
        return fine_tune_layers(ann, images, quantized, timesteps, FineTuning(epochs))
