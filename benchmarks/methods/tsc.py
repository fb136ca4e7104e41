"""Temporal switch coding, TSC (Han and Roy, ECCV 2020): a pixel's two spikes are as far apart as it is bright.

The first spike of a pixel switches its synapses on, the second off; in between the neurons behind them gain the weight at each
step. Hidden neurons integrate the running current with soft reset and send pairs as well; see
``snncore.neurons.temporal_switch`` for the equations. There is no official code. What we decided:

- A hidden neuron is on in the steps in which it passes its threshold, and its spikes switch it on and off: with one window for
  all layers (latency T, as printed) it cannot know its value before, so that a single pair per neuron is impossible.
- Images are standardised here, so pixels have signs: a dark one sends its pair with the opposite sign. One scale for all, the
  largest size of a calibration pixel; larger ones are clipped.
- Thresholds by the same rule as for every other method.

"TSC, spread" is a control: pixels are on in as many steps, spread evenly over the window instead of at its beginning.

Operations are two accumulates per synapse and pair (``SwitchCode.events``), not one for each step that a synapse is on.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.errors import NotAvailable
from benchmarks.methods.base import Method, Steps
from snncore.conversion import ConversionMethod, SpreadEncoder, SwitchEncoder
from snncore.conversion.calibration import ThresholdRule
from snncore.neurons import TemporalSwitchNeuron


class TSC(Method):
    """No options."""

    name = "TSC"
    reference = "Han and Roy 2020, temporal switch coding"
    coding = "TSC"
    default_timesteps = 512
    encoder: ClassVar[type[SwitchEncoder]] = SwitchEncoder

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``."""
        return ConversionMethod(self.name, TemporalSwitchNeuron, threshold, encoder=self.encoder)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``: all layers work in one window. Raises NotAvailable for T = 1, which has no interval."""
        if timesteps < 2:
            raise NotAvailable("TSC needs at least 2 timesteps: it codes in the interval between two spikes")
        return Steps(timesteps, 0, 0, timesteps)


class TSCSpread(TSC):
    """No options."""

    name = "TSC, spread"
    reference = "a control for Han and Roy 2020"
    encoder = SpreadEncoder
