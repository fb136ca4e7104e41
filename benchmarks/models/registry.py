"""Every network by name, with the one definition behind the name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.errors import CannotRun, NotAvailable

if TYPE_CHECKING:
    from torch import nn

WIDTHS, THIN_WIDTHS = (64, 128, 256, 512), (8, 16, 32, 64)


@dataclass(frozen=True)
class ModelSpec:
    """One network: ``build(num_classes, in_channels)`` makes it, ``definition`` says in a sentence what it is.

    ``paper_name``: what papers print. ``metadata``: what holds where a checkpoint does not say it. ``depth``: weight layers one
    after the other, where the name has no number.
    """

    name: str
    paper_name: str
    definition: str
    build: Callable[[int, int], nn.Module]
    metadata: dict[str, str] = field(default_factory=dict)
    depth: int = 0

    @property
    def layers(self) -> int:
        """The number in the papers' name, which latency formulas use; it can differ from the number of weight layers.

        ``depth`` where the name has none, NotAvailable without it.
        """
        if self.depth:
            return self.depth
        number = self.paper_name.rpartition("-")[2]
        if not number.isdigit():
            raise NotAvailable(f"{self.name} has no number of layers in its name, which formulas of latency need")
        return int(number)


def _from(module: str, name: str) -> Callable[..., nn.Module]:
    """What makes networks, imported when one is made: to know of networks takes no torch."""
    return lambda *given, **options: getattr(import_module(f"benchmarks.models.{module}"), name)(*given, **options)


FastestDet, VisionTransformer = _from("fastestdet", "FastestDet"), _from("vit", "VisionTransformer")
ResNet, VGG16 = _from("resnet_cifar", "ResNet"), _from("vgg_cifar", "VGG16")
torchvision_model = _from("imagenet", "torchvision_model")
_VGG = "CIFAR form: 13 3x3 convolutions of 2x64, 2x128, 3x256, 3x512 and 3x512 channels with BatchNorm, "
_SPECS = (
    ModelSpec(
        "resnet20",
        "ResNet-20",
        "3x3 stem of 16 channels, stages of 16, 32 and 64 channels with 3 basic blocks each, strided 1x1-convolution "
        "shortcuts with BatchNorm, global average pooling, one linear layer.",
        partial(ResNet, widths=(16, 32, 64), blocks=(3, 3, 3), shortcut="conv"),
    ),
    ModelSpec(
        "resnet20-pad",
        "ResNet-20",
        "3x3 stem of 16 channels, stages of 16, 32 and 64 channels with 3 basic blocks each, shortcuts without parameters "
        "that take every second pixel and add zero channels, half before and half after (He et al., option A), global "
        "average pooling, one linear layer.",
        partial(ResNet, widths=(16, 32, 64), blocks=(3, 3, 3), shortcut="pad"),
    ),
    ModelSpec(
        "resnet20-wide",
        "ResNet-20",
        "3x3 stem of 64 channels, stages of 64, 128 and 256 channels with 3 basic blocks each, strided 1x1-convolution "
        "shortcuts with BatchNorm, global average pooling, one linear layer (as in SNN Calibration).",
        partial(ResNet, widths=(64, 128, 256), blocks=(3, 3, 3), shortcut="conv"),
    ),
    ModelSpec(
        "resnet20-ternary",
        "ResNet-20",
        "Stem of three 3x3 convolutions of 64 channels and a 2x2 average pooling, stages of 64, 128, 256 and 512 channels "
        "with 2 basic blocks each, shortcuts of 2x2 average pooling and 1x1 convolution with BatchNorm, global average "
        "pooling, one linear layer (as in Ternary Spike).",
        partial(ResNet, widths=WIDTHS, blocks=(2, 2, 2, 2), shortcut="avg-conv", stem_convolutions=3, stem_pool=True),
    ),
    ModelSpec(
        "resnet18",
        "ResNet-18",
        "CIFAR form: 3x3 stem of 64 channels without pooling, stages of 64, 128, 256 and 512 channels with 2 basic blocks "
        "each, strided 1x1-convolution shortcuts with BatchNorm, global average pooling, one linear layer.",
        partial(ResNet, widths=WIDTHS, blocks=(2, 2, 2, 2), shortcut="conv"),
    ),
    ModelSpec(
        "vgg16",
        "VGG-16",
        _VGG + "2x2 average pooling after each group, one linear layer 512-C.",
        partial(VGG16, pooling="avg"),
    ),
    ModelSpec(
        "vgg16-max",
        "VGG-16",
        _VGG + "2x2 max pooling after each group, one linear layer 512-C.",
        partial(VGG16, pooling="max"),
    ),
    ModelSpec(
        "vgg16-qcfs",
        "VGG-16",
        _VGG + "2x2 average pooling after each group, linear layers 512-4096-4096-C with dropout 0.5 (as in QCFS and COS).",
        partial(VGG16, pooling="avg", hidden=(4096, 4096), dropout=0.5),
    ),
    ModelSpec(
        "torchvision/resnet34",
        "ResNet-34",
        "torchvision.models.resnet34; public weights: ResNet34_Weights.IMAGENET1K_V1.",
        partial(torchvision_model, "resnet34"),
    ),
    ModelSpec(
        "torchvision/resnet50",
        "ResNet-50",
        "torchvision.models.resnet50; public weights: ResNet50_Weights.IMAGENET1K_V1 and IMAGENET1K_V2.",
        partial(torchvision_model, "resnet50"),
    ),
    ModelSpec(
        "torchvision/vgg16",
        "VGG-16",
        "torchvision.models.vgg16, without BatchNorm, max pooling; public weights: VGG16_Weights.IMAGENET1K_V1.",
        partial(torchvision_model, "vgg16"),
    ),
    ModelSpec(
        "torchvision/vgg16_bn",
        "VGG-16",
        "torchvision.models.vgg16_bn, with BatchNorm, max pooling; public weights: VGG16_BN_Weights.IMAGENET1K_V1.",
        partial(torchvision_model, "vgg16_bn"),
    ),
    ModelSpec(
        "torchvision/squeezenet1_1",
        "SqueezeNet 1.1",
        "torchvision.models.squeezenet1_1, ReLUs and max pooling, dropout before the last convolution; public weights: "
        "SqueezeNet1_1_Weights.IMAGENET1K_V1.",
        partial(torchvision_model, "squeezenet1_1"),
        {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]"},  # as torchvision normalises
        depth=18,  # two convolutions, and two in a row in each of eight fire modules
    ),
    ModelSpec(
        "resnet20-thin",
        "ResNet-20",
        "Stand-in for small images: resnet20 with stages of 8, 16 and 32 channels.",
        partial(ResNet, widths=THIN_WIDTHS[:3], blocks=(3, 3, 3), shortcut="conv"),
    ),
    ModelSpec(
        "resnet18-thin",
        "ResNet-18",
        "Stand-in for small images: resnet18 with stages of 8, 16, 32 and 64 channels.",
        partial(ResNet, widths=THIN_WIDTHS, blocks=(2, 2, 2, 2), shortcut="conv"),
    ),
    ModelSpec(
        "resnet34-thin",
        "ResNet-34",
        "Stand-in for small images: 3x3 stem of 8 channels without pooling, stages of 8, 16, 32 and 64 channels with 3, 4, 6 "
        "and 3 basic blocks, strided 1x1-convolution shortcuts with BatchNorm, global average pooling, one linear layer.",
        partial(ResNet, widths=THIN_WIDTHS, blocks=(3, 4, 6, 3), shortcut="conv"),
    ),
    ModelSpec(
        "vgg16-thin",
        "VGG-16",
        "Stand-in for small images: 13 3x3 convolutions of 2x8, 2x16, 3x32, 3x64 and 3x64 channels with BatchNorm, 2x2 "
        "average pooling after the first two groups only, global average pooling, one linear layer 64-C.",
        partial(VGG16, pooling="avg", widths=(8, 16, 32, 64, 64), pooled_groups=2),
    ),
    ModelSpec(
        "fastestdet",
        "FastestDet",
        "Detector of one scale with ReLUs: ShuffleNetV2 of 24, 48, 96 and 192 channels, three scales joined, chains of depthwise "
        "5x5 convolutions, raw maps of objectness, box and classes on a 22x22 grid; boxes are decoded outside of the network.",
        FastestDet,
        {"mean": "[0, 0, 0]", "std": "[1, 1, 1]"},
    ),
    ModelSpec(
        "vit-small-images",
        "ViT",
        "Vision Transformer for 32x32 pixels: patches of 4x4, a class token, learned positions, 6 post-norm layers of 128 "
        "channels with 8 heads and 256 hidden units with ReLU, LayerNorm and one linear layer on the class token.",
        partial(VisionTransformer, size=32, patch=4, width=128, depth=6, heads=8, hidden=256),
    ),
    ModelSpec(
        "vit-thin",
        "ViT",
        "Stand-in for 8x8 pixels: patches of 2x2, a class token, learned positions, 2 post-norm layers of 32 channels with 4 "
        "heads and 64 hidden units with ReLU, LayerNorm and one linear layer on the class token.",
        partial(VisionTransformer, size=8, patch=2, width=32, depth=2, heads=4, hidden=64),
    ),
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def model_spec(name: str) -> ModelSpec:
    """The network called ``name``; CannotRun, listing the known names, where there is none."""
    try:
        return MODELS[name]
    except KeyError:
        raise CannotRun(f"there is no network called {name!r}; known networks: {', '.join(MODELS)}") from None


def build_model(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """The network called ``name`` with random weights from torch's global generator.

    ``[B, in_channels, H, W] -> [B, num_classes]`` logits. CannotRun for an unknown name, and for an ImageNet network with
    other than 3 input channels.
    """
    return model_spec(name).build(num_classes, in_channels)
