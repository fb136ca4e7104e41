"""Random numbers for training: one CPU generator per purpose, so that one use does not shift another."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from snncore.initialization import fan_in


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, from the user's seed."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose; the streams of two purposes are independent."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose))


@contextmanager
def fresh_random_numbers(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Torch's own random numbers, which dropout takes, from a stream of one purpose; those of before come back."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(seed, purpose))
        yield


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Set every weight anew: weights uniform with variance 2 / fan-in (He et al., ICCV 2015), biases 0.

    The last linear layer, which no ReLU follows, gets variance 1 / fan-in. Uniform and drawn in float64, because that
    gives the same bits on every machine; a normal draw goes through the machine's logarithm and cosine.
    """
    source = generator(seed, "initialization")
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for layer in layers:
        bound = math.sqrt((3 if layer is layers[-1] else 6) / fan_in(layer.weight))
        uniform = torch.rand(layer.weight.shape, generator=source, dtype=torch.float64)
        layer.weight.copy_((2 * uniform - 1) * bound)
        if layer.bias is not None:
            layer.bias.zero_()


def augment(images: Tensor, shift: int, flip: bool, source: torch.Generator, wrap: bool = False) -> Tensor:
    """Translate every image by its own random offset and mirror every second one on average. ``[B, C, H, W]``.

    ``shift``: largest offset along H and along W, in pixels; zeros come in, with ``wrap`` what left at the other side.
    ``flip``: whether to mirror left-right. All frames of ``[B, T, C, H, W]`` are moved alike.
    """
    if images.dim() == 5:
        return augment(images.flatten(1, 2), shift, flip, source, wrap).unflatten(1, images.shape[1:3])
    batch, _, height, width = images.shape
    rows = torch.arange(height).expand(batch, height)  # [B, H]
    columns = torch.arange(width).expand(batch, width)  # [B, W]
    if flip:
        mirrored = torch.rand(batch, generator=source) < 0.5  # [B]
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    if shift:
        offsets = torch.randint(0, 2 * shift + 1, (2, batch, 1), generator=source)  # [2, B, 1]
        rows, columns = rows + offsets[0], columns + offsets[1]
        if wrap:
            rows, columns = (rows - shift) % height, (columns - shift) % width
        else:
            images = nn.functional.pad(images, (shift, shift, shift, shift))  # [B, C, H + 2 shift, W + 2 shift]
    device = images.device
    samples = torch.arange(batch, device=device)[:, None, None]  # [B, 1, 1]
    rows, columns = rows[:, :, None].to(device), columns[:, None, :].to(device)  # [B, H, 1], [B, 1, W]
    return images[samples, :, rows, columns].permute(0, 3, 1, 2)  # the index puts C last


def cut_out(images: Tensor, side: int, source: torch.Generator) -> Tensor:
    """Zeros in a square of ``side`` pixels around a random pixel of every image, cut off at the border. ``[B, C, H, W]``."""
    batch, _, *extents = images.shape
    inside = []
    for extent in extents:
        start = torch.randint(0, extent, (batch, 1), generator=source) - side // 2  # [B, 1]
        position = torch.arange(extent)  # [extent]
        inside.append((position >= start) & (position < start + side))  # [B, extent]
    rows, columns = (each.to(images.device) for each in inside)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)
