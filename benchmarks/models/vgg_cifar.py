"""VGG-16 for small images: thirteen 3x3 convolutions with BatchNorm (Simonyan and Zisserman, ICLR 2015, column D)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["avg", "max"]

CONVOLUTIONS = (2, 2, 3, 3, 3)
WIDTHS = (64, 128, 256, 512, 512)


def _pool(pooling: Pooling) -> nn.Module:
    return nn.AvgPool2d(2) if pooling == "avg" else nn.MaxPool2d(2)


class VGG16(nn.Module):
    """VGG-16 for small images. ``[B, in_channels, H, W] -> [B, num_classes]`` logits.

    ``widths``: channels of the five groups; ``pooled_groups``: how many of them, from the first, end with a 2x2 pooling,
    so H and W are at least ``2**pooled_groups``; ``hidden``: widths of the linear layers before the classifier.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        pooling: Pooling = "avg",
        widths: Sequence[int] = WIDTHS,
        pooled_groups: int = 5,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = in_channels
        for group, (width, count) in enumerate(zip(widths, CONVOLUTIONS, strict=True)):
            for _ in range(count):
                features += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            if group < pooled_groups:
                features.append(_pool(pooling))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        classifier: list[nn.Module] = []
        for width in hidden:
            classifier += [nn.Linear(channels, width), nn.ReLU()]
            if dropout:
                classifier.append(nn.Dropout(dropout))
            channels = width
        classifier.append(nn.Linear(channels, num_classes))
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in_channels, H, W] -> [B, num_classes]`` logits."""
        x = self.avgpool(self.features(x))  # [B, widths[-1], 1, 1]
        return self.classifier(torch.flatten(x, 1))
