"""ANN-to-SNN conversion: ``convert`` and the methods that need nothing but a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, fx, nn

from snncore.coding import check_timesteps
from snncore.conversion.calibration import Calibration, Percentile, ThresholdRule, calibration_of
from snncore.conversion.errors import ConversionError
from snncore.conversion.layerwise import LayerRule, LayerwisePass
from snncore.conversion.network import Mode, SpikingNetwork
from snncore.conversion.operations import InputEncoder
from snncore.conversion.rewriting import Rewriter
from snncore.conversion.tracing import module_of, trace_network
from snncore.neurons import IntegrateFireNeuron, MomentumNeuron, SpikingNeuron
from snncore.quantization import ActivationQuantizer

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
        quantized: neuron of a quantised activation; None for one by the threshold rule, as for any other.
        full_precision: converts activations that are not quantised; requires ``quantized`` where it is False.
        layerwise: chooses the neurons one layer after another on spiking activity, instead of ``threshold`` on that of the
            trained network; ``neuron`` then makes no more than the code known.
        layerwise_timesteps: T of that calibration; that of the conversion unless given.
        encoder: ``(largest size of an input value, timesteps) -> InputEncoder``; direct coding unless given.
    """

    name: str
    neuron: Callable[[float, int], SpikingNeuron]
    threshold: ThresholdRule = Percentile(99.99)
    anytime: bool = False
    quantized: QuantizedNeuron | None = None
    full_precision: bool = True
    layerwise: LayerRule | None = None
    layerwise_timesteps: int | None = None
    encoder: Callable[[float, int], InputEncoder] | None = None


def tmn(
    precharge: int = 1, ratio: float = 0.5, ternary: bool = True, threshold: ThresholdRule | None = None
) -> ConversionMethod:
    """CSS coding with the ternary momentum neuron (TMN paper, Algorithms 1 and 2).

    A quantised activation of L levels takes T >= log2(L + 1) steps, and its threshold is such that one unit of the code is
    one level. Where ``L < 2**T - 1`` the code can tell more than the clip: values above it are not clipped.

    Args:
        precharge: steps of integration before the first spike, at most as many as there are timesteps: after T steps no
            input is left to wait for.
        ratio: predictive over full threshold (1 and ``ternary=False``: no predictive spiking).
        ternary: spikes in {-1, 0, 1}, otherwise {0, 1}.
        threshold: rule for the full threshold; the 99.99th percentile of the activations by default.

    Raises:
        ValueError: an argument out of range; raised by ``convert``, where T is known.
    """

    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        return MomentumNeuron(v, timesteps, precharge=precharge, ratio=ratio, ternary=ternary)

    def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        units = 2**timesteps - 1
        if units < levels:
            raise ConversionError(
                f"TMN in T = {timesteps} tells {units} levels from 0 and the network has {levels}; "
                f"use T = {levels.bit_length()} or more, or a network of fewer levels"
            )
        return neuron(clip * units / levels, timesteps)

    return ConversionMethod("TMN", neuron, threshold or Percentile(99.99), quantized=quantized)


def tsa(precharge: int = 1, beta: float = 1.5, threshold: ThresholdRule | None = None) -> ConversionMethod:
    """CSS coding with the ternary self-amplifying neuron (CSS paper, Algorithms 1 and 2).

    The threshold of a quantised activation is its clip; the code's own levels, which are not even, replace the network's.

    Args:
        precharge: silent steps before the first spike; see ``tmn``.
        beta: amplification of the membrane potential per step.
        threshold: rule for the full threshold; the 99.99th percentile of the activations by default.

    Raises:
        ValueError: an argument out of range; raised by ``convert``, where T is known.
    """

    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        return MomentumNeuron(v, timesteps, beta=beta, precharge=precharge, gate="tsa-relu")

    def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        return neuron(clip, timesteps)

    return ConversionMethod("TSA", neuron, threshold or Percentile(99.99), quantized=quantized)


def rate(initial: float = 0.0, threshold: ThresholdRule | None = None) -> ConversionMethod:
    """Plain rate coding with soft-reset integrate-and-fire neurons.

    Args:
        initial: initial membrane potential as a fraction of the threshold.
        threshold: rule for the threshold; the 99.99th percentile of the activations by default.
    """

    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        return IntegrateFireNeuron(v, timesteps, initial)

    return ConversionMethod("rate", neuron, threshold or Percentile(99.99), anytime=True)


