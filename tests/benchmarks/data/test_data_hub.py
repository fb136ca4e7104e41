"""Data sets in the Hub's layout: where they are looked for, what is checked, what is cached."""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet
import pytest
import torch

from benchmarks.data import dataset_spec, load, locate
from benchmarks.data.decoded_cache import entry_path, files_digest
from benchmarks.errors import CannotRun

CIFAR = "uoft-cs/cifar10"
FILE = "uoft-cs/cifar10/test-00000-of-00001.parquet"

WriteParquet = Callable[..., Path]


def _images(n: int, shape: tuple[int, ...] = (32, 32, 3), seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.RandomState(seed).randint(0, 256, (n, *shape)).astype(np.uint8))


def _refused(split: str = "test", name: str = CIFAR) -> str:
    with pytest.raises(CannotRun) as caught:
        load(name, split, offline=True)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_images_and_labels_come_back_as_stored(mirror: Path, write_parquet: WriteParquet) -> None:
    images = _images(10)
    write_parquet(mirror / FILE, images, list(range(10)))
    loaded = load(CIFAR, "test", offline=True)
    assert loaded.images.dtype == torch.uint8 and loaded.images.shape == (10, 3, 32, 32)
    for image, label in zip(loaded.images, loaded.labels.tolist(), strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), images[label])
    assert loaded.source == "local mirror: 10 of 10,000 test images"


def test_greyscale(mirror: Path, write_parquet: WriteParquet) -> None:
    images = _images(3, (28, 28))
    write_parquet(mirror / "ylecun/mnist/train-00000-of-00001.parquet", images, [0, 1, 2], ("image", "label"))
    loaded = load("ylecun/mnist", "train", offline=True)
    assert loaded.images.shape == (3, 1, 28, 28)
    assert all(np.array_equal(loaded.images[i, 0], images[int(loaded.labels[i])]) for i in range(3))
    assert loaded.source == "local mirror: 3 of 60,000 training images"


def test_row_order_shards_and_format_of_a_mirror_do_not_matter(mirror: Path, write_parquet: WriteParquet) -> None:
    images, labels = _images(12), [i % 10 for i in range(12)]
    write_parquet(mirror / FILE, images, labels)
    one = load(CIFAR, "test", offline=True)
    (mirror / FILE).unlink()
    order = np.random.RandomState(1).permutation(12)
    for shard, rows in enumerate((order[:5], order[5:])):
        # One folder deeper, as the Hub itself has them.
        path = mirror / CIFAR / "plain_text" / f"test-0000{shard}-of-00002.parquet"
        write_parquet(path, [images[i] for i in rows], [labels[i] for i in rows], format="WEBP")
    other = load(CIFAR, "test", offline=True)
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_extra_columns_are_ignored(mirror: Path, write_parquet: WriteParquet) -> None:
    path = mirror / "uoft-cs/cifar100/test-00000-of-00001.parquet"
    write_parquet(path, _images(2), [98, 99], ("img", "fine_label"))
    before = load("uoft-cs/cifar100", "test", offline=True)
    table = pyarrow.parquet.read_table(path).append_column("coarse_label", pyarrow.array([1, 2]))
    pyarrow.parquet.write_table(table, path)
    assert load("uoft-cs/cifar100", "test", offline=True).fingerprint == before.fingerprint


