"""Batch normalisation of a recorded network becomes part of the layer before it, or an affine map."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from snncore.conversion.errors import ConversionError
from snncore.conversion.graph import RecordedNetwork, Stored, Value

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")


@torch.no_grad()
def fold_batch_norm(network: RecordedNetwork) -> None:
    """Fold each batch normalisation into the convolution before it, or the linear layer; elsewhere it becomes ``affine``.

    A linear layer acts on the last dimension and batch normalisation on dimension 1: they fold where these are the same.

    Raises:
        ConversionError: batch normalisation without running statistics.
    """
    moved: dict[str, str] = {}
    for node in list(network.nodes.values()):
        if node.operation != "batch_norm":
            continue
        if node["running_mean"] is None or node["running_var"] is None:
            raise ConversionError(
                f"{node.origin}: batch normalisation without running statistics depends on the batch; train with them"
            )
        mean, variance = network.tensor(node["running_mean"]), network.tensor(node["running_var"])
        weight = network.tensor(node["weight"]) if node["weight"] else torch.ones_like(variance)
        bias = network.tensor(node["bias"]) if node["bias"] else torch.zeros_like(variance)
        layer = network.nodes[moved.get(node.source, node.source)]
        alone = len(network.users[node.source]) == 1 and isinstance(layer.get("weight"), Stored)
        own = network.tensor(layer["bias"]) if layer.get("bias") else None
        scale = weight / torch.sqrt(variance + node["eps"])
        shift = bias - mean * scale
        if alone and layer.operation in CONVOLUTIONS:
            old = network.tensor(layer["weight"])
            fused: tuple[Tensor, Tensor] = fuse_conv_bn_weights(old, own, mean, variance, node["eps"], weight, bias)
        elif alone and layer.operation == "linear" and len(layer.shape) == 1:
            fused = network.tensor(layer["weight"]) * scale[:, None], shift if own is None else shift + scale * own
        else:
            each = {"scale": scale, "shift": shift}
            along = [-1] + [1] * (len(node.shape) - 1)  # dimension 1
            tensors = {name: network.store(f"{node.name}_{name}", tensor.view(along)) for name, tensor in each.items()}
            node.operation, node.arguments = "affine", {"self": Value(node.source)} | tensors
            continue
        for name, tensor in zip(("weight", "bias"), fused, strict=True):
            layer.arguments[name] = network.store(f"{layer.name}_{name}", nn.Parameter(tensor.detach().clone()))
        moved[node.name] = layer.name
    network.redirect(moved)
