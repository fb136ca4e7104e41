"""ImageNet, streamed from an image folder or from parquet files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights

from benchmarks.data import load, locate, normalised_batches, open_images
from benchmarks.data.imagenet import IMAGENET, folder_from_environment, from_folder, open_imagenet
from benchmarks.data.stream import Entry, ImageStream, Preset
from benchmarks.errors import CannotRun

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SYNSETS = ["n01440764", "n01443537", "n01484850"]
SMALL = Preset(resize=20, crop=16)


def _pixels(seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes with four images each, of differing sizes, the first of them greyscale."""
    for number in range(12):
        path = tmp_path / "imagenet" / "val" / SYNSETS[number % 3] / f"ILSVRC2012_val_{number:08d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (30, 40) if number == 0 else (30 + number, 40, 3)
        PIL.Image.fromarray(_pixels(number, shape)).save(path, quality=95)
    return tmp_path / "imagenet" / "val"


def _stream(folder: Path, preset: Preset = SMALL, workers: int = 0) -> ImageStream:
    return replace(from_folder(folder, "test", classes=3), preset=preset, workers=workers)


def _all(stream: ImageStream, batch_size: int = 5) -> tuple[Tensor, Tensor]:
    batches = list(normalised_batches(stream, MEAN, STD, batch_size))
    return torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches])


def test_batches_are_what_torchvisions_preset_gives(folder: Path) -> None:
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=16, resize_size=20)
    stream = _stream(folder)
    images, labels = _all(stream)
    assert images.shape == (12, 3, 16, 16) and images.dtype == torch.float32
    for entry, image, label in zip(stream.entries, images, labels.tolist(), strict=True):
        path = folder / SYNSETS[label] / entry.file_name
        torch.testing.assert_close(image, preset(PIL.Image.open(path).convert("RGB")))


def test_default_preset_is_resize_256_crop_224(folder: Path) -> None:
    images, _ = next(normalised_batches(_stream(folder, Preset()), MEAN, STD, 2))
    assert images.shape == (2, 3, 224, 224)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_subsets_are_fair_and_in_the_order_of_the_whole(folder: Path) -> None:
    stream = _stream(folder)
    images, labels = _all(stream)
    part_images, part_labels = _all(stream.slice(3, 8), batch_size=2)
    assert torch.equal(part_images, images[3:8]) and torch.equal(part_labels, labels[3:8])
    assert len(stream.take(4)) == 4 and stream.take(4).source.endswith("12 of 50,000 test images [0:4]")
    assert labels.tolist() != sorted(labels.tolist())
    assert len({stream.fingerprint, stream.take(4).fingerprint, stream.slice(3, 8).fingerprint}) == 3
    with pytest.raises(CannotRun, match="12 here"):
        stream.take(13)


def test_fingerprint_depends_on_names_sizes_and_labels_only(folder: Path, tmp_path: Path) -> None:
    before = _stream(folder).fingerprint
    moved = folder.rename(tmp_path / "elsewhere")
    assert _stream(moved).fingerprint == before
    victim = moved / SYNSETS[0] / "ILSVRC2012_val_00000003.JPEG"
    victim.write_bytes(victim.read_bytes() + b"\0")
    longer = _stream(moved).fingerprint
    victim.rename(moved / SYNSETS[1] / victim.name)
    relabelled = _stream(moved).fingerprint
    assert len({before, longer, relabelled}) == 3


def test_the_global_random_stream_is_left_alone(folder: Path) -> None:
    state = torch.random.get_rng_state()
    _all(_stream(folder))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_damaged_image_is_named_whoever_decodes(folder: Path) -> None:
    victim = folder / SYNSETS[1] / "ILSVRC2012_val_00000004.JPEG"
    victim.write_bytes(victim.read_bytes()[:400])
    messages = []
    for workers in (0, 1):
        with pytest.raises(CannotRun, match="cannot be decoded") as caught:
            _all(_stream(folder, workers=workers))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith(str(victim)) and "\n" not in messages[0]


def test_image_that_vanished_is_named(folder: Path) -> None:
    stream = _stream(folder)
    victim = folder / SYNSETS[1] / "ILSVRC2012_val_00000004.JPEG"
    victim.unlink()
    with pytest.raises(CannotRun, match="00000004.JPEG: cannot be read"):
        _all(stream)


