"""From a trained network to a ``RecordedNetwork``, by ``torch.export``.

Export runs the network once on tensors without values and writes down the ATen operations that it meets: whatever ``net(x)``
runs, in whatever spelling, with sizes as numbers, in-place operations and Python gone, and the number of images as a symbol.
"""

from __future__ import annotations

import copy
import inspect
import logging
import operator
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export
from torch.utils._pytree import tree_leaves, tree_map, tree_unflatten

from snncore.conversion.errors import ConversionError, first_line
from snncore.conversion.folding import fold_batch_norm
from snncore.conversion.graph import (
    BatchSize,
    Node,
    RecordedNetwork,
    Stored,
    Value,
    aten,
    check_images,
    fingerprint_of,
)
from snncore.conversion.origins import origin_of, why
from snncore.conversion.spellings import SYNONYMS, canonical
from snncore.quantization import ActivationQuantizer, recording

_EXPORTING = threading.Lock()
"""``torch.export`` keeps its state in the process: one export at a time. Other threads may run networks meanwhile."""
_TAKES_SIZES = ("view", "_unsafe_view", "reshape", "expand", "zeros", "ones", "full", "new_zeros", "new_ones", "new_full")
_MADE_LIKE = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
_BROADCASTS = ("add", "sub", "mul", "div", "maximum", "max", "minimum", "min", "where")
_PIECES = ("split", "split_with_sizes", "chunk", "unbind", "tensor_split")


