"""Calibration on spiking activity: neurons chosen one layer after another, each on what the layers before it really send.

The rewritten part of the network runs on the calibration images up to the next ReLU; a rule sees the currents that arrive
there, beside what the trained network puts out for the same images, and chooses the neuron. Only spike trains that a later
layer reads are kept, a byte per spike; everything between two activations is computed again where it is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from snncore.coding import Code
from snncore.conversion.calibration import ActivationHistogram, Calibration
from snncore.conversion.errors import ConversionError
from snncore.conversion.operations import InputEncoder
from snncore.conversion.rewriting import ADDITIONS, Rewriter
from snncore.conversion.tracing import evaluate, module_of
from snncore.neurons import SpikingNeuron

STEPS_AT_ONCE = 512
"""Timesteps times images that run together."""

NeuronMaker = Callable[[int], SpikingNeuron]
"""``(timesteps) -> neuron``."""


@dataclass(frozen=True)
class Layer:
    """An activation that is about to become a neuron.

    Attributes:
        name: as in ``SpikingNetwork.neurons``.
        timesteps: T of the calibration.
        histogram: of the activations of the trained network.
        joined: the same for this activation and all that meet at a sum with it, as identity shortcuts do.
        batches: iterates over ``(currents [T, B, ...], activations [B, ...])``: what the converted layers before it send,
            and what the trained network puts out here for the same images. Can be called again; computes again.
    """

    name: str
    timesteps: int
    histogram: ActivationHistogram
    joined: tuple[ActivationHistogram, ...]
    batches: Callable[[], Iterator[tuple[Tensor, Tensor]]]

    def positive(self, threshold: float) -> float:
        """The threshold, or 1 with a warning where no image activates the layer."""
        if threshold > 0:
            return threshold
        warnings.warn(f"{self.name}: no calibration image activates this layer; its threshold is set to 1", stacklevel=3)
        return 1.0


LayerRule = Callable[[Layer], NeuronMaker]
"""Chooses the neuron of a layer."""


class LayerwisePass:
    """Goes through a network once, choosing a neuron for every activation.

    Args:
        trace: records the trained network.
        calibration: of the same network.
        rule: chooses the neurons.
        code: of the calibration, with its T.
        images: calibration images; each batch is cut to ``STEPS_AT_ONCE`` steps times images.
        encoder: as in ``Rewriter``.
    """

    def __init__(
        self,
        trace: Callable[[], fx.GraphModule],
        calibration: Calibration,
        rule: LayerRule,
        code: Code,
        images: Iterable[Tensor],
        encoder: InputEncoder | None = None,
    ) -> None:
        self.rewriter = Rewriter(trace(), calibration, self._neuron, code, encoder)
        self.reference = Rewriter(trace(), calibration, self._neuron, code).traced  # prepared, not rewritten
        self.histograms = calibration.histograms
        self.rule = rule
        self.timesteps = code.timesteps
        self.chunks = [part for batch in images for part in batch.split(max(1, STEPS_AT_ONCE // code.timesteps))]
        if not self.chunks:
            raise ConversionError("this method calibrates layer by layer and got no images; pass batches of training images")
        self.last_reader = _last_readers(self.reference)
        self.joined = _joined(self.reference)
        self.trains: dict[str, list[Tensor]] = {}
        self.activations: dict[str, list[Tensor]] = {}
        self.makers: dict[str, NeuronMaker] = {}

    @torch.no_grad()
    def run(self) -> dict[str, NeuronMaker]:
        """The chosen neurons by the name of the activation that they replace."""
        self.rewriter.run()
        return self.makers

    def _neuron(self, name: str) -> SpikingNeuron:
        joined = tuple(self.histograms[other] for other in self.joined[name])
        layer = Layer(name, self.timesteps, self.histograms[name], joined, lambda: self._batches(name))
        self.makers[name] = self.rule(layer)
        neuron = self.makers[name](self.timesteps)
        if name in self.last_reader:
            sent = [(neuron(currents).flatten(0, 1).to(torch.int8), there) for currents, there in self._batches(name)]
            self.trains[name] = [train for train, _ in sent]
            self.activations[name] = [there for _, there in sent]
        for source in [source for source, reader in self.last_reader.items() if reader == name and source in self.trains]:
            del self.trains[source], self.activations[source]
        return neuron

    def _batches(self, name: str) -> Iterator[tuple[Tensor, Tensor]]:
        before, there = _input_of(self.rewriter.traced, name), _input_of(self.reference, name)
        constant = self.rewriter.signals[before].kind == "analog"
        for index, images in enumerate(self.chunks):
            trains = {n: kept[index].to(images.dtype) for n, kept in self.trains.items()}
            current = evaluate(self.rewriter.traced, before, images, trains)
            outputs = {n: kept[index] for n, kept in self.activations.items()}
            activation = torch.relu(evaluate(self.reference, there, images, outputs))
            if constant:
                yield current.expand(self.timesteps, *current.shape), activation
            else:
                yield current.unflatten(0, (self.timesteps, -1)), activation


def _input_of(traced: fx.GraphModule, name: str) -> fx.Node:
    source = next(node for node in traced.graph.nodes if node.name == name).args[0]
    assert isinstance(source, fx.Node)
    return source


def _activations_before(traced: fx.GraphModule, node: fx.Node, sums_only: bool = False) -> set[str]:
    """Names of the nearest activations before ``node``; of those with nothing but sums between if ``sums_only``."""
    found: set[str] = set()
    seen: set[fx.Node] = set()
    waiting = list(node.all_input_nodes)
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if isinstance(module_of(traced, source), nn.ReLU):
            found.add(source.name)
        elif not sums_only or source.target in ADDITIONS:
            waiting += source.all_input_nodes
    return found


def _relus(traced: fx.GraphModule) -> list[fx.Node]:
    return [node for node in traced.graph.nodes if isinstance(module_of(traced, node), nn.ReLU)]


def _last_readers(traced: fx.GraphModule) -> dict[str, str]:
    """For each activation that others read, the last of them."""
    return {source: node.name for node in _relus(traced) for source in _activations_before(traced, node)}


def _joined(traced: fx.GraphModule) -> dict[str, tuple[str, ...]]:
    """For each activation those that it meets at sums, itself among them, in the order of the network."""
    groups: dict[str, set[str]] = {}
    for node in _relus(traced):
        group = {node.name}.union(*(groups[source] for source in _activations_before(traced, node, sums_only=True)))
        for name in group:
            groups[name] = group
    order = [node.name for node in _relus(traced)]
    return {name: tuple(other for other in order if other in groups[name]) for name in order}