def test_found_nowhere_says_how_to_get_it(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = _refused("train")
    for words in (str(mirror / CIFAR), "train-*.parquet", "offline", "SNNBENCH_DATA", "hf download", "datasets"):
        assert words in message
    monkeypatch.delenv("SNNBENCH_DATA")
    assert "SNNBENCH_DATA is not set" in _refused()


def test_same_split_in_two_folders_is_refused(mirror: Path, write_parquet: WriteParquet) -> None:
    write_parquet(mirror / FILE, _images(1), [0])
    write_parquet(mirror / CIFAR / "plain_text" / "test-00000-of-00001.parquet", _images(1), [0])
    assert "several folders" in _refused()


HASH = "-0123456789abcdef"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["00000-of-00001", "00000-of-00001 (1)"], r"test-00000-of-00001 \(1\)\.parquet: .* remove this one"),
        (["00000-of-00001 (1)"], r"test-00000-of-00001 \(1\)\.parquet: .* test-NNNNN-of-MMMMM\.parquet"),
        (["0-of-1"], r"test-0-of-1\.parquet: "),
        (["00000-of-00002"], r"test-00001-of-00002\.parquet is missing \(here are 1 of 2 files\)"),
        (["00001-of-00002"], r"test-00000-of-00002\.parquet is missing"),
        (
            ["00000-of-00001", f"00000-of-00001{HASH}"],
            rf"test-00000-of-00001\.parquet and test-00000-of-00001{HASH}\.parquet are the same part",
        ),
        (["00000-of-00001", "00000-of-00002", "00001-of-00002"], "keep the files of one download"),
        (["00002-of-00002"], "is not one of the 2 files"),
        (["00000-of-00000"], "is not one of the 0 files"),
    ],
)
def test_files_that_are_not_each_part_of_the_split_once_are_refused(
    mirror: Path, write_parquet: WriteParquet, names: list[str], said: str
) -> None:
    for name in names:
        write_parquet(mirror / CIFAR / f"test-{name}.parquet", _images(1), [0])
    assert re.search(said, _refused())


def test_files_that_are_not_of_the_split_are_let_be(mirror: Path, write_parquet: WriteParquet) -> None:
    write_parquet(mirror / CIFAR / f"test-00000-of-00001{HASH}.parquet", _images(1), [0])
    write_parquet(mirror / CIFAR / "train-00000-of-00002.parquet", _images(1), [0])
    (mirror / CIFAR / ".cache").mkdir()
    (mirror / CIFAR / ".cache" / "test-00000-of-00001.parquet.lock").touch()
    (mirror / CIFAR / "notes").symlink_to("nowhere")
    assert len(load(CIFAR, "test", offline=True)) == 1


def test_more_images_than_the_data_set_has_are_refused(mirror: Path, write_parquet: WriteParquet) -> None:
    spec = dataset_spec("ylecun/mnist")
    write_parquet(
        mirror / spec.name / "test-00000-of-00001.parquet", _images(1, (28, 28)) * 10_001, [0] * 10_001, ("image", "label")
    )
    assert "the test split has 10,001 images here, but 10,000 officially" in _refused(name=spec.name)


def test_links_to_folders_are_followed_and_each_folder_is_read_once(
    mirror: Path, write_parquet: WriteParquet, tmp_path: Path
) -> None:
    elsewhere = write_parquet(tmp_path / "elsewhere" / "test-00000-of-00001.parquet", _images(3), [0, 1, 2]).parent
    (mirror / CIFAR).mkdir(parents=True)
    for name in ("data", "again"):
        (mirror / CIFAR / name).symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(mirror / CIFAR)
    assert len(load(CIFAR, "test", offline=True)) == 3


@pytest.mark.parametrize("link", ["", "uoft-cs", CIFAR, f"{CIFAR}/data", FILE])
def test_a_link_that_points_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    monkeypatch.setenv("SNNBENCH_DATA", str(tmp_path / "mirror"))
    broken = tmp_path / "mirror" / link
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.symlink_to("gone")
    assert f"{broken} is a link that points nowhere (to gone)" in _refused()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_not_passed_over(mirror: Path, write_parquet: WriteParquet) -> None:
    folder = write_parquet(mirror / CIFAR / "data" / "test-00000-of-00001.parquet", _images(1), [0]).parent
    folder.chmod(0)
    try:
        assert f"{folder}: cannot be read (Permission denied); check its permissions" in _refused()
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("keep", [0, 5, 2000, -8])
def test_truncated_parquet_names_the_file(mirror: Path, write_parquet: WriteParquet, keep: int) -> None:
    path = write_parquet(mirror / FILE, _images(4), [0, 1, 2, 3])
    path.write_bytes(path.read_bytes()[:keep])
    message = _refused()
    assert str(path) in message and "truncated or damaged" in message


