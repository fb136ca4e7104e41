"""COS: QCFS networks whose offset spikes are calibrated (Hao et al., ICLR 2023; code hzc1208/ANN2SNN_COS).

A neuron that sees its input in an unlucky order fires once too often or too rarely. Each layer first runs ``rho`` steps of
pre-simulation on the first steps of its input train, from ``u[0] = v / 2``. If the membrane ends

- below 0 and the neuron fired, it fired too often: ``u[0]`` is lowered so far that one spike is lost,

    u[0] = v/2 - max(v, min over firing steps of u~[t] - 0.999 v)

- at ``v`` or above, it fired too rarely: ``u[0]`` is raised so far that one spike is won,

    u[0] = v/2 + max(v, 1.001 v - max over silent steps of u~[t])

where ``u~[t]`` is the potential before the reset. Then the T steps are run from there, on the same train from its beginning.
T excludes ``rho``: 4 on CIFAR, 8 on ImageNet. As in the public code, a neuron that fired at every step of the pre-simulation
and still is at ``v`` or above has no silent step, whose potential then counts as ``-1000 v``, so that it goes on firing. The
code holds the T steps of a layer in memory before it runs the next; with one step after another, a layer waits ``rho`` steps
for its input and keeps the last ``rho`` currents.

Our choices: one pass of correction, as in the code (the paper can repeat it); ``rho`` is at most T, since the pre-simulation
looks at the first steps of the layer's input. The paper counts its steps as ``rho + T``, but a layer can start its
pre-simulation only once the layer before sends its corrected train: run one step after another, every layer waits ``rho``
steps, and so does the latency count here, as for the pre-charge of TMN.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.methods.base import Method, Steps
from benchmarks.methods.qcfs import quantized_rate
from snncore.coding import RateCode
from snncore.conversion import ConversionMethod, ThresholdRule
from snncore.neurons import SpikingNeuron

ABSENT = 1000.0
BELOW, ABOVE = 0.999, 1.001


class OffsetState(NamedTuple):
    """State of one layer; tensors ``[B, ...]`` in units of the currents.

    ``potential``: membrane. ``lowest`` and ``highest``: potential before the reset, least over the firing and largest over
    the silent steps of the pre-simulation. ``waiting``: currents that the T steps have still to see.
    """

    potential: Tensor
    lowest: Tensor
    highest: Tensor
    steps: int = 0
    waiting: tuple[Tensor, ...] = ()


class OffsetSpikeNeuron(SpikingNeuron):
    """Soft-reset integrate-and-fire neuron with pre-simulation; spikes in {0, 1}.

    Args:
        threshold: ``v``, in units of the currents.
        timesteps: T, at least ``presimulation``.
        presimulation: ``rho``, steps of pre-simulation.

    Raises:
        ValueError: fewer steps than the pre-simulation needs, or no pre-simulation.
    """

    def __init__(self, threshold: float, timesteps: int, presimulation: int = 4) -> None:
        super().__init__(threshold, RateCode(timesteps))
        if isinstance(presimulation, bool) or not isinstance(presimulation, int) or not 1 <= presimulation <= timesteps:
            raise ValueError(
                f"presimulation must be a whole number from 1 to timesteps={timesteps}, got {presimulation!r}: "
                "it runs on the first steps of the train"
            )
        self.delay = self.presimulation = presimulation

    def extra_repr(self) -> str:
        """Parameters shown by ``print``."""
        return f"threshold={self.threshold:g}, timesteps={self.code.timesteps}, presimulation={self.presimulation}"

    def start(self, like: Tensor) -> OffsetState:
        """Membrane at ``v / 2``, nothing seen."""
        far = ABSENT * self.threshold
        u = torch.full_like(like, self.threshold / 2)
        return OffsetState(u, torch.full_like(like, far), torch.full_like(like, -far))

    def step(self, current: Tensor | None, state: OffsetState) -> tuple[Tensor | None, OffsetState]:
        """One step; no spikes during the pre-simulation. See the module docstring."""
        u, lowest, highest, steps, waiting = state
        steps, waiting = steps + 1, waiting if current is None else (*waiting, current)
        if steps <= self.delay:
            u, lowest, highest = self._presimulated(u + waiting[-1], lowest, highest)
            u = self._calibrated(u, lowest, highest) if steps == self.delay else u
            return None, OffsetState(u, lowest, highest, steps, waiting)
        u = u + waiting[0]
        s = (u >= self.threshold).to(u.dtype)
        u = torch.sub(u, s, alpha=self.threshold)
        return s, OffsetState(u, lowest, highest, steps, waiting[1:])

    def _presimulated(self, u: Tensor, lowest: Tensor, highest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """State after a step of pre-simulation that integrated to ``u``."""
        v = self.threshold
        fires = u >= v
        lowest = torch.minimum(lowest, torch.where(fires, u, ABSENT * v))
        highest = torch.maximum(highest, torch.where(fires, -ABSENT * v, u))
        return torch.sub(u, fires.to(u.dtype), alpha=v), lowest, highest

    def _calibrated(self, u: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
        """``u[0]`` after a pre-simulation that ended at ``u``."""
        v = self.threshold
        too_often = (u < 0) & (lowest < ABSENT * v)
        too_rarely = u >= v
        down = (lowest - BELOW * v).clamp(min=v)
        up = (ABOVE * v - highest).clamp(min=v)
        return torch.full_like(u, v / 2) - down * too_often + up * too_rarely

    def residual(self, state: OffsetState) -> Tensor:
        """``u[T] / v``."""
        return state.potential / self.threshold


def cos(presimulation: int | None = 4) -> ConversionMethod:
    """As ``qcfs`` with offset spikes calibrated in ``presimulation`` steps, at most T; None: in T."""

    def neuron(clip: float, levels: int, timesteps: int) -> OffsetSpikeNeuron:
        return OffsetSpikeNeuron(clip, timesteps, timesteps if presimulation is None else presimulation)

    return quantized_rate("COS", neuron, anytime=presimulation is not None)


class COS(Method):
    """Needs a quantised network. Option: ``presimulation`` (4), the paper's rho."""

    name = "COS"
    reference = "Hao et al. 2023, calibrating offset spikes"
    coding = "rate"
    default_timesteps = 4

    def conversion(self, threshold: ThresholdRule, presimulation: int = 4) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return cos(presimulation)

    def steps(self, timesteps: int, layers: int, presimulation: int = 4, **options: object) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return Steps(timesteps, 0, presimulation, presimulation * layers + timesteps)


class COSLong(COS):
    """COS with as many pre-simulation steps as there are steps: it sees all of a layer's input before it corrects."""

    name = "COS, long pre-simulation"
    reference = "a control for Hao et al. 2023"

    def conversion(self, threshold: ThresholdRule) -> ConversionMethod:  # type: ignore[override]
        """See ``Method.conversion``; thresholds are the clips of the network."""
        return cos(None)

    def steps(self, timesteps: int, layers: int) -> Steps:  # type: ignore[override]
        """See ``Method.steps``."""
        return super().steps(timesteps, layers, presimulation=timesteps)
