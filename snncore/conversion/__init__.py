"""ANN-to-SNN conversion by ``torch.fx``: trace, fold batch norm, calibrate thresholds, replace ReLUs, run."""

from snncore.conversion.calibration import Calibration, LeastSquares, Maximum, Percentile, calibrate
from snncore.conversion.convert import ConversionMethod, convert, opi, rate, tmn, tsa
from snncore.conversion.errors import ConversionError
from snncore.conversion.network import SpikingNetwork

__all__ = [
    "Calibration",
    "ConversionError",
    "ConversionMethod",
    "LeastSquares",
    "Maximum",
    "Percentile",
    "SpikingNetwork",
    "calibrate",
    "convert",
    "opi",
    "rate",
    "tmn",
    "tsa",
]
