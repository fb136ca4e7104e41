"""QCFS: rate coding of networks with the clip-floor-shift activation (Bu et al., ICLR 2022; code putshua/ANN_SNN_QCFS).

The network is trained with ``snncore.quantization.ClipFloorShift``. Each of its activations becomes an integrate-and-fire
neuron with soft reset whose threshold is the trained clip and which starts from half of it, so that a constant input of T = L
steps gives the activation's levels exactly. Direct coding; the mean of the output currents is read. T need not be L.

Our choice: the authors train from scratch for 300 epochs with AutoAugment and Cutout; here the network is the one of all methods,
fine-tuned with the activation.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.methods.base import Method
from snncore.conversion import ConversionMethod, Percentile, ThresholdRule
from snncore.neurons import IntegrateFireNeuron, SpikingNeuron


def quantized_rate(name: str, quantized: Callable[[float, int, int], SpikingNeuron], anytime: bool = True) -> ConversionMethod:
    """Rate coding of quantised networks alone; ``quantized`` makes a neuron of a clip, its levels and T."""

    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        return quantized(v, timesteps, timesteps)

    return ConversionMethod(name, neuron, Percentile(99.99), anytime=anytime, quantized=quantized, full_precision=False)


def qcfs() -> ConversionMethod:
    """Threshold = clip, from half the threshold."""
    return quantized_rate("QCFS", lambda clip, levels, timesteps: IntegrateFireNeuron(clip, timesteps, 0.5))


class QCFS(Method):
    """Needs a quantised network; no options."""

    name = "QCFS"
    reference = "Bu et al. 2022, clip-floor-shift activation"
    coding = "rate"
    default_timesteps = 16

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return qcfs()
