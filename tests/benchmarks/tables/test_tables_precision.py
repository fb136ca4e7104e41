"""Precision of detections against values by hand, and its interval."""

import sys

import numpy as np
import pytest

from benchmarks.errors import CannotRun
from benchmarks.tables.precision import agreement, match, mean_precision, resampled, scores

LEFT, RIGHT = (0.0, 0.0, 0.4, 0.4), (0.5, 0.5, 0.9, 0.9)


def objects(*images):
    return _padded([[(*box, label) for box, label in image] for image in images], 5)


def found(*images):
    return _padded([[(*box, score, label) for box, score, label in image] for image in images], 6)


def _padded(images, columns):
    rows = np.full((len(images), 4, columns), np.nan, dtype=np.float32)
    for row, image in zip(rows, images, strict=True):
        row[: len(image)] = np.array(image).reshape(-1, columns)
    return rows


def map50(truth, answers):
    pytest.importorskip("pycocotools")
    return mean_precision(match(truth, answers))[0]


def test_by_hand() -> None:
    truth = objects([(LEFT, 7)], [(LEFT, 7)])
    assert map50(truth, found([(LEFT, 0.9, 7)], [(LEFT, 0.8, 7)])) == pytest.approx(100)
    # A false one between both: precision 1 up to recall 1/2 (51 of 101 places), 2/3 beyond.
    between = found([(LEFT, 0.9, 7), (RIGHT, 0.8, 7)], [(LEFT, 0.7, 7)])
    assert map50(truth, between) == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    # One object is not found; another class and an image of no object do not count.
    assert map50(truth, found([(LEFT, 0.9, 7)], [(LEFT, 0.8, 3)])) == pytest.approx(100 * 51 / 101)
    assert map50(truth, found([], [])) == pytest.approx(0)
    assert map50(objects([(LEFT, 7)], []), found([(LEFT, 0.9, 7)], [])) == pytest.approx(100)


def test_classes_count_alike() -> None:
    truth = objects([(LEFT, 1), (RIGHT, 2)], [(LEFT, 1)])
    assert map50(truth, found([(LEFT, 0.9, 1)], [(LEFT, 0.9, 1)])) == pytest.approx(50)


def test_overlaps_decide() -> None:
    pytest.importorskip("pycocotools")
    shifted = (0.0, 0.0, 0.4, 0.3)  # three quarters of the object
    truth, answers = objects([(LEFT, 0)]), found([(shifted, 0.9, 0)])
    half, over_all = mean_precision(match(truth, answers))
    assert half == pytest.approx(100) and over_all in (pytest.approx(50), pytest.approx(60))  # 50 to 70 %, 75 % by rounding


def test_resamples_are_other_sets_of_the_same_images() -> None:
    truth = objects([(LEFT, 0)], [(LEFT, 0)])
    answers = found([(LEFT, 0.9, 0)], [(RIGHT, 0.8, 0)])
    all_right, none_right, both = resampled(match(truth, answers), np.array([[0, 0], [1, 1], [0, 1]]))
    assert (all_right, none_right) == (pytest.approx(100), 0) and both == pytest.approx(100 * 51 / 101)
    alone = resampled(match(objects([(LEFT, 0)], []), found([(LEFT, 0.9, 0)], [])), np.array([[1, 1]]))
    assert np.isnan(alone).all()  # no object at all


@pytest.mark.parametrize("seed", range(3))
def test_resamples_are_evaluated_as_pycocotools_would(seed: int) -> None:
    pytest.importorskip("pycocotools")
    draw = np.random.default_rng(seed)
    corners = draw.random((12, 6, 2)) * 0.5
    boxes = np.concatenate([corners, corners + 0.2 + 0.2 * draw.random((12, 6, 2))], -1)
    truth = np.concatenate([boxes, draw.integers(3, size=(12, 6, 1))], -1)
    near = boxes + 0.05 * draw.standard_normal(boxes.shape)
    answers = np.concatenate([near, draw.random((12, 6, 1)), truth[..., 4:]], -1)
    lines = np.stack([np.arange(12), draw.integers(12, size=12)])
    due = [map50(truth[line], answers[line]) for line in lines]
    assert 5 < due[0] < 95 and resampled(match(truth, answers), lines) == pytest.approx(due)


def test_loss_and_its_interval() -> None:
    pytest.importorskip("pycocotools")
    truth = objects(*[[(LEFT, 0)]] * 8)
    right = found(*[[(LEFT, 0.9, 0)]] * 8)
    same = scores(truth, right, right)
    assert (same["ann_map50"], same["snn_map50_95"], same["agreement"]) == pytest.approx((100, 100, 100))
    assert same["loss"] == same["loss_ci95_low"] == same["loss_ci95_high"] == 0
    worse = scores(truth, right, found(*[[(LEFT, 0.9, 0)]] * 6, *[[]] * 2))
    assert worse["loss"] == pytest.approx(100 * 25 / 101, abs=1)
    assert 0 <= worse["loss_ci95_low"] < worse["loss"] < worse["loss_ci95_high"] <= 75
    assert worse == scores(truth, right, found(*[[(LEFT, 0.9, 0)]] * 6, *[[]] * 2))  # the same resamples
    assert worse["agreement"] == pytest.approx(200 * 6 / 14)


def test_agreement_pairs_each_detection_once() -> None:
    one = found([(LEFT, 0.9, 0), (RIGHT, 0.5, 1), (RIGHT, 0.29, 0)])
    assert agreement(one, one) == 100  # the unsure one does not count
    assert agreement(one, found([(LEFT, 0.9, 0), (LEFT, 0.8, 0)])) == 50
    assert agreement(one, found([(LEFT, 0.9, 1), (RIGHT, 0.9, 0)])) == 0
    assert np.isnan(agreement(found([]), found([])))


def test_nothing_to_find_is_one_line() -> None:
    pytest.importorskip("pycocotools")
    with pytest.raises(CannotRun, match="no image shows an object"):
        map50(objects([]), found([(LEFT, 0.9, 0)]))


def test_without_pycocotools_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(CannotRun, match=r"install snnbench\[detection\]"):
        match(objects([(LEFT, 0)]), found([]))
