"""From a trained network to a graph of linear operations and ReLUs.

``trace_network`` records the network with ``torch.fx``, gives every call its own copy of the layer, turns each spelling of
ReLU into a module of its own, drops what does nothing at inference and folds batch normalisation.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snncore.conversion.errors import ConversionError
from snncore.conversion.inplace import InplaceTracer, replace_inplace_operations
from snncore.quantization import ActivationQuantizer

RELU_FUNCTIONS = (F.relu, F.relu_, torch.relu, torch.relu_)
RELU_METHODS = ("relu", "relu_")
IDENTITY_MODULES = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
DROPOUT_FUNCTIONS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)
IDENTITY_METHODS = ("contiguous", "clone", "detach")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, *ADAPTIVE_MAX_POOLS)
MAX_POOL_FUNCTIONS = (F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)
ADAPTIVE_MAX_POOL_FUNCTIONS = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)


TRACING = threading.Lock()
"""``torch.fx`` patches ``nn.Module`` while it records, for all threads."""


class ChannelAffine(nn.Module):
    """``y = scale x + shift`` per channel (dimension 1): batch normalisation that follows no layer to fold it into."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, ...]`` to the same shape."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale, shift = self.get_buffer("scale"), self.get_buffer("shift")
        return x * scale.view(shape) + shift.view(shape)


class _Tracer(InplaceTracer):
    """Takes modules of this project as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (ActivationQuantizer, ChannelAffine)) or super().is_leaf_module(m, module_qualified_name)


def trace_network(ann: nn.Module) -> fx.GraphModule:
    """Record ``ann`` (a copy, in evaluation mode) as a graph of linear operations, ReLU modules and shape operations.

    Quantised activations (`snncore.quantization`) are ReLU modules too and stay what they are.

    Raises:
        ConversionError: the forward pass depends on the data (``if x.sum() > 0``) or cannot be recorded for another reason.
    """
    try:
        root = copy.deepcopy(ann).eval()
    except Exception as error:  # computed weights that carry gradients cannot be copied
        raise ConversionError(
            f"{type(ann).__name__} cannot be copied ({_first_line(error)}); "
            "make computed weights permanent first (prune.remove, remove_weight_norm)"
        ) from error
    try:
        with TRACING:
            graph = _Tracer().trace(root)
        traced = fx.GraphModule(root, graph)
    except ConversionError:
        raise
    except Exception as error:  # the tracer meets arbitrary user code
        raise ConversionError(
            f"{type(ann).__name__} cannot be recorded by torch.fx ({_first_line(error)}); "
            "remove control flow that depends on the data from its forward"
        ) from error
    _one_image_input(traced)
    _one_module_per_call(traced)
    _first_argument_by_position(traced)
    replace_inplace_operations(traced)
    _fold_constants(traced)
    _modules_for_functions(traced)
    _drop_identities(traced)
    _fold_batch_norm(traced)
    traced.graph.eliminate_dead_code()
    traced.graph.lint()
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def call_module(traced: fx.GraphModule, node: fx.Node, module: nn.Module, arguments: tuple[Any, ...]) -> None:
    """Turn ``node`` into a call of ``module``, stored under the node's own name."""
    traced.add_submodule(node.name, module)
    node.op, node.target, node.args, node.kwargs = "call_module", node.name, arguments, {}


