"""The audit of Table 3, against values worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.tmn.views import PRINTED, audited, over_others, printed_count

FIRST_LAYERS = {"CIFAR-10": 64 * 32**2 * (27 + 1), "ImageNet": 64 * 224**2 * (27 + 1)}


def test_two_printed_energies_do_not_follow() -> None:
    doubtful = PRINTED[~PRINTED["follows"]].set_index("row")
    assert (doubtful["implied"] / 1e6).round(2).to_dict() == {2: 267.95, 7: pytest.approx(19_400, abs=5)}
    assert doubtful["recomputed"][2] == pytest.approx(0.283161)
    assert printed_count("258.35M") == pytest.approx((258.35e6, 5000)) and printed_count("") == (0, 0)
    assert audited(PRINTED).count("**does not follow**") == 2


def test_multiply_accumulates_are_t_times_one_first_layer() -> None:
    for dataset, rows in PRINTED.dropna(subset="timesteps").groupby("dataset"):
        low, high = rows["least"].max(), rows["most"].min()
        assert low <= FIRST_LAYERS[str(dataset)] <= high and high / low < 1.002


def test_savings_by_each_way_of_accounting() -> None:
    text = over_others(PRINTED, {"as printed": "energy_mj_paper", "first layer once": "once"})
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]] == [
        ["CIFAR-10", "COS", "0.549", "0.595"],
        ["CIFAR-10", "Fast-SNN", "0.493", "0.523"],
        ["ImageNet", "COS", "0.499", "0.525"],
        ["ImageNet", "Fast-SNN", "0.436", "0.464"],
    ]
