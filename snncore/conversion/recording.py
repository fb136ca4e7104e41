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

from snncore.conversion.attention import attention
from snncore.conversion.folding import fold_batch_norm
from snncore.conversion.graph import ConversionError, Node, RecordedNetwork, Stored, Value, fingerprint_of, mixes, out_of_range
from snncore.conversion.inputs import Given, called, is_batch, part_of, tensors_of
from snncore.conversion.origins import first_line, origin_of, why
from snncore.conversion.spellings import BATCH_SIZE, SYNONYMS, canonical
from snncore.quantization import SignedQuantizer, recording

_EXPORTING = threading.Lock()
"""``torch.export`` keeps its state in the process: one export at a time. Other threads may run networks meanwhile."""
_TAKES_SIZES = ("view", "_unsafe_view", "reshape", "expand", "zeros", "ones", "full", "new_zeros", "new_ones", "new_full")
_MADE_LIKE = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
_BROADCASTS = ("add", "sub", "mul", "div", "maximum", "max", "minimum", "min", "where")
_PIECES = ("split", "split_with_sizes", "chunk", "unbind", "tensor_split")


def record(ann: nn.Module, images: Given | None) -> RecordedNetwork:
    """Record ``ann`` in evaluation mode; batch normalisation is folded into convolutions. The network is left as it was.

    Args:
        ann: the trained network; a recorded one is returned as it is.
        images: a batch as it takes them ``[B, ...]``, for shape, dtype and device alone; a tuple or a dict of several inputs;
            None for a recorded network.

    Raises:
        ConversionError: other inputs than it takes, control flow that depends on the data, a fixed number of images,
            operations that mix images, or whatever else ``torch.export`` cannot read; with the user's source line.
    """
    if isinstance(ann, RecordedNetwork):
        if images is not None:
            ann.inputs.of(images)
        return ann
    if images is None or not is_batch(images) or not all(part.numel() for part in tensors_of(images)):
        raise ConversionError("a network is recorded with a batch of images, and there is none")
    fingerprint, parameters = fingerprint_of(ann), inspect.signature(ann.forward)
    (args, named), alone = called(images), isinstance(images, Tensor)
    try:
        parameters.bind(*args, **named)
    except TypeError:
        got = f"and got {len(args)}" if args else f"and got {', '.join(named)}"
        said = f"the network takes the inputs ({', '.join(parameters.parameters)}) {got}"
        raise ConversionError(f"{said}; pass images alone, without labels, a tuple of all, or a dict by name") from None
    entry = _Entry(_evaluated(ann))
    example = part_of(images, torch.zeros(3, dtype=torch.int64))  # 0 and 1 images would be taken for constants
    batch = Dim.DYNAMIC if alone else Dim("batch")
    given: Any = (example,) if alone else called(example)
    sizes = tree_map(lambda _: {0: batch}, given)
    try:
        with _EXPORTING, torch.no_grad(), recording(), _silence():
            exported = export(entry, given, dynamic_shapes=sizes, strict=False)
            if not _is_plain(exported):
                exported = exported.run_decompositions({_ATEN.scaled_dot_product_attention.default: attention})
    except Exception as error:  # export meets arbitrary user code
        raise why(error, entry, type(ann).__name__, given, (images,) if alone else called(images)) from error
    return _Reader(exported, entry, images).network(fingerprint)


def _is_plain(exported: ExportedProgram) -> bool:
    """Whether a program has no in-place operations, and none of others that rules do not know.

    Taking such apart records the network a second time, which takes as long as the first.
    """
    operations = [node for node in exported.graph.nodes if node.op == "call_function"]
    return all(node.target in _PLAIN and not (node.target is _BATCH_NORM and node.args[5]) for node in operations)


_ATEN = torch.ops.aten
_BATCH_NORM = _ATEN.batch_norm.default  # its sixth argument: whether it normalises by the batch
_PLAIN = {
    *(_ATEN.conv2d.default, _ATEN.linear.default, _BATCH_NORM, _ATEN.relu.default, _ATEN.add.Tensor, _ATEN.flatten.using_ints),
    *(_ATEN.avg_pool2d.default, _ATEN.adaptive_avg_pool2d.default, _ATEN.max_pool2d.default),
}


