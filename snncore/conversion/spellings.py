"""Operations that are another one under a different name, and those that do nothing."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from snncore.conversion.graph import Node, Stored, Value

BATCH_SIZE = object()
"""Stands for a number that depends on how many images there are."""
SYNONYMS = {"subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "negative": "neg"}
SYNONYMS |= {"concat": "cat", "concatenate": "cat"}
_IDENTITIES = ("clone", "alias", "detach", "contiguous", "lift_fresh", "lift_fresh_copy", "positive", "expand", "slice")
_RESHAPES = ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_copy", "_reshape_copy")
_BATCH_NORMS: tuple[str, ...] = ("batch_norm", "cudnn_batch_norm", "native_batch_norm")
_BATCH_NORMS += ("_native_batch_norm_legit_no_training", "_native_batch_norm_legit")
_DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")


def canonical(
    operation: str, overload: str, given: dict[str, Any], unchanged: bool, nodes: dict[str, Node], tensors: dict[str, Tensor]
) -> tuple[str, str, dict[str, Any]] | Value:
    """The one spelling of an operation that has several, or the signal itself where nothing is done to it.

    Args:
        operation, overload, given: as recorded, with arguments by name.
        unchanged: the result has the shape of the signal.
        nodes, tensors: those before, by name.
    """
    source = given.get("self", given.get("input"))
    off = operation in _DROPOUTS and given.get("train", given.get("training")) is False
    if unchanged and (off or operation in (*_IDENTITIES, *_RESHAPES)) and isinstance(source, Value):
        return source
    if operation in _RESHAPES:
        return "reshape", "", {"self": source}
    if operation == "expand":
        return operation, overload, given | {"size": [-1 if size is BATCH_SIZE else size for size in given["size"]]}
    if operation in _BATCH_NORMS:
        taken = ("weight", "bias", "running_mean", "running_var", "eps")
        return "batch_norm", "", {"self": source} | {name: given.get(name) for name in taken}
    if operation.endswith("_with_indices"):
        return operation.removesuffix("_with_indices"), "default", given
    if bounds := _bounds(operation, given, nodes, tensors):
        source, low, high = bounds
        before = nodes[source.name] if isinstance(source, Value) else None
        if low == -math.inf and before and before.operation == "relu" and before.module is None:
            source, low = before["self"], 0  # the upper bound of a ReLU
        if low == 0 and high == math.inf:
            return "relu", "default", {"self": source}
        if low == 0 and high > 0:
            return "clip", "default", {"self": source, "min": 0, "max": high}
    return operation, overload, given


def _bounds(
    operation: str, given: dict[str, Any], nodes: dict[str, Node], tensors: dict[str, Tensor]
) -> tuple[Any, float, float] | None:
    """Of an operation that limits a signal: the signal, and its least and largest value; None for another operation."""

    def number(value: Any, absent: float = math.nan) -> float:
        if isinstance(value, Stored) and len(each := tensors[value.name].unique()) == 1:
            return float(each)
        return absent if value is None else value if isinstance(value, (int, float)) else math.nan

    source, other = given.get("self"), given.get("other")
    if operation == "relu6":
        return source, 0, 6
    if operation == "hardtanh":
        return source, given["min_val"], given["max_val"]
    if operation in ("clamp", "clamp_min", "clamp_max", "clip"):
        return source, number(given.get("min"), -math.inf), number(given.get("max"), math.inf)
    if operation == "threshold" and given["threshold"] == given["value"]:
        return source, given["value"], math.inf
    if operation == "leaky_relu" and given["negative_slope"] == 0:
        return source, 0, math.inf
    if operation in ("maximum", "max", "minimum", "min") and "other" in given:
        constant, signal = sorted((source, other), key=lambda leaf: isinstance(leaf, Value))
        if not isinstance(constant, Value):
            return (signal, number(constant), math.inf) if operation.startswith("max") else (signal, -math.inf, number(constant))
    if operation == "where" and isinstance(given["condition"], Value):
        asked = nodes[given["condition"].name]
        kept, instead = (other, source) if asked.operation in ("lt", "le") else (source, other)
        if asked.operation in ("lt", "le", "gt", "ge") and asked["self"] == kept and isinstance(kept, Value):
            return (kept, number(instead), math.inf) if number(instead) == number(asked["other"]) else None
    return None
