"""Residual spiking networks of direct training, by exact definition, and smaller ones that stand in for them.

    ResNet20   three 3x3 convolutions of 64, 2x2 average pooling, stages 64-128-256-512 of 2, 2, 2, 2 blocks; shortcuts that
               change shape: 2x2 average pooling, then 1x1 convolution (Ternary Spike's code, ``resnet20_cifar_modified``)
    ResNet19   3x3 convolution of 128, stages 128-256-512 of 3, 3, 2 blocks; 1x1 convolution of the shortcut's stride
    ResNet18   7x7 convolution of 64 with stride 2, 3x3 average pooling with stride 2, stages 64-128-256-512 of 2, 2, 2, 2 blocks
    ResNet34   the same with 3, 4, 6, 3 blocks

A block is conv-norm-LIF-conv-norm, plus the shortcut's spikes, then LIF. ``ResNet20-w16`` is the same with 16 channels in the
first stage instead of 64; ``-s2`` replaces the stem by one 3x3 convolution of stride 2, ``-s1`` by one of stride 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from snncore.time_first import AvgPool2d, Conv2d, StepBatchNorm2d

NeuronOf = Callable[[int, bool], nn.Module]
"""Channels, and whether the spikes reach a sum or the classifier without a convolution between -> a neuron."""
NormOf = Callable[[int, bool], nn.Module]
"""Channels, and whether the output is one of two branches that add up -> a normalisation of ``[T, B, C, H, W]``."""


@dataclass(frozen=True)
class Layout:
    """``stem``: kernel and stride of its convolutions, and the window and stride of a pooling after them."""

    stem: tuple[tuple[int, int], ...]
    pooling: tuple[int, int] | None
    width: int
    blocks: tuple[int, ...]
    pooled_shortcut: bool


LAYOUTS = {
    "ResNet20": Layout(((3, 1), (3, 1), (3, 1)), (2, 2), 64, (2, 2, 2, 2), True),
    "ResNet19": Layout(((3, 1),), None, 128, (3, 3, 2), False),
    "ResNet18": Layout(((7, 2),), (3, 2), 64, (2, 2, 2, 2), False),
    "ResNet34": Layout(((7, 2),), (3, 2), 64, (3, 4, 6, 3), False),
}


def residual_layout(name: str) -> Layout:
    """The layout of a name, e.g. ``ResNet20`` or ``ResNet20-w16-s2``. CannotRun for others."""
    found = re.fullmatch(rf"({'|'.join(LAYOUTS)})(?:-w([1-9]\d*))?(?:-s([12]))?", name)
    if found is None:
        raise CannotRun(f"unknown spiking network {name!r}; write {', '.join(LAYOUTS)}, or ResNet20-w16-s2 for a smaller one")
    layout = LAYOUTS[found[1]]
    if found[2]:
        layout = replace(layout, width=int(found[2]))
    return replace(layout, stem=((3, int(found[3])),), pooling=None) if found[3] else layout


class Block(nn.Module):
    """``LIF(norm(conv(LIF(norm(conv(spikes))))) + shortcut)``.

    With ``sew``, ``LIF(...) + shortcut`` (Fang et al., NeurIPS 2021), whose shortcut has a neuron where it changes shape.
    """

    def __init__(
        self, inputs: int, channels: int, stride: int, pooled: bool, reach: bool, neuron: NeuronOf, norm: NormOf, sew: bool
    ) -> None:
        super().__init__()
        self.conv1, self.norm1 = Conv2d(inputs, channels, 3, stride, 1, bias=False), norm(channels, False)
        self.neuron1 = neuron(channels, False)
        self.conv2, self.norm2 = Conv2d(channels, channels, 3, 1, 1, bias=False), norm(channels, not sew)
        self.neuron2 = neuron(channels, reach or sew)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != channels:
            pooling = [AvgPool2d(stride)] if pooled and stride > 1 else []
            convolution = Conv2d(inputs, channels, 1, 1 if pooling else stride, bias=False)
            self.shortcut = nn.Sequential(
                *pooling, convolution, norm(channels, not sew), *([neuron(channels, True)] if sew else [])
            )
        self.sew = sew

    def forward(self, spikes: Tensor) -> Tensor:
        """``[T, B, C, H, W]``."""
        hidden = self.neuron1(self.norm1(self.conv1(spikes)))
        branch, shortcut = self.norm2(self.conv2(hidden)), self.shortcut(spikes)
        spikes = self.neuron2(branch) + shortcut if self.sew else self.neuron2(branch + shortcut)
        return spikes


class SpikingResNet(nn.Module):
    """Images ``[B, C, H, W]`` in [0, 1], or frames ``[B, T, C, H, W]`` of events, to logits ``[T, B, K]``, one set a step.

    The first convolution sees the image at every step (direct coding); it is computed once, which is exact.

    Args:
        name: of the layout.
        channels, classes: of the images and of the answer.
        timesteps: T.
        neuron, norm, sew: what the method puts in.
        stem_per_step: whether the stem has plain batch normalisation of every step by itself (the Ternary Spike paper's code).
    """

    def __init__(
        self,
        name: str,
        channels: int,
        classes: int,
        timesteps: int,
        neuron: NeuronOf,
        norm: NormOf,
        sew: bool = False,
        stem_per_step: bool = False,
    ) -> None:
        super().__init__()
        layout = residual_layout(name)
        self.timesteps = timesteps
        width, inputs, stem = layout.width, channels, []
        for kernel, stride in layout.stem:
            normalisation = StepBatchNorm2d(width, timesteps) if stem_per_step else norm(width, False)
            stem.append(nn.Sequential(Conv2d(inputs, width, kernel, stride, kernel // 2, bias=False), normalisation))
            inputs = width
        self.stem = nn.ModuleList(stem)
        last = len(layout.stem) - 1
        self.stem_neurons = nn.ModuleList(neuron(width, position == last) for position in range(len(layout.stem)))
        window = layout.pooling
        self.pooling = AvgPool2d(*window, padding=(window[0] - 1) // 2) if window else nn.Identity()
        blocks: list[nn.Module] = []
        for stage, count in enumerate(layout.blocks):
            for position in range(count):
                outputs, stride = width << stage, 2 if stage and not position else 1
                reach = position + 1 < count or stage + 1 == len(layout.blocks)  # the next shortcut is the identity
                blocks.append(Block(inputs, outputs, stride, layout.pooled_shortcut, reach, neuron, norm, sew))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[T, B, K]``."""
        frames = images[None] if images.dim() == 4 else images.transpose(0, 1)
        for convolution, neuron in zip(self.stem, self.stem_neurons, strict=True):
            currents = convolution(frames)
            frames = neuron(currents.expand(self.timesteps, *currents.shape[1:]))
        features: Tensor = self.blocks(self.pooling(frames))
        logits: Tensor = self.classifier(features.mean((3, 4)))
        return logits


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Convolutions normal of variance ``2 / (k**2 C_out)``, linear layers ``1 / n**2`` for n inputs, biases 0 (authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            fan = weight[0, 0].numel() * weight.shape[0]
            std = (2 / fan) ** 0.5 if isinstance(module, nn.Conv2d) else 1 / weight.shape[1]
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * std)
            if module.bias is not None:
                module.bias.zero_()