def module_of(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that ``node`` calls, or None."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def call_node(interpreter: fx.Interpreter, node: fx.Node, look_up: Callable[[fx.Node], Any]) -> Any:
    """Run one node on values found by ``look_up``."""
    args: Any = fx.node.map_arg(node.args, look_up)
    if node.op == "output":
        return args[0]
    kwargs: Any = fx.node.map_arg(node.kwargs, look_up)
    return getattr(interpreter, node.op)(node.target, args, kwargs)


def describe(traced: fx.GraphModule) -> str:
    """Operations of a recorded network and how they are connected, to tell networks apart (not their weights)."""
    nodes = list(traced.graph.nodes)
    return "\n".join(f"{node.format_node()} {module_of(traced, node) or ''}" for node in nodes)


def _one_image_input(traced: fx.GraphModule) -> None:
    inputs = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if any(node.users for node in inputs[1:]):
        names = ", ".join(str(node.target) for node in inputs)
        raise ConversionError(f"the network takes several inputs ({names}); wrap it so that forward takes the images alone")


def _one_module_per_call(traced: fx.GraphModule) -> None:
    """Shared layers get one copy per call: each call may see spikes of another amplitude."""
    for node in traced.graph.nodes:
        module = module_of(traced, node)
        if module is not None:
            call = f"call_{node.name}"
            if parametrize.is_parametrized(module) or module._forward_pre_hooks or module._forward_hooks:
                raise ConversionError(
                    f"{node.name}: a parametrization or a hook may change what this layer computes; make it permanent first "
                    "(parametrize.remove_parametrizations, remove_weight_norm, prune.remove) or remove it"
                )
            traced.add_submodule(call, copy.deepcopy(module))
            node.target = call


def _first_argument_by_position(traced: fx.GraphModule) -> None:
    for node in traced.graph.nodes:
        for name in ("input", "tensor", "tensors", "other"):
            if name in node.kwargs and (not node.args or name == "other"):
                node.args = (*node.args, node.kwargs[name])
                node.kwargs = {key: value for key, value in node.kwargs.items() if key != name}


def _fold_constants(traced: fx.GraphModule) -> None:
    """Expressions of parameters alone, such as ``self.scale.view(1, -1, 1, 1)``, become stored tensors."""
    interpreter = fx.Interpreter(traced)
    values: dict[fx.Node, Any] = {}
    for node in traced.graph.nodes:
        constant = bool(node.all_input_nodes) and all(n in values for n in node.all_input_nodes)
        if node.op != "get_attr" and not (constant and node.op in ("call_function", "call_method")):
            continue
        arguments: Any = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        with torch.no_grad():
            values[node] = getattr(interpreter, node.op)(node.target, *arguments)
        if node.op != "get_attr" and isinstance(values[node], Tensor):
            name = f"constant_{node.name}"
            traced.register_buffer(name, values[node].clone())
            node.op, node.target, node.args, node.kwargs = "get_attr", name, (), {}


def _modules_for_functions(traced: fx.GraphModule) -> None:
    """``F.relu``, ``torch.relu``, ``x.relu()``, ``F.linear``, ``F.conv2d`` and ``F.max_pool2d`` become modules."""
    for node in list(traced.graph.nodes):
        is_relu = (node.op == "call_function" and node.target in RELU_FUNCTIONS) or (
            node.op == "call_method" and node.target in RELU_METHODS
        )
        if is_relu:
            source = node.args[0] if node.args else node.kwargs["input"]
            call_module(traced, node, nn.ReLU(), (source,))
        elif isinstance(relu := module_of(traced, node), nn.ReLU):
            relu = relu if isinstance(relu, ActivationQuantizer) else nn.ReLU()
            call_module(traced, node, relu, node.args or tuple(node.kwargs.values()))
        elif node.op == "call_function" and node.target is F.linear:
            _functional_linear(traced, node)
        elif node.op == "call_function" and node.target in (F.conv1d, F.conv2d):
            _functional_convolution(traced, node)
        elif node.op == "call_function" and node.target in (*MAX_POOL_FUNCTIONS, *ADAPTIVE_MAX_POOL_FUNCTIONS):
            _functional_max_pool(traced, node)


def _parameters(traced: fx.GraphModule, nodes: list[Any]) -> list[Tensor | None] | None:
    """Values of weight and bias arguments, or None if one of them is computed rather than stored."""
    values: list[Tensor | None] = []
    for node in nodes:
        if node is None:
            values.append(None)
        elif isinstance(node, fx.Node) and node.op == "get_attr":
            value: Any = traced
            for part in str(node.target).split("."):
                value = getattr(value, part)
            values.append(value.detach().clone())
        else:
            return None
    return values


def arguments_of(node: fx.Node, names: tuple[str, ...], defaults: dict[str, Any] | None = None) -> dict[str, Any]:
    """Arguments of a call by name, whether given by position or by keyword."""
    given: dict[str, Any] = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return (defaults or {}) | given


def _functional_linear(traced: fx.GraphModule, node: fx.Node) -> None:
    call = arguments_of(node, ("input", "weight", "bias"), {"bias": None})
    values = _parameters(traced, [call["weight"], call["bias"]])
    if values is None or values[0] is None:
        return
    weight, bias = values
    assert weight is not None
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    _fill(layer, weight, bias)
    call_module(traced, node, layer, (call["input"],))


def _functional_convolution(traced: fx.GraphModule, node: fx.Node) -> None:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    call = arguments_of(node, names, {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1})
    values = _parameters(traced, [call["weight"], call["bias"]])
    if values is None or values[0] is None:
        return
    weight, bias = values
    assert weight is not None
    kind = nn.Conv1d if node.target is F.conv1d else nn.Conv2d
    layer = kind(
        weight.shape[1] * call["groups"],
        weight.shape[0],
        tuple(weight.shape[2:]),  # type: ignore[arg-type]
        stride=call["stride"],
        padding=call["padding"],
        dilation=call["dilation"],
        groups=call["groups"],
        bias=bias is not None,
        dtype=weight.dtype,
    )
    _fill(layer, weight, bias)
    call_module(traced, node, layer, (call["input"],))


def _functional_max_pool(traced: fx.GraphModule, node: fx.Node) -> None:
    if node.target in MAX_POOL_FUNCTIONS:
        kind: Any = MAX_POOLS[MAX_POOL_FUNCTIONS.index(node.target) % 3]
        names: tuple[str, ...] = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    else:
        kind = ADAPTIVE_MAX_POOLS[ADAPTIVE_MAX_POOL_FUNCTIONS.index(node.target)]
        names = ("input", "output_size", "return_indices")
    call = arguments_of(node, names)
    source = call.pop("input")
    if node.all_input_nodes == [source]:  # all sizes are numbers
        call_module(traced, node, kind(**{name: value for name, value in call.items() if value != ()}), (source,))


def _fill(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)


def _drop_identities(traced: fx.GraphModule) -> None:
    for node in list(traced.graph.nodes):
        off = node.op == "call_function" and node.target in DROPOUT_FUNCTIONS and not _dropout_is_on(node)
        method = node.op == "call_method" and node.target in IDENTITY_METHODS
        if off or method or isinstance(module_of(traced, node), IDENTITY_MODULES):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)


