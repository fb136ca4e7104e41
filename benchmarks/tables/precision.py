"""Mean average precision of detections, by COCO's own evaluation (``pycocotools``), and how sure it is.

Objects are NaN-padded rows ``[n, M, 5]`` of left, top, right, bottom and class for n images, detections ``[n, K, 6]`` with the
score before the class. All precisions are in percent.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.errors import CannotRun

Boxes = NDArray[np.floating[Any]]
RESAMPLES = 200
SURE = 0.3
"""Score from which on a detection is drawn and compared."""


def scores(objects: Boxes, ann: Boxes, snn: Boxes) -> dict[str, float]:
    """Precision of a trained and of a converted network, and how far they agree, by column.

    ``..._map50`` where boxes must overlap by half (intersection over union), ``..._map50_95`` the mean over overlaps of 50 to
    95 %; ``loss`` of the first with its 95 % interval, from the same resampled images for both; ``agreement``. CannotRun as
    ``match``.
    """
    draws = np.random.default_rng(0).integers(len(objects), size=(RESAMPLES, len(objects)))
    before, after = match(objects, ann), match(objects, snn)
    (ann_half, ann_all), (snn_half, snn_all) = mean_precision(before), mean_precision(after)
    low, high = np.nanpercentile(resampled(before, draws) - resampled(after, draws), (2.5, 97.5))
    return {
        "ann_map50": ann_half,
        "snn_map50": snn_half,
        "loss": ann_half - snn_half,
        "loss_ci95_low": float(low),
        "loss_ci95_high": float(high),
        "ann_map50_95": ann_all,
        "snn_map50_95": snn_all,
        "agreement": agreement(ann, snn),
    }


def mean_precision(coco: Any) -> tuple[float, float]:
    """Mean over the classes of which an image shows an object: at an overlap of half, and the mean over all overlaps."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco.accumulate()
    precision = 100 * coco.eval["precision"]  # [overlaps, recalls, classes, 1, 1]
    return float(precision[0].mean()), float(precision.mean())


def resampled(coco: Any, draws: NDArray[np.int_]) -> NDArray[np.float64]:
    """The first of ``mean_precision`` for each line of image numbers; an image may be drawn more than once and counts as often.

    NaN for a line whose images show no object.
    """
    images = len(coco.params.imgIds)
    times = np.stack([np.bincount(line, minlength=images) for line in draws])  # [draws, images]
    precisions = []
    for start in range(0, len(coco.evalImgs), images):
        matched = [(image, each) for image, each in enumerate(coco.evalImgs[start : start + images]) if each is not None]
        image = np.concatenate([np.full(len(each["dtScores"]), number) for number, each in matched])
        order = np.argsort(-np.concatenate([each["dtScores"] for _, each in matched]), kind="stable")
        right = np.concatenate([each["dtMatches"][0] > 0 for _, each in matched])[order]
        there = times[:, [number for number, _ in matched]] @ np.array([len(each["gtIds"]) for _, each in matched])  # [draws]
        counted = times[:, image[order].astype(int)]  # [draws, detections]
        true = (counted * right).cumsum(1)
        precision = true / np.maximum(counted.cumsum(1), 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        reached = np.searchsorted(coco.params.recThrs, true / np.maximum(there, 1)[:, None], side="right")
        average = (np.diff(reached, axis=1, prepend=0) * envelope).sum(1) / len(coco.params.recThrs)
        precisions.append(np.where(there > 0, 100 * average, np.nan))
    shown = ~np.isnan(precisions)
    mean: NDArray[np.float64] = np.nansum(precisions, 0) / np.where(shown.any(0), shown.sum(0), np.nan)
    return mean


def match(objects: Boxes, found: Boxes) -> Any:
    """``COCOeval`` with the detections of every image and class matched to the objects, at overlaps of 50, 55 ... 95 %.

    Raises:
        CannotRun: ``pycocotools`` is not installed, or no image shows an object.
    """
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
        coco.params.maxDets = [found.shape[1]]
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
