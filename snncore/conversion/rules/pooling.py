"""Pooling, means and sums: spikes are added up, and the division is left to their amplitude."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from snncore.conversion.graph import Node
from snncore.conversion.operations import MaxPool, Operation, Sum
from snncore.conversion.rewriting import MAX_POOLS, Rewriter, rule
from snncore.conversion.signals import Signal


@rule(*(f"{kind}avg_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)))
def average_pool(rewriter: Rewriter, node: Node) -> Signal:
    """A sum over equal windows; where the divisor varies from window to window, currents are pooled."""
    source = rewriter.signals[node.source]
    dimensions = int(node.operation[-2])
    window = _window(node, source.shape[1:])
    if window is None or len(source.shape) != dimensions + 1 or not _alike(source, range(2, dimensions + 2)):
        return rewriter.linear(node)
    one, none = (1,) * (2 - dimensions), (0,) * (2 - dimensions)  # channels of a series are the rows of a plane
    kernel, stride, padding = one + window[0], one + window[1], none + window[2]
    arguments = {"self": node["self"], "kernel_size": kernel, "stride": stride, "padding": padding, "divisor_override": 1}
    summed = replace(node, operation=f"avg_pool{len(kernel)}d", overload="default", arguments=arguments)
    amplitude = source.amplitude / math.prod(kernel)
    return rewriter.operation(summed, [source], "spikes", Sum, amplitude=amplitude, signed=source.signed)


def _window(node: Node, before: tuple[int, ...]) -> tuple[tuple[int, ...], ...] | None:
    """Kernel, stride and padding of windows that are all alike, or None."""
    n = int(node.operation[-2])
    if node.operation.startswith("adaptive"):
        if len(before) != n or any(b % a for b, a in zip(before, node.shape[1:], strict=True)):
            return None
        kernel = tuple(b // a for b, a in zip(before, node.shape[1:], strict=True))
        return kernel, kernel, (0,) * n
    kernel = _each(node["kernel_size"], n)
    padding = _each(node.get("padding") or 0, n)
    if (any(padding) and not node["count_include_pad"]) or node["ceil_mode"] or node.get("divisor_override"):
        return None
    return kernel, _each(node.get("stride") or kernel, n), padding


def _each(value: int | list[int] | tuple[int, ...], n: int) -> tuple[int, ...]:
    given = (value,) if isinstance(value, int) else tuple(value)
    return given * n if len(given) == 1 else given


@rule(*MAX_POOLS)
def max_pool(rewriter: Rewriter, node: Node) -> Signal:
    """The largest decoded value of a window, as a train; see ``MaxPool``."""
    source = rewriter.signals[node.source]
    if source.kind == "analog":
        return rewriter.operation(node, [source], "analog")
    if source.kind == "spikes":
        rank = len(source.shape) + 1
        alike = _alike(source, range(rank - int(node.operation[-2]), rank))
        if not (rewriter.pools_spikes and alike and bool((source.amplitude >= 0).all())):
            source = rewriter.current(source, node.name)
    pool = MaxPool(Operation(node, {}), rewriter.code.timesteps, rewriter.code.recurrences)
    return rewriter.emit(node.name, pool, [source], source.kind, node.shape, amplitude=source.amplitude, signed=source.signed)


@rule("mean", "sum")
def total(rewriter: Rewriter, node: Node) -> Signal:
    """Mean or sum over dimensions of an image."""
    source = rewriter.signals[node.source]
    rank = len(source.shape) + 1
    given = node.get("dim")
    dims = sorted(d % rank for d in ([given] if isinstance(given, int) else given or range(rank)))
    if 0 in dims:
        verb = "averages" if node.operation == "mean" else "sums"
        raise rewriter.refuse(node, f"{verb} over the batch", "name the dimensions, without the first")
    if not _alike(source, dims):
        return rewriter.linear(node)
    count = math.prod(source.shape[d - 1] for d in dims)
    arguments = {"self": node["self"], "dim": dims, "keepdim": node.get("keepdim", False)}
    summed = replace(node, operation="sum", overload="dim_IntList", arguments=arguments)
    amplitude = source.amplitude / (count if node.operation == "mean" else 1)
    if amplitude.dim():
        kept = [size for d, size in enumerate(amplitude.shape, start=1) if d not in dims or len(node.shape) == len(source.shape)]
        amplitude = amplitude.reshape(kept)
    return rewriter.operation(summed, [source], "spikes", Sum, amplitude=amplitude, signed=source.signed)


def _alike(signal: Signal, dims: Iterable[int]) -> bool:
    """Whether a signal is spikes whose amplitudes do not differ along these dimensions (0: the images)."""
    plain = signal.kind == "spikes" and signal.offset is None
    return plain and (signal.amplitude.dim() == 0 or all(signal.amplitude.shape[d - 1] == 1 for d in dims))
