"""Threshold balancing on spiking activity: SpikeNorm (Sengupta et al. 2019) and RMP-SNN (Han et al., CVPR 2020).

One layer after another, the threshold becomes the largest current that the spikes of the layers before it bring about, over
calibration images and time. SpikeNorm then fires with hard reset, RMP-SNN with soft reset ("residual membrane potential"),
and may scale its thresholds by a factor below 1 so that neurons fire more often.

What we decided, neither having official code:

- Direct coding in place of SpikeNorm's Poisson spikes, as for every other method here, so that the loss is that of thresholds
  and reset and needs no random numbers. What Poisson input adds to the loss is not measured.
- Spikes carry their threshold as amplitude. The originals send spikes of 1 and balance each layer on those; their thresholds
  are ours over that of the layer before, their firing rates the same. Biases and batch normalisation, which the originals
  train without, are then right as they are; shortcuts bring the amplitudes of their spikes along, for which the originals
  put neurons with equal thresholds into both paths.
- The largest current is taken over 128 steps whatever T, so that one simulation serves every T and fits into memory. The
  originals look at as many steps as they run, about 2000, and the thresholds do depend on it: on a CIFAR-10 ResNet-20 and four
  images, those of the second half of the network are 7 to 12 times the largest activation over 128 steps and 14 to 26 times
  over 512. So ours are lower than the originals' would be, and the network needs fewer steps; ``calibration_steps`` is there
  to tell by how much.
- RMP-SNN's factor is 1 unless given. "RMP-SNN, scaled" has 0.4: of 100 training images of CIFAR-10, a ResNet-20 has 11, 80, 99,
  100 and 22 right at T = 256 with factors of 0.8, 0.6, 0.5, 0.4 and 0.3.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from benchmarks.errors import CannotRun
from benchmarks.methods.layerwise import Layer, LayerRule, LayerwiseMethod, NeuronMaker
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import IntegrateFireNeuron
from snncore.neurons.integrate_fire import Reset


class SpikeNorm(LayerwiseMethod):
    """Options: ``factor`` on the thresholds (1.0), ``calibration_steps`` over which currents are looked at (128)."""

    name = "SpikeNorm"
    reference = "Sengupta et al. 2019, Going deeper in spiking neural networks"
    coding = "rate"
    default_timesteps = 2500
    reset: ClassVar[Reset] = "hard"
    factor: ClassVar[float] = 1.0

    def conversion(  # type: ignore[override]
        self, threshold: ThresholdRule, factor: float | None = None, calibration_steps: int = 128
    ) -> ConversionMethod:
        """See ``Method.conversion``; ``threshold`` plays no part. Raises CannotRun for an option out of range."""
        self.rule(factor, calibration_steps)
        return ConversionMethod(self.name, partial(IntegrateFireNeuron, reset=self.reset), anytime=True)

    def rule(self, factor: float | None = None, calibration_steps: int = 128) -> LayerRule:  # type: ignore[override]
        """See ``LayerwiseMethod.rule``."""
        factor = self.factor if factor is None else factor
        if not 0 < factor <= 1:
            raise CannotRun(f"{self.name}: factor must be above 0 and at most 1, got {factor!r}")
        if type(calibration_steps) is not int or calibration_steps < 1:
            raise CannotRun(f"{self.name}: calibration_steps must be a whole number of at least 1, got {calibration_steps!r}")
        return partial(balanced, factor=factor, reset=self.reset)

    def calibrated(self, timesteps: int, calibration_steps: int = 128, **options: object) -> int:  # type: ignore[override]
        """See ``LayerwiseMethod.calibrated``."""
        return calibration_steps


class RMPSNN(SpikeNorm):
    """Options as for ``SpikeNorm``."""

    name = "RMP-SNN"
    reference = "Han et al. 2020, RMP-SNN"
    default_timesteps = 2048
    reset = "soft"


class RMPSNNScaled(RMPSNN):
    """Options as for ``SpikeNorm``, but the factor is 0.4 unless given."""

    name = "RMP-SNN, scaled"
    reference = "Han et al. 2020, RMP-SNN with scaled thresholds"
    factor = 0.4


def balanced(layer: Layer, factor: float, reset: Reset) -> NeuronMaker:
    """Threshold of ``factor`` times the largest current."""
    largest = max(float(currents.max()) for currents, _ in layer.batches())
    return partial(IntegrateFireNeuron, layer.positive(factor * largest), reset=reset)
