"""Thresholds from the activations of the trained network, in one streaming pass.

Each ReLU gets a histogram of its outputs. The bins are the float32 numbers with their last mantissa bits cut off, so that
their relative width is 2**-11 everywhere; a histogram takes 4 MB whatever the number of images, does not depend on the
order of the images, and answers any percentile afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, fx, nn

from snncore.coding import Code
from snncore.conversion.errors import ConversionError
from snncore.conversion.tracing import describe, module_of, trace_network

MANTISSA_BITS = 11
SHIFT = 23 - MANTISSA_BITS
BINS = 1 << (8 + MANTISSA_BITS)


@dataclass
class ActivationHistogram:
    """Counts of non-negative activations; see the module docstring."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.int64))
    zeros: int = 0
    maximum: float = 0.0

    def update(self, activations: Tensor) -> None:
        """Add a batch of activations of any shape (after the ReLU: none negative)."""
        flat = activations.detach().float().reshape(-1)
        positive = flat[flat > 0]
        self.zeros += flat.numel() - positive.numel()
        if positive.numel():
            bins = positive.contiguous().view(torch.int32) >> SHIFT
            self.counts += torch.bincount(bins, minlength=BINS).to("cpu")
            self.maximum = max(self.maximum, float(positive.max()))

    def __add__(self, other: ActivationHistogram) -> ActivationHistogram:
        """Of both sets of activations together."""
        return ActivationHistogram(self.counts + other.counts, self.zeros + other.zeros, max(self.maximum, other.maximum))

    def edges(self) -> Tensor:
        """Lower edges of the bins, ``[BINS]`` float64."""
        return (torch.arange(BINS, dtype=torch.int32) << SHIFT).view(torch.float32).double()

    def percentile(self, q: float, positive_only: bool = False) -> float:
        """The q-th percentile (0..100) to a relative precision of 2**-11; zeros count unless ``positive_only``.

        Interpolates linearly between neighbours, as ``numpy.percentile`` does. Raises ValueError for q out of range.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile is a number from 0 to 100, got {q!r}")
        below = 0 if positive_only else self.zeros
        cumulative = self.counts.cumsum(0) + below
        total = int(cumulative[-1])
        if total == 0:
            return 0.0
        rank = q / 100 * (total - 1)
        low = self._order_statistic(math.floor(rank), cumulative)
        high = self._order_statistic(min(math.floor(rank) + 1, total - 1), cumulative)
        return low + (high - low) * (rank - math.floor(rank))

    def _order_statistic(self, k: int, cumulative: Tensor) -> float:
        """The k-th smallest activation, counted from 0; ``cumulative [BINS]`` counts those up to and with each bin."""
        index = int(torch.searchsorted(cumulative, k, right=True).clamp(max=BINS - 1))
        inside = int(self.counts[index])
        before = int(cumulative[index]) - inside
        if k < before:
            return 0.0
        bins = torch.tensor([index, min(index + 1, BINS - 1)], dtype=torch.int32)
        lower, upper = (bins << SHIFT).view(torch.float32).tolist()
        return min(lower + (upper - lower) * (k - before + 0.5) / max(inside, 1), self.maximum)


@dataclass
class Calibration:
    """What a pass over the calibration images leaves behind: a histogram per ReLU and the shape of every signal.

    The shapes are those of another number of images than in the first batch, and of more than one: otherwise an operation
    that fixes the number of images, as ``view(1, -1)`` does, looks like one that keeps them apart. ``network`` describes
    the operations that were recorded, so that another network is recognised. ``peak`` is the largest size of an input value.
    """

    histograms: dict[str, ActivationHistogram]
    shapes: dict[str, tuple[int, ...]]
    images: int
    network: str
    peak: float = 0.0


class ThresholdRule(Protocol):
    """Chooses the full threshold of a layer."""

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold for activations as counted in ``histogram``, to be sent in ``code``."""


@dataclass(frozen=True)
class Percentile:
    """The q-th percentile of the activations (Rueckauer et al. 2017; TMN and CSS papers: q = 99.99).

    The papers do not say whether zeros count. They do here; ``positive_only`` leaves them out.
    """

    q: float = 99.99
    positive_only: bool = False

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        return histogram.percentile(self.q, self.positive_only)


@dataclass(frozen=True)
class Maximum:
    """The largest activation."""

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        return histogram.maximum


