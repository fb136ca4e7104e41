"""TTFS mapping: an exact map from ReLUs to neurons that fire once (Stanojevic et al. 2022, arXiv 2212.12522).

Each layer fires in its own window, with potentials that rise with slope 1; see ``benchmarks.methods.time_window``. With exact
spike times the spiking network computes what the trained one does, up to rounding of the floating-point numbers (option
``exact_times``). Table 2 of the TMN paper lists 64 steps per layer: spike times rounded to a grid. Decided:

- the window ends at silence and holds T steps, so that values are the multiples 0..T of 1/T of the largest;
- the window is as long as the calibrated threshold of the layer, which all methods share (a quantised activation's is its clip,
  so that T = L steps are its levels); the authors take the largest
  activation and leave a margin (half of it, in their published code for training), which on a grid costs resolution;
- max-pooling passes the earliest spike of a window on, as the paper does;
- the printed 64-step rows were fine-tuned on the grid. Here the network is converted as it is: this measures the mapping, and
  the comparison with the printed row has to say so.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.errors import NotAvailable
from benchmarks.methods.base import Method, Steps
from benchmarks.methods.time_window import TimeWindowNeuron
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import SpikingNeuron


def window_steps(name: str, timesteps: int, layers: int) -> Steps:
    """Steps of a code whose layers fire in windows one after another: T for every layer.

    Raises:
        NotAvailable: fewer than two steps.
    """
    if timesteps < 2:
        raise NotAvailable(f"{name} needs at least 2 timesteps per layer, one carries no time; got {timesteps}")
    return Steps(timesteps, timesteps, 0, timesteps * layers)


class TTFSMapping(Method):
    """Option: ``exact_times`` (False), spike times that are not rounded."""

    name = "TTFS Mapping"
    reference = "Stanojevic et al. 2022, arXiv 2212.12522"
    coding = "TTFS"
    default_timesteps = 64
    exact_times: ClassVar[bool] = False

    def conversion(  # type: ignore[override]
        self, threshold: ThresholdRule, exact_times: bool | None = None
    ) -> ConversionMethod:
        """See ``Method.conversion``."""
        exact = self.exact_times if exact_times is None else exact_times

        def neuron(v: float, timesteps: int) -> SpikingNeuron:
            return TimeWindowNeuron(v, timesteps, "continuous" if exact else "nearest")

        def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
            return neuron(clip, timesteps)

        return ConversionMethod(self.name, neuron, threshold, quantized=quantized)

    def steps(self, timesteps: int, layers: int, **options: object) -> Steps:
        """See ``Method.steps``. Raises NotAvailable for fewer than two steps."""
        return window_steps(self.name, timesteps, layers)


class TTFSMappingExact(TTFSMapping):
    """Spike times are not rounded to steps; options as for ``TTFSMapping``."""

    name = "TTFS Mapping, exact"
    reference = "Stanojevic et al. 2022, with continuous spike times"
    exact_times = True
