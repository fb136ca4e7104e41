"""Images with boxes in YOLO's layout: what is read, and one line for what cannot be."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from benchmarks.data import load, locate, open_images
from benchmarks.data.boxes import MOST, coco_names, read_boxes
from benchmarks.errors import CannotRun

COCO, VOC = "coco-val-128", "voc2012-subset"


def write(folder: Path, part: str, labels: dict[str, str], names: str = "names: [aeroplane, person]\n") -> Path:
    for kind in ("images", "labels"):
        (folder / kind / part).mkdir(parents=True, exist_ok=True)
    (folder / "data.yaml").write_text(names)
    for number, (name, text) in enumerate(labels.items()):
        pixels = np.random.default_rng(number).integers(256, size=(30, 40 + number, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / "images" / part / f"{name}.jpg")
        (folder / "labels" / part / f"{name}.txt").write_text(text)
    return folder


@pytest.fixture
def voc(mirror: Path) -> Path:
    return write(mirror / VOC, "val", {"b": "", "a": "0 0.5 0.5 0.5 1\n1 0.25 0.5 0.1 0.2\n"})


def test_boxes_are_edges_and_classes_are_cocos(voc: Path) -> None:
    images = open_images(VOC, "test")
    assert len(images) == 2 and images.channels == 3 and "2 of 152" in images.source
    ((batch, boxes),) = images.batches((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 5)
    assert batch.shape == (2, 3, 352, 352) and batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.min() >= 0 and batch.max() <= 1
    assert boxes.shape == (2, MOST, 5)
    assert boxes[0, :2].tolist() == [pytest.approx([0.25, 0, 0.75, 1, 4]), pytest.approx([0.2, 0.4, 0.3, 0.6, 0])]
    assert boxes[0, 2:].isnan().all()
    assert boxes[1].isnan().all()  # shows no object
    assert coco_names()[4] == "airplane" and coco_names()[0] == "person" and len(coco_names()) == 80


def test_an_image_without_a_label_file_shows_no_object(voc: Path) -> None:
    (voc / "labels" / "val" / "a.txt").unlink()
    assert [len(boxes) for boxes in open_images(VOC, "test").boxes] == [0, 0]


def test_the_fingerprint_follows_images_and_boxes(voc: Path) -> None:
    before = open_images(VOC, "test").fingerprint
    assert open_images(VOC, "test").fingerprint == before
    (voc / "labels" / "val" / "a.txt").write_text("0 0.5 0.5 0.5 0.9\n1 0.25 0.5 0.1 0.2\n")
    assert open_images(VOC, "test").fingerprint != before


def test_slices_are_in_the_order_of_names(voc: Path) -> None:
    images = open_images(VOC, "test")
    assert [file.stem for file in images.files] == ["a", "b"]
    assert images.slice(1, 2).files == images.files[1:] and images.take(1).boxes[0] is images.boxes[0]
    with pytest.raises(CannotRun, match="asked for images 1 to 3"):
        images.slice(1, 3)


def test_coco_is_calibrated_on_images_of_voc(voc: Path) -> None:
    write(voc, "train", {"c": ""})
    assert open_images(COCO, "train").name == VOC
    assert locate(COCO, "train").where == str(voc)
    assert not locate(COCO, "test").found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2 0.5 0.5 0.5 0.5", r"a.txt, line 1: the class is 2; data.yaml names 0 to 1"),
        ("-1 0.5 0.5 0.5 0.5", r"a.txt, line 1: the class is -1"),
        ("0.5 0.5 0.5 0.5 0.5", r"a.txt, line 1: the class is 0.5"),
        ("0 0.5 0.5 0.5", r"a.txt, line 1: '0 0.5 0.5 0.5' is not `class x y width height`"),
        ("0 0.5 0.5 0.5 1.5", r"a.txt, line 1: .* in parts of the image"),
        ("0 nan 0.5 0.5 0.5", r"a.txt, line 1: .* in parts of the image"),
        ("cat 0.5 0.5 0.5 0.5", r"a.txt, line 1: .* is not `class x y width height`"),
        ("0 0.5 0.5 0.5 0.5\n" * 101, r"a.txt: there are 101 objects, and at most 100"),
    ],
)
def test_a_wrong_label_is_one_line(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "a.txt").write_text(line)
    with pytest.raises(CannotRun, match=said) as refused:
        read_boxes(tmp_path / "a.txt", {0: 4, 1: 0})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [("names: [unicorn]", "'unicorn' is no class of COCO"), ("nc: 2", "does not name the classes"), ("a: [", "does not name")],
)
def test_classes_that_are_not_known_are_one_line(mirror: Path, names: str, said: str) -> None:
    write(mirror / VOC, "val", {"a": ""}, names)
    with pytest.raises(CannotRun, match=said) as refused:
        open_images(VOC, "test")
    assert "data.yaml" in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_missing_is_named_with_the_way_to_get_it(mirror: Path) -> None:
    with pytest.raises(CannotRun, match="voc2012-subset, test split, was not found.*YOLO's layout"):
        open_images(VOC, "test")
    write(mirror / VOC, "train", {"a": ""})
    with pytest.raises(CannotRun, match="images/val: there is no such folder; set SNNBENCH_DATA"):
        open_images(VOC, "test")
    (mirror / VOC / "images" / "train" / "a.jpg").unlink()
    with pytest.raises(CannotRun, match="there are no images"):
        open_images(VOC, "train")


def test_an_empty_image_is_one_line(voc: Path) -> None:
    (voc / "images" / "val" / "b.jpg").write_bytes(b"")
    with pytest.raises(CannotRun, match="b.jpg: the image cannot be decoded"):
        list(open_images(VOC, "test").batches((0.0,) * 3, (1.0,) * 3, 2))


def test_images_with_boxes_are_not_held_in_memory() -> None:
    with pytest.raises(CannotRun, match="open it with open_images"):
        load(COCO, "test")
