"""The room's tables from training runs on a few digits: what they hold, what a failed run looks like, what runs twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import Images, open_images
from benchmarks.errors import CannotRun, NotAvailable
from benchmarks.ettfs import artifacts
from benchmarks.ettfs.artifacts import ARTIFACTS, VARIANTS
from benchmarks.ettfs.settings import choice
from benchmarks.harness import run as running
from benchmarks.harness.results import read_table, write_table
from benchmarks.harness.run import Execution, Run, Table, write
from benchmarks.measurements import direct_training, lab
from benchmarks.measurements.base import Experiment
from benchmarks.measurements.lab import Lab
from benchmarks.profiles import Profile, load_profile
from benchmarks.published import read_published
from benchmarks.tables.artifacts import artifacts_of
from benchmarks.tables.statistics import over_seeds, wilson
from benchmarks.training import recipe, spiking_cache
from benchmarks.training.spiking import TrainingFailed

EPOCHS, TEST_IMAGES, T = 2, 60, 4
PROFILE = """
name = "tiny"
title = "A few digits"
calibration = "maximum"
calibration_images = 1
batch = 1
shard = 1
networks = []

[papers.ettfs.table3]
network = ["Fashion-MNIST", "SCNN"]
variants = ["both", "no init", "no average pooling", "neither"]
[papers.ettfs.decoders]
networks = [["MNIST", "SMLP"]]
decoders = ["exponential-2", "uniform"]
seeds = [0, 1]
[papers.ettfs.forced]
networks = [["MNIST", "SMLP"]]
[papers.ettfs.initial]
dataset = "sklearn/digits"
layout = "64-20-10"
timesteps = 4
images = 10
encodings = ["direct", "random"]
[papers.ettfs.figure4]
network = ["Fashion-MNIST", "deep SMLP"]
encodings = ["direct", "latency"]
[papers.ettfs.stacks]
width = 20
depth = 2
timesteps = [4]
draws = 1
"""
NETWORK = """
[[papers.ettfs.networks]]
paper_dataset = "{}"
network = "{}"
dataset = "sklearn/digits"
layout = "{}"
recipes = {{ ETTFS = "ettfs-digits" }}
seeds = {{ default = {} }}
validation = 60
training = 150
"""
NETWORKS = [
    ("MNIST", "SMLP", "64-20-10", [0, 1]),
    ("Fashion-MNIST", "SCNN", "3C3-P2-10", [0]),
    ("Fashion-MNIST", "deep SMLP", "64-12-12-10", [0]),
]
FAILING = VARIANTS["neither"]
WHY = "layer 1 of 2 is dead after epoch 2: no neuron of it fires (by layer: 0 %, 0 %)"
SCHEMAS = {artifact.name: artifact.schema for artifact in ARTIFACTS}


class Ran(NamedTuple):
    """All tables of a run, the tasks that were trained for it, and the cache that it leaves."""

    tables: dict[str, Table]
    trained: list[Any]
    folder: Path

    def frame(self, name: str) -> pd.DataFrame:
        return self.tables[name].frame


def tiny(folder: Path, text: str = "") -> Profile:
    path = folder / "tiny.toml"
    path.write_text(text or PROFILE + "".join(NETWORK.format(*network) for network in NETWORKS), encoding="utf-8")
    return load_profile(str(path))


def short(name: str) -> Any:
    """The recipes, made short."""
    full = recipe(name)
    return replace(full, epochs=EPOCHS, options=full.options | {"timesteps": T, "threshold": 0.5})


def few(name: str, split: str, offline: bool = False) -> Images:
    found = open_images(name, split, offline)
    return found.take(TEST_IMAGES) if split == "test" else found


def measure(profile: Profile, names: list[str] | None = None) -> dict[str, Table]:
    running._LABS.clear()
    chosen = [artifact for artifact in ARTIFACTS if names is None or artifact.name in names]
    run = Run(Lab(profile), chosen, Execution(jobs=1))
    return {table.artifact.name: table for table in run.tables()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Every artifact, where the training of the network with neither part of ETTFS fails."""
    folder = tmp_path_factory.mktemp("ran")
    train, trained = spiking_cache.train_spiking, []

    def sometimes(method: Any, layout: str, classes: int, data: Any, chosen: Any, seed: int, *others: Any) -> Any:
        trained.append((layout, repr(chosen), seed, others[1]))
        if layout == "3C3-P2-10" and dict(FAILING).items() <= chosen.options.items():
            raise TrainingFailed(WHY)
        return train(method, layout, classes, data, chosen, seed, *others[:1], True, *others[2:])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNBENCH_CACHE", str(folder / "cache"))
        patch.setattr(lab, "open_images", few)
        patch.setattr(direct_training, "recipe", short)
        patch.setattr(spiking_cache, "train_spiking", sometimes)
        yield Ran(measure(tiny(folder)), trained.copy(), folder)
    running._LABS.clear()


