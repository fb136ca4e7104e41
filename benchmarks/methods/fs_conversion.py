"""FS-conversion: few-spikes neurons that send a value as its binary expansion (Stoeckl and Maass, Nature MI 2021).

With K = T steps, ``alpha`` the range of values and x the neuron's input,

    V[1] = x;   z[t] = 1 if V[t] >= T[t];   V[t+1] = V[t] - h[t] z[t];   output = sum over t of d[t] z[t]
    for a ReLU:  T[t] = h[t] = d[t] = alpha 2**-t,   t = 1..K

so that the output is ``alpha 2**-K floor(2**K x / alpha)``, clipped to ``[0, v]`` with ``v = alpha (1 - 2**-K)``: all digits
one. The neuron needs its whole input before its first spike: for T steps it reads the trains of the layer before as binary
numbers, ``V <- 2 V + z[t]``, then it fires for T steps at the thresholds ``2**(T-t) v``, which are ``alpha 2**-t`` in units of
that sum. That is the momentum neuron with a pre-charge of T steps, binary spikes at the full threshold and no gate
(``MomentumNeuron.few_spikes``). Our choices:

- the range of values: the paper uses one number for the whole network (alpha = 25 in the published code, for ImageNet); here
  each layer has its own, from the calibration that all methods share, ``alpha (1 - 2**-T)`` being the calibrated threshold;
- a potential that equals its threshold fires, as in the closed form that the published code evaluates (floor); its step by
  step version asks for more than the threshold. Only ties tell them apart;
- the first layer takes the image as a constant current for the T steps of its window, so that the steps of all layers count
  alike: T per layer.
"""

from __future__ import annotations

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import MomentumNeuron


class FSConversion(Method):
    """No options."""

    name = "FS-Conversion"
    reference = "Stoeckl and Maass 2021, few-spikes neurons"
    coding = "FS"
    default_timesteps = 10

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return ConversionMethod(self.name, MomentumNeuron.few_spikes, threshold)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``: a layer waits for all T steps of the one before."""
        return Steps(timesteps, timesteps, 0, timesteps * layers)
