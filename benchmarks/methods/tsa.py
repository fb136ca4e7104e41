"""TSA: canonic signed spike coding with the ternary self-amplifying neuron (CSS paper, arXiv 2408.17245 v2).

The membrane grows by ``beta`` = 1.5 per step; one silent step before the first spike. On a quantised network the clip becomes
the threshold: the code's levels, powers of 1.5, are not those of the network, which the paper does not convert either.
Latency as the paper counts it: each layer waits for its silent step, then the output train takes T steps.
"""

from __future__ import annotations

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, tsa
from snncore.conversion.calibration import ThresholdRule


class TSA(Method):
    """Options: ``precharge`` (1), the silent steps, and ``beta`` (1.5)."""

    name = "TSA"
    reference = "Gu et al. 2024, arXiv 2408.17245 v2"
    coding = "CSS"
    default_timesteps = 12

    def conversion(self, threshold: ThresholdRule, precharge: int = 1, beta: float = 1.5) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return tsa(precharge, beta, threshold)

    def steps(self, timesteps: int, layers: int, precharge: int = 1, **options: object) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return Steps(timesteps, precharge, 0, precharge * layers + timesteps)
