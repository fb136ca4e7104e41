"""A pass over training images: the activations of the trained network, counted for ``snncore.thresholds``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from snncore.conversion.graph import ACTIVATIONS, ConversionError, Node, RecordedNetwork, fingerprint_of
from snncore.conversion.origins import first_line
from snncore.conversion.recording import record
from snncore.thresholds import ActivationHistogram


@dataclass
class Calibration:
    """What a pass over the calibration images leaves behind.

    Attributes:
        network: the network as it was recorded, so that it is read once and converted often.
        histograms: of each activation, by the name that its neuron will have.
        images: how many.
        peak: largest size of an input value.
    """

    network: RecordedNetwork
    histograms: dict[str, ActivationHistogram]
    images: int
    peak: float = 0.0


def calibrate(ann: nn.Module, batches: Iterable[Tensor]) -> Calibration:
    """Run ``ann`` over the calibration images once and count the activations of every ReLU.

    Args:
        ann: any network that ``convert`` accepts.
        batches: tensors ``[B, ...]`` as the network takes them, images of one size; each is looked at once, none is kept.

    Raises:
        ConversionError: no batch; NaN or infinity in a batch or behind a ReLU, naming it; a network that cannot be recorded.
    """
    if isinstance(batches, Tensor):
        raise ConversionError("calibration takes batches of images, not one tensor; pass [images]")
    network: RecordedNetwork | None = None
    histograms: dict[str, ActivationHistogram] = {}
    images, peak = 0, 0.0

    def observe(node: Node, value: Any) -> None:
        if node.operation in ACTIVATIONS:
            if not torch.isfinite(value).all():
                raise ConversionError(f"{node.origin}: NaN or infinity in the activations of the trained network; check it")
            histograms.setdefault(node.name, ActivationHistogram()).update(value)

    with torch.no_grad():
        for batch in batches:
            if not isinstance(batch, Tensor):
                kind = type(batch).__name__
                raise ConversionError(f"a calibration batch is a {kind}, not a tensor; pass images alone, without labels")
            if not torch.isfinite(batch).all():
                raise ConversionError("a calibration batch contains NaN or infinity; look at the data and its normalisation")
            if batch.numel() == 0:
                continue
            try:
                network = network or record(ann, batch)
                network(batch, observe)
            except ConversionError:
                raise
            except Exception as error:  # whatever the network runs into
                raise ConversionError(f"the trained network fails on the calibration images: {first_line(error)}") from error
            images += batch.shape[0]
            peak = max(peak, float(batch.abs().max()))
    if network is None:
        raise ConversionError("no calibration images were given; pass batches of training images")
    return Calibration(network, histograms, images, peak)


def calibration_of(ann: nn.Module, calibration: Calibration | Iterable[Tensor]) -> Calibration:
    """The calibration of ``ann`` as it is now: the one given, or made from the batches given.

    Raises:
        ConversionError: a calibration of another network, or what ``calibrate`` raises.
    """
    if not isinstance(calibration, Calibration):
        return calibrate(ann, calibration)
    known = calibration.network
    if ann is known or (known.fingerprint is not None and known.fingerprint == fingerprint_of(ann)):
        return calibration
    example = next(iter([*known.parameters(), *known.buffers()]), torch.zeros(()))
    network = record(ann, torch.zeros(1, *known.image, dtype=example.dtype, device=example.device))
    if network.describe() != known.describe():
        raise ConversionError(f"the calibration of this {type(ann).__name__} comes from another network; calibrate this one")
    return replace(calibration, network=network)


def activations(network: RecordedNetwork, images: Tensor) -> dict[str, Tensor]:
    """Output ``[B, ...]`` of every ReLU of the trained network, by the name that its neuron has after conversion."""
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        network(images, lambda node, value: kept.update({node.name: value}) if node.operation in ACTIVATIONS else None)
    return kept