# ---- tables -----------------------------------------------------------------------------------------------------------


def test_every_table_obeys_its_schema(ran: Ran, tmp_path: Path) -> None:
    assert set(ran.tables) == set(SCHEMAS) == set(artifacts_of("ettfs"))
    for name, table in ran.tables.items():
        assert len(table.frame), name
        write_table(tmp_path / f"{name}.csv", table.frame, SCHEMAS[name])
        assert len(read_table(tmp_path / f"{name}.csv", SCHEMAS[name])) == len(table.frame)


def test_a_line_of_runs_follows_from_its_correctness(ran: Ran) -> None:
    frame = ran.frame("runs")
    assert frame["variant"].tolist() == ["both", "both", "both", "no init", "no average pooling", "neither"]
    correct = ran.tables["runs"].correct
    assert len(correct) == 5
    for (_, line), bits in zip(frame[frame["n_test"].notna()].iterrows(), correct.values(), strict=True):
        interval = wilson(bits)
        assert (line["snn_metric"], line["ci95_low"], line["ci95_high"]) == (interval.estimate, interval.low, interval.high)
        assert (line["n_test"], line["epochs"], line["status"]) == (TEST_IMAGES, EPOCHS, "stand-in")
        assert 0 < line["snn_metric"] < 100


def test_a_table_holds_the_mean_over_seeds(ran: Ran) -> None:
    runs = ran.frame("runs")
    each = runs[(runs["network"] == "SMLP")]["snn_metric"].to_numpy(float)
    assert len(each) == 2
    table = ran.frame("table1").set_index("method")
    line = table.loc["ETTFS"]
    interval, deviation = over_seeds(each)
    assert (line["snn_metric"], line["std"]) == pytest.approx((interval.estimate, deviation))
    assert (line["ci95_low"], line["ci95_high"]) == pytest.approx((interval.low, interval.high))
    assert (line["seeds"], line["n_test"], line["timesteps"], line["status"]) == ("0, 1", TEST_IMAGES, T, "stand-in")
    assert 1 <= line["decision_step"] <= T + 1 and 0 < line["spikes_per_neuron"] <= 1


def test_published_rows_are_kept_and_those_without_a_recipe_say_so(ran: Ran) -> None:
    for name in ("table1", "table2", "table3"):
        printed = read_published("ettfs", name)
        assert ran.frame(name)["row"].tolist() == printed["row"].tolist()
        assert ran.frame(name)["method"].tolist() == printed["method"].tolist()
    table = ran.frame("table2").set_index("row")
    assert table.loc[1, "status"] == "not run: profile tiny names no network for Fashion-MNIST SMLP"
    assert table.loc[4, "status"] == "not run: the profile has no recipe for STDBP on Fashion-MNIST SCNN"
    assert table.loc[8, "status"] == "stand-in" and pd.isna(table.loc[8, "std"])  # a single seed


# ---- a training that fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("table3", {"row": 1}),
        ("runs", {"variant": "neither"}),
        ("cost", {"variant": "neither"}),
        ("spike_times", {"variant": "neither"}),
    ],
)
def test_a_failed_training_is_not_run_and_has_no_numbers(ran: Ran, name: str, line: dict[str, Any]) -> None:
    frame = ran.frame(name)
    ((column, value),) = line.items()
    (failed,) = frame[frame[column] == value].to_dict("records")
    assert failed["status"] == f"not run: training failed: {WHY}"
    known = {c.name for c in SCHEMAS[name].keys} | {"status"}
    assert all(pd.isna(entry) for column, entry in failed.items() if column not in known)


def test_a_failed_training_leaves_the_other_rows_alone(ran: Ran) -> None:
    assert ran.frame("table3").set_index("row")["status"].tolist()[1:] == ["stand-in"] * 3
    assert ran.frame("cost")["status"].tolist() == ["stand-in"] * 4 + [f"not run: training failed: {WHY}"]


