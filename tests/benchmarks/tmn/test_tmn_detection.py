"""A detector in the TMN room: from a folder of images and a checkpoint to the table, the picture and the figure."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from benchmarks.data import open_images
from benchmarks.errors import CannotRun
from benchmarks.harness.cli import main
from benchmarks.harness.results import read_table
from benchmarks.measurements.detection import Detection
from benchmarks.measurements.lab import Lab
from benchmarks.models import build_model, load_checkpoint
from benchmarks.models.checkpoint_files import write_checkpoint
from benchmarks.models.fastestdet import detections
from benchmarks.profiles import load_profile
from benchmarks.tables.drawing import svg
from benchmarks.tables.precision import match, mean_precision
from benchmarks.tmn import figures
from benchmarks.tmn.detection import DETECTION, PICTURE, detection, longest_path, picture, shown

PROFILE = """
name = "small"
title = "a detector with random weights"
calibration = "maximum"
calibration_images = 2
batch = 2
shard = 2

[[networks]]
paper_dataset = "VOC 2012 (756 images)"
paper_architecture = "FastestDet"
dataset = "voc2012-subset"
architecture = "fastestdet"
weights = "coco_fastestdet"

[papers.tmn.detection]
networks = [["VOC 2012 (756 images)", "FastestDet"]]
conversions = [["maximum", 1, 2], ["percentile-99.9", 0, 1]]
picture = 1
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images, random weights and a profile."""
    data, weights = tmp_path / "data", tmp_path / "weights"
    for part, count in (("train", 2), ("val", 3)):
        for kind in ("images", "labels"):
            (data / "voc2012-subset" / kind / part).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(256, size=(30, 40, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(data / "voc2012-subset" / "images" / part / f"{number}.jpg")
            (data / "voc2012-subset" / "labels" / part / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (data / "voc2012-subset" / "data.yaml").write_text("names:\n  0: person\n")
    torch.manual_seed(0)
    write_checkpoint(weights / "coco_fastestdet.safetensors", build_model("fastestdet", 80).state_dict(), {})
    (tmp_path / "small.toml").write_text(PROFILE)
    for name, value in {"DATA": data, "WEIGHTS": weights, "CACHE": tmp_path / "cache"}.items():
        monkeypatch.setenv(f"SNNBENCH_{name}", str(value))
    return tmp_path


def test_the_measurement_keeps_what_each_image_shows(machine: Path) -> None:
    lab = Lab(load_profile(str(machine / "small.toml")))
    (choice,) = lab.profile.networks
    arrays = Detection(choice, "maximum", None, "TMN", (("precharge", 1),), 2).run(lab, 1, 3)
    assert arrays["each_object"].shape == (2, 100, 5)
    assert arrays["each_ann"].shape == arrays["each_snn"].shape == (2, 100, 6)
    assert arrays["each_object"][:, 0].tolist() == [pytest.approx([0.25, 0.25, 0.75, 0.75, 0])] * 2
    batch, _ = next(open_images("voc2012-subset", "test").slice(1, 3).batches((0.0,) * 3, (1.0,) * 3, 2))
    with torch.no_grad():
        exact = lab.network(choice)(batch)
        spiking = lab.converted(choice, "maximum", "TMN", (("precharge", 1),), 2)(batch)
    np.testing.assert_array_equal(arrays["each_snn"], detections(spiking).numpy())
    assert arrays["squared_error"] == pytest.approx(float((spiking - exact).square().sum()), rel=1e-4)


def test_a_run_writes_the_table_and_the_picture(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocotools")
    where = ["--profile", str(machine / "small.toml"), "--results", str(machine / "results"), "--jobs", "1", "--no-report"]
    monkeypatch.setattr(sys, "argv", ["snnbench", "run", "tmn", "detection", "detection_picture", *where])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr()
    rows = read_table(machine / "results" / "small" / "tmn" / "detection.csv", DETECTION)
    assert rows["status"].tolist() == ["measured"] * 2 and rows["n_test"].tolist() == [3, 3]
    assert rows["timesteps"].tolist() == [2, 1] and rows["seeds"].tolist() == ["checkpoint"] * 2
    assert longest_path(rows) == rows["latency"][0] - 2 > 20
    assert "percentile-99.9" in shown(rows)
    boxes = read_table(machine / "results" / "small" / "tmn" / "detection_picture.csv", PICTURE)
    assert boxes["side"].iloc[0] == "objects" and boxes["class"].iloc[0] == "person"
    assert boxes["score"].isna().tolist() == (boxes["side"] == "objects").tolist()
    assert svg(lambda: figures.boxes(boxes)).startswith(b"<?xml")


def test_boxes_are_drawn_on_the_side_of_their_network() -> None:
    edges = {"left": 0.1, "top": 0.2, "right": 0.5, "bottom": 0.6, "dataset": "COCO", "timesteps": 8}
    rows = pd.DataFrame(
        [
            {"side": "objects", "class": "cat", "score": np.nan} | edges,
            {"side": "trained", "class": "cat", "score": 0.9} | edges,
        ]
    )
    before, after = figures.boxes(rows).axes
    assert len(before.patches) == 2 and len(after.patches) == 1
    assert [text.get_text() for text in before.texts] == ["cat 0.90"] and not after.texts
    assert before.patches[0].get_xy() == (0.1, 0.2) and before.patches[0].get_height() == pytest.approx(0.4)


def test_a_profile_without_a_detector_says_so() -> None:
    profile = load_profile("embedded")
    for rows in (detection(profile), picture(profile)):
        assert ["names no network for COCO (128 images) FastestDet" in row.reason for row in rows] == [True]


@pytest.mark.parametrize("wrong", ['[["nothing", 1, 8]]', '[["maximum", -1, 8]]', '[["maximum", 1]]', "8", '[["maximum", 1, 0]]'])
def test_a_wrong_conversion_is_one_line(tmp_path: Path, wrong: str) -> None:
    text = PROFILE.replace('[["maximum", 1, 2], ["percentile-99.9", 0, 1]]', wrong)
    (tmp_path / "small.toml").write_text(text)
    with pytest.raises(CannotRun, match="conversions must be|unknown calibration") as refused:
        detection(load_profile(str(tmp_path / "small.toml")))
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_public_detector_is_as_precise_as_its_metadata_say() -> None:
    pytest.importorskip("pycocotools")
    path = Path(os.environ.get("SNNBENCH_WEIGHTS", "")) / "coco_fastestdet.safetensors"
    if not path.is_file() or not (Path(os.environ.get("SNNBENCH_DATA", "")) / "coco-val-128").is_dir():
        pytest.skip("SNNBENCH_WEIGHTS holds no coco_fastestdet.safetensors, or SNNBENCH_DATA no coco-val-128")
    network = build_model("fastestdet", 80)
    load_checkpoint(network, path)
    network = network.eval().to(memory_format=torch.channels_last)
    objects, found = [], []
    with torch.no_grad():
        for batch, boxes in open_images("coco-val-128", "test").batches((0.0,) * 3, (1.0,) * 3, 8):
            objects.append(boxes.numpy())
            found.append(detections(network(batch)).numpy())
    measured = mean_precision(match(np.concatenate(objects), np.concatenate(found)))
    assert measured == pytest.approx((33.21, 17.75), abs=0.05)
