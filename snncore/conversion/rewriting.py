"""From a traced network to a spiking one: every ReLU becomes a neuron, every signal is accounted for.

Going through the graph in order, each signal is one of

- *analog*: the same real value at every timestep, computed once (the input image and what linear layers make of it;
  direct coding: the currents of the first hidden layer are analog);
- *spikes*: integers (-1, 0, 1; counts after sum pooling) that stand for themselves times an amplitude;
- *current*: the real-valued input of neurons, or the output of the network.

Amplitudes are folded into the weights of the next layer: ``W <- v W`` (Algorithm 2 of the TMN paper up to one factor per
layer, which moves between a neuron's currents and its threshold). Biases stay as they are: a code's weights are
normalised by their sum, so ``b`` at each of the T steps decodes to ``b``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from snncore.coding import Code
from snncore.conversion.calibration import Calibration
from snncore.conversion.errors import ConversionError
from snncore.conversion.operations import AddSpikes, Amplify, InputEncoder, MaxPool, PresentConstant, Reshape, SumPool, Total
from snncore.conversion.sizes import BatchSizes
from snncore.conversion.tracing import (
    ADAPTIVE_MAX_POOL_FUNCTIONS,
    CONVOLUTIONS,
    MAX_POOL_FUNCTIONS,
    MAX_POOLS,
    ChannelAffine,
    arguments_of,
    call_module,
    module_of,
)
from snncore.neurons import SpikingNeuron
from snncore.quantization import ActivationQuantizer

Kind = Literal["analog", "spikes", "current", "size"]
NeuronFactory = Callable[[str], SpikingNeuron]

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
SUBTRACTIONS = (operator.sub, operator.isub, torch.sub, "sub", "sub_")
MULTIPLICATIONS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
DIVISIONS = (operator.truediv, torch.div, "div", "div_")
NEGATIONS = (operator.neg, torch.neg, torch.negative, "neg", "negative")
MEANS = (torch.mean, "mean")
SUMS = (torch.sum, "sum")
SPLITS = (torch.chunk, "chunk", torch.split, "split")
CONCATENATIONS = (torch.cat, torch.concat)
RESHAPES = (torch.reshape, "reshape", "view")
SHAPES: tuple[Any, ...] = (torch.flatten, "flatten", torch.permute, "permute", torch.transpose, "transpose")
SHAPES += (operator.getitem, F.pad, F.interpolate, torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")
SIZE_ATTRIBUTES = ("shape", "ndim", "dtype", "device")
SHAPE_MODULES = (nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.PixelShuffle, nn.ChannelShuffle, nn.Upsample)
ADAPTIVE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
ADAPTIVE_POOL_FUNCTIONS = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, *ADAPTIVE_POOLS)
AVERAGE_POOL_FUNCTIONS = (F.avg_pool1d, F.avg_pool2d, *ADAPTIVE_POOL_FUNCTIONS)


@dataclass(frozen=True)
class Signal:
    """Kind of a node's output and, for spikes, their amplitude: 0-dimensional, or ``[C]`` per channel (dimension 1)."""

    kind: Kind
    amplitude: Tensor | None = None


ANALOG, CURRENT, SIZE = Signal("analog"), Signal("current"), Signal("size")


