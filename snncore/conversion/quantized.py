"""Quantised networks, made from trained ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from torch import Tensor, nn

from snncore.coding import RateCode
from snncore.conversion.calibration import Calibration, calibration_of
from snncore.conversion.graph import RecordedNetwork
from snncore.conversion.recording import record
from snncore.quantization import ActivationQuantizer
from snncore.thresholds import LeastSquares


def quantize(
    ann: nn.Module, calibration: Calibration | Iterable[Tensor] | None, quantizer: Callable[[float], ActivationQuantizer]
) -> RecordedNetwork:
    """Replace every ReLU of a trained network, in whatever spelling, by a quantiser. Fine-tune the result.

    Batch normalisation is folded into the convolutions, as by ``convert``; dropout is left out.

    Args:
        ann: the trained network, which is left as it was.
        calibration: batches of training images, or the result of ``calibrate``: each clip starts where the mean squared error
            of the quantised activations is least. None, for a network that was recorded: every clip starts at 1, for weights
            that are loaded afterwards.
        quantizer: ``clip -> ActivationQuantizer``, for instance ``partial(ClipFloorShift, 4)``.

    Returns:
        the quantised network, in evaluation mode, with all parameters trainable.

    Raises:
        ConversionError: a network that cannot be recorded, a calibration of another network.
    """
    if calibration is not None:
        calibration = calibration_of(ann, calibration)
    network = (calibration.network if calibration else record(ann, None)).changed()
    code = RateCode(quantizer(1.0).levels)
    for node in network.activations:
        clip = LeastSquares()(calibration.histograms[node.name], code) if calibration else 1.0
        if clip <= 0:
            warnings.warn(f"{node.name}: no calibration image activates this layer; its clip is set to 1", stacklevel=2)
            clip = 1.0
        node.operation, node.module = "relu", f"quantizer_{node.name}"
        network.add_module(node.module, quantizer(clip))
    return network.requires_grad_(True)
