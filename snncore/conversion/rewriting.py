"""From a recorded network to a spiking one: each operation is rewritten by the rule of its name.

A rule (``snncore.conversion.rules``) says what comes out of an operation and what runs in its place. Amplitudes are folded
into the weights of the next layer: ``W <- v W`` (Algorithm 2 of the TMN paper up to one factor per layer, which moves between
a neuron's currents and its threshold). Biases stay as they are: a code's weights are normalised by their sum, so ``b`` at each
of the T steps decodes to ``b``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from snncore.coding import Code
from snncore.conversion.graph import ACTIVATIONS, ConversionError, Node, RecordedNetwork, Stored, Value, mixes, names_in, needed
from snncore.conversion.operations import AddSpikes, ChannelAffine, Operation, PresentConstant, SpikingLayer, Synapses
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


def refusal(node: Node, why: str, advice: str | None = None) -> ConversionError:
    """The error that tells the user's source line, what is wrong and what can be done."""
    advice = advice or "replace it by operations that have one, such as ReLU, and train again"
    return ConversionError(f"{node.origin}: '{node.operation}' (node {node.name}) {why}; {advice}")


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
        self.pools_spikes = all(beta.is_integer() for beta in code.recurrences)
        """Whether max-pooled spikes are spikes; see ``MaxPool``."""
        self.signals: dict[str, Signal] = {}
        self.steps: dict[str, Step] = {}
        self.modules: dict[str, nn.Module] = {}
        self.deferred = self._pooled_first()
        # Behind these neither a neuron nor a layer with weights comes: they may be computed from the decoded output.
        self._last = found(network, lambda users, last: all(u.name in last and u.operation not in BUSY for u in users))
        self._feeding: dict[tuple[str, ...], set[str]] = {}

    def run(self) -> Program:
        """Rewrite every node, or raise ConversionError for the first that has no spiking counterpart."""
        nodes = self.network.nodes.values()
        if not self.network.activations:
            for node in nodes:
                if node.operation not in (*RULES, "input"):
                    raise self.refuse(node, "has no spiking counterpart")
            raise ConversionError("the network has no ReLU to replace by spiking neurons: there is nothing to convert")
        for node in nodes:
            self.signals[node.name] = self._signal_of(node)
        ends = {name: self.signals[name] for name in names_in(self.network.outputs)}
        if any(signal.kind == "analog" for signal in ends.values()) or not ends:
            raise ConversionError("an output of the network does not depend on any ReLU: there is nothing to convert")
        names = {Value(name): Value(self.current(signal, f"output_{name}").step) for name, signal in ends.items()}
        outputs = tree_map(lambda leaf: names[leaf] if isinstance(leaf, Value) else leaf, self.network.outputs)
        program = Program.of(self.steps, self.modules, outputs, self.network.inputs)
        readers = Counter([*names_in(outputs), *(source for step in program.steps for source in step.inputs)])
        for step in program.steps:
            source = step.inputs[0]
            _mark_scratch(self.modules[step.name], self.modules.get(source), readers[source] == 1)
        return program

    # ---- what rules call ------------------------------------------------------------------------------------------

    def constant(self, argument: Any) -> Any:
        """An argument that is a stored tensor or a number."""
        return getattr(self.network, argument.name).detach() if isinstance(argument, Stored) else argument

    def emit(
        self, name: str, module: nn.Module, inputs: list[Signal], kind: Kind, shape: tuple[int, ...], **spikes: Any
    ) -> Signal:
        """Add a step. ``spikes``: amplitude, offset and sign of its signal."""
        self.modules[name] = module
        self.steps[name] = Step(name, [signal.step for signal in inputs], kind, shape)
        return Signal(name, kind, shape, **spikes)

    def operation(self, node: Node, inputs: list[Signal], kind: Kind, made: type[Operation] = Operation, **spikes: Any) -> Signal:
        """Add the operation of the trained network itself."""
        tensors = {name: getattr(self.network, name) for name in node.stored}
        return self.emit(node.name, made(node, tensors), inputs, kind, node.shape, **spikes)

    def linear(self, node: Node) -> Signal:
        """A linear function of its inputs: analog if all are, else a current, for which analog ones are shown at every step."""
        inputs = [self.current(self.signals[name], node.name) for name in node.inputs]
        if all(signal.kind == "analog" for signal in inputs):
            return self.operation(node, inputs, "analog")
        for i, signal in enumerate(inputs):
            if signal.kind == "analog":
                name, layer = f"present_{node.name}_{signal.step}", PresentConstant(self.code.timesteps)
                inputs[i] = self.emit(name, layer, [signal], "current", signal.shape)
        return self.operation(node, inputs, "current")

    def current(self, signal: Signal, reader: str) -> Signal:
        """Spikes times their amplitude, for a reader of that name; other signals as they are."""
        if signal.kind != "spikes":
            return signal
        layer = ChannelAffine(signal.amplitude, signal.offset)
        return self.emit(f"amplify_{reader}_{signal.step}", layer, [signal], "current", signal.shape)

    def feeds_layers(self, node: Node, through: tuple[str, ...] = ()) -> bool:
        """Whether nothing but layers with weights reads a signal, at once or ``through`` others: amplitudes are free there."""

        def holds(users: list[Node], feeding: set[str]) -> bool:
            ends = [u.operation in LAYERS or (u.operation in through and u.name in feeding) for u in users]
            return bool(users) and all(ends)

        if through not in self._feeding:
            self._feeding[through] = found(self.network, holds)
        return node.name in self._feeding[through]

    def amplitude_behind(self, node: Node, signals: list[Signal]) -> Tensor | None:
        """Amplitudes of spikes behind an operation that moves values or scales them, by running it on the amplitudes.

        None where a signal is not spikes, or has an offset that would have to be moved along, or where amplitudes come to differ
        between the parts of an image (see ``Node``).
        """
        if any(signal.kind != "spikes" or signal.offset is not None for signal in signals):
            return None
        maps = {
            name: signal.amplitude.to("cpu", torch.float64).expand(self.network.nodes[name].parts, *signal.shape)
            for name, signal in zip(node.inputs, signals, strict=True)
        }
        found = _reduced(self.result(node, maps))
        return found if found.dim() == 0 else found[0] if len(found) == 1 else None

    def result(self, node: Node, values: dict[str, Tensor]) -> Tensor:
        """The operation of a node on float64 values ``[B, ...]`` of its inputs."""

        def tensor(name: str) -> Tensor:
            value: Tensor = getattr(self.network, name).detach().to("cpu")
            return value.double() if value.is_floating_point() else value

        return node.run(values, tensor)  # type: ignore[no-any-return]

    refuse = staticmethod(refusal)

    def activation(self, node: Node, source: Signal) -> Signal:
        """The neuron of an activation with this input, or the input where that is spikes that are not negative."""
        plain = node.operation == "relu" and node.module is None and not source.signed and source.offset is None
        if plain and source.kind == "spikes" and bool((source.amplitude >= 0).all()):
            return source
        self.source_of_neuron = source = self.current(source, node.name)
        neuron = self.neuron(node.name)
        amplitude = torch.tensor(neuron.threshold, dtype=torch.float64)
        layer = SpikingLayer(neuron, source.kind == "analog")
        return self.emit(node.name, layer, [source], "spikes", source.shape, amplitude=amplitude)

    # ---- one node -------------------------------------------------------------------------------------------------

    def _signal_of(self, node: Node) -> Signal:
        if node.dim != 0:
            raise mixes(node.origin, node.operation)
        if node.operation == "input":
            images = Signal(node.name, "analog", node.shape)
            if self.encoder is None:
                return images
            amplitude = torch.tensor(self.encoder.amplitude, dtype=torch.float64)
            return self.emit("encode_input", self.encoder, [images], "spikes", node.shape, amplitude=amplitude, signed=True)
        decoded = any(self.signals[name].kind == "decoded" for name in node.inputs)
        if not decoded and node.name in self.deferred.values():
            return self.signals[node.source]
        try:
            if not decoded and node.operation not in RULES:
                raise self.refuse(node, "has no spiking counterpart")
            signal = None if decoded else RULES[node.operation](self, node)
        except ConversionError:
            if node.name not in self._last or node.operation in BUSY:
                raise
            signal = None
        if signal is None:  # computed once, from the decoded output
            return self.operation(node, [self.current(self.signals[name], node.name) for name in node.inputs], "decoded")
        relu = self.deferred.get(node.name)
        return self.activation(self.network.nodes[relu], signal) if relu else signal

    # ---- the whole ------------------------------------------------------------------------------------------------

    def _pooled_first(self) -> dict[str, str]:
        """Max-pooling right after a ReLU that is cheaper before it, by the name of the pooling: they commute.

        Analog signals are pooled once. Where max-pooled spikes would not be spikes, the potentials are pooled instead.
        """
        nodes, found, outputs = self.network.nodes, {}, names_in(self.network.outputs)
        for pool in [node for node in nodes.values() if node.operation in MAX_POOLS]:
            relu = nodes[pool.source]
            if relu.operation in ACTIVATIONS and self.network.users[relu.name] == [pool.name] and relu.name not in outputs:
                spiking = any(nodes[name].operation in ACTIVATIONS for name in needed(self.network.order, relu.inputs))
                if not (self.pools_spikes and spiking):
                    found[pool.name] = relu.name
        return found


