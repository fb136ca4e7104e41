"""The audit of Table 3, against values worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.published import read_published
from benchmarks.tmn.views import (
    DOUBTFUL,
    accounts,
    audited,
    first_layers,
    follows,
    implied_accumulates,
    printed_count,
    printed_energy,
)

ROWS = read_published("tmn", "table3")
FIRST_LAYERS = {"CIFAR-10": 64 * 32**2 * (27 + 1), "ImageNet": 64 * 224**2 * (27 + 1)}


def test_two_printed_energies_do_not_follow() -> None:
    assert [row["row"] for _, row in ROWS.iterrows() if not follows(row)] == [2, 7]
    by = {row["row"]: row for _, row in ROWS.iterrows()}
    assert round(implied_accumulates(by[2]) / 1e6, 2) == 267.95
    assert round(implied_accumulates(by[7]) / 1e9, 2) == 19.40
    assert printed_energy(by[2]) == pytest.approx(0.283161)
    assert printed_count("258.35M") == pytest.approx((258.35e6, 5000)) and printed_count("") == (0, 0)


def test_multiply_accumulates_are_t_times_one_first_layer() -> None:
    for dataset, (low, high) in first_layers().items():
        assert low <= FIRST_LAYERS[dataset] <= high and high / low < 1.002


def test_savings_by_each_way_of_accounting() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in accounts().splitlines()]
    assert lines[0] == ["Data set", "TMN over", "as printed", "recomputed", "first layer once", "Ternary Spike's constants"]
    found = {(dataset, other): (printed, once) for dataset, other, printed, _, once, _ in lines[2:]}
    assert found == {
        ("CIFAR-10", "COS"): ("0.549", "0.595"),
        ("CIFAR-10", "Fast-SNN"): ("0.493", "0.523"),
        ("ImageNet", "COS"): ("0.499", "0.525"),
        ("ImageNet", "Fast-SNN"): ("0.436", "0.464"),
    }


def test_the_audit_names_what_it_found() -> None:
    assert list(DOUBTFUL["row"]) == [2, 7]
    assert audited().count("**does not follow**") == 2
