"""Artifacts of the CSS room: rows for every profile, options that reach the method, and tables from networks that are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from benchmarks.css.artifacts import ARTIFACTS
from benchmarks.css.settings import SECTIONS, settings_of
from benchmarks.harness.results import read_table, write_table
from benchmarks.measurements import ConversionLoss, LiveMemory, PipelinedAccuracy, ResidualPotential
from benchmarks.methods import METHODS, method, threshold_rule
from benchmarks.profiles import Profile, load_profile, profile_names
from benchmarks.published import read_published
from benchmarks.tables.artifacts import CORRECT, Row
from benchmarks.tables.statistics import accuracy_columns
from snncore import ConversionMethod, SpikingNetwork, calibrate

PROFILES = profile_names()
BY_NAME = {artifact.name: artifact for artifact in ARTIFACTS}
KINDS = {"pipeline": PipelinedAccuracy, "memory": LiveMemory, "residual": ResidualPotential}


def rows_of(profile: str | Profile, artifact: str) -> list[Row]:
    return BY_NAME[artifact].rows(load_profile(profile) if isinstance(profile, str) else profile)


def measurement(row: Row) -> Any:
    (found,) = row.measurements
    return found


def conversion_of(row: Row) -> ConversionMethod:
    found = measurement(row)
    return method(found.method).conversion(threshold_rule(found.calibration), **dict(found.options))


# ---- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("artifact", SECTIONS)
def test_every_setting_of_a_shipped_profile_can_be_run(profile: str, artifact: str) -> None:
    missing = load_profile(profile).missing
    for row in rows_of(profile, artifact):
        if row.reason and artifact == "table2" and row.key["method"] not in ("TSA", "OPI", "TSC", "RMP-SNN"):
            continue
        assert not row.reason or row.reason in missing.values() or "for the digits of float32" in row.reason


@pytest.mark.parametrize("profile", PROFILES)
def test_every_published_row_is_there_unchanged(profile: str) -> None:
    for row, (_, printed) in zip(rows_of(profile, "table2"), read_published("css", "table2").iterrows(), strict=True):
        assert row.number == row.key["row"]
        assert row.key == {name: printed[name] for name in row.key} and row.key["method"] in METHODS


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("artifact", [name for name in SECTIONS if name != "table2"])
def test_rows_are_the_settings_times_the_networks(profile: str, artifact: str) -> None:
    settings = settings_of(load_profile(profile), artifact)
    steps, silent = settings["timesteps"], settings.get("silent", [0])
    fitting = len([1 for s in silent for t in steps if s <= t])
    kinds = settings.get("with_negative", []) + settings.get("without_negative", [])
    count = {
        "figure1": fitting,
        "figure2": len([1 for s in kinds for t in steps if s <= t]),
        "beta": fitting * len(settings.get("betas", [])),
        "encoding": 2 * len(steps),
        "comparison": len(steps) + len(settings.get("tmn", [])),
        "pipeline": fitting,
        "residual": 2 * fitting,
        "memory": 2 * len(steps),
    }
    assert len(rows_of(profile, artifact)) == count[artifact] * len(settings["networks"])


@pytest.mark.parametrize("artifact", [name for name in SECTIONS if name != "table2"])
def test_without_a_section_nothing_is_varied(artifact: str) -> None:
    bare = replace(load_profile("embedded"), papers={"css": {}})
    assert rows_of(bare, artifact) == []
    assert len(rows_of(bare, "table2")) == 21


@pytest.mark.parametrize("artifact", SECTIONS)
def test_a_network_that_the_profile_lacks_is_not_run(artifact: str) -> None:
    poor = replace(load_profile("embedded"), networks=())
    rows = rows_of(poor, artifact)
    assert len(rows) == len(rows_of("embedded", artifact))
    for row in rows:
        assert row.reason == f"profile embedded names no network for {row.key['dataset']} {row.key['architecture']}"
        assert not row.measurements and row.fill is None
    told = replace(poor, missing={"CIFAR-10": "no CIFAR here"})
    assert {row.reason for row in rows_of(told, artifact) if row.key["dataset"] == "CIFAR-10"} == {"no CIFAR here"}


# ---- what is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("artifact", SECTIONS)
def test_a_row_measures_its_network_and_t_with_the_calibration_of_the_profile(profile: str, artifact: str) -> None:
    loaded = load_profile(profile)
    for row in rows_of(loaded, artifact):
        if row.reason:
            continue
        found = measurement(row)
        assert type(found) is KINDS.get(artifact, ConversionLoss)
        method = row.key.get("method", "TSA")
        assert found.network == loaded.network(row.key["dataset"], row.key["architecture"], method)
        assert found.timesteps in (row.key["timesteps"], (row.key["timesteps"],))
        assert found.method == method and found.calibration == loaded.calibration
        if artifact != "table2":
            assert found.test_images == settings_of(loaded, artifact).get("test_images")


def test_thresholds_of_methods_that_calibrate_layer_by_layer_have_no_rule() -> None:
    image = {"each_ann": np.ones(1, dtype=bool), "each_snn": np.ones((1, 1), dtype=bool)}
    rows = [row for row in rows_of("embedded", "table2") if row.fill is not None]
    found = {row.key["method"]: row.fill([image])[0]["calibration"] for row in rows}
    rule = load_profile("embedded").calibration
    assert found["SNN Calibration"] == found["TTRBR"] == "layer by layer"
    assert found["TSA"] == found["OPI"] == found["LC-TTFS"] == rule


@pytest.mark.parametrize("artifact", ["figure1", "figure2", "beta", "pipeline", "residual"])
def test_options_reach_the_neurons(artifact: str) -> None:
    for row in rows_of("embedded", artifact):
        conversion, key = conversion_of(row), row.key
        neuron: Any = conversion.neuron(1.0, key["timesteps"])
        assert (neuron.delay, neuron.beta) == (key["silent_steps"], key.get("beta", 1.5))
        negative = key.get("negative_spikes", "yes") == "yes"
        assert (neuron.ternary, neuron.ratio, neuron.gate) == (negative, 0.5 if negative else 1.0, "tsa-relu")
        rounds = settings_of(load_profile("embedded"), artifact).get("adjustment")
        assert dict(measurement(row).options).get("adjustment") == rounds
        assert conversion.encoder is not None


def test_the_input_code_is_varied_and_nothing_else() -> None:
    for row in rows_of("embedded", "encoding"):
        conversion = conversion_of(row)
        assert (conversion.encoder is None) == (row.key["encoding"] == "direct")
        assert "adjustment" not in dict(measurement(row).options)
        assert conversion.neuron(1.0, 8).delay == 1


def test_the_mode_of_memory_is_that_of_its_row() -> None:
    assert [measurement(row).mode for row in rows_of("embedded", "memory")] == [
        row.key["mode"] for row in rows_of("embedded", "memory")
    ]
    assert {row.key["mode"] for row in rows_of("embedded", "memory")} == {"single-step", "multi-step"}


def test_only_the_comparison_counts_operations_and_only_there_is_tmn() -> None:
    for artifact in ("table2", "figure1", "figure2", "beta", "encoding", "comparison"):
        assert {m.count for row in rows_of("embedded", artifact) for m in row.measurements} == {artifact == "comparison"}  # type: ignore[union-attr]
    compared = [
        (row.key["method"], row.key["timesteps"]) for row in rows_of("embedded", "comparison") if row.key["dataset"] == "CIFAR-10"
    ]
    own = settings_of(load_profile("embedded"), "comparison")
    assert compared == [("TSA", t) for t in own["timesteps"]] + [("TMN", t) for t in own["tmn"]]


def test_runs_of_many_timesteps_take_fewer_images() -> None:
    limits = {
        row.key["timesteps"]: {m.test_images for m in row.measurements}
        for row in rows_of("embedded", "table2")
        if row.measurements
    }
    assert limits[12] == {None} and limits[128] == limits[4096] == {25}
    unlimited = replace(load_profile("embedded"), papers={"css": {}})
    assert {m.test_images for row in rows_of(unlimited, "table2") for m in row.measurements} == {None}


# ---- tables -----------------------------------------------------------------------------------------------------------


class Bench:
    """Stands in for a lab: one small network for every choice, eight random images."""

    device = "cpu"

    def __init__(self) -> None:
        torch.manual_seed(2)
        layers = [nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 4)]
        self.net = nn.Sequential(*layers).eval().requires_grad_(False)
        self.images, self.labels = torch.randn(8, 12), torch.randint(0, 4, (8,))
        self.calibration = calibrate(self.net, [self.images])

    def network(self, choice: Any) -> nn.Module:
        return self.net

    def converted(self, choice: Any, rule: str, name: str, options: Any, timesteps: int) -> SpikingNetwork:
        found = method(name)
        return found.convert(self.calibration, threshold_rule(rule), timesteps, lambda limit: [self.images], **dict(options))

    def test_batches(self, choice: Any, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.images[start:stop], self.labels[start:stop]


RESNET: dict[str, Any] = {"networks": [["CIFAR-10", "ResNet-20"]]}
SMALL = {
    "figure1": RESNET | {"timesteps": [3, 6], "silent": [0, 1], "adjustment": 2},
    "figure2": RESNET | {"timesteps": [3, 6], "with_negative": [1], "without_negative": [0, 2], "adjustment": 2},
    "beta": RESNET | {"timesteps": [4], "silent": [0, 1], "betas": [1.3, 2]},
    "encoding": RESNET | {"timesteps": [4]},
    "comparison": RESNET | {"timesteps": [4, 6], "tmn": [3, 4]},
    "pipeline": RESNET | {"timesteps": [12], "silent": [0, 1]},
    "residual": RESNET | {"timesteps": [12], "silent": [0, 1]},
    "memory": RESNET | {"timesteps": [4, 8]},
}


def small() -> Profile:
    return replace(load_profile("embedded"), papers={"css": SMALL})


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    """Every table of a small profile, with the network of the bench in place of its own."""
    bench: Any = Bench()
    tables = {}
    for name in SECTIONS:
        lines, schema = [], BY_NAME[name].schema
        for row in rows_of(small(), name):
            if name == "table2" and row.key["method"] != "TSA":
                lines.append(row.key | {"status": "not run: a test"})
                continue
            assert row.fill is not None, row.reason
            for values in row.fill([m.run(bench, 0, 8) for m in row.measurements]):  # type: ignore[union-attr, call-arg, arg-type]
                pair = values.pop(CORRECT, None)
                known = accuracy_columns(*pair) if pair else {}
                lines.append(row.key | values | {k: v for k, v in known.items() if k in schema.names})
        tables[name] = pd.DataFrame(lines, columns=schema.names)
    return tables


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_measured_makes_a_table(made: dict[str, pd.DataFrame], tmp_path: Path, name: str) -> None:
    write_table(tmp_path / f"{name}.csv", made[name], BY_NAME[name].schema)
    found = read_table(tmp_path / f"{name}.csv", BY_NAME[name].schema)
    assert len(found) == len(made[name]) and {"stand-in"} <= set(found["status"])
    assert {"resnet20-thin"} <= set(found["architecture_used"].dropna())


@pytest.mark.parametrize("name", ["figure1", "figure2"])
def test_rows_say_how_their_amplitudes_were_adjusted(made: dict[str, pd.DataFrame], name: str) -> None:
    rows = made[name]
    rounds: Any = SMALL[name]["adjustment"]
    assert rows["adjusted_in"].between(0, rounds).all() and rows["unsettled"].between(0, 2).all()
    assert ((rows["unsettled"] == 0) | (rows["adjusted_in"] == rounds)).all()
    assert ((rows["largest_factor"] > 1) == (rows["adjusted_in"] > 0)).all()
    assert name == "figure1" or 0 < (rows["adjusted_in"] > 0).sum() < len(rows)  # some were adjusted, others needed none


def test_what_was_adjusted_is_copied_from_the_measurement() -> None:
    row = rows_of("embedded", "figure2")[0]
    arrays = {
        "each_ann": np.ones(4, dtype=bool),
        "each_snn": np.ones((4, 1), dtype=bool),
        "same_adjustment": np.array([7.0, 3.0, 1.5, 1.25]),
    }
    assert row.fill is not None
    (values,) = row.fill([arrays])
    assert (values["adjusted_in"], values["unsettled"], values["largest_factor"]) == (7, 3, 1.25)


def test_latency_is_by_the_layers_of_the_network_in_use(made: dict[str, pd.DataFrame]) -> None:
    for name in ("figure1", "figure2", "beta", "pipeline"):
        rows = made[name]
        assert (rows["latency"] == 20 * rows["silent_steps"] + rows["timesteps"]).all()
    own = made["table2"][made["table2"]["method"] == "TSA"].set_index("row")
    assert own.loc[8, "latency"] == own.loc[8, "latency_paper"] == 32


def test_the_pipeline_has_a_row_per_output_from_the_first_on(made: dict[str, pd.DataFrame]) -> None:
    """The bench has two layers of neurons: outputs begin after two silent periods, and end with those of the conversion."""
    for (silent, t), part in made["pipeline"].groupby(["silent_steps", "timesteps"]):
        assert part["step"].tolist() == [2 * silent + 1 + k for k in range(t)]
    last = made["pipeline"].groupby("silent_steps").last()["snn_metric"]
    direct = ConversionLoss(load_profile("embedded").networks[0], "percentile-99.99", None, "TSA", (("precharge", 1),), (12,))
    bench: Any = Bench()
    assert last[1] == pytest.approx(100 * direct.run(bench, 0, 8)["each_snn"].mean())


def test_residuals_are_shares_of_all_neurons(made: dict[str, pd.DataFrame]) -> None:
    rows = made["residual"].set_index(["negative_spikes", "silent_steps"])
    assert rows["share_above"].between(0, 1).all() and set(rows["n_test"]) == {8}
    bench: Any = Bench()
    snn, seen = bench.converted(None, "percentile-99.99", "TSA", (("precharge", 0), ("negative_spikes", False)), 12), []
    for neuron in snn.neurons.values():
        neuron.observer = lambda _, __, residual: seen.append(residual.flatten())
    snn(bench.images)
    size = torch.cat(seen).abs()
    line = rows.loc[("no", 0)]
    assert line["share_above"] == pytest.approx((size > 1).double().mean().item()) and line["share_above"] > 0
    assert line["mean_abs"] == pytest.approx(size.double().mean().item(), rel=1e-6)


def test_the_comparison_prices_what_it_counts(made: dict[str, pd.DataFrame]) -> None:
    rows = made["comparison"]
    assert np.allclose(rows["energy_mj"], (4.6 * rows["macs"] + 0.9 * rows["acs"]) * 1e-9)
    assert np.allclose(rows["energy_once_mj"], (4.6 * rows["macs_once"] + 0.9 * rows["acs"]) * 1e-9)
    tsa, tmn = rows[rows["method"] == "TSA"], rows[rows["method"] == "TMN"]
    assert (tsa["macs"] == 0).all() and (tsa["macs_once"] == 0).all()  # spikes in, so that all is added
    assert (tmn["macs_once"] == 12 * 13).all() and (tmn["macs"] == 12 * 13 * tmn["timesteps"]).all()  # weights and biases
    assert rows["negative_share"].between(0, 1).all() and (rows["negative_share"] > 0).any()


def test_memory_is_per_image(made: dict[str, pd.DataFrame]) -> None:
    rows = made["memory"]
    assert set(rows["images"]) == {8}
    alone = measurement(rows_of(small(), "memory")[0])
    bench: Any = Bench()
    assert rows["kilobytes"].iloc[0] == int(alone.run(bench, 0, 8)["same_bytes"]) / 8 / 1000
