"""Sizes that a network reads off its signals, and which of them depend on the number of images in the batch."""

from __future__ import annotations

import operator
from typing import Any

from torch import fx

from snncore.conversion.tracing import arguments_of


class BatchSizes:
    """Follows sizes through a recorded network.

    In multi-step mode the first dimension of spikes and currents holds timesteps times images, and what a network computes
    for one image should not depend on the others in any case: a size that depends on the batch says how to reshape only.

    Args:
        shapes: of every signal by name, the number of images first.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self._dimensions: dict[fx.Node, range | int] = {}
        self._dependent: set[fx.Node] = set()

    def follow(self, node: fx.Node) -> None:
        """Look at ``node``, which reads a size off a signal or computes with sizes that were followed before."""
        dimensions = self._dimensions_of(node)
        if dimensions is not None:
            self._dimensions[node] = dimensions
        batch = 0 in dimensions if isinstance(dimensions, range) else dimensions == 0
        if batch or (dimensions is None and not self._dependent.isdisjoint(node.all_input_nodes)):
            self._dependent.add(node)

    def misused_by(self, node: fx.Node, reshapes: bool) -> fx.Node | None:
        """A size of the batch that ``node`` reads, or None; a reshaping may read it as the first size of its shape."""
        shape: Any = [*node.args[1:], *node.kwargs.values()]
        if reshapes and len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = shape[0]
        read: list[fx.Node] = []
        fx.node.map_arg(shape[1:] if reshapes else (node.args, node.kwargs), read.append)
        return next((size for size in read if size in self._dependent), None)

    def _dimensions_of(self, node: fx.Node) -> range | int | None:
        """Which dimensions of a signal ``node`` gives the sizes of, or None where it gives something else."""
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op == "get_attr":  # a parameter has no images
            return None
        if source.name in self.shapes:
            every = range(len(self.shapes[source.name]))
            if node.target == "size":
                dim: Any = arguments_of(node, ("input", "dim")).get("dim")
                return every[dim] if isinstance(dim, int) else every
            return every if node.args[1] == "shape" else None
        if node.target is operator.getitem and source in self._dimensions and node.all_input_nodes == [source]:
            sizes: Any = self._dimensions[source]
            return sizes[node.args[1]]  # type: ignore[no-any-return]
        return None
