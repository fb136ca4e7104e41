"""FS-conversion: few-spikes neurons that send a value as its binary expansion (Stoeckl and Maass, Nature MI 2021).

The neuron is that of ``snncore.neurons.few_spikes``, with the published thresholds of a ReLU, and T binary digits. Decided:

- the range of values: the paper uses one number for the whole network (alpha = 25 in the published code, for ImageNet); here
  each layer has its own, from the calibration that all methods share, ``alpha (1 - 2**-T)`` being the calibrated threshold;
- a potential that equals its threshold fires, as in the closed form that the published code evaluates (floor); its step by
  step version asks for more than the threshold. Only ties tell them apart;
- the first layer takes the image as a constant current for the T steps of its window, so that the steps of all layers count
  alike: T per layer.
"""

from __future__ import annotations

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod
from snncore.conversion.calibration import ThresholdRule
from snncore.neurons import FewSpikesNeuron


class FSConversion(Method):
    """No options."""

    name = "FS-Conversion"
    reference = "Stoeckl and Maass 2021, few-spikes neurons"
    coding = "FS"
    default_timesteps = 10

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return ConversionMethod(self.name, FewSpikesNeuron, threshold)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``: a layer waits for all T steps of the one before."""
        return Steps(timesteps, timesteps, 0, timesteps * layers)
