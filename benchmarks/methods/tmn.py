"""TMN: canonic signed spike coding with the ternary momentum neuron (arXiv 2408.17245 v3).

Thresholds from a percentile of the activations, direct coding, one pre-charge step for convolutional networks. T counts
the firing steps; pre-charge is reported apart. Latency by the rule of the CSS paper: each layer waits for its pre-charge,
then the output train takes T steps.

Quantised networks need no percentile: one unit of the code is one level, which fits where ``2**T - 1 >= L``; see
``snncore.conversion.tmn``.
"""

from __future__ import annotations

from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, ThresholdRule, tmn


class TMN(Method):
    """Options: ``precharge`` (1), ``ratio`` of predictive to full threshold (0.5), ``ternary`` spikes (True)."""

    name = "TMN"
    reference = "Gu et al. 2025, arXiv 2408.17245 v3"
    coding = "CSS"
    default_timesteps = 8

    def conversion(  # type: ignore[override]
        self, threshold: ThresholdRule, precharge: int = 1, ratio: float = 0.5, ternary: bool = True
    ) -> ConversionMethod:
        """See ``Method.conversion``."""
        return tmn(precharge, ratio, ternary, threshold)

    def steps(self, timesteps: int, layers: int, precharge: int = 1, **options: object) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return Steps(timesteps, precharge, 0, precharge * layers + timesteps)