def test_parquet_damaged_in_the_middle_names_the_file(mirror: Path, write_parquet: WriteParquet) -> None:
    good = write_parquet(mirror / CIFAR / "test-00000-of-00002.parquet", _images(4), [0, 1, 2, 3])
    bad = write_parquet(mirror / CIFAR / "test-00001-of-00002.parquet", _images(4), [0, 1, 2, 3])
    content = bytearray(bad.read_bytes())
    content[4:40] = bytes(36)
    bad.write_bytes(content)
    message = _refused()
    assert str(bad) in message and str(good) not in message


def test_wrong_columns_are_named(mirror: Path, write_parquet: WriteParquet) -> None:
    path = write_parquet(mirror / FILE, _images(2), [0, 1], ("image", "label"))
    message = _refused()
    assert f"{path}: there is no column img" in message
    assert "expected img, label, found image, label" in message


def test_column_without_images(mirror: Path) -> None:
    (mirror / CIFAR).mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"img": [1.5], "label": [0]}), mirror / FILE)
    assert "column img holds double" in _refused()


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 31, 3), (32, 32), (32, 32, 4)])
def test_wrong_size_or_mode(mirror: Path, write_parquet: WriteParquet, shape: tuple[int, ...]) -> None:
    write_parquet(mirror / FILE, [*_images(2), *_images(1, shape)], [0, 1, 2])
    mode = "L" if len(shape) == 2 else {3: "RGB", 4: "RGBA"}[shape[2]]
    message = _refused()
    assert f"row 2: the image is {shape[1]}x{shape[0]} {mode}" in message and "32x32 RGB" in message


@pytest.mark.parametrize("label", [10, -1, None])
def test_label_out_of_range(mirror: Path, write_parquet: WriteParquet, label: int | None) -> None:
    write_parquet(mirror / FILE, _images(3), [0, label, 9])
    message = _refused()
    assert f"row 1: the label is {label}" in message and "0 to 9" in message


@pytest.mark.parametrize("labels", [["cat", "dog"], [True, False], [1.0, 2.0]])
def test_labels_of_another_type(mirror: Path, write_parquet: WriteParquet, labels: list[object]) -> None:
    write_parquet(mirror / FILE, _images(2), labels)
    assert f"{mirror / FILE}, row 0: the label is {labels[0]!r}; " in _refused()


def test_empty_split(mirror: Path, write_parquet: WriteParquet) -> None:
    write_parquet(mirror / FILE, [], [])
    assert "test split is empty" in _refused()


@pytest.mark.parametrize("damage", ["junk", "cut", "missing"])
def test_undecodable_image_names_the_row(
    mirror: Path, write_parquet: WriteParquet, encode: Callable[..., bytes], damage: str
) -> None:
    images = _images(3)
    content = {"junk": b"no image", "cut": encode(images[1])[:900], "missing": None}[damage]
    path = write_parquet(mirror / FILE, [images[0], content, images[2]], [0, 1, 2])
    assert f"{path}, row 1: " in _refused()


def _entry(path: Path) -> Path:
    return entry_path(dataset_spec(CIFAR), "test", files_digest([path]))


def test_second_load_does_not_decode(mirror: Path, write_parquet: WriteParquet, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(mirror / FILE, _images(5), [0, 1, 2, 3, 4])
    first = load(CIFAR, "test", offline=True)
    assert [entry.name for entry in _entry(path).parent.iterdir()] == [_entry(path).name]
    monkeypatch.setattr("benchmarks.data.hub.decode_image", lambda *_: pytest.fail("decoded again"))
    second = load(CIFAR, "test", offline=True)
    assert (first.fingerprint, first.source) == (second.fingerprint, second.source)
    assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)


