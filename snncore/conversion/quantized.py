"""Quantised networks: made from trained ones, and the methods that convert nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from torch import Tensor, fx, nn

from snncore.coding import RateCode
from snncore.conversion.calibration import Calibration, LeastSquares, Percentile, calibration_of
from snncore.conversion.convert import ConversionMethod, QuantizedNeuron
from snncore.conversion.tracing import call_module, module_of, trace_network
from snncore.neurons import IntegrateFireNeuron, OffsetSpikeNeuron, SignedIntegrateFireNeuron, SpikingNeuron
from snncore.quantization import ActivationQuantizer


def quantize(
    ann: nn.Module,
    calibration: Calibration | Iterable[Tensor] | None,
    quantizer: Callable[[float], ActivationQuantizer],
) -> fx.GraphModule:
    """Replace every ReLU of a trained network, in whatever spelling, by a quantiser. Fine-tune the result.

    Batch normalisation is folded into the convolutions, as by ``convert``; dropout is left out.

    Args:
        ann: the trained network, which is left as it was.
        calibration: batches of training images, or the result of ``calibrate``: each clip starts where the mean squared error
            of the quantised activations is least. None: every clip starts at 1, for weights that are loaded afterwards.
        quantizer: ``clip -> ActivationQuantizer``, for instance ``partial(ClipFloorShift, 4)``.

    Returns:
        the quantised network, in evaluation mode, with all parameters trainable.

    Raises:
        ConversionError: a network that cannot be recorded, a calibration of another network.
    """
    traced = trace_network(ann)
    code = RateCode(quantizer(1.0).levels)
    histograms = {} if calibration is None else calibration_of(ann, traced, calibration).histograms
    for node in traced.graph.nodes:
        relu = module_of(traced, node)
        if not isinstance(relu, nn.ReLU):
            continue
        clip = 1.0
        if calibration is not None:
            clip = LeastSquares()(histograms[node.name], code)
            if clip <= 0:
                warnings.warn(f"{node.name}: no calibration image activates this layer; its clip is set to 1", stacklevel=2)
                clip = 1.0
        call_module(traced, node, quantizer(clip), node.args)
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced.requires_grad_(True)


def qcfs() -> ConversionMethod:
    """Rate coding of a quantised network: threshold = clip, from half the threshold (Bu et al., ICLR 2022)."""
    return _rate("QCFS", lambda clip, levels, timesteps: IntegrateFireNeuron(clip, timesteps, 0.5))


def cos(presimulation: int | None = 4) -> ConversionMethod:
    """As ``qcfs`` with offset spikes calibrated in ``presimulation`` steps (Hao et al., ICLR 2023), at most T; None: in T."""

    def neuron(clip: float, levels: int, timesteps: int) -> OffsetSpikeNeuron:
        return OffsetSpikeNeuron(clip, timesteps, timesteps if presimulation is None else presimulation)

    return _rate("COS", neuron, anytime=presimulation is not None)


def signed_rate(margin: float = 0.0) -> ConversionMethod:
    """As ``qcfs`` with spikes that are taken back: QFFS (``margin = 0``) and Fast-SNN (``margin = 0.001``)."""
    return _rate("signed rate", lambda clip, levels, timesteps: SignedIntegrateFireNeuron(clip, timesteps, margin))


def _rate(name: str, quantized: QuantizedNeuron, anytime: bool = True) -> ConversionMethod:
    def neuron(v: float, timesteps: int) -> SpikingNeuron:
        return quantized(v, timesteps, timesteps)

    return ConversionMethod(name, neuron, Percentile(99.99), anytime=anytime, quantized=quantized, full_precision=False)
