"""Epochs of training images that lie in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.training.processes import rank
from benchmarks.training.randomness import augment, cut_out, generator
from benchmarks.training.recipes import Recipe


class LabelledImages(Protocol):
    """What training needs of a data set."""

    @property
    def images(self) -> Tensor:
        """uint8 ``[N, C, H, W]``, or frames of events, float16 ``[N, T, C, H, W]``."""

    @property
    def labels(self) -> Tensor:
        """int64 ``[N]``, from 0."""

    @property
    def fingerprint(self) -> str:
        """Identifies the samples and their order."""


class Batches:
    """Epochs of normalised, augmented batches in random order; the last, incomplete batch of an epoch is dropped.

    Of every batch, a process gets its own part; ``size`` is that of the whole.
    """

    def __init__(
        self, dataset: LabelledImages, recipe: Recipe, seed: int, mean: list[float], std: list[float], device: torch.device
    ) -> None:
        self.images, self.labels, self.device = dataset.images.to(device), dataset.labels.to(device), device
        self.recipe, self.dtype = recipe, recipe.dtype
        self.size = min(recipe.batch_size, len(self.labels)) // recipe.processes * recipe.processes
        self.per_epoch = len(self.labels) // self.size
        self.order, self.augmentation = generator(seed, "order"), generator(seed, "augmentation")
        scales = (torch.tensor(each, dtype=self.dtype, device=device).reshape(1, -1, 1, 1) for each in (mean, std))
        self.mean, self.std = scales

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images ``[B, C, H, W]`` and labels ``[B]``."""
        order = torch.randperm(len(self.labels), generator=self.order)[: self.per_epoch * self.size]
        for chosen in order.to(self.device).split(self.size):
            pixels = self.images[chosen]  # [B, C, H, W]
            if self.recipe.shift or self.recipe.flip:
                pixels = augment(pixels, self.recipe.shift, self.recipe.flip, self.augmentation, self.recipe.wrap)
            batch = self.normalised(pixels)
            if self.recipe.cutout:
                batch = cut_out(batch, self.recipe.cutout, self.augmentation)
            part = slice(rank(), None, self.recipe.processes)
            yield _channels_last(batch[part]), self.labels[chosen[part]]

    def first(self, number: int) -> Iterator[Tensor]:
        """The first ``number`` images as they are, normalised ``[B, C, H, W]``."""
        for pixels in self.images[:number].split(self.size):
            yield self.normalised(pixels)

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` as the network sees it; frames of events ``[B, T, C, H, W]`` as they are."""
        if pixels.dim() == 5:
            return pixels.to(self.dtype)
        return (pixels.to(self.dtype) / 255 - self.mean) / self.std

    def prepared(self, pixels: Tensor) -> Tensor:
        """``pixels`` on the device, normalised, in the memory order of training batches."""
        return _channels_last(self.normalised(pixels.to(self.device)))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images
