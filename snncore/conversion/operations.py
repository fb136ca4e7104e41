"""Small modules that the converter puts into a spiking network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Amplify(nn.Module):
    """Spikes times their amplitude: a synapse of one weight per channel, for residual connections without a layer."""

    def __init__(self, amplitude: Tensor) -> None:
        super().__init__()
        self.register_buffer("amplitude", amplitude)

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, C, ...]`` to the same shape."""
        amplitude = self.get_buffer("amplitude").to(spikes)
        if amplitude.dim() == 0:
            return spikes * amplitude
        return spikes * amplitude.view((1, -1) + (1,) * (spikes.dim() - 2))


class AddSpikes(nn.Module):
    """Current plus spikes times their common amplitude, in one pass: a residual connection without a layer.

    Args:
        amplitude: of the spikes.
        scratch: the current may be overwritten.
    """

    def __init__(self, amplitude: float, scratch: bool) -> None:
        super().__init__()
        self.amplitude, self.scratch = amplitude, scratch

    def forward(self, current: Tensor, spikes: Tensor) -> Tensor:
        """``[B, ...]`` and ``[B, ...]`` to the same shape."""
        return torch.add(current, spikes, alpha=self.amplitude, out=current if self.scratch else None)


class SumPool(nn.Module):
    """Sum over windows: average pooling of spikes whose division is left to the amplitude, so that it only counts.

    Windows over ``[B, C, L]`` are rows of height 1.
    """

    def __init__(
        self,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding, self.size = kernel, stride, padding, size

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, C, H, W]`` or ``[B, C, L]`` to ``[B, C, H', W']`` or ``[B, C, L']``.

        Raises ValueError where the windows were made for another ``size``.
        """
        maps = spikes.unsqueeze(2) if spikes.dim() == 3 else spikes
        if self.size is not None and tuple(maps.shape[2:]) != self.size:
            raise ValueError(_other_size(self.size, tuple(maps.shape[2:])))
        sums = F.avg_pool2d(maps, self.kernel, self.stride, self.padding, divisor_override=1)
        return sums.squeeze(2) if spikes.dim() == 3 else sums


class Total(nn.Module):
    """Sum over dimensions; also a mean, whose division is left to the amplitude."""

    def __init__(self, dimensions: tuple[int, ...], keepdim: bool, count: int) -> None:
        super().__init__()
        self.dimensions, self.keepdim, self.count = dimensions, keepdim, count

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, ...]`` with ``dimensions`` summed. Raises ValueError where they do not hold ``count`` values."""
        size = tuple(spikes.shape[d] for d in self.dimensions)
        if math.prod(size) != self.count:
            raise ValueError(_other_size((self.count,), size))
        return torch.sum(spikes, dim=self.dimensions, keepdim=self.keepdim)


def _other_size(expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    return f"the network was calibrated with feature maps of {expected} and got {got}; calibrate with images of this size"


class Reshape(nn.Module):
    """Reshape each sample; the leading dimension (samples, or timesteps times samples) is kept."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """``[B, ...]`` to ``[B, *shape]``."""
        return x.reshape(x.shape[0], *self.shape)


class InputEncoder(nn.Module):
    """Turns images into spike trains in {-1, 0, 1} before the first layer; a subclass says which, in ``at``.

    Args:
        amplitude: that the spikes stand for.
        timesteps: T.
    """

    def __init__(self, amplitude: float, timesteps: int) -> None:
        super().__init__()
        self.amplitude, self.timesteps = amplitude, timesteps

    def at(self, images: Tensor, step: int) -> Tensor:
        """Spikes ``[B, ...]`` of a step, counted from 0, for images ``[B, ...]``."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """All steps: ``[B, ...]`` to ``[T*B, ...]``."""
        return torch.cat([self.at(images, step) for step in range(self.timesteps)])


class PresentConstant(nn.Module):
    """Shows an analog input at every timestep: ``[B, ...]`` to ``[T*B, ...]`` (direct coding)."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps

    def forward(self, x: Tensor) -> Tensor:
        """Repeat over the timesteps."""
        return x.expand(self.timesteps, *x.shape).flatten(0, 1)
