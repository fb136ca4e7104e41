"""Intervals and the paired test, against formulas written out and by simulation."""

from __future__ import annotations

from fractions import Fraction
from math import comb, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t, ttest_rel

from benchmarks.tables.statistics import (
    Interval,
    accuracy_columns,
    mcnemar_exact,
    over_seeds,
    paired_difference,
    paired_loss,
    wilson,
)

Z = 1.959963984540054
counts = st.integers(0, 60)


def correct(right: int, wrong: int) -> np.ndarray:
    return np.arange(right + wrong) < right


def pair(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors with these numbers of samples right in both, in one only, in none."""
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    return a, b


@settings(deadline=None, max_examples=60)
@given(counts, counts)
def test_wilson_is_the_score_interval(right: int, wrong: int) -> None:
    n = right + wrong
    if n == 0:
        return
    p = right / n
    center = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    interval = wilson(correct(right, wrong))
    assert interval.estimate == 100 * right / n
    assert interval.low == pytest.approx(100 * max(center - half, 0), abs=1e-9)
    assert interval.high == pytest.approx(100 * min(center + half, 1), abs=1e-9)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 100


def test_wilson_at_the_ends_has_a_width() -> None:
    best, worst = wilson(correct(10, 0)), wilson(correct(0, 10))
    assert (best.estimate, best.high, worst.estimate, worst.low) == (100, 100, 0, 0)
    assert best.low == pytest.approx(72.2467, abs=1e-3)
    assert worst.high == pytest.approx(27.7533, abs=1e-3)


@pytest.mark.parametrize(("accuracy", "n"), [(0.9, 200), (0.97, 360)])
def test_wilson_covers_the_truth_as_often_as_it_says(accuracy: float, n: int) -> None:
    draws = np.random.default_rng(1).binomial(n, accuracy, size=3000)
    by_count = {k: wilson(correct(k, n - k)) for k in set(draws.tolist())}
    covered = np.mean([by_count[k].low <= 100 * accuracy <= by_count[k].high for k in draws.tolist()])
    assert 0.93 < covered < 0.98


@settings(deadline=None, max_examples=60)
@given(counts, counts, counts, counts)
def test_paired_loss_is_the_adjusted_wald_interval(both: int, first: int, second: int, neither: int) -> None:
    n = both + first + second + neither
    if n == 0:
        return
    interval = paired_loss(*pair(both, first, second, neither))
    # The plain Wald interval of a difference of paired proportions, on cells with half a sample more.
    p_first, p_second = (first + 0.5) / (n + 2), (second + 0.5) / (n + 2)
    half = Z * sqrt((p_first + p_second - (p_first - p_second) ** 2) / (n + 2))
    assert interval.estimate == pytest.approx(100 * (first - second) / n)
    assert interval.low == pytest.approx(100 * max(p_first - p_second - half, -1), abs=1e-9)
    assert interval.high == pytest.approx(100 * min(p_first - p_second + half, 1), abs=1e-9)
    assert -100 <= interval.low <= interval.estimate <= interval.high <= 100


@settings(deadline=None, max_examples=60)
@given(counts, counts, counts, counts)
def test_paired_loss_changes_its_sign_with_the_order(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    ann, snn = pair(a, b, c, d)
    there, back = paired_loss(ann, snn), paired_loss(snn, ann)
    assert (there.estimate, there.low, there.high) == pytest.approx((-back.estimate, -back.high, -back.low))


def test_paired_loss_without_a_discordant_sample_is_zero_and_still_uncertain() -> None:
    interval = paired_loss(*pair(9000, 0, 0, 1000))
    assert interval.estimate == 0
    assert interval.low == pytest.approx(-interval.high)
    assert interval.high == pytest.approx(100 * Z / 10002)


@pytest.mark.parametrize(
    ("n", "cells"),
    [
        (360, (0.93, 0.03, 0.005, 0.035)),
        (2000, (0.9, 0.01, 0.002, 0.088)),
        (10000, (0.6, 0.002, 0.002, 0.396)),
    ],
)
def test_paired_loss_covers_the_truth_as_often_as_it_says(n: int, cells: tuple[float, ...]) -> None:
    truth = 100 * (cells[1] - cells[2])
    draws = np.random.default_rng(2).multinomial(n, cells, size=1500)
    intervals = [paired_loss(*pair(*draw)) for draw in draws.tolist()]
    assert 0.93 < np.mean([it.low <= truth <= it.high for it in intervals]) < 0.98


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    ann, snn = pair(80, 8, 2, 10)
    for wide, narrow in (
        (wilson(ann), wilson(ann, 0.8)),
        (paired_loss(ann, snn), paired_loss(ann, snn, 0.8)),
    ):
        assert wide.low < narrow.low < narrow.high < wide.high
        assert wide.estimate == narrow.estimate


@settings(deadline=None, max_examples=60)
@given(counts, counts, st.integers(0, 5), st.integers(0, 5))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int, both: int, neither: int) -> None:
    n = first + second
    if n + both + neither == 0:
        return
    tail = sum(comb(n, k) for k in range(min(first, second) + 1))
    p = mcnemar_exact(*pair(both, first, second, neither))
    assert p == pytest.approx(float(min(Fraction(1), 2 * Fraction(tail, 2**n))))
    if n:
        assert p == pytest.approx(binomtest(first, n).pvalue)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_exact(*pair(10, 0, 0, 3)) == 1.0
    assert mcnemar_exact(*pair(10, 5, 0, 3)) == 2 / 2**5
    assert mcnemar_exact(*pair(10, 0, 6, 3)) == 2 / 2**6


def test_mcnemar_seldom_rejects_what_is_equal() -> None:
    draws = np.random.default_rng(3).multinomial(1000, (0.9, 0.01, 0.01, 0.08), size=1500)
    p = np.array([mcnemar_exact(*pair(*draw)) for draw in draws.tolist()])
    assert 0.005 < (p < 0.05).mean() <= 0.05


def test_accuracy_columns_by_hand() -> None:
    ann, snn = pair(6, 2, 1, 1)
    row = accuracy_columns(ann, snn)
    assert (row["ann_metric"], row["snn_metric"], row["loss"], row["n_test"]) == (80.0, 70.0, 10.0, 10)
    assert Interval(row["snn_metric"], row["ci95_low"], row["ci95_high"]) == wilson(snn)
    assert Interval(row["loss"], row["loss_ci95_low"], row["loss_ci95_high"]) == paired_loss(ann, snn)


def test_accuracy_columns_without_one_network() -> None:
    _, snn = pair(6, 2, 1, 1)
    row = accuracy_columns(None, snn)
    assert row["snn_metric"] == 70.0
    assert all(isnan(row[name]) for name in ("ann_metric", "loss", "loss_ci95_low", "loss_ci95_high"))
    row = accuracy_columns(snn, None)
    assert row["ann_metric"] == 70.0
    assert all(isnan(row[name]) for name in ("snn_metric", "ci95_low", "ci95_high", "loss"))
    with pytest.raises(ValueError, match="ANN, an SNN, or both"):
        accuracy_columns(None, None)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(0, bool), "no sample"),
        (np.zeros(3), r"must be bool\[N\], got float64\[3\]"),
        (np.zeros((2, 3), bool), r"bool\[2, 3\]"),
    ],
)
def test_bad_correctness(array: np.ndarray, message: str) -> None:
    for function in (wilson, lambda a: paired_loss(a, a), lambda a: mcnemar_exact(a, a)):
        with pytest.raises(ValueError, match=message):
            function(array)


def test_different_samples_and_bad_confidence() -> None:
    with pytest.raises(ValueError, match="different samples: 3 and 4"):
        paired_loss(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="different samples: 3 and 4"):
        mcnemar_exact(np.ones(3, bool), np.ones(4, bool))
    for confidence in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="confidence"):
            wilson(np.ones(3, bool), confidence)


# ---- over training seeds ----------------------------------------------------------------------------------------------

accuracies = st.lists(st.integers(0, 10000).map(lambda k: k / 100), min_size=2, max_size=9)


def test_over_seeds_by_hand() -> None:
    interval, deviation = over_seeds(np.array([90.0, 92.0, 94.0]))
    assert (interval.estimate, deviation) == (92.0, 2.0)
    assert interval.high - 92 == pytest.approx(4.302653 * 2 / sqrt(3), rel=1e-6)  # Student's t for two degrees of freedom
    assert 92 - interval.low == pytest.approx(interval.high - 92)


@settings(deadline=None, max_examples=40)
@given(accuracies)
def test_over_seeds_is_students_interval(values: list[float]) -> None:
    interval, deviation = over_seeds(np.array(values))
    mean = sum(values) / len(values)
    expected = sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    assert interval.estimate == pytest.approx(mean) and deviation == pytest.approx(expected, abs=1e-9)
    if deviation:
        low, high = t.interval(0.95, len(values) - 1, mean, expected / sqrt(len(values)))
        assert (interval.low, interval.high) == pytest.approx((low, high))


def test_one_seed_says_nothing_about_others() -> None:
    interval, deviation = over_seeds(np.array([91.5]))
    assert interval.estimate == 91.5 and isnan(interval.low) and isnan(interval.high) and isnan(deviation)
    difference, p = paired_difference(np.array([91.5]), np.array([91.0]))
    assert difference.estimate == 0.5 and isnan(difference.low) and isnan(p)


def test_over_seeds_covers_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(4).normal(90, 0.3, size=(1500, 5))
    intervals = [over_seeds(draw)[0] for draw in draws]
    assert 0.93 < np.mean([it.low <= 90 <= it.high for it in intervals]) < 0.97


@settings(deadline=None, max_examples=40)
@given(accuracies, st.integers(0, 1000))
def test_a_paired_difference_is_the_paired_t_test(values: list[float], seed: int) -> None:
    a = np.array(values)
    b = a + np.random.default_rng(seed).normal(0.2, 0.5, len(a))
    interval, p = paired_difference(a, b)
    theirs = ttest_rel(a, b)
    assert p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    back, same = paired_difference(b, a)
    assert same == pytest.approx(p) and back.estimate == pytest.approx(-interval.estimate)
    assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


def test_equal_differences() -> None:
    a = np.array([90.0, 91.0, 92.5])
    assert paired_difference(a, a)[1] == 1.0
    interval, p = paired_difference(a + 0.5, a)
    assert p == 0.0 and (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)


def test_seeds_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="paired differences need the same seeds: 3 and 2 values"):
        paired_difference(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="at least one value"):
        over_seeds(np.zeros(0))
    with pytest.raises(ValueError, match="at least one value"):
        paired_difference(np.zeros(0), np.zeros(0))
