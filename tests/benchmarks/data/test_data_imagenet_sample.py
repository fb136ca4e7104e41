"""One image per class of ImageNet: a fixed part calibrates, the rest is the test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torchvision.models import SqueezeNet1_1_Weights

from benchmarks.data import dataset_spec, load, locate, open_images
from benchmarks.data.imagenet import sample_from_folder
from benchmarks.data.registry import IMAGENET_SAMPLE
from benchmarks.errors import CannotRun
from benchmarks.models.imagenet import IMAGENET_MEAN, IMAGENET_STD

SYNSETS = [f"n{number:08d}" for number in range(6)]
SPEC = replace(dataset_spec(IMAGENET_SAMPLE), classes=6, train_count=2, test_count=4)


def _write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.random.default_rng(value).integers(0, 256, (256, 256, 3)).astype(np.uint8)).save(path)


@pytest.fixture
def folder(mirror: Path) -> Path:
    """Six classes with one image each, where the sample is looked for."""
    val = mirror / IMAGENET_SAMPLE / "val"
    for value, synset in enumerate(SYNSETS):
        _write(val / synset / f"{synset}_thing.JPEG", value)
    return val


def _split(folder: Path, split: str) -> list[int]:
    return [entry.label for entry in sample_from_folder(folder, split, SPEC).entries]


def test_splits_are_disjoint_complete_and_do_not_depend_on_file_names(folder: Path) -> None:
    calibration, test = _split(folder, "train"), _split(folder, "test")
    assert len(calibration) == 2 and sorted(calibration + test) == list(range(6))
    for number, synset in enumerate(SYNSETS):
        (folder / synset / f"{synset}_thing.JPEG").rename(folder / synset / f"{9 - number}.JPEG")
    assert (_split(folder, "train"), _split(folder, "test")) == (calibration, test)


def test_images_are_preprocessed_as_torchvision_does(folder: Path) -> None:
    stream = sample_from_folder(folder, "test", SPEC)
    images, labels = next(stream.batches(IMAGENET_MEAN, IMAGENET_STD, 4))
    preset = SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    for image, label in zip(images, labels.tolist(), strict=True):
        torch.testing.assert_close(image, preset(PIL.Image.open(folder / SYNSETS[label] / f"{SYNSETS[label]}_thing.JPEG")))


def test_it_says_how_much_is_there_and_what_it_is(folder: Path) -> None:
    assert sample_from_folder(folder, "train", SPEC).source == "image folder: all 2 training images"
    assert locate(IMAGENET_SAMPLE, "test").where == str(folder.parent)
    assert "training images of ImageNet" in SPEC.remark
    with pytest.raises(CannotRun, match="open_images"):
        load(IMAGENET_SAMPLE, "test")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda val: (val / SYNSETS[3] / f"{SYNSETS[3]}_thing.JPEG").unlink(), f"no valid file for the classes {SYNSETS[3]}"),
        (lambda val: (val / SYNSETS[3]).rename(val.parent / "away"), "has 5 class folders; it must hold 6 folders"),
        (lambda val: (val / SYNSETS[3]).rename(val / "tench"), "among them 'tench'"),
        (lambda val: _write(val / SYNSETS[4] / "more.JPEG", 9), f"{SYNSETS[4]} holds 2 images, but {IMAGENET_SAMPLE} has one"),
        (lambda val: _write(val / "n00000009" / "more.JPEG", 9), "has 7 class folders; it must hold 6 folders"),
        (lambda val: val.rename(val.parent / "train"), "must hold 6 folders"),
    ],
)
def test_what_is_not_one_image_of_each_class_is_refused_in_one_line(folder: Path, damage: object, said: str) -> None:
    assert callable(damage)
    damage(folder)
    with pytest.raises(CannotRun, match=said) as caught:
        sample_from_folder(folder, "test", SPEC)
    assert "\n" not in str(caught.value)


def test_without_it_the_way_to_get_it_is_named(mirror: Path) -> None:
    assert not locate(IMAGENET_SAMPLE, "train").found
    with pytest.raises(CannotRun, match=f"{IMAGENET_SAMPLE} was not found .*copy the 1,000 images of https"):
        open_images(IMAGENET_SAMPLE, "train")


def test_a_folder_of_other_size_is_refused(folder: Path) -> None:
    with pytest.raises(CannotRun, match="has 6 class folders; it must hold 1,000"):
        open_images(IMAGENET_SAMPLE, "test")
