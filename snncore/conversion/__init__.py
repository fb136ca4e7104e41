"""ANN-to-SNN conversion by ``torch.fx``: trace, fold batch norm, calibrate thresholds, replace ReLUs, run."""

from snncore.conversion.calibration import Calibration, LeastSquares, Maximum, Percentile, calibrate
from snncore.conversion.convert import ConversionMethod, convert, opi, rate, tmn, tsa
from snncore.conversion.encoders import SwitchEncoder
from snncore.conversion.errors import ConversionError
from snncore.conversion.layerwise import Layer, LayerRule, NeuronMaker
from snncore.conversion.network import SpikingNetwork

__all__ = [
    "Calibration",
    "ConversionError",
    "ConversionMethod",
    "Layer",
    "LayerRule",
    "LeastSquares",
    "Maximum",
    "NeuronMaker",
    "Percentile",
    "SpikingNetwork",
    "SwitchEncoder",
    "calibrate",
    "convert",
    "opi",
    "rate",
    "tmn",
    "tsa",
]
