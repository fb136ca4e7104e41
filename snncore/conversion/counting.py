"""Operations of a converted network, counted while it runs: by layer and by step.

An accumulate (AC) is one spike arriving over one synapse: the count of a layer is ``sum |s| * fan-out``, with the fan-out
of every input position counted exactly. A multiply-accumulate (MAC) is what a layer needs whose input is real-valued: with
direct coding the first one, whose result is the same at every step, so that a machine may compute it once or at each step;
papers charge it at each. MACs follow the convention of syops-counter: weights times output positions, padding and bias
included; the bias of a layer behind spikes and the sum of two currents are charged nothing, since both end in the potential
that the spikes are added to anyway.

A neuron is updated at every step of its input and in the steps of its delay: pre-charge, or pre-simulation. After a
pre-simulation it reads the first steps of its currents once more. A machine that does not keep those currents has them sent
twice, and is charged their operations twice (``Counts.total``); papers leave that out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

import torch
from torch import Tensor, nn

from snncore.coding import Code
from snncore.conversion.graph import run_operation
from snncore.conversion.network import SpikingNetwork
from snncore.conversion.operations import AddSpikes, ChannelAffine, Operation, SpikingLayer, Sum, SumPool, Synapses
from snncore.conversion.rewriting import Step
from snncore.energy import Operations
from snncore.neurons import SpikingNeuron

Input = Literal["spikes", "constant", "current"]
Presentation = Literal["once", "every step"]

BLOCK_ELEMENTS = 1 << 17
"""Spikes that are summed together on a CPU: few enough to stay in its cache between two passes."""
STEPS_TOGETHER = 8
"""Steps whose sums over images are kept at a time."""

Receivers = tuple[SpikingNeuron | None, list[str], Tensor]
"""Of a node with spikes: the neuron that fires them, the layers that they go to, and the synapses of each position there."""


@dataclass
class LayerCounts:
    """Operations of one layer. Lists go over the timesteps and sum over all images that ran.

    Attributes:
        input: ``spikes``; ``constant``, real values that are the same at every step; ``current``, real values that change.
        inputs: input values of one image.
        synapses: connections of one image's input values; what a step costs if every value counts. Padding is no input.
        dense: the same by the convention of papers and syops-counter: padding and bias included.
        positive, negative: spikes that arrived, each counted by its size (pooled spikes are larger than 1).
        accumulates: spikes times the synapses that they reached.
        multiplications: of one presentation, a single entry, where the input is ``constant``.
    """

    input: Input
    inputs: int
    synapses: int
    dense: int
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)
    accumulates: list[float] = field(default_factory=list)
    multiplications: list[float] = field(default_factory=list)


@dataclass
class NeuronCounts:
    """Spikes and updates of one layer of neurons. Lists go over the timesteps and sum over all images that ran.

    Attributes:
        neurons: of one image.
        steps: updates of each neuron: timesteps, and pre-charge or pre-simulation steps.
        presimulation: how many of them are pre-simulation steps.
        ternary: whether the neuron compares with a threshold of either sign (its attribute of that name).
        positive, negative: spikes that were fired.
    """

    neurons: int
    steps: int
    presimulation: int = 0
    ternary: bool = False
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)


@dataclass
class Counts:
    """What ran through a network: ``layers`` of synapses and layers of ``neuron_layers`` by name, sums over ``images``."""

    images: int = 0
    timesteps: int = 0
    layers: dict[str, LayerCounts] = field(default_factory=dict)
    neuron_layers: dict[str, NeuronCounts] = field(default_factory=dict)

    @property
    def accumulates(self) -> dict[str, float]:
        """Per layer behind spikes, over all timesteps."""
        return {name: math.fsum(layer.accumulates) for name, layer in self.layers.items() if layer.input == "spikes"}

    @property
    def multiplications(self) -> dict[str, float]:
        """Per layer behind constant values, for one presentation."""
        return {name: math.fsum(layer.multiplications) for name, layer in self.layers.items() if layer.input == "constant"}

    @property
    def current_multiplications(self) -> dict[str, float]:
        """Per layer behind real values that change from step to step, over all timesteps."""
        return {name: math.fsum(layer.multiplications) for name, layer in self.layers.items() if layer.input == "current"}

    @property
    def spikes(self) -> dict[str, list[float]]:
        """Per neuron layer, ``[positive, negative]`` over all timesteps."""
        return {name: [math.fsum(each.positive), math.fsum(each.negative)] for name, each in self.neuron_layers.items()}

    @property
    def neurons(self) -> dict[str, int]:
        """Per neuron layer, of one image."""
        return {name: each.neurons for name, each in self.neuron_layers.items()}

    @property
    def presimulation(self) -> int:
        """Pre-simulation steps of the network."""
        return max((each.presimulation for each in self.neuron_layers.values()), default=0)

    def rates(self, name: str) -> tuple[list[float], list[float]]:
        """Positive and negative spikes per input value and step that arrived at the layer ``name``."""
        layer = self.layers[name]
        values = max(layer.inputs * self.images, 1)
        return [count / values for count in layer.positive], [count / values for count in layer.negative]

    def total(self, first_layer: Presentation = "every step", presimulation: bool = True) -> Operations:
        """Operations of all images together.

        Args:
            first_layer: how often layers behind constant values are computed: ``once``, or at ``every step``, as papers charge
                them.
            presimulation: charge the operations of the steps that neurons with a pre-simulation read twice again.
        """
        again = [step % self.timesteps for step in range(self.presimulation)] if presimulation else []
        presentations = self.timesteps + len(again) if first_layer == "every step" else 1
        acs = macs = signs = updates = 0.0
        for layer in self.layers.values():
            acs += math.fsum(layer.accumulates)
            macs += math.fsum(layer.multiplications) * (presentations if layer.input == "constant" else 1)
            if layer.input != "constant":
                acs += sum(layer.accumulates[step] for step in again if layer.input == "spikes")
                macs += sum(layer.multiplications[step] for step in again if layer.input == "current")
        for each in self.neuron_layers.values():
            negative = math.fsum(each.negative)
            signs += (math.fsum(each.positive) + negative) * (2 if each.ternary or negative else 1)
            updates += each.neurons * each.steps * self.images
        return Operations(macs, acs, signs, updates)

    def per_image(self, first_layer: Presentation = "every step") -> Operations:
        """Operations of one image on average; see ``total``."""
        sums, images = self.total(first_layer), max(self.images, 1)
        return Operations(sums.macs / images, sums.acs / images, sums.signs / images, sums.updates / images)


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
        self._batch = 0

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
        elif step.kind == "spikes":
            self._spikes(step, value, at or 0)
        if step is not None:
            self._dense(step, at or 0)

    def _spikes(self, step: Step, value: Tensor, first: int) -> None:
        """Spikes of ``step`` from timestep ``first`` on: one accumulate per synapse of each layer that they go to."""
        value = self._events(step, value, first)
        if step.name not in self._receivers:
            self._receivers[step.name] = self._new_receivers(step, value.device)
        neuron, users, synapses = self._receivers[step.name]
        if neuron is None and not users:
            return
        sums = _sum_over_images(value, self._batch, synapses)
        for at, (negative, size, *accumulates) in enumerate(sums.tolist(), start=first):
            if neuron is not None:
                fired = self.counts.neuron_layers.setdefault(step.name, _of_neuron(neuron, math.prod(step.shape)))
                _add(fired.positive, at, size - negative)
                _add(fired.negative, at, negative)
            for user, count in zip(users, accumulates, strict=True):
                arrived = self.counts.layers[user]
                _add(arrived.positive, at, size - negative)
                _add(arrived.negative, at, negative)
                _add(arrived.accumulates, at, count)

    def _events(self, step: Step, value: Tensor, first: int) -> Tensor:
        """The spikes that travel, where a code's trains are not these themselves."""
        code = self.network.code
        if type(code).events is Code.events:
            return value
        train = value.unflatten(0, (-1, self._batch))
        before = [self._before[step.name]] if first else []
        self._before[step.name] = train[-1:]
        return code.events(torch.cat([*before, train]))[len(before) :].flatten(0, 1)

    def _new_receivers(self, step: Step, device: torch.device) -> Receivers:
        layer = self.network.layers[step.name]
        names, rows = [], [torch.ones(math.prod(step.shape[1:]), dtype=torch.float64)]
        for user in self.network.steps:
            module = self.network.layers[user.name]
            if isinstance(module, SYNAPTIC) and user.inputs[-1] == step.name:
                fans = fan_out(module, step.shape)
                inputs, synapses = math.prod(step.shape), int(fans.sum())
                dense = _layer_operations(module, step.shape, user.shape) if isinstance(module, Synapses) else inputs
                self.counts.layers.setdefault(user.name, LayerCounts("spikes", inputs, synapses, dense))
                names.append(user.name)
                rows.append(fans[0].flatten())
        return layer.neuron if isinstance(layer, SpikingLayer) else None, names, torch.stack(rows).to(device)

    def _dense(self, step: Step, at: int) -> None:
        """Count the multiply-accumulates of ``step``, if its inputs are real-valued."""
        kinds = {self.network.kind(name) for name in step.inputs}
        if "spikes" in kinds or step.kind == "decoded":
            return
        given = self._shapes.get(step.inputs[0], self.network.image)
        operations = _dense_operations(self.network.layers[step.name], given, step.shape)
        if operations is None:
            return
        constant = kinds == {"analog"}
        made = LayerCounts("constant" if constant else "current", math.prod(given), operations, operations)
        layer = self.counts.layers.setdefault(step.name, made)
        steps = 1 if constant or self.network.mode == "single-step" else self.network.timesteps
        for t in range(at, at + steps):
            _add(layer.multiplications, t, float(operations * self._batch))