class Rewriter:
    """Rewrites a traced network in place; ``run`` returns the kind of every node's signal.

    ``encoder`` sends the images as spikes; without one they are shown as they are at every step (direct coding).
    """

    def __init__(
        self,
        traced: fx.GraphModule,
        calibration: Calibration,
        neuron: NeuronFactory,
        code: Code,
        encoder: InputEncoder | None = None,
    ) -> None:
        self.traced = traced
        self.graph = traced.graph
        self.shapes = calibration.shapes
        self.neuron = neuron
        self.timesteps = code.timesteps
        self.recurrences = code.recurrences
        self.encoder = encoder
        self.signals: dict[fx.Node, Signal] = {}
        self._pool_before_activation()
        self._fold_affine_into_linear()
        self.traced.recompile()

    def run(self) -> dict[fx.Node, Signal]:
        """Rewrite every node, or raise ConversionError for the first that has no spiking counterpart."""
        self._encode_input()
        self.sizes = BatchSizes(self.shapes)
        for node in list(self.graph.nodes):
            if node.op == "placeholder" or node.op == "get_attr":
                self.signals[node] = ANALOG
            elif node.op == "output":
                self._output(node)
            elif all(self.signals[n].kind == "size" for n in node.all_input_nodes) and node.all_input_nodes:
                self.signals[node] = SIZE
                self.sizes.follow(node)
            else:
                self._check_sizes(node)
                signal = self._rewrite(node)
                if node in self.graph.nodes:
                    self.signals[node] = signal
                if signal.kind == "size":
                    self.sizes.follow(node)
        self.graph.eliminate_dead_code()
        self.graph.lint()
        self.traced.recompile()
        self.traced.delete_all_unused_submodules()
        return self.signals

    # ---- one node -------------------------------------------------------------------------------------------------

    def _rewrite(self, node: fx.Node) -> Signal:
        module = module_of(self.traced, node)
        operation = type(module) if module is not None else node.target
        if isinstance(module, InputEncoder):
            return Signal("spikes", torch.tensor(module.amplitude, dtype=torch.float64))
        if isinstance(module, nn.ReLU):
            return self._activation(node)
        if isinstance(module, (*CONVOLUTIONS, nn.Linear, ChannelAffine)):
            return self._synapses(node, module)
        if isinstance(module, AVERAGE_POOLS) or operation in AVERAGE_POOL_FUNCTIONS:
            return self._average_pool(node, module)
        if isinstance(module, MAX_POOLS):
            return self._max_pool(node, module)
        if operation in (*MAX_POOL_FUNCTIONS, *ADAPTIVE_MAX_POOL_FUNCTIONS):
            raise self._refuse(node, "computes its windows", "write max-pooling windows as numbers")
        if operation in MEANS or operation in SUMS:
            return self._total(node)
        if operation in ADDITIONS or operation in SUBTRACTIONS:
            return self._addition(node)
        if operation in MULTIPLICATIONS or operation in DIVISIONS:
            return self._scaling(node)
        if operation in NEGATIONS:
            self._as_current(node)
            return self._linear_kind(node)
        if operation in SPLITS:
            return self._split(node)
        if operation in CONCATENATIONS:
            return self._concatenation(node)
        if operation in RESHAPES:
            return self._reshape(node)
        if operation == "size" or (operation is getattr and node.args[1] in SIZE_ATTRIBUTES):
            return SIZE
        if operation in SHAPES or isinstance(module, SHAPE_MODULES):
            return self._shape(node, module)
        raise self._refuse(node, "has no spiking counterpart")

    def _refuse(self, node: fx.Node, why: str, advice: str | None = None) -> ConversionError:
        module = module_of(self.traced, node)
        if module is not None:
            name = type(module).__name__
        else:
            name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        advice = advice or (
            "networks of ReLU, convolution, linear, batch-norm, average-pooling, residual, concatenation and shape "
            "operations can be converted: replace it and train again"
        )
        return ConversionError(f"operation '{name}' (node {node.name}) {why}; {advice}")

    def _check_sizes(self, node: fx.Node) -> None:
        size = self.sizes.misused_by(node, reshapes=node.target in RESHAPES)
        if size is not None:
            raise self._refuse(
                node,
                f"computes with the number of images in the batch (node {size.name})",
                "what becomes of an image must not depend on the others: use a constant, "
                "and the size of the batch only as the first size of a reshape or view",
            )

    def _kind(self, value: Any) -> Kind:
        return self.signals[value].kind if isinstance(value, fx.Node) else "analog"

    def _amplitude(self, node: fx.Node) -> Tensor:
        amplitude = self.signals[node].amplitude
        assert amplitude is not None
        return amplitude

    def _linear_kind(self, node: fx.Node) -> Signal:
        """Kind of a linear function of its inputs: analog if all are, else current."""
        return ANALOG if all(self._kind(n) in ("analog", "size") for n in node.all_input_nodes) else CURRENT

    def _insert(self, before: fx.Node, name: str, module: nn.Module, source: fx.Node) -> fx.Node:
        with self.graph.inserting_before(before):
            unique = f"{name}_{before.name}_{source.name}"
            self.traced.add_submodule(unique, module)
            return self.graph.call_module(unique, (source,))

    def _as_current(self, node: fx.Node) -> None:
        """Multiply incoming spikes by their amplitude, so that ``node`` sees currents."""
        for source in list(node.all_input_nodes):
            if self._kind(source) == "spikes":
                amplified = self._insert(node, "amplify", Amplify(self._amplitude(source)), source)
                self.signals[amplified] = CURRENT
                node.replace_input_with(source, amplified)

    # ---- activations ----------------------------------------------------------------------------------------------

    def _activation(self, node: fx.Node) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        quantized = isinstance(module_of(self.traced, node), ActivationQuantizer)
        spikes = self._kind(source) == "spikes" and bool((self._amplitude(source) >= 0).all())
        if spikes and not quantized and not self._is_input(source):
            signal = self.signals[source]  # a ReLU of what is not negative
            node.replace_all_uses_with(source)
            self.graph.erase_node(node)
            return signal
        self._as_current(node)
        neuron = self.neuron(node.name)
        constant = self._kind(node.args[0]) == "analog"
        call_module(self.traced, node, SpikingLayer(neuron, constant, self._is_scratch(node.args[0])), node.args)
        return Signal("spikes", torch.tensor(neuron.threshold, dtype=torch.float64))

    def _encode_input(self) -> None:
        image = next(node for node in self.graph.nodes if node.op == "placeholder")
        if self.encoder is None:
            return
        with self.graph.inserting_after(image):
            self.traced.add_submodule("encode_input", self.encoder)
            encoded = self.graph.call_module("encode_input", (image,))
        image.replace_all_uses_with(encoded, delete_user_cb=lambda user: user is not encoded)
        self.shapes = self.shapes | {encoded.name: self.shapes[image.name]}

    def _is_input(self, node: fx.Node) -> bool:
        """Whether ``node`` is the encoded input, whose spikes have signs, with no layer after it."""
        module = module_of(self.traced, node)
        if isinstance(module, (InputEncoder, SpikingLayer)):
            return isinstance(module, InputEncoder)
        return any(map(self._is_input, node.all_input_nodes))

    def _is_scratch(self, source: Any) -> bool:
        """Whether a signal is a fresh tensor that only one operation reads, so that this one may overwrite it."""
        if not isinstance(source, fx.Node) or len(source.users) > 1:
            return False
        fresh = isinstance(module_of(self.traced, source), (*CONVOLUTIONS, nn.Linear, ChannelAffine, AddSpikes))
        return fresh or source.target in ADDITIONS

    def _pool_before_activation(self) -> None:
        """Max-pooling right after a ReLU becomes max-pooling before it, if that is cheaper: they commute.

        Analog signals are pooled once. Where max-pooled spikes would not be spikes, the potentials are pooled instead.
        """
        for node in list(self.graph.nodes):
            pool = module_of(self.traced, node)
            if not isinstance(pool, MAX_POOLS):
                continue
            if pool.return_indices:
                raise self._refuse(node, "gives indices of single images", "drop return_indices")
            relu: Any = node.args[0]
            if not isinstance(module_of(self.traced, relu), nn.ReLU):
                continue
            if len(relu.users) > 1 or (self._pools_spikes and not self._is_analog(relu.args[0])):
                continue
            before: Any = relu.args[0]
            node.replace_all_uses_with(relu)
            node.replace_input_with(relu, before)
            relu.replace_input_with(before, node)
            node.append(relu)
            self.shapes = self.shapes | {relu.name: self.shapes[node.name]}

    @property
    def _pools_spikes(self) -> bool:
        """Whether max-pooled spikes are spikes; see ``MaxPool``."""
        return all(beta.is_integer() for beta in self.recurrences)

    def _fold_affine_into_linear(self) -> None:
        """Batch normalisation of ``[B, C]`` folds into the linear layer before it."""
        for node in list(self.graph.nodes):
            affine, source = module_of(self.traced, node), node.args[0] if node.args else None
            if not isinstance(affine, ChannelAffine) or not isinstance(source, fx.Node) or len(source.users) > 1:
                continue
            layer = module_of(self.traced, source)
            if not isinstance(layer, nn.Linear) or len(self.shapes[source.name]) != 2:
                continue
            scale, shift = affine.get_buffer("scale"), affine.get_buffer("shift")
            bias = shift if layer.bias is None else shift + scale * layer.bias.detach()
            layer.weight = nn.Parameter(layer.weight.detach() * scale[:, None], requires_grad=False)
            layer.bias = nn.Parameter(bias, requires_grad=False)
            node.replace_all_uses_with(source)
            self.graph.erase_node(node)

    def _is_analog(self, node: Any) -> bool:
        """Whether no ReLU lies before ``node``."""
        if not isinstance(node, fx.Node):
            return True
        return not isinstance(module_of(self.traced, node), nn.ReLU) and all(map(self._is_analog, node.all_input_nodes))

    # ---- synapses -------------------------------------------------------------------------------------------------

    def _synapses(self, node: fx.Node, module: nn.Module) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        if self._kind(source) == "spikes":
            amplitude = self._amplitude(source)
            linear_beyond_channels = isinstance(module, nn.Linear) and len(self.shapes[node.name]) > 2
            if amplitude.dim() == 1 and linear_beyond_channels:
                self._as_current(node)
            elif isinstance(module, ChannelAffine):
                scale = module.get_buffer("scale")
                module.scale = scale * amplitude.to(scale)
            else:
                module.weight = nn.Parameter(_scaled_weight(module, amplitude), requires_grad=False)
        return self._linear_kind(node)

    def _average_pool(self, node: fx.Node, module: nn.Module | None) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        window = self._pool_window(node, module, source)
        if self._kind(source) != "spikes":
            return self._linear_kind(node)
        if window is None:
            self._as_current(node)
            return CURRENT
        signal = Signal("spikes", self._amplitude(source) / math.prod(window.kernel))
        call_module(self.traced, node, window, (source,))
        return signal

    def _pool_window(self, node: fx.Node, module: nn.Module | None, source: fx.Node) -> SumPool | None:
        """The pooling as a sum over equal windows, or None where the divisor varies."""
        before, after = self.shapes[source.name][2:], self.shapes[node.name][2:]
        series = isinstance(module, (nn.AvgPool1d, nn.AdaptiveAvgPool1d)) or node.target in (F.avg_pool1d, F.adaptive_avg_pool1d)
        if len(before) != (1 if series else 2):
            return None
        if series:
            before, after = (1, *before), (1, *after)
        if isinstance(module, ADAPTIVE_POOLS) or node.target in ADAPTIVE_POOL_FUNCTIONS:
            if any(b % a for b, a in zip(before, after, strict=True)):
                return None
            kernel = (before[0] // after[0], before[1] // after[1])
            return SumPool(kernel, kernel, (0, 0), size=(before[0], before[1]))
        if module is not None:
            given: dict[str, Any] = {k: getattr(module, k) for k in _AVG_POOL_ARGUMENTS if hasattr(module, k)}
        else:
            given = arguments_of(node, ("input", *_AVG_POOL_ARGUMENTS))
        kernel = _pair(given["kernel_size"], 1 if series else None)
        stride = _pair(given.get("stride") or kernel, 1 if series else None)
        padding = _pair(given.get("padding", 0), 0 if series else None)
        uneven = any(padding) and not given.get("count_include_pad", True)
        if uneven or given.get("ceil_mode") or given.get("divisor_override"):
            return None
        return SumPool(kernel, stride, padding)

    def _max_pool(self, node: fx.Node, module: nn.Module) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        if self._kind(source) == "analog":
            return ANALOG
        if self._kind(source) == "spikes":
            amplitude = self._amplitude(source)
            one_per_window = amplitude.dim() == 0 or len(self.shapes[source.name]) == _dimensions(module) + 2
            if not (self._pools_spikes and one_per_window and bool((amplitude >= 0).all())):
                self._as_current(node)
        call_module(self.traced, node, MaxPool(module, self.timesteps, self.recurrences), node.args)
        return self.signals[node.args[0]]  # type: ignore[index]

    def _total(self, node: fx.Node) -> Signal:
        """Mean or sum over dimensions."""
        source = node.args[0]
        assert isinstance(source, fx.Node)
        given = arguments_of(node, ("input", "dim", "keepdim"))
        rank = len(self.shapes[source.name])
        dims = given.get("dim")
        dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
        dims = tuple(sorted(d % rank for d in dims))
        if not dims or 0 in dims:
            verb = "average" if node.target in MEANS else "sum"
            raise self._refuse(node, f"{verb}s over the batch", f"name the dimensions to {verb} over, without the first")
        if self._kind(source) != "spikes":
            return self._linear_kind(node)
        count = math.prod(self.shapes[source.name][d] for d in dims)
        if self._amplitude(source).dim() == 1 and 1 in dims:
            self._as_current(node)
            return CURRENT
        signal = Signal("spikes", self._amplitude(source) / (count if node.target in MEANS else 1))
        call_module(self.traced, node, Total(dims, bool(given.get("keepdim", False)), count), (source,))
        return signal

    # ---- arithmetic -----------------------------------------------------------------------------------------------

    def _addition(self, node: fx.Node) -> Signal:
        if node.kwargs.get("alpha", 1) != 1:
            raise self._refuse(node, "with alpha has no spiking counterpart", "write it as a product and a sum")
        if self._residual(node):
            return CURRENT
        self._as_current(node)
        signal = self._linear_kind(node)
        if signal.kind == "current":
            for source in list(node.all_input_nodes):
                if self._kind(source) == "analog" and source.op != "get_attr":
                    shown = self._insert(node, "present", PresentConstant(self.timesteps), source)
                    self.signals[shown] = CURRENT
                    node.replace_input_with(source, shown)
        return signal

    def _residual(self, node: fx.Node) -> bool:
        """Sum of a current and spikes of one amplitude, the common residual connection, as one operation."""
        operands: Any = node.args[:2]
        kinds = [self._kind(operand) for operand in operands]
        if node.target not in ADDITIONS or sorted(kinds) != ["current", "spikes"]:
            return False
        current, spikes = operands if kinds[0] == "current" else operands[::-1]
        if self.shapes[current.name] != self.shapes[spikes.name] or self._amplitude(spikes).dim():
            return False
        scratch = self._is_scratch(current)
        call_module(self.traced, node, AddSpikes(float(self._amplitude(spikes)), scratch), (current, spikes))
        return True

    def _scaling(self, node: fx.Node) -> Signal:
        if node.kwargs.get("rounding_mode"):
            raise self._refuse(node, "rounds, which is not linear", "divide without rounding_mode")
        moving = [n for n in node.all_input_nodes if n.op != "get_attr" and self._kind(n) != "size"]
        division_by_signal = node.target in DIVISIONS and moving and moving[0] is not node.args[0]
        if len(moving) > 1 or division_by_signal or node.args[0] is node.args[-1]:
            raise self._refuse(node, "of two signals is not linear")
        self._as_current(node)
        return self._linear_kind(node)

    def _concatenation(self, node: fx.Node) -> Signal:
        given = arguments_of(node, ("tensors", "dim"), {"dim": 0})
        if isinstance(given["tensors"], fx.Node):
            raise self._refuse(node, "concatenates parts that are not named one by one", "name each: torch.cat([a, b], 1)")
        parts, dim = list(given["tensors"]), given["dim"] % len(self.shapes[node.name])
        if dim == 0:
            raise self._refuse(node, "concatenates along the batch", "concatenate along another dimension")
        kinds = {self._kind(part) for part in parts}
        if kinds == {"analog"}:
            return ANALOG
        if kinds == {"spikes"}:
            amplitudes = [self._amplitude(part) for part in parts]
            if all(a.dim() == 0 and a == amplitudes[0] for a in amplitudes):
                return self.signals[parts[0]]
            if dim == 1:
                each = [a.expand(self.shapes[p.name][1]) for a, p in zip(amplitudes, parts, strict=True)]
                return Signal("spikes", torch.cat(each))
        self._as_current(node)
        return self._addition_like(node)

    def _addition_like(self, node: fx.Node) -> Signal:
        for source in list(node.all_input_nodes):
            if self._kind(source) == "analog":
                shown = self._insert(node, "present", PresentConstant(self.timesteps), source)
                self.signals[shown] = CURRENT
                node.replace_input_with(source, shown)
        return CURRENT

    # ---- shapes ---------------------------------------------------------------------------------------------------

    def _reshape(self, node: fx.Node) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        before, after = self.shapes[source.name], self.shapes[node.name]
        if before[0] != after[0]:
            raise self._refuse(node, "mixes samples of the batch", "keep the first dimension")
        self._keep_channels_apart(node, source, flat_channels=before[:2] == after[:2] or len(after) == 2)
        signal = self._reshaped(self.signals[node.args[0]], before, after)  # type: ignore[index]
        if signal.kind != "analog":
            call_module(self.traced, node, Reshape(tuple(after[1:])), (node.args[0],))
        return signal

    def _split(self, node: fx.Node) -> Signal:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        dim: Any = arguments_of(node, ("input", "pieces", "dim"), {"dim": 0})["dim"]
        if dim % len(self.shapes[source.name]) == 0:
            raise self._refuse(node, "splits the batch", "split along another dimension")
        if any(user.target is not operator.getitem or not isinstance(user.args[1], int) for user in node.users):
            raise self._refuse(node, "gives parts that are not taken one by one", "unpack them: a, b = x.chunk(2, 1)")
        self._keep_channels_apart(node, source, flat_channels=False)
        return self.signals[node.args[0]]  # type: ignore[index]

    def _shape(self, node: fx.Node, module: nn.Module | None) -> Signal:
        source = node.args[0]
        if not isinstance(source, fx.Node):
            return ANALOG
        if source.name not in self.shapes:  # the parts of a split
            return self.signals[source]
        before, after = self.shapes[source.name], self.shapes.get(node.name)
        if after is None or before[0] != after[0] or not _keeps_batch(node, len(before)):
            raise self._refuse(node, "changes the batch dimension", "keep the first dimension of every signal")
        interpolation = getattr(module, "mode", None) if isinstance(module, nn.Upsample) else None
        if node.target is F.interpolate:
            interpolation = arguments_of(node, _INTERPOLATE_ARGUMENTS).get("mode", "nearest")
        if interpolation not in (None, "nearest", "nearest-exact"):
            raise self._refuse(node, "interpolates spikes", "use mode='nearest'")
        if node.target is F.pad and not _pads_with_zeros(node):
            raise self._refuse(node, "pads with something else than zeros", "pad with zeros")
        everywhere = node.target in (torch.squeeze, "squeeze") and len(node.args) + len(node.kwargs) == 1
        flattens = isinstance(module, nn.Flatten) or node.target in (torch.flatten, "flatten")
        self._keep_channels_apart(node, source, flat_channels=flattens and len(after) == 2)
        signal = self._reshaped(self.signals[node.args[0]], before, after)  # type: ignore[index]
        if everywhere and signal.kind != "analog":  # a squeeze of every dimension would take a batch of one image too
            call_module(self.traced, node, Reshape(tuple(after[1:])), (node.args[0],))
        return signal

    def _keep_channels_apart(self, node: fx.Node, source: fx.Node, flat_channels: bool) -> None:
        """Per-channel amplitudes survive flattening only; elsewhere they are multiplied in."""
        if self._kind(source) == "spikes" and self._amplitude(source).dim() == 1 and not flat_channels:
            self._as_current(node)

    @staticmethod
    def _reshaped(signal: Signal, before: tuple[int, ...], after: tuple[int, ...]) -> Signal:
        if signal.amplitude is None or signal.amplitude.dim() == 0 or before[1] == after[1]:
            return signal
        return Signal(signal.kind, signal.amplitude.repeat_interleave(after[1] // before[1]))

    # ---- output ---------------------------------------------------------------------------------------------------

    def _output(self, node: fx.Node) -> None:
        if not any(isinstance(m, SpikingNeuron) for m in self.traced.modules()):
            raise ConversionError("the network has no ReLU to replace by spiking neurons: there is nothing to convert")
        self._check_sizes(node)
        self._as_current(node)
        if any(self._kind(n) == "analog" for n in node.all_input_nodes):
            raise ConversionError("an output of the network does not depend on any ReLU: there is nothing to convert")


class SpikingLayer(nn.Module):
    """A neuron in the graph: folds the timesteps out of the leading dimension and back.

    Args:
        neuron: the neuron.
        constant: the input is analog ``[B, ...]`` and the same at every step; otherwise it is ``[T*B, ...]``.
        scratch: the input may be overwritten.
    """

    def __init__(self, neuron: SpikingNeuron, constant: bool, scratch: bool) -> None:
        super().__init__()
        self.neuron = neuron
        self.constant = constant
        self.scratch = scratch

    def forward(self, x: Tensor) -> Tensor:
        """Spikes ``[T*B, ...]``."""
        timesteps = self.neuron.code.timesteps
        each = (timesteps, x.shape[0] // timesteps)
        currents = x.expand(timesteps, *x.shape) if self.constant else x.unflatten(0, each)
        return self.neuron(currents, inplace=self.scratch and not self.constant).flatten(0, 1)


_INTERPOLATE_ARGUMENTS = ("input", "size", "scale_factor", "mode")
_AVG_POOL_ARGUMENTS = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")


def _dimensions(pool: nn.Module) -> int:
    """Number of dimensions that a max-pooling layer pools over, the last ones."""
    return MAX_POOLS.index(type(pool)) % 3 + 1


def _pair(value: Any, height: int | None = None) -> tuple[int, int]:
    """Height and width from one number or two, or the width alone beside a given ``height``."""
    first, last = (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))
    return (first if height is None else height), last


def _scaled_weight(module: nn.Module, amplitude: Tensor) -> Tensor:
    """Weights for spikes of ``amplitude``: ``[out, in/groups, ...]`` times the amplitude of each input channel."""
    weight: Tensor = module.weight.detach()  # type: ignore[assignment,operator]
    amplitude = amplitude.to(weight.device, torch.float64)
    if amplitude.dim() == 1:
        groups = int(getattr(module, "groups", 1))
        per_group = amplitude.view(groups, -1).repeat_interleave(weight.shape[0] // groups, dim=0)
        amplitude = per_group.view(*per_group.shape, *[1] * (weight.dim() - 2))
    return (weight.double() * amplitude).to(weight.dtype)


def _keeps_batch(node: fx.Node, rank: int) -> bool:
    """Whether a shape operation leaves the first dimension alone, as far as its arguments tell."""
    arguments: Any = node.args[1:]
    if node.target is operator.getitem:
        index = arguments[0]
        first = index[0] if isinstance(index, tuple) else index
        return bool(first == slice(None, None, None)) or first is Ellipsis
    if node.target in (torch.permute, "permute"):
        order = arguments[0] if arguments and isinstance(arguments[0], (tuple, list)) else arguments
        return bool(order) and order[0] == 0
    if node.target in (torch.transpose, "transpose"):
        return all(dim % rank != 0 for dim in (*arguments, *node.kwargs.values()))
    if node.target in (torch.flatten, "flatten"):
        start = arguments[0] if arguments else node.kwargs.get("start_dim", 0)
        return bool(start != 0)
    return True


def _pads_with_zeros(node: fx.Node) -> bool:
    given = arguments_of(node, ("input", "pad", "mode", "value"))
    return given.get("mode", "constant") == "constant" and given.get("value") in (None, 0, 0.0)