def found(network: RecordedNetwork, holds: Callable[[list[Node], set[str]], bool]) -> set[str]:
    """Nodes for which something holds of the nodes that read them and of all that were found behind them."""
    names: set[str] = set()
    for name in reversed(network.nodes):
        if holds([network.nodes[user] for user in network.users[name]], names):
            names.add(name)
    return names


def _mark_scratch(layer: nn.Module, before: nn.Module | None, alone: bool) -> None:
    """A fresh tensor that only one operation reads may be overwritten by it."""
    if isinstance(layer, (SpikingLayer, AddSpikes)):
        sums = type(before) is Operation and before.node.operation in ("add", "sub")
        layer.scratch = alone and (sums or isinstance(before, (Synapses, ChannelAffine, AddSpikes)))


def _reduced(amplitudes: Tensor) -> Tensor:
    """Amplitudes of all values of an image, NaN where there is none, with size 1 in dimensions along which they are the same."""
    for dim in range(amplitudes.dim()):
        largest = amplitudes.nan_to_num(nan=-torch.inf).amax(dim, keepdim=True)
        if bool(((amplitudes == largest) | amplitudes.isnan()).all()):
            amplitudes = largest
    amplitudes = torch.where(amplitudes.isfinite(), amplitudes, amplitudes[amplitudes.isfinite()].amax())
    return amplitudes.flatten()[0].clone() if amplitudes.numel() == 1 else amplitudes.clone()
