"""Networks with attention, softmax or normalisation, on running estimates: what is computed once, what is coded, and where.

Neurons stand where the operations ask for them: behind each ReLU, and before each operation with synapses (a layer with weights,
a product of two signals) that would read real values, signed ones there. No class or module name matters. Between neurons the
trained network's own operations run on estimates ``E[L+1..T]``, the only ones that a neuron with a pre-charge of L steps reads
(``snncore.neurons.estimates``): T - L evaluations of each, in one batch. A constant counts in full from the first step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from snncore.conversion.graph import ACTIVATIONS, ConversionError, Node, RecordedNetwork, Value, mixes, names_in
from snncore.conversion.operations import Estimating, Evaluation, PresentConstant
from snncore.conversion.rewriting import BUSY, LAYERS, RULES, NeuronFactory, found, refusal
from snncore.conversion.rules.functions import FUNCTIONS
from snncore.conversion.rules.products import ELEMENTWISE, PRODUCTS, factors, is_product
from snncore.conversion.rules.shapes import MOVES
from snncore.conversion.signals import Kind, Layout, Program, Step

MASKS = {"masked_fill": "mask", "where": "condition"}
"""Operations that choose by an argument which must not depend on any neuron."""
LINEAR = {*RULES, "mul", *MASKS} - {*ACTIVATIONS, *LAYERS}
MATRIX_PRODUCTS = set(PRODUCTS) - {"mul"}
CONSTANT = ("input", "every_image", "image_numbers")


def computed_last(network: RecordedNetwork) -> set[str]:
    """Nodes behind which neither a neuron nor a layer comes: they may be computed from the decoded output."""
    busy = {*BUSY, *MATRIX_PRODUCTS}
    return found(network, lambda users, last: all(user.name in last and user.operation not in busy for user in users))


def divides_by_signal(node: Node) -> bool:
    """Whether a signal is a divisor."""
    return node.operation == "div" and isinstance(node["other"], Value)


def is_estimated(network: RecordedNetwork) -> bool:
    """Whether a network needs estimates: a function, an embedding or a product of two signals before the last neuron."""
    last = computed_last(network)

    def asks(node: Node) -> bool:
        late = node.name in last and node.operation not in MATRIX_PRODUCTS
        given = node.operation in (*FUNCTIONS, "embedding", "quantize")
        given |= is_product(node) or divides_by_signal(node)
        return given and not late

    return any(asks(node) for node in network.nodes.values())


class Placement:
    """What each node of a network puts out, and which signals are coded before an operation reads them.

    Attributes:
        kinds: as in ``signals``, by node; ``weighted`` is analog and behind a layer with weights or an embedding.
        sites: nodes whose value a signed neuron codes, in order.
        sums: layers with weights whose output goes into a sum or a function before it is coded; quantised networks code it too.
        operands: of each node with synapses, the signals that it reads as spikes.
        layouts: where the images are, by node.
    """

    def __init__(self, network: RecordedNetwork) -> None:
        self.network = network
        self.kinds: dict[str, str] = {}
        self.sites: dict[str, Node] = {}
        self.operands: dict[str, list[str]] = {}
        self.layouts: dict[str, Layout] = {}
        self._last = computed_last(network)
        for node in network.nodes.values():
            self.layouts[node.name] = self._layout(node)
            self.kinds[node.name] = self._kind(node)
        coded = found(network, lambda users, names: bool(users) and all(self._codes(user, names) for user in users))
        layers = {name: node for name, node in network.nodes.items() if node.operation in LAYERS and not is_product(node)}
        self.sums = {name: node for name, node in layers.items() if name not in {*coded, *self.sites, *self._last}}

    @property
    def signed(self) -> dict[str, Node]:
        """Signals of either sign that a quantised network codes: ``sites`` and ``sums``, in order."""
        return {name: node for name, node in self.network.nodes.items() if name in self.sites or name in self.sums}

    def _codes(self, user: Node, names: set[str]) -> bool:
        """Whether a node only moves values to where they are coded; ``names``: nodes of which all users do."""
        return user.operation in ACTIVATIONS or user.name in self.sites or (user.operation in MOVES and user.name in names)

    def _kind(self, node: Node) -> str:
        kinds = {name: self.kinds[name] for name in node.inputs}
        moving = [name for name, kind in kinds.items() if kind in ("spikes", "current")]
        if node.operation in CONSTANT:
            return "analog"
        if "decoded" in kinds.values():
            return "decoded"
        if node.operation in ACTIVATIONS:
            return "spikes"
        if (read := self._read(node, kinds, moving)) is not None:
            coded = [name for name in read if kinds[name] != "analog"]
            self.sites |= {name: self.network.nodes[name] for name in coded if kinds[name] != "spikes"}
            self.operands[node.name] = coded
            return "current" if coded else "weighted"
        if not moving:
            return "weighted" if "weighted" in kinds.values() or node.operation == "embedding" else "analog"
        function, linear = node.operation in FUNCTIONS or divides_by_signal(node), self._is_linear(node, moving)
        if not linear and node.name in self._last and node.operation not in BUSY:
            return "decoded"
        if not function and not linear:
            raise refusal(node, "has no spiking counterpart")
        moved = node.operation in MOVES and not node.get("value", 0.0)
        return "spikes" if moved and all(kind == "spikes" for kind in kinds.values()) else "current"

    @staticmethod
    def _is_linear(node: Node, moving: list[str]) -> bool:
        """Whether an operation is linear in the signals that change."""
        chooses = getattr(node.get(MASKS.get(node.operation, "")), "name", "") in moving
        product = is_product(node) and all(name in moving for name in factors(node))
        plain = not node.get("rounding_mode") and not divides_by_signal(node)
        return node.operation in LINEAR and plain and not chooses and not product

    def _read(self, node: Node, kinds: dict[str, str], moving: list[str]) -> list[str] | None:
        """The signals that an operation with synapses reads as spikes; None for another operation."""
        if node.operation == "mul":
            both = is_product(node) and moving and all(kinds[name] != "analog" for name in factors(node))
            return factors(node) if both and node.name not in self._last else None
        if node.operation in PRODUCTS:
            return factors(node)
        if node.operation in LAYERS:
            if isinstance(node.get("weight"), Value) or isinstance(node.get("bias"), Value):
                raise refusal(node, "has weights that are signals", "keep the weights constant")
            return [node.source]
        return None

    def _layout(self, node: Node) -> Layout:
        """Which entries of the images' dimension are whose; refuses what joins or mixes images."""
        rank = len(node.shape) + 1
        along = node.get("dim") if node.operation in ("cat", "stack") or "softmax" in node.operation else None
        attends = is_product(node) and node.operation not in ELEMENTWISE and node.dim >= rank - 2
        if attends or (along is not None and along % rank == node.dim):
            raise mixes(node.origin, node.operation)
        if node.operation == "reshape":
            before = self.network.nodes[node.source]
            marks = self.layouts[node.source].mark(before.sizes(2 * before.parts)).reshape(node.sizes(2 * node.parts))
            for outer in range(1, node.parts + 1):
                layout = Layout(node.dim, outer)
                if node.parts % outer == 0 and torch.equal(marks, layout.mark(node.sizes(2 * node.parts))):
                    return layout
            raise mixes(node.origin, node.operation)
        alike = [name for name in node.inputs if self.network.nodes[name].parts == node.parts]
        return Layout(node.dim, self.layouts[alike[0]].outer if alike and node.parts > 1 else 1)


