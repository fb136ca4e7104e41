"""Spiking neurons, one file per family."""

from snncore.neurons.base import SpikingNeuron
from snncore.neurons.integrate_fire import IntegrateFireNeuron
from snncore.neurons.momentum import MomentumNeuron

__all__ = ["IntegrateFireNeuron", "MomentumNeuron", "SpikingNeuron"]
