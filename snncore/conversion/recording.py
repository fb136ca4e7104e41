"""From a trained network to a ``RecordedNetwork``, by ``torch.export``.

Export runs the network once on tensors without values and writes down the ATen operations that it meets: whatever ``net(x)``
runs, in whatever spelling, with sizes as numbers, in-place operations and Python gone, and the number of images as a symbol.
"""

from __future__ import annotations

import copy
import inspect
import linecache
import logging
import operator
import re
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, export
from torch.utils._pytree import tree_unflatten

from snncore.conversion.errors import ConversionError
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
    leaves,
    mapped,
)
from snncore.conversion.spellings import SYNONYMS, canonical
from snncore.quantization import ActivationQuantizer, recording

_EXPORTING = threading.Lock()
"""``torch.export`` keeps its state in the process: one export at a time. Other threads may run networks meanwhile."""
_TORCH = Path(torch.__file__).parent
_HERE = Path(__file__).parent
_TAKES_SIZES = ("view", "_unsafe_view", "reshape", "expand", "zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full")
_MADE_LIKE = ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full")
_BROADCASTS = ("add", "sub", "mul", "div", "maximum", "max")
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
        raise ConversionError("the batch to record the network with holds no image")
    fingerprint = fingerprint_of(ann)
    _one_input(ann)
    entry = _Entry(_evaluated(ann))
    program = _exported(entry, ann, images)
    network = _Reader(program, entry).network(fingerprint)
    fold_batch_norm(network)
    return network


class _Entry(nn.Module):
    """Calls a network as a user does, with the images and nothing else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        return self.network(images)


def _one_input(ann: nn.Module) -> None:
    try:
        signature = inspect.signature(ann.forward)
        signature.bind(None)
    except TypeError:
        names = ", ".join(signature.parameters)
        raise ConversionError(f"the network takes several inputs ({names}); wrap it so that forward takes the images alone") from None
    except ValueError:  # a forward without signature
        return


def _evaluated(ann: nn.Module) -> nn.Module:
    """``ann``, or where it is not in evaluation mode or compiled a copy that is not, with the same tensors."""
    ann = getattr(ann, "_orig_mod", ann)
    compiled = any(hasattr(module, "_orig_mod") for module in ann.modules())
    if not compiled and not any(module.training for module in ann.modules()):
        return ann
    memo: dict[int, Any] = {id(tensor): tensor for tensor in [*ann.parameters(), *ann.buffers()]}
    try:
        made = copy.deepcopy(ann, memo)
    except Exception as error:
        raise ConversionError(
            f"{type(ann).__name__} cannot be copied ({_first_line(error)}); call .eval() on it before it is converted"
        ) from error
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            setattr(parent, name, getattr(child, "_orig_mod", child))
    return made.eval()


def _exported(entry: _Entry, ann: nn.Module, images: Tensor) -> ExportedProgram:
    example = images[:1].expand(3, *images.shape[1:]).clone()  # 0 and 1 images would be taken for constants
    quiet = [logging.getLogger(name) for name in ("torch._subclasses", "torch.fx", "torch._export", "torch.export", "torch._dynamo")]
    try:
        with _EXPORTING, warnings.catch_warnings(), torch.no_grad(), recording():
            warnings.simplefilter("ignore")
            levels = [log.level for log in quiet]
            for log in quiet:
                log.setLevel(logging.CRITICAL + 1)
            try:
                program = export(entry, (example,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False)
                return program.run_decompositions({})
            finally:
                for log, level in zip(quiet, levels, strict=True):
                    log.setLevel(level)
    except Exception as error:  # export meets arbitrary user code
        raise _why(error, entry, ann, example, images) from error


def _why(error: Exception, entry: _Entry, ann: nn.Module, example: Tensor, images: Tensor) -> ConversionError:
    """What to tell the user about a failed export."""
    place, name = _place(error), type(ann).__name__
    try:
        with torch.no_grad():
            try:
                entry(example)
            except Exception as real:
                entry(images)  # if this fails as well, so does every number of images
                raise ConversionError(
                    f"{_place(real)}the trained network fails on {len(example)} images ({_first_line(real)}), though not on "
                    f"{len(images)}; keep the first dimension of every signal, whatever its size"
                ) from real
    except ConversionError as found:
        return found
    except Exception as real:
        return ConversionError(f"{_place(real)}the trained network fails: {_first_line(real)}")
    text = str(error)
    if "data-dependent" in text or "DataDependent" in type(error).__name__:
        return ConversionError(f"{place}{name} decides by the values of its signals what to compute; remove that from its forward")
    if "specialized" in text or "Constraints violated" in text:
        return ConversionError(
            f"{place}{name} works for a fixed number of images alone; keep the first dimension of every signal, "
            "whatever its size, and write x.size(0) for len(x)"
        )
    return ConversionError(f"{place}{name} cannot be read by torch.export {torch.__version__} ({_first_line(error)})")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _place(error: BaseException) -> str:
    """``file:line `code`: `` of the innermost frame that is the user's, or nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _users(frame.filename)]
    return f"{_shown(frames[-1].filename, frames[-1].lineno or 0)}: " if frames else ""