class _Entry(nn.Module):
    """Calls a network as a user does, with the images and nothing else, or with several inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Any, named: Any = None) -> Any:
        return self.network(images) if named is None else self.network(*images, **named)


def _evaluated(ann: nn.Module) -> nn.Module:
    """``ann``; where it is in training mode or has compiled parts, a copy that is not, with the same tensors."""
    ann = getattr(ann, "_orig_mod", ann)
    if not any(module.training or hasattr(module, "_orig_mod") for module in ann.modules()):
        return ann
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*ann.parameters(), *ann.buffers()]}
    try:
        made = copy.deepcopy(ann, memo)
    except Exception as error:
        said = f"{type(ann).__name__} cannot be copied ({first_line(error)})"
        raise ConversionError(f"{said}; call .eval() on it before it is converted") from error
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            setattr(parent, name, getattr(child, "_orig_mod", child))
    return made.eval()


@contextmanager
def _silence() -> Iterator[None]:
    """Export's own reports of failures are kept off the terminal: one line tells."""
    levels = {log: log.level for log in map(logging.getLogger, _TALKING)}
    try:
        for log in levels:
            log.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in levels.items():
            log.setLevel(level)


_TALKING = tuple(f"torch.{name}" for name in ("_subclasses", "fx", "_export", "export", "_dynamo"))


