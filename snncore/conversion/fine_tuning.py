"""Layer-wise fine-tuning of a quantised network for its spikes (Fast-SNN; Hu et al., TPAMI 2023).

A spiking layer does not give quite what the quantised layer gives, since its input arrives step by step, and the error grows
from layer to layer. Going through the network in order, each layer's weights are trained so that its spike rate approaches
the quantised activation ``a`` of the network as it was:

    minimise mean (r - a)**2,    r = v / T sum_t s[t]

where the layers before, tuned already, send spikes. The gradient of ``r`` is that of the quantised layer at the mean input,

    dr/dW := dq(W x + b)/dW,     x = mean over t of the incoming spikes times their amplitude,

with the quantiser's straight-through rounding; its clip stays.

As in the public code: SGD with momentum, a layer after the other, and the first layer, whose input is constant, left alone.
Ours: batch normalisation is folded already, and of all epochs and the state before them, the one with the least error over
the images is kept (the code keeps an epoch that raises the accuracy on the training set).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from snncore.conversion.convert import QuantizedNeuron
from snncore.conversion.errors import ConversionError
from snncore.conversion.tracing import CONVOLUTIONS, evaluate, module_of, trace_network
from snncore.neurons import SpikingNeuron
from snncore.quantization import ActivationQuantizer


@dataclass(frozen=True)
class FineTuning:
    """How each layer is trained. Defaults: rate, momentum and decay of the public code, and its fewest epochs."""

    epochs: int = 1
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4


@dataclass
class _Batch:
    """What the layers so far make of a batch: quantised activations ``[B, ...]`` and spikes ``[T, B, ...]`` int8, by layer."""

    images: Tensor
    activations: dict[fx.Node, Tensor]
    spikes: dict[fx.Node, Tensor]


def fine_tune_layers(
    ann: nn.Module, batches: Iterable[Tensor], neuron: QuantizedNeuron, timesteps: int, tuning: FineTuning | None = None
) -> fx.GraphModule:
    """The quantised network ``ann`` with weights that suit ``neuron`` in ``timesteps`` steps; see the module docstring.

    Args:
        ann: a quantised network, which is left as it was.
        batches: training images; all are kept in memory, with the spikes of a layer or two.
        neuron: of each quantised activation, as in ``ConversionMethod.quantized``.
        timesteps: T.
        tuning: how each layer is trained.

    Raises:
        ConversionError: an activation that is not quantised, no images, a network that cannot be recorded.
    """
    tuning = tuning or FineTuning()
    reference, tuned = trace_network(ann), trace_network(ann)
    layers = [_Layer(*pair) for pair in zip(_activations(reference), _activations(tuned), strict=True)]
    if not layers:
        raise ConversionError("the network has no activation to fine-tune for")
    data = [_Batch(images, {}, {}) for images in batches]
    if not data:
        raise ConversionError("no images were given for fine-tuning; pass batches of training images")
    last_use = {source: i for i, layer in enumerate(layers) for source in layer.sources}
    for i, layer in enumerate(layers):
        spiking = neuron(layer.quantizer.clip.item(), layer.quantizer.levels, timesteps)
        for batch in data:
            batch.activations[layer.node] = layer.reference_activation(batch)
        if layer.sources:
            _tune(layer, data, spiking, tuning)
        for batch in data:
            batch.spikes[layer.node] = layer.spikes(batch, spiking).to(torch.int8)
            for done in [source for source in batch.spikes if last_use.get(source, -1) <= i and source is not layer.node]:
                del batch.spikes[done], batch.activations[done]
    return tuned.requires_grad_(True)


def _activations(traced: fx.GraphModule) -> list[tuple[fx.GraphModule, fx.Node]]:
    found = [(traced, node) for node in traced.graph.nodes if isinstance(module_of(traced, node), nn.ReLU)]
    for _, node in found:
        if not isinstance(module_of(traced, node), ActivationQuantizer):
            raise ConversionError(f"{node.name}: fine-tuning needs quantised activations, and this one is a plain ReLU")
    return found


class _Layer:
    """A quantised activation and the linear operations between it and the activations before.

    ``node`` and ``sources``, the activations before, are nodes of the network that is tuned.
    """

    def __init__(self, reference: tuple[fx.GraphModule, fx.Node], tuned: tuple[fx.GraphModule, fx.Node]) -> None:
        self.reference, self.reference_node = reference
        self.traced, self.node = tuned
        quantizer = module_of(self.traced, self.node)
        assert isinstance(quantizer, ActivationQuantizer)
        self.quantizer = quantizer
        self.sources: list[fx.Node] = []
        self.synapses: list[nn.Module] = []
        self._explore(self.node, set())

    def _explore(self, node: fx.Node, seen: set[fx.Node]) -> None:
        for before in node.all_input_nodes:
            if before in seen:
                continue
            seen.add(before)
            module = module_of(self.traced, before)
            if isinstance(module, ActivationQuantizer):
                self.sources.append(before)
                continue
            if isinstance(module, (*CONVOLUTIONS, nn.Linear)):
                self.synapses.append(module)
            self._explore(before, seen)

    def reference_activation(self, batch: _Batch) -> Tensor:
        """Quantised activation ``[B, ...]`` of the network as it was."""
        values = {source.name: batch.activations[source] for source in self.sources}
        with torch.no_grad():
            found: Tensor = evaluate(self.reference, self.reference_node, batch.images, values)
        return found

    def mean_input(self, batch: _Batch) -> Tensor:
        """Mean current ``[B, ...]`` over the steps, differentiable with respect to the weights."""
        values = {source.name: self._amplitude(source) * batch.spikes[source].to(batch.images).mean(0) for source in self.sources}
        current: Tensor = evaluate(self.traced, self._current, batch.images, values)
        return current

    @torch.no_grad()
    def spikes(self, batch: _Batch, neuron: SpikingNeuron) -> Tensor:
        """Spikes ``[T, B, ...]``."""
        timesteps = neuron.code.timesteps
        if not self.sources:
            constant: Tensor = evaluate(self.traced, self._current, batch.images, {})
            return neuron(constant.expand(timesteps, *constant.shape))  # type: ignore[no-any-return]
        values = {
            source.name: self._amplitude(source) * batch.spikes[source].to(batch.images).flatten(0, 1) for source in self.sources
        }
        shown = batch.images.expand(timesteps, *batch.images.shape).flatten(0, 1)
        currents: Tensor = evaluate(self.traced, self._current, shown, values)
        return neuron(currents.unflatten(0, (timesteps, -1)))  # type: ignore[no-any-return]

    @property
    def _current(self) -> fx.Node:
        current = self.node.args[0]
        assert isinstance(current, fx.Node)
        return current

    def _amplitude(self, source: fx.Node) -> Tensor:
        quantizer = module_of(self.traced, source)
        assert isinstance(quantizer, ActivationQuantizer)
        return quantizer.clip.detach()


def _tune(layer: _Layer, data: list[_Batch], neuron: SpikingNeuron, tuning: FineTuning) -> None:
    """Train the synapses of one layer."""
    weights = [weight for module in layer.synapses for weight in module.parameters()]
    for weight in weights:
        weight.requires_grad_(True)
    if not weights:
        return
    optimizer = torch.optim.SGD(weights, tuning.learning_rate, tuning.momentum, weight_decay=tuning.weight_decay)

    def rate(batch: _Batch) -> Tensor:
        return layer.spikes(batch, neuron).mean(0) * neuron.threshold

    def error() -> float:
        return sum(float((rate(batch) - batch.activations[layer.node]).square().sum(dtype=torch.float64)) for batch in data)

    least, best = error(), [weight.detach().clone() for weight in weights]
    for _ in range(tuning.epochs):
        for batch in data:
            with torch.enable_grad():
                smooth = layer.quantizer(layer.mean_input(batch))
                output = smooth + (rate(batch) - smooth).detach()
                loss = nn.functional.mse_loss(output, batch.activations[layer.node])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if (found := error()) < least:
            least, best = found, [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, kept in zip(weights, best, strict=True):
            weight.copy_(kept)
