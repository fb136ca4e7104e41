"""How many operations a layer has, before anything runs: synapses of each input, dense operations, those of a trained network."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from snncore.conversion.operations import AddSpikes, Amplify, SumPool, Total
from snncore.conversion.rewriting import (
    AVERAGE_POOL_FUNCTIONS,
    AVERAGE_POOLS,
    DIVISIONS,
    MAX_POOL_FUNCTIONS,
    MAX_POOLS,
    MEANS,
    MULTIPLICATIONS,
    SUMS,
)
from snncore.conversion.tracing import CONVOLUTIONS, ChannelAffine, module_of, trace_network

LAYERS = (*CONVOLUTIONS, nn.Linear)
SYNAPTIC = (*LAYERS, ChannelAffine, SumPool, Total, Amplify)
POOLS = (*AVERAGE_POOLS, *MAX_POOLS)
POOL_FUNCTIONS = (*AVERAGE_POOL_FUNCTIONS, *MAX_POOL_FUNCTIONS, *MEANS, *SUMS)
SCALINGS = (*MULTIPLICATIONS, *DIVISIONS)

Shape = torch.Size | tuple[int, ...]


def fan_out(module: nn.Module, shape: Shape) -> Tensor:
    """Number of synapses that each input position of a layer drives.

    Padding is counted exactly: a corner pixel reaches fewer outputs than a central one.

    Args:
        module: a layer of synapses.
        shape: of one sample, ``[C, ...]``.

    Returns:
        ``[C, ...]`` float64: the gradient of the summed output of the layer with all weights one.
    """
    if isinstance(module, nn.Linear):
        return torch.full(shape, float(module.out_features), dtype=torch.float64)
    if isinstance(module, (AddSpikes, Amplify, ChannelAffine)):
        return torch.ones(shape, dtype=torch.float64)
    # All channels of a convolution reach equally many outputs: one is enough.
    one = (1, 1, *shape[1:]) if isinstance(module, CONVOLUTIONS) else (1, *shape)
    with torch.enable_grad():
        x = torch.zeros(one, dtype=torch.float64, requires_grad=True)
        # Not a call of the module: hooks must not fire.
        out = _one_channel(module, x) if isinstance(module, CONVOLUTIONS) else module.forward(x)
        (gradient,) = torch.autograd.grad(out.sum(), x)
    if isinstance(module, CONVOLUTIONS):
        return (gradient[0] * (module.out_channels // module.groups)).expand(shape)
    return gradient[0]


def _one_channel(module: Any, x: Tensor) -> Tensor:
    padding = module.padding
    if module.padding_mode != "zeros":
        x, padding = F.pad(x, module._reversed_padding_repeated_twice, mode=module.padding_mode), 0
    kinds: tuple[tuple[type, Any], ...] = ((nn.Conv1d, F.conv1d), (nn.Conv2d, F.conv2d), (nn.Conv3d, F.conv3d))
    convolve = next(function for kind, function in kinds if isinstance(module, kind))
    ones = torch.ones((1, 1, *module.kernel_size), dtype=torch.float64)
    out: Tensor = convolve(x, ones, None, module.stride, padding, module.dilation)
    return out


def layer_operations(module: nn.Module, out: Shape) -> int:
    """Dense operations of a convolution or linear layer on one image, as syops-counter and the papers count them.

    Weights times output positions, and the bias; zeros of padding count like any input.

    Args:
        module: the layer.
        out: shape of its output for one image.
    """
    weight: Tensor = module.weight  # type: ignore[assignment]
    outputs = math.prod(out)
    return weight.numel() * (outputs // weight.shape[0]) + (outputs if module.bias is not None else 0)


def node_operations(graph_module: fx.GraphModule, node: fx.Node, given: Shape, out: Shape) -> int | None:
    """Dense operations of ``node`` on one image of real values, or None for what computes nothing (shapes, sums, ReLU).

    Convolution and linear layers see ``layer_operations``, pooling one operation per input value (syops-counter's convention),
    scaling by constants, as a module or a functional product, one per value.

    Args:
        graph_module: the recorded network.
        node: one of its nodes.
        given: shape of its input for one image.
        out: shape of its output for one image.
    """
    module = module_of(graph_module, node)
    if isinstance(module, LAYERS):
        return layer_operations(module, out)
    if isinstance(module, ChannelAffine):
        return math.prod(out)
    if isinstance(module, POOLS) or (module is None and node.target in POOL_FUNCTIONS):
        return math.prod(given)
    if module is None and node.target in SCALINGS:
        return math.prod(out)
    return None


def trained_operations(network: nn.Module, images: Tensor) -> dict[str, int]:
    """Multiply-accumulates of a trained network for one image, by layer; batch normalisation folded.

    Args:
        network: as for ``convert``.
        images: ``[B, ...]``, for their size alone.

    Raises:
        ConversionError: the network cannot be recorded by ``torch.fx``.
    """
    traced = trace_network(network)
    with torch.no_grad():
        ShapeProp(traced).propagate(images[:1])
    shapes = {node: _shape(node) for node in traced.graph.nodes}
    counts: dict[str, int] = {}
    for node in traced.graph.nodes:
        source = node.args[0] if node.args else None
        given, out = shapes.get(source) if isinstance(source, fx.Node) else None, shapes[node]
        if node.op in ("placeholder", "get_attr", "output") or given is None or out is None:
            continue
        operations = node_operations(traced, node, given, out)
        if operations is not None:
            counts[node.name] = operations
    return counts


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    """Shape of the node's value for one image, where it is a tensor."""
    found = node.meta.get("tensor_meta")
    return tuple(found.shape[1:]) if hasattr(found, "shape") else None
