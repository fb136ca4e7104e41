"""Residual networks of basic blocks for small images (He et al., CVPR 2016, section 4.2).

    y = ReLU( BN(conv3x3( ReLU(BN(conv3x3(x))) )) + shortcut(x) )

The name "ResNet-20" stands for several networks; they differ in widths, stem and shortcut, which are all arguments here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shortcut = Literal["conv", "pad", "avg-conv"]


class PadShortcut(nn.Module):
    """Shortcut without parameters: every second pixel, new channels zero (He et al., option A).

    Half of the zero channels come before the given ones and half after them.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        # A 1x1 average with a stride is subsampling, spelled as the pooling that every converter knows.
        self.subsample = nn.AvgPool2d(1, stride=stride)
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W] -> [B, C', H/stride, W/stride]``."""
        return F.pad(self.subsample(x), (0, 0, 0, 0, self.before, self.after))


def _shortcut(kind: Shortcut, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    if stride == 1 and in_channels == out_channels:
        return None
    if kind == "pad":
        return PadShortcut(in_channels, out_channels, stride)
    norm = nn.BatchNorm2d(out_channels)
    if kind == "conv":
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), norm)
    # ceil_mode keeps a 1x1 map, the last one of an 8x8 image, alive.
    pool = nn.AvgPool2d(stride, stride=stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, nn.Conv2d(in_channels, out_channels, 1, bias=False), norm)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = _shortcut(shortcut, in_channels, out_channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W] -> [B, C', H/stride, W/stride]``."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu2(out + identity)


def _stem(in_channels: int, width: int, convolutions: int) -> nn.Module:
    first = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    if convolutions == 1:
        return first
    layers: list[nn.Module] = [first]
    for _ in range(convolutions - 1):
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1, bias=False)]
    return nn.Sequential(*layers)


class ResNet(nn.Module):
    """ResNet for small images. ``[B, in_channels, H, W] -> [B, num_classes]`` logits, H and W from 8 up.

    ``widths`` and ``blocks``: channels and basic blocks per stage; every stage but the first halves H and W.
    ``stem_convolutions``: number of 3x3 convolutions before the first stage; ``stem_pool`` halves H and W after them.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        *,
        widths: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (3, 3, 3),
        shortcut: Shortcut = "conv",
        stem_convolutions: int = 1,
        stem_pool: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = _stem(in_channels, widths[0], stem_convolutions)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False) if stem_pool else None
        self.stages: list[str] = []
        channels = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
            layers = nn.Sequential()
            for block in range(count):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(BasicBlock(channels, width, stride, shortcut))
                channels = width
            self.stages.append(f"layer{stage}")
            self.add_module(f"layer{stage}", layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in_channels, H, W] -> [B, num_classes]`` logits."""
        x = self.relu(self.bn1(self.conv1(x)))  # [B, widths[0], H, W]
        if self.pool is not None:
            x = self.pool(x)
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        x = torch.flatten(self.avgpool(x), 1)  # [B, widths[-1]]
        return self.fc(x)
