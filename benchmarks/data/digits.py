"""Handwritten digits that ship inside scikit-learn, and pairs of them: data sets that need no download.

Digits: 1,797 images of 8x8 pixels with values 0 .. 16, scaled to 0 .. 255. In canonical order, which is a
fixed random order, the first 1,198 (two thirds) are the training part and the other 599 the test part.

Pairs: two digits side by side, 8x16 pixels, label 10 * left + right. Both digits of a training pair come from
the training part of the digits, of a test pair from the test part. Every one of the 100 classes has the same
number of pairs, drawn without repetition with a fixed seed.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.data.images import ImageSet, image_set
from benchmarks.data.registry import dataset_spec, describe_count

DIGITS = "sklearn/digits"
PAIRS = "sklearn/digit-pairs"

# Ours: no source prescribes them.
PAIR_SEEDS = {"train": 20240, "test": 20241}
PAIRS_PER_CLASS = {"train": 40, "test": 10}


def digits(split: str) -> ImageSet:
    """The handwritten digits of ``split``: uint8 [N, 1, 8, 8]; CannotRun for an unknown split."""
    spec = dataset_spec(DIGITS)
    words = describe_count(spec, split, spec.count(split))
    raw = load_digits()
    levels = torch.from_numpy(raw.images.astype(np.int64))  # [1797, 8, 8], 0 .. 16
    pixels = ((levels * 255 + 8) // 16).to(torch.uint8).unsqueeze(1)  # rounded, halves up: [1797, 1, 8, 8]
    every = image_set(spec.name, split, pixels, torch.from_numpy(raw.target.astype(np.int64)), "scikit-learn")
    chosen = slice(0, spec.train_count) if split == "train" else slice(spec.train_count, None)
    return image_set(spec.name, split, every.images[chosen], every.labels[chosen], f"scikit-learn: {words}")


def digit_pairs(split: str) -> ImageSet:
    """Pairs of digits of ``split``: uint8 [N, 1, 8, 16]; CannotRun for an unknown split."""
    spec = dataset_spec(PAIRS)
    words = describe_count(spec, split, spec.count(split))
    singles = digits(split)
    members = [torch.nonzero(singles.labels == digit).flatten() for digit in range(10)]
    # RandomState, because NumPy promises that its stream never changes.
    rng = np.random.RandomState(PAIR_SEEDS[split])
    lefts, rights = [], []
    for left in members:
        for right in members:
            drawn = torch.from_numpy(rng.permutation(len(left) * len(right))[: PAIRS_PER_CLASS[split]])
            lefts.append(left[drawn // len(right)])
            rights.append(right[drawn % len(right)])
    left, right = torch.cat(lefts), torch.cat(rights)
    pixels = torch.cat((singles.images[left], singles.images[right]), dim=3)  # [N, 1, 8, 16]
    labels = 10 * singles.labels[left] + singles.labels[right]  # [N]
    return image_set(PAIRS, split, pixels, labels, f"generated from scikit-learn's digits: {words}")
