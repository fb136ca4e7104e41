"""Average pooling merged into the next weights (ETTFS paper, Eq. 25), so that every layer of a network sees spikes alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore.time_first import AvgPool2d, Conv2d, Dropout, Flatten


def merge_average_pooling(network: nn.Sequential, example: Tensor) -> nn.Sequential:
    """The same network with every average pooling merged into the next weights, so that all layers see binary spikes.

    A pooling of window k before a convolution of kernel c and stride s is a convolution of kernel ``k c`` and stride ``k s``
    whose weights are repeated k times along both sides and divided by ``k**2``. Before ``Flatten`` and a linear layer, that
    layer becomes the convolution over whole maps that it is, and is merged in the same way.

    Args:
        network: time-first layers in order; not changed.
        example: an input ``[T or 1, B, ...]``, for the sizes of the maps.

    Returns:
        a new network that shares all other layers with the old one but has no dropout, which is for training.

    Raises:
        ValueError: a pooling that overlaps or pads, or that is followed by neither a convolution without padding and dilation
            nor ``Flatten`` and a linear layer.
    """
    layers: list[nn.Module] = [layer for layer in network if not isinstance(layer, Dropout)]
    merged: list[nn.Module] = []
    with torch.no_grad():
        while layers:
            layer = layers.pop(0)
            if not isinstance(layer, AvgPool2d):
                merged.append(layer)
                example = layer(example[:, :1])
                continue
            window = _window(layer)
            channels, *size = layer(example[:, :1]).shape[2:]
            following = [type(other) for other in layers[:2]]
            if following[:1] == [Conv2d]:
                merged.append(_pooled(layers.pop(0), window))
                example = merged[-1](example[:, :1])
            elif following == [Flatten, nn.Linear]:
                flatten, linear = layers.pop(0), layers.pop(0)
                merged += [_pooled(_as_convolution(linear, channels, size), window), flatten]
                example = flatten(merged[-2](example[:, :1]))
            else:
                raise ValueError(f"{layer} can be merged into a convolution or into Flatten and a linear layer that follow")
    return nn.Sequential(*merged)


def _window(pool: AvgPool2d) -> int:
    given = (pool.kernel_size, pool.stride)
    sizes = {size for each in given for size in (each if isinstance(each, tuple) else (each,))}
    if len(sizes) != 1 or pool.padding not in (0, (0, 0)) or pool.ceil_mode:
        raise ValueError(f"{pool} cannot be merged: only square windows without overlap and padding can")
    return int(sizes.pop())


def _as_convolution(layer: nn.Module, channels: int, size: list[int]) -> Conv2d:
    """A linear layer on flattened maps ``[C, H, W]`` as the convolution with a kernel of their size."""
    assert isinstance(layer, nn.Linear)
    convolution = Conv2d(channels, layer.out_features, (size[0], size[1]), bias=layer.bias is not None).to(layer.weight)
    convolution.weight.copy_(layer.weight.view_as(convolution.weight))
    if layer.bias is not None and convolution.bias is not None:
        convolution.bias.copy_(layer.bias)
    return convolution


def _pooled(layer: nn.Module, window: int) -> Conv2d:
    assert isinstance(layer, Conv2d)
    if layer.padding not in ("valid", 0, (0, 0)) or layer.dilation != (1, 1):
        raise ValueError(f"average pooling cannot be merged into {layer}: its padding or dilation would fall between windows")
    rows, columns = layer.kernel_size
    down, right = layer.stride
    merged = Conv2d(
        layer.in_channels,
        layer.out_channels,
        (window * rows, window * columns),
        (window * down, window * right),
        groups=layer.groups,
        bias=layer.bias is not None,
    ).to(layer.weight)
    merged.weight.copy_(layer.weight.repeat_interleave(window, 2).repeat_interleave(window, 3) / window**2)
    if layer.bias is not None and merged.bias is not None:
        merged.bias.copy_(layer.bias)
    return merged
