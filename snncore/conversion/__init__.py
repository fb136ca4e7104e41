"""ANN-to-SNN conversion by ``torch.fx``: trace, fold batch norm, calibrate thresholds, replace ReLUs, run."""

from snncore.conversion.calibration import Calibration, LeastSquares, Maximum, Percentile, calibrate
from snncore.conversion.convert import ConversionMethod, convert, opi, rate, tmn, tsa
from snncore.conversion.encoders import SpreadEncoder, SwitchEncoder
from snncore.conversion.errors import ConversionError
from snncore.conversion.fine_tuning import FineTuning, fine_tune_layers
from snncore.conversion.layerwise import Layer, LayerRule, NeuronMaker
from snncore.conversion.network import SpikingNetwork
from snncore.conversion.quantized import cos, qcfs, quantize, signed_rate

__all__ = [
    "Calibration",
    "ConversionError",
    "ConversionMethod",
    "FineTuning",
    "Layer",
    "LayerRule",
    "LeastSquares",
    "Maximum",
    "NeuronMaker",
    "Percentile",
    "SpikingNetwork",
    "SpreadEncoder",
    "SwitchEncoder",
    "calibrate",
    "convert",
    "cos",
    "fine_tune_layers",
    "opi",
    "qcfs",
    "quantize",
    "rate",
    "signed_rate",
    "tmn",
    "tsa",
]
