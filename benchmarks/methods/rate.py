"""Plain rate coding and optimised potential initialisation (OPI; Bu et al., AAAI 2022).

Both run soft-reset integrate-and-fire neurons with direct coding and read the mean of the output currents. OPI starts
each membrane at half the threshold, which centres the error of counting whole spikes. Its paper also trains the network
with a clipped ReLU whose bound becomes the threshold; here both take the same trained network and the same percentile
threshold as every other method, so that only the initial potential differs.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, rate
from snncore.conversion.calibration import ThresholdRule


class Rate(Method):
    """Plain rate coding from an empty membrane; no options."""

    name = "rate"
    reference = "plain soft-reset conversion (Rueckauer et al. 2017; Han et al. 2020)"
    coding = "rate"
    default_timesteps = 64
    initial: ClassVar[float] = 0.0

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return rate(self.initial, threshold)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``: a layer answers in the step in which its input comes."""
        return Steps(timesteps, 0, 0, timesteps)


class OPI(Rate):
    """Rate coding from half the threshold; no options."""

    name = "OPI"
    reference = "Bu et al. 2022, optimised potential initialisation"
    initial = 0.5
