"""Spiking neurons, one file per family."""

from snncore.neurons.base import SpikingNeuron
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.neurons.integrate_fire import IntegrateFireNeuron
from snncore.neurons.momentum import MomentumNeuron
from snncore.neurons.spike_time import SpikeTimeNeuron
from snncore.neurons.temporal_switch import TemporalSwitchNeuron

__all__ = [
    "FirstSpikeNeuron",
    "IntegrateFireNeuron",
    "MomentumNeuron",
    "SpikeTimeNeuron",
    "SpikingNeuron",
    "TemporalSwitchNeuron",
]
