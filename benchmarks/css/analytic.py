"""Claims that need no data: the bound of Theorem 2, the printed latencies by their rules, and Lemma 1."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import partial
from itertools import product

from benchmarks.css.settings import PAPER
from benchmarks.methods import method
from benchmarks.published import read_published
from benchmarks.tables.analytic import Case

GRID = 2000  # values of a from 0 to the largest, and as many below


def coding_error(beta: Fraction, timesteps: int, ternary: bool) -> float:
    """Largest ``|a - sum_t beta**(T-t) s[t]|`` over a grid of values (ternary: of both signs), in spike amplitudes; exact."""
    total = sum((beta**t for t in range(timesteps)), Fraction(0))
    return float(
        max(abs(_left_over(total * k / GRID, beta, timesteps, ternary)) for k in range(-GRID if ternary else 0, GRID + 1))
    )


def _left_over(value: Fraction, beta: Fraction, timesteps: int, ternary: bool) -> Fraction:
    """``u[T]`` of the encoder of Theorem 2, amplitude 1; see ``snncore.conversion.PotentialEncoder``."""
    u = value / beta**timesteps
    for _ in range(timesteps):
        u *= beta
        if ternary:
            u -= (u >= Fraction(1, 2)) - (u <= Fraction(-1, 2))
        else:
            u -= u >= 1
    return u


def latency_difference(name: str, architecture: str, timesteps: int, printed: int) -> float:
    """Latency by the rule of a method's code, minus the printed one; the layers are the number in the network's name."""
    found = re.search(r"\d+$", architecture)
    assert found is not None
    return float(method(name).steps(timesteps, int(found.group())).latency - printed)


def residuals_of_lemma_1(timesteps: int, epsilon: float) -> tuple[int, int]:
    """How many input trains meet Lemma 1's condition, Eq. 9 at every t0, and how many of them end with ``u[T] >= epsilon``.

    One neuron, beta = 2, threshold and amplitude 1, positive spikes only, inputs from {-1, -1/2, ..., 2} at each step, no bias.
    """
    held = violated = 0
    for train in product([step / 2 for step in range(-2, 5)], repeat=timesteps):
        potentials = [0.0]
        for z in train:
            u = 2 * potentials[-1] + z
            potentials.append(u - (u >= 1))
        condition = all(
            2 ** (timesteps - t0 + 1) * potentials[t0 - 1]
            + sum(2 ** (timesteps - t) * train[t - 1] for t in range(t0, timesteps + 1))
            < epsilon + sum(2 ** (timesteps - t) for t in range(t0, timesteps + 1))
            for t0 in range(1, timesteps + 1)
        )
        held += condition
        violated += condition and potentials[-1] >= epsilon
    return held, violated


def _of_lemma_1(timesteps: int, epsilon: float, index: int) -> float:
    return float(residuals_of_lemma_1(timesteps, epsilon)[index])


BETAS = (Fraction(6, 5), Fraction(3, 2), Fraction(2), Fraction(3))
ERROR = "largest coding error over the spike amplitude"
LATENCY = "latency by rule minus printed"
LEMMA = ("input trains that meet Eq. 9 at every t0", "those of them that leave epsilon or more")

CASES = (
    *(
        Case(
            "S02",
            ERROR,
            f"{'ternary' if ternary else 'binary'}, beta={float(beta)}, T={t}",
            partial(coding_error, beta, t, ternary),
        )
        for ternary, betas in ((False, BETAS[:3]), (True, BETAS))
        for beta in betas
        for t in (4, 8, 12)
    ),
    *(
        Case(
            "S12",
            LATENCY,
            f"row {row['row']}: {row['method']}, {row['architecture']}, T={row['timesteps']}",
            partial(latency_difference, row["method"], row["architecture"], int(row["timesteps"]), int(row["latency_paper"])),
        )
        for _, row in read_published(PAPER, "table2").iterrows()
    ),
    *(
        Case("Lemma 1", what, f"epsilon={epsilon}, T={t}", partial(_of_lemma_1, t, epsilon, index))
        for epsilon in (1.0, 0.5)
        for t in (2, 3, 4)
        for index, what in enumerate(LEMMA)
    ),
)