def record(ann: nn.Module, images: Tensor | None) -> RecordedNetwork:
    """Record ``ann`` in evaluation mode; batch normalisation is folded into convolutions. The network is left as it was.

    Args:
        ann: the trained network; a recorded one is returned as it is.
        images: a batch as it takes them ``[B, ...]``, for shape, dtype and device alone; None for a recorded network.

    Raises:
        ConversionError: several inputs, control flow that depends on the data, a fixed number of images, operations that mix
            images, or whatever else ``torch.export`` cannot read; with the user's source line.
    """
    if isinstance(ann, RecordedNetwork):
        if images is not None:
            check_images(images, ann.image)
        return ann
    if images is None or images.dim() == 0 or images.numel() == 0:
        raise ConversionError("a network is recorded with a batch of images, and there is none")
    fingerprint = fingerprint_of(ann)
    _check_one_input(ann)
    entry = _Entry(_evaluated(ann))
    example = images[:1].expand(3, *images.shape[1:]).clone()  # 0 and 1 images would be taken for constants
    try:
        with _EXPORTING, torch.no_grad(), recording(), _silence():
            exported = export(entry, (example,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False).run_decompositions({})
    except Exception as error:  # export meets arbitrary user code
        raise why(error, entry, type(ann).__name__, example, images) from error
    network = _Reader(exported, entry).network(fingerprint)
    fold_batch_norm(network)
    return network


class _Entry(nn.Module):
    """Calls a network as a user does, with the images and nothing else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        return self.network(images)


def _check_one_input(ann: nn.Module) -> None:
    signature = inspect.signature(ann.forward)
    try:
        signature.bind(None)
    except TypeError:
        names = ", ".join(signature.parameters)
        why = f"the network takes several inputs ({names}); wrap it so that forward takes the images alone"
        raise ConversionError(why) from None


def _evaluated(ann: nn.Module) -> nn.Module:
    """``ann``; where it is in training mode or has compiled parts, a copy that is not, with the same tensors."""
    ann = getattr(ann, "_orig_mod", ann)
    if not any(module.training or hasattr(module, "_orig_mod") for module in ann.modules()):
        return ann
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*ann.parameters(), *ann.buffers()]}
    try:
        made = copy.deepcopy(ann, memo)
    except Exception as error:
        why = f"{type(ann).__name__} cannot be copied ({first_line(error)}); call .eval() on it before it is converted"
        raise ConversionError(why) from error
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            setattr(parent, name, getattr(child, "_orig_mod", child))
    return made.eval()


@contextmanager
def _silence() -> Iterator[None]:
    """Export's own reports of failures are kept off the terminal: one line tells."""
    logs = [logging.getLogger(f"torch.{name}") for name in ("_subclasses", "fx", "_export", "export", "_dynamo")]
    levels = [log.level for log in logs]
    try:
        for log in logs:
            log.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


# ---- the exported program ---------------------------------------------------------------------------------------------


class _Reader:
    """Goes through an exported program once."""

    def __init__(self, exported: ExportedProgram, entry: _Entry) -> None:
        self.exported, self.entry = exported, entry
        self.nodes: dict[str, Node] = {}
        self.tensors: dict[str, Tensor] = {}
        self.modules: dict[str, nn.Module] = {}
        self.found: dict[fx.Node, Any] = {}  # Value, Stored, BatchSize, or a list of Values
        self.same: dict[Any, Stored] = {}  # signals that are the same for every image

    def network(self, fingerprint: str) -> RecordedNetwork:
        signature = self.exported.graph_signature
        if signature.buffers_to_mutate:
            names = ", ".join(name.removeprefix("network.") for name in signature.buffers_to_mutate.values())
            raise ConversionError(f"the network changes its buffers ({names}) while it runs; make it a function of the images")
        targets = {spec.arg.name: spec.target for spec in signature.input_specs}
        outputs: Any = None
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                self.found[node] = self._placeholder(node, targets.get(node.name))
            elif node.op == "output":
                spec, given = self.exported.call_spec.out_spec, tree_map(self._look_up, list(node.args[0]))
                outputs = tree_unflatten(given[len(given) - spec.num_leaves :], spec)  # behind images that were changed in place
            else:
                self.found[node] = self._operation(node)
        made = RecordedNetwork(self.nodes.values(), outputs, self.tensors, fingerprint)
        for name, module in self.modules.items():
            made.add_module(name, module)
        return made

    def _look_up(self, leaf: Any) -> Any:
        return self.found[leaf] if isinstance(leaf, fx.Node) else leaf

    def _placeholder(self, node: fx.Node, target: str | None) -> Value | Stored:
        if target is None:
            batch, *image = node.meta["val"].shape
            self.images, self.batch = node.name, batch.node.expr
            self.nodes[node.name] = Node(node.name, "input", "", {}, tuple(image), "the images")
            return Value(node.name)
        value = self.exported.state_dict.get(target, self.exported.constants.get(target))
        return self._store(target.removeprefix("network.").replace(".", "_"), value)

    def _store(self, name: str, value: Any) -> Stored:
        self.tensors[name] = value
        return Stored(name)

    def _emit(self, name: str, *described: Any) -> Value:
        self.nodes[name] = Node(name, *described)
        return Value(name)

    def _image_shape(self, val: Any, operation: str, origin: str) -> tuple[tuple[int, ...], int]:
        """Shape and parts of a result, see ``Node``; the first dimension of a signal is a multiple of the number of images."""
        sizes = list(val.shape)
        batch_first = sizes and isinstance(sizes[0], torch.SymInt) and all(isinstance(size, int) for size in sizes[1:])
        if batch_first and (parts := sizes[0].node.expr / self.batch).is_Integer:
            return tuple(sizes[1:]), int(parts)
        raise ConversionError(f"{origin}: '{operation}' mixes the images of a batch; keep the first dimension of every signal")

    def _operation(self, node: fx.Node) -> Any:
        target, origin, val = node.target, origin_of(node), node.meta.get("val")
        args, kwargs = tree_map(self._look_up, (list(node.args), dict(node.kwargs)))
        if target is operator.getitem:
            return self._item(node, args[0], args[1], origin)
        if val is None:  # an assertion
            return None
        if not isinstance(target, torch._ops.OpOverload) or isinstance(val, (int, float, torch.SymInt, torch.SymFloat)):
            return BatchSize()
        given = _by_name(target, args, kwargs)
        operation, overload = target._schema.name.partition("::")[2], target._overloadname
        operation = SYNONYMS.get(operation, operation)
        if target.namespace == "snncore":
            return self._quantizer(node, given["x"], origin)
        if target.namespace != "aten":
            raise ConversionError(f"{origin}: '{target}' is no operation of PyTorch's own and has no spiking counterpart")
        sized = any(isinstance(leaf, BatchSize) for leaf in tree_leaves(given))
        if sized and operation not in _TAKES_SIZES:
            raise ConversionError(
                f"{origin}: '{operation}' computes with the number of images in the batch; what becomes of an image must not "
                "depend on the others: use a constant, and the size of the batch only as the first size of a reshape or view"
            )
        signals = {leaf for leaf in tree_leaves(given) if isinstance(leaf, Value)}
        if not signals or operation in _MADE_LIKE:
            return self._constant(node, operation, overload, given, sized, origin)
        if operation in _PIECES:
            return self._pieces(node, operation, given, origin)
        if operation in _BROADCASTS and not signals <= self.same.keys():
            given = tree_map(lambda leaf: self.same.get(leaf, leaf) if isinstance(leaf, Value) else leaf, given)
        val = val[0] if isinstance(val, (tuple, list)) else val
        shape, parts = self._image_shape(val, operation, origin)
        if operation == "_to_copy" and isinstance(node.args[0], fx.Node) and node.args[0].meta["val"].dtype == val.dtype:
            return given["self"]
        found = canonical(operation, overload, given, (shape, parts), self.nodes, self.tensors)
        return found if isinstance(found, Value) else self._emit(node.name, *found, shape, origin, None, parts)

    def _constant(self, node: fx.Node, operation: str, overload: str, given: dict[str, Any], sized: bool, origin: str) -> Any:
        """The value of an operation on parameters and numbers alone, or on the shape of a signal."""
        val = node.meta["val"]

        def value(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return torch.empty(1, *self.nodes[leaf.name].shape, dtype=val.dtype, device=val.device)
            return self.tensors[leaf.name] if isinstance(leaf, Stored) else 1 if isinstance(leaf, BatchSize) else leaf

        with torch.no_grad():
            made = aten(operation, overload)(**tree_map(value, given))
        if isinstance(made, (tuple, list)):
            return [self._store(f"{node.name}_{i}", each) for i, each in enumerate(made)]
        stored = self._store(node.name, made.clone())
        if not sized and not operation.endswith("_like"):
            return stored
        shape, parts = self._image_shape(val, operation, origin)
        arguments = {"self": stored, "images": Value(self.images)}
        made = self._emit(f"every_{node.name}", "every_image", "", arguments, shape, origin, None, parts)
        self.same[made] = stored
        return made

    def _item(self, node: fx.Node, source: Any, index: int, origin: str) -> Any:
        if isinstance(source, list):
            return source[index]
        if index == 0 or not node.users:
            return source
        raise ConversionError(f"{origin}: an operation gives several results, of which the first alone has a spiking counterpart")

    def _pieces(self, node: fx.Node, operation: str, given: dict[str, Any], origin: str) -> list[Value]:
        """The parts of a split as slices."""
        source, made, start = given["self"], [], 0
        dim = given["dim"] % (len(self.nodes[source.name].shape) + 1)
        if dim == 0:
            raise ConversionError(f"{origin}: '{operation}' splits the batch; split along another dimension")
        for i, val in enumerate(node.meta["val"]):
            part: tuple[str, str, dict[str, Any]] = ("select", "int", {"self": source, "dim": dim, "index": i})
            if operation != "unbind":
                start, before = start + int(val.shape[dim]), start
                part = ("slice", "Tensor", {"self": source, "dim": dim, "start": before, "end": start, "step": 1})
            shape, parts = self._image_shape(val, operation, origin)
            made.append(self._emit(f"{node.name}_{i}", *part, shape, origin, None, parts))
        return made

    def _quantizer(self, node: fx.Node, source: Value, origin: str) -> Value:
        module = self.entry.get_submodule(list(node.meta["nn_module_stack"].values())[-1][0])
        assert isinstance(module, ActivationQuantizer)
        before, name = self.nodes[source.name], f"quantizer_{node.name}"
        self.modules[name] = copy.deepcopy(module)
        return self._emit(node.name, "relu", "default", {"self": source}, before.shape, origin, name, before.parts)


def _by_name(target: torch._ops.OpOverload, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the schema, with defaults."""
    schema = target._schema.arguments
    defaults = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return defaults | dict(zip((argument.name for argument in schema), args, strict=False)) | kwargs
