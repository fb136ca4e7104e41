"""Operations of a converted network, counted while it runs in either mode; see ``snncore.counts`` for what counts."""

from __future__ import annotations

import math
from dataclasses import replace
from types import TracebackType

import torch
from torch import Tensor, nn

from snncore.coding import Code
from snncore.conversion.network import SpikingNetwork
from snncore.conversion.operations import AddSpikes, ChannelAffine, Evaluation, Operation, SpikingLayer, Sum, Synapses
from snncore.conversion.rewriting import LAYERS
from snncore.conversion.rules.products import PRODUCTS
from snncore.conversion.signals import Step
from snncore.counts import Counts, LayerCounts, NeuronCounts, add
from snncore.neurons import SpikingNeuron

BLOCK_ELEMENTS = 1 << 17
"""Spikes that are summed together on a CPU: few enough to stay in its cache between two passes."""
STEPS_TOGETHER = 8
"""Steps whose sums over images are kept at a time."""

Receivers = tuple[SpikingNeuron | None, list[str], Tensor]
"""Of a node with spikes: the neuron that fires them, the layers that they go to, and the synapses of each position there."""


class OperationCounter:
    """Counts while a converted network runs, in either mode: ``with OperationCounter(network) as counts: network(images)``.

    Looks once at each value that computes something and keeps nothing of its size. Counts add up over all runs of one counter.

    Raises:
        RuntimeError: on entering, if the network is being observed already.
    """

    def __init__(self, network: SpikingNetwork) -> None:
        self.network = network
        self.counts = Counts(timesteps=network.timesteps)
        self._shapes = {step.name: step.shape for step in network.steps}
        self._receivers: dict[str, Receivers] = {}
        self._before: dict[str, Tensor] = {}
        self._batch, self._parts = 0, 1

    def __enter__(self) -> Counts:
        if self.network.observer is not None:
            raise RuntimeError("the network is being observed already; use one counter at a time")
        self.network.observer = self._observe
        return self.counts

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.network.observer = None

    def _observe(self, step: Step | None, value: Tensor, at: int | None) -> None:
        if step is None:
            self._batch = len(value)
            self.counts.images += self._batch
            return
        frames = self.network.timesteps if step.kind == "spikes" else self.network.frames
        together = frames if at is None and step.kind != "analog" else 1
        self._parts = len(value) // (self._batch * together)  # of an image in the first dimension, see ``Node``
        if step.kind == "spikes":
            self._spikes(step, value, at or 0)
        self._dense(step, at or 0)

    def _spikes(self, step: Step, value: Tensor, first: int) -> None:
        """Spikes of ``step`` from timestep ``first`` on: one accumulate per synapse of each layer that they go to."""
        value = self._events(step, value, first)
        if step.name not in self._receivers:
            self._receivers[step.name] = self._new_receivers(step, value.device)
        neuron, users, synapses = self._receivers[step.name]
        if neuron is None and not users:
            return
        sums = _sum_over_images(value, self._batch * self._parts, synapses)
        for at, (negative, size, *accumulates) in enumerate(sums.tolist(), start=first):
            if neuron is not None:
                fired = self.counts.neuron_layers.setdefault(step.name, _of_neuron(neuron, math.prod(step.shape) * self._parts))
                add(fired.positive, at, size - negative)
                add(fired.negative, at, negative)
            for user, count in zip(users, accumulates, strict=True):
                arrived = self.counts.layers[user]
                add(arrived.positive, at, size - negative)
                add(arrived.negative, at, negative)
                add(arrived.accumulates, at, count)

    def _events(self, step: Step, value: Tensor, first: int) -> Tensor:
        """The spikes that travel, where a code's trains are not these themselves."""
        code = self.network.code
        if type(code).events is Code.events:
            return value
        train = value.unflatten(0, (-1, self._batch * self._parts))
        before = [self._before[step.name]] if first else []
        self._before[step.name] = train[-1:]
        return code.events(torch.cat([*before, train]))[len(before) :].flatten(0, 1)

    def _new_receivers(self, step: Step, device: torch.device) -> Receivers:
        layer = self.network.layers[step.name]
        names, rows = [], [torch.ones(math.prod(step.shape[1:]), dtype=torch.float64)]
        for user in self.network.steps:
            module = self.network.layers[user.name]
            reads = isinstance(module, SYNAPTIC) and user.inputs[-1] == step.name
            if isinstance(module, Evaluation) and step.name in user.inputs:
                operand = module.node.inputs[user.inputs.index(step.name)]
                reads = operand in module.operands
            if reads:
                fans = module.fan_out(operand) if isinstance(module, Evaluation) else fan_out(module, step.shape)
                inputs, synapses = math.prod(step.shape), int(fans.sum())
                dense = synapses if isinstance(module, Evaluation) else inputs
                dense = _layer_operations(module, step.shape, user.shape) if isinstance(module, Synapses) else dense
                made = LayerCounts("spikes", 0, 0, dense * self._parts)
                counts = self.counts.layers.setdefault(user.name, made)  # a product reads two signals
                counts.inputs += inputs * self._parts
                counts.synapses += synapses * self._parts
                names.append(user.name)
                rows.append(fans[0].flatten())
        return layer.neuron if isinstance(layer, SpikingLayer) else None, names, torch.stack(rows).to(device)

    def _dense(self, step: Step, at: int) -> None:
        """Count the multiply-accumulates of ``step``, if its inputs are real-valued."""
        kinds = {self.network.kind(name) for name in step.inputs}
        if step.kind == "decoded" or ("spikes" in kinds and not isinstance(self.network.layers[step.name], Evaluation)):
            return
        given = (self._shapes | self.network.inputs.shapes)[step.inputs[0]]
        operations = _dense_operations(self.network.layers[step.name], given, step.shape)
        if operations is None:
            return
        operations *= self._parts
        constant = kinds == {"analog"}
        made = LayerCounts("constant" if constant else "current", math.prod(given) * self._parts, operations, operations)
        layer = self.counts.layers.setdefault(step.name, made)
        steps = 1 if constant or self.network.mode == "single-step" else self.network.frames
        for t in range(at, at + steps):
            add(layer.multiplications, t, float(operations * self._batch))


