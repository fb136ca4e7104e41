"""Sentences of the TMN report that are made from measured rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.harness.report import render
from benchmarks.harness.results import read_table, write_table
from benchmarks.profiles import load_profile
from benchmarks.tables.artifacts import artifacts_of
from benchmarks.tables.columns import measured_on
from benchmarks.tmn.artifacts import TABLE2
from benchmarks.tmn.views import equal_energies, scaled_thresholds, table2


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
    expected = "ResNet-20 on CIFAR-10 at T = 256: 80.00 [79.00, 81.00] points with them and 1.50 [0.50, 2.50] with scaled ones"
    assert scaled_thresholds(rows) == expected


def test_nothing_is_said_without_steps_in_common(rows: pd.DataFrame) -> None:
    assert scaled_thresholds(rows[rows["timesteps"] != 256]) == ""
    assert scaled_thresholds(rows[rows["method"] == "RMP-SNN"]) == ""


def test_a_quantised_network_is_named_as_the_paper_names_it(rows: pd.DataFrame) -> None:
    row = rows.iloc[0].copy()
    row["architecture_used"] = "resnet20, clip-64"
    assert measured_on(row) == "ResNet-20, clip-64 on CIFAR-10"
    row["status"] = "stand-in"
    assert measured_on(row) == "resnet20, clip-64 on uoft-cs/cifar10"


def test_rows_that_a_profile_adds_are_shown_without_a_printed_value() -> None:
    stored = read_table(Path(__file__).parents[3] / "results" / "embedded" / "tmn" / "table2.csv", TABLE2)
    added = stored[stored["row"] == 7].assign(row=36, method="mine:Own", ann_metric_paper=None, snn_metric_paper=None)
    text = table2(pd.concat([stored, added]).astype(stored.dtypes.to_dict()))
    (line,) = [line for line in text.splitlines() if "mine:Own" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "36" and cells[5:7] == ["– → –", "–"]
    assert cells[-2:] == ["*–*", "*stand-in: not printed*"]


def test_energies_are_compared_where_a_method_loses_little_from_there_on(tmn_tables: Any) -> None:
    """TMN at T = 3 (0.15 mJ, first layer once 0.12), COS at 8 (0.40; 0.60 with pre-simulation; 0.32), Fast-SNN at no T."""

    def cells(rows: pd.DataFrame) -> list[list[str]]:
        lines = [line for line in equal_energies(rows).splitlines() if line.startswith("| ResNet-20")]
        return [[cell.strip() for cell in line.strip("|").split("|")][1:] for line in lines]

    tables = tmn_tables()
    assert cells(tables["energy"]) == [
        ["TMN", "3-4", "3", "0.10 [-0.02, 0.22]", "0.15", "–", "0.12", "–", "–", "–"],
        ["COS", "4, 8, 14", "8", "0.40 [0.28, 0.52]", "0.4", "0.6", "0.32", "0.375", "0.250", "0.375"],
        ["Fast-SNN", "7, 14", "none", "0.80 [0.68, 0.92] at T = 14", "–", "–", "–", "–", "–", "–"],
    ]
    again = tables["energy"].copy()
    again.loc[(again["method"] == "TMN") & (again["timesteps"] == 4), "loss"] = 0.6  # beyond the clip
    again.loc[(again["method"] == "COS") & (again["timesteps"] == 14), "loss"] = 0.6  # a lucky T = 8 does not count
    assert [line[2] for line in cells(again)] == ["3", "none", "none"]
    again.loc[again["method"] == "TMN", "loss"] = [0.6, 0.1]
    assert cells(again)[0][2:4] == ["none", "0.60 [-0.02, 0.22] at T = 3"]


def page(tables: dict[str, pd.DataFrame], folder: Path) -> str:
    for name, artifact in artifacts_of("tmn").items():
        if name in tables:
            write_table(folder / "results" / "embedded" / "tmn" / f"{name}.csv", tables[name], artifact.schema)
    written, *_ = render("tmn", load_profile("embedded"), folder / "results", folder / "reports")
    return written.read_text(encoding="utf-8")


def test_table_3_points_to_equal_accuracies(tmn_tables: Any, tmp_path: Path) -> None:
    worse = tmn_tables()["table3"].copy()
    worse.loc[worse["method"] == "COS", "snn_metric"] -= 2.0
    lines = page({"table3": worse}, tmp_path).splitlines()
    (text,) = [line for line in lines if line.startswith("These are energies at the printed T")]
    assert text.endswith("See *Energy at a loss of at most 0.5 points* below.") and "COS is 2.00 points" in text
    titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert titles.index("Energy at a loss of at most 0.5 points") == titles.index("Table 3: energy") + 1


@pytest.mark.parametrize("keep", [slice(None, None, 2), slice(0, 1), slice(0, 0)])
def test_a_page_survives_rows_that_were_not_run(tmn_tables: Any, tmp_path: Path, keep: slice) -> None:
    part = {}
    for name, table in tmn_tables().items():
        schema = artifacts_of("tmn")[name].schema
        skipped = table.drop(table.index[keep]).index
        part[name] = table.copy()
        part[name].loc[skipped, [column.name for column in schema.measures]] = None
        part[name].loc[skipped, "status"] = "not run: too slow"
    text = page(part, tmp_path)
    assert not {"nan", "<NA>", "nan,"} & set(text.replace("|", " ").split())
    assert ("## Figure 4(b): encoding error over depth\n\nNot run: too slow." in text) == (keep == slice(0, 0))


def test_one_table_is_enough_for_a_page(tmn_tables: Any, tmp_path: Path) -> None:
    assert "Not run yet: `snnbench run tmn table2 controls" in page({"figure1d": tmn_tables()["figure1d"]}, tmp_path)
