"""Capacities of codes: the formula against an enumeration of all trains."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from benchmarks.tmn.analytic import CAPACITIES, enumerate_values
from snncore.coding import CSSCode


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize("code", CAPACITIES)
def test_capacity_counts_what_enumeration_finds(code: str, steps: int) -> None:
    assert CAPACITIES[code](steps) == len(enumerate_values(code, steps))


@pytest.mark.parametrize("steps", range(1, 9))
def test_the_values_of_the_css_code_are_all_integers_between_its_extremes(steps: int) -> None:
    assert enumerate_values("css", steps) == set(range(-(2**steps - 1), 2**steps))


def test_enumeration_agrees_with_decode() -> None:
    trains = torch.tensor(list(product((-1.0, 0.0, 1.0), repeat=5)), dtype=torch.float64).T
    code = CSSCode(5)
    assert set(code.decode(trains, code.total).round().int().tolist()) == enumerate_values("css", 5)