SYNAPTIC = (Synapses, ChannelAffine, Sum, AddSpikes)
_PER_INPUT = ("avg_pool", "max_pool", "mean", "sum")
_PER_OUTPUT = ("mul", "div")


def fan_out(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Number of synapses that each input position of a layer drives.

    Padding is counted exactly: a corner pixel reaches fewer outputs than a central one.

    Args:
        module: a layer of synapses.
        shape: of one sample, ``[C, ...]``.

    Returns:
        ``[C, ...]`` float64: the gradient of the summed output of the layer with all weights one.
    """
    if isinstance(module, (AddSpikes, ChannelAffine)):
        return torch.ones(shape, dtype=torch.float64)
    if isinstance(module, Synapses) and module.node.operation in ("linear", "matmul", "addmm"):
        return torch.full(shape, float(module.node.shape[-1]), dtype=torch.float64)
    with torch.enable_grad():
        if not isinstance(module, Synapses):
            x = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(module(x).sum(), x)
            return gradient[0]
        # All channels of a convolution reach equally many outputs: one is enough.
        x = torch.zeros(1, 1, *shape[1:], dtype=torch.float64, requires_grad=True)
        kernel = torch.ones(1, 1, *module.weight.shape[2:], dtype=torch.float64)
        one = replace(module.node, arguments=module.node.arguments | {"weight": kernel, "bias": None, "groups": 1})
        out = one.run({one.source: x}, lambda stored: None)
        (gradient,) = torch.autograd.grad(out.sum(), x)
    return (gradient[0] * (module.node.shape[0] // module.node["groups"])).expand(shape)


def _layer_operations(layer: Synapses, given: tuple[int, ...], out: tuple[int, ...]) -> int:
    """Dense operations of a layer with weights on one image, as syops-counter and the papers count them.

    Weights times positions, and the bias; zeros of padding count like any input.
    """
    outputs, operation = math.prod(out), layer.node.operation
    if "transpose" in operation:
        positions = math.prod(given[1:])
    else:
        positions = outputs // (out[0] if operation.startswith("conv") else out[-1])
    return layer.weight.numel() * positions + (outputs if layer.bias is not None else 0)


def _dense_operations(module: nn.Module, given: tuple[int, ...], out: tuple[int, ...]) -> int | None:
    """Dense operations of a step on one image of real values, or None for what computes nothing (shapes, sums, ReLU).

    Layers see ``_layer_operations``, pooling one operation per input value (syops-counter's convention), scaling by constants
    one per value.
    """
    if isinstance(module, Synapses):
        return _layer_operations(module, given, out)
    if isinstance(module, Evaluation):
        return _evaluation_operations(module, given, out)
    if isinstance(module, ChannelAffine):
        return math.prod(out)
    if isinstance(module, Operation):
        if any(name in module.node.operation for name in _PER_INPUT):
            return math.prod(given)
        if module.node.operation in _PER_OUTPUT:
            return math.prod(out)
    return None


def _evaluation_operations(module: Evaluation, given: tuple[int, ...], out: tuple[int, ...]) -> int | None:
    """Of an evaluation on real values: one per value of a function (an exponential, a normalised value, a table's entry).

    Factors that are numbers belong to the amplitudes of the next neuron and are charged nothing.
    """
    node = module.node
    if module.operands or node.operation == "embedding":
        return None
    if node.operation in LAYERS or (node.operation in PRODUCTS and node.operation != "mul"):
        return int(module.fan_out(node.source).sum())
    if any(name in node.operation for name in _PER_INPUT):
        return math.prod(given)
    scales = node.operation in _PER_OUTPUT and not isinstance(node["other"], (int, float))
    return math.prod(out) if scales or not module.free else None


def _of_neuron(neuron: SpikingNeuron, size: int) -> NeuronCounts:
    ternary = bool(getattr(neuron, "ternary", False))
    return NeuronCounts(size, neuron.code.timesteps + neuron.delay, neuron.presimulation, ternary)


def _sum_over_images(spikes: Tensor, images: int, synapses: Tensor) -> Tensor:
    """Negative spikes, all spikes by size, and accumulates at each layer: ``[T, 1 + K]`` float64; exact below 2**24 per position.

    Every block is read once from memory and summed in the cache. All channels of an input have the same synapses.

    Args:
        spikes: whole numbers ``[T*B, C, ...]``.
        images: B.
        synapses: of each position, ``[K, P]`` float64, the first row ones.
    """
    channels_last = spikes.dim() == 4 and not spikes.is_contiguous() and spikes.is_contiguous(memory_format=torch.channels_last)
    rows = (spikes.permute(0, 2, 3, 1) if channels_last else spikes).flatten(1)
    if rows.dtype not in (torch.float32, torch.float64):  # a half-precision sum would round
        rows = rows.float()
    width, positions = rows.shape[1], synapses.shape[1]
    count = min(images, max(1, BLOCK_ELEMENTS // max(width, 1))) if rows.device.type == "cpu" else images
    ones, buffer = rows.new_ones(max(count, width)), rows.new_empty(count, width)
    all_signed, all_sizes = rows.new_empty(STEPS_TOGETHER, images), rows.new_empty(STEPS_TOGETHER, width)
    result = []
    for steps in rows.view(-1, images, width).split(STEPS_TOGETHER):
        signed, sizes = all_signed[: len(steps)], all_sizes[: len(steps)].zero_()
        for of_step, sign, size in zip(steps, signed, sizes, strict=True):
            for start in range(0, images, count):
                block = of_step[start : start + count]
                torch.mv(block, ones[:width], out=sign[start : start + count])
                size.addmv_(torch.abs(block, out=buffer[: len(block)]).t(), ones[: len(block)])
        by_channel = sizes.view(len(steps), *((positions, -1) if channels_last else (-1, positions)))
        by_position = by_channel.sum(2 if channels_last else 1).double()
        negative = (by_position.sum(1) - signed.sum(1, dtype=torch.float64)) / 2
        result.append(torch.cat([negative.view(-1, 1), by_position @ synapses.t()], 1))
    return torch.cat(result)
