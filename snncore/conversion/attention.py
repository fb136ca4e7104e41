"""Scaled dot-product attention, written out: two products, and the softmax between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from snncore.conversion.graph import Node, Stored, Value


def attention(
    emit: Callable[..., Value],
    store: Callable[[str, Any], Stored],
    name: str,
    given: dict[str, Any],
    nodes: dict[str, Node],
    described: tuple[Any, ...],
) -> Value:
    """``softmax(scale q k^T + mask) v`` as nodes of its own.

    Args:
        emit, store: make a node and a tensor of the recorded network.
        name: of the result.
        given: query ``[..., L, E]``, key ``[..., S, E]``, value ``[..., S, V]`` and the options, as ATen has them.
        nodes: those before, by name.
        described: the last fields of the result's node.
    """
    (*heads, length, _), origin, *place = described
    query, key, value = (given[argument] for argument in ("query", "key", "value"))
    (*kv_heads, keys, width), rank = nodes[key.name].shape, len(heads) + 3
    scale = given["scale"] if given["scale"] is not None else 1 / math.sqrt(nodes[query.name].shape[-1])

    def made(part: str, operation: str, overload: str, shape: tuple[int, ...], **arguments: Any) -> Value:
        return emit(f"{name}_{part}", operation, overload, arguments, shape, origin, *place)

    if given["enable_gqa"] and kv_heads != heads:
        repeats, dim = heads[-1] // kv_heads[-1], rank - 3
        shape = (*heads, keys, width)
        key = made("keys", "repeat_interleave", "self_int", shape, self=key, repeats=repeats, dim=dim)
        shape = (*heads, keys, nodes[value.name].shape[-1])
        value = made("values", "repeat_interleave", "self_int", shape, self=value, repeats=repeats, dim=dim)
    turned = made("transposed", "transpose", "int", (*heads, width, keys), self=key, dim0=rank - 2, dim1=rank - 1)
    square = (*heads, length, keys)
    scores = made("product", "matmul", "default", square, self=query, other=turned)
    scores = made("scores", "mul", "Scalar", square, self=scores, other=scale)
    mask = given["attn_mask"]
    if given["is_causal"]:
        mask = store(f"{name}_causal", torch.ones(length, keys, dtype=torch.bool).tril())
    if mask is not None:
        scores = made("masked", "attention_mask", "", square, self=scores, mask=mask)
    weights = made("softmax", "softmax", "int", square, self=scores, dim=-1)
    return emit(name, "matmul", "default", {"self": weights, "other": value}, *described)
