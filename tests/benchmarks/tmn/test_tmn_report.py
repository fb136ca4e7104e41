"""Sentences of the TMN report that are made from measured rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.harness.results import read_table
from benchmarks.profiles import load_profile
from benchmarks.tables.columns import measured_on
from benchmarks.tmn.artifacts import TABLE2
from benchmarks.tmn.report import SECTIONS, energy, scaled_thresholds, table2, table3


@pytest.fixture
def rows() -> pd.DataFrame:
    shared = {
        "dataset": "CIFAR-10",
        "architecture": "ResNet-20",
        "dataset_used": "uoft-cs/cifar10",
        "architecture_used": "resnet20",
    }
    measured = [("RMP-SNN", 256, 80.0), ("RMP-SNN", 512, 60.0), ("RMP-SNN, scaled", 64, 9.0), ("RMP-SNN, scaled", 256, 1.5)]
    return pd.DataFrame(
        [
            shared
            | {"method": method, "timesteps": timesteps, "loss": loss, "status": "measured"}
            | {"loss_ci95_low": loss - 1, "loss_ci95_high": loss + 1}
            for method, timesteps, loss in measured
        ]
    )


def test_losses_with_and_without_scaled_thresholds_are_those_of_the_same_steps(rows: pd.DataFrame) -> None:
    (text,) = scaled_thresholds(rows)
    assert (
        "ResNet-20 on CIFAR-10 at T = 256: 80.00 [79.00, 81.00] points with them and 1.50 [0.50, 2.50] with scaled ones." in text
    )


def test_nothing_is_said_without_steps_in_common(rows: pd.DataFrame) -> None:
    assert scaled_thresholds(rows[rows["timesteps"] != 256]) == []
    assert scaled_thresholds(rows[rows["method"] == "RMP-SNN"]) == []


def test_a_quantised_network_is_named_as_the_paper_names_it(rows: pd.DataFrame) -> None:
    row = rows.iloc[0].copy()
    row["architecture_used"] = "resnet20, clip-64"
    assert measured_on(row) == "ResNet-20, clip-64 on CIFAR-10"
    row["status"] = "stand-in"
    assert measured_on(row) == "resnet20, clip-64 on uoft-cs/cifar10"


def test_rows_that_a_profile_adds_are_shown_without_a_printed_value() -> None:
    stored = read_table(Path(__file__).parents[3] / "results" / "embedded" / "tmn" / "table2.csv", TABLE2)
    added = stored[stored["row"] == 7].assign(row=36, method="mine:Own", ann_metric_paper=None, snn_metric_paper=None)
    parts = table2({"table2": pd.concat([stored, added]).astype(stored.dtypes.to_dict())}, load_profile("embedded"))
    (line,) = [line for part in parts if isinstance(part, str) for line in part.splitlines() if "mine:Own" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "36" and cells[5:7] == ["– → –", "–"]
    assert cells[-2:] == ["*–*", "*stand-in: not printed*"]


def test_energies_are_compared_where_a_method_loses_little_from_there_on(tmn_tables: Any) -> None:
    """TMN at T = 3 (0.15 mJ, first layer once 0.12), COS at 8 (0.40; 0.60 with pre-simulation; 0.32), Fast-SNN at no T."""

    def cells(tables: Any) -> list[list[str]]:
        text = "\n".join(part for part in energy(tables, load_profile("workstation")) if isinstance(part, str))
        lines = [line for line in text.splitlines() if line.startswith("| ResNet-20")]
        return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]

    tables = tmn_tables()
    assert cells(tables) == [
        ["TMN", "3-4", "3", "0.10 [-0.02, 0.22]", "0.15", "–", "0.12", "–", "–", "–"],
        ["COS", "4, 8, 14", "8", "0.40 [0.28, 0.52]", "0.4", "0.6", "0.32", "0.375", "0.250", "0.375"],
        ["Fast-SNN", "7, 14", "none", "0.80 [0.68, 0.92] at T = 14", "–", "–", "–", "–", "–", "–"],
    ]
    again = tables["energy"].copy()
    again.loc[(again["method"] == "TMN") & (again["timesteps"] == 4), "loss"] = 0.6  # beyond the clip
    again.loc[(again["method"] == "COS") & (again["timesteps"] == 14), "loss"] = 0.6  # a lucky T = 8 does not count
    assert [line[2] for line in cells({"energy": again})] == ["3", "none", "none"]
    again.loc[again["method"] == "TMN", "loss"] = [0.6, 0.1]
    assert cells({"energy": again})[0][2:4] == ["none", "0.60 [-0.02, 0.22] at T = 3"]


def test_table_3_points_to_equal_accuracies(tmn_tables: Any) -> None:
    tables = tmn_tables()
    worse = tables["table3"].copy()
    worse.loc[worse["method"] == "COS", "snn_metric"] -= 2.0
    said = [part for part in table3({"table3": worse}, load_profile("workstation")) if isinstance(part, str)]
    (text,) = [part for part in said if part.startswith("These are energies at the printed T")]
    assert text.endswith("See *Energy at a loss of at most 0.5 points* below.") and "COS is 2.00 points" in text
    titles = [section.title for section in SECTIONS]
    assert titles.index("Energy at a loss of at most 0.5 points") == titles.index("Table 3: energy") + 1
