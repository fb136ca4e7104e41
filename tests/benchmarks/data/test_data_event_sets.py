"""Data sets of event recordings: simulated ones, N-MNIST and CIFAR10-DVS on a small mirror, and the real recordings."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.data import load, locate
from benchmarks.data.event_sets import CLASSES, events_folder, for_seed, load_events
from benchmarks.data.events import Events, read_bin, write_bin
from benchmarks.data.registry import dataset_spec
from benchmarks.data.saccades import NOISE, SIZE, brightness, path, simulate
from benchmarks.errors import CannotRun

REAL = os.environ.get("SNNBENCH_DATA", "")
NMNIST, DVS, SIMULATED = "nmnist-subset?by=count&frames=2", "cifar10-dvs?by=count&frames=2", "sklearn/digit-events?by=time&frames=3"

GOLDEN = ("8187f10a7664b7747ea19b79fd24e890", "596084451b47f9c54d16dee48a2a14fa")


def _recording(number: int) -> bytes:
    return write_bin(Events(*np.array([[1, 2, 9], [number % 34] * 3, [number // 34] * 3, [0, 1, 1]])))


def _nmnist(folder: Path, train: int = 20, test: int = 10) -> None:
    for part, count in (("Train", train), ("Test", test)):
        for number in range(1, count + 1):
            file = folder / part / str(number % 2) / f"{number:05}.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_recording(number + (100 if part == "Test" else 0)))


def _small(name: str, train: int = 20, test: int = 10):  # type: ignore[no-untyped-def]
    return replace(dataset_spec(name), train_count=train, test_count=test)


def test_every_recording_is_in_one_fold_and_classes_are_spread(mirror: Path) -> None:
    _nmnist(mirror / "nmnist-subset")
    seen: Counter[bytes] = Counter()
    for fold in range(5):
        spec = _small(f"{NMNIST}&split=fold{fold}")
        test, train = load_events(spec, "test"), load_events(spec, "train")
        assert (len(test), len(train)) == (6, 24) and torch.bincount(test.labels).tolist() == [3, 3]
        seen.update(each.numpy().tobytes() for each in test.images)
    assert len(seen) == 30 and set(seen.values()) == {1}
    assert for_seed(f"{NMNIST}&split=folds", 7) == f"{NMNIST}&split=fold2" and for_seed(NMNIST, 7) == NMNIST


def test_the_official_split_and_the_other_layout_give_the_same_frames(mirror: Path, tmp_path: Path) -> None:
    _nmnist(mirror / "nmnist-subset")
    found = [load_events(_small(NMNIST), split) for split in ("train", "test")]
    assert [len(each) for each in found] == [20, 10]
    assert found[0].images.shape == (20, 2, 2, 34, 34) and found[0].images.sum() == 60
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, name in enumerate(["train1K.txt", "test100.txt"]):
        base, files = 60000 * number, sorted((mirror / "nmnist-subset" / ("Train", "Test")[number]).glob("*/*.bin"))
        lines = [f"{base + int(file.stem)}\t{file.parent.name}" for file in files]
        (flat / name).write_text("\n".join(["#sample #class", *lines]))
        for file in files:
            (flat / f"{base + int(file.stem)}.bs2").write_bytes(file.read_bytes())
    (mirror / "nmnist-subset").rename(tmp_path / "away")
    flat.rename(mirror / "nmnist-subset")
    assert [load_events(_small(NMNIST), split).fingerprint for split in ("train", "test")] == [x.fingerprint for x in found]
    (mirror / "nmnist-subset" / "test100.txt").unlink()
    with pytest.raises(CannotRun, match=r"test100.txt is missing: without it the 30 recordings beside it have no labels"):
        load_events(_small(NMNIST), "train")


def test_both_splits_of_cifar10_dvs(mirror: Path) -> None:
    event = (3 << 8 | 2 << 1).to_bytes(4, "big")
    for name in CLASSES:
        for number in (0, 99, 100, 899, 900, 999):
            file = mirror / "cifar10-dvs" / name / f"cifar10_{name}_{number}.aedat"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"#!AER-DAT2.0\r\n" + b"".join(event + t.to_bytes(4, "big") for t in range(number + 1)))
    for split in ("last-tenth", "first-tenth"):
        spec = _small(f"{DVS}&split={split}", 50, 10)
        test = load_events(spec, "test")
        assert len(test) == 20 and len(load_events(spec, "train")) == 40
        wanted = {901, 1000} if split == "last-tenth" else {1, 100}
        assert {int(each.sum()) for each in test.images.float()} == wanted
        assert test.images[:, :, 1, 3, 2].sum() == test.images.sum()


@pytest.mark.parametrize("name", [NMNIST, DVS])
def test_what_is_missing_and_how_to_get_it(name: str, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotRun, match=r"was not found: SNNBENCH_DATA .* has no folder .*http") as error:
        load(name, "test")
    assert "\n" not in str(error.value) and not locate(name, "test").found
    monkeypatch.delenv("SNNBENCH_DATA")
    with pytest.raises(CannotRun, match="SNNBENCH_DATA is not set"):
        load(name, "test")


def test_a_half_downloaded_archive(mirror: Path) -> None:
    _nmnist(mirror / "nmnist-subset")
    (mirror / "nmnist-subset" / "Test.zip.part").touch()
    with pytest.raises(CannotRun, match="30 of 1,100 recordings are here; Test.zip.part is not unpacked, or not whole"):
        load(NMNIST, "train")
    assert locate(NMNIST, "train").found
    (mirror / "nmnist-subset" / "Train" / "0" / "copy.bin").touch()
    with pytest.raises(CannotRun, match="copy.bin is not called as published"):
        load(NMNIST, "train")


def test_simulated_events_are_files_with_the_same_bytes_everywhere() -> None:
    train, test = load(SIMULATED, "train"), load(SIMULATED, "test")
    assert train.images.shape == (1198, 3, 2, *SIZE) and len(test) == 599
    assert (train.fingerprint, test.fingerprint) == GOLDEN
    folder = events_folder(dataset_spec(SIMULATED))
    assert folder is not None and len(list(folder.glob("T*/[0-9]/*.bin"))) == 1797
    first = folder / "Train" / "0"
    read_bin(min(first.iterdir()), SIZE)
    min(first.iterdir()).write_bytes(b"1234")
    with pytest.raises(CannotRun, match="cut off in the event at byte 0"):
        load(SIMULATED, "train")


def test_a_moving_edge_brightens_on_one_side_and_darkens_on_the_other() -> None:
    image = np.zeros((1, 8, 8), np.int64)
    assert all(len(each) == NOISE for each in simulate(image, np.random.RandomState(0))[0])
    image[:, :, 4:] = 16
    seen = brightness(image, path()[0])
    assert seen.shape == (1, *SIZE) and seen.max() == 16 * 40**2
    (events,) = simulate(image, np.random.RandomState(0))
    assert (np.diff(events.t) >= 0).all() and events.t.max() <= 300_000
    left = events.t >= 200_000  # the last saccade goes left: the bright part comes in
    inner = (events.y > 4) & (events.y < 13) & (events.x > 3) & (events.x < 14)
    assert events.p[left & inner].mean() > 0.9


@pytest.mark.skipif(not (Path(REAL) / "nmnist-subset").is_dir() or not REAL, reason="SNNBENCH_DATA has no folder nmnist-subset")
def test_real_recordings_of_nmnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNBENCH_DATA", REAL)
    files = sorted((Path(REAL) / "nmnist-subset").glob("T*/[0-9]/*.bin"))
    counts = [len(read_bin(file, (34, 34)).t) for file in files]
    assert (len(files), sum(counts), min(counts), max(counts)) == (1100, 4_518_827, 1_069, 7_152)
    train, test = (load("nmnist-subset?by=count&frames=10", split) for split in ("train", "test"))
    assert torch.bincount(train.labels).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert torch.bincount(test.labels).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    assert train.images.double().sum() + test.images.double().sum() == 4_518_827
