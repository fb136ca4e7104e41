"""Calibration on spiking activity: neurons chosen one layer after another, each on what the layers before it really send.

The rewritten part of the network runs on the calibration images up to the next ReLU; a rule sees the currents that arrive
there, beside what the trained network puts out for the same images, and chooses the neuron. Only spike trains that a later
layer reads are kept, a byte per spike; everything between two activations is computed again where it is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from benchmarks.methods.base import Images, Method
from snncore.coding import Code
from snncore.conversion import Calibration, ConversionError, InputEncoder, RecordedNetwork, SpikingNetwork, ThresholdRule, convert
from snncore.conversion.graph import execute, nearest, needed
from snncore.conversion.rewriting import Rewriter
from snncore.neurons import SpikingNeuron
from snncore.thresholds import ActivationHistogram

STEPS_AT_ONCE = 512
"""Timesteps times images that run together."""
LAYERWISE_IMAGES = 128
"""Images of the calibration: the one batch of Li et al.'s code."""

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


class LayerwiseMethod(Method):
    """A method that chooses its neurons layer by layer; write ``rule``, and ``calibrated`` if T of the calibration differs."""

    layerwise: ClassVar[bool] = True

    def rule(self, **options: object) -> LayerRule:
        """Chooses the neuron of each layer."""
        raise NotImplementedError

    def calibrated(self, timesteps: int, **options: object) -> int:
        """T of the calibration for a conversion with T = ``timesteps``."""
        return timesteps

    def convert(
        self, calibration: Calibration, threshold: ThresholdRule, timesteps: int, images: Images, **options: object
    ) -> SpikingNetwork:
        """See ``Method.convert``."""
        method = self.conversion(threshold, **options)
        unit = method.neuron(1.0, timesteps)
        # A network that cannot be converted is refused before the long work.
        convert(calibration.network, calibration, method, timesteps, neurons={n: unit for n in calibration.histograms})
        steps = self.calibrated(timesteps, **options)
        encoder = method.encoder and method.encoder(calibration.peak, steps)
        code = method.neuron(1.0, steps).code
        makers = LayerwisePass(calibration, self.rule(**options), code, images(LAYERWISE_IMAGES), encoder).run()
        neurons = {name: make(timesteps) for name, make in makers.items()}
        return convert(calibration.network, calibration, method, timesteps, neurons=neurons)


class LayerwisePass:
    """Goes through a network once, choosing a neuron for every activation.

    Args:
        calibration: of the network.
        rule: chooses the neurons.
        code: of the calibration, with its T.
        images: calibration images; each batch is cut to ``STEPS_AT_ONCE`` steps times images.
        encoder: as in ``Rewriter``.
    """

    def __init__(
        self, calibration: Calibration, rule: LayerRule, code: Code, images: Iterable[Tensor], encoder: InputEncoder | None = None
    ) -> None:
        self.network, self.histograms = calibration.network, calibration.histograms
        self.rewriter = Rewriter(self.network, self._neuron, code, encoder)
        self.rule = rule
        self.timesteps = code.timesteps
        self.chunks = [part for batch in images for part in batch.split(max(1, STEPS_AT_ONCE // code.timesteps))]
        if not self.chunks:
            raise ConversionError("this method calibrates layer by layer and got no images; pass batches of training images")
        readers = [node.name for node in self.network.activations]
        self.last_reader = {source: name for name in readers for source in _activations_before(self.network, name)}
        self.joined = _joined(self.network)
        # Where max-pooling comes before the neuron, the neuron stands for the activations behind the pooling.
        self.stands_for = {relu: pool for pool, relu in self.rewriter.deferred.items()}
        self.trains: dict[str, list[Tensor]] = {}
        self.activations: dict[str, list[Tensor]] = {}
        self.makers: dict[str, NeuronMaker] = {}

    @torch.no_grad()
    def run(self) -> dict[str, NeuronMaker]:
        """The chosen neurons by the name of the activation that they replace."""
        self.rewriter.run()
        return self.makers

    def _neuron(self, name: str) -> SpikingNeuron:
        source = self.rewriter.source_of_neuron
        joined = tuple(self.histograms[other] for other in self.joined[name])

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for index, images in enumerate(self.chunks):
                trains = {n: kept[index].to(images.dtype) for n, kept in self.trains.items()}
                current = self._current(source.step, images, trains)
                outputs = {self.stands_for.get(n, n): kept[index] for n, kept in self.activations.items()}
                activation = self.network.evaluate(self.stands_for.get(name, name), images, outputs)
                if source.kind == "analog":
                    yield current.expand(self.timesteps, *current.shape), activation
                else:
                    yield current.unflatten(0, (self.timesteps, -1)), activation

        self.makers[name] = self.rule(Layer(name, self.timesteps, self.histograms[name], joined, batches))
        neuron = self.makers[name](self.timesteps)
        if name in self.last_reader:
            sent = [(neuron(currents).flatten(0, 1).to(torch.int8), there) for currents, there in batches()]
            self.trains[name] = [train for train, _ in sent]
            self.activations[name] = [there for _, there in sent]
        for done in [source for source, reader in self.last_reader.items() if reader == name and source in self.trains]:
            del self.trains[done], self.activations[done]
        return neuron

    def _current(self, target: str, images: Tensor, trains: dict[str, Tensor]) -> Tensor:
        """What the steps so far put out at ``target``, from the images and the spike trains that are kept."""
        steps = {step.name: step.inputs for step in self.rewriter.steps.values()}
        values = trains | {next(iter(self.network.nodes)): images}

        def call(name: str) -> Tensor:
            value: Tensor = self.rewriter.modules[name](*(values[source] for source in steps[name]))
            return value

        return execute(needed(steps, {target}, values), call, values, {target})[target]


def _activations_before(network: RecordedNetwork, name: str, sums_only: bool = False) -> set[str]:
    """Names of the nearest activations before a node; of those with nothing but sums between if ``sums_only``."""
    activations = {node.name for node in network.activations}
    others = {node.name for node in network.nodes.values() if sums_only and node.operation != "add"}
    return activations.intersection(nearest(network.order, name, activations | others)[0])


def _joined(network: RecordedNetwork) -> dict[str, tuple[str, ...]]:
    """For each activation those that it meets at sums, itself among them, in the order of the network."""
    groups: dict[str, set[str]] = {}
    order = [node.name for node in network.activations]
    for activation in order:
        before = _activations_before(network, activation, sums_only=True)
        group = {activation}.union(*(groups[source] for source in before))
        for member in group:
            groups[member] = group
    return {name: tuple(other for other in order if other in groups[name]) for name in order}
