"""Artifacts of the TMN room: every published row is a row here, and resolves to a network or to a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import CannotRun
from benchmarks.harness.results import format_rows
from benchmarks.measurements import ConversionLoss
from benchmarks.methods.tmn import TMN
from benchmarks.profiles import Profile, load_profile
from benchmarks.published import read_published
from benchmarks.tables.artifacts import Row
from benchmarks.tmn import analytic
from benchmarks.tmn.artifacts import ARTIFACTS
from snncore.neurons import MomentumNeuron

PROFILES = ("embedded", "gpu", "paper", "workstation")
BY_NAME = {artifact.name: artifact for artifact in ARTIFACTS}


def rows_of(profile: str, artifact: str) -> list[Row]:
    return BY_NAME[artifact].rows(load_profile(profile))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("table", ["table2", "table3", "table4"])
def test_every_published_row_is_there_unchanged(profile: str, table: str) -> None:
    printed = read_published("tmn", table)
    rows = rows_of(profile, table)
    assert len(rows) == len(printed)
    for row, (_, published) in zip(rows, printed.iterrows(), strict=True):
        for name, value in row.key.items():
            assert (pd.isna(value) and pd.isna(published[name])) or value == published[name]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_row_is_measured(profile: str) -> None:
    assert {row.number: row.reason for row in rows_of(profile, "table2") if not row.measurements} == {}


def test_every_row_uses_the_networks_that_the_paper_names() -> None:
    for row in rows_of("paper", "table2"):
        for measurement in row.measurements:
            choice = measurement.network
            assert (choice.paper_dataset, choice.paper_architecture) == (row.key["dataset"], row.key["architecture"])
            assert measurement.test_images is None and isinstance(measurement, ConversionLoss)
            assert row.key["timesteps"] in measurement.timesteps


def test_a_step_count_is_measured_once_for_table_and_curve() -> None:
    table = {m for row in rows_of("embedded", "table2") if row.key["method"] == "OPI" for m in row.measurements}
    curve = {m for row in rows_of("embedded", "timesteps") for m in row.measurements}
    shared = [m for m in table if m in curve]
    assert {m.network.paper_dataset for m in shared} == {"CIFAR-10", "CIFAR-100"}
    tmn = [row for row in rows_of("embedded", "table2") if row.number in (7, 20)]
    assert all(row.measurements[0] in curve for row in tmn)


def test_tmn_is_run_anew_for_every_step_count_and_rate_once() -> None:
    rows = rows_of("embedded", "timesteps")
    rates = {row.measurements for row in rows if row.key["method"] == "rate"}
    tmns = [row.measurements for row in rows if row.key["method"] == "TMN"]
    assert len(rates) == 2  # networks
    assert len(set(tmns)) == len(tmns)


def test_predictive_spiking_off_is_the_full_threshold_and_positive_spikes() -> None:
    for row in rows_of("embedded", "figure4a"):
        (measurement,) = row.measurements
        assert isinstance(measurement, ConversionLoss) and measurement.count
        on = row.key["predictive_spiking"] == "yes"
        assert dict(measurement.options) == {"precharge": row.key["precharge_steps"], "ratio": 0.5 if on else 1.0, "ternary": on}


def test_rate_coding_has_exponentially_more_steps_in_figure_4b() -> None:
    for row in rows_of("embedded", "figure4b"):
        exponent = row.key["tmn_timesteps"]
        assert row.key["timesteps"] == (exponent if row.key["method"] == "TMN" else 2**exponent)


def test_both_panels_of_figure_4c_share_their_measurements() -> None:
    def measured(name: str) -> set[Any]:
        return {m for row in rows_of("embedded", name) for m in row.measurements}

    assert measured("figure4c") == measured("figure4c_density") and len(measured("figure4c")) == 9


def test_all_methods_of_table_3_share_a_data_sets_network_and_its_quantiser() -> None:
    rows = rows_of("embedded", "table3")
    assert not any(row.reason for row in rows)
    for dataset in ("CIFAR-10", "ImageNet"):
        measured = [m for row in rows if row.key["dataset"] == dataset for m in row.measurements]
        assert len({m.network for m in measured}) == 1 and measured[0].network.quantizer == "uniform-3"
        assert all(m.count for m in measured)  # type: ignore[union-attr]
        assert measured[0] == measured[3]  # the trained network is priced from TMN's run


@pytest.mark.parametrize("profile", PROFILES)
def test_energies_over_timesteps_have_the_steps_of_table_3(profile: str) -> None:
    rows = rows_of(profile, "energy")
    assert not any(row.reason for row in rows)
    keys = [tuple(row.key[name] for name in ("dataset", "method", "timesteps")) for row in rows]
    priced = [row for row in rows_of(profile, "table3") if row.measurements and row.key["method"] != "ANN"]
    assert {tuple(row.key[name] for name in ("dataset", "method", "timesteps")) for row in priced} <= set(keys)
    if profile == "embedded":  # on all images in both tables
        assert {row.measurements for row in priced} <= {row.measurements for row in rows}


def test_energies_over_timesteps_need_the_networks_of_table_3(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "benchmarks" / "profiles" / "embedded.toml").read_text(encoding="utf-8")
    start, end = text.index("[papers.tmn.table3]"), text.index("# Each method at several T")
    (tmp_path / "own.toml").write_text(text[:start].replace('name = "embedded"', 'name = "own"') + text[end:], encoding="utf-8")
    with pytest.raises(CannotRun, match=r"\[papers.tmn.energy\] needs the networks of \[papers.tmn.table3\]"):
        BY_NAME["energy"].rows(load_profile(str(tmp_path / "own.toml")))


def test_a_control_that_is_measured_for_an_earlier_row_is_left_out() -> None:
    """Rows 16 and 27, TSC in 1024 steps, have the same stand-in in the workstation profile."""
    controlled = [row.key["row"] for row in rows_of("workstation", "controls") if row.key["method"] == "TSC"]
    assert controlled == [4, 16]


def test_a_control_runs_as_the_row_of_table_2_that_it_is_for() -> None:
    table = {row.number: row for row in rows_of("embedded", "table2")}
    rows = rows_of("embedded", "controls")
    controlled = [1, 1, 4, 5, 6, 10, 11, 13, 15, 15, 16, 18, 19, 22, 27, 28, 28, 31, 32, 33, 34]  # row 25 takes too many steps
    assert [row.key["row"] for row in rows] == controlled
    for row in rows:
        (control,), (method,) = row.measurements, table[row.key["row"]].measurements
        assert isinstance(control, ConversionLoss) and control.method == row.key["control"]
        assert isinstance(method, ConversionLoss)
        same = replace(control, method=row.key["method"], options=method.options, timesteps=method.timesteps)
        if row.key["control"] != "OPI, clipped":
            assert same == method
            continue
        network = control.network  # the one thing that changes
        assert network.quantizer is not None and network.quantizer.startswith("clip-")
        assert replace(same, network=method.network) == method
        assert network.full_precision == method.network.full_precision


def test_a_row_says_where_its_thresholds_come_from() -> None:
    image = {"each_ann": np.ones(1, dtype=bool), "each_snn": np.ones((1, 8), dtype=bool)}
    found = {}
    for row in rows_of("embedded", "table2")[:14]:
        assert row.fill is not None
        found[row.number] = row.fill([image])[0]["calibration"]
    expected = {3: "layer by layer", 7: "percentile-99.99", 9: "percentile-99.99", 12: "trained clips", 14: "trained clips"}
    assert expected.items() <= found.items()


def test_runs_of_many_timesteps_take_fewer_images() -> None:
    found = {row.key["timesteps"]: {m.test_images for m in row.measurements} for row in rows_of("embedded", "table2")}
    assert found[64] == found[10] == {None} and found[128] == found[4096] == {25}


def test_methods_of_which_a_profile_says_so_take_fewer_images() -> None:
    def taken(artifact: str) -> dict[tuple[str, int], set[int | None]]:
        rows = [row for row in rows_of("workstation", artifact) if not row.reason]
        return {(row.key["method"], row.key["timesteps"]): {m.test_images for m in row.measurements} for row in rows}

    table, curve = taken("table2"), taken("timesteps")
    assert table["LC-TTFS", 50] == curve["TTFS Mapping", 64] == curve["LC-TTFS", 16] == curve["TSC", 512] == {1000}
    assert table["OPI", 64] == table["TTFS Mapping", 64] == table["FS-Conversion", 10] == curve["OPI", 64] == {None}


class Doubled(TMN):  # type: ignore[misc, name-defined]
    """A method that the project does not know by name."""

    name, reference = "Doubled", "me, 2026"


def with_added(rows: Any) -> Profile:
    profile = load_profile("embedded")
    tmn = dict(profile.papers["tmn"])
    return replace(profile, papers={"tmn": tmn | {"table2": tmn["table2"] | {"added": rows}}})


def test_a_profile_adds_rows_to_table_2_on_the_networks_of_its_rows() -> None:
    path = f"{__name__}:Doubled"
    rows = BY_NAME["table2"].rows(
        with_added([[path, "CIFAR-10", "ResNet-20", 6], ["QCFS", "CIFAR-10", "VGG-16", 8], ["TMN", "CIFAR-10", "AlexNet", 6]])
    )
    own, quantised, unknown = rows[35:]
    assert [row.number for row in rows] == list(range(1, 39))
    (measurement,) = own.measurements
    (printed,) = rows[6].measurements
    assert isinstance(measurement, ConversionLoss) and isinstance(printed, ConversionLoss)
    assert (measurement.method, measurement.timesteps, measurement.network) == (path, (6,), printed.network)
    assert (own.key["reference"], own.key["provenance"], own.key["ann_metric_paper"]) == ("me, 2026", "not printed", None)
    assert (own.key["no_quant"], quantised.key["no_quant"]) == ("yes", "no")
    assert "AlexNet" in unknown.reason
    schema = BY_NAME["table2"].schema
    frame = pd.DataFrame([row.key | {"status": "not run: a test"} for row in rows], columns=schema.names)
    assert len(format_rows(frame, schema, "table2")) == 38


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("TMN", "added must be a list of"),
        ([["TMN", "CIFAR-10", "ResNet-20"]], "added must be a list of"),
        ([["TMN", "CIFAR-10", "ResNet-20", 0]], "added must be a list of"),
        ([["TMN", "CIFAR-10", "ResNet-20", 6.5]], "added must be a list of"),
        ([["Nobody", "CIFAR-10", "ResNet-20", 6]], "unknown method 'Nobody'"),
    ],
)
def test_added_rows_that_make_no_sense_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(CannotRun, match=message):
        BY_NAME["table2"].rows(with_added(rows))


# ---- analytic ---------------------------------------------------------------------------------------------------------


def test_identities_hold_and_the_gate_fails_below_beta_two() -> None:
    assert [analytic.momentum_difference(2.0, t) for t in (1, 4, 8)] == [0.0] * 3
    assert analytic.momentum_difference(1.5, 8) < 1e-9
    assert [analytic.gate_mismatches(2.0, t) for t in range(1, 7)] == [0.0] * 6
    assert analytic.gate_mismatches(2.0, 6, by_rule=True) == 0
    assert analytic.gate_mismatches(1.5, 2) == 0 < analytic.gate_mismatches(1.5, 5)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.55, 1.0])
@pytest.mark.parametrize("precharge", [0, 1, 2])
def test_the_predictive_threshold_is_seen_from_outside(ratio: float, precharge: int) -> None:
    def neuron(threshold: float, timesteps: int) -> MomentumNeuron:
        return MomentumNeuron(threshold, timesteps, precharge=precharge, ratio=ratio)

    assert analytic.firing_threshold(neuron) == ratio


def test_every_preset_of_the_predictive_threshold_is_half_the_full_one() -> None:
    presets = [case for case in analytic.CASES if case.quantity == analytic.PRESET]
    assert len(presets) == 4 and all(case.compute() == 0.5 for case in presets)
