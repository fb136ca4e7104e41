"""Conversion methods that need nothing but a trained network, and the only home of their defaults."""

from __future__ import annotations

from typing import Literal, get_args

from snncore.conversion.graph import ConversionError
from snncore.conversion.method import ConversionMethod
from snncore.encoders import InputEncoder, PotentialEncoder
from snncore.neurons import IntegrateFireNeuron, MomentumNeuron, SpikingNeuron
from snncore.thresholds import Percentile, ThresholdRule

Encoding = Literal["potential", "direct"]
"""How an image comes in: as spikes from an initial potential, or as a constant current."""


def tmn(precharge: int = 1, ratio: float = 0.5, ternary: bool = True, threshold: ThresholdRule | None = None) -> ConversionMethod:
    """CSS coding with the ternary momentum neuron (TMN paper, Algorithms 1 and 2).

    A quantised activation of L levels takes T >= log2(L + 1) steps, and its threshold is such that one unit of the code is
    one level. Where ``L < 2**T - 1`` the neuron saturates at L units, so that more steps change nothing.

    Args:
        precharge: steps of integration before the first spike, at most as many as there are timesteps: after T steps no
            input is left to wait for.
        ratio: predictive over full threshold (1 and ``ternary=False``: no predictive spiking).
        ternary: spikes in {-1, 0, 1}, otherwise {0, 1}.
        threshold: rule for the full threshold; the 99.99th percentile of the activations by default.

    Raises:
        ValueError: an argument out of range; raised by ``convert``, where T is known.
    """

    def neuron(v: float, timesteps: int, most: int | None = None) -> SpikingNeuron:
        return MomentumNeuron(v, timesteps, precharge=precharge, ratio=ratio, ternary=ternary, most=most)

    def fitting(levels: int, timesteps: int) -> int:
        units = 2**timesteps - 1
        if units < levels:
            raise ConversionError(
                f"with T = {timesteps}, TMN can represent {units} non-zero levels, but the network has {levels}; "
                f"use T = {levels.bit_length()} or more, or a network of fewer levels"
            )
        return units

    def quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        units = fitting(levels, timesteps)
        return neuron(clip * units / levels, timesteps, None if units == levels else levels)

    def signed(v: float, timesteps: int, least: int | None = None, most: int | None = None) -> SpikingNeuron:
        return MomentumNeuron(v, timesteps, 2.0, precharge, ratio, ternary, "none", most, least)

    def signed_quantized(clip: float, levels: int, timesteps: int) -> SpikingNeuron:
        return signed(clip * fitting(levels + 1, timesteps) / levels, timesteps, -(levels + 1), levels)

    rule = threshold or Percentile(99.99)
    if not ternary:
        return ConversionMethod("TMN", neuron, rule, quantized=quantized)
    return ConversionMethod("TMN", neuron, rule, quantized=quantized, signed=signed, signed_quantized=signed_quantized)


def tsa(
    precharge: int = 1,
    beta: float = 1.5,
    threshold: ThresholdRule | None = None,
    ternary: bool = True,
    encoding: Encoding = "potential",
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
