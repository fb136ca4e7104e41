"""One small rule for each operation: what comes out of it, and what runs in its place. A new operation is a new rule."""

from snncore.conversion.rules import arithmetic, pooling, shapes, synapses

__all__ = ["arithmetic", "pooling", "shapes", "synapses"]
