"""The converted network and its two ways of running."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from snncore.coding import Code
from snncore.conversion.amplitude import AdjustedAmplitudes
from snncore.conversion.operations import InputEncoder, MaxPool, PresentConstant
from snncore.conversion.rewriting import Signal, SpikingLayer
from snncore.conversion.tracing import call_node, module_of
from snncore.neurons import SpikingNeuron

Mode = Literal["multi-step", "single-step"]
NodeObserver = Callable[[fx.Node, Any, int | None], None]


class SpikingNetwork(nn.Module):
    """A converted network: images in, decoded outputs out, as the trained network gives them.

    ``mode="multi-step"`` runs layer by layer, all timesteps in one call of each layer: fastest, memory grows with T.
    ``mode="single-step"`` runs all layers at once, one timestep after another, as pipelined hardware does: memory does
    not grow with T. The spikes are the same. The network is for inference: no gradients.

    Attributes:
        graph_module: the network on ``[T*B, ...]`` tensors.
        code: code of the spike trains and of the output.
        latency: steps of the pipelined simulation from the first input to the last output: T plus the delays of the
            neurons on the longest path.
        adjusted: what the adjustment of its amplitudes came to, if there was one.
        observer: called with each node of the graph, its value and its timestep, from 0; the timestep is None for a value that
            holds all timesteps ``[T*B, ...]`` or is the same at each of them ``[B, ...]``. Counting attaches here.
    """

    def __init__(self, graph_module: fx.GraphModule, signals: dict[fx.Node, Signal], code: Code, mode: Mode) -> None:
        super().__init__()
        if mode not in ("multi-step", "single-step"):
            raise ValueError(f"unknown mode {mode!r}; known: multi-step, single-step")
        self.graph_module = graph_module
        self.code = code
        self.mode: Mode = mode
        self.adjusted: AdjustedAmplitudes | None = None
        self.observer: NodeObserver | None = None
        self._kinds = {node.name: signals[node].kind if node in signals else "size" for node in graph_module.graph.nodes}
        self._starts: dict[str, int] = {}
        self._find_pipeline_starts()
        self.latency = self._starts[self._output_node.name] + code.timesteps
        self.eval()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        names = [node.name for node in self.graph_module.graph.nodes]  # copying and pickling make new nodes, with new names
        self._kinds = dict(zip(names, self._kinds.values(), strict=True))
        self._starts = dict(zip(names, self._starts.values(), strict=True))

    @property
    def timesteps(self) -> int:
        """T, the firing steps of each neuron (without pre-charge)."""
        return self.code.timesteps

    @property
    def neurons(self) -> dict[str, SpikingNeuron]:
        """Neurons by the name of the activation that they replace, in the order of the network."""
        layers = ((node.name, module_of(self.graph_module, node)) for node in self.graph_module.graph.nodes)
        return {name: layer.neuron for name, layer in layers if isinstance(layer, SpikingLayer)}

    def kind(self, node: fx.Node) -> str:
        """``analog``, ``spikes``, ``current`` or ``size``: what ``node`` of the graph puts out."""
        return self._kinds[node.name]

    @torch.no_grad()
    def forward(self, images: Tensor, every_step: bool = False) -> Any:
        """Decoded output for a batch.

        Args:
            images: ``[B, ...]`` as the trained network takes them.
            every_step: also decode every prefix of the output train: ``[T, B, ...]``. For codes whose trains do not
                depend on T (rate coding) entry t is the output of the same network with t+1 timesteps.

        Returns:
            ``[B, ...]`` (the structure of the trained network's output), or ``[T, B, ...]`` with ``every_step``.

        Raises:
            ValueError: NaN or infinity in the images.
        """
        if not torch.isfinite(images).all():
            raise ValueError("the input contains NaN or infinity; look at the data and its normalisation")
        if self.mode == "single-step":
            return self._decode_steps(self.steps(images), every_step)
        decode = self.code.decode_prefixes if every_step else self.code.decode
        out = self.graph_module(images) if self.observer is None else _Observed(self.graph_module, self.observer).run(images)
        return _map(lambda x: decode(x.unflatten(0, (self.timesteps, -1))), out)

    # ---- single-step ----------------------------------------------------------------------------------------------

    @property
    def _output_node(self) -> fx.Node:
        last: fx.Node = next(iter(reversed(self.graph_module.graph.nodes)))
        return last

    def _start_of_inputs(self, node: fx.Node) -> int:
        """Global step at which the inputs of ``node`` for its first timestep are all there."""
        return max((self._starts[n.name] for n in node.all_input_nodes), default=0)

    def _find_pipeline_starts(self) -> None:
        """Global step at which each node puts out its first timestep: a neuron lags by its delay."""
        for node in self.graph_module.graph.nodes:
            layer = module_of(self.graph_module, node)
            delay = layer.neuron.delay if isinstance(layer, SpikingLayer) else 0
            self._starts[node.name] = self._start_of_inputs(node) + delay

    @torch.no_grad()
    def steps(self, images: Tensor) -> Iterator[Any]:
        """Output currents of each timestep, one after another; see ``single-step`` in the class docstring.

        Signals that arrive at a sum before their partners (residual connections across neurons with a pre-charge) wait
        in a delay line as long as the difference, whatever T is.
        """
        nodes = list(self.graph_module.graph.nodes)
        analog = self._analog_values(nodes, images)
        lines: dict[fx.Node, deque[tuple[int, Any]]] = {node: deque() for node in nodes}
        keep = {node: max((self._start_of_inputs(user) for user in node.users), default=0) for node in nodes}
        states: dict[fx.Node, Any] = {}
        for now in range(self.latency):
            for node in nodes:
                value = self._step_of(node, now, images, analog, lines, states)
                if value is None:
                    continue
                if self.observer is not None:
                    self.observer(node, value, now - self._starts[node.name])
                if node is self._output_node:
                    yield value
                else:
                    lines[node].append((now - self._starts[node.name], value))
            for node, line in lines.items():
                while line and line[0][0] + keep[node] <= now:
                    line.popleft()

    def _analog_values(self, nodes: list[fx.Node], images: Tensor) -> dict[fx.Node, Any]:
        """What does not change over the timesteps, computed once."""
        interpreter = fx.Interpreter(self.graph_module)
        values: dict[fx.Node, Any] = {}
        for node in nodes:
            sized = self.kind(node) == "size" and node.op != "output" and all(n in values for n in node.all_input_nodes)
            if sized or self.kind(node) == "analog":
                if node.op == "placeholder":
                    values[node] = images
                else:
                    values[node] = call_node(interpreter, node, lambda n: values[n])
                if self.observer is not None:
                    self.observer(node, values[node], None)
        return values

    def _step_of(
        self,
        node: fx.Node,
        now: int,
        images: Tensor,
        analog: dict[fx.Node, Any],
        lines: dict[fx.Node, deque[tuple[int, Any]]],
        states: dict[fx.Node, Any],
    ) -> Any:
        """Output of ``node`` at global step ``now``, or None while it is not its turn."""
        if node in analog or node.op == "placeholder":
            return None
        index = now - self._start_of_inputs(node)
        layer = module_of(self.graph_module, node)
        delay = layer.neuron.delay if isinstance(layer, SpikingLayer) else 0
        if not 0 <= index < self.timesteps + delay:
            return None

        def look_up(source: fx.Node) -> Any:
            if source in analog:
                return analog[source]
            return next(value for step, value in lines[source] if step == index)

        if isinstance(layer, SpikingLayer):
            source = node.args[0]
            assert isinstance(source, fx.Node)
            current = look_up(source) if index < self.timesteps else None
            if index == 0:
                states[node] = layer.neuron.start(current)  # type: ignore[arg-type]
            spikes, states[node] = layer.neuron.step(current, states[node])
            if index == self.timesteps + delay - 1:
                del states[node]
            return spikes
        if isinstance(layer, InputEncoder):
            return layer.at(look_up(node.args[0]), index)  # type: ignore[arg-type]
        if isinstance(layer, PresentConstant):
            return look_up(node.args[0])  # type: ignore[arg-type]
        if isinstance(layer, MaxPool):
            state = states.pop(node) if index else layer.start()
            pooled = layer.step(look_up(node.args[0]), state)  # type: ignore[arg-type]
            if index < self.timesteps - 1:
                states[node] = state
            return pooled
        return call_node(fx.Interpreter(self.graph_module), node, look_up)

    def _decode_steps(self, steps: Iterator[Any], every_step: bool) -> Any:
        """Weighted sum of the output train; holds one step at a time unless every prefix is asked for."""
        if every_step:
            return _map(lambda *train: self.code.decode_prefixes(torch.stack(train)), *steps)
        weights, total = self.code.weights().tolist(), self.code.total
        value: Any = None
        for weight, step in zip(weights, steps, strict=True):
            zero = _map(torch.zeros_like, step) if value is None else value
            value = _map(lambda v, x, weight=weight: torch.add(v, x, alpha=weight), zero, step)
        return _map(lambda v: v * (1.0 / total), value)


class _Observed(fx.Interpreter):
    """Runs a graph node by node and shows each value before a later node may overwrite it."""

    def __init__(self, graph_module: fx.GraphModule, observer: NodeObserver) -> None:
        super().__init__(graph_module)
        self.observer = observer
        self.extra_traceback = False  # errors read as they do unobserved

    def run_node(self, n: fx.Node) -> Any:
        """See ``fx.Interpreter``."""
        value = super().run_node(n)
        self.observer(n, value, None)
        return value


def _map(function: Callable[..., Any], first: Any, *others: Any) -> Any:
    """Apply ``function`` to corresponding tensors of equally built outputs (tensor, tuple, list or dict)."""
    if isinstance(first, Tensor):
        return function(first, *others)
    if isinstance(first, dict):
        return {key: _map(function, first[key], *(other[key] for other in others)) for key in first}
    if isinstance(first, (tuple, list)):
        return type(first)(_map(function, *parts) for parts in zip(first, *others, strict=True))
    return first
