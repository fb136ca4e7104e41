"""The neuron core: spike codes, spiking neurons, and conversion of trained networks. Needs torch and nothing else."""

from snncore.coding import CSSCode, RateCode
from snncore.conversion import ConversionError, ConversionMethod, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.neurons import (
    FirstSpikeNeuron,
    IntegrateFireNeuron,
    MomentumNeuron,
)

__all__ = [
    "CSSCode",
    "ConversionError",
    "ConversionMethod",
    "FirstSpikeNeuron",
    "IntegrateFireNeuron",
    "MomentumNeuron",
    "RateCode",
    "SpikingNetwork",
    "calibrate",
    "convert",
    "opi",
    "rate",
    "tmn",
    "tsa",
]
