"""Temporal switch coding, TSC (Han and Roy, ECCV 2020): a pixel's two spikes are as far apart as it is bright.

A spike ``d = +1`` switches the synapses of its neuron on, a spike ``d = -1`` off; while they are on, the neurons behind them
gain ``w`` at each step. With weights ``w_j`` and soft reset,

    I[t] = I[t-1] + sum_j w_j d_j[t]       running current
    u~[t] = u[t-1] + I[t] + b              integrate
    n[t] = 1 if u~[t] >= v                 on or off
    u[t] = u~[t] - v n[t],   d[t] = n[t] - n[t-1]

Since ``sum_{t' <= t} d[t'] = n[t]``, the running current is ``sum_j w_j n_j[t]``: the network computes as one of
integrate-and-fire neurons that send ``n``, and that is how it is simulated. What travels, and costs operations, is ``d``
(``SwitchCode.events``): two spikes for every run of ``n``, however long. There is no official code. Our choices:

- A hidden neuron is on in the steps in which it passes its threshold, and its spikes switch it on and off: with one window for
  all layers (latency T, as printed) it cannot know its value before, so that a single pair per neuron is impossible.
- Images are standardised here, so pixels have signs: a dark one sends its pair with the opposite sign. One scale for all, the
  largest size of a calibration pixel; larger ones are clipped.
- Thresholds by the same rule as for every other method.

"TSC, spread" is a control: pixels are on in as many steps, spread evenly over the window instead of at its beginning.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from benchmarks.errors import NotAvailable
from benchmarks.methods.base import Method, Steps
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, InputEncoder, ThresholdRule
from snncore.neurons import IntegrateFireNeuron


class SwitchCode(RateCode):
    """Levels ``n [T, ...]`` whose mean is the value, sent as the spikes that switch them."""

    def events(self, train: Tensor) -> Tensor:
        """The spikes that travel: ``d[t] = n[t] - n[t-1]`` with ``n[0] = 0``; in {-1, 0, 1} for levels in {0, 1}.

        What is on after the last step needs no further spike.
        """
        return torch.diff(train, dim=0, prepend=torch.zeros_like(train[:1]))


class TemporalSwitchNeuron(IntegrateFireNeuron):
    """Soft-reset integrate-and-fire neuron whose train is read as switched levels.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T.
    """

    code: SwitchCode

    def __init__(self, threshold: float, timesteps: int) -> None:
        super().__init__(threshold, timesteps)
        self.code = SwitchCode(timesteps)


class SwitchEncoder(InputEncoder):
    """Temporal switch code of signed values (Han and Roy, ECCV 2020): on for a time proportional to the value.

    A value x is on, with its sign, in the first ``d = floor(T |x| / A + 1/2)`` of T steps, at most all; ``A`` is the amplitude.
    Its two spikes are those that switch it on at step 1 and off at step ``d + 1``.

    Args:
        amplitude: ``A``, the largest size of a value.
        timesteps: T.

    Raises:
        ValueError: an amplitude that is not positive and finite.
    """

    def __init__(self, amplitude: float, timesteps: int) -> None:
        if not 0 < amplitude < float("inf"):
            raise ValueError(f"amplitude must be positive and finite, got {amplitude!r}")
        super().__init__(amplitude, timesteps)

    def at(self, images: Tensor, step: int) -> Tensor:
        """See ``InputEncoder.at``."""
        duration = torch.floor(images.abs() * (self.timesteps / self.amplitude) + 0.5)
        return images.sign() * (duration > step)


class SpreadEncoder(SwitchEncoder):
    """As ``SwitchEncoder``, with the steps in which a value is on spread evenly: a control, not a code of two spikes."""

    def at(self, images: Tensor, step: int) -> Tensor:
        """See ``InputEncoder.at``."""
        duration = torch.floor(images.abs() * (self.timesteps / self.amplitude) + 0.5).clamp(max=self.timesteps)
        due, before = (torch.floor(t * duration / self.timesteps) for t in (step + 1, step))
        return images.sign() * (due > before)


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