@dataclass(frozen=True)
class LeastSquares:
    """Per-layer search: the threshold with the least mean squared coding error for this code and number of timesteps.

    A value x is sent as one of the levels ``k v / sum_t w[t]`` and clipped to v: the nearest with ``offset = 0.5``, as with
    ``tmn()``, ``tsa()`` or ``opi()``; the next below with ``offset = 0``, as with neurons that start discharged (``rate()``).
    The search runs over ``candidates`` equal fractions of the largest activation.
    """

    candidates: int = 200
    offset: float = 0.5

    def __call__(self, histogram: ActivationHistogram, code: Code) -> float:
        """Threshold; see ThresholdRule."""
        used = histogram.counts.nonzero().squeeze(1)
        if used.numel() == 0:
            return 0.0
        edges = histogram.edges()
        x = (edges[used] + edges[(used + 1).clamp(max=BINS - 1)]) / 2
        weight = histogram.counts[used].double()
        best, best_error = histogram.maximum, float("inf")
        for k in range(1, self.candidates + 1):
            v = histogram.maximum * k / self.candidates
            step = v / code.total
            coded = (torch.floor(x / step + self.offset) * step).clamp(max=v)
            error = float((weight * (x - coded) ** 2).sum())
            if error < best_error:
                best, best_error = v, error
        return best


def calibrate(ann: nn.Module, batches: Iterable[Tensor]) -> Calibration:
    """Run ``ann`` over the calibration images once and count the activations of every ReLU.

    Args:
        ann: any network that ``convert`` accepts.
        batches: tensors ``[B, ...]`` as the network takes them; each is looked at once, none is kept.

    Raises:
        ConversionError: no batch; NaN or infinity in a batch or behind a ReLU, naming it; an untraceable network, or one for
            batches of one size alone.
    """
    if isinstance(batches, Tensor):
        raise ConversionError("calibration takes batches of images, not one tensor; pass [images]")
    traced = trace_network(ann)
    run = _Recorder(traced)
    images, shapes, peak = 0, {}, 0.0
    with torch.no_grad():
        for batch in batches:
            if not isinstance(batch, Tensor):
                kind = type(batch).__name__
                raise ConversionError(f"a calibration batch is a {kind}, not a tensor; pass images alone, without labels")
            if not torch.isfinite(batch).all():
                raise ConversionError("a calibration batch contains NaN or infinity; look at the data and its normalisation")
            run.run(batch)
            if images == 0 and batch.shape[0] > 0:
                shapes = _shapes(traced, batch)
            images += batch.shape[0]
            peak = max(peak, float(batch.abs().max()) if batch.numel() else 0.0)
    if images == 0:
        raise ConversionError("no calibration images were given; pass batches of training images")
    return Calibration(run.histograms, shapes, images, describe(traced), peak)


def calibration_of(ann: nn.Module, traced: fx.GraphModule, calibration: Calibration | Iterable[Tensor]) -> Calibration:
    """The calibration of ``ann``, recorded as ``traced``: the one given, or made now from the batches given.

    Raises:
        ConversionError: a calibration of another network, or what ``calibrate`` raises.
    """
    if not isinstance(calibration, Calibration):
        calibration = calibrate(ann, calibration)
    if calibration.network != describe(traced):
        raise ConversionError(f"the calibration of this {type(ann).__name__} comes from another network; calibrate this one")
    return calibration


def activations(ann: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Output ``[B, ...]`` of every ReLU of the trained network, by the name that its neuron has after conversion."""
    traced = trace_network(ann)
    run = _Recorder(traced, keep=True)
    with torch.no_grad():
        run.run(images)
    return run.kept


def _shapes(traced: fx.GraphModule, batch: Tensor) -> dict[str, tuple[int, ...]]:
    """Shape of every signal for a batch of another size than ``batch``; see ``Calibration``."""
    count = 3 if batch.shape[0] == 2 else 2
    data = f"{count} images, though not on {batch.shape[0]} (keep the first dimension of every signal, whatever its size)"
    run = _Recorder(traced, keep=True, data=data)
    run.run(batch[[0] * count])
    return run.shapes


class _Recorder(fx.Interpreter):
    """Runs the graph, counting activations behind ReLUs (or keeping them) and remembering the shapes of all signals."""

    def __init__(self, traced: fx.GraphModule, keep: bool = False, data: str = "the calibration images") -> None:
        super().__init__(traced)
        self.extra_traceback = False  # it would spread the message over several lines
        self.traced = traced
        self.keep = keep
        self.data = data
        self.kept: dict[str, Tensor] = {}
        self.histograms: dict[str, ActivationHistogram] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As the base class; errors of the network's own code name the operation."""
        try:
            value = super().run_node(n)
        except Exception as error:  # whatever the network runs into
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConversionError(f"{n.name}: the trained network fails on {self.data}: {reason}") from error
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape)
        if isinstance(module_of(self.traced, n), nn.ReLU):
            if not torch.isfinite(value).all():
                raise ConversionError(f"{n.name}: NaN or infinity in the activations of the trained network; check it")
            if self.keep:
                self.kept[n.name] = value
                return value
            self.histograms.setdefault(n.name, ActivationHistogram()).update(value)
        return value
