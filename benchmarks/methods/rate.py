"""Plain rate coding and optimised potential initialisation (OPI; Bu et al., AAAI 2022).

Both run soft-reset integrate-and-fire neurons with direct coding and read the mean of the output currents. OPI starts
each membrane at half the threshold, which centres the error of counting whole spikes. Its paper also trains the network
with a clipped ReLU whose bound becomes the threshold; here both take the same trained network and the same percentile
threshold as every other method, so that only the initial potential differs.

"OPI, clipped" has both, on the same network fine-tuned with clipped ReLUs (``snncore.quantization.ClippedReLU``): it shows how
much of a loss is that of thresholds which the network was not trained for.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.methods.base import Method
from snncore.conversion import ConversionMethod, ThresholdRule, opi, rate


class Rate(Method):
    """Plain rate coding from an empty membrane; no options."""

    name = "rate"
    reference = "plain soft-reset conversion (Rueckauer et al. 2017; Han et al. 2020)"
    coding = "rate"
    default_timesteps = 64

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return rate(0.0, threshold)


class OPI(Rate):
    """Rate coding from half the threshold; no options."""

    name = "OPI"
    reference = "Bu et al. 2022, optimised potential initialisation"

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return opi(threshold)


class OPIClipped(OPI):
    """Needs a network with clipped activations; no options."""

    name = "OPI, clipped"
    reference = "Bu et al. 2022, with clipped ReLUs in training as well"

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return replace(opi(threshold), full_precision=False)
