"""Epochs of training images that are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import joblib
import torch
from torch import Tensor

from benchmarks.data.stream import Draw, ImageStream
from benchmarks.errors import CannotRun
from benchmarks.training.processes import rank
from benchmarks.training.randomness import generator
from benchmarks.training.recipes import Recipe


class StreamedBatches:
    """Epochs of normalised, augmented batches in random order; the last, incomplete batch of an epoch is dropped.

    As ``Batches``, but a shift moves the crop over the resized image, so that real pixels come in. Images are decoded by as
    many threads as the recipe has, by one per core where it leaves that open. Raises CannotRun for a recipe with cutout, which
    is for small images.
    """

    def __init__(
        self, stream: ImageStream, recipe: Recipe, seed: int, mean: list[float], std: list[float], device: torch.device
    ) -> None:
        if recipe.cutout:
            raise CannotRun(f"recipe {recipe.name} has cutout, which streamed images of {stream.name} do not know; set it to 0")
        self.stream = replace(stream, workers=recipe.threads or joblib.cpu_count())
        self.recipe, self.device, self.dtype = recipe, device, recipe.dtype
        self.mean, self.std = mean, std
        self.size = min(recipe.batch_size, len(stream)) // recipe.processes * recipe.processes
        self.per_epoch = len(stream) // self.size
        self.order, self.augmentation = generator(seed, "order"), generator(seed, "augmentation")

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images ``[B, C, H, W]`` and labels ``[B]``."""
        order = torch.randperm(len(self.stream), generator=self.order)[: self.per_epoch * self.size]
        shift = self.recipe.shift
        offsets = torch.randint(-shift, shift + 1, (2, len(order)), generator=self.augmentation)  # [2, N]
        mirrored = torch.rand(len(order), generator=self.augmentation) < (0.5 if self.recipe.flip else 0.0)  # [N]
        part = slice(rank(), None, self.recipe.processes)  # the samples of this process in each batch
        drawn = (each.view(-1, self.size)[:, part].flatten().tolist() for each in (order, *offsets, mirrored))
        draws = (Draw(*each) for each in zip(*drawn, strict=True))
        for images, labels in self.stream.drawn_batches(self.mean, self.std, draws, self.size // self.recipe.processes):
            yield images.to(self.device, self.dtype), labels.to(self.device)

    def first(self, number: int) -> Iterator[Tensor]:
        """The first ``number`` images as they are, normalised ``[B, C, H, W]``."""
        few = self.stream.take(min(number, len(self.stream)))
        for images, _ in few.batches(self.mean, self.std, self.size):
            yield images.to(self.device, self.dtype)
