"""In-place operations become ordinary ones.

``torch.fx`` records ``y.add_(x)`` or ``nn.ReLU(inplace=True)(y)`` as a node like any other, and says nowhere that whoever
reads ``y`` afterwards reads the result. Here those readers are pointed to it, so that the graph means what the network does.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from snncore.conversion.errors import ConversionError

OUT_OF_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    F.relu_: F.relu,
    torch.relu_: torch.relu,
}
VIEWS: tuple[str, ...] = ("view", "reshape", "flatten", "permute", "transpose", "squeeze", "unsqueeze")
VIEWS += ("detach", "contiguous", "chunk", "split")
VIEW_FUNCTIONS = (operator.getitem, getattr, F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)
VIEW_FUNCTIONS += tuple(getattr(torch, name) for name in VIEWS if hasattr(torch, name))
VIEW_MODULES = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


class InplaceTracer(fx.Tracer):
    """As ``fx.Tracer``, but ``y += x`` is recorded as the in-place operation that it is for tensors."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Stand-in for the value of ``node`` while the network is recorded."""
        return _Proxy(node, self)


class _Proxy(fx.Proxy):
    def __len__(self) -> int:
        raise ConversionError(
            f"len() of {self.node.name} cannot be recorded; write ndim for the number of dimensions, and size(0) for that of "
            "images, as the first size of a reshape or view only"
        )

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})


def replace_inplace_operations(traced: fx.GraphModule) -> None:
    """Rewrite every in-place operation of a recorded network, in the order of execution.

    Raises:
        ConversionError: another view of the overwritten tensor is read afterwards, or the result goes to ``out=``.
    """
    order = list(traced.graph.nodes)
    for position, node in enumerate(order):
        if "out" in node.kwargs:
            raise ConversionError(f"{node.name}: writes its result to out=; return it instead")
        source = _overwritten(traced, node)
        node.target = OUT_OF_PLACE.get(node.target, node.target)
        if source is None:
            continue
        later = set(order[position + 1 :])
        for view in order[:position]:
            if view is not source and _memory(traced, view) is _memory(traced, source) and not later.isdisjoint(view.users):
                raise ConversionError(
                    f"{node.name}: changes {source.name} in place while {view.name} shares its memory and is read later; "
                    "use the operation that returns a new tensor"
                )
        if isinstance(node.target, str) and node.op == "call_method":
            node.target = node.target.removesuffix("_")
        source.replace_all_uses_with(node, delete_user_cb=later.__contains__)


def _overwritten(traced: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The tensor that ``node`` changes in place, or None."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node) or _is_number(source):
        return None
    if node.op == "call_module":
        inplace = getattr(traced.get_submodule(str(node.target)), "inplace", False)
    elif node.op in ("call_method", "call_function"):
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        underscore = name.endswith("_") and not name.endswith("__")
        inplace = underscore or node.target in OUT_OF_PLACE or node.kwargs.get("inplace", False)
    else:
        inplace = False
    return source if inplace else None


def _is_number(node: fx.Node) -> bool:
    """Whether ``node`` is a size or computed from sizes: ``n += 1`` makes a new number."""
    inputs = node.all_input_nodes
    return node.target in ("size", getattr) or (bool(inputs) and all(map(_is_number, inputs)))


def _memory(traced: fx.GraphModule, node: fx.Node) -> fx.Node:
    """The node that made the memory which ``node`` shows."""
    while True:
        module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        method = node.op == "call_method" and node.target in VIEWS
        function = node.op == "call_function" and node.target in VIEW_FUNCTIONS
        shares = method or function or isinstance(module, VIEW_MODULES) or _overwritten(traced, node) is not None
        if not shares or not isinstance(node.args[0], fx.Node):
            return node
        node = node.args[0]
