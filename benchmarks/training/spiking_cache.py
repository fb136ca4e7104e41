"""Directly trained spiking networks in the user's cache folder, with their curves; a killed training resumes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.data import dataset_spec, load
from benchmarks.methods import direct_method
from benchmarks.methods.direct import SpikingClassifier
from benchmarks.models.checkpoint_files import Checkpoint, checkpoint_hash, read_checkpoint
from benchmarks.training.fit import Progress
from benchmarks.training.recipes import Recipe, content
from benchmarks.training.source_digest import code_digest, import_closure
from benchmarks.training.spiking import History, TrainingFailed, split, train_spiking
from benchmarks.training.store import stored

_HISTORY = "history."


@dataclass(frozen=True)
class SpikingTask:
    """What is trained, on what and how; the whole identity of a training run but for the code.

    ``validation`` and ``training``: images, see ``benchmarks.training.spiking.split``. ``tolerant``: do not stop where layers
    stay silent. ``test_every_epoch``: note the accuracy on the test set after every epoch; nothing else follows from it.
    """

    dataset: str
    layout: str
    method: str
    recipe: Recipe
    seed: int
    validation: int
    training: int | None = None
    tolerant: bool = False
    test_every_epoch: bool = False


class TrainedSpiking(NamedTuple):
    """A network in evaluation mode, or None with the reason; its curves (empty if it failed), and the hash of its file."""

    network: SpikingClassifier | None
    history: History
    sha: str
    failed: str


def trained_spiking(task: SpikingTask, offline: bool = False, progress: Progress | None = None) -> TrainedSpiking:
    """The network of a task from the cache, or trained now and put there.

    A run that failed is remembered too. Raises CannotRun for unknown names, options or data that are missing.
    """
    spec = dataset_spec(task.dataset)
    dataset = load(task.dataset, "train", offline)
    metadata = {
        "dataset_fingerprint": dataset.fingerprint,
        "layout": task.layout,
        "method": task.method,
        "recipe": json.dumps(content(task.recipe)),
        "seed": str(task.seed),
        "split": json.dumps([task.training, task.validation]),
        "test_every_epoch": str(task.test_every_epoch),
        "tolerant": str(task.tolerant),
        "training_code": spiking_code(task.method),
    }
    shape = tuple(dataset.images.shape[1:])

    def make(path: Path) -> Checkpoint:
        method, data = direct_method(task.method), split(dataset, task.validation, task.training)
        what = method, task.layout, spec.classes, data, task.recipe, task.seed
        test = load(task.dataset, "test", offline) if task.test_every_epoch else None
        noted = None if test is None else (test.images, test.labels)
        try:
            teacher = _teacher(task, method.teacher, offline) if method.teacher else None
            network, history = train_spiking(*what, path.with_suffix(".pt"), task.tolerant, progress, noted, teacher)
        except TrainingFailed as reason:
            return {"failed": torch.ones(1)}, {"failed": str(reason)}
        return network.state_dict() | {_HISTORY + name: torch.from_numpy(values) for name, values in history.items()}, {}

    name = f"{task.method.replace(':', '-')}-{task.layout}"
    return stored(name, metadata, lambda path: _load(task, path, shape, spec.classes), make)[0]


def _teacher(task: SpikingTask, name: str, offline: bool) -> SpikingClassifier:
    """The network of another method for the same task. Raises TrainingFailed where there is none."""
    taught = trained_spiking(replace(task, method=name), offline)
    if taught.network is None:
        raise TrainingFailed(f"of its teacher: {taught.failed}")
    return taught.network


def _load(task: SpikingTask, path: Path, shape: tuple[int, ...], classes: int) -> TrainedSpiking:
    tensors, metadata = read_checkpoint(path)
    sha = checkpoint_hash(path)
    if "failed" in metadata:
        return TrainedSpiking(None, {}, sha, metadata["failed"])
    history = {name.removeprefix(_HISTORY): t.numpy() for name, t in tensors.items() if name.startswith(_HISTORY)}
    options = dict(task.recipe.options)
    network = direct_method(task.method).build(task.layout, shape, classes, options.pop("timesteps"), **options)
    network.load_state_dict({name: t for name, t in tensors.items() if not name.startswith(_HISTORY)})
    return TrainedSpiking(network.eval(), history, sha, "")


@cache
def spiking_code(method: str) -> str:
    """Digest of the code behind a network that ``method`` trains: the training loop, the method, and all that they import."""
    return code_digest(import_closure(["benchmarks.training.spiking", type(direct_method(method)).__module__]))
