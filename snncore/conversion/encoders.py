"""Spike trains in place of the image, one file's worth of codes."""

from __future__ import annotations

import torch
from torch import Tensor

from snncore.conversion.operations import InputEncoder


class SwitchEncoder(InputEncoder):
    """Temporal switch code of signed values (Han and Roy, ECCV 2020): on for a time proportional to the value.

    A value x is on, with its sign, in the first ``d = floor(T |x| / A + 1/2)`` of T steps, at most all; ``A`` is the amplitude.
    Its two spikes are those that switch it on at step 1 and off at step ``d + 1``.

    Args:
        amplitude: ``A``, the largest size of a value.
        timesteps: T.

    Raises:
        ValueError: an amplitude that is not positive and finite.
    """

    def __init__(self, amplitude: float, timesteps: int) -> None:
        if not 0 < amplitude < float("inf"):
            raise ValueError(f"amplitude must be positive and finite, got {amplitude!r}")
        super().__init__(amplitude, timesteps)

    def at(self, images: Tensor, step: int) -> Tensor:
        """See ``InputEncoder.at``."""
        duration = torch.floor(images.abs() * (self.timesteps / self.amplitude) + 0.5)
        return images.sign() * (duration > step)


class SpreadEncoder(SwitchEncoder):
    """As ``SwitchEncoder``, with the steps in which a value is on spread evenly: a control, not a code of two spikes."""

    def at(self, images: Tensor, step: int) -> Tensor:
        """See ``InputEncoder.at``."""
        duration = torch.floor(images.abs() * (self.timesteps / self.amplitude) + 0.5).clamp(max=self.timesteps)
        due, before = (torch.floor(t * duration / self.timesteps) for t in (step + 1, step))
        return images.sign() * (due > before)
