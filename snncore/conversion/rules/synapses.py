"""Layers with weights. The amplitude of incoming spikes is multiplied into the weights, and their offset becomes a current."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snncore.conversion.graph import Node, Stored, Value
from snncore.conversion.operations import ChannelAffine, Synapses
from snncore.conversion.rewriting import Rewriter, Signal, rule

WEIGHT, BIAS = Stored("weight"), Stored("bias")


@rule("conv1d", "conv2d", "conv3d")
def convolution(rewriter: Rewriter, node: Node) -> Signal:
    """Weights ``[out, in / groups, ...]``."""
    return _layer(rewriter, node, inputs_at=1)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(rewriter: Rewriter, node: Node) -> Signal:
    """Weights ``[in, out / groups, ...]``."""
    return _layer(rewriter, node, inputs_at=0)


@rule("linear")
def linear(rewriter: Rewriter, node: Node) -> Signal:
    """Weights ``[out, in]``, on the last dimension."""
    return _layer(rewriter, node, inputs_at=1)


@rule("matmul", "mm")
def matrix_product(rewriter: Rewriter, node: Node) -> Signal:
    """A product with a constant matrix ``[in, out]``."""
    signal, matrix = node["self"], node.get("other", node.get("mat2"))
    if not isinstance(signal, Value) or not isinstance(matrix, Stored) or rewriter.network.tensor(matrix).dim() != 2:
        raise rewriter.refuse(node, "is no product with a constant matrix from the right", "use nn.Linear")
    arguments = {"self": signal, "other": matrix}
    return _layer(rewriter, replace(node, operation="matmul", overload="default", arguments=arguments), inputs_at=0, weight="other")


@rule("addmm")
def matrix_product_and_sum(rewriter: Rewriter, node: Node) -> Signal:
    """``torch.addmm`` of a constant, a signal and a constant matrix ``[in, out]``."""
    bias, signal, matrix = node["self"], node["mat1"], node["mat2"]
    if isinstance(bias, Value) or not isinstance(signal, Value) or isinstance(matrix, Value) or (node["alpha"], node["beta"]) != (1, 1):
        raise rewriter.refuse(node, "is not a layer of constant weights", "use nn.Linear")
    return _layer(rewriter, node, inputs_at=0, weight="mat2", bias="self")


def _layer(rewriter: Rewriter, node: Node, inputs_at: int, weight: str = "weight", bias: str = "bias") -> Signal:
    """A layer whose weights have the incoming channels at dimension ``inputs_at`` (those of a group, in a convolution)."""
    if any(isinstance(node.get(name), Value) for name in (weight, bias)):
        raise rewriter.refuse(node, "has weights that are signals", "keep the weights constant")
    values: Tensor = rewriter.constant(node[weight])
    added: Tensor | None = rewriter.constant(node.get(bias))
    source = rewriter.signals[node.source]
    arguments: dict[str, Any] = node.arguments | {weight: WEIGHT} | ({bias: BIAS} if added is not None else {})
    node = replace(node, arguments=arguments)
    beyond_channels = len(source.shape) > 1 and node.operation in ("linear", "matmul")
    if source.kind == "spikes" and beyond_channels and (source.scale.dim() or source.offset is not None):
        source = rewriter.current(source, node)
    if source.kind != "spikes":
        return rewriter.emit(node.name, Synapses(node, values, added), [source], _linear(source), node.shape)
    scaled = _scaled(values, source.scale, inputs_at, node.get("groups", 1))
    if source.offset is None:
        return rewriter.emit(node.name, Synapses(node, scaled, added), [source], "current", node.shape)
    return _with_offset(rewriter, node, source, scaled, values, added)


def _linear(source: Signal) -> Any:
    return "analog" if source.kind == "analog" else "current"


def _with_offset(
    rewriter: Rewriter, node: Node, source: Signal, scaled: Tensor, values: Tensor, bias: Tensor | None
) -> Signal:
    """The layer on spikes, and what it makes of their offset as a current that is the same for every image."""
    assert source.offset is not None
    offset = source.offset.to(values).expand(source.shape[0]).view(-1, *[1] * (len(source.shape) - 1)).expand(source.shape)
    shift = Synapses(node, values, bias)(offset[None])[0]
    without_bias = replace(node, arguments={name: None if leaf == BIAS else leaf for name, leaf in node.arguments.items()})
    layer = rewriter.emit(node.name, Synapses(without_bias, scaled, None), [source], "current", node.shape)
    added = Node(f"{node.name}_offset", "add", "Tensor", {"self": Value(layer.step), "other": Stored("offset")}, node.shape, node.origin)
    return rewriter.constant_sum(added, layer, shift)


def _scaled(weight: Tensor, amplitude: Tensor, inputs_at: int, groups: int) -> Tensor:
    """Weights times the amplitude of each input channel."""
    amplitude = amplitude.to(weight.device, torch.float64)
    if amplitude.dim():
        if inputs_at == 1:
            amplitude = amplitude.view(groups, -1).repeat_interleave(weight.shape[0] // groups, dim=0)
        else:
            amplitude = amplitude[:, None]
        amplitude = amplitude.view(*amplitude.shape, *[1] * (weight.dim() - 2))
    return (weight.double() * amplitude).to(weight.dtype)


@rule("affine")
def batch_norm(rewriter: Rewriter, node: Node) -> Signal:
    """Batch normalisation without a layer before it: spikes stay spikes of another amplitude with an offset."""
    scale, shift = rewriter.constant(node["scale"]), rewriter.constant(node["shift"])
    source = rewriter.signals[node.source]
    if source.kind == "spikes" and source.offset is None:
        if rewriter.feeds_layers(node):
            return replace(source, amplitude=source.scale.to(scale.device) * scale.double(), offset=shift.double(), shape=node.shape)
        scale = scale * source.scale.to(scale)
    else:
        source = rewriter.current(source, node)
    return rewriter.emit(node.name, ChannelAffine(scale, shift), [source], _linear(source), node.shape)
