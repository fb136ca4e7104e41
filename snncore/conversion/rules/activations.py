"""ReLUs, clipped ones and quantised ones: each becomes a neuron."""

from snncore.conversion.graph import Node
from snncore.conversion.rewriting import Rewriter, rule
from snncore.conversion.signals import Signal


@rule("relu", "clip")
def activation(rewriter: Rewriter, node: Node) -> Signal:
    """A neuron, or nothing for a ReLU of what is not negative."""
    return rewriter.activation(node, rewriter.signals[node.source])
