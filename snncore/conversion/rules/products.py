"""Products of two signals, such as the scores of attention.

With the running sums X and Y of two trains x and y, their product grows at step t by ``x[t] Y[t-1] + X[t] y[t]``: rows of one
side picked by the ternary spikes of the other, twice, and added; one shift by t bits. No multiplication is left.
"""

from __future__ import annotations

from typing import Any

from torch.utils._pytree import tree_leaves

from snncore.conversion.graph import Node, Value

PRODUCTS: dict[str, tuple[str, ...]] = {"matmul": ("self", "other"), "mul": ("self", "other")}
PRODUCTS |= {"mm": ("self", "mat2"), "bmm": ("self", "mat2")}
PRODUCTS |= {"baddbmm": ("batch1", "batch2"), "addmm": ("mat1", "mat2"), "einsum": ("tensors",)}
ELEMENTWISE = ("mul", "einsum")
"""Products whose last two dimensions are not those of matrices."""


def sides_of(node: Node) -> list[Any]:
    """What a product multiplies; nothing for another operation."""
    return tree_leaves([node[side] for side in PRODUCTS.get(node.operation, ())])


def factors(node: Node) -> list[str]:
    """Names of the signals among them, each once."""
    return list(dict.fromkeys(side.name for side in sides_of(node) if isinstance(side, Value)))


def is_product(node: Node) -> bool:
    """Whether signals are multiplied, or one with itself."""
    return sum(isinstance(side, Value) for side in sides_of(node)) > 1
