"""One small rule for each operation: what comes out of it, and what runs in its place. A new operation is a new rule."""

from snncore.conversion.rules import activations, arithmetic, pooling, shapes, synapses

__all__ = ["activations", "arithmetic", "pooling", "shapes", "synapses"]
