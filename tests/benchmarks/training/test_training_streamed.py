"""Training images that are read when they are needed: as those in memory, with crops from the whole image."""

import importlib
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor

from benchmarks.data.imagenet import from_folder
from benchmarks.data.stream import ImageStream, Preset
from benchmarks.errors import CannotRun
from benchmarks.models import build_model
from benchmarks.training import QuantizedTask, Recipe, quantized_network
from benchmarks.training.randomness import initialize
from benchmarks.training.streamed import StreamedBatches
from snncore.quantization import ActivationQuantizer

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SYNSETS = ["n01440764", "n01443537"]
CPU = torch.device("cpu")


@pytest.fixture
def stream(tmp_path: Path) -> ImageStream:
    """Two classes with seven images each of 20x24 pixels, red or green, each with a gradient of its own."""
    for number in range(14):
        path = tmp_path / "train" / SYNSETS[number % 2] / f"{SYNSETS[number % 2]}_{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((20, 24, 3), np.uint8)
        pixels[..., number % 2] = 200
        pixels[..., 2] = np.arange(24) * 5 + np.arange(20)[:, None] * 3 + number
        PIL.Image.fromarray(pixels).save(path, quality=95)
    return replace(from_folder(tmp_path / "train", "train", classes=2), preset=Preset(resize=20, crop=16))


def plain(quick: Recipe) -> Recipe:
    return replace(quick, precision="float32", significant_bits=24, batch_size=4, shift=0, flip=False)


def epoch(stream: ImageStream, recipe: Recipe, seed: int = 0) -> tuple[Tensor, Tensor]:
    batches = list(StreamedBatches(stream, recipe, seed, MEAN, STD, CPU).epoch())
    return torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches])


def still(stream: ImageStream) -> tuple[Tensor, Tensor]:
    ((images, labels),) = stream.batches(MEAN, STD, len(stream))
    return images, labels


def nearest(images: Tensor, of: Tensor) -> list[int]:
    """For each image the number of the one of ``of`` that it is, exactly."""
    same = (images[:, None] == of).flatten(2).all(2)  # [N, M]
    assert (same.sum(1) == 1).all()
    return same.int().argmax(1).tolist()


def test_an_epoch_has_every_image_once_but_for_the_last_batch(stream: ImageStream, quick: Recipe) -> None:
    images, labels = epoch(stream, plain(quick))
    all_images, all_labels = still(stream)
    numbers = nearest(images, all_images)
    assert len(numbers) == len(set(numbers)) == 12  # three batches of 4; two images are left over
    assert labels.tolist() == all_labels[numbers].tolist()
    assert numbers != sorted(numbers)


def test_order_and_crops_follow_the_seed_and_not_the_processes(stream: ImageStream, quick: Recipe) -> None:
    chosen = replace(plain(quick), shift=2, flip=True)
    images, labels = epoch(stream, chosen)
    again, same_labels = epoch(stream, replace(chosen, threads=2))
    assert torch.equal(images, again) and torch.equal(labels, same_labels)
    assert not torch.equal(images, epoch(stream, chosen, seed=1)[0])


def test_images_are_decoded_in_a_worker_process_too(stream: ImageStream, quick: Recipe) -> None:
    def there(batches: StreamedBatches) -> list[Tensor]:  # within the test, as a worker cannot import this file
        return [images for images, _ in batches.epoch()]

    each = [StreamedBatches(stream, replace(plain(quick), threads=n), 0, MEAN, STD, CPU) for n in (0, 2)]
    for images in joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(there)(batches) for batches in each):
        assert torch.equal(torch.cat(images), epoch(stream, plain(quick))[0])


def test_a_crop_moves_over_the_image_and_is_mirrored(stream: ImageStream, quick: Recipe) -> None:
    """Images are 20x24 and crops 16x16, so that a crop moved by up to 2 pixels lies within the image."""
    whole = replace(stream, preset=Preset(resize=20, crop=20))
    everything = still(whole)[0]  # [14, 3, 20, 20], columns 2 to 21
    crops = {}
    for number, image in enumerate(everything):
        for down in range(5):
            for right in range(5):
                crop = image[:, down : down + 16, right : right + 16]
                crops[number, down, right, False], crops[number, down, right, True] = crop, crop.flip(-1)
    images, _ = epoch(stream, replace(plain(quick), batch_size=14, shift=2, flip=True))
    found = [list(crops)[i] for i in nearest(images, torch.stack(list(crops.values())))]
    assert sorted(number for number, *_ in found) == list(range(14))
    assert len({(down, right) for _, down, right, _ in found}) > 5
    assert {mirrored for *_, mirrored in found} == {False, True}


def test_the_first_images_are_as_they_are(stream: ImageStream, quick: Recipe) -> None:
    batches = StreamedBatches(stream, replace(plain(quick), shift=2, flip=True), 0, MEAN, STD, CPU)
    assert torch.equal(torch.cat(list(batches.first(5))), still(stream)[0][:5])
    assert len(torch.cat(list(batches.first(1000)))) == 14


def test_a_network_is_quantised_on_streamed_images(
    stream: ImageStream, quick: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = replace(plain(quick), epochs=4, learning_rate=0.01, nesterov=False, shift=2, options={"calibration_images": 8})
    monkeypatch.setattr(importlib.import_module("benchmarks.training.quantized"), "recipe", {"streamed": chosen}.__getitem__)
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    base = build_model("resnet20-thin", 2, 3)
    initialize(base, 0)
    task = QuantizedTask("resnet20-thin", "0" * 64, tuple(MEAN), tuple(STD), "qcfs-4", "streamed", 0)
    steps: list[tuple[int, int]] = []
    made = quantized_network(base.eval(), stream, task, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (12, 12)
    assert any(isinstance(module, ActivationQuantizer) for module in made.model.modules())
    images, labels = still(stream)
    assert (made.model(images).argmax(1) == labels).float().mean() == 1.0  # red or green


def test_cutout_is_refused(stream: ImageStream, quick: Recipe) -> None:
    with pytest.raises(CannotRun, match="has cutout, which streamed images of ILSVRC/imagenet-1k do not know"):
        StreamedBatches(stream, replace(quick, cutout=4), 0, MEAN, STD, CPU)