def test_one_failed_seed_spoils_the_mean_of_all(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = spiking_cache.train_spiking

    def first_only(*arguments: Any) -> Any:
        if arguments[5] == 1:
            raise TrainingFailed(WHY)
        return train(*arguments[:7], True, *arguments[8:])

    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spiking_cache, "train_spiking", first_only)
    tables = measure(tiny(tmp_path), ["table1", "runs"])
    line = tables["table1"].frame.set_index("method").loc["ETTFS"]
    assert line["status"] == f"not run: training failed: {WHY}" and pd.isna(line["snn_metric"])
    runs = tables["runs"].frame
    assert runs["status"].tolist()[:2] == ["stand-in", f"not run: training failed: {WHY}"]


# ---- curves, times, states --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "lines"), [("figure4", 4), ("figure8", 2)])
def test_a_curve_has_a_point_before_training_and_one_per_epoch(ran: Ran, name: str, lines: int) -> None:
    frame = ran.frame(name)
    assert frame["epoch"].tolist() == list(range(EPOCHS + 1)) * lines
    assert frame["initialization"].drop_duplicates().tolist() == ["kaiming", "ettfs"]
    assert frame["train_loss"].isna().tolist() == (frame["epoch"] == 0).tolist()


def test_a_curve_is_tolerant_of_silence_only_in_figure_4(ran: Ran) -> None:
    assert {layout: tolerant for layout, _, _, tolerant in ran.trained} == {
        "64-20-10": False,
        "3C3-P2-10": False,
        "64-12-12-10": True,
    }


def test_firing_over_steps(ran: Ran) -> None:
    frame = ran.frame("figure9")
    steps = frame[(frame["initialization"] == "ettfs") & (frame["layer"] == 1)]["step"].tolist()
    assert steps == list(range(EPOCHS * 4))  # four batches of 32 of 150 images
    assert sorted(frame["layer"].unique()) == [1, 2] and frame["firing"].between(0, 1).all()


def test_shares_of_spike_times_sum_to_one(ran: Ran) -> None:
    frame = ran.frame("spike_times")
    groups = frame[frame["status"] == "stand-in"].groupby(["network", "variant", "layer"])["share"]
    assert len(groups) == 4 * 3
    assert np.allclose(groups.sum(), 1) and (groups.count() == T + 1).all()


def test_costs(ran: Ran) -> None:
    frame = ran.frame("cost")
    frame = frame[frame["status"] == "stand-in"]
    assert (frame["acs_exit"] <= frame["acs"]).all() and (frame["acs"] > 0).all()
    by_network = frame.set_index("network")["macs"].groupby(level=0).first()
    assert by_network["SMLP"] == 64 * 20 + 20 and by_network["SCNN"] == 27 * 36 + 3 * 36
    energy = (frame["macs"].astype(float) * 4.6 + frame["acs"].astype(float) * 0.9) * 1e-9
    assert np.allclose(energy, frame["energy_mj"].astype(float))
    assert (frame["energy_exit_mj"] <= frame["energy_mj"]).all()


def test_decoders_and_the_forced_spike(ran: Ran) -> None:
    decoders = ran.frame("decoders")
    assert decoders["decoder"].tolist() == ["exponential-2", "uniform"] and decoders["seeds"].tolist() == ["0, 1"] * 2
    forced = ran.frame("forced").set_index("trained")
    gain = forced["accuracy_free"].astype(float) - forced["accuracy_forced"].astype(float)
    assert np.allclose(gain, forced["gain_free"].astype(float))
    runs = ran.frame("runs")
    assert forced.loc["free", "accuracy_free"] == pytest.approx(runs[runs["network"] == "SMLP"]["snn_metric"].mean())


def test_states_before_training(ran: Ran) -> None:
    keys = [("direct", "kaiming"), ("direct", "ettfs"), ("random", "kaiming"), ("random", "ettfs")]
    for name, lines in (("figure1", 2), ("figure2", 2 * 96), ("figure5", 2)):
        frame = ran.frame(name)
        assert list(zip(frame["encoding"], frame["initialization"], strict=True)) == [key for key in keys for _ in range(lines)]
        assert set(frame["status"]) == {"stand-in"}
    densities = ran.frame("figure2").groupby(["encoding", "initialization", "layer"])["density"].sum()
    assert np.allclose(densities * 12 / 96, 1)


# ---- what runs when ---------------------------------------------------------------------------------------------------


def test_a_network_that_several_tables_name_is_trained_once(ran: Ran) -> None:
    assert len(set(ran.trained)) == len(ran.trained)
    assert len(ran.trained) == 2 + 4 + 4 + 2 * 2 + 2  # seeds, variants, figure 4, decoders, forced


