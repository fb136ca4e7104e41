"""What a table's "method" column names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmarks.errors import NotAvailable
from benchmarks.methods.calibrations import CALIBRATIONS, threshold_rule
from snncore.conversion import Calibration, ConversionError, ConversionMethod, SpikingNetwork, ThresholdRule, convert

Images = Callable[[int | None], Iterable[Tensor]]
"""Batches of the first training images, so many at most or all of the calibration's."""


@dataclass(frozen=True)
class Steps:
    """Timesteps of a method, counted separately.

    ``coding``: steps of a spike train (T). ``precharge``: steps per layer before its first spike. ``presimulation``: steps
    run before the T steps to set the neurons up. ``latency``: steps from the first input to the complete output, by the
    rule of the method's code for a network of so many layers.
    """

    coding: int
    precharge: int
    presimulation: int
    latency: int


class Method:
    """A conversion method; subclass it, set the class attributes and write ``conversion``, and ``steps`` where they differ.

    Attributes:
        name: as tables print it.
        reference: who published it.
        coding: the spike code's name, as tables print it.
        default_timesteps: T where no table says otherwise.
        layerwise: whether it chooses its neurons on spiking activity, layer by layer.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    coding: ClassVar[str]
    default_timesteps: ClassVar[int] = 8
    layerwise: ClassVar[bool] = False

    def conversion(self, threshold: ThresholdRule, **options: Any) -> ConversionMethod:
        """How activations become spikes; ``options`` are the method's own, by name."""
        raise NotImplementedError

    def traits(self, **options: Any) -> ConversionMethod:
        """``conversion`` for what does not depend on thresholds: whether it is ``anytime`` or ``full_precision``."""
        return self.conversion(THRESHOLD_RULES["maximum"], **options)

    def steps(self, timesteps: int, layers: int, **options: Any) -> Steps:
        """Steps of a network of ``layers`` layers (the number in its name) with T = ``timesteps``.

        By default those of rate coding: a layer answers in the step in which its input comes.

        Raises:
            NotAvailable: T below what the code needs; asked before any work starts.
        """
        return Steps(timesteps, 0, 0, timesteps)

    def check(self, levels: int | None, timesteps: int, **options: Any) -> None:
        """Refuse what cannot be converted before any work starts.

        Args:
            levels: of the quantised network; None for full precision.
            timesteps: T.
            options: as for ``conversion``.

        Raises:
            NotAvailable: a method of quantised networks on one of full precision; levels or steps that do not fit.
        """
        self.steps(timesteps, 1, **options)
        conversion = self.traits(**options)
        if levels is None and not conversion.full_precision:
            raise NotAvailable(f"{self.name} converts quantised networks, and this one has full precision")
        try:
            if levels is not None and conversion.quantized is not None:
                neuron = conversion.quantized(1.0, levels, timesteps)
            else:
                neuron = conversion.neuron(1.0, timesteps)
            neuron.start(torch.empty(0))  # float32 must hold what T steps weigh
        except (ConversionError, ValueError) as error:
            raise NotAvailable(f"{self.name} cannot run here: {error}") from error

    def convert(
        self, calibration: Calibration, threshold: ThresholdRule, timesteps: int, images: Images, **options: Any
    ) -> SpikingNetwork:
        """The spiking network.

        Args:
            calibration: of the trained network, quantised or not, which is left as it is.
            threshold: rule for thresholds.
            timesteps: T.
            images: training images, for methods that look at more than activations.
            options: as for ``conversion``.
        """
        return convert(calibration.network, calibration, self.conversion(threshold, **options), timesteps)


THRESHOLD_RULES = {name: threshold_rule(name) for name in CALIBRATIONS}
