"""Small modules that the converter puts into a spiking network."""

from __future__ import annotations

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
        amplitude = self.get_buffer("amplitude").to(spikes.dtype)
        if amplitude.dim() == 0:
            return spikes * amplitude
        return spikes * amplitude.view((1, -1) + (1,) * (spikes.dim() - 2))


class SumPool(nn.Module):
    """Sum over windows: average pooling of spikes whose division is left to the amplitude, so that it only counts."""

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C, H', W']``."""
        return F.avg_pool2d(spikes, self.kernel, self.stride, self.padding, divisor_override=1)


class Total(nn.Module):
    """Sum over dimensions: a mean whose division is left to the amplitude."""

    def __init__(self, dimensions: tuple[int, ...], keepdim: bool) -> None:
        super().__init__()
        self.dimensions, self.keepdim = dimensions, keepdim

    def forward(self, spikes: Tensor) -> Tensor:
        """``[B, ...]`` with ``dimensions`` summed."""
        return torch.sum(spikes, dim=self.dimensions, keepdim=self.keepdim)


class Reshape(nn.Module):
    """Reshape each sample; the leading dimension (samples, or timesteps times samples) is kept."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """``[B, ...]`` to ``[B, *shape]``."""
        return x.reshape(x.shape[0], *self.shape)


class PresentConstant(nn.Module):
    """Shows an analog input at every timestep: ``[B, ...]`` to ``[T*B, ...]`` (direct coding)."""

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps

    def forward(self, x: Tensor) -> Tensor:
        """Repeat over the timesteps."""
        return x.expand(self.timesteps, *x.shape).flatten(0, 1)
