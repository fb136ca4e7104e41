"""Layers with weights. The amplitude of incoming spikes is multiplied into the weights, and their offset becomes a current."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from snncore.conversion.graph import Node, Stored, Value
from snncore.conversion.operations import ChannelAffine, Operation, Synapses
from snncore.conversion.rewriting import Rewriter, rule
from snncore.conversion.signals import Signal


@rule(*(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)), "linear")
def layer(rewriter: Rewriter, node: Node) -> Signal:
    """Weights ``[out, in / groups, ...]``, transposed ``[in, out / groups, ...]``; ``[out, in]``, on the last dimension."""
    return _layer(rewriter, node, inputs_at=0 if "transpose" in node.operation else 1)


@rule("matmul", "mm")
def matrix_product(rewriter: Rewriter, node: Node) -> Signal:
    """A product with a constant matrix ``[in, out]``."""
    signal, matrix = node["self"], node.get("other", node.get("mat2"))
    if not isinstance(signal, Value) or not isinstance(matrix, Stored) or rewriter.constant(matrix).dim() != 2:
        raise rewriter.refuse(node, "is no product with a constant matrix from the right", "use nn.Linear")
    product = replace(node, operation="matmul", overload="default", arguments={"self": signal, "other": matrix})
    return _layer(rewriter, product, inputs_at=0, weight="other")


@rule("addmm")
def matrix_product_and_sum(rewriter: Rewriter, node: Node) -> Signal:
    """``torch.addmm`` of a constant, a signal and a constant matrix ``[in, out]``."""
    bias, signal, matrix = node["self"], node["mat1"], node["mat2"]
    constant = not isinstance(bias, Value) and isinstance(signal, Value) and not isinstance(matrix, Value)
    if not constant or (node["alpha"], node["beta"]) != (1, 1):
        raise rewriter.refuse(node, "is not a layer of constant weights", "use nn.Linear")
    return _layer(rewriter, node, inputs_at=0, weight="mat2", bias="self")


def _layer(rewriter: Rewriter, node: Node, inputs_at: int, weight: str = "weight", bias: str = "bias") -> Signal:
    """A layer whose weights have the incoming channels at dimension ``inputs_at`` (those of a group, in a convolution)."""
    if any(isinstance(node.get(name), Value) for name in (weight, bias)):
        raise rewriter.refuse(node, "has weights that are signals", "keep the weights constant")
    values, added = rewriter.constant(node[weight]), rewriter.constant(node.get(bias))
    own = {weight: Stored("weight")} | ({} if added is None else {bias: Stored("bias")})
    node = replace(node, arguments=node.arguments | own)
    source = rewriter.signals[node.source]
    channels = 0 if node.operation.startswith("conv") else len(source.shape) - 1
    if source.kind == "spikes" and (n := source.amplitude.numel()) > 1 and n != source.amplitude.shape[channels]:
        source = rewriter.current(source, node.name)  # amplitudes that differ within a channel
    if source.kind != "spikes":
        return rewriter.emit(node.name, Synapses(node, values, added), [source], source.kind, node.shape)
    scaled = _scaled(values, source.amplitude.flatten(), inputs_at, node.get("groups", 1))
    if source.offset is None:
        return rewriter.emit(node.name, Synapses(node, scaled, added), [source], "current", node.shape)
    # What the layer makes of the offset is a current that is the same for every image.
    current = Synapses(node, values, added)(source.offset.to(values).expand(source.shape)[None])[0]
    alone = replace(node, arguments=node.arguments | {name: None for name in (bias,) if name in node.arguments})
    made = rewriter.emit(node.name, Synapses(alone, scaled, None), [source], "current", node.shape)
    arguments = {"self": Value(made.step), "other": Stored("offset")}
    total = replace(node, name=f"{node.name}_offset", operation="add", overload="Tensor", arguments=arguments)
    return rewriter.emit(total.name, Operation(total, {"offset": current}), [made], "current", node.shape)


def _scaled(weight: Tensor, amplitude: Tensor, inputs_at: int, groups: int) -> Tensor:
    """Weights times the amplitude of each input channel, ``[C]`` or ``[1]``."""
    amplitude = amplitude.to(weight.device, torch.float64)
    if len(amplitude) > 1 and inputs_at == 1:
        amplitude = amplitude.view(groups, -1).repeat_interleave(weight.shape[0] // groups, dim=0)
    shape = amplitude.shape if inputs_at == 1 else (*amplitude.shape, 1)
    return (weight.double() * amplitude.reshape(*shape, *[1] * (weight.dim() - len(shape)))).to(weight.dtype)


@rule("affine")
def batch_norm(rewriter: Rewriter, node: Node) -> Signal:
    """Batch normalisation without a layer before it: between spikes and layers another amplitude and an offset."""
    scale, shift = rewriter.constant(node["scale"]), rewriter.constant(node["shift"])
    source = rewriter.signals[node.source]
    if source.kind != "spikes" or source.offset is not None:
        source = rewriter.current(source, node.name)
        return rewriter.emit(node.name, ChannelAffine(scale, shift), [source], source.kind, node.shape)
    if rewriter.feeds_layers(node):
        return replace(source, amplitude=source.amplitude.to(scale.device) * scale.double(), offset=shift.double())
    return rewriter.emit(node.name, ChannelAffine(scale * source.amplitude.to(scale), shift), [source], "current", node.shape)
