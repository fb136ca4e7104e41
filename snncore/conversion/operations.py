"""Small modules that the converter puts into a spiking network."""

from __future__ import annotations

import math
from typing import Any

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


class MaxPool(nn.Module):
    """Max-pooling of what trains stand for, not of the trains: the largest sum so far, less what was passed on before.

    A code reads trains by a recurrence, ``P[t] = beta P[t-1] + x[t]``. With ``M[t] = pool(P[t])`` of each input's sum, the
    output ``y[t] = M[t] - beta M[t-1]`` is read as ``M[t]`` after every step: exact, and without delay. Where beta is a whole
    number, spikes stay spikes, ternary ones ternary and binary ones binary: the winner of a window so far moves by at most
    its spike, and nobody can overtake it by more, so that y is a whole number between the least and the largest digit. Codes
    of several recurrences, one after the other, are undone in the opposite order; for time-to-first-spike trains the output
    is the earliest spike of the window.

    Args:
        pool: a max-pooling layer.
        timesteps: T.
        recurrences: beta of each recurrence of the code.
    """

    def __init__(self, pool: nn.Module, timesteps: int, recurrences: tuple[float, ...]) -> None:
        super().__init__()
        self.pool, self.timesteps, self.recurrences = pool, timesteps, recurrences

    def forward(self, trains: Tensor) -> Tensor:
        """Spikes or currents of all steps, ``[T*B, C, ...]`` to ``[T*B, C, ...]``."""
        state = self.start()
        return torch.cat([self.step(step, state) for step in trains.unflatten(0, (self.timesteps, -1))])

    def start(self) -> tuple[list[Any], list[Any]]:
        """State before the first step: the sums of the inputs and of the output."""
        return [0.0] * len(self.recurrences), [0.0] * len(self.recurrences)

    def step(self, x: Tensor, state: tuple[list[Any], list[Any]]) -> Tensor:
        """One timestep ``[B, C, ...]``; changes ``state`` in place."""
        sums, passed = state
        for k, beta in enumerate(self.recurrences):
            sums[k] = x = x + beta * sums[k]
        x = self.pool(x)
        for k, beta in reversed(list(enumerate(self.recurrences))):
            passed[k], x = x, x - beta * passed[k]
        return x


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
