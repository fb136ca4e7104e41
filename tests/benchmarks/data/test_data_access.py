"""The registry of data sets, and finding and loading them by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.data import DATASETS, dataset_spec, load, locate, open_images
from benchmarks.data.registry import describe_count
from benchmarks.errors import CannotRun


def test_unknown_names_and_splits_list_the_known_ones() -> None:
    for call in (load, locate, open_images):
        with pytest.raises(CannotRun, match="'cifar-10'.*sklearn/digits.*uoft-cs/cifar10"):
            call("cifar-10", "test")
        with pytest.raises(CannotRun, match="'validation'.*train and test"):
            call("uoft-cs/cifar10", "validation")
    with pytest.raises(CannotRun, match="ylecun/mnist"):
        dataset_spec("mnist")


def test_registry_is_keyed_by_name_and_says_how_to_get_everything() -> None:
    assert all(name == spec.name for name, spec in DATASETS.items())
    assert len({spec.paper_name for spec in DATASETS.values()}) == len(DATASETS)
    assert all(spec.licence and spec.how_to_get for spec in DATASETS.values())
    inside = [name for name, spec in DATASETS.items() if spec.embedded]
    assert inside == ["sklearn/digits", "sklearn/digit-pairs", "sklearn/digit-events"]


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.embedded and not spec.splits])
@pytest.mark.parametrize("split", ["train", "test"])
def test_embedded_sets_are_what_the_registry_says(name: str, split: str) -> None:
    spec, images = dataset_spec(name), load(name, split, offline=True)
    assert images.images.shape == (spec.count(split), spec.channels, *spec.size)
    assert sorted(set(images.labels.tolist())) == list(range(spec.classes))
    assert f"all {spec.count(split):,} " in images.source
    assert (images.name, images.split) == (name, split)
    assert open_images(name, split).fingerprint == images.fingerprint
    assert locate(name, split).found


def test_counts_in_words() -> None:
    spec = dataset_spec("uoft-cs/cifar100")
    assert describe_count(spec, "train", 5000) == "5,000 of 50,000 training images"
    assert describe_count(spec, "test", 10000) == "all 10,000 test images"
    assert dataset_spec("ILSVRC/imagenet-1k").hub_split("test") == "validation"


def test_locate_reads_no_image(mirror: Path, write_parquet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.data.hub.decode_image", lambda *_: pytest.fail("decoded"))
    before = locate("uoft-cs/cifar10", "test")
    assert not before.found and before.where == "" and "SNNBENCH_DATA" in before.how_to_get
    write_parquet(mirror / "uoft-cs/cifar10/test-00000-of-00001.parquet", [np.zeros((32, 32, 3), np.uint8)], [0])
    after = locate("uoft-cs/cifar10", "test")
    assert after.found and after.where == str(mirror / "uoft-cs/cifar10")
    assert not locate("uoft-cs/cifar10", "train").found
    monkeypatch.setenv("SNNBENCH_DATA", str(mirror / "mistyped"))
    with pytest.raises(CannotRun, match="is not a folder"):
        locate("uoft-cs/cifar10", "test")