def opi(threshold: ThresholdRule | None = None) -> ConversionMethod:
    """Rate coding from half the threshold: optimised potential initialisation (Bu et al., AAAI 2022)."""
    return ConversionMethod("OPI", rate(0.5).neuron, threshold or Percentile(99.99), anytime=True)


def convert(
    ann: nn.Module,
    calibration: Calibration | Iterable[Tensor],
    method: ConversionMethod | None = None,
    timesteps: int = 8,
    mode: Mode = "multi-step",
    images: Iterable[Tensor] | None = None,
) -> SpikingNetwork:
    """Convert a trained network into a spiking one.

    Works on any network that ``torch.fx`` can trace: convolution, linear, batch norm, ReLU in any spelling, average and max
    pooling, residual sums, concatenation, reshaping. The trained network is left as it was.

    Args:
        ann: the trained network.
        calibration: batches of training images, or the result of ``calibrate`` (to use it for several conversions).
        method: ``tmn()`` by default; also ``tsa()``, ``rate()``, ``opi()`` or your own.
        timesteps: T, firing steps (pre-charge not counted).
        mode: see ``SpikingNetwork``.
        images: batches of training images for a method that calibrates layer by layer; those of ``calibration`` if it is
            batches.

    Returns:
        The spiking network.

    Raises:
        ConversionError: an operation without spiking counterpart (named), a network that cannot be traced, NaN; a method
            that needs quantised activations where one is not, or other levels than it has; no images for one that needs them.
        ValueError: timesteps, mode or an argument of the method out of range.
    """
    check_timesteps(timesteps)
    method = method or tmn()
    code = method.neuron(1.0, timesteps).code
    traced = trace_network(ann)
    of_quantized = _neurons_of_quantized(traced, method, timesteps)
    if method.layerwise is not None and images is None and not isinstance(calibration, Calibration | Tensor):
        images = calibration = list(calibration)
    calibration = calibration_of(ann, traced, calibration)
    histograms = calibration.histograms

    def neuron(name: str) -> SpikingNeuron:
        if name in of_quantized:
            return of_quantized[name]
        threshold = method.threshold(histograms[name], code)
        if threshold <= 0 and histograms[name].maximum > 0:
            raise ConversionError(
                f"{name}: the threshold came out as 0, since nearly all activations are 0; "
                "use Percentile(..., positive_only=True)"
            )
        if threshold <= 0:
            warnings.warn(f"{name}: no calibration image activates this layer; its threshold is set to 1", stacklevel=2)
            threshold = 1.0
        return method.neuron(threshold, timesteps)

    def encoder(steps: int) -> InputEncoder | None:
        return method.encoder and method.encoder(calibration.peak, steps)

    if method.layerwise is None:
        make = neuron
    else:
        if images is None:
            raise ConversionError(f"{method.name} calibrates layer by layer: pass images=, batches of training images")
        # A network that cannot be converted is refused before the long work.
        Rewriter(trace_network(ann), calibration, lambda _: method.neuron(1.0, timesteps), code, encoder(timesteps)).run()
        steps = method.layerwise_timesteps or timesteps
        steps_code = method.neuron(1.0, steps).code
        layers = LayerwisePass(partial(trace_network, ann), calibration, method.layerwise, steps_code, images, encoder(steps))
        chosen = layers.run()

        def make(name: str) -> SpikingNeuron:
            return chosen[name](timesteps)

    signals = Rewriter(traced, calibration, make, code, encoder(timesteps)).run()
    return SpikingNetwork(traced, signals, code, mode)


def _neurons_of_quantized(traced: fx.GraphModule, method: ConversionMethod, timesteps: int) -> dict[str, SpikingNeuron]:
    """Neurons of the quantised activations by name, where the method has its own way with them."""
    neurons = {}
    for node in traced.graph.nodes:
        relu = module_of(traced, node)
        if isinstance(relu, ActivationQuantizer) and method.quantized is not None:
            neurons[node.name] = method.quantized(relu.clip.item(), relu.levels, timesteps)
        elif isinstance(relu, nn.ReLU) and not method.full_precision and not isinstance(relu, ActivationQuantizer):
            raise ConversionError(
                f"{node.name}: {method.name} converts networks of quantised activations, and this one is a plain ReLU; "
                "quantise the network first (snncore.conversion.quantize) and fine-tune it"
            )
    return neurons
