"""TSA: canonic signed spike coding with the ternary self-amplifying neuron (CSS paper, arXiv 2408.17245 v2).

The membrane grows by ``beta`` = 1.5 per step; one silent step before the first spike. Images come in as spike trains in the same
code, from an initial potential (Theorem 2); their scale is the largest size of a calibration pixel. On a quantised network the
clip becomes the threshold: the code's levels, powers of 1.5, are not those of the network, which the paper does not convert
either. Latency as the paper counts it: each layer waits for its silent step, then the output train takes T steps.

Data-based amplitude adjustment: raise a layer's threshold until it no longer leaves much uncoded (CSS paper, App. A.3).

After a pass of the converted network over training images let ``r`` be a percentile (the paper's: 99.9) of a layer's residual
potentials ``u[T]`` in units of its spike amplitude. Where ``r > 1`` the amplitude is multiplied by (CSS Eq. A18, with
``d = r - 1`` and ``S = sum_t beta**(T-t)``)

    1 + d / S                   d > 0.05 S
    1 + d / S - 0.01 + 0.04     0.05 S >= d > 0.01 S
    1 + 4 d / S                 0.01 S >= d > 0

in all layers at once; then the network is converted again, and so on until no layer has ``r > 1``. The paper calls this a
heuristic; nothing says that it settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.errors import NotAvailable
from benchmarks.methods.base import Images, Method, Steps
from benchmarks.methods.layerwise import LAYERWISE_IMAGES
from snncore.conversion import Calibration, ConversionMethod, Encoding, SpikingNetwork, ThresholdRule, convert, tsa
from snncore.conversion.method import neurons_of
from snncore.neurons import SpikingNeuron
from snncore.neurons.momentum import most_timesteps
from snncore.thresholds import ActivationHistogram


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
        return tsa(precharge, beta, threshold, negative_spikes, encoding)

    def convert(  # type: ignore[override]
        self,
        calibration: Calibration,
        threshold: ThresholdRule,
        timesteps: int,
        images: Images,
        adjustment: int = 0,
        **options: object,
    ) -> SpikingNetwork:
        """See ``Method.convert``; the attribute ``adjusted`` of the network says what an adjustment came to."""
        method = self.conversion(threshold, **options)  # type: ignore[arg-type]
        if not adjustment:
            return convert(calibration.network, calibration, method, timesteps)
        rule = AmplitudeAdjustment(adjustment)
        return adjust_amplitudes(calibration, method, timesteps, list(images(LAYERWISE_IMAGES)), rule)

    def steps(  # type: ignore[override]
        self, timesteps: int, layers: int, precharge: int = 1, beta: float = 1.5, **options: object
    ) -> Steps:
        """See ``Method.steps``. Raises NotAvailable for more steps than float32 has digits for."""
        if timesteps > (most := most_timesteps(beta, precharge)):
            raise NotAvailable(f"TSA with beta = {beta:g} codes in at most {most} timesteps, for the digits of float32")
        return Steps(timesteps, precharge, 0, precharge * layers + timesteps)


@dataclass(frozen=True)
class AmplitudeAdjustment:
    """How to adjust: at most so many ``rounds``, by this ``percentile`` of the residual potentials.

    Raises:
        ValueError: fewer rounds than one; a percentile out of (0, 100].
    """

    rounds: int = 20
    percentile: float = 99.9

    def __post_init__(self) -> None:
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, int) or self.rounds < 1:
            raise ValueError(f"amplitude adjustment needs a whole number of rounds, at least 1, got {self.rounds!r}")
        if not 0 < self.percentile <= 100:
            raise ValueError(f"the percentile of amplitude adjustment must be in (0, 100], got {self.percentile!r}")


@dataclass(frozen=True)
class AdjustedAmplitudes:
    """What an adjustment came to.

    Attributes:
        factors: of the amplitude of each layer, by name.
        residuals: percentile of the residual potential of each layer, in units of its amplitude, with these factors.
        rounds: passes over the images with an adjustment after them.
    """

    factors: dict[str, float]
    residuals: dict[str, float]
    rounds: int

    @property
    def unsettled(self) -> list[str]:
        """Layers whose residual still exceeds their amplitude."""
        return [name for name, residual in self.residuals.items() if residual > 1]


def amplitude_factor(residual: float, total: float) -> float:
    """The factor of one round for a residual in units of the amplitude; see the module docstring.

    Args:
        residual: percentile of ``u[T]`` over the amplitude.
        total: ``sum_t beta**(T-t)``.
    """
    share = (residual - 1) / total
    if share <= 0:
        return 1.0
    if share > 0.05:
        return 1 + share
    return 1 + share + 0.03 if share > 0.01 else 1 + 4 * share


def adjust_amplitudes(
    calibration: Calibration, method: ConversionMethod, timesteps: int, images: Sequence[Tensor], rule: AmplitudeAdjustment
) -> SpikingNetwork:
    """Convert, look at the residual potentials, adjust; until it settles or the rounds are used up.

    Args:
        calibration, method, timesteps: of the conversion.
        images: batches of training images.
        rule: how.

    Returns:
        The last network, with what happened in its attribute ``adjusted``.
    """
    own = neurons_of(calibration, method, timesteps)
    factors: dict[str, float] = {}
    for done in range(rule.rounds + 1):
        changed = {name: method.neuron(own[name].threshold * f, timesteps) for name, f in factors.items() if f != 1}
        network = convert(calibration.network, calibration, method, timesteps, neurons=changed)
        residuals = _residuals(network, images, rule.percentile)
        adjusted = AdjustedAmplitudes({name: factors.get(name, 1.0) for name in residuals}, residuals, done)
        network.adjusted = adjusted  # type: ignore[assignment]
        if not adjusted.unsettled:
            break
        total = network.code.total
        factors = {name: factors.get(name, 1.0) * amplitude_factor(r, total) for name, r in residuals.items()}
    return network


@torch.no_grad()
def _residuals(network: SpikingNetwork, images: Sequence[Tensor], percentile: float) -> dict[str, float]:
    histograms = {name: ActivationHistogram() for name in network.neurons}

    def observe(name: str, neuron: SpikingNeuron, spikes: Tensor, residual: Tensor) -> None:
        histograms[name].update(residual.clamp(min=0))

    for name, neuron in network.neurons.items():
        neuron.observer = partial(observe, name)
    for batch in images:
        network(batch)
    for neuron in network.neurons.values():
        neuron.observer = None
    return {name: histogram.percentile(percentile) for name, histogram in histograms.items()}
