"""ANN-to-SNN conversion by ``torch.fx``: trace, fold batch norm, calibrate thresholds, replace ReLUs, run."""

from snncore.conversion.amplitude import AdjustedAmplitudes, AmplitudeAdjustment, adjust_amplitudes, amplitude_factor
from snncore.conversion.calibration import Calibration, LeastSquares, Maximum, Percentile, calibrate
from snncore.conversion.convert import ConversionMethod, Encoding, convert, opi, rate, tmn, tsa
from snncore.conversion.encoders import PotentialEncoder, SpreadEncoder, SwitchEncoder
from snncore.conversion.errors import ConversionError
from snncore.conversion.fine_tuning import FineTuning, fine_tune_layers
from snncore.conversion.layerwise import Layer, LayerRule, NeuronMaker
from snncore.conversion.network import SpikingNetwork
from snncore.conversion.quantized import quantize

__all__ = [
    "AdjustedAmplitudes",
    "AmplitudeAdjustment",
    "Calibration",
    "ConversionError",
    "ConversionMethod",
    "Encoding",
    "FineTuning",
    "Layer",
    "LayerRule",
    "LeastSquares",
    "Maximum",
    "NeuronMaker",
    "Percentile",
    "PotentialEncoder",
    "SpikingNetwork",
    "SpreadEncoder",
    "SwitchEncoder",
    "adjust_amplitudes",
    "amplitude_factor",
    "calibrate",
    "convert",
    "fine_tune_layers",
    "opi",
    "quantize",
    "rate",
    "tmn",
    "tsa",
]
