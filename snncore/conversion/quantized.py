"""Quantised networks, made from trained ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from snncore.coding import RateCode
from snncore.conversion.calibration import Calibration, calibration_of
from snncore.conversion.estimates import Placement, is_estimated
from snncore.conversion.graph import Node, RecordedNetwork, Value
from snncore.conversion.recording import record
from snncore.quantization import ActivationQuantizer, SignedQuantizer
from snncore.thresholds import LeastSquares

NEVER_NEGATIVE = ("softmax", "_softmax", "_safe_softmax", "sigmoid")


def quantize(
    ann: nn.Module, calibration: Calibration | Iterable[Tensor] | None, quantizer: Callable[[float], ActivationQuantizer]
) -> RecordedNetwork:
    """Replace every ReLU of a trained network, in whatever spelling, by a quantiser. Fine-tune the result.

    Batch normalisation is folded into the convolutions, as by ``convert``; dropout is left out. In a network with attention,
    softmax or normalisation also what other operations with synapses read is quantised, and what layers with weights add to a
    sum: the places of SpikeZIP-TF (You et al., ICML 2024), found by operations, not names. Signals of either sign get as many
    values, half of them below 0.

    Args:
        ann: the trained network, which is left as it was.
        calibration: batches of training images, or the result of ``calibrate``: each clip starts where the mean squared error
            of the quantised activations is least. None, for a network that was recorded: every clip starts at 1, for weights
            that are loaded afterwards.
        quantizer: ``clip -> ActivationQuantizer``, for instance ``partial(ClipFloorShift, 4)``; ``partial(ClipFloorShift, 31)``
            has the 32 values of SpikeZIP-TF, 0 to 31, and -16 to 15 for either sign.

    Returns:
        the quantised network, in evaluation mode, with all parameters trainable.

    Raises:
        ConversionError: a network that cannot be recorded, a calibration of another network.
    """
    if calibration is not None:
        calibration = calibration_of(ann, calibration)
    network = (calibration.network if calibration else record(ann, None)).changed()
    signed = Placement(network).signed if is_estimated(network) else {}
    network = _coded(network, signed)
    half = partial(SignedQuantizer, max(quantizer(1.0).levels // 2, 1))
    for node in network.activations:
        either = node.operation == "quantize"
        made: Callable[[float], ActivationQuantizer] = half if either else quantizer
        counted = f"{node.source}_spikes" if node.source in signed else node.name
        clip = LeastSquares()(calibration.histograms[counted], RateCode(made(1.0).levels)) if calibration else 1.0
        if clip <= 0:
            warnings.warn(f"{node.name}: no calibration image activates this layer; its clip is set to 1", stacklevel=2)
            clip = 1.0
        node.operation, node.module = "quantize" if either else "relu", f"quantizer_{node.name}"
        network.add_module(node.module, made(clip))
    return network.requires_grad_(True)


def _coded(network: RecordedNetwork, signals: dict[str, Node]) -> RecordedNetwork:
    """The network with an activation behind each of the signals, which all their readers read."""
    if not signals:
        return network
    nodes: dict[str, Node] = {}
    renamed = {Value(name): Value(f"{name}_quantized") for name in signals}

    def look_up(tree: Any) -> Any:
        return tree_map(lambda leaf: renamed.get(leaf, leaf) if isinstance(leaf, Value) else leaf, tree)

    for name, node in network.nodes.items():
        nodes[name] = replace(node, arguments=look_up(node.arguments))
        if name in signals:
            operation, after = "relu" if node.operation in NEVER_NEGATIVE else "quantize", renamed[Value(name)].name
            nodes[after] = replace(node, name=after, operation=operation, overload="default", arguments={"self": Value(name)})
    tensors = dict(network.named_parameters(recurse=False)) | dict(network.named_buffers(recurse=False))
    made = RecordedNetwork(nodes, look_up(network.outputs), tensors, None)
    for name, module in network.named_children():
        made.add_module(name, module)
    return made
