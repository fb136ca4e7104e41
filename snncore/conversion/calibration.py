"""A pass over training images: the activations of the trained network, counted for ``snncore.thresholds``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from snncore.conversion.estimates import Placement, is_estimated
from snncore.conversion.graph import ACTIVATIONS, ConversionError, Node, RecordedNetwork, fingerprint_of
from snncore.conversion.inputs import Given, finite, is_batch, part_of, tensors_of
from snncore.conversion.operations import hides_a_row
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
        placement: where signed neurons stand, in a network that needs them (``snncore.conversion.estimates``).
    """

    network: RecordedNetwork
    histograms: dict[str, ActivationHistogram]
    images: int
    peak: float = 0.0
    placement: Placement | None = None


def calibrate(ann: nn.Module, batches: Iterable[Given]) -> Calibration:
    """Run ``ann`` over the calibration images once and count the activations of every ReLU and of what signed neurons code.

    Args:
        ann: any network that ``convert`` accepts.
        batches: tensors ``[B, ...]`` as the network takes them, images of one size; each is looked at once, none is kept. For
            a network with several inputs, tuples of tensors, or dicts by the names of its arguments.

    Raises:
        ConversionError: no batch; NaN or infinity in a batch or behind a ReLU, naming it; a network that cannot be recorded.
    """
    if isinstance(batches, Tensor):
        raise ConversionError("calibration takes batches of images, not one tensor; pass [images]")
    network: RecordedNetwork | None = None
    placement: Placement | None = None
    histograms: dict[str, ActivationHistogram] = {}
    images, peak = 0, 0.0

    def observe(node: Node, value: Any) -> None:
        signed = placement is not None and node.name in placement.signed
        if placement is not None and "softmax" in node.operation and bool(torch.isnan(value).any()):
            raise hides_a_row(node)
        if node.operation in ACTIVATIONS or signed:
            if not torch.isfinite(value).all():
                raise ConversionError(f"{node.origin}: NaN or infinity in the activations of the trained network; check it")
            name = f"{node.name}_spikes" if signed else node.name
            either = signed or node.operation == "quantize"
            histograms.setdefault(name, ActivationHistogram()).update(value.abs() if either else value)

    with torch.no_grad():
        for batch in batches:
            if not is_batch(batch):
                kind = type(batch).__name__
                raise ConversionError(f"a calibration batch is a {kind}, not a tensor; pass images alone, without labels")
            if not finite(batch):
                raise ConversionError("a calibration batch contains NaN or infinity; look at the data and its normalisation")
            if any(part.numel() == 0 for part in tensors_of(batch)):
                continue
            try:
                if network is None:
                    network = record(ann, batch)
                    if is_estimated(network):
                        placement = Placement(network)
                        _check_apart(network, batch)
                network(batch, observe)
            except ConversionError:
                raise
            except Exception as error:  # whatever the network runs into
                raise ConversionError(f"the trained network fails on the calibration images: {first_line(error)}") from error
            images += len(tensors_of(batch)[0])
            peak = max(peak, *(float(part.abs().max()) for part in tensors_of(batch) if part.is_floating_point()), 0.0)
    if network is None:
        raise ConversionError("no calibration images were given; pass batches of training images")
    return Calibration(network, histograms, images, peak, placement)


def _check_apart(network: RecordedNetwork, batch: Given) -> None:
    """Refuse a network in which images of a batch see each other, by its first two."""
    first, second = slice(0, 1), slice(1, 2)
    both = tree_leaves(network(part_of(batch, slice(0, 2))))
    for i, images in enumerate((first, second)[: len(tensors_of(batch)[0])]):
        for together, apart in zip(both, tree_leaves(network(part_of(batch, images))), strict=True):
            if isinstance(apart, Tensor) and float((together[i] - apart[0]).abs().max()) > 1e-2 * float(apart.abs().max()):
                raise ConversionError("what becomes of an image depends on the others of its batch; keep images apart")


def calibration_of(ann: nn.Module, calibration: Calibration | Iterable[Given]) -> Calibration:
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
    network = record(ann, known.inputs.example(example))
    if network.describe() != known.describe():
        raise ConversionError(f"the calibration of this {type(ann).__name__} comes from another network; calibrate this one")
    return replace(calibration, network=network, placement=calibration.placement and Placement(network))


def activations(network: RecordedNetwork, images: Given) -> dict[str, Tensor]:
    """Output ``[B, ...]`` of every ReLU of the trained network, by the name that its neuron has after conversion."""
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        network(images, lambda node, value: kept.update({node.name: value}) if node.operation in ACTIVATIONS else None)
    return kept