def _dropout_is_on(node: fx.Node) -> bool:
    return bool(arguments_of(node, ("input", "p", "training"), {"training": True})["training"])


def _fold_batch_norm(traced: fx.GraphModule) -> None:
    """Fold each batch normalisation into the convolution before it; elsewhere it becomes a ``ChannelAffine``.

    A linear layer acts on the last dimension and batch normalisation on dimension 1: they fold once the shapes are known.
    """
    for node in list(traced.graph.nodes):
        norm = module_of(traced, node)
        if not isinstance(norm, BATCH_NORMS):
            continue
        if norm.running_mean is None or norm.running_var is None:
            raise ConversionError(
                f"{node.name}: batch normalisation without running statistics depends on the batch; train with them"
            )
        source = node.args[0]
        layer = module_of(traced, source) if isinstance(source, fx.Node) and len(source.users) == 1 else None
        if isinstance(layer, CONVOLUTIONS):
            traced.add_submodule(str(source.target), fuse_conv_bn_eval(layer, norm))
        else:
            weight = norm.weight if norm.weight is not None else torch.ones_like(norm.running_var)
            bias = norm.bias if norm.bias is not None else torch.zeros_like(norm.running_var)
            scale = (weight / torch.sqrt(norm.running_var + norm.eps)).detach()
            shift = (bias - norm.running_mean * scale).detach()
            call_module(traced, node, ChannelAffine(scale, shift), (source,))
            continue
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)


def evaluate(traced: fx.GraphModule, target: fx.Node, images: Tensor, known: dict[str, Tensor]) -> Tensor:
    """Output of ``target``, computed from the images and the outputs of nodes that are ``known`` by name."""
    needed: set[fx.Node] = set()
    waiting = [target]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += [] if node.name in known else node.all_input_nodes
    interpreter = fx.Interpreter(traced)
    values: dict[fx.Node, Any] = {}
    order = [node for node in traced.graph.nodes if node in needed]
    last = {source: node for node in order if node.name not in known for source in node.all_input_nodes} | {target: None}
    for node in order:
        if node.op == "placeholder":
            values[node] = images
        elif node.name in known:
            values[node] = known[node.name]
        else:
            values[node] = call_node(interpreter, node, values.__getitem__)
            for source in node.all_input_nodes:
                if last[source] is node:
                    del values[source]
    result: Tensor = values[target]
    return result