def _users(file: str) -> bool:
    path = Path(file)
    return _TORCH not in path.parents and _HERE not in path.parents and path.suffix == ".py" and path.exists()


def _shown(file: str, line: int) -> str:
    return f"{Path(file).name}:{line} `{linecache.getline(file, line).strip()[:80]}`"


def _origin(node: fx.Node) -> str:
    """Where in the user's network an operation stands."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    lines = [_shown(file, int(line)) for file, line in frames if _users(file)]
    stack = [(path, kind) for path, kind in (node.meta.get("nn_module_stack") or {}).values() if path.startswith("network.")]
    module = f"{stack[-1][0].removeprefix('network.')} ({str(stack[-1][1]).rpartition('.')[2].rstrip(chr(39) + '>')})" if stack else ""
    return ", ".join(part for part in (lines[-1] if lines else "", module) if part)


class _Reader:
    """Goes through an exported program once."""

    def __init__(self, program: ExportedProgram, entry: _Entry) -> None:
        self.program, self.entry = program, entry
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.modules: dict[str, nn.Module] = {}
        self.found: dict[fx.Node, Any] = {}  # Value, Stored, BatchSize, or a list of Values
        self.same: dict[Any, Stored] = {}  # signals that are the same for every image

    def network(self, fingerprint: str) -> RecordedNetwork:
        signature = self.program.graph_signature
        if signature.buffers_to_mutate:
            names = ", ".join(name.removeprefix("network.") for name in signature.buffers_to_mutate.values())
            raise ConversionError(f"the network changes its buffers ({names}) while it runs; make it a function of the images")
        targets = {spec.arg.name: spec.target for spec in signature.input_specs}
        outputs: Any = None
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node, targets.get(node.name))
            elif node.op == "output":
                spec, given = self.program.call_spec.out_spec, mapped(list(node.args[0]), self._look_up)
                outputs = tree_unflatten(given[len(given) - spec.num_leaves :], spec)  # behind images that were changed in place
            else:
                self.found[node] = self._operation(node)
        made = RecordedNetwork(self.nodes, outputs, self.tensors, fingerprint)
        for name, module in self.modules.items():
            made.add_module(name, module)
        return made

    def _look_up(self, leaf: Any) -> Any:
        return self.found[leaf] if isinstance(leaf, fx.Node) else leaf

    def _placeholder(self, node: fx.Node, target: str | None) -> None:
        if target is None:
            image = tuple(node.meta["val"].shape[1:])
            self.nodes.append(Node(node.name, "input", "", {}, image, "the images"))
            self.found[node] = Value(node.name)
            return
        value = self.program.state_dict.get(target, self.program.constants.get(target))
        name = target.removeprefix("network.").replace(".", "_")
        self.found[node] = self._store(name, value)

    def _store(self, name: str, value: Any) -> Stored:
        self.tensors[name] = value
        return Stored(name)

    def _emit(self, name: str, operation: str, overload: str, arguments: dict[str, Any], val: Any, origin: str) -> Value:
        shape = self._sample_shape(val, operation, origin)
        self.nodes.append(Node(name, operation, overload, arguments, shape, origin))
        return Value(name)

    def _sample_shape(self, val: Any, operation: str, origin: str) -> tuple[int, ...]:
        """Shape of a result for one image; the first dimension of every signal is a multiple of the number of images."""
        first = val.shape[0] if val.dim() else None
        symbols = [size for size in val.shape if not isinstance(size, int)]
        if not isinstance(first, int) and first is not None and len(symbols) == 1:
            images = next(n for n in self.program.graph.nodes if n.op == "placeholder" and self.found.get(n) == Value(self.nodes[0].name))
            if (first.node.expr / images.meta["val"].shape[0].node.expr).is_Integer:
                return tuple(int(size) for size in val.shape[1:])
        raise ConversionError(f"{origin}: '{operation}' mixes the images of a batch; keep the first dimension of every signal")

    def _operation(self, node: fx.Node) -> Any:
        target, origin = node.target, _origin(node)
        arguments = mapped([list(node.args), dict(node.kwargs)], self._look_up)
        if target is operator.getitem:
            return self._item(node, *arguments[0], origin)
        if "val" not in node.meta:  # an assertion
            return None
        if not isinstance(target, torch._ops.OpOverload) or isinstance(node.meta.get("val"), (int, torch.SymInt, torch.SymFloat, float)):
            return BatchSize()
        operation, overload = target._schema.name.partition("::")[2], target._overloadname
        operation = SYNONYMS.get(operation, operation)
        named = _by_name(target, *arguments)
        if target.namespace == "snncore":
            return self._quantizer(node, named, origin)
        if target.namespace != "aten":
            raise ConversionError(f"{origin}: '{target}' is no operation of PyTorch's own and has no spiking counterpart")
        given = list(leaves(named))
        sized = any(isinstance(leaf, BatchSize) for leaf in given)
        if sized and operation not in _TAKES_SIZES:
            raise ConversionError(
                f"{origin}: '{operation}' computes with the number of images in the batch; what becomes of an image must not depend "
                "on the others: use a constant, and the size of the batch only as the first size of a reshape or view"
            )
        signals = [leaf for leaf in given if isinstance(leaf, Value)]
        if not signals or operation in _MADE_LIKE:
            return self._constant(node, operation, overload, named, sized, origin)
        if operation in _PIECES:
            return self._pieces(node, operation, named, origin)
        if operation in _BROADCASTS and not self.same.keys() >= set(signals):
            named = mapped(named, lambda leaf: self.same.get(leaf, leaf))
        val = node.meta["val"]
        val = val[0] if isinstance(val, (tuple, list)) else val
        shape = self._sample_shape(val, operation, origin)
        source = node.args[0] if node.args else None
        if operation in ("_to_copy", "to") and isinstance(source, fx.Node) and source.meta["val"].dtype == val.dtype:
            return self._look_up(source)
        found = canonical(operation, overload, named, shape, self._shape_of, self.tensors)
        return found if isinstance(found, Value) else self._emit(node.name, *found, val, origin)

    def _shape_of(self, value: Value) -> tuple[int, ...]:
        return next(node.shape for node in reversed(self.nodes) if node.name == value.name)

    def _constant(self, node: fx.Node, operation: str, overload: str, named: dict[str, Any], sized: bool, origin: str) -> Any:
        """The value of an operation on parameters and numbers alone, or on the shape of a signal."""

        def value(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return torch.empty(1, *self._shape_of(leaf), dtype=node.meta["val"].dtype, device=node.meta["val"].device)
            return self.tensors[leaf.name] if isinstance(leaf, Stored) else 1 if isinstance(leaf, BatchSize) else leaf

        with torch.no_grad():
            made = aten(operation, overload)(**mapped(named, value))
        if isinstance(made, (tuple, list)):
            return [self._store(f"{node.name}_{i}", each) for i, each in enumerate(made)]
        stored = self._store(node.name, made.clone())
        if not sized and not operation.endswith("_like"):
            return stored
        arguments = {"self": stored, "images": Value(self.nodes[0].name)}
        made = self._emit(f"every_{node.name}", "every_image", "", arguments, node.meta["val"], origin)
        self.same[made] = stored
        return made

    def _item(self, node: fx.Node, source: Any, index: int, origin: str) -> Any:
        if isinstance(source, list):
            return source[index]
        if index == 0 or not node.users:
            return source
        raise ConversionError(f"{origin}: an operation gives several results, of which the first alone has a spiking counterpart")

    def _pieces(self, node: fx.Node, operation: str, named: dict[str, Any], origin: str) -> list[Value]:
        """The parts of a split as slices."""
        dim = named["dim"] % (len(self._shape_of(named["self"])) + 1)
        made, start = [], 0
        if dim == 0:
            raise ConversionError(f"{origin}: '{operation}' splits the batch; split along another dimension")
        for i, val in enumerate(node.meta["val"]):
            name = f"{node.name}_{i}"
            if operation == "unbind":
                part: tuple[str, str, dict[str, Any]] = ("select", "int", {"self": named["self"], "dim": dim, "index": i})
            else:
                stop = start + int(val.shape[dim])
                part = ("slice", "Tensor", {"self": named["self"], "dim": dim, "start": start, "end": stop, "step": 1})
                start = stop
            made.append(self._emit(name, *part, val, origin))
        return made

    def _quantizer(self, node: fx.Node, named: dict[str, Any], origin: str) -> Value:
        path = list(node.meta["nn_module_stack"].values())[-1][0]
        module = self.entry.get_submodule(path)
        assert isinstance(module, ActivationQuantizer)
        made = self._emit(node.name, "relu", "default", {"self": named["x"]}, node.meta["val"], origin)
        self.nodes[-1].module = f"quantizer_{node.name}"
        self.modules[f"quantizer_{node.name}"] = copy.deepcopy(module)
        return made


def _by_name(target: torch._ops.OpOverload, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the schema, with defaults."""
    named: dict[str, Any] = {}
    for i, argument in enumerate(target._schema.arguments):
        if i < len(args):
            named[argument.name] = args[i]
        elif argument.name in kwargs:
            named[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            named[argument.name] = argument.default_value
    return named
