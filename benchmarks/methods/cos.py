"""COS: QCFS networks whose offset spikes are calibrated (Hao et al., ICLR 2023; code hzc1208/ANN2SNN_COS).

As QCFS, but each layer first runs ``rho`` steps and then moves its initial potential so that a neuron that fired once too often
or too rarely does not; see ``snncore.neurons.offset_spike`` for the rule. T excludes ``rho``: 4 on CIFAR, 8 on ImageNet.

Decided: one pass of correction, as the code does (the paper can repeat it); ``rho`` is at most T, since the pre-simulation
looks at the first steps of the layer's input. The paper counts its steps as ``rho + T``, but a layer can start its
pre-simulation only once the layer before sends its corrected train: run one step after another, every layer waits ``rho``
steps, and so does the latency count here, as for the pre-charge of TMN.
"""

from __future__ import annotations

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, cos
from snncore.conversion.calibration import ThresholdRule


class COS(Method):
    """Needs a quantised network. Option: ``presimulation`` (4), the paper's rho."""

    name = "COS"
    reference = "Hao et al. 2023, calibrating offset spikes"
    coding = "rate"
    default_timesteps = 4

    def conversion(self, threshold: ThresholdRule, presimulation: int = 4) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return cos(presimulation)

    def steps(self, timesteps: int, layers: int, presimulation: int = 4, **options: object) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return Steps(timesteps, 0, presimulation, presimulation * layers + timesteps)


class COSLong(COS):
    """COS with as many pre-simulation steps as there are steps: it sees all of a layer's input before it corrects."""

    name = "COS, long pre-simulation"
    reference = "a control for Hao et al. 2023"

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return cos(None)

    def steps(self, timesteps: int, layers: int) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return super().steps(timesteps, layers, presimulation=timesteps)
