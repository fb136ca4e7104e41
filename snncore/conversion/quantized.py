"""Quantised networks, made from trained ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from torch import Tensor, fx, nn

from snncore.coding import RateCode
from snncore.conversion.calibration import Calibration, LeastSquares, calibration_of
from snncore.conversion.tracing import call_module, module_of, trace_network
from snncore.quantization import ActivationQuantizer


def quantize(
    ann: nn.Module,
    calibration: Calibration | Iterable[Tensor] | None,
    quantizer: Callable[[float], ActivationQuantizer],
) -> fx.GraphModule:
    """Replace every ReLU of a trained network, in whatever spelling, by a quantiser. Fine-tune the result.

    Batch normalisation is folded into the convolutions, as by ``convert``; dropout is left out.

    Args:
        ann: the trained network, which is left as it was.
        calibration: batches of training images, or the result of ``calibrate``: each clip starts where the mean squared error
            of the quantised activations is least. None: every clip starts at 1, for weights that are loaded afterwards.
        quantizer: ``clip -> ActivationQuantizer``, for instance ``partial(ClipFloorShift, 4)``.

    Returns:
        the quantised network, in evaluation mode, with all parameters trainable.

    Raises:
        ConversionError: a network that cannot be recorded, a calibration of another network.
    """
    traced = trace_network(ann)
    code = RateCode(quantizer(1.0).levels)
    histograms = {} if calibration is None else calibration_of(ann, traced, calibration).histograms
    for node in traced.graph.nodes:
        relu = module_of(traced, node)
        if not isinstance(relu, nn.ReLU):
            continue
        clip = 1.0
        if calibration is not None:
            clip = LeastSquares()(histograms[node.name], code)
            if clip <= 0:
                warnings.warn(f"{node.name}: no calibration image activates this layer; its clip is set to 1", stacklevel=2)
                clip = 1.0
        call_module(traced, node, quantizer(clip), node.args)
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced.requires_grad_(True)
