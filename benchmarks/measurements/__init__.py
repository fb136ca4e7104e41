"""What can be measured on a converted network; each file one measurement."""

from benchmarks.measurements.base import Arrays, Measurement, merge
from benchmarks.measurements.conversion_loss import ConversionLoss
from benchmarks.measurements.encoding_error import EncodingError
from benchmarks.measurements.live_memory import LiveMemory
from benchmarks.measurements.pipelined_accuracy import PipelinedAccuracy
from benchmarks.measurements.residual_potential import ResidualPotential