@pytest.mark.parametrize("link", ["", SYNSETS[2], f"{SYNSETS[1]}/ILSVRC2012_val_00000004.JPEG"])
def test_a_link_that_points_nowhere_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    monkeypatch.setenv("SNNBENCH_IMAGENET", str(folder.parent))
    broken = folder / link
    broken.rename(tmp_path / "moved")
    broken.symlink_to("gone")
    with pytest.raises(CannotRun, match=f"{broken} is a link that points nowhere"):
        _stream(folder_from_environment("test") or folder)


def test_folders_that_would_give_wrong_labels_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="has 3 class folders; it must hold 1,000"):
        from_folder(folder, "test")
    (folder / SYNSETS[0]).rename(folder / "tench")
    with pytest.raises(CannotRun, match="'tench'"):
        _stream(folder)
    flat = tmp_path / "flat"
    flat.mkdir()
    with pytest.raises(CannotRun, match="folders named by synset"):
        _stream(flat)


def test_environment_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBENCH_IMAGENET", str(folder.parent))
    assert locate(IMAGENET, "test").where == str(folder)
    with pytest.raises(CannotRun, match="1,000"):
        open_images(IMAGENET, "test")
    with pytest.raises(CannotRun, match="train is not a folder"):
        open_images(IMAGENET, "train")
    with pytest.raises(CannotRun, match="no split 'val'"):
        open_imagenet("val")


def test_whole_of_it_is_not_loaded() -> None:
    with pytest.raises(CannotRun, match="open_images"):
        load(IMAGENET, "test")


def test_found_nowhere_says_how_to_get_it() -> None:
    with pytest.raises(CannotRun, match="SNNBENCH_IMAGENET .* hf download"):
        open_images(IMAGENET, "test")


def test_parquet_and_folder_give_the_same(folder: Path, mirror: Path, write_parquet: Callable[..., Path]) -> None:
    paths = sorted(folder.glob("*/*"), key=lambda path: path.name[::-1])
    for shard, part in enumerate((paths[:7], paths[7:])):
        write_parquet(
            mirror / IMAGENET / "data" / f"validation-0000{shard}-of-00002.parquet",
            [path.read_bytes() for path in part],
            [SYNSETS.index(path.parent.name) for path in part],
            ("image", "label"),
            names=[f"{path.stem}_{path.parent.name}.JPEG" for path in part],
        )
    streamed, expected = replace(open_imagenet("test"), preset=SMALL), _stream(folder)
    assert streamed.fingerprint == expected.fingerprint
    assert streamed.source == "local mirror: 12 of 50,000 test images"
    assert all(torch.equal(one, other) for one, other in zip(_all(streamed), _all(expected), strict=True))


def test_parquet_without_file_names_or_with_wrong_labels_or_damaged(mirror: Path, write_parquet: Callable[..., Path]) -> None:
    path = mirror / IMAGENET / "validation-00000-of-00001.parquet"
    for labels, column, second, said in (
        ([0, 1], "image", None, "no file name"),
        ([0, 1000], "image", "b.JPEG", "label is 1000"),
        ([True, False], "image", "b.JPEG", "label is True"),
        ([0, 1], "img", "b.JPEG", "no column image"),
    ):
        write_parquet(path, [_pixels(i, (30, 30, 3)) for i in (0, 1)], labels, (column, "label"), names=["a.JPEG", second])
        with pytest.raises(CannotRun, match=said):
            open_imagenet("test")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CannotRun, match="truncated or damaged") as caught:
        open_imagenet("test")
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file_name", "identity"),
    [
        ("ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293"),
        ("ILSVRC2012_val_00000293_n01440764.JPEG", "ILSVRC2012_val_00000293"),
        ("n01440764_10026.JPEG", "n01440764_10026"),
        ("n01440764_10026_n01440764.JPEG", "n01440764_10026"),
    ],
)
def test_names_of_the_two_distributions_mean_the_same_image(file_name: str, identity: str) -> None:
    assert Entry(file_name, 1, 0, 0).identity == identity
