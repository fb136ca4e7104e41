"""The neuron core: spike codes, spiking neurons, and conversion of trained networks. Needs torch and nothing else."""

from snncore.coding import CSSCode, RateCode
from snncore.conversion import ConversionError, ConversionMethod, SpikingNetwork, calibrate, convert, opi, rate, tmn, tsa
from snncore.neurons import (
    FirstSpikeNeuron,
    IntegrateFireNeuron,
    LIFNeuron,
    MomentumNeuron,
    TernaryLIFNeuron,
)

__all__ = [
    "CSSCode",
    "ConversionError",
    "ConversionMethod",
    "FirstSpikeNeuron",
    "IntegrateFireNeuron",
    "LIFNeuron",
    "MomentumNeuron",
    "RateCode",
    "SpikingNetwork",
    "TernaryLIFNeuron",
    "calibrate",
    "convert",
    "opi",
    "rate",
    "tmn",
    "tsa",
]
