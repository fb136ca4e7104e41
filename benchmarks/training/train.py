"""Train an image classifier: cross-entropy, SGD or Adam, cosine schedule, the weights after the last epoch."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.errors import CannotRun
from benchmarks.models import build_model
from benchmarks.training.batches import Batches, LabelledImages
from benchmarks.training.fit import Learner, Progress, fit
from benchmarks.training.optimization import device_of, threads
from benchmarks.training.processes import across_processes
from benchmarks.training.randomness import fresh_random_numbers, initialize
from benchmarks.training.recipes import Recipe


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


@across_processes
def train(
    model_name: str,
    dataset: LabelledImages,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
    num_classes: int | None = None,
    checkpoint: Path | None = None,
) -> nn.Module:
    """The network after the last epoch: on the CPU, float32, in evaluation mode.

    ``num_classes``: by default the largest label plus one; ``progress`` and ``checkpoint`` as for ``fit``.
    NotAvailable where the recipe needs a GPU and there is none, or where the loss stops being finite; CannotRun where the
    network is unknown or does not take these images, or where there is nothing to learn from.
    """
    device = device_of(recipe)
    if len(dataset.labels) < 2:
        raise CannotRun(f"recipe {recipe.name}: {len(dataset.labels)} training image(s); training needs at least 2")
    mean, std = channel_statistics(dataset.images)
    classes = num_classes or int(dataset.labels.max()) + 1
    with threads(recipe.threads):
        with fresh_random_numbers(seed, "dropout", device):  # for the initialization that is thrown away
            model = build_model(model_name, classes, dataset.images.shape[1]).to(recipe.dtype)
        _check_takes(model, model_name, dataset.images)
        initialize(model, seed)
        model.to(device).to(memory_format=torch.channels_last)  # 1.5 times as fast, in float64 too
        fit(Learner(model, recipe), Batches(dataset, recipe, seed, mean, std, device), recipe, seed, checkpoint, progress)
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
