"""ANN-to-SNN conversion: ``convert`` and the methods that need nothing but a trained network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, get_args

from torch import Tensor, fx, nn

from snncore.coding import check_timesteps
from snncore.conversion.amplitude import AmplitudeAdjustment, adjust_amplitudes
from snncore.conversion.calibration import Calibration, Percentile, ThresholdRule, calibration_of
from snncore.conversion.encoders import PotentialEncoder
from snncore.conversion.errors import ConversionError
from snncore.conversion.layerwise import LayerRule, LayerwisePass
from snncore.conversion.network import Mode, SpikingNetwork
from snncore.conversion.operations import InputEncoder
from snncore.conversion.rewriting import Rewriter
from snncore.conversion.tracing import module_of, trace_network
from snncore.neurons import IntegrateFireNeuron, MomentumNeuron, SpikingNeuron
from snncore.quantization import ActivationQuantizer

Encoding = Literal["potential", "direct"]
"""How an image comes in: as spikes from an initial potential, or as a constant current."""
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
        layerwise_most: at most so many steps where it is that of the conversion.
        encoder: ``(largest size of an input value, timesteps) -> InputEncoder``; direct coding unless given.
        adjustment: raises the thresholds of the converted network until its residual potentials are small.
    """

    name: str
    neuron: Callable[[float, int], SpikingNeuron]
    threshold: ThresholdRule = Percentile(99.99)
    anytime: bool = False
    quantized: QuantizedNeuron | None = None
    full_precision: bool = True
    layerwise: LayerRule | None = None
    layerwise_timesteps: int | None = None
    layerwise_most: int | None = None
    encoder: Callable[[float, int], InputEncoder] | None = None
    adjustment: AmplitudeAdjustment | None = None


def tmn(precharge: int = 1, ratio: float = 0.5, ternary: bool = True, threshold: ThresholdRule | None = None) -> ConversionMethod:
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


def tsa(
    precharge: int = 1,
    beta: float = 1.5,
    threshold: ThresholdRule | None = None,
    ternary: bool = True,
    encoding: Encoding = "potential",
    adjustment: AmplitudeAdjustment | None = None,
) -> ConversionMethod:
    """CSS coding with the ternary self-amplifying neuron (CSS paper, Algorithms 1 and 2).

    The threshold of a quantised activation is its clip; the code's own levels, which are not even, replace the network's.

    Args:
        precharge: length of the silent period, at most T: after T steps no input is left to wait for.
        beta: amplification of the membrane potential per step, in (1, 3].
        threshold: rule for the full threshold; the 99.99th percentile of the activations by default.
        ternary: spikes in {-1, 0, 1} at half the threshold; otherwise {0, 1} at the full one, our reading of the paper's
            comparison. The input code stays signed, as images are.
        encoding: ``"potential"``, the paper's (Theorem 2), or ``"direct"``: a constant current, as TMN has it.
        adjustment: data-based adjustment of the amplitudes (App. A.3); none by default.

    Raises:
        ValueError: an unknown encoding; another argument out of range, raised by ``convert``, where T is known.
    """
    if encoding not in get_args(Encoding):
        raise ValueError(f"unknown encoding {encoding!r}; known: {', '.join(get_args(Encoding))}")

    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        ratio = 0.5 if ternary else 1.0
        return MomentumNeuron(v, timesteps, beta, precharge, ratio, ternary, gate="tsa-relu")

    def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        return neuron(clip, timesteps)

    def encoder(peak: float, timesteps: int) -> InputEncoder:
        return PotentialEncoder(peak, timesteps, beta)

    return ConversionMethod(
        "TSA",
        neuron,
        threshold or Percentile(99.99),
        quantized=quantized,
        encoder=encoder if encoding == "potential" else None,
        adjustment=adjustment,
    )


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
    """Rate coding from half the threshold: optimised potential initialisation (Bu et al., AAAI 2022).

    The threshold of a clipped or quantised activation is its clip.
    """

    def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        return IntegrateFireNeuron(clip, timesteps, 0.5)

    return ConversionMethod("OPI", rate(0.5).neuron, threshold or Percentile(99.99), anytime=True, quantized=quantized)


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
        images: batches of training images for a method that calibrates on spiking activity, layer by layer or by adjustment;
            those of ``calibration`` if it is batches.

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
    needs_images = method.layerwise is not None or method.adjustment is not None
    if needs_images and images is None and not isinstance(calibration, Calibration | Tensor):
        images = calibration = list(calibration)
    calibration = calibration_of(ann, traced, calibration)
    histograms = calibration.histograms

    @cache
    def threshold_of(name: str) -> float:
        if name in of_quantized:
            return of_quantized[name].threshold
        threshold = method.threshold(histograms[name], code)
        if threshold <= 0 and histograms[name].maximum > 0:
            raise ConversionError(
                f"{name}: the threshold came out as 0, since nearly all activations are 0; "
                "use Percentile(..., positive_only=True)"
            )
        if threshold <= 0:
            warnings.warn(f"{name}: no calibration image activates this layer; its threshold is set to 1", stacklevel=2)
            threshold = 1.0
        return threshold

    def neuron(name: str, factor: float = 1.0) -> SpikingNeuron:
        if name in of_quantized and factor == 1:
            return of_quantized[name]
        return method.neuron(threshold_of(name) * factor, timesteps)

    def encoder(steps: int) -> InputEncoder | None:
        return method.encoder and method.encoder(calibration.peak, steps)

    def spiking(make: Callable[[str], SpikingNeuron], mode: Mode) -> SpikingNetwork:
        traced = trace_network(ann)
        signals = Rewriter(traced, calibration, make, code, encoder(timesteps)).run()
        return SpikingNetwork(traced, signals, code, mode)

    if method.layerwise is None and method.adjustment is None:
        return spiking(neuron, mode)
    if images is None:
        how = "adjusts its amplitudes on spiking activity" if method.layerwise is None else "calibrates layer by layer"
        raise ConversionError(f"{method.name} {how}: pass images=, batches of training images")
    if method.layerwise is None:
        assert method.adjustment is not None
        adjusted = adjust_amplitudes(
            lambda factors: spiking(lambda name: neuron(name, factors.get(name, 1.0)), "multi-step"),
            list(images),
            method.adjustment,
        )
        adjusted.mode = mode
        return adjusted
    # A network that cannot be converted is refused before the long work.
    spiking(lambda _: method.neuron(1.0, timesteps), mode)
    steps = method.layerwise_timesteps or min(timesteps, method.layerwise_most or timesteps)
    steps_code = method.neuron(1.0, steps).code
    layers = LayerwisePass(partial(trace_network, ann), calibration, method.layerwise, steps_code, images, encoder(steps))
    chosen = layers.run()
    return spiking(lambda name: chosen[name](timesteps), mode)


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
