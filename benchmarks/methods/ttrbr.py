"""Threshold tuning and residual block restructuring, TTRBR (Meng et al., Neural Networks 2022).

*Threshold tuning.* The paper splits the conversion error into the quantisation error, from counting whole spikes, and the
deviation error, from currents that vary over time, and finds that the second depends on the threshold and the variance of the
input. So the threshold is searched on the currents that the spiking layers before really send: of ``candidates`` equal
fractions of the largest activation, the one with the least mean squared difference between what the neuron sends in T steps and
what the trained network puts out. Soft reset, discharged at the start. The search simulates T steps, but at most 128 for time.

*Residual block restructuring.* Neurons whose spikes meet at a sum share one scale. The definition is not at hand beyond this, and
moving activations into the branches would be another network, to be trained as such. On the network as it is, all neurons that
an identity shortcut joins get the same threshold, by the same search on their activations together; the neuron after the sum
then sees whole multiples of its own threshold from the shortcut.

Two controls take one thing back each. "TTRBR, centred" starts from half the threshold, which rounds a rate to the nearest instead
of down: it shows how much of a loss comes from membranes that start empty. "TTRBR, centred, unshared" also searches the
thresholds of joined neurons one by one: what our reading of the restructuring costs.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import ClassVar

from benchmarks.errors import CannotRun
from benchmarks.methods.layerwise import Layer, LayerRule, LayerwiseMethod, NeuronMaker
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, LeastSquares, ThresholdRule
from snncore.neurons import IntegrateFireNeuron

MOST_STEPS = 128  # ours


class TTRBR(LayerwiseMethod):
    """Options: ``candidates`` for a threshold (20), ``restructure`` residual blocks (True)."""

    name = "TTRBR"
    reference = "Meng et al. 2022, Training much deeper spiking neural networks"
    coding = "rate"
    default_timesteps = 128
    initial: ClassVar[float] = 0.0
    restructure: ClassVar[bool] = True

    def conversion(  # type: ignore[override]
        self, threshold: ThresholdRule, candidates: int = 20, restructure: bool | None = None
    ) -> ConversionMethod:
        """See ``Method.conversion``; ``threshold`` plays no part. Raises CannotRun for fewer than 1 candidate."""
        self.rule(candidates, restructure)
        return ConversionMethod(self.name, IntegrateFireNeuron)

    def rule(self, candidates: int = 20, restructure: bool | None = None) -> LayerRule:  # type: ignore[override]
        """See ``LayerwiseMethod.rule``."""
        if type(candidates) is not int or candidates < 1:
            raise CannotRun(f"{self.name}: candidates must be a whole number of at least 1, got {candidates!r}")
        restructure = self.restructure if restructure is None else restructure
        return partial(tuned, candidates=candidates, restructure=restructure, initial=self.initial)

    def calibrated(self, timesteps: int, **options: object) -> int:
        """See ``LayerwiseMethod.calibrated``."""
        return min(timesteps, MOST_STEPS)


class TTRBRCentred(TTRBR):
    """Options as for ``TTRBR``."""

    name = "TTRBR, centred"
    reference = "a control for Meng et al. 2022"
    initial = 0.5


class TTRBRUnshared(TTRBRCentred):
    """Options as for ``TTRBR``."""

    name = "TTRBR, centred, unshared"
    restructure = False


def tuned(layer: Layer, candidates: int, restructure: bool, initial: float = 0.0) -> NeuronMaker:
    """The neuron with the threshold that codes best."""
    if restructure and len(layer.joined) > 1:
        together = reduce(add, layer.joined)
        v = LeastSquares(candidates, offset=initial)(together, RateCode(layer.timesteps))
        return partial(IntegrateFireNeuron, layer.positive(v), initial=initial)
    largest = layer.positive(layer.histogram.maximum)
    neurons = [IntegrateFireNeuron(largest * k / candidates, layer.timesteps, initial) for k in range(1, candidates + 1)]
    errors = [0.0] * candidates
    for currents, activations in layer.batches():
        for k, neuron in enumerate(neurons):
            sent = neuron.code.decode(neuron(currents), neuron.threshold)
            errors[k] += float((activations - sent).double().square().sum())
    return partial(IntegrateFireNeuron, neurons[errors.index(min(errors))].threshold, initial=initial)
