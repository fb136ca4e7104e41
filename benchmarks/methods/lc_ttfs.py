"""LC-TTFS: one spike per neuron under a falling threshold (Yang et al. 2023, arXiv 2310.14978).

Ramp-shaped postsynaptic potentials (ReL-PSP), windows of T steps per layer, and a threshold that falls linearly in the
layer's window: an activation ``a`` in [0, 1] fires ``a T`` steps before its end; see ``benchmarks.methods.time_window``. In
discrete time the neuron fires at the first step at which its potential reaches the threshold, so ``a T`` is rounded down.
Decided, since no code of the authors was found:

- before its window a neuron's threshold is infinite, so that no spike is premature;
- "LC-TTFS, centred" is the same with thresholds lower by half a step, so that ``a T`` is rounded to the nearest whole number:
  it shows how much of a loss comes from rounding down, which every layer does again;
- the authors train with a ReLU clipped at 1 and a regulariser that keeps potentials in range. Here the network is trained as
  for all methods; activations are in units of the calibrated threshold and clipped at 1, by a spike as the window opens.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from benchmarks.methods.base import Method, Steps
from benchmarks.methods.time_window import TimeWindowNeuron
from benchmarks.methods.ttfs_mapping import window_steps
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import SpikingNeuron


class LCTTFS(Method):
    """No options."""

    name = "LC-TTFS"
    reference = "Yang et al. 2023, arXiv 2310.14978"
    coding = "TTFS"
    default_timesteps = 50
    rounding: ClassVar[Literal["down", "nearest"]] = "down"

    def conversion(self, threshold: ThresholdRule, **options: object) -> ConversionMethod:
        """See ``Method.conversion``."""

        def neuron(v: float, timesteps: int) -> SpikingNeuron:
            return TimeWindowNeuron(v, timesteps, self.rounding)

        return ConversionMethod(self.name, neuron, threshold)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``. Raises NotAvailable for fewer than two steps."""
        return window_steps(self.name, timesteps, layers)


class LCTTFSCentred(LCTTFS):
    """No options."""

    name = "LC-TTFS, centred"
    reference = "Yang et al. 2023, spike times to the nearest step"
    rounding = "nearest"
