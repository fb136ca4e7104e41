"""The audit of Table 3, against values worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks.published import read_published
from benchmarks.tmn import views
from benchmarks.tmn.energy_audit import first_layers, follows, implied_accumulates, printed_energy, ratios

ROWS = read_published("tmn", "table3")
FIRST_LAYERS = {"CIFAR-10": 64 * 32**2 * (27 + 1), "ImageNet": 64 * 224**2 * (27 + 1)}


def test_two_printed_energies_do_not_follow() -> None:
    assert [row["row"] for _, row in ROWS.iterrows() if not follows(row)] == [2, 7]
    by = {row["row"]: row for _, row in ROWS.iterrows()}
    assert round(implied_accumulates(by[2]) / 10**6, 2) == Decimal("267.95")
    assert round(implied_accumulates(by[7]) / 10**9, 2) == Decimal("19.40")
    energy, slack = printed_energy("258.35M", "11.01M")
    assert energy == Decimal("0.283161") and slack == Decimal("0.0000275")


def test_multiply_accumulates_are_t_times_one_first_layer() -> None:
    for dataset, (low, high) in first_layers(ROWS).items():
        assert low <= FIRST_LAYERS[dataset] <= high and high / low < Decimal("1.002")
    with pytest.raises(ValueError, match="CIFAR-10: multiply-accumulates are no common multiple"):
        first_layers(ROWS.replace({"macs_paper": {"11.01M": "11.51M"}}))


def test_savings_by_each_way_of_accounting() -> None:
    found = ratios(ROWS)
    savings = {name: [round(100 * (1 - each[name]), 1) for each in found.values()] for name in ("as printed", "first layer once")}
    assert savings == {"as printed": [45.1, 50.7, 50.1, 56.4], "first layer once": [40.5, 47.7, 47.5, 53.6]}
    assert list(found) == [("CIFAR-10", "COS"), ("CIFAR-10", "Fast-SNN"), ("ImageNet", "COS"), ("ImageNet", "Fast-SNN")]


def test_the_audit_names_what_it_found() -> None:
    assert "Rows 2 and 7 do not: row 2 would need 267.95M ACs, row 7 would need 19,401" in views.doubtful()
    assert views.audited().count("**does not follow**") == 2 and "| CIFAR-10 | COS | 0.549 |" in views.accounts()