class _Reader:
    """Goes through an exported program once."""

    def __init__(self, exported: ExportedProgram, entry: _Entry, images: Given) -> None:
        self.exported, self.entry = exported, entry
        self.keys = iter(images if isinstance(images, dict) else range(len(images)) if isinstance(images, tuple) else [None])
        self.nodes: dict[str, Node] = {}
        self.tensors: dict[str, Tensor] = {}
        self.modules: dict[str, nn.Module] = {}
        self.found: dict[fx.Node, Any] = {}  # Value, Stored, BATCH_SIZE, or a list of these
        self.same: dict[Any, Stored] = {}  # signals that are the same for every image

    def network(self, fingerprint: str) -> RecordedNetwork:
        signature, outputs = self.exported.graph_signature, None
        if changed := signature.buffers_to_mutate.values():
            names = ", ".join(name.removeprefix("network.") for name in changed)
            raise ConversionError(f"the network changes its buffers ({names}) while it runs; make it a function of the images")
        targets = {spec.arg.name: spec.target for spec in signature.input_specs}
        for node in self.exported.graph.nodes:
            if node.op == "output":
                spec, given = self.exported.call_spec.out_spec, self._look_up(list(node.args[0]))
                outputs = tree_unflatten(given[len(given) - spec.num_leaves :], spec)  # behind images that were changed in place
            elif node.op == "call_function":
                self.found[node] = self._operation(node)
            elif (target := targets.get(node.name)) is None:
                self.images, val = Value(node.name), node.meta["val"]
                key, (batch, *image) = next(self.keys), val.shape
                self.batch = batch.node.expr
                described = {"key": key, "dtype": val.dtype}, tuple(image), "the images" if key is None else f"input {key}"
                self.found[node] = self._emit(node.name, "input", "", *described)
            else:
                value = self.exported.state_dict.get(target, self.exported.constants.get(target))
                self.found[node] = self._store(target.removeprefix("network.").replace(".", "_"), value)
        outputs = fold_batch_norm(self.nodes, outputs, self.tensors)
        made = RecordedNetwork(self.nodes, outputs, self.tensors, fingerprint)
        for name, module in self.modules.items():
            made.add_module(name, module)
        return made

    def _look_up(self, tree: Any) -> Any:
        return tree_map(lambda leaf: self.found[leaf] if isinstance(leaf, fx.Node) else leaf, tree)

    def _store(self, name: str, value: Any) -> Stored:
        self.tensors[name] = value
        return Stored(name)

    def _emit(self, name: str, *described: Any) -> Value:
        self.nodes[name] = Node(name, *described)
        return Value(name)

    def _shaped(self, val: Any, operation: str, origin: str) -> tuple[tuple[int, ...], str, None, int, int]:
        """The last fields of a ``Node``; one dimension of a signal is a multiple of the number of images."""
        sizes = list(val.shape)
        moving = [dim for dim, size in enumerate(sizes) if isinstance(size, torch.SymInt)]
        if len(moving) == 1 and (parts := sizes[moving[0]].node.expr / self.batch).is_Integer:
            (dim,) = moving
            return (*sizes[:dim], *sizes[dim + 1 :]), origin, None, int(parts), dim
        raise mixes(origin, operation)

    def _operation(self, node: fx.Node) -> Any:
        target, origin, val = node.target, origin_of(node), node.meta.get("val")
        args, kwargs = self._look_up((list(node.args), dict(node.kwargs)))
        if target is operator.getitem:
            if isinstance(args[0], list):
                return args[0][args[1]]
            if args[1] == 0 or not node.users:
                return args[0]
            why = "an operation gives several results, of which the first alone has a spiking counterpart"
            raise ConversionError(f"{origin}: {why}")
        if val is None:  # an assertion
            return None
        if not isinstance(target, torch._ops.OpOverload) or isinstance(val, (int, float, torch.SymInt, torch.SymFloat)):
            return BATCH_SIZE
        schema = target._schema.arguments
        given = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
        given |= dict(zip((argument.name for argument in schema), args, strict=False)) | kwargs
        operation = target._schema.name.partition("::")[2]
        operation = SYNONYMS.get(operation, operation)
        if target.namespace == "snncore":
            return self._quantizer(node, given["x"], origin)
        if target.namespace != "aten":
            raise ConversionError(f"{origin}: '{target}' is no operation of PyTorch's own and has no spiking counterpart")
        leaves = tree_leaves(given)
        sized, signals = BATCH_SIZE in leaves, {leaf for leaf in leaves if isinstance(leaf, Value)}
        if operation == "arange" and sized and given.get("end") is BATCH_SIZE:
            return self._emit(node.name, "image_numbers", "", {"images": self.images}, *self._shaped(val, operation, origin))
        if sized and operation not in _TAKES_SIZES:
            raise ConversionError(
                f"{origin}: '{operation}' computes with the number of images in the batch; what becomes of an image must not "
                "depend on the others: use a constant, and the size of the batch only as the first size of a reshape or view"
            )
        if not signals or operation in _MADE_LIKE:
            return self._constant(node, operation, given, sized, origin)
        if operation in _PIECES:
            return self._pieces(node, operation, given, origin)
        if operation in _BROADCASTS and not signals <= self.same.keys():
            given = tree_map(lambda leaf: self.same.get(leaf, leaf) if isinstance(leaf, Value) else leaf, given)
        val = val[0] if isinstance(val, (tuple, list)) else val
        shaped = self._shaped(val, operation, origin)
        if operation == "_to_copy" and isinstance(node.args[0], fx.Node) and node.args[0].meta["val"].dtype == val.dtype:
            return given["self"]
        source = self.nodes.get(getattr(given.get("self", given.get("input")), "name", ""))
        unchanged = source is not None and (source.shape, source.parts, source.dim) == (shaped[0], *shaped[-2:])
        found = canonical(operation, target._overloadname, given, unchanged, self.nodes, self.tensors)
        return found if isinstance(found, Value) else self._emit(node.name, *found, *shaped)

    def _constant(self, node: fx.Node, operation: str, given: dict[str, Any], sized: bool, origin: str) -> Any:
        """The value of an operation on parameters and numbers alone, or on the shape of a signal."""
        val: Any = node.meta["val"]

        def value(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return torch.empty(self.nodes[leaf.name].sizes(1), dtype=val.dtype, device=val.device)
            return self.tensors[leaf.name] if isinstance(leaf, Stored) else 1 if leaf is BATCH_SIZE else leaf

        try:
            with torch.no_grad():
                made = node.target(**tree_map(value, given))  # type: ignore[operator]
        except IndexError as error:  # which export does not see
            raise out_of_range(origin, error) from error
        if isinstance(made, (tuple, list)):
            return [self._store(f"{node.name}_{i}", each) for i, each in enumerate(made)]
        stored = self._store(node.name, made.clone())
        if not sized and not operation.endswith("_like"):
            return stored
        arguments, shaped = {"self": stored, "images": self.images}, self._shaped(val, operation, origin)
        found = self._emit(f"every_{node.name}", "every_image", "", arguments, *shaped)
        self.same[found] = stored
        return found

    def _pieces(self, node: fx.Node, operation: str, given: dict[str, Any], origin: str) -> list[Value]:
        """The parts of a split as slices."""
        source, made, end = given["self"], [], 0
        dim = given["dim"] % (len(self.nodes[source.name].shape) + 1)
        if dim == self.nodes[source.name].dim:
            raise ConversionError(f"{origin}: '{operation}' splits the batch; split along another dimension")
        for i, val in enumerate(node.meta["val"]):
            part: tuple[str, str, dict[str, Any]] = ("select", "int", {"self": source, "dim": dim, "index": i})
            if operation != "unbind":
                start, end = end, end + int(val.shape[dim])
                part = ("slice", "Tensor", {"self": source, "dim": dim, "start": start, "end": end, "step": 1})
            made.append(self._emit(f"{node.name}_{i}", *part, *self._shaped(val, operation, origin)))
        return made

    def _quantizer(self, node: fx.Node, source: Any, origin: str) -> Value:
        path, before, name = [*node.meta["nn_module_stack"].values()][-1][0], self.nodes[source.name], f"quantizer_{node.name}"
        self.modules[name] = copy.deepcopy(self.entry.get_submodule(path))
        operation = "quantize" if isinstance(self.modules[name], SignedQuantizer) else "relu"
        return self._emit(node.name, operation, "default", {"self": source}, before.shape, origin, name, before.parts, before.dim)
