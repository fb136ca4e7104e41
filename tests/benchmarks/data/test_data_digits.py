"""Data sets that need no download: digits and pairs of digits."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from benchmarks.data.digits import digit_pairs, digits
from benchmarks.data.images import ImageSet
from benchmarks.errors import CannotRun


def _pixels(images: ImageSet) -> list[bytes]:
    return [image.numpy().tobytes() for image in images.images]


@pytest.mark.parametrize(
    ("make", "split", "count", "fingerprint"),
    [
        (digits, "train", 1198, "024c0eb0f3e4842bb457905064107953"),
        (digits, "test", 599, "46a6124dfc2954e887911a49aaaeab15"),
        (digit_pairs, "train", 4000, "d43e294ccb6d7ea0b22a099a801d5216"),
        (digit_pairs, "test", 1000, "ef486636cb8e9644983a596b187b9b51"),
    ],
)
def test_golden_fingerprints(make, split: str, count: int, fingerprint: str) -> None:  # type: ignore[no-untyped-def]
    made = make(split)
    assert (len(made), made.split, made.fingerprint) == (count, split, fingerprint)


def test_digits_are_all_of_scikit_learns_and_no_image_is_in_both_parts() -> None:
    train, test = digits("train"), digits("test")
    assert train.images.shape[1:] == (1, 8, 8)
    raw = load_digits()
    expected = Counter(
        (np.floor(image * 255 / 16 + 0.5).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(raw.images, raw.target, strict=True)
    )
    parts = [Counter(zip(_pixels(part), part.labels.tolist(), strict=True)) for part in (train, test)]
    assert parts[0] + parts[1] == expected
    assert not set(parts[0]) & set(parts[1])
    assert int(train.images.max()) == 255


def test_pairs_are_two_digits_of_the_same_part_side_by_side() -> None:
    for split, per_class in (("train", 40), ("test", 10)):
        singles, pairs = digits(split), digit_pairs(split)
        label_of = dict(zip(_pixels(singles), singles.labels.tolist(), strict=True))
        assert pairs.images.shape[1:] == (1, 8, 16)
        for image, label in zip(pairs.images, pairs.labels.tolist(), strict=True):
            left, right = image[:, :, :8], image[:, :, 8:]
            sides = [label_of[side.contiguous().numpy().tobytes()] for side in (left, right)]
            assert label == 10 * sides[0] + sides[1]
        assert torch.bincount(pairs.labels, minlength=100).tolist() == [per_class] * 100
        assert len(set(_pixels(pairs))) == len(pairs)


@pytest.mark.parametrize("make", [digits, digit_pairs])
def test_unknown_split(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CannotRun, match="train and test"):
        make("validation")
