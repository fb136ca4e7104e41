"""Claims that need no data: coding errors against brute force, latencies by rule, and Lemma 1 worked by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from benchmarks.css import analytic
from benchmarks.css.analytic import CASES, coding_error, latency_difference, residuals_of_lemma_1

HALF = Fraction(1, 2)
GRID = 120


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytic, "GRID", GRID)


def worst(beta: Fraction, timesteps: int, ternary: bool) -> float:
    """Of every value of the grid the greedy train, weight by weight on what is left of the value."""
    weights = [beta ** (timesteps - t) for t in range(1, timesteps + 1)]
    errors = []
    for k in range(-GRID if ternary else 0, GRID + 1):
        left = sum(weights) * Fraction(k, GRID)
        for weight in weights:
            level = weight * (HALF if ternary else 1)
            left -= weight * ((left >= level) - (ternary and left <= -level))
        errors.append(abs(left))
    return float(max(errors))


@pytest.mark.parametrize("beta", [Fraction(6, 5), Fraction(3, 2), Fraction(2), Fraction(3)])
@pytest.mark.parametrize("timesteps", [1, 2, 3])
@pytest.mark.parametrize("ternary", [True, False])
def test_the_coding_error_is_that_of_brute_force(beta: Fraction, timesteps: int, ternary: bool) -> None:
    assert coding_error(beta, timesteps, ternary) == worst(beta, timesteps, ternary)


@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_at_beta_2_the_error_is_the_distance_to_a_whole_number(timesteps: int) -> None:
    """Values from 0 to ``2**T - 1``: cut off with binary spikes, rounded with ternary ones."""
    values = [Fraction((2**timesteps - 1) * k, GRID) for k in range(GRID + 1)]
    assert coding_error(Fraction(2), timesteps, False) == float(max(v - v // 1 for v in values))
    assert coding_error(Fraction(2), timesteps, True) == float(max(min(v % 1, 1 - v % 1) for v in values))


def test_no_greedy_train_is_better_than_the_nearest_value_of_the_code() -> None:
    weights = [Fraction(9, 4), Fraction(3, 2), Fraction(1)]
    codes = {sum(w * s for w, s in zip(weights, train, strict=True)) for train in product((-1, 0, 1), repeat=3)}
    nearest = max(min(abs(sum(weights) * Fraction(k, GRID) - c) for c in codes) for k in range(-GRID, GRID + 1))
    assert float(nearest) <= coding_error(Fraction(3, 2), 3, True) <= 0.5


def test_the_bound_of_binary_spikes_fails_above_beta_2() -> None:
    assert coding_error(Fraction(3), 4, False) > 1 >= 2 * coding_error(Fraction(3), 4, True)


def test_cases_are_named_once_and_those_of_theorem_2_meet_its_bound() -> None:
    names = [(case.claim, case.quantity, case.case) for case in CASES]
    assert len(set(names)) == len(names)
    found = {case.case: case.compute() for case in CASES if case.claim == "S02"}
    assert len(found) == 3 * (3 + 4)
    assert all(error <= 0.5 if case.startswith("ternary") else error < 1 for case, error in found.items())
    assert max(found.values()) > 0.9  # binary spikes do come near their bound


# ---- latency ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "architecture", "timesteps", "latency"),
    [
        ("TSA", "ResNet-20", 12, 32),
        ("FS-Conversion", "ResNet-20", 10, 200),
        ("LC-TTFS", "VGG-16", 50, 800),
        ("OPI", "VGG-16", 128, 128),
    ],
)
def test_latency_by_rule(name: str, architecture: str, timesteps: int, latency: int) -> None:
    assert latency_difference(name, architecture, timesteps, latency) == 0
    assert latency_difference(name, architecture, timesteps, latency - 3) == 3


def test_the_rules_give_every_printed_latency() -> None:
    found = [case.compute() for case in CASES if case.claim == "S12"]
    assert found == [0.0] * 21


# ---- Lemma 1 ----------------------------------------------------------------------------------------------------------


def test_a_counterexample_by_hand() -> None:
    """T = 2, epsilon = 1/2, inputs 0 and 1/2: no spike, since 1/2 is below the threshold of 1, so that ``u[2] = 1/2``.

    Eq. 9 all the same: at t0 = 1, ``4 u[0] + 2 z[1] + z[2] = 1/2 < 1/2 + 3``; at t0 = 2, ``2 u[1] + z[2] = 1/2 < 1/2 + 1``.
    """
    u1 = 2 * 0.0 + 0.0
    u2 = 2 * u1 + 0.5
    assert u1 < 1 and u2 < 1
    assert 4 * 0.0 + 2 * 0.0 + 0.5 < 0.5 + 3 and 2 * u1 + 0.5 < 0.5 + 1
    assert u2 >= 0.5
    assert residuals_of_lemma_1(2, 0.5)[1] > 0


def test_one_step_by_hand() -> None:
    """T = 1: Eq. 9 is ``z < 1 + epsilon``. Of the inputs -1, -1/2, ..., 2, those up to 1 (up to 3/2) meet it for 1/2 (for 1).

    What stays is z below the threshold of 1 and z - 1 from it on: only z = 1/2 leaves 1/2, and nothing leaves 1.
    """
    assert residuals_of_lemma_1(1, 0.5) == (5, 1)
    assert residuals_of_lemma_1(1, 1.0) == (6, 0)


def test_from_the_residual_follows_the_condition_and_from_1_on_also_the_other_way() -> None:
    """Two steps, counted in halves by whole numbers; the trains that leave less than epsilon all meet the condition."""
    for epsilon in (1, 2):  # in halves
        met = both = small = 0
        for z1, z2 in product(range(-2, 5), repeat=2):
            u1 = z1 - 2 * (z1 >= 2)
            u2 = 2 * u1 + z2
            u2 -= 2 * (u2 >= 2)
            condition = 2 * z1 + z2 < epsilon + 6 and 2 * u1 + z2 < epsilon + 2
            met, small = met + condition, small + (u2 < epsilon)
            both += condition and u2 < epsilon
        assert residuals_of_lemma_1(2, epsilon / 2) == (met, met - both)
        assert both == small and (met > small) == (epsilon == 1)


def test_stored_counts_of_lemma_1_are_violations_below_the_amplitude_only() -> None:
    found = {(case.case, case.quantity): case.compute() for case in CASES if case.claim == "Lemma 1" and "T=4" not in case.case}
    for (case, quantity), value in found.items():
        if quantity == analytic.LEMMA[1]:
            assert (value > 0) == case.startswith("epsilon=0.5")
            assert value < found[case, analytic.LEMMA[0]]