def test_changed_file_is_decoded_again(mirror: Path, write_parquet: WriteParquet) -> None:
    write_parquet(mirror / FILE, _images(5), [0, 1, 2, 3, 4])
    first = load(CIFAR, "test", offline=True)
    write_parquet(mirror / FILE, _images(5, seed=1), [0, 1, 2, 3, 4])
    assert load(CIFAR, "test", offline=True).fingerprint != first.fingerprint


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_corrupt_cache_entry_is_rebuilt(
    mirror: Path, write_parquet: WriteParquet, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_parquet(mirror / FILE, _images(5), [0, 1, 2, 3, 4])
    first = load(CIFAR, "test", offline=True)
    images, labels = first.images.clone(), first.labels.clone()
    entry = _entry(path)
    whole = entry.read_bytes()
    flipped = whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]
    bad = {"flipped": flipped, "cut": whole[:-100], "empty": b"", "other": b"not safetensors at all"}[damage]
    entry.unlink()
    entry.write_bytes(bad)
    with caplog.at_level(logging.WARNING):
        again = load(CIFAR, "test", offline=True)
    assert "corrupt" in caplog.text
    assert again.fingerprint == first.fingerprint
    assert torch.equal(again.images, images) and torch.equal(again.labels, labels)
    assert entry.read_bytes() == whole


def test_cache_that_cannot_be_written(
    mirror: Path, write_parquet: WriteParquet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(mirror / FILE, _images(1), [0])
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "file"))
    assert "SNNBENCH_CACHE" in _refused()


def test_earlier_download_is_found_offline(tmp_path: Path, write_parquet: WriteParquet) -> None:
    images, labels = _images(6), [0, 1, 2, 3, 4, 5]
    path = write_parquet(tmp_path / "some.parquet", images, labels)
    _pretend_downloaded(path, tmp_path)
    loaded = load(CIFAR, "test", offline=True)
    assert loaded.source == "Hugging Face Hub: 6 of 10,000 test images"
    for image, label in zip(loaded.images, loaded.labels.tolist(), strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), images[label])
    assert locate(CIFAR, "test").found and not locate(CIFAR, "train").found


def test_mirror_comes_before_earlier_downloads(tmp_path: Path, mirror: Path, write_parquet: WriteParquet) -> None:
    _pretend_downloaded(write_parquet(tmp_path / "some.parquet", _images(6), [0] * 6), tmp_path)
    write_parquet(mirror / FILE, _images(2), [0, 1])
    assert load(CIFAR, "test", offline=True).source == "local mirror: 2 of 10,000 test images"


def test_online_failure_is_one_line_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("offline" if datasets.config.HF_HUB_OFFLINE else "the server\nis on fire")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(CannotRun, match="RuntimeError: the server is on fire; set SNNBENCH_DATA"):
        load(CIFAR, "test")


def test_offline_keeps_the_library_off_the_network_and_restores_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fail(*_: object, **__: object) -> None:
        seen.append((datasets.config.HF_HUB_OFFLINE, datasets.are_progress_bars_disabled()))
        raise RuntimeError("asked")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    bars, verbosity = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    assert "not downloaded before" in _refused()
    assert seen == [(True, True)]
    assert not datasets.config.HF_HUB_OFFLINE
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == (bars, verbosity)


def test_nothing_is_printed(mirror: Path, write_parquet: WriteParquet, capfd: pytest.CaptureFixture[str]) -> None:
    write_parquet(mirror / FILE, _images(2), [0, 1])
    load(CIFAR, "test", offline=True)
    (mirror / FILE).write_bytes(b"PAR1")
    _refused()
    assert capfd.readouterr() == ("", "")


def _pretend_downloaded(parquet: Path, tmp_path: Path) -> None:
    """Lay out what ``datasets`` leaves behind after downloading CIFAR-10's test split from the Hub."""
    table = datasets.load_dataset("parquet", data_files={"test": [str(parquet)]}, split="test", cache_dir=str(tmp_path / "built"))
    built = Path(table.cache_files[0]["filename"]).parent
    target = tmp_path / "hf-datasets" / "uoft-cs___cifar10" / "plain_text" / "0.0.0" / "0123456789abcdef"
    shutil.copytree(built, target)
    (target / "parquet-test.arrow").rename(target / "cifar10-test.arrow")
    info = json.loads((target / "dataset_info.json").read_text(encoding="utf-8"))
    info["splits"]["test"]["dataset_name"] = "cifar10"
    info.update(dataset_name="cifar10", config_name="plain_text", builder_name="parquet")
    (target / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
