"""ReLUs, sums, differences, concatenations, and products with constants."""

from __future__ import annotations

from snncore.conversion.graph import Node, Value
from snncore.conversion.operations import AddSpikes
from snncore.conversion.rewriting import Rewriter, rule
from snncore.conversion.rules.shapes import MOVES
from snncore.conversion.signals import Signal


@rule("relu", "clip")
def activation(rewriter: Rewriter, node: Node) -> Signal:
    """A neuron, or nothing for a ReLU of what is not negative; clipped and quantised ones too."""
    return rewriter.activation(node, rewriter.signals[node.source])


@rule("add")
def addition(rewriter: Rewriter, node: Node) -> Signal:
    """A sum. Spikes of one amplitude add up to counts; the common residual connection is one operation."""
    signals = [rewriter.signals[leaf.name] for leaf in (node["self"], node["other"]) if isinstance(leaf, Value)]
    if len(signals) < 2 or node.get("alpha", 1) != 1 or any(signal.offset is not None for signal in signals):
        return rewriter.linear(node)
    (a, b), kinds = signals, sorted(signal.kind for signal in signals)
    if a.shape != b.shape or any(signal.kind == "spikes" and signal.amplitude.dim() for signal in signals):
        return rewriter.linear(node)
    if kinds == ["current", "spikes"]:
        current, spikes = (a, b) if a.kind == "current" else (b, a)
        return rewriter.emit(node.name, AddSpikes(float(spikes.amplitude)), [current, spikes], "current", node.shape)
    if kinds == ["spikes", "spikes"] and a.amplitude == b.amplitude and rewriter.feeds_layers(node, (*MOVES, "add")):
        signals = [rewriter.signals[name] for name in node.inputs]
        return rewriter.operation(node, signals, "spikes", amplitude=a.amplitude, signed=a.signed or b.signed)
    return rewriter.linear(node)


@rule("mul", "div")
def scaling(rewriter: Rewriter, node: Node) -> Signal:
    """A product with a constant or a quotient by one: another amplitude, where it is the same in each channel."""
    if node.get("rounding_mode"):
        raise rewriter.refuse(node, "rounds, which is not linear", "divide without rounding_mode")
    left, right = (isinstance(node[name], Value) for name in ("self", "other"))
    if left and right:
        what = "a product" if node.operation == "mul" else "a quotient"
        raise rewriter.refuse(node, f"is {what} of two signals, which is not linear", "let one of them be a constant")
    if node.operation == "div" and right:
        raise rewriter.refuse(node, "divides by a signal, which is not linear", "divide by a constant")
    source = rewriter.signals[node.source]
    if source.shape == node.shape and (amplitude := rewriter.amplitude_behind(node, [source])) is not None:
        return Signal(source.step, "spikes", source.shape, amplitude, signed=source.signed)
    return rewriter.linear(node)


@rule("cat", "stack")
def concatenation(rewriter: Rewriter, node: Node) -> Signal:
    """Parts side by side: spikes stay spikes where each channel has one amplitude."""
    if node["dim"] % (len(node.shape) + 1) == 0:
        raise rewriter.refuse(node, "joins along the batch", "join along another dimension")
    signals = [rewriter.signals[name] for name in node.inputs]
    constants = not all(isinstance(part, Value) for part in node["tensors"])
    if constants or (amplitude := rewriter.amplitude_behind(node, signals)) is None:
        return rewriter.linear(node)
    return rewriter.operation(node, signals, "spikes", amplitude=amplitude, signed=any(s.signed for s in signals))
