"""ANN-to-SNN conversion: record a network with ``torch.export``, calibrate thresholds, rewrite its operations, run."""

from snncore.conversion import rules
from snncore.conversion.calibration import Calibration, activations, calibrate
from snncore.conversion.counting import OperationCounter
from snncore.conversion.graph import ConversionError, RecordedNetwork
from snncore.conversion.method import ConversionMethod, convert
from snncore.conversion.network import Mode, SpikingNetwork
from snncore.conversion.presets import Encoding, opi, rate, tmn, tsa
from snncore.conversion.quantized import quantize
from snncore.conversion.recording import record
from snncore.counts import Counts
from snncore.encoders import InputEncoder, PotentialEncoder
from snncore.thresholds import LeastSquares, Maximum, Percentile, ThresholdRule

__all__ = [
    "Calibration", "ConversionError", "ConversionMethod", "Counts", "Encoding", "InputEncoder", "LeastSquares", "Maximum",
    "Mode", "OperationCounter", "Percentile", "PotentialEncoder", "RecordedNetwork", "SpikingNetwork", "ThresholdRule",
    "activations", "calibrate", "convert", "opi", "quantize", "rate", "record", "rules", "tmn", "tsa",
]
