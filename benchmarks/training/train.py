"""Train an image classifier: cross-entropy, SGD or Adam, cosine schedule, the weights after the last epoch.

Nothing is chosen on test data. In float64 the trained network does not depend on the machine (see recipes.toml); in
float32, and on a GPU, it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.models import build_model
from benchmarks.training.labelled import LabelledImages
from benchmarks.training.optimization import (
    device_of,
    forward_precision,
    learning_rate,
    optimizer_of,
    repeatable,
    round_state,
    threads,
)
from benchmarks.training.randomness import augment, cut_out, derived_seed, generator, initialize
from benchmarks.training.recipes import Recipe
from benchmarks.training.streamed import StreamedBatches

Progress = Callable[[int, int], None]


def channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel of uint8 ``[N, C, H, W]``, in units of the full pixel range.

    CannotRun where a channel is constant. Sums are exact integers, so every machine gets the same floats.
    """
    count = images.numel() // images.shape[1]
    mean, std = [], []
    for channel in images.unbind(1):
        pixels = channel.to(torch.int64)  # [N, H, W]
        total, squares = int(pixels.sum()), int((pixels * pixels).sum())
        variance = (count * squares - total * total) / count**2
        if variance == 0:
            raise CannotRun("a channel of the training images is constant; training needs images that differ")
        mean.append(total / count / 255)
        std.append(math.sqrt(variance) / 255)
    return mean, std


def train(
    model_name: str,
    dataset: LabelledImages,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
    num_classes: int | None = None,
) -> nn.Module:
    """The network after the last epoch: on the CPU, float32, in evaluation mode.

    ``progress(done, total)`` is called after every step. ``num_classes``: by default the largest label plus one.
    NotAvailable where the recipe needs a GPU and there is none, or where the loss stops being finite; CannotRun where the
    network is unknown or does not take these images, or where there is nothing to learn from.
    """
    device = device_of(recipe)
    if len(dataset.labels) < 2:
        raise CannotRun(f"recipe {recipe.name}: {len(dataset.labels)} training image(s); training needs at least 2")
    mean, std = channel_statistics(dataset.images)
    classes = num_classes or int(dataset.labels.max()) + 1
    # Dropout, and the initialization that is thrown away, draw from the global generator.
    with threads(recipe.threads), torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, "dropout"))
        model = build_model(model_name, classes, dataset.images.shape[1]).to(recipe.dtype)
        _check_takes(model, model_name, dataset.images)
        initialize(model, seed)
        model.to(device).to(memory_format=torch.channels_last)  # 1.5 times as fast, in float64 too
        batches = Batches(dataset, recipe, seed, mean, std, device)
        optimize(model, batches, recipe, progress)
    model.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)
    return model.eval()


@torch.no_grad()
def _check_takes(model: nn.Module, model_name: str, images: Tensor) -> None:
    try:
        model.eval()(images[:1].to(next(model.parameters()).dtype))
    except RuntimeError as error:
        size = "x".join(str(extent) for extent in images.shape[1:])
        reason = " ".join(str(error).split())
        raise CannotRun(f"{model_name} does not take images of {size} ({reason}); choose another network") from error


class Batches:
    """Epochs of normalised, augmented batches in random order; the last, incomplete batch of an epoch is dropped."""

    def __init__(
        self,
        dataset: LabelledImages,
        recipe: Recipe,
        seed: int,
        mean: list[float],
        std: list[float],
        device: torch.device,
    ) -> None:
        self.images, self.labels, self.device = dataset.images.to(device), dataset.labels.to(device), device
        self.recipe = recipe
        self.size = min(recipe.batch_size, len(self.labels))
        self.per_epoch = len(self.labels) // self.size
        self.order = generator(seed, "order")
        self.augmentation = generator(seed, "augmentation")
        self.dtype = recipe.dtype
        self.mean = torch.tensor(mean, dtype=self.dtype, device=device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, dtype=self.dtype, device=device).reshape(1, -1, 1, 1)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images ``[B, C, H, W]`` and labels ``[B]``."""
        order = torch.randperm(len(self.labels), generator=self.order)[: self.per_epoch * self.size]
        for chosen in order.to(self.device).split(self.size):
            pixels = self.images[chosen]  # [B, C, H, W]
            if self.recipe.shift or self.recipe.flip:
                pixels = augment(pixels, self.recipe.shift, self.recipe.flip, self.augmentation)
            batch = self._normalised(pixels)
            if self.recipe.cutout:
                batch = cut_out(batch, self.recipe.cutout, self.augmentation)
            yield batch.contiguous(memory_format=torch.channels_last), self.labels[chosen]

    def first(self, number: int) -> Iterator[Tensor]:
        """The first ``number`` images as they are, normalised ``[B, C, H, W]``."""
        for pixels in self.images[:number].split(self.size):
            yield self._normalised(pixels)

    def _normalised(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.dtype) / 255 - self.mean) / self.std


@repeatable()
def optimize(model: nn.Module, batches: Batches | StreamedBatches, recipe: Recipe, progress: Progress | None) -> None:
    """Train ``model`` in place, by the recipe. Raises NotAvailable where the loss or a weight stops being finite."""
    optimizer = optimizer_of(model, recipe)
    steps, step = recipe.epochs * batches.per_epoch, 0
    model.train()
    for epoch in range(1, recipe.epochs + 1):
        epoch_loss = torch.zeros((), dtype=batches.dtype, device=batches.device)
        for images, labels in batches.epoch():
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, steps)
            with forward_precision(recipe):
                loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch_loss += loss.detach()
            step += 1
            if progress is not None:
                progress(step, steps)
        if not (epoch_loss.isfinite() and all(weights.isfinite().all() for weights in model.parameters())):
            raise NotAvailable(
                f"training with recipe {recipe.name} failed in epoch {epoch} of {recipe.epochs}: the loss or a weight is "
                f"not finite; lower the recipe's learning rate ({recipe.learning_rate})"
            )
        round_state(model, optimizer, recipe.significant_bits)
