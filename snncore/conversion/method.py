"""ANN-to-SNN conversion: ``convert``, and what a conversion method is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from snncore.coding import check_timesteps
from snncore.conversion.calibration import Calibration, calibration_of
from snncore.conversion.estimates import spiking_program
from snncore.conversion.estimating import EstimatingNetwork
from snncore.conversion.graph import ConversionError, Node
from snncore.conversion.inputs import Given
from snncore.conversion.network import Mode, SpikingNetwork
from snncore.conversion.rewriting import Rewriter
from snncore.encoders import InputEncoder
from snncore.neurons import SpikingNeuron
from snncore.quantization import ClippedReLU
from snncore.thresholds import Percentile, ThresholdRule

QuantizedNeuron = Callable[[float, int, int], SpikingNeuron]
"""``(clip, levels, timesteps)`` of a quantised activation to its neuron; ConversionError where the levels do not fit."""


@dataclass(frozen=True)
class ConversionMethod:
    """How activations become spikes.

    Attributes:
        name: for messages.
        neuron: ``(threshold, timesteps) -> SpikingNeuron``.
        threshold: rule that finds a layer's full threshold from its activations.
        anytime: the first t steps of a train of T steps are the train of t steps, so one run gives every t <= T.
        quantized: neuron of a quantised activation; None for one by the threshold rule, as for any other. A clipped ReLU has
            the clip as its threshold.
        full_precision: converts activations that are not quantised; requires ``quantized`` where it is False.
        encoder: ``(largest size of an input value, timesteps) -> InputEncoder``; direct coding unless given.
        signed: ``(threshold, timesteps) -> SpikingNeuron`` of signals of either sign, for networks with attention, softmax or
            normalisation; None where the method converts none of these.
        signed_quantized: neuron of a quantised signal of either sign, as ``quantized``: one more level is below 0 than above.
    """

    name: str
    neuron: Callable[[float, int], SpikingNeuron]
    threshold: ThresholdRule = Percentile(99.99)
    anytime: bool = False
    quantized: QuantizedNeuron | None = None
    full_precision: bool = True
    encoder: Callable[[float, int], InputEncoder] | None = None
    signed: Callable[[float, int], SpikingNeuron] | None = None
    signed_quantized: QuantizedNeuron | None = None


def convert(
    ann: nn.Module,
    calibration: Calibration | Iterable[Given],
    method: ConversionMethod | None = None,
    timesteps: int = 8,
    mode: Mode = "multi-step",
    neurons: Mapping[str, SpikingNeuron] | None = None,
) -> SpikingNetwork:
    """Convert a trained network into a spiking one.

    Works on any network that ``torch.export`` can read and whose operations have a rule (``snncore.conversion.rules``):
    layers with weights, batch norm, ReLU in any spelling, pooling, sums, products with constants, concatenation, reshaping; by
    ``tmn()`` also embeddings, attention, softmax, LayerNorm, smooth activations and other products of two signals. The trained
    network is left as it was.

    Args:
        ann: the trained network.
        calibration: batches of training images, or the result of ``calibrate`` (to use it for several conversions). Several
            inputs are tuples or dicts of tensors.
        method: ``tmn()`` by default; also ``tsa()``, ``rate()``, ``opi()`` or your own.
        timesteps: T, firing steps (pre-charge not counted).
        mode: see ``SpikingNetwork``.
        neurons: some or all of the neurons, by the names of the activations, in place of the method's own: for methods that
            choose them by procedures of their own.

    Returns:
        The spiking network.

    Raises:
        ConversionError: an operation without spiking counterpart (with its source line), a network that cannot be read, NaN; a
            method that needs quantised activations where one is not, or other levels than it has.
        ValueError: timesteps, mode or an argument of the method out of range.
    """
    from snncore.conversion.presets import tmn  # which are made of this module's ``ConversionMethod``

    check_timesteps(timesteps)
    method = method or tmn()
    code = method.neuron(1.0, timesteps).code
    calibration = calibration_of(ann, calibration)
    chosen = neurons_of(calibration, method, timesteps) | dict(neurons or {})
    if calibration.placement is not None:
        frames = timesteps - method.neuron(1.0, timesteps).delay
        return EstimatingNetwork(spiking_program(calibration.placement, chosen.__getitem__, frames), code, mode, frames)
    encoder = method.encoder and method.encoder(calibration.peak, timesteps)
    return SpikingNetwork(Rewriter(calibration.network, chosen.__getitem__, code, encoder).run(), code, mode)


def neurons_of(calibration: Calibration, method: ConversionMethod, timesteps: int) -> dict[str, SpikingNeuron]:
    """The method's own neuron for every activation of a calibrated network, by name; raises as ``convert`` does."""
    neurons = {node.name: _neuron(node, calibration, method, timesteps) for node in calibration.network.activations}
    if calibration.placement is None:
        return neurons
    first = next(iter(calibration.placement.sites.values()), None)
    place = first.origin if first else "the network"
    if method.signed is None and (first or method.signed_quantized is None):
        raise ConversionError(f"{place}: needs signed neurons, which {method.name} does not have; convert with tmn()")
    if method.neuron(1.0, timesteps).delay == timesteps:
        why = f"a pre-charge of {timesteps} steps leaves none of T = {timesteps} to be read"
        raise ConversionError(f"{place}: {why}; use a pre-charge of at most T - 1")
    for name in calibration.placement.sites:
        assert method.signed is not None
        key = f"{name}_spikes"
        neurons[key] = method.signed(_threshold(key, calibration, method, timesteps), timesteps)
    return neurons


def _neuron(node: Node, calibration: Calibration, method: ConversionMethod, timesteps: int) -> SpikingNeuron:
    quantizer = calibration.network.quantizer(node)
    if quantizer is not None and node.operation == "quantize":
        if method.signed_quantized is None:
            raise ConversionError(f"{node.origin}: {method.name} has no neuron of quantised signals of either sign; use tmn()")
        return method.signed_quantized(quantizer.clip.item(), quantizer.levels, timesteps)
    if isinstance(quantizer, ClippedReLU) and method.quantized is not None:
        return method.neuron(quantizer.clip.item(), timesteps)  # it rounds to no levels
    if quantizer is not None and method.quantized is not None:
        return method.quantized(quantizer.clip.item(), quantizer.levels, timesteps)
    if quantizer is None and not method.full_precision:
        raise ConversionError(
            f"{node.origin}: {method.name} converts networks of quantised activations, and this one is a plain ReLU; "
            "quantise the network first (snncore.conversion.quantize) and fine-tune it"
        )
    return method.neuron(_threshold(node.name, calibration, method, timesteps), timesteps)


def _threshold(name: str, calibration: Calibration, method: ConversionMethod, timesteps: int) -> float:
    histogram = calibration.histograms[name]
    threshold = method.threshold(histogram, method.neuron(1.0, timesteps).code)
    if threshold <= 0 and histogram.maximum > 0:
        why = "the threshold came out as 0, since nearly all activations are 0; use Percentile(..., positive_only=True)"
        raise ConversionError(f"{name}: {why}")
    if threshold <= 0:
        warnings.warn(f"{name}: no calibration image activates this layer; its threshold is set to 1", stacklevel=5)
        threshold = 1.0
    return threshold
