"""From a recorded network to a spiking one: each operation is rewritten by the rule of its name.

A rule (``snncore.conversion.rules``) says what comes out of an operation and what runs in its place. Amplitudes are folded
into the weights of the next layer: ``W <- v W`` (Algorithm 2 of the TMN paper up to one factor per layer, which moves between
a neuron's currents and its threshold). Biases stay as they are: a code's weights are normalised by their sum, so ``b`` at each
of the T steps decodes to ``b``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from snncore.coding import Code
from snncore.conversion.errors import ConversionError
from snncore.conversion.graph import ACTIVATIONS, Node, RecordedNetwork, Stored, Value, names_in, run_operation
from snncore.conversion.operations import (
    AddSpikes,
    ChannelAffine,
    Operation,
    PresentConstant,
    SpikingLayer,
    Synapses,
)
from snncore.conversion.order import needed
from snncore.conversion.signals import Kind, Program, Signal, Step
from snncore.encoders import InputEncoder
from snncore.neurons import SpikingNeuron

NeuronFactory = Callable[[str], SpikingNeuron]
"""Name of an activation to its neuron."""
Rule = Callable[["Rewriter", Node], Signal]
RULES: dict[str, Rule] = {}


def rule(*operations: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of the operations of these ATen names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operations, function))
        return function

    return register


LAYERS = (*(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)), "linear", "matmul", "mm", "addmm")
MAX_POOLS = tuple(f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3))

BUSY = (*ACTIVATIONS, *LAYERS, *MAX_POOLS)
"""Operations that are never computed from the decoded output."""


class Rewriter:
    """Rewrites a recorded network once.

    Args:
        network: the recorded network, which stays as it is.
        neuron: makes the neuron of an activation, in the order of the network.
        code: of the spike trains.
        encoder: sends the images as spikes; without one they are shown as they are at every step (direct coding).
    """

    def __init__(self, network: RecordedNetwork, neuron: NeuronFactory, code: Code, encoder: InputEncoder | None = None) -> None:
        self.network, self.neuron, self.code, self.encoder = network, neuron, code, encoder
        self.timesteps = code.timesteps
        self.signals: dict[str, Signal] = {}
        self.steps: dict[str, Step] = {}
        self.modules: dict[str, nn.Module] = {}
        self.deferred = self._pooled_first()
        self.pooled = set(self.deferred.values())
        self.last = self._after_all_neurons()
        self._feeding: dict[tuple[str, ...], set[str]] = {}

    @property
    def pools_spikes(self) -> bool:
        """Whether max-pooled spikes are spikes; see ``MaxPool``."""
        return all(beta.is_integer() for beta in self.code.recurrences)

    def run(self) -> Program:
        """Rewrite every node, or raise ConversionError for the first that has no spiking counterpart."""
        if not self.network.activations:
            for node in self.network.nodes.values():
                if node.operation not in (*RULES, "input"):
                    raise self.refuse(node, "has no spiking counterpart")
            raise ConversionError("the network has no ReLU to replace by spiking neurons: there is nothing to convert")
        for node in self.network.nodes.values():
            self.signals[node.name] = self._signal_of(node)
        outputs = self._outputs()
        order = needed({step.name: step.inputs for step in self.steps.values()}, names_in(outputs), ())
        modules = {name: self.modules[name] for name in order}
        program = Program([self.steps[n] for n in order], modules, outputs, self.network.image, next(iter(self.network.nodes)))
        _mark_scratch(program)
        return program

    # ---- what rules call ------------------------------------------------------------------------------------------

    def signal(self, value: Any) -> Signal:
        """The signal of an argument that is one."""
        return self.signals[value.name]

    def constant(self, value: Any) -> Any:
        """An argument that is a stored tensor or a number."""
        return self.network.tensor(value).detach() if isinstance(value, Stored) else value

    def emit(
        self, name: str, module: nn.Module, inputs: list[Signal], kind: Kind, shape: tuple[int, ...], **spikes: Any
    ) -> Signal:
        """Add a step. ``spikes``: amplitude, offset and sign of its signal."""
        self.modules[name] = module
        self.steps[name] = Step(name, [signal.step for signal in inputs], kind, shape)
        return Signal(name, kind, shape, **spikes)

    def operation(self, node: Node, inputs: list[Signal], kind: Kind, made: type[Operation] = Operation, **spikes: Any) -> Signal:
        """Add the operation of the trained network itself."""
        tensors = {name: self.network.tensor(Stored(name)) for name in node.stored}
        return self.emit(node.name, made(node, tensors), inputs, kind, node.shape, **spikes)

    def linear(self, node: Node) -> Signal:
        """A linear function of its inputs: analog if all are, else a current."""
        inputs = [self.current(self.signals[name], node) for name in node.inputs]
        if all(signal.kind == "analog" for signal in inputs):
            return self.operation(node, inputs, "analog")
        return self.operation(node, [self.shown(signal, node) for signal in inputs], "current")

    def current(self, signal: Signal, node: Node) -> Signal:
        """Spikes times their amplitude; other signals as they are."""
        if signal.kind != "spikes":
            return signal
        module = ChannelAffine(signal.scale, signal.offset)
        return self.emit(f"amplify_{node.name}_{signal.step}", module, [signal], "current", signal.shape)

    def shown(self, signal: Signal, node: Node) -> Signal:
        """An analog signal at every timestep; other signals as they are."""
        if signal.kind != "analog":
            return signal
        return self.emit(f"present_{node.name}_{signal.step}", PresentConstant(self.timesteps), [signal], "current", signal.shape)

    def feeds_layers(self, node: Node, through: tuple[str, ...] = ()) -> bool:
        """Whether nothing but layers with weights reads a signal, at once or ``through`` others: amplitudes are free there."""
        if through not in self._feeding:
            found = self._feeding[through] = set()
            for each in reversed(self.network.nodes.values()):
                users = [self.network.nodes[name] for name in self.network.users[each.name]]
                ends = [u.operation in LAYERS or (u.operation in through and u.name in found) for u in users]
                found.update([each.name] if users and all(ends) else [])
        return node.name in self._feeding[through]

    def amplitude_behind(self, node: Node, signals: list[Signal]) -> Tensor | None:
        """Amplitudes of spikes behind an operation that moves values or scales them, by running it on the amplitudes.

        None where a signal is not spikes, or has an offset that would have to be moved along, or where amplitudes come to differ
        between the parts of an image (see ``Node``).
        """
        if any(signal.kind != "spikes" or signal.offset is not None for signal in signals):
            return None
        maps = {
            name: signal.scale.to("cpu", torch.float64).expand(self.network.nodes[name].parts, *signal.shape)
            for name, signal in zip(node.inputs, signals, strict=True)
        }
        found = _reduced(self.result(node, maps))
        return found if found.dim() == 0 else found[0] if len(found) == 1 else None

    def result(self, node: Node, values: dict[str, Tensor]) -> Tensor:
        """The operation of a node on float64 values ``[B, ...]`` of its inputs."""

        def tensor(stored: Stored) -> Tensor:
            value = self.network.tensor(stored).detach().to("cpu")
            return value.double() if value.is_floating_point() else value

        found: Tensor = run_operation(node, dict(values), tensor)
        return found

    def refuse(self, node: Node, why: str, advice: str | None = None) -> ConversionError:
        """The error that tells the user's source line, what is wrong and what can be done."""
        advice = advice or "replace it by operations that have one, such as ReLU, and train again"
        return ConversionError(f"{node.origin}: '{node.operation}' (node {node.name}) {why}; {advice}")

    # ---- one node -------------------------------------------------------------------------------------------------

    def _signal_of(self, node: Node) -> Signal:
        if node.operation == "input":
            images = Signal(node.name, "analog", node.shape)
            if self.encoder is None:
                return images
            amplitude = torch.tensor(self.encoder.amplitude, dtype=torch.float64)
            return self.emit("encode_input", self.encoder, [images], "spikes", node.shape, amplitude=amplitude, signed=True)
        if any(self.signals[name].kind == "decoded" for name in node.inputs):
            return self._decoded(node)
        if node.name in self.pooled:
            return self.signals[node.source]
        try:
            if node.operation not in RULES:
                raise self.refuse(node, "has no spiking counterpart")
            signal = RULES[node.operation](self, node)
        except ConversionError:
            if node.name not in self.last or node.operation in BUSY:
                raise
            return self._decoded(node)
        if node.name in self.deferred:
            return self.activation(self.network.nodes[self.deferred[node.name]], signal)
        return signal

    def activation(self, node: Node, source: Signal) -> Signal:
        """The neuron of an activation with this input."""
        plain = node.operation == "relu" and node.module is None
        if plain and source.kind == "spikes" and not source.signed and source.offset is None and bool((source.scale >= 0).all()):
            return source  # a ReLU of what is not negative
        source = self.current(source, node)
        self.source_of_neuron = source
        neuron = self.neuron(node.name)
        layer = SpikingLayer(neuron, source.kind == "analog")
        amplitude = torch.tensor(neuron.threshold, dtype=torch.float64)
        return self.emit(node.name, layer, [source], "spikes", source.shape, amplitude=amplitude)

    def _decoded(self, node: Node) -> Signal:
        """Compute the operation once, from the decoded output."""
        return self.operation(node, [self.current(self.signals[name], node) for name in node.inputs], "decoded")

    def _outputs(self) -> Any:
        outputs = {name: self.signals[name] for name in names_in(self.network.outputs)}
        if any(signal.kind == "analog" for signal in outputs.values()) or not outputs:
            raise ConversionError("an output of the network does not depend on any ReLU: there is nothing to convert")
        end = Node("output", "output", "", {}, (), "the output")
        steps = {name: Value(self.current(signal, replace(end, name=f"output_{name}")).step) for name, signal in outputs.items()}
        return tree_map(lambda leaf: steps[leaf.name] if isinstance(leaf, Value) else leaf, self.network.outputs)

    # ---- the whole ------------------------------------------------------------------------------------------------

    def _pooled_first(self) -> dict[str, str]:
        """Max-pooling right after a ReLU that is cheaper before it, by the name of the pooling: they commute.

        Analog signals are pooled once. Where max-pooled spikes would not be spikes, the potentials are pooled instead.
        """
        spiking: set[str] = set()
        for node in self.network.nodes.values():
            if node.operation in ACTIVATIONS or not spiking.isdisjoint(node.inputs):
                spiking.add(node.name)
        found, outputs = {}, names_in(self.network.outputs)
        for node in self.network.nodes.values():
            if node.operation in MAX_POOLS:
                relu = self.network.nodes[node.source]
                alone = relu.operation in ACTIVATIONS and self.network.users[relu.name] == [node.name]
                alone = alone and relu.name not in outputs
                if alone and not (self.pools_spikes and relu.source in spiking):
                    found[node.name] = relu.name
        return found

    def _after_all_neurons(self) -> set[str]:
        """Nodes behind which neither a neuron nor a layer with weights comes: these may be computed from the decoded output."""
        busy: set[str] = set()
        for node in reversed(self.network.nodes.values()):
            users = [self.network.nodes[name] for name in self.network.users[node.name]]
            if any(user.name in busy or user.operation in BUSY for user in users):
                busy.add(node.name)
        return set(self.network.nodes) - busy


def _mark_scratch(program: Program) -> None:
    """A fresh tensor that only one operation reads may be overwritten by it."""
    readers = Counter([name for step in program.steps for name in step.inputs] + list(names_in(program.outputs)))
    for step in program.steps:
        module, before = program.modules[step.name], program.modules.get(step.inputs[0])
        if isinstance(module, (SpikingLayer, AddSpikes)):
            sums = type(before) is Operation and before.node.operation in ("add", "sub")
            fresh = isinstance(before, (Synapses, ChannelAffine, AddSpikes)) or sums
            module.scratch = fresh and readers[step.inputs[0]] == 1


def _reduced(amplitudes: Tensor) -> Tensor:
    """Amplitudes of all values of an image, NaN where there is none, with size 1 in dimensions along which they are the same."""
    for dim in range(amplitudes.dim()):
        largest = amplitudes.nan_to_num(nan=-torch.inf).amax(dim, keepdim=True)
        if bool(((amplitudes == largest) | amplitudes.isnan()).all()):
            amplitudes = largest
    amplitudes = torch.where(amplitudes.isfinite(), amplitudes, amplitudes[amplitudes.isfinite()].amax())
    return amplitudes.flatten()[0].clone() if amplitudes.numel() == 1 else amplitudes.clone()
