"""What each data set is: its name on the Hub, the papers' name for it, and what its images must look like."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.errors import CannotRun

SPLITS = ("train", "test")


@dataclass(frozen=True)
class DatasetSpec:
    """One image classification data set.

    ``size`` is (height, width) in pixels; ``channels`` is 1 (greyscale) or 3 (RGB); labels are 0 ..
    ``classes`` - 1. ``train_count`` and ``test_count`` are the official numbers of images. ``embedded`` sets
    need no download. ``test_split`` is the Hub's name of the split that papers test on.
    """

    name: str
    paper_name: str
    classes: int
    channels: int
    size: tuple[int, int]
    image_column: str
    label_column: str
    train_count: int
    test_count: int
    licence: str
    how_to_get: str
    embedded: bool
    test_split: str = "test"

    def count(self, split: str) -> int:
        """Official number of images of ``split`` ("train" or "test"); CannotRun for another split."""
        check_split(self.name, split)
        return self.train_count if split == "train" else self.test_count

    def hub_split(self, split: str) -> str:
        """The Hub's name of ``split`` ("train" or "test"); CannotRun for another split."""
        check_split(self.name, split)
        return "train" if split == "train" else self.test_split


def check_split(name: str, split: str) -> None:
    """Raise CannotRun unless ``split`` is one of ``SPLITS``."""
    if split not in SPLITS:
        raise CannotRun(f"{name} has no split {split!r}; the splits are {' and '.join(SPLITS)}")


def _download(name: str) -> str:
    return (
        f"set SNNBENCH_DATA to a folder that holds {name}/<split>-*.parquet as on the Hugging Face Hub"
        f" (hf download {name} --repo-type dataset --local-dir $SNNBENCH_DATA/{name}),"
        " or go online: `datasets` downloads it by name"
    )


_IMAGENET = (
    "set SNNBENCH_IMAGENET to a folder with val/<synset>/*.JPEG and train/<synset>/*.JPEG,"
    " or accept the terms at https://huggingface.co/datasets/ILSVRC/imagenet-1k and run:"
    " hf download ILSVRC/imagenet-1k --repo-type dataset"
    ' --include "data/validation-*" --local-dir $SNNBENCH_DATA/ILSVRC/imagenet-1k'
)

_SPECS = (
    DatasetSpec(
        name="sklearn/digits",
        paper_name="digits",
        classes=10,
        channels=1,
        size=(8, 8),
        image_column="image",
        label_column="label",
        train_count=1198,
        test_count=599,
        licence="CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)",
        how_to_get="nothing to get: it ships inside scikit-learn",
        embedded=True,
    ),
    DatasetSpec(
        name="sklearn/digit-pairs",
        paper_name="digit pairs",
        classes=100,
        channels=1,
        size=(8, 16),
        image_column="image",
        label_column="label",
        train_count=4000,
        test_count=1000,
        licence="CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)",
        how_to_get="nothing to get: it is generated from the digits inside scikit-learn",
        embedded=True,
    ),
    DatasetSpec(
        name="ylecun/mnist",
        paper_name="MNIST",
        classes=10,
        channels=1,
        size=(28, 28),
        image_column="image",
        label_column="label",
        train_count=60000,
        test_count=10000,
        licence="CC BY-SA 3.0",
        how_to_get=_download("ylecun/mnist"),
        embedded=False,
    ),
    DatasetSpec(
        name="zalando-datasets/fashion_mnist",
        paper_name="Fashion-MNIST",
        classes=10,
        channels=1,
        size=(28, 28),
        image_column="image",
        label_column="label",
        train_count=60000,
        test_count=10000,
        licence="MIT",
        how_to_get=_download("zalando-datasets/fashion_mnist"),
        embedded=False,
    ),
    DatasetSpec(
        name="uoft-cs/cifar10",
        paper_name="CIFAR-10",
        classes=10,
        channels=3,
        size=(32, 32),
        image_column="img",
        label_column="label",
        train_count=50000,
        test_count=10000,
        licence="for research; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
        how_to_get=_download("uoft-cs/cifar10"),
        embedded=False,
    ),
    DatasetSpec(
        name="uoft-cs/cifar100",
        paper_name="CIFAR-100",
        classes=100,
        channels=3,
        size=(32, 32),
        image_column="img",
        label_column="fine_label",
        train_count=50000,
        test_count=10000,
        licence="for research; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
        how_to_get=_download("uoft-cs/cifar100"),
        embedded=False,
    ),
    DatasetSpec(
        name="ILSVRC/imagenet-1k",
        paper_name="ImageNet",
        classes=1000,
        channels=3,
        size=(224, 224),
        image_column="image",
        label_column="label",
        train_count=1281167,
        test_count=50000,
        licence="non-commercial research and education, under the terms of image-net.org",
        how_to_get=_IMAGENET,
        embedded=False,
        test_split="validation",
    ),
)

DATASETS: dict[str, DatasetSpec] = {spec.name: spec for spec in _SPECS}


def dataset_spec(name: str) -> DatasetSpec:
    """The entry of ``DATASETS`` called ``name``; CannotRun, listing the known names, for any other."""
    if name not in DATASETS:
        raise CannotRun(f"no data set is called {name!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name]


def describe_found(spec: DatasetSpec, split: str, count: int) -> str:
    """``describe_count`` of what a mirror or folder holds; CannotRun where that is more than the data set has."""
    if count > spec.count(split):
        raise CannotRun(
            f"{spec.name}: the {split} split has {count:,} images here, but {spec.count(split):,} officially;"
            " remove what does not belong to it"
        )
    return describe_count(spec, split, count)


def describe_count(spec: DatasetSpec, split: str, count: int) -> str:
    """How much is there, in words: "all 10,000 test images", "5,000 of 50,000 training images"."""
    official = spec.count(split)
    words = "training images" if split == "train" else "test images"
    return f"all {count:,} {words}" if count == official else f"{count:,} of {official:,} {words}"
