"""Claims of the TMN paper: every verdict in both directions, on the tolerance's own edge where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tables.bounds import checks_of
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN, Verdict

Tables = dict[str, pd.DataFrame]
Row = dict[str, Any]
Make = Callable[..., Tables]

CLAIMS = checks_of("tmn")
TESTABLE = ("T01", "T02", "T03", "T04", "T05", "T06", "T07", "T11", "T17", "T19", "T23", "X01")
ANALYTIC = ("T01", "T23")


def changed(tables: Tables, name: str, change: Callable[[Row], Row]) -> Tables:
    """Tables with ``change(row)`` put over each row of one of them."""
    rows = [row | change(row) for row in tables[name].to_dict("records")]
    return tables | {name: pd.DataFrame(rows, columns=tables[name].columns)}


def without(tables: Tables, name: str) -> Tables:
    return {other: table for other, table in tables.items() if other != name}


def filled(tables: Tables, number: int, loss: float, status: str = "measured") -> Tables:
    """Tables whose Table 2 has this row measured with this loss."""

    def fill(row: Row) -> Row:
        if row["row"] != number:
            return {}
        values = {"ann_metric": 90.0, "snn_metric": 90.0 - loss, "loss": loss, "n_test": 10_000, "status": status}
        return values | {"loss_ci95_low": loss - 0.1, "loss_ci95_high": loss + 0.1, "dataset_used": "d", "architecture_used": "a"}

    return changed(tables, "table2", fill)


def verdict(name: str, tables: Tables) -> Verdict:
    return CLAIMS[name](tables)


@pytest.fixture
def tables(tmn_tables: Make) -> Tables:
    return tmn_tables()


# --- all claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIMS)
def test_full_tables(tables: Tables, name: str) -> None:
    others = {"T08": STAND_IN + REPRODUCED, "T14": PARTLY, "T21": STAND_IN + REPRODUCED}
    expected = REPRODUCED if name in TESTABLE else others.get(name, NOT_TESTED)
    assert verdict(name, tables).status == expected


@pytest.mark.parametrize("name", CLAIMS)
def test_on_stand_ins_only_identities_are_plainly_reproduced(tmn_tables: Make, name: str) -> None:
    status = verdict(name, tmn_tables(stand_in=True)).status
    if name in ANALYTIC:
        assert status == REPRODUCED
    else:
        assert status == NOT_TESTED or status.startswith(STAND_IN)


@pytest.mark.parametrize("name", CLAIMS)
def test_rows_that_were_not_run_give_their_reason(tables: Tables, name: str) -> None:
    empty = {artifact: table.assign(status="not run: the disk is on holiday") for artifact, table in tables.items()}
    result = verdict(name, empty)
    assert result.status == NOT_TESTED
    assert "the disk is on holiday" in result.evidence


@pytest.mark.parametrize("name", CLAIMS)
def test_evidence_is_one_sentence_in_one_line(tables: Tables, name: str) -> None:
    evidence = verdict(name, tables).evidence
    assert evidence.endswith(".") and "\n" not in evidence


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("row", [0, 3, -1])
def test_a_single_row_of_each_table_is_enough_not_to_fail(tables: Tables, name: str, row: int) -> None:
    single = {artifact: table.iloc[[min(row, len(table) - 1)]] for artifact, table in tables.items()}
    assert verdict(name, single).evidence


# --- analytic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "value"), [("beta=2.0, T=8", 1e-9), ("beta=1.5, T=8", 2e-5)])
def test_t01_needs_integers_to_be_exact_and_others_to_be_close(tables: Tables, case: str, value: float) -> None:
    broken = changed(tables, "analytic", lambda row: {"value": value} if (row["claim"], row["case"]) == ("T01", case) else {})
    assert verdict("T01", broken).status == PARTLY


def test_t01_accepts_rounding_at_a_base_that_is_not_whole(tables: Tables) -> None:
    case = ("T01", "beta=1.5, T=8")
    close = changed(tables, "analytic", lambda row: {"value": 1e-12} if (row["claim"], row["case"]) == case else {})
    assert verdict("T01", close).status == REPRODUCED


@pytest.mark.parametrize(("base", "value"), [("beta=2.0", 1.0), ("beta=1.5", 0.0)])
def test_t23_fails_on_a_mismatch_at_base_2_and_without_one_at_base_15(tables: Tables, base: str, value: float) -> None:
    broken = changed(
        tables, "analytic", lambda row: {"value": value} if row["claim"] == "T23" and row["case"].startswith(base) else {}
    )
    assert verdict("T23", broken).status == NOT_REPRODUCED


# --- figures -------------------------------------------------------------------------------------


def test_t02_one_minimum_elsewhere_is_partly_and_named(tables: Tables) -> None:
    moved = changed(
        tables, "figure4c", lambda row: {"mean_abs": 0.01} if (row["ratio"], row["scope"]) == (0.45, "spiking") else {}
    )
    result = verdict("T02", moved)
    assert result.status == PARTLY
    assert "mean |u| of neurons that spiked has it at 0.45 v" in result.evidence


def test_t02_all_minima_elsewhere_is_not_reproduced(tables: Tables) -> None:
    moved = changed(tables, "figure4c", lambda row: {"mean_abs": 0.01, "mean_square": 0.01} if row["ratio"] == 0.55 else {})
    assert verdict("T02", moved).status == NOT_REPRODUCED
    toy_too = changed(moved, "analytic", lambda row: {"value": 0.0} if "theta=0.55v" in row["case"] else {})
    assert verdict("T02", toy_too).status == NOT_REPRODUCED


def test_t02_needs_the_whole_grid(tables: Tables) -> None:
    cut = tables | {"figure4c": tables["figure4c"][tables["figure4c"]["ratio"] < 0.7]}
    assert verdict("T02", cut).status == NOT_TESTED


def test_t03_depends_on_rate_coding_from_zero_alone(tables: Tables) -> None:
    def error(row: Row, name: str, depths: range, exponents: tuple[int, ...] = (2, 3, 4, 5)) -> Row:
        hit = row["method"] == name and row["depth"] in depths and row["tmn_timesteps"] in exponents
        return {"mse": 1e-9} if hit else {}

    better_opi = changed(tables, "figure4b", lambda row: error(row, "OPI", range(1, 20)))
    result = verdict("T03", better_opi)
    assert result.status == REPRODUCED
    assert "against u[0] = v/2 at 0 of 76" in result.evidence
    one_layer = changed(tables, "figure4b", lambda row: error(row, "rate", range(1, 2), (3,)))
    result = verdict("T03", one_layer)
    assert result.status == PARTLY
    assert "not at T = 3, depth 1" in result.evidence
    first_layers = changed(tables, "figure4b", lambda row: error(row, "rate", range(1, 3)))
    assert verdict("T03", first_layers).status == NOT_REPRODUCED


def lowered(tables: Tables, by: float, predictive: str = "yes", steps: Sequence[int] = (), pre: Sequence[int] = ()) -> Tables:
    """Figure 4(a) with accuracies lowered, at these T and pre-charge lengths only if any are given."""

    def lower(row: Row) -> Row:
        hit = row["predictive_spiking"] == predictive
        hit &= row["timesteps"] in (steps or [row["timesteps"]]) and row["precharge_steps"] in (pre or [row["precharge_steps"]])
        return {"snn_metric": row["snn_metric"] - by, "loss": row["loss"] + by} if hit else {}

    return changed(tables, "figure4a", lower)


def test_t04_some_pair_must_match_at_every_t(tables: Tables) -> None:
    assert verdict("T04", lowered(tables, 50.0)).status == NOT_REPRODUCED
    late_only = verdict("T04", lowered(tables, 50.0, steps=(2,)))
    assert late_only.status == PARTLY
    assert "2 of 3 T" in late_only.evidence


def test_t05_counts_every_deficit_and_puts_small_ones_in_context(tables: Tables) -> None:
    same = {"snn_metric": 90.0, "loss": 2.6, "loss_ci95_low": 2.5, "loss_ci95_high": 2.7}
    equal = changed(tables, "figure4a", lambda row: same)
    assert verdict("T05", equal).status == REPRODUCED
    result = verdict("T05", lowered(equal, 0.01, steps=(8,), pre=(2,)))
    assert result.status == PARTLY
    assert "1 of them outside the bounds (precharge steps 2, timesteps 8: -0.01)" in result.evidence
    assert result.evidence.endswith("; 1 of 1 with each loss inside the other's 95 % interval.")
    result = verdict("T05", lowered(equal, 5.0))
    assert result.status == NOT_REPRODUCED
    assert "; 0 of 12 with each loss inside" in result.evidence


@pytest.mark.parametrize(
    ("rate", "status"), [(0.10, NOT_REPRODUCED), (0.101, REPRODUCED), (0.15, REPRODUCED), (0.151, NOT_REPRODUCED)]
)
def test_t06_range(tables: Tables, rate: float, status: str) -> None:
    set_to = changed(tables, "figure4a", lambda row: {"spike_rate": rate if row["predictive_spiking"] == "yes" else 0.1})
    assert verdict("T06", set_to).status == status


@pytest.mark.parametrize(("by", "status"), [(0.1, REPRODUCED), (0.11, NOT_REPRODUCED)])
def test_t07_edge(tables: Tables, by: float, status: str) -> None:
    flat = changed(tables, "figure4a", lambda row: {"snn_metric": 90.0})
    assert verdict("T07", lowered(flat, by, pre=(1,))).status == status


def test_t07_ignores_runs_without_predictive_spiking(tables: Tables) -> None:
    assert verdict("T07", lowered(tables, 40.0, predictive="no", pre=(1,))).status == REPRODUCED


# --- Table 2 -------------------------------------------------------------------------------------

EDGES = [
    ("T09", 9, 0.20, False),
    ("T10", 8, 0.15, True),
    ("T11", 7, 0.25, False),
    ("T12", 14, 0.15, True),
    ("T13", 24, 0.5, False),
]


@pytest.mark.parametrize(("name", "row", "most", "symmetric"), EDGES)
def test_losses_on_the_edge(tables: Tables, name: str, row: int, most: float, symmetric: bool) -> None:
    assert verdict(name, filled(tables, row, most)).status == REPRODUCED
    assert verdict(name, filled(tables, row, most + 0.01)).status == NOT_REPRODUCED
    gained = verdict(name, filled(tables, row, -most - 0.01)).status
    assert gained == (NOT_REPRODUCED if symmetric else REPRODUCED)
    assert verdict(name, filled(tables, row, most, "stand-in")).status == STAND_IN + REPRODUCED
    assert verdict(name, filled(tables, row, most + 0.01, "stand-in")).status == STAND_IN + NOT_REPRODUCED


@pytest.mark.parametrize(("name", "rows"), [("T14", (20, 21)), ("T16", (30, 35))])
def test_losses_of_two_rows(tables: Tables, name: str, rows: tuple[int, int]) -> None:
    both = filled(filled(tables, rows[0], 0.4), rows[1], 0.4)
    assert verdict(name, both).status == REPRODUCED
    assert verdict(name, filled(both, rows[1], 0.41)).status == PARTLY
    assert verdict(name, filled(filled(both, rows[1], 0.41), rows[0], 0.41)).status == NOT_REPRODUCED
    one = verdict(name, filled(tables | {"table2": tables["table2"].assign(status="not run: why")}, rows[0], 0.1))
    assert one.status == PARTLY
    assert f"row {rows[1]}: why" in one.evidence


@pytest.mark.parametrize(
    ("tmn", "calibration", "status"),
    [
        (0.6, 0.7, REPRODUCED),
        (0.61, 0.7, NOT_REPRODUCED),
        (0.3, 0.3, NOT_REPRODUCED),
        (0.3, None, PARTLY),
        (0.7, None, NOT_REPRODUCED),
    ],
)
def test_t15_compares_with_snn_calibration(tables: Tables, tmn: float, calibration: float | None, status: str) -> None:
    given_rows = filled(tables, 29, tmn)
    if calibration is not None:
        given_rows = filled(given_rows, 26, calibration)
    assert verdict("T15", given_rows).status == status


def test_t15_does_not_compare_losses_of_different_networks(tables: Tables) -> None:
    both = filled(filled(tables, 29, 0.3), 26, 0.1)
    elsewhere = both["table2"]["architecture_used"].mask(both["table2"]["row"] == 26, "resnet20")
    found = verdict("T15", both | {"table2": both["table2"].assign(architecture_used=elsewhere)})
    assert found.status == PARTLY and "row 26: it ran on another network" in found.evidence
    assert verdict("T15", both).status == NOT_REPRODUCED


def test_t15_without_tmn_is_not_tested(tables: Tables) -> None:
    assert verdict("T15", filled(tables, 26, 1.0)).status == NOT_TESTED


@given(st.floats(min_value=-5, max_value=5))
def test_t11_agrees_with_its_tolerance(tmn_tables: Make, loss: float) -> None:
    loss = round(loss, 2)
    assert (verdict("T11", filled(tmn_tables(), 7, loss)).status == REPRODUCED) == (loss <= 0.25)


# --- others --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gain", "status"), [(20.0, REPRODUCED), (19.99, PARTLY)])
def test_x01_edge_on_one_of_two_networks(tables: Tables, gain: float, status: str) -> None:
    def accuracy(row: Row) -> Row:
        first = row["dataset"] == "CIFAR-10"
        return {"snn_metric": 80.0 if row["method"] == "TMN" else 80.0 - gain if first else 10.0}

    assert verdict("X01", changed(tables, "timesteps", accuracy)).status == status


def test_x01_is_read_at_t_4_with_the_papers_calibration(tables: Tables) -> None:
    def spoil(row: Row) -> Row:
        asked = row["timesteps"] == 4 and row["calibration"] == "percentile-99.99"
        return {} if asked else {"snn_metric": 1.0 if row["method"] == "TMN" else 99.0}

    assert verdict("X01", changed(tables, "timesteps", spoil)).status == REPRODUCED


def test_one_stand_in_among_the_rows_marks_the_verdict(tables: Tables) -> None:
    mixed = filled(filled(tables, 20, 0.1), 21, 0.1, "stand-in")
    assert verdict("T14", mixed).status == STAND_IN + REPRODUCED


# --- energy --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "factor", "status"), [("COS", 2.0, PARTLY), ("Fast-SNN", 0.5, PARTLY), ("TMN", 2.0, NOT_REPRODUCED)]
)
def test_t17_needs_both_ratios_in_their_range(tables: Tables, method: str, factor: float, status: str) -> None:
    changed_energy = changed(
        tables, "table3", lambda row: {"energy_mj": row["energy_mj"] * factor} if row["method"] == method else {}
    )
    assert verdict("T17", changed_energy).status == status


@pytest.mark.parametrize(
    ("column", "factor", "status"),
    [
        ("macs", 1.009, REPRODUCED),
        ("macs", 1.02, NOT_REPRODUCED),
        ("acs", 0.76, REPRODUCED),
        ("acs", 0.74, NOT_REPRODUCED),
    ],
)
def test_t19_at_its_tolerances(tables: Tables, column: str, factor: float, status: str) -> None:
    other = changed(tables, "table3", lambda row: {column: row[column] * factor} if row["row"] == 4 else {})
    assert verdict("T19", other).status == status


def test_t19_is_not_tested_on_another_network(tmn_tables: Make) -> None:
    assert verdict("T19", tmn_tables(stand_in=True)).status == NOT_TESTED