def test_a_second_run_trains_and_tests_nothing(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(direct_training, "trained_spiking", never)
    monkeypatch.setattr(direct_training, "evaluate", never)
    again = measure(tiny(ran.folder))
    for name, table in again.items():
        pd.testing.assert_frame_equal(table.frame, ran.frame(name))


def test_provenance_names_data_and_seeds(ran: Ran, tmp_path: Path) -> None:
    run = Run(Lab(tiny(ran.folder)), [a for a in ARTIFACTS if a.name == "table1"], Execution(jobs=1))
    (table,) = run.tables()
    assert write(table, run, tmp_path, partial=False)
    record = run.provenance(table.artifact, tmp_path / "table1.csv")
    assert record["seeds"] == [0, 1] and record["checkpoints"] == {}
    assert set(record["datasets"]) == {"sklearn/digits train", "sklearn/digits test"}


@pytest.mark.parametrize(("error", "stops"), [(NotAvailable("needs a GPU"), False), (CannotRun("damaged"), True)])
def test_what_cannot_be_trained_here(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: CannotRun, stops: bool
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(direct_training, "trained_spiking", refuse)
    if stops:
        with pytest.raises(CannotRun, match="damaged"):
            measure(tiny(tmp_path), ["table1"])
        return
    table = measure(tiny(tmp_path), ["table1"])["table1"].frame.set_index("method")
    assert table.loc["ETTFS", "status"] == "not run: needs a GPU"


def test_progress_of_an_experiment_reaches_the_report(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, float, str]] = []
    seen: list[Callable[[float, str], None]] = []

    def noted(self: Experiment, _: Lab, note: Callable[[float, str], None]) -> Any:
        seen.append(note)
        note(0.5, "half way")
        return {"failed": np.array("stopped")}

    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(direct_training.DirectTraining, "run", noted)
    report = Execution(jobs=1, report=lambda stage, done, total, text: told.append((done, total, text)))
    artifact = next(a for a in ARTIFACTS if a.name == "table1")
    list(Run(Lab(tiny(tmp_path)), [artifact], report).tables())
    assert len(seen) == 2
    assert told[0][0] == 0 and told[-1][0] == told[-1][1] > 0
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_variants_that_a_profile_leaves_out_say_so(tmp_path: Path) -> None:
    text = PROFILE.replace('"both", "no init", "no average pooling", "neither"', '"both", "no init"') + NETWORK.format(
        *NETWORKS[1]
    )
    rows = {artifact.name: artifact.rows(tiny(tmp_path, text)) for artifact in ARTIFACTS if artifact.name in ("table3", "runs")}
    left_out = "the profile leaves this variant out, for time"
    assert [row.reason for row in rows["table3"]] == [left_out, left_out, "", ""]
    assert [row.key["variant"] for row in rows["runs"]] == ["both", "no init"]


def test_a_profile_without_this_room_has_only_reasons(tmp_path: Path) -> None:
    bare = tiny(tmp_path, PROFILE.partition("[papers")[0])
    counts = {artifact.name: len(artifact.rows(bare)) for artifact in ARTIFACTS}
    assert {name: count for name, count in counts.items() if count} == {"table1": 5, "table2": 8, "table3": 4, "analytic": 6}
    for artifact in ARTIFACTS[:3]:
        assert all("names no network" in row.reason for row in artifact.rows(bare))


def test_at_two_steps_both_initialisations_are_one_and_rows_of_kaimings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variance T/N is Kaiming's 2/N at T = 2."""
    profile = load_profile("workstation")
    chosen = choice(profile, "Fashion-MNIST", "SCNN, short")
    named = recipe(chosen.recipes["ETTFS"])
    network = (chosen.paper_dataset, chosen.network)
    assert named.options["timesteps"] > 2 and artifacts.training(profile, network, options=VARIANTS["neither"])
    two_steps = replace(named, options=named.options | {"timesteps": 2})
    monkeypatch.setattr(artifacts, "recipe", lambda name: two_steps if name == named.name else recipe(name))
    with pytest.raises(NotAvailable, match="both draw weights of variance 2/N"):
        artifacts.training(profile, network, options=VARIANTS["neither"])
    rows = {name: artifact.rows(profile) for name, artifact in artifacts_of("ettfs").items()}
    variants = {row.key["variant"]: bool(row.reason) for row in rows["cost"] if row.key["network"] == chosen.network}
    assert variants == {"both": False, "no average pooling": False, "no init": True, "neither": True}
    for name in ("figure8", "figure9"):
        assert {row.key["initialization"]: bool(row.reason) for row in rows[name]} == {"kaiming": True, "ettfs": False}
