"""Spiking neurons, one file per family."""

from snncore.neurons.base import SpikingNeuron
from snncore.neurons.few_spikes import FewSpikesNeuron
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.neurons.integrate_fire import IntegrateFireNeuron
from snncore.neurons.momentum import MomentumNeuron
from snncore.neurons.offset_spike import OffsetSpikeNeuron
from snncore.neurons.signed_integrate_fire import SignedIntegrateFireNeuron
from snncore.neurons.spike_time import SpikeTimeNeuron
from snncore.neurons.temporal_switch import TemporalSwitchNeuron
from snncore.neurons.time_window import TimeCode, TimeWindowNeuron

__all__ = [
    "FewSpikesNeuron",
    "FirstSpikeNeuron",
    "IntegrateFireNeuron",
    "MomentumNeuron",
    "OffsetSpikeNeuron",
    "SignedIntegrateFireNeuron",
    "SpikeTimeNeuron",
    "SpikingNeuron",
    "TemporalSwitchNeuron",
    "TimeCode",
    "TimeWindowNeuron",
]
