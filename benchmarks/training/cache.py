"""Trained networks in the user's cache folder, one file per network, data set, recipe, seed and version of the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from torch import nn

from benchmarks.models import build_model, load_checkpoint
from benchmarks.models.checkpoint_files import Checkpoint
from benchmarks.training.batches import LabelledImages
from benchmarks.training.fit import Progress
from benchmarks.training.recipes import content, recipe
from benchmarks.training.source_digest import training_code
from benchmarks.training.store import stored
from benchmarks.training.train import channel_statistics, train


class TrainedNetwork(NamedTuple):
    """A trained network in evaluation mode, its file, and the file's SHA-256."""

    model: nn.Module
    checkpoint_path: Path
    sha: str


def trained_network(
    model_name: str,
    dataset: LabelledImages,
    recipe_name: str,
    seed: int,
    progress: Progress | None = None,
    num_classes: int | None = None,
) -> TrainedNetwork:
    """The network from the cache, or trained now and put there; a damaged file is trained again, with a warning.

    Arguments and errors as in ``train``. The file's metadata: ``mean`` and ``std`` per channel (JSON lists, in units of
    the full pixel range), ``architecture``, ``recipe`` (JSON), ``dataset_fingerprint``, ``seed``, ``num_classes`` and
    ``training_code``.
    """
    chosen = recipe(recipe_name)
    classes = num_classes or int(dataset.labels.max()) + 1

    def load(path: Path) -> nn.Module:
        model = build_model(model_name, classes, dataset.images.shape[1]).eval()
        load_checkpoint(model, path, model_name)
        return model

    def make(path: Path) -> Checkpoint:
        return train(model_name, dataset, chosen, seed, progress, classes, path.with_suffix(".pt")).state_dict(), {}

    mean, std = channel_statistics(dataset.images)
    metadata = {
        "architecture": model_name,
        "dataset_fingerprint": dataset.fingerprint,
        "mean": json.dumps(mean),
        "num_classes": str(classes),
        "recipe": json.dumps(content(chosen)),
        "seed": str(seed),
        "std": json.dumps(std),
        "training_code": training_code(build_model(model_name, classes, dataset.images.shape[1])),
    }
    return TrainedNetwork(*stored(model_name, metadata, load, make))