SYNAPTIC = (Synapses, ChannelAffine, SumPool, Sum, AddSpikes)
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
        out = run_operation(module.node, module.node.arguments | {"input": x, "weight": kernel, "bias": None, "groups": 1})
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
    if isinstance(module, ChannelAffine):
        return math.prod(out)
    if isinstance(module, Operation):
        if any(name in module.node.operation for name in _PER_INPUT):
            return math.prod(given)
        if module.node.operation in _PER_OUTPUT:
            return math.prod(out)
    return None


def _of_neuron(neuron: SpikingNeuron, size: int) -> NeuronCounts:
    ternary = bool(getattr(neuron, "ternary", False))
    return NeuronCounts(size, neuron.code.timesteps + neuron.delay, neuron.presimulation, ternary)


def _add(counts: list[float], step: int, value: float) -> None:
    counts.extend([0.0] * (step + 1 - len(counts)))
    counts[step] += value


def _sum_over_images(spikes: Tensor, images: int, synapses: Tensor) -> Tensor:
    """Negative spikes, all spikes by size, and accumulates at each layer: ``[T, 1 + K]`` float64; exact below 2**24 per position.

    Every block is read once from memory and summed in the cache. All channels of an input have the same synapses.

    Args:
        spikes: whole numbers ``[T*B, C, ...]``.
        images: B.
        synapses: of each position, ``[K, P]`` float64, the first row ones.
    """
    channels_last = _is_channels_last(spikes)
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


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
