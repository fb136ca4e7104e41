"""Accuracies and conversion losses with their confidence intervals.

Pure functions over per-sample correctness, bool[N], whether each sample was classified rightly; each returns the point estimate
and its interval together, which covers with the given confidence. All accuracies are in percent, all differences in percentage
points. ValueError where there is no sample, where networks were run on others, and for a confidence outside (0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t

Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A point estimate with the two ends of its confidence interval, all in the same unit."""

    estimate: float
    low: float
    high: float


def wilson(correct: Correct, confidence: float = 0.95) -> Interval:
    """Accuracy with Wilson's score interval (E. B. Wilson, 1927, JASA 22, 209-212)."""
    _check(confidence, correct)
    right, n = int(correct.sum()), len(correct)
    interval = binomtest(right, n).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(100 * right / n, 100 * float(interval.low), 100 * float(interval.high))


def paired_loss(ann_correct: Correct, snn_correct: Correct, confidence: float = 0.95) -> Interval:
    """Conversion loss, accuracy of the ANN minus accuracy of the SNN on the same samples; positive where the SNN is worse.

    With b samples that only the ANN classifies rightly, and c that only the SNN does, the loss is
    ``(b - c) / N``. Its interval is the adjusted Wald interval of Agresti and Min (2005, Statistics in
    Medicine 24, 729-740): half a sample is added to each of the four cells, so that it keeps a width of
    about ``2 z / N`` where no sample is discordant.

        b' = b + 1/2, c' = c + 1/2, N' = N + 2
        (b' - c') / N'  +-  z sqrt(b' + c' - (b' - c')^2 / N') / N'
    """
    _check(confidence, ann_correct, snn_correct)
    b, c, n = _only(ann_correct, snn_correct), _only(snn_correct, ann_correct), len(ann_correct)
    difference, discordant, total = b - c, b + c + 1, n + 2
    z = float(norm.ppf((1 + confidence) / 2))
    center = difference / total
    half = z * sqrt(discordant - difference**2 / total) / total
    low, high = max(center - half, -1.0), min(center + half, 1.0)
    return Interval(100 * difference / n, 100 * low, 100 * high)


def mcnemar_exact(a: Correct, b: Correct) -> float:
    """Two-sided exact p-value that two classifiers differ (Q. McNemar, 1947, Psychometrika 12, 153-157), in (0, 1].

    Where they do not differ, each sample that just one of them classifies rightly is a fair coin; the test
    is the exact binomial one over these samples, and 1 where there are none.
    """
    _check(0.5, a, b)
    only_a, only_b = _only(a, b), _only(b, a)
    return 1.0 if only_a + only_b == 0 else float(binomtest(only_a, only_a + only_b).pvalue)


def accuracy_columns(ann_correct: Correct | None, snn_correct: Correct | None) -> dict[str, float]:
    """The columns of a table row that follow from per-sample correctness of an ANN, an SNN or both, by name; absent ones are NaN.

    This is their only definition: a run fills a row with it, and the check recomputes a stored row with it.
    ``ci95_low`` and ``ci95_high`` are the interval of ``snn_metric``; ``loss_ci95_low`` and
    ``loss_ci95_high`` that of ``loss``. A row without an ANN (or SNN) has no loss.
    """
    present = ann_correct if snn_correct is None else snn_correct
    if present is None:
        raise ValueError("needs the correctness of an ANN, an SNN, or both")
    nothing = Interval(np.nan, np.nan, np.nan)
    ann = nothing if ann_correct is None else wilson(ann_correct)
    snn = nothing if snn_correct is None else wilson(snn_correct)
    loss = nothing if ann_correct is None or snn_correct is None else paired_loss(ann_correct, snn_correct)
    return {
        "ann_metric": ann.estimate,
        "snn_metric": snn.estimate,
        "loss": loss.estimate,
        "n_test": len(present),
        "ci95_low": snn.low,
        "ci95_high": snn.high,
        "loss_ci95_low": loss.low,
        "loss_ci95_high": loss.high,
    }


def _only(a: Correct, b: Correct) -> int:
    return int((a & ~b).sum())


def _check(confidence: float, *arrays: Correct) -> None:
    for array in arrays:
        if array.dtype != np.bool_ or array.ndim != 1:
            raise ValueError(f"correctness must be bool[N], got {array.dtype}{list(array.shape)}")
        if len(array) == 0:
            raise ValueError("correctness of no sample: there is nothing to estimate")
        if len(array) != len(arrays[0]):
            raise ValueError(f"correctness of different samples: {len(arrays[0])} and {len(array)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")


def over_seeds(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[Interval, float]:
    """Mean over training runs, float[S], with Student's t interval, and the standard deviation with S - 1; NaN for one seed.

    The interval says where the mean over all seeds lies, for the data at hand; it is not that of one network's accuracy.
    """
    if len(values) == 0:
        raise ValueError("a mean over seeds needs at least one value")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan), np.nan
    deviation = float(np.std(values, ddof=1))
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1)) * deviation / sqrt(len(values))
    return Interval(mean, mean - half, mean + half), deviation


def paired_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[Interval, float]:
    """Mean of ``a - b`` over the same seeds with its 95 % interval, and p of the two-sided paired t test (one seed: NaN).

    Differences that are all equal have p 0, or 1 if they are 0.
    """
    if len(a) != len(b):
        raise ValueError(f"paired differences need the same seeds: {len(a)} and {len(b)} values")
    interval, deviation = over_seeds(a - b)
    if len(a) == 1:
        return interval, np.nan
    if deviation == 0:
        return interval, 0.0 if interval.estimate else 1.0
    statistic = interval.estimate / (deviation / sqrt(len(a)))
    return interval, 2 * float(t.sf(abs(statistic), len(a) - 1))
