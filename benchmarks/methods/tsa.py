"""TSA: canonic signed spike coding with the ternary self-amplifying neuron (CSS paper, arXiv 2408.17245 v2).

The membrane grows by ``beta`` = 1.5 per step; one silent step before the first spike. Images come in as spike trains in the same
code, from an initial potential (Theorem 2); their scale is the largest size of a calibration pixel. On a quantised network the
clip becomes the threshold: the code's levels, powers of 1.5, are not those of the network, which the paper does not convert
either. Latency as the paper counts it: each layer waits for its silent step, then the output train takes T steps.
"""

from __future__ import annotations

from benchmarks.errors import NotAvailable
from benchmarks.methods.base import Method, Steps
from snncore.conversion import AmplitudeAdjustment, ConversionMethod, Encoding, tsa
from snncore.conversion.calibration import ThresholdRule
from snncore.neurons.momentum import most_timesteps


class TSA(Method):
    """Options.

    - ``precharge`` (1): the silent steps.
    - ``beta`` (1.5): amplification per step.
    - ``negative_spikes`` (True): otherwise spikes in {0, 1} at the full threshold, which is how we read the paper's ablation.
    - ``encoding`` (``"potential"``): how images come in; ``"direct"`` is a constant current.
    - ``adjustment`` (0): rounds of the amplitude adjustment at most; 0 for none, as with the silent step in the paper.
    """

    name = "TSA"
    reference = "Gu et al. 2024, arXiv 2408.17245 v2"
    coding = "CSS"
    default_timesteps = 12

    def conversion(  # type: ignore[override]
        self,
        threshold: ThresholdRule,
        precharge: int = 1,
        beta: float = 1.5,
        negative_spikes: bool = True,
        encoding: Encoding = "potential",
        adjustment: int = 0,
    ) -> ConversionMethod:
        """See ``Method.conversion``."""
        rule = AmplitudeAdjustment(adjustment) if adjustment else None
        return tsa(precharge, beta, threshold, negative_spikes, encoding, rule)

    def steps(  # type: ignore[override]
        self, timesteps: int, layers: int, precharge: int = 1, beta: float = 1.5, **options: object
    ) -> Steps:
        """See ``Method.steps``. Raises NotAvailable for more steps than float32 has digits for."""
        if timesteps > (most := most_timesteps(beta, precharge)):
            raise NotAvailable(f"TSA with beta = {beta:g} codes in at most {most} timesteps, for the digits of float32")
        return Steps(timesteps, precharge, 0, precharge * layers + timesteps)
