"""A recorded network: one functional list of ATen operations that runs, trains and is converted as often as one likes."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from snncore.conversion.order import execute, needed
from snncore.quantization import ActivationQuantizer

ACTIVATIONS = ("relu", "clip")
"""Operations that become neurons; a quantised activation is a ``relu`` with a module."""


@dataclass(frozen=True)
class Value:
    """The result of a node, by name."""

    name: str


@dataclass(frozen=True)
class Stored:
    """A tensor of the network, by name: a parameter, a buffer, or a constant that was computed from them."""

    name: str


@dataclass(frozen=True)
class BatchSize:
    """A number that depends on how many images there are."""


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
        parts: how many entries the first dimension has for each image: more than 1 where its rows are folded into the batch,
            and then ``shape`` is that of one of them.
    """

    name: str
    operation: str
    overload: str
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    origin: str
    module: str | None = None
    parts: int = 1

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


def aten(operation: str, overload: str) -> Callable[..., Any]:
    """The ATen operation of that name."""
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, operation), overload)
    return found


def run_operation(node: Node, values: dict[str, Any], tensor: Callable[[Stored], Any]) -> Any:
    """The result of a node on the values of others and on stored tensors; of several results the first."""

    def look_up(leaf: Any) -> Any:
        return values[leaf.name] if isinstance(leaf, Value) else tensor(leaf) if isinstance(leaf, Stored) else leaf

    given = tree_map(look_up, node.arguments)
    if node.operation == "reshape":
        return given["self"].reshape(-1, *node.shape)
    if node.operation == "every_image":
        return given["self"].expand(len(given["images"]) * node.parts, *node.shape)
    if node.operation == "affine":
        return given["self"] * given["scale"] + given["shift"]
    result = aten(node.operation, node.overload)(**given)
    return result[0] if isinstance(result, (tuple, list)) else result


class RecordedNetwork(nn.Module):
    """Runs as the network that it was recorded from, in evaluation mode; made by ``record`` and ``quantize``.

    Attributes:
        nodes: by name, in the order of execution; the first is the input.
        outputs: the structure of the result, with a ``Value`` in place of each tensor.
        order: names of the nodes that each node reads.
        users: names of the nodes that read each node.
        image: shape of one image.
        fingerprint: of the network that was recorded, see ``fingerprint_of``; None once it was changed.
    """

    def __init__(self, nodes: Iterable[Node], outputs: Any, tensors: dict[str, Tensor], fingerprint: str | None) -> None:
        super().__init__()
        self.nodes = {node.name: node for node in nodes}
        self.outputs, self.fingerprint = outputs, fingerprint
        self.image = next(iter(self.nodes.values())).shape
        for name, tensor in tensors.items():
            self.store(name, tensor)
        self.link()
        self.eval()

    def link(self) -> None:
        """Drop what the outputs do not depend on, and find the users of every node."""
        read = needed({name: node.inputs for name, node in self.nodes.items()}, names_in(self.outputs), ())
        self.nodes = {name: node for name, node in self.nodes.items() if name in read or node.operation == "input"}
        self.order = {name: read.get(name, []) for name in self.nodes}
        self.users: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, inputs in self.order.items():
            for source in inputs:
                self.users[source].append(name)
        used = {name for node in self.nodes.values() for name in node.stored}
        for name in [*self._parameters, *self._buffers]:
            if name not in used:
                delattr(self, name)

    def store(self, name: str, tensor: Tensor) -> Stored:
        """Keep a tensor; parameters stay parameters."""
        if name in self._parameters or name in self._buffers:
            delattr(self, name)
        if isinstance(tensor, nn.Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_buffer(name, tensor)
        return Stored(name)

    def tensor(self, stored: Stored) -> Tensor:
        """The value of a stored tensor."""
        value: Tensor = getattr(self, stored.name)
        return value

    def redirect(self, moved: dict[str, str]) -> None:
        """Let readers of some nodes read others instead, and drop what nothing reads then."""

        def other(leaf: Any) -> Any:
            return Value(moved[leaf.name]) if isinstance(leaf, Value) and leaf.name in moved else leaf

        for node in self.nodes.values():
            node.arguments = tree_map(other, node.arguments)
        self.outputs = tree_map(other, self.outputs)
        self.link()

    @property
    def activations(self) -> list[Node]:
        """Nodes that become neurons, in order."""
        return [node for node in self.nodes.values() if node.operation in ACTIVATIONS]

    def quantizer(self, node: Node) -> ActivationQuantizer | None:
        """The quantiser behind an activation, or None."""
        found = node.module and self.get_submodule(node.module)
        return found if isinstance(found, ActivationQuantizer) else None

    def call(self, node: Node, values: dict[str, Any]) -> Any:
        """Run one node on the values of others, by name."""
        if node.module is not None:
            return self.get_submodule(node.module)(values[node.source])
        return run_operation(node, values, self.tensor)

    def forward(self, images: Tensor, observe: Callable[[Node, Any], None] | None = None) -> Any:
        """As the trained network.

        Args:
            images: ``[B, ...]``.
            observe: called with each node and its value.

        Raises:
            ValueError: images of another shape than those it was recorded with.
        """
        check_images(images, self.image)
        return structured(self.outputs, self._executed(self.order, images, {}, names_in(self.outputs), observe))

    def evaluate(self, target: str, images: Tensor, known: dict[str, Tensor]) -> Tensor:
        """Output of the node ``target``, computed from the images and the outputs of nodes that are ``known`` by name."""
        order = needed(self.order, {target}, known)
        result: Tensor = self._executed(order, images, dict(known), {target})[target]
        return result

    def _executed(
        self,
        order: dict[str, list[str]],
        images: Tensor,
        values: dict[str, Any],
        keep: set[str],
        observe: Callable[[Node, Any], None] | None = None,
    ) -> dict[str, Any]:
        def call(name: str) -> Any:
            node = self.nodes[name]
            value = images if node.operation == "input" else self.call(node, values)
            if observe is not None:
                observe(node, value)
            return value

        return execute(order, call, values, keep)

    def describe(self) -> str:
        """Operations and how they are connected, to tell networks apart (not their weights)."""

        def shown(leaf: Any) -> str:
            return str(tuple(self.tensor(leaf).shape) if isinstance(leaf, Stored) else getattr(leaf, "name", leaf))

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


def check_images(images: Tensor, expected: tuple[int, ...]) -> None:
    """Raise ValueError unless ``images`` is a batch of images of the shape that the network was recorded with."""
    if tuple(images.shape) == expected:
        raise ValueError(f"got one image {list(images.shape)} without the dimension of the batch; pass images[None]")
    if tuple(images.shape[1:]) != expected:
        raise ValueError(
            f"the network was recorded for images [B, {', '.join(map(str, expected))}] and got {list(images.shape)}; "
            "calibrate and convert it with images of this size"
        )


def names_in(outputs: Any) -> set[str]:
    """Names of nodes in a structure of outputs."""
    return {leaf.name for leaf in tree_leaves(outputs) if isinstance(leaf, Value)}


def structured(outputs: Any, values: dict[str, Any]) -> Any:
    """The structure of outputs with values in place of names."""
    return tree_map(lambda leaf: values[leaf.name] if isinstance(leaf, Value) else leaf, outputs)


def fingerprint_of(network: nn.Module) -> str:
    """Digest of the modules, parameters and buffers of a network, by which a change of it is noticed."""
    digest = hashlib.blake2b(repr(network).encode(), digest_size=16)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
