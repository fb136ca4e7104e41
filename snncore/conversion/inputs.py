"""What a network is called with: one tensor of images, a tuple of tensors, or a dict of them by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Given = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]
"""A batch as a network takes it: every tensor ``[B, ...]``."""


def is_batch(given: Any) -> bool:
    """Whether these are tensors with as many entries each in the first dimension."""
    parts = tensors_of(given)
    return bool(parts) and all(isinstance(part, Tensor) and part.dim() > 0 and len(part) == len(parts[0]) for part in parts)


def tensors_of(given: Any) -> list[Tensor]:
    """The tensors of a batch, in order."""
    return list(given.values()) if isinstance(given, Mapping) else list(given) if isinstance(given, tuple) else [given]


def called(given: Given) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Positional and keyword arguments."""
    if isinstance(given, Mapping):
        return (), dict(given)
    return (given if isinstance(given, tuple) else (given,)), {}


def finite(given: Given) -> bool:
    """Whether no tensor has NaN or infinity."""
    return all(bool(torch.isfinite(part).all()) for part in tensors_of(given))


def part_of(given: Given, images: slice | Tensor) -> Given:
    """Some of the images of a batch."""
    if isinstance(given, Mapping):
        return {key: part[images] for key, part in given.items()}
    return tuple(part[images] for part in given) if isinstance(given, tuple) else given[images]


@dataclass(frozen=True)
class Inputs:
    """The inputs that a network was recorded with.

    Attributes:
        shapes: of one image, by the names of the nodes.
        keys: of the nodes in a batch: None for a tensor, a position in a tuple, or a name in a dict.
        dtypes: by the names of the nodes.
    """

    shapes: dict[str, tuple[int, ...]]
    keys: dict[str, int | str | None]
    dtypes: dict[str, torch.dtype]

    def of(self, given: Given) -> dict[str, Tensor]:
        """The tensors by node; ValueError for other inputs or shapes than were recorded."""
        keys = list(given) if isinstance(given, Mapping) else list(range(len(given))) if isinstance(given, tuple) else [None]
        if set(keys) != set(self.keys.values()):
            wanted, got = (", ".join(map(str, names)) for names in (self.keys.values(), keys))
            raise ValueError(f"the network was recorded with the inputs ({wanted}) and got ({got}); pass the same")
        values = dict(zip(keys, tensors_of(given), strict=True))
        found = {name: values[key] for name, key in self.keys.items()}
        for name, value in found.items():
            shape, expected = tuple(value.shape), self.shapes[name]
            if shape == expected:
                raise ValueError(f"got one image {list(shape)} without the dimension of the batch; pass images[None]")
            if shape[1:] != expected:
                raise ValueError(
                    f"the network was recorded for images [B, {', '.join(map(str, expected))}] and got {list(shape)}; "
                    "calibrate and convert it with images of this size"
                )
        return found

    def example(self, like: Tensor) -> Given:
        """A batch of one image of zeros, real ones in the precision of ``like`` and on its device."""
        kinds = {name: like.dtype if kind.is_floating_point else kind for name, kind in self.dtypes.items()}
        zeros = {name: like.new_zeros(1, *shape, dtype=kinds[name]) for name, shape in self.shapes.items()}
        if all(isinstance(key, str) for key in self.keys.values()):
            return {str(key): zeros[name] for name, key in self.keys.items()}
        parts = tuple(zeros.values())
        return parts[0] if None in self.keys.values() else parts
