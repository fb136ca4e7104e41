"""Images with boxes in YOLO's layout: ``images/<part>/*.jpg``, ``labels/<part>/*.txt``, and ``data.yaml`` with names of classes.

A label file has a line ``class x y width height`` for each object: the box's centre and size as parts of the image's. An image
without one shows no object. Classes are known by their names: every set has COCO's 80.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from benchmarks.data.decoding import one_line, open_image
from benchmarks.data.images import DIGEST_BYTES, check_range
from benchmarks.data.registry import DatasetSpec, describe_found
from benchmarks.errors import CannotRun
from benchmarks.files import read_given
from benchmarks.paths import data_mirror, mirror_folder

MOST = 100
"""Objects that an image may have."""
COCO_NAMES = {  # of Pascal VOC's classes that are called otherwise
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


@dataclass(frozen=True, eq=False)
class BoxSet:
    """Images of one split by file name, read when they are needed; the interface of ``ImageSet``.

    ``boxes`` of each image: float32 [objects, 5], left, top, right and bottom as parts of the image, and the class. ``size``:
    height and width to which images are stretched.
    """

    name: str
    split: str
    files: tuple[Path, ...]
    boxes: tuple[Tensor, ...]
    size: tuple[int, int]
    source: str

    @property
    def channels(self) -> int:
        """Colour channels: RGB."""
        return 3

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits over the bytes of every image and its boxes, in order."""
        total = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for file, boxes in zip(self.files, self.boxes, strict=True):
            total.update(read_given(file))
            total.update(boxes.numpy().tobytes())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.files)

    def take(self, n: int) -> BoxSet:
        """The first ``n`` images; CannotRun where there are fewer, or where ``n`` < 1."""
        return self.slice(0, n)

    def slice(self, start: int, stop: int) -> BoxSet:
        """Images ``start`` .. ``stop`` - 1; CannotRun outside 0 <= start < stop <= N."""
        check_range(self, start, stop)
        return replace(self, files=self.files[start:stop], boxes=self.boxes[start:stop])

    def batches(self, mean: Sequence[float], std: Sequence[float], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised float32 [B, 3, H, W] in channels-last memory, and boxes [B, MOST, 5], NaN beyond the last; in order.

        CannotRun, naming the image, where one cannot be decoded.
        """
        center, scale = (torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1) for values in (mean, std))
        for start in range(0, len(self), batch_size):
            pixels = torch.stack([self._pixels(file) for file in self.files[start : start + batch_size]])
            boxes = torch.full((len(pixels), MOST, 5), torch.nan)
            for row, found in zip(boxes, self.boxes[start : start + batch_size], strict=True):
                row[: len(found)] = found
            yield pixels.div_(255).sub_(center).div_(scale).contiguous(memory_format=torch.channels_last), boxes

    def _pixels(self, file: Path) -> Tensor:
        image = open_image(read_given(file), str(file)).convert("RGB")
        image = image.resize(self.size[::-1], PIL.Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)


@cache
def coco_names() -> tuple[str, ...]:
    """The names of COCO's 80 classes by their numbers in YOLO's layout."""
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights as Weights

    return tuple(name for name in Weights.COCO_V1.meta["categories"] if name not in ("__background__", "N/A"))


def load_boxes(spec: DatasetSpec, split: str) -> BoxSet:
    """All images of ``split`` with their boxes; CannotRun where folder, images or labels are missing or damaged."""
    folder, part = mirror_folder(spec.name), spec.hub_split(split)
    if folder is None:
        raise CannotRun(f"{spec.name}, {split} split, was not found below SNNBENCH_DATA={data_mirror() or ''}; {spec.how_to_get}")
    for below in (folder / "images" / part, folder / "labels" / part):
        if not below.is_dir():
            raise CannotRun(f"{below}: there is no such folder; {spec.how_to_get}")
    files = tuple(sorted((folder / "images" / part).glob("*.jpg")))
    if not files:
        raise CannotRun(f"{folder / 'images' / part}: there are no images (*.jpg); {spec.how_to_get}")
    numbers = _class_numbers(folder / "data.yaml")
    boxes = tuple(read_boxes(folder / "labels" / part / f"{file.stem}.txt", numbers) for file in files)
    return BoxSet(spec.name, split, files, boxes, spec.size, f"local folder: {describe_found(spec, split, len(files))}")


def read_boxes(file: Path, numbers: Mapping[int, int]) -> Tensor:
    """The objects of a label file, float32 [objects, 5] as ``BoxSet.boxes``; ``numbers``: COCO's number of each of its classes.

    CannotRun, naming file and line, for one that is no box, a class that is not in ``numbers`` and more than ``MOST`` objects.
    """
    lines = read_given(file).decode("utf-8", "replace").splitlines() if file.is_file() else []
    if len(lines) > MOST:
        raise CannotRun(f"{file}: there are {len(lines)} objects, and at most {MOST} are evaluated; leave this image out")
    boxes = torch.empty(len(lines), 5)
    for row, line in enumerate(lines):
        try:
            label, x, y, width, height = map(float, line.split())
            inside = 0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1
        except ValueError:
            inside = False
        if not inside:
            raise CannotRun(f"{file}, line {row + 1}: {line!r} is not `class x y width height` in parts of the image; correct it")
        if label not in numbers:
            raise CannotRun(f"{file}, line {row + 1}: the class is {label:g}; data.yaml names 0 to {len(numbers) - 1}")
        edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        boxes[row] = torch.tensor((*edges, numbers[int(label)]))
    return boxes


def _class_numbers(file: Path) -> dict[int, int]:
    """COCO's number of each class that ``data.yaml`` names."""
    import yaml

    try:
        names = yaml.safe_load(read_given(file))["names"]
        names = dict(enumerate(names)) if isinstance(names, list) else dict(names)
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise CannotRun(f"{file}: it does not name the classes ({one_line(error)}); list them below `names:`") from error
    known = coco_names()
    if strangers := [name for name in names.values() if COCO_NAMES.get(name, name) not in known]:
        raise CannotRun(f"{file}: {strangers[0]!r} is no class of COCO, whose 80 names are evaluated; rename or remove it")
    return {number: known.index(COCO_NAMES.get(name, name)) for number, name in names.items()}
