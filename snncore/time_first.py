"""Layers without state on spike trains ``[T, B, ...]``: every timestep is an image of the batch. Weights are not copied.

``nn.Linear`` needs nothing: it acts on the last dimension. Average pooling is linear, so a window's train sums to at most 1 if
its neurons' trains do, and it can be merged into the next layer (ETTFS paper, Eq. 25). Max pooling lets a window fire once for
each of its neurons (Eq. 24), which breaks the single-spike property.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _EveryStep(nn.Module):
    """Mixin: the layer beside it acts on all steps as on one large batch."""

    def forward(self, input: Tensor) -> Tensor:
        """``[T, B, C, H, W]`` to ``[T, B, C', H', W']``."""
        output: Tensor = super().forward(input.flatten(0, 1))
        return output.unflatten(0, input.shape[:2])


class Conv2d(_EveryStep, nn.Conv2d):
    """2D convolution of ``[T, B, C, H, W]``."""


class AvgPool2d(_EveryStep, nn.AvgPool2d):
    """Average pooling of ``[T, B, C, H, W]``: multiples of 1 / window, to be merged away for inference."""


class MaxPool2d(_EveryStep, nn.MaxPool2d):
    """Max pooling of ``[T, B, C, H, W]`` step by step: {0, 1}, and more than one spike per window over time."""


class BatchNorm2d(_EveryStep, nn.BatchNorm2d):
    """Batch normalisation over time too: one mean and variance a channel, over ``(T, B, H, W)``."""


class StepBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of every step by itself, one after the other, as if the layer were called T times.

    In training each step has statistics of its own, and the running ones are updated T times; in evaluation it is as
    ``BatchNorm2d``. ``timesteps``: T, also of an input that is given as the one step that stays.
    """

    def __init__(self, channels: int, timesteps: int) -> None:
        super().__init__(channels)
        self.timesteps = timesteps

    def forward(self, input: Tensor) -> Tensor:
        """``[T or 1, B, C, H, W]`` of the same shape."""
        outputs = [super(StepBatchNorm2d, self).forward(step) for step in input]
        if self.training:
            with torch.no_grad():
                for _ in range(self.timesteps - len(input)):
                    super().forward(input[0])
        return torch.stack(outputs)


class ThresholdBatchNorm2d(BatchNorm2d):
    """Threshold-dependent batch normalisation (tdBN; Zheng et al., AAAI 2021, Eq. 5): the normalised currents times ``scale``.

    ``scale``: ``alpha v``, with ``alpha`` 1, or ``1 / sqrt(2)`` where two branches add up.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__(channels)
        self.scale = scale

    def forward(self, input: Tensor) -> Tensor:
        """``[T, B, C, H, W]`` of the same shape."""
        weight, momentum = self.scale * self.weight, self.momentum or 0.0
        statistics = self.running_mean, self.running_var
        normal = F.batch_norm(input.flatten(0, 1), *statistics, weight, self.bias, self.training, momentum, self.eps)
        return normal.unflatten(0, input.shape[:2])


class Dropout(nn.Dropout):
    """Dropout of neurons, not of spikes: in training, a neuron that is left out is silent at all steps of that image."""

    def forward(self, input: Tensor) -> Tensor:
        """``[T, B, ...]``, the trains that stay divided by ``1 - p``; unchanged in evaluation."""
        return input * super().forward(torch.ones_like(input[:1])) if self.training else input


class Flatten(nn.Module):
    """``[T, B, ...]`` to ``[T, B, N]``."""

    def forward(self, input: Tensor) -> Tensor:
        """``[T, B, N]``."""
        return input.flatten(2)
