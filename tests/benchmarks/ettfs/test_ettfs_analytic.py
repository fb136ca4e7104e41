"""Random stacks and random spikes: what the definitions give, case by case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from benchmarks.ettfs import analytic
from benchmarks.ettfs.analytic import Case, cases, single_spikes

NOTHING: dict[str, Any] = dict.fromkeys(("width", "depth", "timesteps", "draws"), [])
STACKS = {"width": 120, "depth": 3, "timesteps": [4, 8], "draws": 2}


def values(claim: str, quantity: str, found: Iterable[Case]) -> dict[str, float]:
    return {case.case: case.compute() for case in found if case.claim == claim and case.quantity == quantity}


def test_every_case_is_named_once() -> None:
    found = list(cases(STACKS))
    names = [(case.claim, case.quantity, case.case) for case in found]
    assert len(set(names)) == len(names)
    # per number of timesteps and layer: two variances, one mean, two shares; and six cases of pooling
    assert len(found) == 2 * 3 * (2 + 1 + 2) + 6


def test_without_stacks_only_pooling_is_left() -> None:
    assert {case.claim for case in cases(NOTHING)} == {"E08"}


def test_variances_of_currents() -> None:
    found = list(cases(STACKS))
    kaiming = values("E01", "variance of the current X[t]", found)
    ettfs = values("E02", "variance of the current X[t]", found)
    assert len(kaiming) == len(ettfs) == 6
    for timesteps in (4, 8):
        for layer in (1, 2, 3):
            end = f", T = {timesteps}, forced last spike, layer {layer}"
            assert abs(kaiming["kaiming" + end] * timesteps / 2 - 1) < 0.25
            assert abs(ettfs["ettfs" + end] - 1) < 0.25
    assert all(abs(mean) < 0.2 for mean in values("E02", "mean of the current X[t]", found).values())


def test_shares_of_neurons_that_fire() -> None:
    shares = values("E03", "share of neurons that fire", cases(STACKS))
    assert len(shares) == 12 and all(0 <= share <= 1 for share in shares.values())
    for timesteps in (4, 8):
        ours, theirs = ([shares[f"{name}, T = {timesteps}, no forced spike, layer {k}"] for k in (1, 2, 3)] for name in ("ettfs", "kaiming"))
        assert all(a > b for a, b in zip(ours, theirs, strict=True))
        assert theirs[0] > theirs[1] > theirs[2]


def test_pooling() -> None:
    found = list(cases(NOTHING))
    largest = values("E08", "largest sum of a pooled train over time", found)
    assert largest["max pooling, 2x2"] == 4 and largest["max pooling, 3x3"] > 4
    assert largest["average pooling, 2x2"] <= 1 and largest["average pooling, 3x3"] <= 1 + 1e-12
    difference = values("E08", "largest difference between pooling before and after summing over time", found)
    assert difference["average pooling, 2x2"] < 1e-12 and difference["max pooling, 2x2"] == 3


def test_the_same_numbers_every_time() -> None:
    first = [case.compute() for case in cases(STACKS)]
    analytic._statistics.cache_clear()
    torch.manual_seed(5)
    assert [case.compute() for case in cases(STACKS)] == first


def test_every_neuron_fires_once_at_any_step() -> None:
    spikes = single_spikes((50, 40), 4, torch.Generator().manual_seed(0))
    assert spikes.shape == (4, 50, 40) and spikes.dtype == torch.float64
    assert torch.equal(spikes.sum(0), torch.ones(50, 40, dtype=torch.float64))
    assert ((spikes.mean((1, 2)) - 0.25).abs() < 0.05).all()
