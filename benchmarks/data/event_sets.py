"""Data sets of event recordings as frames: float16 ``[N, T, 2, H, W]``, in memory.

Recordings are files below a folder of ``SNNBENCH_DATA`` or, where they are simulated, of the user's cache; the option
``split`` of a data set's name says which of them are the test part:

    official      the published one (N-MNIST, simulated events)
    fold0 .. 4    every fifth recording of a class, all parts together, in the order of N-MNIST (``folds``: that of the seed)
    last-tenth    recordings 900 .. 999 of each class (SpikingJelly, TET)
    first-tenth   recordings 0 .. 99 of each class (TEBN): neighbours of training recordings, usually a much higher accuracy
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.data.events import GET_AGAIN, Events, read_aedat2, read_bin
from benchmarks.data.framing import frames
from benchmarks.data.images import ImageSet, image_set
from benchmarks.data.registry import CIFAR10_DVS, DIGIT_EVENTS, DatasetSpec, check_split, describe_found
from benchmarks.errors import CannotRun
from benchmarks.paths import data_mirror, mirror_folder

FOLDS = 5
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OFFICIAL_TEST = 60000
"""MNIST's number of the last training image: number 1 of the test part is number 60001 of all."""


class Recording(NamedTuple):
    """A file, its label, and its number in the data set; those of N-MNIST's test part follow those of the training part."""

    path: Path
    label: int
    number: int


def load_events(spec: DatasetSpec, split: str) -> ImageSet:
    """Frames of the recordings of a split. CannotRun where any are missing or damaged, or where the options make no sense."""
    check_split(spec.name, split)
    assert spec.framing is not None
    chosen = [each for each in _listed(spec) if _in_test(each, spec) == (split == "test")]
    words = describe_found(spec, split, len(chosen)) if spec.framing.split == "official" else f"{len(chosen):,} recordings"
    read: Callable[[Path, tuple[int, int]], Events] = read_aedat2 if spec.base == CIFAR10_DVS else read_bin
    made = [frames(read(each.path, spec.size), spec.size, spec.framing).astype(np.float16) for each in chosen]
    labels = torch.tensor([each.label for each in chosen])
    source = f"simulated from scikit-learn's digits: {words}" if spec.embedded else f"local mirror: {words}"
    return image_set(spec.name, split, torch.from_numpy(np.stack(made)), labels, source)


def for_seed(name: str, seed: int) -> str:
    """The data set of a training run: where ``name`` ends in ``split=folds``, that of fold ``seed`` (modulo 5)."""
    return re.sub(r"\bsplit=folds\b", f"split=fold{seed % FOLDS}", name)


def events_folder(spec: DatasetSpec) -> Path | None:
    """Where the recordings are; None where ``SNNBENCH_DATA`` has none."""
    if spec.base == DIGIT_EVENTS:
        from benchmarks.data.saccades import recordings  # scikit-learn takes a second to import

        return recordings()
    return mirror_folder(spec.base)


def _in_test(each: Recording, spec: DatasetSpec) -> bool:
    assert spec.framing is not None
    split = spec.framing.split
    if fold := re.fullmatch(r"fold(\d)", split):
        return each.number % FOLDS == int(fold[1])
    if split == "official":
        return each.number > OFFICIAL_TEST
    return each.number >= 900 if split == "last-tenth" else each.number < 100


def _listed(spec: DatasetSpec) -> list[Recording]:
    """All recordings of a data set; of N-MNIST with numbers that count within classes where folds are asked for."""
    folder = events_folder(spec)
    if folder is None:
        where = f"SNNBENCH_DATA ({data_mirror()}) has no folder {spec.base}" if data_mirror() else "SNNBENCH_DATA is not set"
        raise CannotRun(f"{spec.base} was not found: {where}; {spec.how_to_get}")
    found = list(_cifar10_dvs(folder) if spec.base == CIFAR10_DVS else _nmnist(folder))
    due = spec.train_count + spec.test_count
    if len(found) != due:
        archives = sorted(p.name for p in folder.iterdir() if p.suffix in (".zip", ".gz", ".part", ".crdownload"))
        also = f"; {archives[0]} is not unpacked, or not whole" if archives else ""
        raise CannotRun(f"{folder}: {len(found):,} of {due:,} recordings are here{also}; {spec.how_to_get}")
    if spec.framing.split.startswith("fold"):
        found.sort(key=lambda each: (each.label, each.number))
        found = [each._replace(number=place) for place, each in enumerate(found)]
    return found


def _nmnist(folder: Path) -> Iterator[Recording]:
    """Files of ``Train/<digit>/<number>.bin``, ``Test/...``, or ``<number>.bs2`` with their labels in a file beside them."""
    for part, base in (("Train", 0), ("Test", OFFICIAL_TEST)):
        for path in sorted((folder / part).glob("[0-9]/*.bin")):
            yield Recording(path, int(path.parent.name), base + _number(path, path.stem))
    if flat := sorted(folder.glob("*.bs2")):
        labels: dict[str, str] = {}
        for name in ("train1K.txt", "test100.txt"):
            if not (folder / name).is_file():
                raise CannotRun(f"{folder / name} is missing: without it the {len(flat):,} recordings beside it have no labels")
            lines = (folder / name).read_text("ascii", "replace").splitlines()
            labels |= {sample: label for sample, label in map(str.split, lines) if label.isdecimal()}
        for path in flat:
            if path.stem not in labels:
                raise CannotRun(f"{path}: train1K.txt and test100.txt have no label for it; {GET_AGAIN}")
            yield Recording(path, int(labels[path.stem]), _number(path, path.stem))


def _cifar10_dvs(folder: Path) -> Iterator[Recording]:
    """Files ``<class>/cifar10_<class>_<number>.aedat``."""
    for label, name in enumerate(CLASSES):
        for path in sorted((folder / name).glob("*.aedat*")):
            yield Recording(path, label, _number(path, path.stem.removeprefix(f"cifar10_{name}_")))


def _number(path: Path, text: str) -> int:
    if not text.isdecimal():
        raise CannotRun(f"{path} is not called as published, by a number; remove it if it does not belong here")
    return int(text)
