"""What can be measured on a converted network; each file one measurement."""

from typing import TYPE_CHECKING

from benchmarks.lazily import lazily
from benchmarks.measurements.base import Arrays, Measurement, merge

if TYPE_CHECKING:
    from benchmarks.measurements.conversion_loss import ConversionLoss
    from benchmarks.measurements.encoding_error import EncodingError
    from benchmarks.measurements.live_memory import LiveMemory
    from benchmarks.measurements.pipelined_accuracy import PipelinedAccuracy
    from benchmarks.measurements.residual_potential import ResidualPotential
else:
    __getattr__ = lazily(
        __name__,
        conversion_loss="ConversionLoss",
        encoding_error="EncodingError",
        live_memory="LiveMemory",
        pipelined_accuracy="PipelinedAccuracy",
        residual_potential="ResidualPotential",
    )
