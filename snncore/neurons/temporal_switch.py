"""Temporal switch coding (TSC): pairs of spikes that switch a synapse on and off (Han and Roy, ECCV 2020).

A spike ``d = +1`` switches the synapses of its neuron on, a spike ``d = -1`` off; while they are on, the neurons behind them
gain ``w`` at each step. With weights ``w_j`` and soft reset,

    I[t] = I[t-1] + sum_j w_j d_j[t]       running current
    u~[t] = u[t-1] + I[t] + b              integrate
    n[t] = 1 if u~[t] >= v                 on or off
    u[t] = u~[t] - v n[t],   d[t] = n[t] - n[t-1]

Since ``sum_{t' <= t} d[t'] = n[t]``, the running current is ``sum_j w_j n_j[t]``: the network computes as one of
integrate-and-fire neurons that send ``n``, and that is how it is simulated. What travels, and costs operations, is ``d``: two
spikes for every run of ``n``, however long.
"""

from __future__ import annotations

import torch
from torch import Tensor

from snncore.coding import RateCode
from snncore.neurons.integrate_fire import IntegrateFireNeuron


class SwitchCode(RateCode):
    """Levels ``n [T, ...]`` whose mean is the value, sent as the spikes that switch them."""

    def events(self, levels: Tensor) -> Tensor:
        """The spikes that travel: ``d[t] = n[t] - n[t-1]`` with ``n[0] = 0``; same shape, in {-1, 0, 1} for levels in {0, 1}.

        What is on after the last step needs no further spike.
        """
        return torch.diff(levels, dim=0, prepend=torch.zeros_like(levels[:1]))


class TemporalSwitchNeuron(IntegrateFireNeuron):
    """Soft-reset integrate-and-fire neuron whose train is read as switched levels; see the module docstring.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T.
    """

    code: SwitchCode

    def __init__(self, threshold: float, timesteps: int) -> None:
        super().__init__(threshold, timesteps)
        self.code = SwitchCode(timesteps)
