"""A recorded network: one functional list of ATen operations that runs, trains and is converted as often as one likes."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from snncore.conversion.inputs import Given, Inputs
from snncore.quantization import ActivationQuantizer

ACTIVATIONS = ("relu", "clip", "quantize")
"""Operations that become neurons; a quantised activation is a ``relu`` with a module, a signal of either sign a ``quantize``."""


class ConversionError(ValueError):
    """The network cannot be converted; one line that names the operation and says what can be done."""


@dataclass(frozen=True)
class Value:
    """The result of a node, by name."""

    name: str


@dataclass(frozen=True)
class Stored:
    """A tensor of the network, by name: a parameter, a buffer, or a constant that was computed from them."""

    name: str


@dataclass
class Node:
    """One operation.

    Attributes:
        name: its own, such as ``relu_3``; neurons are found by it.
        operation: ATen name without overload, such as ``conv2d``.
        overload: of the operation.
        arguments: by the names of ATen's schema: ``Value``, ``Stored``, numbers, and lists of these.
        shape: of the result for one image, without the dimension of the images.
        origin: the user's source line, and the module that it stands in.
        module: name of the quantiser that computes this activation.
        parts: how many entries the dimension of the images has for each of them: more than 1 where rows are folded into the
            batch, and then ``shape`` is that of one of them.
        dim: the dimension of the images.
    """

    name: str
    operation: str
    overload: str
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    origin: str
    module: str | None = None
    parts: int = 1
    dim: int = 0

    @property
    def inputs(self) -> list[str]:
        """Names of the nodes that it reads, each once, in order."""
        return list(dict.fromkeys(leaf.name for leaf in tree_leaves(self.arguments) if isinstance(leaf, Value)))

    @property
    def stored(self) -> list[str]:
        """Names of the tensors that it reads."""
        return [leaf.name for leaf in tree_leaves(self.arguments) if isinstance(leaf, Stored)]

    @property
    def source(self) -> str:
        """The first node that it reads."""
        return self.inputs[0]

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """An argument, or ``default`` where the operation has none of that name or it is None."""
        value = self.arguments.get(argument)
        return default if value is None else value

    def sizes(self, images: int) -> tuple[int, ...]:
        """The shape of the result with so many entries in the dimension of the images."""
        return (*self.shape[: self.dim], images, *self.shape[self.dim :])

    def run(self, values: dict[str, Any], tensor: Callable[[str], Any]) -> Any:
        """The result on the values of other nodes and on stored tensors, both by name; of several results the first."""
        given = {name: _look_up(leaf, values, tensor) for name, leaf in self.arguments.items()}
        if self.operation == "reshape":
            return given["self"].reshape(self.sizes(-1))
        if self.operation == "every_image":
            return given["self"].expand(self.sizes(len(given["images"]) * self.parts))
        if self.operation == "image_numbers":
            return torch.arange(len(given["images"]), device=given["images"].device)
        if self.operation == "affine":
            return given["self"] * given["scale"] + given["shift"]
        result = getattr(getattr(torch.ops.aten, self.operation), self.overload)(**given)
        return result[0] if isinstance(result, (tuple, list)) else result


def _look_up(leaf: Any, values: dict[str, Any], tensor: Callable[[str], Any]) -> Any:
    if isinstance(leaf, list):
        return [_look_up(each, values, tensor) for each in leaf]
    return values[leaf.name] if isinstance(leaf, Value) else tensor(leaf.name) if isinstance(leaf, Stored) else leaf


def names_in(outputs: Any) -> set[str]:
    """Names of nodes in a structure of outputs."""
    return {leaf.name for leaf in tree_leaves(outputs) if isinstance(leaf, Value)}


def structured(outputs: Any, values: dict[str, Any]) -> Any:
    """The structure of outputs with values in place of names."""
    return tree_map(lambda leaf: values[leaf.name] if isinstance(leaf, Value) else leaf, outputs)


def needed(order: dict[str, list[str]], targets: Iterable[str], known: Container[str] = ()) -> dict[str, list[str]]:
    """The part of ``order``, names with those that they read, that leads to the targets from what is known."""
    found: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in known:
            found.add(name)
            waiting += order.get(name, [])
    return {name: inputs for name, inputs in order.items() if name in found}


def nearest(order: dict[str, list[str]], name: str, known: Container[str]) -> tuple[list[str], list[str]]:
    """The names in ``known`` from which ``name`` can be computed, and those between."""
    between = needed(order, order[name], known)
    read = [source for inputs in (order[name], *between.values()) for source in inputs]
    return [source for source in dict.fromkeys(read) if source in known], list(between)


def execute(
    order: dict[str, list[str]], call: Callable[[str], Any], values: dict[str, Any], keep: Container[str]
) -> dict[str, Any]:
    """Compute ``values`` by name in order; what nothing reads any more is dropped unless it is to be kept."""
    last = {source: name for name, inputs in order.items() for source in inputs}
    for name, inputs in order.items():
        values[name] = call(name)
        for source in set(inputs):
            if last[source] == name and source not in keep:
                del values[source]
    return values


class RecordedNetwork(nn.Module):
    """Runs as the network that it was recorded from, in evaluation mode; made by ``record`` and ``quantize``.

    What the outputs do not depend on is left out.

    Attributes:
        nodes: by name, in the order of execution; the inputs come first.
        outputs: the structure of the result, with a ``Value`` in place of each tensor.
        order: names of the nodes that each node reads.
        users: names of the nodes that read each node.
        inputs: what it is called with.
        image: shape of one image, of the first input.
        fingerprint: of the network that was recorded, see ``fingerprint_of``; None once it was changed.
    """

    def __init__(self, nodes: dict[str, Node], outputs: Any, tensors: dict[str, Tensor], fingerprint: str | None) -> None:
        super().__init__()
        entries = {name: node for name, node in nodes.items() if node.operation == "input"}
        every = {name: node.inputs for name, node in nodes.items()}
        self.order = {name: every[name] for name in entries} | needed(every, names_in(outputs))
        self.nodes = {name: nodes[name] for name in self.order}
        self.users: dict[str, list[str]] = {name: [] for name in self.order}
        for name, inputs in self.order.items():
            for source in inputs:
                self.users[source].append(name)
        self.inputs = Inputs(
            {name: node.shape for name, node in entries.items()},
            {name: node["key"] for name, node in entries.items()},
            {name: node["dtype"] for name, node in entries.items()},
        )
        self.outputs, self.image, self.fingerprint = outputs, next(iter(entries.values())).shape, fingerprint
        used = {name for node in self.nodes.values() for name in node.stored}
        for name in tensors:
            if name in used:
                register = self.register_parameter if isinstance(tensors[name], nn.Parameter) else self.register_buffer
                register(name, tensors[name])  # type: ignore[arg-type, operator]
        self.eval()

    @property
    def activations(self) -> list[Node]:
        """Nodes that become neurons, in order."""
        return [node for node in self.nodes.values() if node.operation in ACTIVATIONS]

    def quantizer(self, node: Node) -> ActivationQuantizer | None:
        """The quantiser behind an activation, or None."""
        return node.module and getattr(self, node.module)  # type: ignore[return-value]

    def forward(self, images: Given, observe: Callable[[Node, Any], None] | None = None) -> Any:
        """As the trained network.

        Args:
            images: ``[B, ...]``; a tuple or a dict of such tensors for several inputs.
            observe: called with each node and its value.

        Raises:
            ValueError: images of another shape than those it was recorded with.
        """
        return structured(self.outputs, self._run(names_in(self.outputs), images, {}, observe))

    def evaluate(self, target: str, images: Given, known: dict[str, Tensor]) -> Tensor:
        """Output of the node ``target``, computed from the images and the outputs of nodes that are ``known`` by name."""
        return self._run({target}, images, known)[target]

    def _run(
        self, targets: set[str], images: Given, known: dict[str, Tensor], observe: Callable[[Node, Any], None] | None = None
    ) -> dict[str, Any]:
        values, given = dict(known), self.inputs.of(images)

        def call(name: str) -> Any:
            node = self.nodes[name]
            quantizer = self.quantizer(node)
            if node.operation == "input":
                value = given[name]
            else:
                try:
                    value = quantizer(values[node.source]) if quantizer else node.run(values, self.__getattr__)
                except IndexError as error:  # which export does not see
                    raise out_of_range(node.origin, error) from error
            if observe is not None:
                observe(node, value)
            return value

        return execute(needed(self.order, targets, known), call, values, targets)

    def describe(self) -> str:
        """Operations and how they are connected, to tell networks apart (not their weights)."""

        def shown(leaf: Any) -> str:
            return str(tuple(getattr(self, leaf.name).shape) if isinstance(leaf, Stored) else getattr(leaf, "name", leaf))

        lines = [
            f"{name} {node.operation} {tree_map(shown, node.arguments)} {node.shape} {self.quantizer(node) or ''}"
            for name, node in self.nodes.items()
        ]
        return "\n".join([*lines, str(self.outputs)])

    def changed(self) -> RecordedNetwork:
        """A copy to be changed, of the nodes and all tensors."""
        made = copy.deepcopy(self)
        made.fingerprint = None
        return made

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"{len(self.nodes)} operations on images {list(self.image)}"


def mixes(origin: str, operation: str) -> ConversionError:
    """The error of an operation that leaves no dimension to the images of a batch."""
    return ConversionError(f"{origin}: '{operation}' mixes the images of a batch; keep the first dimension of every signal")


def out_of_range(origin: str, error: IndexError) -> ConversionError:
    """The error of an index that a table of the network does not have."""
    why = f"the trained network fails: {error}; look at its token ids and the length of its sequences"
    return ConversionError(f"{origin}: {why}")


def fingerprint_of(network: nn.Module) -> str:
    """Digest of the modules, parameters and buffers of a network, by which a change of it is noticed."""
    digest = hashlib.blake2b(repr(network).encode(), digest_size=16)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
