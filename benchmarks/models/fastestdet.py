"""FastestDet, an anchor-free detector of one scale (dog-qiuqiu/FastestDet, BSD 3-Clause): its network, and what its maps mean.

The backbone is ShuffleNetV2 (Ma et al., ECCV 2018). All activations are ReLUs. The network ends with raw maps; ``decode`` makes
boxes of them, so that a converted network differs in nothing but its maps. Images are stretched to 352x352 pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOST = 100
"""Detections that are kept of an image, those of highest score, as in COCO's evaluation."""
LEAST_SCORE, OVERLAP = 0.001, 0.45
WIDTHS, BLOCKS = (48, 96, 192), (4, 8, 4)
NECK = 96


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, relu: bool = True) -> list[nn.Module]:
    """A convolution with batch norm: pointwise, or depthwise where it is larger than 1x1."""
    groups = 1 if kernel == 1 else inputs
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if relu else [])]


class ShuffleBlock(nn.Module):
    """Stride 1 (``inputs == outputs``): the even channels, and the odd ones through a branch; stride 2: two branches."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        read, made = (inputs // 2, outputs // 2) if stride == 1 else (inputs, outputs - inputs)
        middle = outputs // 2
        self.branch_main = nn.Sequential(
            *_conv(read, middle), *_conv(middle, middle, 3, stride, relu=False), *_conv(middle, made)
        )
        proj = [*_conv(inputs, inputs, 3, stride, relu=False), *_conv(inputs, inputs)]
        self.branch_proj = nn.Sequential(*proj) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]``."""
        if self.branch_proj is not None:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class Backbone(nn.Module):
    """ShuffleNetV2 without its classifier. ``[B, C, H, W]`` to maps of 1/8, 1/16 and 1/32 of the size."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        width = 24
        self.first_conv = nn.Sequential(nn.Conv2d(in_channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(ShuffleBlock(inputs, outputs), *(ShuffleBlock(outputs, outputs) for _ in range(blocks - 1)))
            for inputs, (outputs, blocks) in zip((width, *WIDTHS), zip(WIDTHS, BLOCKS, strict=True), strict=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of stages 2, 3 and 4."""
        eighth = self.stage2(self.maxpool(self.first_conv(x)))
        sixteenth = self.stage3(eighth)
        return eighth, sixteenth, self.stage4(sixteenth)


class Pointwise(nn.Module):
    """A 1x1 convolution with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*_conv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W] -> [B, outputs, H, W]``."""
        return self.conv1x1(x)  # type: ignore[no-any-return]


class PyramidPooling(nn.Module):
    """Three chains of one, two and three depthwise 5x5 convolutions, joined, and a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.Conv1x1 = Pointwise(inputs, outputs)
        self.S1, self.S2, self.S3 = (
            nn.Sequential(*(layer for _ in range(length) for layer in _conv(outputs, outputs, 5))) for length in (1, 2, 3)
        )
        self.output = nn.Sequential(*_conv(3 * outputs, outputs, relu=False))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W] -> [B, outputs, H, W]``."""
        x = self.Conv1x1(x)
        return self.relu(x + self.output(torch.cat((self.S1(x), self.S2(x), self.S3(x)), 1)))  # type: ignore[no-any-return]


class Head(nn.Module):
    """A depthwise 5x5 convolution with batch norm and ReLU, and a 1x1 convolution with batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(*_conv(inputs, inputs, 5), *_conv(inputs, outputs, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W] -> [B, outputs, H, W]``."""
        return self.conv5x5(x)  # type: ignore[no-any-return]


class DetectHead(nn.Module):
    """Maps of objectness, box and class."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.conv1x1 = Pointwise(inputs, inputs)
        self.obj_layers, self.reg_layers = Head(inputs, 1), Head(inputs, 4)
        self.cls_layers = Head(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W] -> [B, 5 + num_classes, H, W]``."""
        x = self.conv1x1(x)
        return torch.cat((self.obj_layers(x), self.reg_layers(x), self.cls_layers(x)), 1)


class FastestDet(nn.Module):
    """``[B, in_channels, H, W]`` to raw maps ``[B, 5 + num_classes, H / 16, W / 16]``: objectness, 4 of the box, classes.

    H and W are multiples of 32. Colours come as red, green, blue from 0 to 1; the public weights see blue, green, red.
    """

    def __init__(self, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.backbone = Backbone(in_channels)
        self.avg_pool = nn.AvgPool2d(3, 2, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.SPP = PyramidPooling(sum(WIDTHS), NECK)
        self.detect_head = DetectHead(NECK, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        eighth, sixteenth, last = self.backbone(x.flip(1))
        return self.detect_head(self.SPP(torch.cat((self.avg_pool(eighth), sixteenth, self.upsample(last)), 1)))  # type: ignore[no-any-return]


def decode(maps: Tensor) -> Tensor:
    """A box for each cell: ``[B, 5 + C, h, w] -> [B, h w, 6]`` of left, top, right, bottom, score and class.

    The cell in column i and row j, with maps o, r and c, has its centre at ``((tanh r_0 + i) / w, (tanh r_1 + j) / h)``, the
    width ``sigmoid r_2``, the height ``sigmoid r_3`` and the score ``sigmoid(o)^0.6 max softmax(c)^0.4``. Lengths are parts of
    the image's own, so that boxes are right for the image before it was stretched; they may reach beyond it.
    """
    objectness, box, classes = maps.split((1, 4, maps.shape[1] - 5), 1)
    rows, columns = (torch.arange(n, dtype=maps.dtype, device=maps.device) for n in maps.shape[2:])
    x = (box[:, 0].tanh() + columns) / len(columns)
    y = (box[:, 1].tanh() + rows[:, None]) / len(rows)
    half_width, half_height = box[:, 2].sigmoid() / 2, box[:, 3].sigmoid() / 2
    probability, label = classes.softmax(1).max(1)
    score = objectness[:, 0].sigmoid() ** 0.6 * probability**0.4
    edges = (x - half_width, y - half_height, x + half_width, y + half_height)
    return torch.stack((*edges, score, label.to(maps.dtype)), -1).flatten(1, 2)


def detections(maps: Tensor) -> Tensor:
    """What is detected: ``[B, MOST, 6]`` as in ``decode``, by falling score, NaN where there are fewer.

    Boxes of a score above ``LEAST_SCORE``; of those of a class that overlap by more than ``OVERLAP`` (intersection over union),
    the one of the highest score.
    """
    from torchvision.ops import batched_nms  # it takes a second to import

    kept = maps.new_full((len(maps), MOST, 6), torch.nan)
    for image, found in enumerate(decode(maps)):
        found = found[found[:, 4] > LEAST_SCORE]
        best = batched_nms(found[:, :4], found[:, 4], found[:, 5].long(), OVERLAP)[:MOST]
        kept[image, : len(best)] = found[best]
    return kept
