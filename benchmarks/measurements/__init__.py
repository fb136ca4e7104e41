"""What can be measured on a converted network; each file one measurement."""

from benchmarks.measurements.base import Arrays, Measurement, merge
from benchmarks.measurements.conversion_loss import ConversionLoss
from benchmarks.measurements.encoding_error import EncodingError
from benchmarks.measurements.residual_potential import ResidualPotential

__all__ = ["Arrays", "ConversionLoss", "EncodingError", "Measurement", "ResidualPotential", "merge"]
