"""The CSS paper's tables as published here: in agreement with its prose, its rules and our registry."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from importlib.resources import files

import pandas as pd
import pytest

from benchmarks.data.registry import DATASETS
from benchmarks.methods import METHODS
from benchmarks.published import read_published

ROWS = 21
OWN = {8: "ResNet-20", 9: "ResNet-18", 10: "VGG-16", 19: "VGG-16", 20: "ResNet-34", 21: "ResNet-50"}
LOSSES = {8: "0.04", 9: "-0.06", 10: "0.01", 19: "0.10", 20: "0.20", 21: "0.75"}


def text(name: str) -> str:
    return (files("benchmarks") / "css" / "published" / name).read_text(encoding="utf-8")


def raw(table: str) -> list[dict[str, str]]:
    """The rows of one file as strings, so that printed digits can be seen."""
    return list(csv.DictReader(text(f"{table}.csv").splitlines(), strict=True))


def row(number: int) -> dict[str, str]:
    return raw("table2")[number - 1]


def claim(name: str) -> dict[str, str]:
    (found,) = [line for line in raw("claims") if line["id"] == name]
    return found


def loss(line: dict[str, str]) -> Decimal:
    return Decimal(line["ann_metric_paper"]) - Decimal(line["snn_metric_paper"])


# ---- files ------------------------------------------------------------------------------------------------------------


def test_columns_and_types_of_table2() -> None:
    frame = read_published("css", "table2")
    assert all(frame[name].dtype == pd.Int64Dtype() for name in ("row", "timesteps", "latency_paper"))
    assert all(frame[name].dtype == "float64" for name in ("ann_metric_paper", "snn_metric_paper"))
    assert not frame.isna().any().any() and not (frame == "").any().any()


# ---- Table 2 ----------------------------------------------------------------------------------------------------------


def test_rows_are_numbered_and_grouped_by_data_set() -> None:
    rows = raw("table2")
    assert [line["dataset"] for line in rows] == ["CIFAR-10"] * 10 + ["ImageNet"] * 11
    assert {line["dataset"] for line in rows} <= {spec.paper_name for spec in DATASETS.values()}


def test_methods_are_in_the_registry_with_one_code_each() -> None:
    codes: dict[str, set[str]] = {}
    for line in raw("table2"):
        codes.setdefault(line["method"], set()).add(line["coding"])
    assert codes.keys() <= METHODS.keys()
    assert all(len(found) == 1 for found in codes.values())


def test_own_rows_are_those_of_css_coding() -> None:
    own = {int(line["row"]): line["architecture"] for line in raw("table2") if line["provenance"] == "own"}
    assert own == OWN
    assert {int(line["row"]) for line in raw("table2") if line["coding"] == "CSS"} == set(OWN)
    assert {line["method"] for line in raw("table2") if line["coding"] == "CSS"} == {"TSA"}


@pytest.mark.parametrize("number", range(1, ROWS + 1))
def test_latency_follows_the_rule_of_its_code(number: int) -> None:
    line = row(number)
    steps, layers = int(line["timesteps"]), int(line["architecture"].partition("-")[2])
    rules = {"rate": steps, "TSC": steps, "FS": layers * steps, "TTFS": layers * steps, "CSS": layers + steps}
    assert int(line["latency_paper"]) == rules[line["coding"]]


@pytest.mark.parametrize("number", LOSSES)
def test_losses_of_own_rows(number: int) -> None:
    assert loss(row(number)) == Decimal(LOSSES[number])


@pytest.mark.parametrize("number", range(1, ROWS + 1))
def test_accuracies_have_two_decimals_and_losses_are_small(number: int) -> None:
    line = row(number)
    assert all(re.fullmatch(r"\d\d\.\d\d", line[name]) for name in ("ann_metric_paper", "snn_metric_paper"))
    assert Decimal("-0.1") <= loss(line) < Decimal("1.2")


def test_a_trained_network_that_two_rows_quote_from_one_paper_is_the_same() -> None:
    assert row(12)["ann_metric_paper"] == row(13)["ann_metric_paper"] == "73.49"


# ---- figures and claims -----------------------------------------------------------------------------------------------


def test_figures_have_the_printed_panels_and_no_values() -> None:
    panels = [(line["figure"], line["panel"]) for line in raw("figures")]
    assert panels == [("Figure 1", p) for p in "abcd"] + [("Figure 2", p) for p in "ab"]
    assert {line["values_printed"] for line in raw("figures")} == {"none"}


@pytest.mark.parametrize(("name", "rows"), [("S08", [8]), ("S09", [9, 10]), ("S11", [19, 20, 21])])
def test_printed_losses_and_steps_of_claims_are_those_of_table2(name: str, rows: list[int]) -> None:
    found = claim(name)
    assert re.findall(r"-?\d+\.\d+", found["printed"]) == [LOSSES[number] for number in rows]
    for number in rows:
        assert row(number)["architecture"] in found["statement"] and f"T = {row(number)['timesteps']}" in found["statement"]


def test_the_latency_of_s08_is_that_of_its_row() -> None:
    assert f"latency {row(8)['latency_paper']}" in claim("S08")["statement"]


def test_s11_tolerates_twice_the_printed_loss_and_a_tenth() -> None:
    assert claim("S11")["tolerance"] == "at most twice the printed loss plus 0.1"


def test_the_steps_of_x02_are_printed_in_both_papers() -> None:
    printed = read_published("tmn", "table2").to_dict("records")
    own = [line for line in printed if line["method"] == "TMN" and line["no_quant"] == "yes" and line["dataset"] == "ImageNet"]
    assert {line["architecture"]: line["timesteps"] for line in own} == {"VGG-16": 8, "ResNet-34": 8}
    for number, layers in ((19, "VGG-16"), (20, "ResNet-34")):
        assert row(number)["architecture"] == layers and f"{row(number)['timesteps']} ({layers})" in claim("X02")["printed"]
    assert claim("X02")["printed"].startswith("8 against")
