"""Claims of the ETTFS paper: every verdict in both directions, on the tolerance's own edge where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ettfs.claims import chosen_exponential, effects
from benchmarks.tables.bounds import checks_of
from benchmarks.tables.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, STAND_IN, Verdict

Tables = dict[str, pd.DataFrame]
Row = dict[str, Any]
Make = Callable[..., Tables]

CLAIMS = checks_of("ettfs")
ANALYTIC = ("E01", "E02", "E08")


def changed(tables: Tables, name: str, change: Callable[[Row], Row]) -> Tables:
    """Tables with ``change(row)`` put over each row of one of them."""
    rows = [row | change(row) for row in tables[name].to_dict("records")]
    return tables | {name: pd.DataFrame(rows, columns=tables[name].columns)}


def without(tables: Tables, name: str) -> Tables:
    return {other: table for other, table in tables.items() if other != name}


def kept(tables: Tables, name: str, query: str) -> Tables:
    return tables | {name: tables[name].query(query).reset_index(drop=True)}


def at(hit: Row, case: str, values: Row, row: Row) -> Row:
    """``values`` for rows that agree with ``hit`` and whose case ends like this."""
    return values if row["case"].endswith(case) and all(row[name] == value for name, value in hit.items()) else {}


def verdict(name: str, tables: Tables) -> Verdict:
    return CLAIMS[name](tables)


@pytest.fixture
def tables(ettfs_tables: Make) -> Tables:
    return ettfs_tables()


# --- all claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAIMS)
def test_full_tables(tables: Tables, name: str) -> None:
    assert verdict(name, tables).status == (PARTLY if name == "E13" else REPRODUCED)


@pytest.mark.parametrize("name", CLAIMS)
def test_on_stand_ins_only_identities_are_plainly_reproduced(ettfs_tables: Make, name: str) -> None:
    status = verdict(name, ettfs_tables(stand_in=True)).status
    assert status == REPRODUCED if name in ANALYTIC else status.startswith(STAND_IN)


@pytest.mark.parametrize("name", CLAIMS)
def test_rows_that_were_not_run_give_their_reason(tables: Tables, name: str) -> None:
    empty = {artifact: table.assign(status="not run: the disk is on holiday (come back)") for artifact, table in tables.items()}
    result = verdict(name, empty)
    assert result.status == NOT_TESTED
    assert "the disk is on holiday" in result.evidence and "come back" not in result.evidence


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3, 4)])
def test_evidence_is_one_sentence_in_one_line(ettfs_tables: Make, name: str, seeds: tuple[int, ...]) -> None:
    evidence = verdict(name, ettfs_tables(seeds=seeds)).evidence
    assert evidence.endswith(".") and "\n" not in evidence and "nan" not in evidence.split()


@pytest.mark.parametrize("name", CLAIMS)
def test_with_one_seed_only_paired_tests_are_left_out(ettfs_tables: Make, name: str) -> None:
    result = verdict(name, ettfs_tables(seeds=(0,)))
    assert (result.status == NOT_TESTED) == (name in ("E09", "E10"))


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("row", [0, 3, -1])
def test_a_single_row_of_each_table_is_enough_not_to_fail(tables: Tables, name: str, row: int) -> None:
    rows = {artifact: table.iloc[[row if row < len(table) else -1]] for artifact, table in tables.items()}
    assert verdict(name, rows).evidence


# --- analytic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "status"), [(1.1, REPRODUCED), (1.11, PARTLY), (0.9, REPRODUCED), (0.89, PARTLY)])
def test_e01_and_e02_are_within_ten_percent(tables: Tables, value: float, status: str) -> None:
    case = "T = 8, forced last spike, layer 6"
    for name, scale in (("E01", 2 / 8), ("E02", 1.0)):
        hit = {"claim": name, "quantity": "variance of the current X[t]"}
        moved = changed(tables, "analytic", partial(at, hit, case, {"value": value * scale}))
        assert verdict(name, moved).status == status


@pytest.mark.parametrize(("mean", "status"), [(-0.1, REPRODUCED), (0.11, PARTLY)])
def test_e02_mean(tables: Tables, mean: float, status: str) -> None:
    moved = changed(tables, "analytic", lambda row: {"value": mean} if "mean" in row["quantity"] else {})
    assert verdict("E02", moved).status == status


@pytest.mark.parametrize(
    ("case", "what", "value"),
    [("max", "sum", 1.0), ("average", "sum", 1.01), ("average", "difference", 1e-5)],
)
def test_e08_is_exact(tables: Tables, case: str, what: str, value: float) -> None:
    def move(row: Row) -> Row:
        return {"value": value} if row["case"].startswith(case) and f"largest {what}" in row["quantity"] else {}

    assert verdict("E08", changed(tables, "analytic", move)).status == PARTLY
    other = changed(tables, "analytic", lambda row: {"value": 9.0} if row["case"] == "max pooling, 2x2" else {})
    assert verdict("E08", other).status == REPRODUCED


# --- before training -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("initialization", "fired", "status"),
    [("kaiming", 0.049, REPRODUCED), ("kaiming", 0.05, PARTLY), ("ettfs", 0.201, REPRODUCED), ("ettfs", 0.2, PARTLY)],
)
def test_e03_edges(tables: Tables, initialization: str, fired: float, status: str) -> None:
    moved = changed(
        tables, "figure1", lambda row: {"fired": fired} if (row["initialization"], row["layer"]) == (initialization, 5) else {}
    )
    result = verdict("E03", moved)
    assert result.status == status
    assert f"{fired:.3f}" in result.evidence


def test_e03_is_about_layer_5_of_the_network(tables: Tables) -> None:
    elsewhere = changed(tables, "figure1", lambda row: {} if row["layer"] == 5 else {"fired": 0.9})
    assert verdict("E03", elsewhere).status == REPRODUCED
    assert verdict("E03", kept(tables, "figure1", "layer < 5")).status == NOT_TESTED
    assert "random stacks" not in verdict("E03", without(tables, "analytic")).evidence


@pytest.mark.parametrize(("median", "status"), [(1e-3, REPRODUCED), (0.99e-3, NOT_REPRODUCED)])
def test_e05_edge(tables: Tables, median: float, status: str) -> None:
    moved = changed(tables, "figure5", lambda row: {"median": median if row["initialization"] == "ettfs" else 1e-5})
    assert verdict("E05", moved).status == status


def test_e05_zero_gradients_count_only_against_others(tables: Tables) -> None:
    assert "infinite in layer 5 (Kaiming's median is 0)" in verdict("E05", tables).evidence
    dead = changed(tables, "figure5", lambda row: {"median": 0.0})
    assert verdict("E05", dead).status == NOT_REPRODUCED
    last = changed(tables, "figure5", lambda row: {"median": 0.0} if row["layer"] == 5 else {})
    assert verdict("E05", last).status == PARTLY
    input_layer = changed(tables, "figure5", lambda row: {"median": 1.0} if row["layer"] == 1 else {})
    assert verdict("E05", input_layer).status == REPRODUCED


# --- over training -------------------------------------------------------------------------------


def trained(tables: Tables, kaiming: Callable[[int], float]) -> Tables:
    return changed(
        tables, "figure4", lambda row: {"train_accuracy": kaiming(row["epoch"])} if row["initialization"] == "kaiming" else {}
    )


@pytest.mark.parametrize(
    ("kaiming", "status"),
    [
        (lambda epoch: 19.9, REPRODUCED),
        (lambda epoch: 95.0 if epoch >= 7 else 10.0, REPRODUCED),  # ETTFS crosses in epoch 2
        (lambda epoch: 95.0 if epoch >= 6 else 10.0, NOT_REPRODUCED),
        (lambda epoch: 79.0, REPRODUCED),  # never, and eight epochs follow
    ],
)
def test_e04_kaiming_fails_or_is_late(tables: Tables, kaiming: Callable[[int], float], status: str) -> None:
    assert verdict("E04", trained(tables, kaiming)).status == status


def test_e04_never_is_late_only_if_enough_epochs_follow(tables: Tables) -> None:
    assert verdict("E04", kept(trained(tables, lambda epoch: 79.0), "figure4", "epoch <= 6")).status == NOT_REPRODUCED
    assert verdict("E04", kept(trained(tables, lambda epoch: 79.0), "figure4", "epoch <= 7")).status == REPRODUCED


def test_e04_needs_ours_to_train_and_counts_seeds(tables: Tables) -> None:
    both = changed(tables, "figure4", lambda row: {"train_accuracy": 10.0})
    result = verdict("E04", both)
    assert result.status == NOT_REPRODUCED and "80 % never" in result.evidence
    two = changed(tables, "figure4", lambda row: {"train_accuracy": 99.0} if row["seed"] < 2 else {})
    result = verdict("E04", two)
    assert result.status == PARTLY and "3 of 5 seeds as claimed" in result.evidence


def test_e04_holds_for_every_encoding_or_in_part(tables: Tables) -> None:
    latency = trained(tables, lambda epoch: 95.0)["figure4"].assign(encoding="latency")
    result = verdict("E04", tables | {"figure4": pd.concat([tables["figure4"], latency])})
    assert result.status == PARTLY
    assert "Direct input" in result.evidence and "5 of 5 seeds" in result.evidence
    assert "latency input" in result.evidence and "0 of 5 seeds" in result.evidence


def test_e06_every_epoch_from_the_second_and_the_first_batch(tables: Tables) -> None:
    def lower(epoch: int) -> Tables:
        return changed(
            tables,
            "figure8",
            lambda row: {"validation_accuracy": 1.0} if (row["initialization"], row["epoch"]) == ("ettfs", epoch) else {},
        )

    assert verdict("E06", lower(1)).status == REPRODUCED
    result = verdict("E06", lower(5))
    assert result.status == PARTLY and "8 of 9 epochs" in result.evidence
    later = changed(lower(5), "figure9", lambda row: {"firing": 0.4 if row["step"] == 0 else row["firing"]})
    assert verdict("E06", later).status == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("kaiming", "ours", "status"), [(0.1, 0.3, REPRODUCED), (0.1, 0.29, PARTLY), (0.0, 0.1, REPRODUCED), (0.0, 0.0, PARTLY)]
)
def test_e06_firing_ratio(tables: Tables, kaiming: float, ours: float, status: str) -> None:
    set_to = changed(tables, "figure9", lambda row: {"firing": kaiming if row["initialization"] == "kaiming" else ours})
    assert verdict("E06", set_to).status == status


@pytest.mark.parametrize("name", ["figure8", "figure9"])
def test_e06_with_one_half_is_partly_at_best(tables: Tables, name: str) -> None:
    result = verdict("E06", without(tables, name))
    assert result.status == PARTLY and f"`{name}` was not run yet" in result.evidence


# --- Table III -----------------------------------------------------------------------------------


def runs_with(tables: Tables, gains: dict[str, float], spread: float = 0.01) -> Tables:
    """Runs of the SCNN with 90 % plus these gains by variant, and differences of this spread."""
    shift = {"both": 1, "no init": 2, "no average pooling": 3, "neither": 4}

    def move(row: Row) -> Row:
        if row["network"] != "SCNN":
            return {}
        noise = spread * ((row["seed"] * shift[row["variant"]]) % 5 - 2)
        return {"snn_metric": 90.0 + gains.get(row["variant"], 0.0) + noise}

    return changed(tables, "runs", move)


@pytest.mark.parametrize(("gain", "status"), [(0.31, REPRODUCED), (0.29, NOT_REPRODUCED), (-1.0, NOT_REPRODUCED)])
def test_e09_and_e10_need_a_gain(tables: Tables, gain: float, status: str) -> None:
    assert verdict("E09", runs_with(tables, {"no init": gain, "both": gain})).status == status
    assert verdict("E10", runs_with(tables, {"no average pooling": gain, "both": gain})).status == status


def test_e09_and_e10_have_two_settings_each(tables: Tables) -> None:
    only_together = runs_with(tables, {"both": 1.0})
    for name in ("E09", "E10"):
        assert verdict(name, only_together).status == PARTLY


def test_e09_needs_significance_over_seeds(tables: Tables) -> None:
    noisy = verdict("E09", runs_with(tables, {"no init": 1.0, "both": 1.0}, spread=2.0))
    assert noisy.status == NOT_REPRODUCED
    assert "+1.00 [-" in noisy.evidence and "p = 0." in noisy.evidence


def test_e10_pairs_common_seeds_only(tables: Tables) -> None:
    fewer = kept(runs_with(tables, {"no average pooling": 1.0, "both": 1.0}), "runs", "variant != 'both' or seed < 3")
    assert [effect.found.seeds for effect in effects(fewer["runs"], "E10")] == [5, 3]
    shuffled = fewer | {"runs": fewer["runs"].sample(frac=1, random_state=1)}
    assert verdict("E10", shuffled) == verdict("E10", fewer)


def test_e10_with_one_comparison_is_partly_at_best(tables: Tables) -> None:
    result = verdict("E10", kept(runs_with(tables, {"both": 1.0}), "runs", "variant in ('both', 'no init')"))
    assert result.status == PARTLY and "the other comparison was not run" in result.evidence


def test_effects_of_equal_differences_and_printed_values(tables: Tables) -> None:
    equal = runs_with(tables, {"both": 1.0, "no init": 0.5}, spread=0.0)
    first, second = effects(equal["runs"], "E09")
    assert (first.found.p, second.found.p) == (0.0, 0.0)
    assert np.isclose([first.printed, second.printed], [1.05, 1.51]).all()
    assert np.isclose([effect.printed for effect in effects(equal["runs"], "E10")], [0.8, 1.26]).all()


@pytest.mark.parametrize(("accuracy", "status"), [(92.31, REPRODUCED), (92.32, PARTLY), (90.91, REPRODUCED), (90.9, PARTLY)])
def test_e11_edge(tables: Tables, accuracy: float, status: str) -> None:
    moved = changed(tables, "table3", lambda row: {"snn_metric": accuracy} if row["row"] == 4 else {})
    assert verdict("E11", moved).status == status
    assert verdict("E11", kept(tables, "table3", "row == 4")).status == PARTLY


@pytest.mark.parametrize("name", ["E09", "E10", "E11", "E12", "E13"])
def test_accuracies_come_with_the_training_behind_them(tables: Tables, name: str) -> None:
    assert "55,000 training images, 30 epochs" in verdict(name, tables).evidence


# --- Tables I and II -----------------------------------------------------------------------------


def filled(tables: Tables, name: str, method: str, network: str, accuracy: float) -> Tables:
    pattern = tables[name][tables[name]["method"] == "ETTFS"].iloc[0].to_dict()
    columns = ("seeds", "std", "ci95_low", "ci95_high", "training_images", "epochs", "n_test", "dataset_used", "status")
    measured = {column: pattern[column] for column in columns}

    def fill(row: Row) -> Row:
        hit = (row["method"], row["network"]) == (method, network)
        return measured | {"architecture_used": "a", "snn_metric": accuracy} if hit else {}

    return changed(tables, name, fill)


@pytest.mark.parametrize(("accuracy", "status"), [(98.61, REPRODUCED), (98.6, NOT_REPRODUCED)])
def test_e12_edge(tables: Tables, accuracy: float, status: str) -> None:
    assert verdict("E12", filled(tables, "table1", "ETTFS", "SMLP", accuracy)).status == status


@pytest.mark.parametrize(
    ("scnn", "smlp", "status"), [(90.21, 88.01, PARTLY), (90.2, 88.01, PARTLY), (90.2, 88.0, NOT_REPRODUCED)]
)
def test_e13_edges(tables: Tables, scnn: float, smlp: float, status: str) -> None:
    moved = filled(filled(tables, "table2", "ETTFS", "SCNN", scnn), "table2", "ETTFS", "SMLP", smlp)
    assert verdict("E13", moved).status == status


def test_e13_with_one_network_gives_the_reason_for_the_other(tables: Tables) -> None:
    one = changed(tables, "table2", lambda row: {"status": "not run: too slow"} if row["row"] == 8 else {})
    result = verdict("E13", one)
    assert result.status == PARTLY and "too slow" in result.evidence


# --- decoding and the forced spike ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "accuracy", "status"),
    [(2.25, 98.9, REPRODUCED), (2.26, 98.9, PARTLY), (2.71, 98.9, NOT_REPRODUCED), (1.5, 98.4, REPRODUCED), (1.5, 98.39, PARTLY)],
)
def test_e14_edges(tables: Tables, step: float, accuracy: float, status: str) -> None:
    moved = changed(
        tables,
        "decoders",
        lambda row: {"decision_step": step, "snn_metric": accuracy} if row["decoder"] == "exponential-4" else {},
    )
    assert verdict("E14", moved).status == status


def test_e14_needs_something_to_compare(tables: Tables) -> None:
    assert verdict("E14", kept(tables, "decoders", "decoder != 'uniform'")).status == PARTLY
    assert verdict("E14", kept(tables, "decoders", "decoder in ('linear', 'uniform')")).status == NOT_TESTED


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["exponential-2", "exponential-10", "exponential-4"], "exponential-4"),
        (["exponential-2", "exponential-10"], "exponential-10"),
        (["exponential-1.25", "linear"], None),
    ],
)
def test_chosen_exponential(names: list[str], chosen: str | None) -> None:
    assert chosen_exponential(names) == chosen


@pytest.mark.parametrize(
    ("gain", "status"), [(-0.1, REPRODUCED), (0.1, REPRODUCED), (0.101, NOT_REPRODUCED), (-0.2, NOT_REPRODUCED)]
)
def test_e15_edges(tables: Tables, gain: float, status: str) -> None:
    moved = changed(tables, "forced", lambda row: {"gain_free": gain} if row["trained"] == "forced" else {})
    assert verdict("E15", moved).status == status


def test_e15_rests_on_networks_trained_with_the_spike(tables: Tables) -> None:
    moved = changed(tables, "forced", lambda row: {"gain_free": 5.0} if row["trained"] == "free" else {})
    result = verdict("E15", moved)
    assert result.status == REPRODUCED
    assert verdict("E15", kept(tables, "forced", "trained == 'free'")).status == NOT_TESTED


@given(st.floats(min_value=-1, max_value=1))
def test_e15_agrees_with_its_tolerance(ettfs_tables: Make, gain: float) -> None:
    gain = round(gain, 3)
    moved = changed(ettfs_tables(), "forced", lambda row: {"gain_free": gain})
    assert (verdict("E15", moved).status == REPRODUCED) == (abs(gain) <= 0.1)
