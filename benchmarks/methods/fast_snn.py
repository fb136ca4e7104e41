"""Fast-SNN: signed neurons, and layer-wise fine-tuning of a quantised network for its spikes (Hu et al., TPAMI 2023).

A spiking layer does not give quite what the quantised layer gives, since its input arrives step by step, and the error grows
from layer to layer. Going through the network in order, each layer's weights are trained so that its spike rate approaches
the quantised activation ``a`` of the network as it was:

    minimise mean (r - a)**2,    r = v / T sum_t s[t]

where the layers before, tuned already, send spikes. The gradient of ``r`` is that of the quantised layer at the mean input,

    dr/dW := dq(W x + b)/dW,     x = mean over t of the incoming spikes times their amplitude,

with the quantiser's straight-through rounding; its clip stays.

As in the public code: SGD with momentum, a layer after the other, and the first layer, whose input is constant, left alone.
Its rows are fine-tuned layer by layer after conversion; "Fast-SNN, not fine-tuned" is the same without.

Ours: weights keep full precision, as in all methods here, though Fast-SNN quantises them too (powers of two; 8 bits in the
first and last layer); the network is fine-tuned to its number of levels at once, not through 4 and 3 bits; layers are tuned on
the calibration images instead of the whole training set; batch normalisation is folded already, and of all epochs and the
state before them, the one with the least error over the images is kept (the code keeps an epoch that raises the
accuracy on the training set).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.methods.base import Images
from benchmarks.methods.signed_rate import QFFS
from snncore.conversion import Calibration, ConversionError, RecordedNetwork, SpikingNetwork, ThresholdRule, convert
from snncore.conversion.folding import CONVOLUTIONS
from snncore.conversion.graph import Node, nearest
from snncore.conversion.method import QuantizedNeuron
from snncore.neurons import SpikingNeuron


class FastSNNUntuned(QFFS):
    """Needs a quantised network; no options."""

    name = "Fast-SNN, not fine-tuned"
    reference = "Hu et al. 2023, signed neurons alone"
    default_timesteps = 7
    margin = 1e-3


class FastSNN(FastSNNUntuned):
    """Needs a quantised network. Option: ``epochs`` (1) over the calibration images, per layer."""

    name = "Fast-SNN"
    reference = "Hu et al. 2023, signed neurons and layer-wise fine-tuning"

    def convert(  # type: ignore[override]
        self, calibration: Calibration, threshold: ThresholdRule, timesteps: int, images: Images, epochs: int = 1
    ) -> SpikingNetwork:
        """See ``Method.convert``: fine-tunes on all calibration images first."""
        method = self.conversion(threshold)
        assert method.quantized is not None
        tuned = fine_tune_layers(calibration.network, images(None), method.quantized, timesteps, FineTuning(epochs))
        return convert(tuned, replace(calibration, network=tuned), method, timesteps)


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
    activations: dict[str, Tensor]
    spikes: dict[str, Tensor]


def fine_tune_layers(
    reference: RecordedNetwork,
    batches: Iterable[Tensor],
    neuron: QuantizedNeuron,
    timesteps: int,
    tuning: FineTuning | None = None,
) -> RecordedNetwork:
    """The quantised network with weights that suit ``neuron`` in ``timesteps`` steps; see the module docstring.

    Args:
        reference: a quantised network, which is left as it was.
        batches: training images; all are kept in memory, with the spikes of a layer or two.
        neuron: of each quantised activation, as in ``ConversionMethod.quantized``.
        timesteps: T.
        tuning: how each layer is trained.

    Raises:
        ConversionError: an activation that is not quantised, no images.
    """
    tuning = tuning or FineTuning()
    tuned = reference.changed()
    layers = [_Layer(reference, tuned, node) for node in tuned.activations]
    if not layers:
        raise ConversionError("the network has no activation to fine-tune for")
    data = [_Batch(images, {}, {}) for images in batches]
    if not data:
        raise ConversionError("no images were given for fine-tuning; pass batches of training images")
    last_use = {source: i for i, layer in enumerate(layers) for source in layer.sources}
    for i, layer in enumerate(layers):
        spiking = neuron(layer.quantizer.clip.item(), layer.quantizer.levels, timesteps)
        for batch in data:
            batch.activations[layer.name] = layer.reference_activation(batch)
        if layer.sources:
            _tune(layer, data, spiking, tuning)
        for batch in data:
            batch.spikes[layer.name] = layer.spikes(batch, spiking).to(torch.int8)
            for done in [source for source in batch.spikes if last_use.get(source, -1) <= i and source != layer.name]:
                del batch.spikes[done], batch.activations[done]
    return tuned.requires_grad_(True)


class _Layer:
    """A quantised activation and the linear operations between it and the activations before, its ``sources``."""

    def __init__(self, reference: RecordedNetwork, tuned: RecordedNetwork, node: Node) -> None:
        quantizer = tuned.quantizer(node)
        if quantizer is None:
            raise ConversionError(f"{node.name}: fine-tuning needs quantised activations, and this one is a plain ReLU")
        self.reference, self.tuned, self.name, self.current, self.quantizer = reference, tuned, node.name, node.source, quantizer
        self.sources, between = nearest(tuned.order, node.name, {activation.name for activation in tuned.activations})
        self.synapses = [tuned.nodes[n] for n in between if tuned.nodes[n].operation in (*CONVOLUTIONS, "linear")]

    @property
    def weights(self) -> list[Tensor]:
        """What is trained."""
        stored = [node[name] for node in self.synapses for name in ("weight", "bias")]
        return [getattr(self.tuned, each.name) for each in stored if each is not None]

    def reference_activation(self, batch: _Batch) -> Tensor:
        """Quantised activation ``[B, ...]`` of the network as it was."""
        known = {source: batch.activations[source] for source in self.sources}
        with torch.no_grad():
            return self.reference.evaluate(self.name, batch.images, known)

    def mean_input(self, batch: _Batch) -> Tensor:
        """Mean current ``[B, ...]`` over the steps, differentiable with respect to the weights."""
        values = {source: self._amplitude(source) * batch.spikes[source].to(batch.images).mean(0) for source in self.sources}
        return self.tuned.evaluate(self.current, batch.images, values)

    @torch.no_grad()
    def spikes(self, batch: _Batch, neuron: SpikingNeuron) -> Tensor:
        """Spikes ``[T, B, ...]``."""
        timesteps = neuron.code.timesteps
        if not self.sources:
            constant = self.tuned.evaluate(self.current, batch.images, {})
            return neuron(constant.expand(timesteps, *constant.shape))  # type: ignore[no-any-return]
        values = {
            source: self._amplitude(source) * batch.spikes[source].to(batch.images).flatten(0, 1) for source in self.sources
        }
        shown = batch.images.expand(timesteps, *batch.images.shape).flatten(0, 1)
        currents = self.tuned.evaluate(self.current, shown, values)
        return neuron(currents.unflatten(0, (timesteps, -1)))  # type: ignore[no-any-return]

    def _amplitude(self, source: str) -> Tensor:
        quantizer = self.tuned.quantizer(self.tuned.nodes[source])
        assert quantizer is not None
        return quantizer.clip.detach()


def _tune(layer: _Layer, data: list[_Batch], neuron: SpikingNeuron, tuning: FineTuning) -> None:
    """Train the synapses of one layer."""
    weights = layer.weights
    for weight in weights:
        weight.requires_grad_(True)
    if not weights:
        return
    optimizer = torch.optim.SGD(weights, tuning.learning_rate, tuning.momentum, weight_decay=tuning.weight_decay)

    def rate(batch: _Batch) -> Tensor:
        return layer.spikes(batch, neuron).mean(0) * neuron.threshold

    def error() -> float:
        return sum(float((rate(batch) - batch.activations[layer.name]).square().sum(dtype=torch.float64)) for batch in data)

    least, best = error(), [weight.detach().clone() for weight in weights]
    for _ in range(tuning.epochs):
        for batch in data:
            with torch.enable_grad():
                smooth = layer.quantizer(layer.mean_input(batch))
                output = smooth + (rate(batch) - smooth).detach()
                loss = nn.functional.mse_loss(output, batch.activations[layer.name])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if (found := error()) < least:
            least, best = found, [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, kept in zip(weights, best, strict=True):
            weight.copy_(kept)
