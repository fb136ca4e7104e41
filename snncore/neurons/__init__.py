"""The neurons that the papers define and several methods share, one file per family."""

from snncore.neurons.base import SpikingNeuron
from snncore.neurons.first_spike import FirstSpikeNeuron
from snncore.neurons.integrate_fire import IntegrateFireNeuron
from snncore.neurons.leaky import LIFNeuron, TernaryLIFNeuron, TrainableNeuron
from snncore.neurons.momentum import MomentumNeuron

__all__ = [
    "FirstSpikeNeuron",
    "IntegrateFireNeuron",
    "LIFNeuron",
    "MomentumNeuron",
    "SpikingNeuron",
    "TernaryLIFNeuron",
    "TrainableNeuron",
]