def spiking_program(placement: Placement, neuron: NeuronFactory, frames: int) -> Program:
    """The steps of the spiking network, with ``frames`` = T - L estimates of every signal that changes."""
    network, steps, modules, layouts = placement.network, dict[str, Step](), dict[str, nn.Module](), dict[str, Layout]()
    kinds: dict[str, Kind] = {}

    def emit(name: str, module: nn.Module, inputs: list[str], kind: Kind, node: Node) -> str:
        steps[name], modules[name] = Step(name, inputs, kind, node.shape), module
        kinds[name], layouts[name] = kind, placement.layouts[node.name]
        return name

    def coded(name: str) -> str:
        constant = kinds.get(name, "analog") == "analog"
        spikes = f"{name}_spikes"
        if spikes not in steps:
            emit(spikes, Estimating(neuron(spikes), constant, placement.layouts[name]), [name], "spikes", network.nodes[name])
        return spikes

    def shown(name: str) -> str:
        if kinds.get(name, "analog") != "analog":
            return name
        layer = PresentConstant(frames, placement.layouts[name])
        return emit(f"present_{name}", layer, [name], "current", network.nodes[name])

    for node in network.nodes.values():
        kind = placement.kinds[node.name]
        if node.operation == "input":
            continue
        if node.operation in ACTIVATIONS and kind == "spikes":
            constant = kinds.get(node.source, "analog") == "analog"
            layer = Estimating(neuron(node.name), constant, placement.layouts[node.source])
            emit(node.name, layer, [node.source], "spikes", node)
            continue
        operands = placement.operands.get(node.name, [])
        read = [coded(name) if name in placement.sites and name in operands else name for name in node.inputs]
        if kind in ("spikes", "current"):
            read = [shown(name) for name in read]
        tensors = {name: getattr(network, name) for name in node.stored}
        sources = [network.nodes[name] for name in node.inputs]
        free = node.operation in (*LINEAR, *LAYERS, *PRODUCTS) or (not operands and kind == "analog")
        made: Any = Evaluation(node, tensors, operands, sources, free)
        emit(node.name, made, read, "analog" if kind == "weighted" else kind, node)  # type: ignore[arg-type]
    ends = names_in(network.outputs)
    if not any(isinstance(module, Estimating) for module in modules.values()):
        raise ConversionError("the network has nothing to replace by spiking neurons: there is nothing to convert")
    if any(kinds.get(name, "analog") == "analog" for name in ends) or not ends:
        raise ConversionError("an output of the network does not depend on any neuron: there is nothing to convert")
    return Program.of(steps, modules, network.outputs, network.inputs, layouts)
