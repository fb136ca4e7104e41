"""Trained networks in the user's cache folder, one file per network, data set, recipe, seed and version of the code."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from torch import nn

from benchmarks.errors import CannotRun
from benchmarks.models import build_model, checkpoint_hash, load_checkpoint
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.paths import cache_dir
from benchmarks.training.recipes import Recipe, content, recipe
from benchmarks.training.source_digest import training_code
from benchmarks.training.train import LabelledImages, Progress, channel_statistics, train

_log = logging.getLogger(__name__)


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
    ``training_code``. A second process that asks for the same network waits for the first.
    """
    chosen = recipe(recipe_name)
    classes = num_classes or int(dataset.labels.max()) + 1
    metadata = _metadata(model_name, dataset, chosen, seed, classes)
    path = _path(model_name, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path.with_suffix(".lock"))):
        model = _load(model_name, dataset, classes, path) if path.exists() else None
        if model is None:
            trained = train(model_name, dataset, chosen, seed, progress, classes)
            write_checkpoint(path, trained.state_dict(), metadata)
            model = build_model(model_name, classes, dataset.images.shape[1]).eval()
            load_checkpoint(model, path, model_name)
    return TrainedNetwork(model, path, checkpoint_hash(path))


def _metadata(model_name: str, dataset: LabelledImages, chosen: Recipe, seed: int, classes: int) -> dict[str, str]:
    mean, std = channel_statistics(dataset.images)
    return {
        "architecture": model_name,
        "dataset_fingerprint": dataset.fingerprint,
        "mean": json.dumps(mean),
        "num_classes": str(classes),
        "recipe": json.dumps(content(chosen)),
        "seed": str(seed),
        "std": json.dumps(std),
        "training_code": training_code(build_model(model_name, classes, dataset.images.shape[1])),
    }


def _path(model_name: str, metadata: dict[str, str]) -> Path:
    key = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:20]
    return cache_dir() / "networks" / f"{model_name.replace('/', '-')}-{key}.safetensors"


def _load(model_name: str, dataset: LabelledImages, classes: int, path: Path) -> nn.Module | None:
    model = build_model(model_name, classes, dataset.images.shape[1]).eval()
    try:
        load_checkpoint(model, path, model_name)
    except CannotRun as error:
        _log.warning("training %s again: %s", model_name, error)
        return None
    return model
