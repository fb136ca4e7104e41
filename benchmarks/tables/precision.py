"""Mean average precision of detections, by COCO's own evaluation (``pycocotools``), and how sure it is.

Objects are NaN-padded rows ``[n, M, 5]`` of left, top, right, bottom and class for n images, detections ``[n, K, 6]`` with the
score before the class. All precisions are in percent.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.errors import CannotRun

Boxes = NDArray[np.floating[Any]]
RESAMPLES = 200
ALL_OVERLAPS = tuple(np.arange(50, 100, 5) / 100)
SURE = 0.3
"""Score from which on a detection is drawn and compared."""


def scores(objects: Boxes, ann: Boxes, snn: Boxes) -> dict[str, float]:
    """Precision of a trained and of a converted network, and how far they agree, by column.

    ``..._map50`` where boxes must overlap by half (intersection over union), ``..._map50_95`` the mean over overlaps of 50 to
    95 %; ``loss`` of the first with its 95 % interval, from the same resampled images for both; ``agreement``. CannotRun as
    ``precisions``.
    """
    everything = np.arange(len(objects))[None]
    draws = np.random.default_rng(0).integers(len(objects), size=(RESAMPLES, len(objects)))
    found: dict[str, float] = {}
    losses = np.zeros(RESAMPLES + 1)
    for name, sign, boxes in (("ann", 1, ann), ("snn", -1, snn)):
        half = precisions(objects, boxes, np.concatenate([everything, draws]))
        losses += sign * half
        found[f"{name}_map50"] = half[0]
        found[f"{name}_map50_95"] = precisions(objects, boxes, everything, ALL_OVERLAPS)[0]
    low, high = np.nanpercentile(losses[1:], (2.5, 97.5))
    return found | {"loss": losses[0], "loss_ci95_low": low, "loss_ci95_high": high, "agreement": agreement(ann, snn)}


def precisions(objects: Boxes, found: Boxes, draws: NDArray[np.int_], overlaps: Sequence[float] = (0.5,)) -> NDArray[np.float64]:
    """Mean average precision over classes and overlaps, for each line of image numbers in ``draws`` (an image may come twice).

    Classes count of which one of these images shows an object.

    Raises:
        CannotRun: ``pycocotools`` is not installed, or no image shows an object.
    """
    coco = _matched(objects, found, overlaps)
    matches, classes = coco.evalImgs, np.arange(len(coco.params.catIds))
    means = []
    for images in draws:
        coco.evalImgs = [matches[place] for place in (classes[:, None] * len(objects) + images).flat]
        with contextlib.redirect_stdout(io.StringIO()):
            coco.accumulate()
        precision = coco.eval["precision"][..., 0, 0]  # [overlaps, recalls, classes], -1 where there is no object
        means.append(100 * precision[precision >= 0].mean() if (precision >= 0).any() else np.nan)
    return np.array(means)


def _matched(objects: Boxes, found: Boxes, overlaps: Sequence[float]) -> Any:
    """``COCOeval`` with the detections of every image and class matched to the objects."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise CannotRun("precision of detections needs pycocotools, which is missing; install snnbench[detection]") from error
    truth = [_entry(image, row) for image, row in _rows(objects)]
    if not truth:
        raise CannotRun("no image shows an object, so that detections have no precision; check the label files")
    answers = [_entry(image, row) | {"score": float(row[4])} for image, row in _rows(found)]
    classes = [{"id": label} for label in sorted({entry["category_id"] for entry in truth})]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        sides = COCO(), COCO()
        for side, entries in zip(sides, (truth, answers), strict=True):
            numbered = [entry | {"id": number} for number, entry in enumerate(entries, start=1)]
            images = [{"id": image} for image in range(len(objects))]
            side.dataset = {"images": images, "categories": classes, "annotations": numbered}
            side.createIndex()
        coco = COCOeval(*sides, "bbox")
        coco.params.iouThrs, coco.params.maxDets = np.array(overlaps), [found.shape[1]]
        coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
        coco.evaluate()
    return coco


def _rows(boxes: Boxes) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for image, each in enumerate(boxes.astype(np.float64)):
        yield from ((image, row) for row in each if not np.isnan(row[0]))


def _entry(image: int, row: NDArray[np.float64]) -> dict[str, Any]:
    left, top, right, bottom = row[:4].tolist()
    width, height = right - left, bottom - top
    box = {"bbox": [left, top, width, height], "area": width * height, "iscrowd": 0}
    return {"image_id": image, "category_id": int(row[-1])} | box


def agreement(one: Boxes, other: Boxes) -> float:
    """How far two networks find the same, in percent: ``2 common / (found by one + found by the other)``; NaN without any.

    Of detections with a score of at least ``SURE``; common are pairs of a class that overlap by half, each detection in one pair
    at most, the largest overlaps first.
    """
    from torchvision.ops import box_iou  # it takes a second to import

    common = total = 0
    for a, b in zip(one, other, strict=True):
        a, b = a[a[:, 4] >= SURE], b[b[:, 4] >= SURE]
        total += len(a) + len(b)
        overlaps = box_iou(*(torch.from_numpy(boxes[:, :4]) for boxes in (a, b))).numpy()
        shared = np.where(a[:, None, 5] == b[None, :, 5], overlaps, 0.0)
        while shared.size and shared.max() >= 0.5:
            common += 1
            i, j = np.unravel_index(shared.argmax(), shared.shape)
            shared[i], shared[:, j] = 0, 0
    return 200 * common / total if total else float("nan")
