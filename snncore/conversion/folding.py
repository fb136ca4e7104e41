"""Batch normalisation of a recorded network becomes part of the layer before it, or an affine map."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._pytree import tree_map

from snncore.conversion.graph import ConversionError, Node, Stored, Value, names_in

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")


@torch.no_grad()
def fold_batch_norm(nodes: dict[str, Node], outputs: Any, tensors: dict[str, Tensor]) -> Any:
    """Fold each batch normalisation into the convolution before it, or the linear layer; elsewhere it becomes ``affine``.

    A linear layer acts on the last dimension and batch normalisation on dimension 1: they fold where these are the same.
    Returns the outputs, which may read other nodes then; refuses batch normalisation without running statistics.
    """
    readers = Counter([*names_in(outputs), *(name for node in nodes.values() for name in (*node.inputs, *node.stored))])
    folded: dict[Any, Value] = {}

    def moved(tree: Any) -> Any:
        return tree_map(lambda leaf: folded.get(leaf, leaf) if isinstance(leaf, Value) else leaf, tree)

    def tensor(node: Node, name: str) -> Any:
        return tensors[node[name].name] if isinstance(node.get(name), Stored) else None

    for node in nodes.values():
        before, node.arguments = node.inputs[:1], moved(node.arguments)
        if node.operation != "batch_norm":
            continue
        mean, variance, eps = tensor(node, "running_mean"), tensor(node, "running_var"), node["eps"]
        if mean is None or variance is None:
            why = "batch normalisation without running statistics depends on the batch; train with them"
            raise ConversionError(f"{node.origin}: {why}")
        weight = tensor(node, "weight") if node["weight"] else torch.ones_like(variance)
        bias = tensor(node, "bias") if node["bias"] else torch.zeros_like(variance)
        scale = weight / torch.sqrt(variance + eps)
        shift = bias - mean * scale
        layer = nodes[node.source]
        old, own, alone = tensor(layer, "weight"), tensor(layer, "bias"), readers[before[0]] == 1
        if alone and old is not None and layer.operation in CONVOLUTIONS:
            new: Any = fuse_conv_bn_weights(old, own, mean, variance, eps, weight, bias)
        elif alone and old is not None and layer.operation == "linear" and len(layer.shape) == 1:
            new = old * scale[:, None], shift if own is None else shift + scale * own
        else:
            along = [-1] + [1] * (len(node.shape) - 1)  # dimension 1
            node.operation, node.arguments = "affine", {"self": node["self"]}
            layer, new = node, {"scale": scale.view(along), "shift": shift.view(along)}
        if layer is not node:
            folded[Value(node.name)] = Value(layer.name)
            new = {name: nn.Parameter(each.detach().clone()) for name, each in zip(("weight", "bias"), new, strict=True)}
        for name, each in new.items():
            key = f"{layer.name}_{name}"
            while readers[key] > (key in layer.stored):  # another layer's
                key += "_"
            tensors[key], layer.arguments[name] = each, Stored(key)
    return moved(outputs)
