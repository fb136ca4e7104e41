"""One door to all data sets: where one is, and its images."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.data.boxes import BoxSet, load_boxes
from benchmarks.data.event_sets import events_folder, load_events
from benchmarks.data.hub import hub_files, load_hub, mirror_files
from benchmarks.data.imagenet import IMAGENET, folder_from_environment, open_imagenet, open_sample
from benchmarks.data.images import ImageSet
from benchmarks.data.registry import IMAGENET_SAMPLE, check_split, dataset_spec
from benchmarks.data.stream import ImageStream
from benchmarks.errors import CannotRun
from benchmarks.paths import mirror_folder


@dataclass(frozen=True)
class Located:
    """Whether a split is on this machine, where (in words, or a path), and how to get it if it is not."""

    found: bool
    where: str
    how_to_get: str


def load(name: str, split: str, offline: bool = False) -> ImageSet:
    """All images of a split ("train" or "test") in memory, in canonical order: uint8 [N, C, H, W], or frames of events.

    ``offline`` keeps off the network; so does HF_HUB_OFFLINE=1 or HF_DATASETS_OFFLINE=1. CannotRun for an
    unknown name or split, for a data set that is found nowhere or is damaged, and for ImageNet, which does
    not fit in memory.
    """
    spec = dataset_spec(name)
    check_split(name, split)
    if name in (IMAGENET, IMAGENET_SAMPLE) or spec.boxes:
        raise CannotRun(f"{name} is not held in memory; open it with open_images, which reads it batch by batch")
    if spec.framing:
        return load_events(spec, split)
    if spec.embedded:
        # Importing scikit-learn takes a second that other data sets need not spend.
        from benchmarks.data import digits

        return digits.digits(split) if name == digits.DIGITS else digits.digit_pairs(split)
    return load_hub(spec, split, offline)


def open_images(name: str, split: str, offline: bool = False) -> ImageSet | ImageStream | BoxSet:
    """The images of a split, in memory or streamed, whichever suits the data set; raises as ``load`` does."""
    spec = dataset_spec(name)
    if split == "train" and spec.trained_on:
        return open_images(spec.trained_on, split, offline)
    if spec.boxes:
        return load_boxes(spec, split)
    if name == IMAGENET_SAMPLE:
        return open_sample(split)
    return open_imagenet(split) if name == IMAGENET else load(name, split, offline)


def locate(name: str, split: str) -> Located:
    """Where a split is, found without decoding anything and without the network.

    CannotRun for an unknown name or split, and where SNNBENCH_DATA or SNNBENCH_IMAGENET is no folder or
    lacks a part of the split.
    """
    spec = dataset_spec(name)
    check_split(name, split)
    if spec.embedded:
        return Located(True, "inside scikit-learn", spec.how_to_get)
    if spec.boxes or name == IMAGENET_SAMPLE:
        stands = dataset_spec(spec.trained_on) if split == "train" and spec.trained_on else spec
        folder = mirror_folder(stands.name)
        return Located(folder is not None, str(folder or ""), stands.how_to_get)
    if spec.framing:
        recordings = events_folder(spec)
        return Located(recordings is not None, str(recordings or ""), spec.how_to_get)
    if name == IMAGENET and (folder := folder_from_environment(split)):
        return Located(True, str(folder), spec.how_to_get)
    found = mirror_files(spec, split)
    if not found:
        try:
            found = hub_files(spec, split, offline=True)
        except CannotRun:
            return Located(False, "", spec.how_to_get)
    return Located(True, str(found.files[0].parent), spec.how_to_get)
